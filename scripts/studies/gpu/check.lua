-- check.lua - the parts of scripts/gpu-check that run in one process: device and its limits, sim against cuda on
-- the same inputs for every naive kernel, refusals, memory accounting, how far the naive kernels are from the limits.
-- Writes a JSON line for each result to OUTPUT and a short table to stdout; exit code 1 if something is wrong.
local json = require "pah.util.json"
local median = require("pah.measure.stats").median

local opt = pah.options{
  output = {"file of the results, a JSON line each; written to at its end", "gpu-check.jsonl"},
  device = {"the device", "cuda"},
  sim = {"also compare with the simulator", true},
  bench = {"also measure", true},
}

local dev = pah.device(opt.device)
local file = assert(io.open(opt.output, "a"))
local failed = 0

local function result(row)
  file:write(json.encode(row), "\n")
  file:flush()
  return row
end

local function check(name, f)
  local start = pah.clock()
  local ok, why = pcall(f)
  if not ok then failed = failed + 1 end
  result {kind = "check", name = name, ok = ok, why = not ok and tostring(why) or nil, seconds = pah.clock() - start}
  print(("%-4s %-60s %6.1f s"):format(ok and "ok" or "FAIL", name, pah.clock() - start))
  if not ok then print("     " .. tostring(why)) end
end

-- ---- The same inputs on sim and on cuda ------------------------------------------------------------------------

local function inputs(op, dtype, cache_dtype, d, device)
  local B, H, Hkv, block_size = 2, 4, 2, 8
  local lens = {37, 20}
  local block_table, seqused_k = pah.block_table{seqlens = lens, block_size = block_size, num_blocks = 24, seed = 5}
  local sq = op == "decode" and 1 or 13
  local function random(shape, seed, as) return pah.randn(shape, {seed = seed}):to(as):to(device) end
  local p = {
    q = random({B, H, sq, d}, 1, dtype), k_blocks = random({24, block_size, Hkv, d}, 2, cache_dtype),
    v_blocks = random({24, block_size, Hkv, d}, 3, cache_dtype), block_table = block_table:to(device),
    seqused_k = seqused_k:to(device), causal = op ~= "decode",
  }
  if op == "decode" then p.num_splits = 2 end
  return p
end

local function on(device, p)
  local copy = {}
  for k, v in pairs(p) do copy[k] = pah.is_tensor(v) and v:to(device) or v end
  return copy
end

-- Largest difference and how many elements have the same bits, of lists of tensors.
local function differ(a, b)
  local worst, same, total = 0, 0, 0
  for i = 1, #a do
    local x, y = a[i]:to("cpu"):to "f64":reshape(-1), b[i]:to("cpu"):to "f64":reshape(-1)
    local d = pah.diff(x, y)
    worst, total = math.max(worst, d.max_abs), total + x:numel()
    local u, v = x:totable(), y:totable()
    for j = 1, #u do same = same + ((u[j] == v[j] or (u[j] ~= u[j] and v[j] ~= v[j])) and 1 or 0) end
  end
  return worst, same / total
end

local tolerance = {f32 = 2e-5, f16 = 4e-3, bf16 = 3e-2, fp8_e4m3 = 0.3, fp8_e5m2 = 0.6}

local function compare(op, dtype, cache_dtype, d, sim)
  local p = inputs(op, dtype, cache_dtype, d, pah.device "cpu")
  local function run(device)
    local q = on(device, p)
    if op == "bwd" then
      q.out, q.lse = pah.fwd(q)
      q.dout = pah.randn({2, 4, 13, d}, {seed = 9}):to(dtype):to(device)
      return {pah.bwd(q)}
    end
    return {pah[op](q)}
  end
  local worst, same = differ(run(dev), run(sim))
  result {kind = "sim_against_cuda", op = op, dtype = dtype, cache_dtype = cache_dtype, head_dim = d, max_abs = worst,
    same_bits = same}
  local most = tolerance[dtype] * (op == "bwd" and 4 or 1)
  assert(worst <= most, ("%s %s/%s D=%d: differs by %g, must be at most %g"):format(op, dtype, cache_dtype, d, worst,
    most))
  return same
end

local function sim_against_cuda()
  local sim = pah.device "sim"
  local least, count, exact = 1, 0, 0
  local function try(...)
    local same = compare(...)
    least, count, exact = math.min(least, same), count + 1, exact + (same == 1 and 1 or 0)
  end
  for _, d in ipairs {64, 128} do
    for _, dtype in ipairs {"f32", "f16", "bf16"} do
      try("fwd", dtype, dtype, d, sim)
      try("bwd", dtype, dtype, d, sim)
      try("decode", dtype, dtype, d, sim)
    end
    for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
      try("fwd_fp8", dtype, dtype, d, sim)
      try("decode", "bf16", dtype, d, sim)
    end
  end
  print(("     %d kernels, %d bit for bit; the least equal has %.4f of its elements the same"):format(count, exact,
    least))
end

