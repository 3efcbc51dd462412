-- measure.lua - whether what pah measures on a GPU is right: `pah scripts/studies/gpu/measure.lua`. The clock
-- sampled around a kernel of multiply-adds must explain its speed, the peaks of the tensor cores must stand to each
-- other as the hardware's do, and nothing may be above its limit. Prints a line for each; exit code 1 if one fails.
local gpu_clock = require "pah.measure.gpu_clock"
local peaks = require "pah.measure.peaks"

local opt = pah.options{device = {"the GPU", "cuda"}}
local device = pah.device(opt.device)
local info = device:info()
local failed = false

local function line(what, value, low, high, text)
  local ok = value ~= nil and value >= low and value <= high
  failed = failed or not ok
  print(("%-4s %-52s %10.4g   must be %.4g to %.4g   %s"):format(ok and "ok" or "FAIL", what, value or 0 / 0, low, high,
    text or ""))
end

print(("%s: %s, %s, %d multiprocessors, highest clock %.0f MHz"):format(device.name, info.model, info.arch, info.sms,
  info.clock_hz / 1e6))

-- 128 f32 multiply-adds a cycle and multiprocessor from sm_86 on and on sm_90, 64 on sm_80.
local per_cycle = info.arch == "sm_80" and 128 or 256
local module = device:compile{source = require("pah.host").datadir .. "/kernels/measure/peaks.cu"}
local sums = pah.empty({256}, {device = device})
local blocks, rounds = 8 * info.sms, 20000
local flops = blocks * 256 * rounds * 16 * 2
local r = pah.bench(function()
  module:launch("multiply_add", {grid = {blocks}, block = {256}}, sums, 0.5, rounds)
end, {name = "multiply_add", device = device, flops = flops, limits = false})
print(r)
line("clock is sampled: samples with one", r.clocks and #r.clocks or 0, r.n, r.n)
line("clock of the samples, MHz", r.clock_hz and r.clock_hz / 1e6, 300, 1.02 * info.clock_hz / 1e6)
line("f32 flops a cycle and multiprocessor", r.cycles and flops / r.cycles / info.sms, 0.85 * per_cycle,
  1.02 * per_cycle, "the clock explains the speed")
line("highest clock seen over what the driver says", (gpu_clock.highest(device) or 0) / math.max(1, info.clock_hz), 0.5,
  1.02)
line("samples that were throttled", r.throttled or 0, 0, r.n)

-- A call that is over in microseconds: isolated, and among many.
local short = pah.bench(function() module:launch("multiply_add", {grid = {1}, block = {32}}, sums, 0.5, 1) end,
  {name = "short", device = device, limits = false})
print(short)
line("back to back over isolated time", short.back_to_back and short.back_to_back / short.median, 0.05, 1.5)

local f32, bf16, fp8 = peaks.fma(device, "f32"), peaks.fma(device, "bf16"), peaks.fma(device, "fp8_e4m3")
print(("peaks, TFLOP/s: f32 %.1f, bf16 %.1f, fp8 %.1f"):format(f32 / 1e12, bf16 / 1e12, fp8 / 1e12))
line("bf16 peak over f32", bf16 / f32, 4, 20)
line("fp8 peak over bf16", fp8 / bf16, tonumber(info.arch:match "%d+") >= 89 and 1.6 or 0.95, 2.1)
local linear, shuffled = peaks.read(device), peaks.read(device, nil, 2 ^ 15)
line("reads in order over reads of shuffled blocks", linear / shuffled, 0.8, 1.5,
  ("%.0f and %.0f GB/s"):format(linear / 1e9, shuffled / 1e9))

for _, point in ipairs(require("pah.measure.standard_table").points(device, "quick")) do
  local args = require("pah.measure.problem").arguments(point.op, point.batch, {dtype = point.dtype, device = device,
    block_size = point.block_size, heads = 32, kv_heads = 8, head_dim = 128})
  local ok, result = pcall(pah.bench_attention, point.op, args, {max_time = 3})
  if ok then
    print(result)
    line(point.op .. " " .. point.batch .. " " .. point.dtype .. ", of its limit", result.fraction, 0.001, 1.15)
  else
    failed = true
    print("FAIL", point.op, point.batch, point.dtype, result)
  end
end
os.exit(failed and 1 or 0)
