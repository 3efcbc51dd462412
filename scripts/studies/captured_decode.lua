-- captured_decode.lua - decode over captured block tables (FlashInfer-Trace) as a fraction of the read bandwidth:
--   pah scripts/studies/captured_decode.lua --definition D.json --workloads W.jsonl --root FOLDER
-- Every workload is checked against the oracle, then timed interleaved with a read of four times the last-level cache,
-- which is the limit and leaves nothing of the call's data in the caches. Exit code 1 if a fraction falls short.
local C = require("pah.ffi").C
local timer = require "pah.measure.timer"
local median = require("pah.measure.stats").median

local opt = pah.options{
  definition = {"FlashInfer-Trace definition (.json)"},
  workloads = {"workloads (.jsonl) of that definition"},
  root = {"folder that the workloads' paths start from", "."},
  rounds = {"measurements of each", 7},
  must = {"the least fraction of the read bandwidth", 0.55},
}

if not opt.definition or not opt.workloads then error("--definition and --workloads are needed", 0) end

local definition = pah.trace.definition(opt.definition)
local cpu = pah.device("cpu"):info()
local read_bytes = math.min(2 ^ 30, math.max(2 ^ 28, 4 * cpu.cache_bytes))

local function arguments(workload)
  local p = pah.trace.load{workload = workload, definition = definition, root = opt.root, device = "cpu"}
  local pool = {p.num_blocks, p.block_size, p.num_kv_heads, p.head_dim}
  local function values(shape, seed) return pah.randn(shape, {seed = seed, dtype = p.dtype, device = "cpu"}) end
  local args = {
    q = values({#p.seqused_k, p.num_heads, p.head_dim}, 1), k_blocks = values(pool, 2), v_blocks = values(pool, 3),
    block_table = p.block_table, seqused_k = p.seqused_k, softmax_scale = p.softmax_scale,
  }
  args.out, args.lse = pah.decode(args)
  local inputs = {}
  for name, value in pairs(args) do inputs[name] = name ~= "out" and name ~= "lse" and value or nil end
  local ok, report = pah.allclose(args.out:to "f64", pah.reference.decode(inputs), {rtol = 1e-2, atol = 1e-2})
  if not ok then error("decode is wrong: " .. tostring(report)) end
  return args
end

print(("cpu: %s, %s, %d threads"):format(cpu.model, cpu.isa, pah.threads()))
local failed, medians = false, {}
for n, workload in ipairs(pah.trace.workloads(opt.workloads)) do
  local args = arguments(workload)
  local bytes, lengths = pah.work("decode", args).bytes, args.seqused_k:totable()
  local fractions, seconds, peaks = {}, {}, {}
  for i = 1, opt.rounds do
    peaks[i] = read_bytes / C.pah_reader_pass(timer.reader(pah.device "cpu", read_bytes), 1)
    local start = pah.clock()
    pah.decode(args)
    seconds[i] = pah.clock() - start
    fractions[i] = bytes / seconds[i] / peaks[i]
  end
  table.sort(lengths)
  medians[n] = median(fractions)
  failed = failed or medians[n] < opt.must
  print(("%2d: %d sequences of %d to %d, %4.0f MB: %6.2f ms, %.1f of %.1f GB/s: %.2f, must be >= %.2f %s"):format(n,
    #lengths, lengths[1], lengths[#lengths], bytes / 1e6, median(seconds) * 1e3, bytes / median(seconds) / 1e9,
    median(peaks) / 1e9, medians[n], opt.must, medians[n] >= opt.must and "ok" or "FAIL"))
end
if #medians > 0 then print(("median of %d workloads: %.2f"):format(#medians, median(medians))) end
os.exit(failed and 1 or 0)
