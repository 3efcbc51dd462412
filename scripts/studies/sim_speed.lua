-- sim_speed.lua - the processor time that sim needs for kernels of each kind, with all its checks and counters:
--   pah scripts/studies/sim_speed.lua [--baseline build/of/before/pah] [--processors 2] [--only mma]
-- Each case runs in a process of its own, by turns with the program given as baseline, or with itself on so many
-- processors; the user processor time of the process and its launches is taken, with --processors real time, less that
-- of a run up to the launch. Prints the least of the rounds, and ratios.
local host = require "pah.host"

local opt = pah.options{
  baseline = {"another pah program, measured by turns with this one", ""},
  processors = {"processors of launches, measured by turns with one; real time", 0},
  rounds = {"runs of each case by each program", 3},
  only = {"cases whose name holds this text", ""},
  case = {"run this case once, here, and stop", ""},
  prepare = {"of the case, only what comes before its launch", false},
}

local here = arg[0]:match "^(.*)/scripts/studies/[^/]*$" or "."

local SCALAR = [[
extern "C" __global__ void axpy(const float *x, float *y, int n, int rounds) {
  for (int r = 0; r < rounds; r++)
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) y[i] += 0.5f * x[i];
}]]

-- The tiled product of two square matrices: 32 x 32 tiles, a thread per element.
local SHARED = [[
extern "C" __global__ void multiply(const float *a, const float *b, float *c, int n) {
  __shared__ float left[32][32], right[32][32];
  int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 32 + y, column = blockIdx.x * 32 + x;
  float sum = 0;
  for (int k = 0; k < n; k += 32) {
    left[y][x] = a[row * n + k + x];
    right[y][x] = b[(k + y) * n + column];
    __syncthreads();
    for (int i = 0; i < 32; i++) sum += left[y][i] * right[i][x];
    __syncthreads();
  }
  c[row * n + column] = sum;
}]]

-- A sum over each row by a warp, of f16.
local SHUFFLES = [[
#include <cuda_fp16.h>
extern "C" __global__ void rows(const __half *x, float *sums, int n) {
  const __half *row = x + (blockIdx.x * blockDim.y + threadIdx.y) * n;
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += 32) {
    float v = __half2float(row[i]);
    for (int step = 16; step; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    sum += v;
  }
  if (threadIdx.x == 0) sums[blockIdx.x * blockDim.y + threadIdx.y] = sum;
}]]

local function random(shape, seed, dtype, device)
  return pah.randn(shape, {seed = seed, dtype = dtype, device = device})
end

local function compiled(device, text) return device:compile{text = text} end

local function kernel_file(device, name)
  return device:compile{source = ("%s/spec/kernels/%s.cu"):format(here, name), include = {here .. "/kernels"}}
end

