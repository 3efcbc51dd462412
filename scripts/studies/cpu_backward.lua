-- cpu_backward.lua - the backward pass of the cpu against the machine's limits: `pah
-- scripts/studies/cpu_backward.lua`. Limit, forward and backward are measured interleaved, since the machine's pace
-- changes while they run; what is printed are medians of the ratios of a round, by processor time, beside what they
-- must reach and what they should. The exit code is 1 if one is below its must. PAH_ISA chooses the instruction set.
local processor = dofile((arg[0]:match "^(.*/)" or "") .. "processor_time.lua")
local median = require("pah.measure.stats").median
local time = processor.time

local opt = pah.options{
  rounds = {"measurements of each", 9},
  tokens = {"queries and keys of the sequence", 2048},
  rows = {"which rows: all, f32, bf16, or one of the names that are printed", "all"},
}

local H, Hkv = 32, 8

-- must and goal of the fraction of the peak on 2.5 times the forward's flops, and of the time against the forward's. By
-- the tile unit only the latter counts.
local ROWS = {
  {name = "f32 D=128", dtype = "f32", D = 128, must = 0.75, goal = 0.85, ratio = 2.8, ratio_goal = 2.55},
  {name = "bf16 D=128", dtype = "bf16", D = 128, must = 0.60, goal = 0.72, ratio = 3.2, ratio_goal = 2.9},
  {name = "f32 D=64", dtype = "f32", D = 64, must = 0.70, goal = 0.80},
  {name = "bf16 D=64", dtype = "bf16", D = 64, must = 0.58, goal = 0.70},
}

local function problem(row, n)
  local blocks = math.ceil(n / 16)
  local opts = function(seed) return {device = "cpu", seed = seed, dtype = row.dtype} end
  local p = {
    q = pah.randn({1, H, n, row.D}, opts(2)), causal = true,
    k_blocks = pah.randn({blocks, 16, Hkv, row.D}, opts(3)), v_blocks = pah.randn({blocks, 16, Hkv, row.D}, opts(4)),
  }
  p.block_table, p.seqused_k = pah.block_table{seqlens = {n}, block_size = 16, num_blocks = blocks, seed = 1,
    device = "cpu"}
  p.out, p.lse = pah.fwd(p)
  local gradient = {dout = pah.randn(p.q.shape, opts(5))}
  for key, value in pairs(p) do gradient[key] = value end
  gradient.dq, gradient.dk_blocks, gradient.dv_blocks = pah.bwd(gradient)
  return p, gradient
end

local failed = false

local function line(what, value, sign, must, goal, text)
  local verdict = "-"
  if must then
    local function reaches(x)
      if sign == ">=" then return value >= x else return value <= x end
    end
    verdict = reaches(goal) and "goal" or reaches(must) and "must" or "FAIL"
    failed = failed or verdict == "FAIL"
  end
  local wanted = must and ("must %s %.2f, goal %.2f"):format(sign, must, goal) or "nothing is asked"
  print(("%-34s %6.3f   %-26s %-4s  %s"):format(what, value, wanted, verdict, text))
end

local function measure(row)
  local p, gradient = problem(row, opt.tokens)
  local flops = 4 * (opt.tokens * (opt.tokens + 1) / 2) * H * row.D
  local fractions, ratios, rates, peaks = {}, {}, {}, {}
  for i = 1, opt.rounds do
    local peak = processor.peak(row.dtype, 0.1)
    local forward = time(function() pah.fwd(p) end)
    local backward = time(function() pah.bwd(gradient) end)
    rates[i], peaks[i] = 2.5 * flops / backward / 1e9, peak / 1e9
    fractions[i], ratios[i] = 2.5 * flops / backward / peak, backward / forward
  end
  local tiles = row.dtype == "bf16" and processor.by_tiles()
  line(row.name .. ", of the peak", median(fractions), ">=", not tiles and row.must, row.goal,
    ("%.1f of %.1f GFLOP/s per processor"):format(median(rates), median(peaks)))
  line(row.name .. ", time / forward's", median(ratios), "<=", row.ratio, row.ratio_goal, "")
end

local info = pah.device("cpu"):info()
print(("cpu: %s, %s, %d threads; causal, %d tokens, H=%d Hkv=%d, block_size 16 shuffled"):format(info.model, info.isa,
  pah.threads(), opt.tokens, H, Hkv))
for _, row in ipairs(ROWS) do
  if opt.rows == "all" or opt.rows == row.dtype or opt.rows == row.name then measure(row) end
end
os.exit(failed and 1 or 0)
