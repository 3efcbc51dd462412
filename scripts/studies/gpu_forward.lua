-- gpu_forward.lua - TFLOP/s of pah.fwd on the shapes of doc/design/gpu-forward.md, or of variants of
-- kernels/sm90/forward.cu beside each other: `pah scripts/studies/gpu_forward.lua [--rows TEXT] [--variants FILE]`.
-- All variants of a row are timed in turn, round after round, each call behind a flush of L2 that the host does not
-- wait for; medians; FLOPs by the exact count of visible pairs. Each is first compared with the float64 reference on a
-- smaller problem. --compile only compiles (no GPU needed). FILE returns a list of {name, DEFINE = value, ...}, D for
-- the head_dim that a variant is for; without defines it is pah.fwd. --peer FILE: JSON lines {name, tflops, peer}.
local gpu_clock = require "pah.measure.gpu_clock"
local json = require "pah.util.json"
local sm90 = require "scripts.studies.gpu_forward_variant"

local opt = pah.options{
  rows = {"only rows whose name has this text", ""}, variants = {"a file that returns a list of variants", ""},
  seconds = {"of samples, for a variant of a row", 0.12}, compile = {"compile and stop", false},
  peer = {"a file of JSON lines: name, tflops, peer", ""}, output = {"write JSON lines to this file", ""},
}

-- name; {queries, keys, sequences} of each kind; then what differs from H 32, Hkv 8, D 128, blocks of 16, causal.
local rows = {
  {"causal 1x16384", {{16384, 16384, 1}}},
  {"causal 4x4096", {{4096, 4096, 4}}},
  {"causal 1x2048", {{2048, 2048, 1}}},
  {"causal 16x1024", {{1024, 1024, 16}}},
  {"full 1x16384", {{16384, 16384, 1}}, causal = false},
  {"512 new on 16384", {{512, 16384, 1}}},
  {"8x512 new on 4096", {{512, 4096, 8}}},
  {"blocks of 1", {{16384, 16384, 1}}, block_size = 1},
  {"blocks of 8", {{16384, 16384, 1}}, block_size = 8},
  {"blocks of 64", {{16384, 16384, 1}}, block_size = 64},
  {"blocks of 128", {{16384, 16384, 1}}, block_size = 128},
  {"D 64", {{16384, 16384, 1}}, D = 64},
  {"D 256", {{16384, 16384, 1}}, D = 256},
  {"window 1024", {{16384, 16384, 1}}, window = {1024, 0}},
  {"softcap", {{16384, 16384, 1}}, softcap = 30},
  {"2q512_30q1s1k", {{512, 512, 2}, {1, 1024, 30}}},
  {"2q512", {{512, 512, 2}}, ragged = true},
  {"30q1s1k", {{1, 1024, 30}}, ragged = true},
}

