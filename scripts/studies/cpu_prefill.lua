-- cpu_prefill.lua - how far prefill on the cpu is from the peak of multiply-adds: `pah
-- scripts/studies/cpu_prefill.lua`. Peak and kernel are measured interleaved, by processor time, because the machine's
-- pace changes while they run. The medians of the ratios stand beside what they must reach and the goal. PAH_ISA
-- chooses the instruction set, PAH_BF16 the way of multiplying bf16 (doc/design/cpu.md). The exit code is 1 if a
-- measured row misses what it must reach.
local processor = dofile((arg[0]:match "^(.*/)" or "") .. "processor_time.lua")
local median = require("pah.measure.stats").median
local time = processor.time

local opt = pah.options{
  rows = {"Lua pattern of the rows to measure", "."},
  rounds = {"measurements of each", 5},
  threads = {"threads of all rows but the one that compares two with one", 1},
}

local function peak(dtype) return processor.peak(dtype, 0.05) end

-- Sequences of {len_q, len_k} pairs, equal or ragged, over a shuffled table of blocks of 16.
local function problem(o)
  local H, Hkv, D, dtype = o.H or 32, o.Hkv or 8, o.D or 128, o.dtype or "f32"
  local seqlens, starts, blocks = {}, {0}, 0
  for b, s in ipairs(o.sequences) do
    seqlens[b], starts[b + 1], blocks = s[2], starts[b] + s[1], blocks + math.ceil(s[2] / 16)
  end
  local block_table, seqused_k = pah.block_table{seqlens = seqlens, block_size = 16, num_blocks = blocks, seed = 1,
    device = "cpu"}
  local function random(shape, seed)
    return pah.randn(shape, {device = "cpu", seed = seed}):to(dtype)
  end
  return {
    q = random({starts[#starts], H, D}, 2), k_blocks = random({blocks, 16, Hkv, D}, 3),
    v_blocks = random({blocks, 16, Hkv, D}, 4), block_table = block_table, seqused_k = seqused_k,
    cu_seqlens_q = pah.tensor(starts, {dtype = "i32", device = "cpu"}), causal = true,
  }
end

-- A call of the problem into outputs that are there already, and its flops.
local function prepared(o)
  local p = problem(o)
  local op = o.dtype and o.dtype:match "^fp8" and "fwd_fp8" or "fwd"
  if op == "fwd_fp8" then p.out_dtype = "bf16" end
  local flops = pah.work(op, p).flops
  p.out, p.lse = pah[op](p)
  return function() pah[op](p) end, flops
end

local avx2 = (os.getenv "PAH_ISA" or "") == "avx2"
local shapes = {{"2048", {{2048, 2048}}}, {"4096", {{4096, 4096}}}, {"512 on 4096", {{512, 4096}}}}
local rows = {}
local function row(what, must, goal, measure) rows[#rows + 1] = {what, must, goal, measure} end

-- The kernel's flops per processor second over the peak's.
local function fraction(o)
  return function()
    local call, flops = prepared(o)
    local ratios, rates = {}, {}
    for i = 1, opt.rounds do
      local limit = peak(o.dtype or "f32")
      local cpu = time(call)
      ratios[i], rates[i] = flops / cpu / limit, flops / cpu / 1e9
    end
    return median(ratios), ("%.1f GFLOP/s"):format(median(rates))
  end
end

-- The time of one over the time of the other, interleaved.
local function against(o, other)
  return function()
    local call, base = prepared(o), prepared(other)
    local ratios = {}
    for i = 1, opt.rounds do
      local slow = time(base)
      ratios[i] = slow / time(call)
    end
    return median(ratios), "time of the other / time of this"
  end
end

for _, shape in ipairs(shapes) do
  row("f32 " .. shape[1], avx2 and 0.75 or 0.80, avx2 and 0.88 or 0.90, fraction{sequences = shape[2]})
end
-- By tiles what counts is the time of f32 over that of bf16.
local tiles = processor.by_tiles()
for _, shape in ipairs(shapes) do
  row("bf16 " .. shape[1], not tiles and 0.73, 0.85, fraction{sequences = shape[2], dtype = "bf16"})
  if tiles then
    row("bf16 " .. shape[1] .. " against f32", 3, 5, against({sequences = shape[2], dtype = "bf16"},
      {sequences = shape[2]}))
  end
end
local plain = {{2048, 2048}}
row("f16 2048 against f32", 0.90, 0.97, against({sequences = plain, dtype = "f16"}, {sequences = plain}))
for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
  row(dtype .. " 2048 against bf16", 0.90, 0.97, against({sequences = plain, dtype = dtype},
    {sequences = plain, dtype = "bf16"}))
end
row("f32 2048 D=64", 0.70, 0.80, fraction{sequences = plain, D = 64})
row("bf16 2048 D=64", not tiles and 0.58, 0.70, fraction{sequences = plain, D = 64, dtype = "bf16"})
row("two threads against one, f32 2048", 1.9, 1.97, function()
  local call = prepared{sequences = plain}
  local ratios = {}
  for i = 1, opt.rounds do
    local walls = {}
    for threads = 1, 2 do
      pah.threads(threads)
      walls[threads] = select(2, time(call))
    end
    ratios[i] = walls[1] / walls[2]
  end
  pah.threads(opt.threads)
  return median(ratios), "wall time of one / of two"
end)

-- What else should not be more than 1.5x off: no row of the table, so nothing must.
for _, D in ipairs {8, 16, 32, 96, 192, 256} do
  row(("also f32 2048 D=%d"):format(D), nil, nil, fraction{sequences = plain, D = D})
end
row("also f32 2048 H=8, no groups", nil, nil, fraction{sequences = plain, H = 8})
row("also f32 2048 H=40, groups of 5", nil, nil, fraction{sequences = plain, H = 40})
row("also f32 16 x 128", nil, nil, function()
  local all = {}
  for b = 1, 16 do all[b] = {128, 128} end
  return fraction{sequences = all}()
end)
row("also f32 128 on 4096", nil, nil, fraction{sequences = {{128, 4096}}})
row("also f32 16 on 4096", nil, nil, fraction{sequences = {{16, 4096}}})
local chunks = {{512, 3000}, {1, 2000}, {256, 256}, {1, 900}, {700, 1500}}
row("also f32 chunked batch", nil, nil, fraction{sequences = chunks})

pah.threads(opt.threads)
local info, failed = pah.device("cpu"):info(), false
print(("cpu: %s, %s, threads: %d; f32 peak %.1f GFLOP/s, bf16 %.1f"):format(info.model, info.isa, opt.threads,
  peak("f32") / 1e9, peak("bf16") / 1e9))
print(("%-36s %8s  %5s  %5s"):format("prefill, causal, fraction of the peak", "measured", "must", "goal"))
for _, r in ipairs(rows) do
  local what, must, goal, measure = r[1], r[2], r[3], r[4]
  if what:match(opt.rows) then
    local value, text = measure()
    collectgarbage()
    local verdict = not must and "" or value >= goal and "goal" or value >= must and "ok" or "FAIL"
    failed = failed or verdict == "FAIL"
    print(("%-36s %8.3f  %5s  %5s  %-4s  %s"):format(what, value, must and ("%.2f"):format(must) or "",
      goal and ("%.2f"):format(goal) or "", verdict, text))
    io.stdout:flush()
  end
end
os.exit(failed and 1 or 0)