local function others_bit_for_bit()
  local sim = pah.device "sim"
  local function append(device)
    local k = pah.zeros({4, 8, 2, 64}, {dtype = "fp8_e4m3", device = device})
    local v = pah.zeros({4, 8, 2, 64}, {dtype = "fp8_e4m3", device = device})
    pah.kv_append{k = pah.randn({5, 2, 64}, {seed = 1, device = device}), v_blocks = v, k_blocks = k,
      v = pah.randn({5, 2, 64}, {seed = 2, device = device}),
      slot_mapping = pah.tensor({3, 9, -1, 30, 0}, {dtype = "i32", device = device})}
    return {k, v}
  end
  local worst = differ(append(dev), append(sim))
  assert(worst == 0, "kv_append differs by " .. worst)
  local function merge(device)
    local function out(seed) return pah.randn({2, 4, 3, 64}, {seed = seed, device = device}) end
    local function lse(seed) return pah.randn({2, 4, 3}, {seed = seed, device = device}) end
    return {pah.merge(out(1), lse(2), out(3), lse(4))}
  end
  worst = differ(merge(dev), merge(sim))
  assert(worst <= 1e-6, "merge differs by " .. worst)
end

-- ---- Refusals and accounts -------------------------------------------------------------------------------------

local function refuses()
  local p = inputs("fwd", "bf16", "bf16", 64, dev)
  p.out = pah.full({2, 4, 13, 64}, 7, {dtype = "bf16", device = dev})
  for _, id in ipairs {24, -1, 2 ^ 30} do
    local bad = p.block_table:to "cpu"
    bad:set(id, 2, 1)
    local q = on(dev, p)
    q.out, q.block_table = p.out, bad:to(dev)
    pah.fwd(q)
    local ok, why = pcall(dev.synchronize, dev)
    assert(not ok and tostring(why):find("outside [0, 24)", 1, true), "block id " .. id .. ": " .. tostring(why))
    local decode = inputs("decode", "bf16", "bf16", 64, dev)
    decode.block_table = q.block_table
    pah.decode(decode)
    assert(not pcall(dev.synchronize, dev), "decode takes block id " .. id)
  end
  assert(p.out:get(1, 1, 1, 1) == 7 and p.out:get(2, 4, 13, 64) == 7, "something was written")
end

local function bytes_after_work()
  do
    local p = inputs("fwd", "f32", "f32", 64, dev)
    p.out, p.lse = pah.fwd(p)
    p.dout = p.out
    local dq = pah.bwd(p)
    dq:to "cpu"
  end
  collectgarbage()
  collectgarbage()
  return dev:memory().bytes
end

local function accounts() -- working memory is kept for the next call, so the first one counts as before
  local before, after = bytes_after_work(), bytes_after_work()
  assert(after == before, ("%d bytes are allocated, were %d"):format(after, before))
end

-- ---- Measuring -------------------------------------------------------------------------------------------------