local function only_rows()
  local list = {}
  for _, row in ipairs(rows) do
    if row[1]:find(opt.rows, 1, true) then list[#list + 1] = row end
  end
  return list
end

local variants = opt.variants ~= "" and dofile(opt.variants) or {{"pah.fwd"}}
local device = pah.device(opt.compile and "cuda:sm_90a" or "cuda")

-- ---- Problems ---------------------------------------------------------------------------------------------------

local function pairs_of(row, sq, sk)
  local causal, left = row.causal ~= false, row.window and row.window[1] or math.huge
  local sum, off = 0, sk - sq
  for i = 0, sq - 1 do
    local last = causal and math.min(sk - 1, i + off) or sk - 1
    local first = math.max(0, i + off - left)
    sum = sum + math.max(0, last - first + 1)
  end
  return sum
end

-- Arguments of pah.fwd and the flops. limit: lengths at most this.
local function problem(row, heads, kv_heads, limit)
  local D, block_size = row.D or 128, row.block_size or 16
  local H, Hkv, total, flops, lens, sums = heads or 32, kv_heads or 8, 0, 0, {}, {0}
  limit = limit or math.huge
  for _, kind in ipairs(row[2]) do
    local sq, sk = math.min(kind[1], limit), math.min(kind[2], limit)
    for _ = 1, kind[3] do
      lens[#lens + 1], sums[#sums + 1] = sk, sums[#sums] + sq
      total = total + math.ceil(sk / block_size)
      flops = flops + 4 * D * H * pairs_of(row, sq, sk)
    end
  end
  local table_, used = pah.block_table{seqlens = lens, block_size = block_size, num_blocks = total, seed = 1}
  local function random(shape, seed)
    if opt.compile then return pah.empty(shape, {dtype = "bf16", device = device}) end
    return pah.randn(shape, {dtype = "bf16", device = device, seed = seed})
  end
  local a = {
    k_blocks = random({total, block_size, Hkv, D}, 2), v_blocks = random({total, block_size, Hkv, D}, 3),
    block_table = table_:to(device), seqused_k = used:to(device), causal = row.causal ~= false, window = row.window,
    softcap = row.softcap,
  }
  if row.ragged or #row[2] > 1 then
    a.q, a.cu_seqlens_q = random({sums[#sums], H, D}, 1), pah.tensor(sums, {dtype = "i32", device = device})
    a.out, a.lse = pah.empty({sums[#sums], H, D}, {dtype = "bf16", device = device}),
      pah.empty({H, sums[#sums]}, {device = device})
  else
    a.q = random({#lens, H, sums[2], D}, 1)
    a.out, a.lse = pah.empty({#lens, H, sums[2], D}, {dtype = "bf16", device = device}),
      pah.empty({#lens, H, sums[2]}, {device = device})
  end
  return a, flops
end

-- ---- Variants ---------------------------------------------------------------------------------------------------

local function defines(variant)
  local d, any = {}, false
  for key, value in pairs(variant) do
    if type(key) == "string" and key ~= "D" then d[key], any = value, true end
  end
  return any and d
end

-- A function that computes a.out and a.lse.
local function prepare(variant, a)
  local d = defines(variant)
  if d then return sm90.prepare(sm90.compile(device, a, d), a, a.out, a.lse) end
  return function() pah.fwd(a) end
end

local function fits(variant, row) return (variant.D or not defines(variant) and row.D or 128) == (row.D or 128) end

-- How far a variant is off on a smaller problem.
local function check(variant, row)
  local a = problem(row, 4, 1, 700)
  a.out:fill(0 / 0)
  prepare(variant, a)()
  local host = {}
  for key, value in pairs(a) do
    if key ~= "out" and key ~= "lse" then host[key] = type(value) == "cdata" and value:to("cpu") or value end
  end
  local want = pah.reference.fwd(host)
  local off = pah.diff(a.out:to("cpu"):to("f32"), want:to("f32"))
  if off.nan > 0 or off.rel_norm > 4e-3 then error(("wrong: off by %.2g, %d NaN"):format(off.rel_norm, off.nan), 0) end
end

-- ---- Times ------------------------------------------------------------------------------------------------------

local flush_text = [[
extern "C" __global__ void flush(float4 *data, long long count) {
  long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
    data[i] = make_float4(i, 1, 2, 3);
}
]]

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

-- 256 MB are written while the host puts the launch behind them: the GPU never waits for the host between the events.
local function sampler()
  local module, clock = device:compile{text = flush_text}, gpu_clock.of(device)
  local data, shape = pah.empty({2 ^ 26}, {device = device}), {grid = {8 * device:info().sms}, block = {256}}
  return function(run)
    module:launch("flush", shape, data, pah.i64(2 ^ 24))
    if clock then clock.start() end
    local from = device:event()
    run()
    local to = device:event()
    local hz = clock and clock.stop()
    device:synchronize()
    return to:since(from), hz
  end
end

local function measure(runs, sample)
  local lists = {}
  for v, run in pairs(runs) do
    local ok, why = pcall(function()
      run()
      device:synchronize()
    end)
    if not ok then error(variants[v][1] .. ": " .. tostring(why), 0) end
    lists[v] = {hz = {}, sum = 0}
  end
  for round = 1, 60 do
    local open = false
    for v, run in pairs(runs) do
      local list = lists[v]
      if round <= 7 or list.sum < opt.seconds then
        local t, hz = sample(run)
        list[#list + 1], list.hz[#list.hz + 1], list.sum, open = t, hz, list.sum + t, true
      end
    end
    if not open then break end
  end
  return lists
end

local function report(row, variant, list, flops, peer, file)
  local n, t, hz = #list, median(list), median(list.hz) or 0 / 0 -- sorted now
  local rate = flops / t / 1e12
  print(("%-18s %-26s %8.1f us  %6.1f TFLOP/s  (best %6.1f, %d, %4.0f MHz, %4.1f %%)%s"):format(row[1], variant[1],
    t * 1e6, rate, flops / list[1] / 1e12, n, hz / 1e6, 100 * flops / (t * hz * device:info().sms * 4096),
    peer and ("  %.2f of %s"):format(rate / peer.tflops, peer.peer) or ""))
  if not file then return end
  file:write(json.encode{
    row = row[1], variant = variant[1], seconds = t, best = list[1], n = n, hz = hz, flops = flops,
  }, "\n")
end

-- ---- The rows ---------------------------------------------------------------------------------------------------

if opt.compile then
  device:set{dry = true}
  for _, row in ipairs(only_rows()) do
    local a = problem(row, 32, 8, 64)
    for _, variant in ipairs(variants) do
      local d = defines(variant)
      if fits(variant, row) and d then
        local r = sm90.compile(device, a, d).module:resources "forward_sm90"
        print(row[1], variant[1], "registers", r.registers, "spilled", r.spill_store_bytes)
      elseif fits(variant, row) then
        pah.fwd(a)
      end
    end
  end
  return
end

local peers = {}
if opt.peer ~= "" then
  for line in io.lines(opt.peer) do
    local peer = json.decode(line)
    peers[peer.name] = peer
  end
end
local file = opt.output ~= "" and assert(io.open(opt.output, "w"))
local sample = sampler()
device:set{check = false, limit = 3}
for _, row in ipairs(only_rows()) do
  local a, flops = problem(row)
  local runs = {}
  for v, variant in ipairs(variants) do
    if fits(variant, row) then
      local ok, why = pcall(check, variant, row)
      if ok then runs[v] = prepare(variant, a) else print(row[1], variant[1], why) end
    end
  end
  local lists = measure(runs, sample)
  for v, variant in ipairs(variants) do
    if lists[v] then report(row, variant, lists[v], flops, peers[row[1]], file) end
  end
  io.stdout:flush()
end
if file then file:close() end
