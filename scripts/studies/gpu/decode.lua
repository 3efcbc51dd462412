-- decode.lua - decode on a GPU beside reading the same bytes in order: `pah scripts/studies/gpu/decode.lua`. A row
-- a shape: the median with cold caches (256 MB are written twice before every call; then the call between two events,
-- all queued, so that the host's time is not seen), GB/s of K and V, and the share of the time that measure/peaks.cu
-- takes to read as many bytes, measured in the same way in the same run. peer=FILE: JSON lines {"name": a row's,
-- "us": microseconds, ...} of another library on this machine, to print ratios. Rows: decode_rows.lua; a
-- peer: peers/flashinfer_decode.py. Results: doc/log/gpu.md.
local opt = pah.options{
  device = {"the GPU", "cuda"},
  samples = {"calls of each row", 31},
  rows = {"only rows whose name contains this", ""},
  kernel = {"decode by this kernel; empty: the first that takes it", ""},
  graph = {"time replays of a CUDA graph of one call", false},
  peer = {"JSON lines of another library's times; empty: none", ""},
}
local device = pah.device(opt.device)
device:set{check = false} -- a check waits for the host

-- Numbers near 1 of either sign, made on the GPU: zeros would be cheaper to move and to multiply.
local fill_text = [[
extern "C" __global__ void fill(unsigned *data, long long words, unsigned keep, unsigned set, unsigned seed) {
  long long first = blockIdx.x * (long long)blockDim.x + threadIdx.x, step = (long long)gridDim.x * blockDim.x;
  for (long long i = first; i < words; i += step) {
    unsigned x = (unsigned)i * 2654435761u + seed;
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    data[i] = ((x ^ x >> 16) & keep) | set;
  }
}]]
local fill = device:compile{text = fill_text}
local peaks = device:compile{source = require("pah.host").datadir .. "/kernels/measure/peaks.cu"}
local patterns = { -- bits that stay random, bits that are set
  bf16 = {0x80ff80ff, 0x3f003f00}, f16 = {0x87ff87ff, 0x38003800}, fp8_e4m3 = {0x8f8f8f8f, 0x30303030},
  fp8_e5m2 = {0x87878787, 0x38383838},
}
local wide = {grid = 8 * device:info().sms, block = 256}

local function random(shape, dtype, seed)
  local t = pah.empty(shape, {dtype = dtype, device = device})
  local p = patterns[dtype]
  fill:launch("fill", wide, t, pah.i64(t.nbytes / 4), pah.u32(p[1]), pah.u32(p[2]), pah.u32(seed))
  return t
end

local dirty = pah.empty({2 ^ 26}, {device = device})
local function flush()
  for seed = 1, 2 do
    fill:launch("fill", wide, dirty, pah.i64(dirty.nbytes / 4), pah.u32(0x007fffff), pah.u32(0x3f800000), pah.u32(seed))
  end
end

-- Median and least microseconds.
local function measure(call)
  for _ = 1, 3 do call() end
  local events, times = {}, {}
  for i = 1, opt.samples do
    flush()
    local from = device:event()
    call()
    events[i] = {from, device:event()}
  end
  device:synchronize()
  for i, e in ipairs(events) do times[i] = e[2]:since(e[1]) * 1e6 end
  table.sort(times)
  return times[math.ceil(#times / 2)], times[1]
end

local in_order = {} -- bytes -> microseconds
local function reading(bytes)
  if not in_order[bytes] then
    local data, sums = pah.empty({bytes / 4}, {device = device}), pah.empty({256}, {device = device})
    in_order[bytes] = measure(function() peaks:launch("read", wide, sums, data, pah.i64(bytes / 16), 1) end)
  end
  return in_order[bytes]
end

local rows = dofile((arg[0]:match "^(.*/)" or "") .. "decode_rows.lua")

-- Arguments of decode, with results so that a call allocates nothing.
local function problem(row)
  local lens, size, dtype = row[2], row.size or 16, row.dtype or "bf16"
  local D, H, Hkv = row.mla and 576 or row.D or 128, row.H or 32, row.mla and 1 or 8
  local queries = {#lens, H, row.queries or 1, D}
  local blocks = 0
  for _, len in ipairs(lens) do blocks = blocks + math.ceil(len / size) end
  local block_table, seqused_k = pah.block_table{seqlens = lens, block_size = size, num_blocks = blocks, seed = 1,
    device = device}
  local pool = {blocks, size, Hkv, D}
  local k_blocks = random(pool, row.cache or dtype, 2)
  return {
    q = random(queries, dtype, 1), k_blocks = k_blocks,
    v_blocks = row.mla and k_blocks:narrow(4, 1, 512) or random(pool, row.cache or dtype, 3),
    softmax_scale = row.mla and 192 ^ -0.5 or nil, block_table = block_table, seqused_k = seqused_k,
    out = pah.empty({#lens, H, row.queries or 1, row.mla and 512 or D}, {dtype = dtype, device = device}),
    lse = pah.empty({#lens, H, row.queries or 1}, {device = device}), causal = true,
    kernel = opt.kernel ~= "" and opt.kernel or nil,
  }
end

local peer = {}
if opt.peer ~= "" then
  for line in io.lines(opt.peer) do
    local name, us = line:match '"name": "(.-)"', tonumber(line:match '"us": ([%d.]+)')
    if name and us then peer[name] = us end
  end
end

print(device:info().model, device:info().arch)
print(("%-15s %10s %10s %8s %9s %10s %8s"):format("row", "us", "least", "GB/s", "in order", "peer, us", "times"))
for _, row in ipairs(rows) do
  if row[1]:find(opt.rows, 1, true) then
    local args, bytes = problem(row), 0
    local token = row.mla and 576 * 2 or 8 * (row.D or 128) * 2 * (row.cache and 1 or 2)
    for _, len in ipairs(row[2]) do bytes = bytes + len * token end
    local call = function() pah.decode(args) end
    if opt.graph then
      call() -- what is compiled and allocated once is not for a graph
      local graph = device:graph(call)
      call = function() graph:launch() end
    end
    local us, least = measure(call)
    local other = peer[row[1]]
    print(("%-15s %10.2f %10.2f %8.0f %9.3f %10s %8s"):format(row[1], us, least, bytes / us / 1e3,
      reading(math.ceil(bytes / 4096) * 4096) / us, other and ("%.2f"):format(other) or "-",
      other and ("%.3f"):format(other / us) or "-"))
    io.stdout:flush()
    args = nil
    collectgarbage()
    collectgarbage()
  end
end