-- Median seconds of a call, by the GPU's clock: groups of calls back to back between two events.
local function time(call, seconds)
  call()
  dev:synchronize()
  local first = dev:event()
  call()
  local once = math.max(dev:event():since(first), 1e-6)
  local group = math.max(1, math.min(50, math.floor(0.01 / once)))
  local samples, stop = {}, pah.clock() + (seconds or 1)
  while #samples < 5 or (pah.clock() < stop and #samples < 100) do
    local from = dev:event()
    for _ = 1, group do call() end
    samples[#samples + 1] = dev:event():since(from) / group
  end
  return median(samples), #samples
end

local peaks = {}

local function measure_peaks()
  local module = dev:compile{source = require("pah.host").datadir .. "/kernels/measure/peaks.cu"}
  local info, bytes = dev:info(), 2 ^ 30
  local a = pah.zeros({bytes / 4}, {device = dev})
  local b = pah.zeros({bytes / 4}, {device = dev})
  local grid = info.sms * 8
  local seconds = time(function() module:launch("copy", {grid = grid, block = 512}, b, a, bytes / 16) end)
  peaks.copy = 2 * bytes / seconds
  seconds = time(function() module:launch("read", {grid = grid, block = 512}, b, a, bytes / 16, 1) end)
  peaks.read = bytes / seconds
  local hopper = info.arch:match "^sm_90a"
  local rounds = 20000
  seconds = time(function() module:launch("peak", {grid = info.sms, block = 256}, b, rounds) end)
  local flops = hopper and 2 * 64 * 256 * 16 * 4 * 2 or 2 * 16 * 8 * 16 * 8 * 4 * 8 -- a round, a thread block
  peaks.tensor = flops * rounds * info.sms / seconds
  rounds = 4000
  seconds = time(function() module:launch("multiply_add", {grid = info.sms * 8, block = 256}, b, 0.5, rounds) end)
  peaks.fma = 2 * 16 * rounds * 256 * info.sms * 8 / seconds
  result {kind = "limits", f32_fma_flops_per_second = peaks.fma, copy_bytes_per_second = peaks.copy,
    read_bytes_per_second = peaks.read,
    bf16_tensor_flops_per_second = peaks.tensor, instruction = hopper and "wgmma" or "mma.sync"}
  print(("limits: copy %.0f GB/s, read %.0f GB/s, f32 FMA %.1f TFLOP/s, bf16 tensor cores %.0f TFLOP/s (%s)"):format(
    peaks.copy / 1e9, peaks.read / 1e9, peaks.fma / 1e12, peaks.tensor / 1e12, hopper and "wgmma" or "mma.sync"))
end

local function shuffled_problem(B, H, Hkv, D, len, sq, dtype, cache_dtype)
  local block_size = 16
  local blocks = B * math.ceil(len / block_size)
  local lens = {}
  for b = 1, B do lens[b] = len end
  local block_table, seqused_k = pah.block_table{seqlens = lens, block_size = block_size, num_blocks = blocks, seed = 1}
  local function cache(seed)
    return pah.randn({blocks, block_size, Hkv, D}, {seed = seed, dtype = cache_dtype}):to(dev)
  end
  return {q = pah.randn({B, H, sq, D}, {seed = 2, dtype = dtype}):to(dev), k_blocks = cache(3), v_blocks = cache(4),
    block_table = block_table:to(dev), seqused_k = seqused_k:to(dev), causal = sq > 1 or nil}
end

local rows = {{"work", "time", "rate", "of the limit"}}

local function bench_decode(dtype, cache_dtype, B, len)
  local H, Hkv, D = 32, 8, 128
  local p = shuffled_problem(B, H, Hkv, D, len, 1, dtype, cache_dtype)
  p.out, p.lse = pah.decode(p)
  local seconds, n = time(function() pah.decode(p) end)
  local bytes = p.k_blocks.nbytes + p.v_blocks.nbytes + 2 * p.q.nbytes + p.block_table.nbytes
  local name = ("decode %s/%s B=%d len=%d"):format(dtype, cache_dtype, B, len)
  result {kind = "bench", op = "decode", dtype = dtype, cache_dtype = cache_dtype, B = B, H = H, Hkv = Hkv, D = D,
    len_k = len, block_size = 16, seconds = seconds, samples = n, bytes = bytes,
    of_read = bytes / seconds / peaks.read}
  rows[#rows + 1] = {name, ("%.1f us"):format(seconds * 1e6), ("%.0f GB/s"):format(bytes / seconds / 1e9),
    ("%.1f %% of read"):format(100 * bytes / seconds / peaks.read)}
end

local function bench_prefill(dtype, len)
  local H, Hkv, D = 32, 8, 128
  local p = shuffled_problem(1, H, Hkv, D, len, len, dtype, dtype)
  p.out, p.lse = pah.fwd(p)
  local flops = 4 * D * H * (len * (len + 1) / 2)
  local function row(op, call, work)
    local seconds, n = time(call)
    result {kind = "bench", op = op, dtype = dtype, H = H, Hkv = Hkv, D = D, len_q = len, len_k = len, causal = true,
      seconds = seconds, samples = n, flops = work, of_fma = work / seconds / peaks.fma,
      of_tensor = work / seconds / peaks.tensor}
    rows[#rows + 1] = {("%s causal %s %d"):format(op, dtype, len), ("%.2f ms"):format(seconds * 1e3),
      ("%.2f TFLOP/s"):format(work / seconds / 1e12),
      ("%.1f %% of FMA, %.2f %% of tensor"):format(100 * work / seconds / peaks.fma,
        100 * work / seconds / peaks.tensor)}
  end
  row("fwd", function() pah.fwd(p) end, flops)
  p.dout = pah.randn(p.q.shape, {seed = 7, dtype = dtype}):to(dev)
  p.dq, p.dk_blocks, p.dv_blocks = pah.bwd(p)
  row("bwd", function() pah.bwd(p) end, 2.5 * flops)
end

local function bench()
  measure_peaks()
  dev:set {check = false}
  bench_decode("bf16", "bf16", 32, 8192)
  bench_decode("f16", "f16", 8, 8192)
  bench_decode("bf16", "fp8_e4m3", 32, 8192)
  bench_prefill("bf16", 2048)
  bench_prefill("f32", 2048)
  dev:set {check = true}
end

-- ---- All of it -------------------------------------------------------------------------------------------------

local info = dev:info()
result {kind = "header", pah = pah.version, device = info.model, arch = info.arch, sms = info.sms, bytes = info.bytes,
  cache_bytes = info.cache_bytes, date = os.date "!%Y-%m-%dT%H:%M:%SZ"}
print(("%s: %s, %s, %d multiprocessors, %.0f GiB"):format(dev.name, info.model, info.arch, info.sms,
  info.bytes / 2 ^ 30))
check("out-of-range block ids are refused, nothing is written", refuses)
check("memory accounting returns to where it was", accounts)
if opt.sim then
  check("sim and cuda agree on every naive kernel", sim_against_cuda)
  check("sim and cuda agree on kv_append (bits) and merge", others_bit_for_bit)
end
if opt.bench then check("limits and naive kernels are measured", bench) end
for i, row in ipairs(rows) do
  if #rows > 1 then print(("%-34s %12s %16s %32s"):format(unpack(row))) end
  if i == 1 and #rows > 1 then print(("-"):rep(98)) end
end
file:close()
os.exit(failed == 0 and 0 or 1)
