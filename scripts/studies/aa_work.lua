-- aa_work.lua - what scripts/studies/aa_test.lua compares with itself: `count` calls of a kernel as one.
-- Interleaved (pah compare --interleave) it returns the function; with --store it adds a run of three points to a file.
local opt = pah.options{
  count = {"calls that are measured as one", 20}, kind = {"what is called: decode, prefill, copy", "decode"},
  store = {"results file that gets a run", ""}, rounds = {"rounds of that run", 3},
  time = {"seconds of samples of a point and round", 0.15},
}

local function problem(lengths, queries, dtype)
  local B, heads = #lengths, queries > 1 and 4 or 8
  local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = 16, seed = 1, device = "cpu"}
  local blocks = 0
  for _, n in ipairs(lengths) do blocks = blocks + math.ceil(n / 16) end
  local function random(shape, seed) return pah.randn(shape, {seed = seed, dtype = dtype, device = "cpu"}) end
  return {q = random({B, heads, queries, 64}, 1), k_blocks = random({blocks, 16, 2, 64}, 2),
    v_blocks = random({blocks, 16, 2, 64}, 3), block_table = block_table, seqused_k = seqused_k, causal = true}
end

local kinds = {
  decode = function()
    local args = problem({700, 600, 500, 900}, 1, "bf16")
    return function() pah.decode(args) end
  end,
  prefill = function()
    local args = problem({96}, 96, "f32")
    return function() pah.fwd(args) end
  end,
  copy = function()
    local from = pah.randn({2 ^ 16}, {seed = 1, device = "cpu"})
    local to = from:clone()
    return function() to:copy(from) end
  end,
}

local function work(kind)
  local call = kinds[kind]()
  return function()
    for _ = 1, opt.count do call() end
  end
end

if opt.store == "" then return work(opt.kind) end
pah.sweep{name = "aa", axes = {kind = {"copy", "decode", "prefill"}}, rounds = opt.rounds, store = opt.store,
  fresh = true, quiet = true, device = "cpu",
  run = function(p)
    return pah.bench(work(p.kind), {device = "cpu", min_time = opt.time, max_time = 2 * opt.time, precision = 1,
      warmup = 0.5, limits = false})
  end}