-- A batch of B sequences of one length in blocks of 16, and what an operation needs of it.
local function paged(device, o)
  local table_, lens = pah.block_table{seqlens = o.lens, block_size = 16, num_blocks = o.blocks, order = "shuffled",
    seed = 1, device = device}
  local pool = {o.blocks, 16, o.Hkv, o.D}
  return {
    q = random({#o.lens, o.H, o.Sq, o.D}, 1, "bf16", device), k_blocks = random(pool, 2, "bf16", device),
    v_blocks = random(pool, 3, "bf16", device), block_table = table_, seqused_k = lens, causal = o.causal,
    kernel = o.kernel,
  }
end

-- A launch of a kernel, to be done later.
local function launch(module, ...)
  local arguments = {...}
  module:resources(arguments[1]) -- compiles it
  return function() module:launch(unpack(arguments)) end
end

-- Name, and a function that prepares the case and returns the one that runs it.
local cases = {
  {"scalar", function()
    local dev, n = pah.device "sim", 65536
    return launch(compiled(dev, SCALAR), "axpy", {grid = 8, block = 256}, random({n}, 1, "f32", dev),
      random({n}, 2, "f32", dev), n, 40)
  end},
  {"shared", function()
    local dev, n = pah.device "sim", 192
    return launch(compiled(dev, SHARED), "multiply", {grid = {n / 32, n / 32}, block = {32, 32}},
      random({n, n}, 1, "f32", dev), random({n, n}, 2, "f32", dev), pah.zeros({n, n}, {device = dev}), n)
  end},
  {"shuffles", function()
    local dev, n = pah.device "sim", 16384
    return launch(compiled(dev, SHUFFLES), "rows", {grid = 8, block = {32, 4}}, random({32, n}, 1, "f16", dev),
      pah.zeros({32}, {device = dev}), n)
  end},
  {"mma", function()
    local dev, heads, sq, sk, d = pah.device "sim", 4, 256, 512, 128
    local function made(rows, seed) return random({heads, rows, d}, seed, "bf16", dev) end
    return launch(kernel_file(dev, "ptx_attention"), "attention",
      {grid = {sq / 64, heads}, block = 128, shared = 65536}, made(sq, 1), made(sk, 2), made(sk, 3),
      pah.zeros({heads, sq, d}, {device = dev}), sq, sk, pah.f32(0.1))
  end},
  {"wgmma", function()
    local dev, heads, sq, sk, d = pah.device "sim:sm_90a", 4, 512, 1024, 128
    local maps = {}
    for i, rows in ipairs {sq, sk, sk} do
      maps[i] = pah.tensor_map(random({heads, rows, d}, i, "bf16", dev), {box = {1, 64, 64}, swizzle = 128})
    end
    local out = pah.zeros({heads, sq, d}, {device = dev})
    return launch(kernel_file(dev, "ptx_attention90"), "attention",
      {grid = {sq / 128, heads}, block = 384, shared = 98304}, maps[1], maps[2], maps[3],
      pah.tensor_map(out, {box = {1, 64, 32}, swizzle = 128}), sk, pah.f32(0.1))
  end},
  {"naive forward", function()
    local a = paged(pah.device "sim", {lens = {256, 200}, blocks = 64, H = 4, Hkv = 2, D = 64, Sq = 64,
      causal = true, kernel = "naive"})
    return function() pah.fwd(a) end
  end},
  {"sm80 decode", function()
    local a = paged(pah.device "sim", {lens = {2000, 1100, 3000, 1}, blocks = 400, H = 32, Hkv = 8, D = 128, Sq = 1,
      kernel = "sm80"})
    return function() pah.decode(a) end
  end},
  {"sm90 forward", function()
    local a = paged(pah.device "sim:sm_90a", {lens = {1024, 800}, blocks = 160, H = 8, Hkv = 2, D = 128, Sq = 256,
      causal = true, kernel = "sm90"})
    return function() pah.fwd(a) end
  end},
}

if opt.case ~= "" then
  for _, case in ipairs(cases) do
    if case[1] == opt.case then
      local run = case[2]()
      return opt.prepare or run()
    end
  end
  error(("case: is %q, must be one of this file's"):format(opt.case), 0)
end

local function quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- User seconds of the program and its children, as `times` of the shell says them; or real ones.
local function seconds(program, words)
  local command = ("PAH_SIM_PROCESSORS=%d %s %s %s && times"):format(program.processors, quoted(program.path),
    quoted(arg[0]), words)
  local start = pah.clock()
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  local real = pah.clock() - start
  local minutes, rest = text:match "(%d+)m([%d.]+)s %S+%s*$"
  local user = assert(minutes, program.path .. " failed") * 60 + rest
  return opt.processors > 0 and real or user
end

local programs = {{path = host.exe, processors = math.max(opt.processors, 1)}}
if opt.baseline ~= "" then
  programs[2] = {path = opt.baseline, processors = 1, name = "before"}
elseif opt.processors > 0 then
  programs[2] = {path = host.exe, processors = 1, name = "on one"}
end

-- The least of all rounds, of each program: of the case, less the least of its preparation.
local function measure(name)
  local whole, before, own = {}, {}, {}
  for round = 0, opt.rounds do -- the first compiles, if that has not been done
    for i, program in ipairs(programs) do
      local a, b = seconds(program, "--case " .. quoted(name)),
        seconds(program, "--prepare --case " .. quoted(name))
      if round > 0 then
        whole[i], before[i] = math.min(whole[i] or math.huge, a), math.min(before[i] or math.huge, b)
        own[i] = whole[i] - before[i]
      end
    end
  end
  return own
end

for _, case in ipairs(cases) do
  if case[1]:find(opt.only, 1, true) then
    local own = measure(case[1])
    print(("%-14s %7.2f s"):format(case[1], own[1]) ..
      (own[2] and ("   %s %7.2f s   %5.2f times as fast"):format(programs[2].name, own[2], own[2] / own[1]) or ""))
  end
end
