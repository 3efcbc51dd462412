-- peaks.lua - how far the cpu kernels are from the machine's limits: `pah scripts/studies/peaks.lua`. Limit and
-- kernel are measured interleaved, because the machine's pace changes while they run; the medians of the ratios are
-- printed beside what they must reach, and the exit code is 1 if one does not.
local C = require("pah.ffi").C
local timer = require "pah.measure.timer"
local processor = dofile((arg[0]:match "^(.*/)" or "") .. "processor_time.lua")
local median = require("pah.measure.stats").median
local time = processor.time

local opt = pah.options{
  rounds = {"measurements of each", 5},
  tokens = {"tokens of the prefill and the backward", 2048},
  bytes = {"bytes of K and V together in decode; 0: four times the last-level cache, 1 GiB at most", 0},
}

local H, Hkv, D = 32, 8, 128

local function prefill_problem(n)
  local blocks = math.ceil(n / 16)
  local block_table, seqused_k = pah.block_table{
    seqlens = {n}, block_size = 16, num_blocks = blocks, seed = 1, device = "cpu"}
  return {
    q = pah.randn({1, H, n, D}, {device = "cpu", seed = 2}),
    k_blocks = pah.randn({blocks, 16, Hkv, D}, {device = "cpu", seed = 3}),
    v_blocks = pah.randn({blocks, 16, Hkv, D}, {device = "cpu", seed = 4}),
    block_table = block_table, seqused_k = seqused_k, causal = true,
  }
end

-- By processor time: forward as a fraction of the FMA peak, its GFLOP/s, the peak's, backward over forward, and
-- backward as a fraction of the peak (five products for the forward's two).
local function prefill_and_backward()
  local n = opt.tokens
  local p = prefill_problem(n)
  local flops = 4 * (n * (n + 1) / 2) * H * D
  p.out, p.lse = pah.fwd(p)
  local gradient = {dout = pah.randn(p.q.shape, {device = "cpu", seed = 5})}
  for key, value in pairs(p) do gradient[key] = value end
  gradient.dq, gradient.dk_blocks, gradient.dv_blocks = pah.bwd(gradient)
  local fraction, rate, ratio, peaks, backwards = {}, {}, {}, {}, {}
  for i = 1, opt.rounds do
    local peak = processor.peak("f32", 0.3)
    local cpu = time(function() pah.fwd(p) end)
    local backward = time(function() pah.bwd(gradient) end)
    peaks[i], fraction[i], rate[i] = peak / 1e9, flops / cpu / peak, flops / cpu / 1e9
    ratio[i], backwards[i] = backward / cpu, 2.5 * flops / backward / peak
  end
  return median(fraction), median(rate), median(peaks), median(ratio), median(backwards)
end

-- Fraction of the linear read bandwidth, and GB/s of K and V, by wall time.
local function decode()
  local cache = pah.device("cpu"):info().cache_bytes
  local bytes = opt.bytes > 0 and opt.bytes or math.min(2 ^ 30, math.max(2 ^ 28, 4 * cache))
  local B, token = 16, 2 * Hkv * D * 2
  local len = math.max(16, math.floor(bytes / token / B / 16) * 16)
  local seqlens = {}
  for b = 1, B do seqlens[b] = len end
  local blocks = B * len / 16
  local p = {
    q = pah.randn({B, H, 1, D}, {device = "cpu", seed = 1, dtype = "bf16"}),
    k_blocks = pah.randn({blocks, 16, Hkv, D}, {device = "cpu", seed = 2, dtype = "bf16"}),
    v_blocks = pah.randn({blocks, 16, Hkv, D}, {device = "cpu", seed = 3, dtype = "bf16"}),
  }
  p.block_table, p.seqused_k = pah.block_table{seqlens = seqlens, block_size = 16, num_blocks = blocks, seed = 4,
    device = "cpu"}
  p.out, p.lse = pah.decode(p)
  local total, fraction, rate, peaks = B * len * token, {}, {}, {}
  for i = 1, opt.rounds do
    local limit = total / C.pah_reader_pass(timer.reader(pah.device "cpu", total), 1)
    local _, wall = time(function() pah.decode(p) end)
    peaks[i], fraction[i], rate[i] = limit / 1e9, total / wall / limit, total / wall / 1e9
  end
  return median(fraction), median(rate), median(peaks), total
end

local failed = false
local function line(what, value, sign, must, text)
  local ok
  if sign == ">=" then ok = value >= must else ok = value <= must end
  failed = failed or not ok
  print(("%-44s %6.2f   must be %s %.2f   %-4s %s"):format(what, value, sign, must, ok and "ok" or "FAIL", text))
end

print(("cpu: %s, %s, %d threads"):format(pah.device("cpu"):info().model, pah.device("cpu"):info().isa, pah.threads()))
local fraction, rate, peak, ratio, of_peak = prefill_and_backward()
line(("causal f32 prefill of %d / FMA peak"):format(opt.tokens), fraction, ">=", 0.33,
  ("%.1f of %.1f GFLOP/s per processor"):format(rate, peak))
line("backward / forward time", ratio, "<=", 4, ("the same problem, at %.2f of the FMA peak"):format(of_peak))
local part, speed, limit, total = decode()
line("bf16 decode, shuffled 16 / linear read", part, ">=", 0.33,
  ("%.1f of %.1f GB/s, %.0f MiB of K and V"):format(speed, limit, total / 2 ^ 20))
os.exit(failed and 1 or 0)
