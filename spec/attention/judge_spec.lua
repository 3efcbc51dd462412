-- judge_spec.lua - the judge itself: results that are right up to rounding pass, and results of a deliberately wrong
-- mask, scale, length, table or head map do not, for every operation and dtype.
local cases = require "pah.judge.cases"
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"

local cpu = pah.device "cpu"

-- What a perfect kernel would write: the oracle's results rounded to the types of the problem's results.
local function rounded(problem, results)
  for name, tensor in pairs(problem.results) do tensor:copy(results[name]) end
  return problem.results
end

local function repeated_block(table)
  local wrong = table:clone()
  wrong:set(table:get(1, 2), 1, 1)
  return wrong
end

-- One token less in every sequence.
local function shortened(seqused)
  local list = seqused:totable()
  for b, n in ipairs(list) do list[b] = n - 1 end
  return pah.tensor(list, {dtype = "i32", device = cpu})
end

-- t with its elements moved by one along a dimension.
local function rolled(t, dim)
  local n, wrong = t:size(dim), t:clone()
  wrong:narrow(dim, 1, n - 1):copy(t:narrow(dim, 2, n - 1))
  wrong:narrow(dim, n, 1):copy(t:narrow(dim, 1, 1))
  return wrong
end

local function mapped(t, f)
  local list = t:totable()
  for i, x in ipairs(list) do list[i] = f(x) end
  return pah.tensor(list, {device = cpu})
end

local function plus(t, y) return mapped(t, function(x) return x + y end) end

local function scaled(t) return mapped(t, function(x) return 0.35 * x end) end

local function chain_like(t) return pah.mask.chain(t:size(2), {batch = t:size(1), device = cpu}) end

-- The case, and the argument that is wrong: a value or a function of the right one.
local MUTATIONS = {
  {"no causal mask", {causal = true}, "causal", false},
  {"a causal mask that was not asked for", {}, "causal", true},
  {"top-left for bottom-right", {causal = true}, "causal", "top-left"},
  {"one key too many at the left", {window = {3, 1}}, "window", {4, 1}},
  {"one key too few at the right", {window = {3, 1}}, "window", {3, 0}},
  {"no window", {window = {6, -1}, causal = true}, "window", {-1, -1}},
  {"no softcap", {softcap = 2}, "softcap", 0},
  {"another softcap", {softcap = 2}, "softcap", 2.3},
  {"no scale", {}, "softmax_scale", 1},
  {"a scale that is 10 % off", {}, "softmax_scale", 1.1 / 8},
  {"one token too few", {}, "seqused_k", shortened},
  {"a block read twice", {}, "block_table", repeated_block},
  {"no sink", {sinks = true}, "sinks", function(t) return t:clone():fill(-math.huge) end},
  {"a sink that counts twice", {sinks = true}, "sinks", function(t) return plus(t, math.log(2)) end},
  {"a sink that is scaled", {sinks = true, softmax_scale = 0.35}, "sinks", scaled},
  {"sinks of other heads", {sinks = true}, "sinks", function(t) return rolled(t, 1) end},
  {"values of other columns", {D = 40, Dv = 24}, "v_blocks", function(t) return rolled(t, 4) end},
}
-- Of what takes trees.
local TREE_MUTATIONS = {
  {"no tree", {tree = "random"}, "tree_mask", function(t) return t:clone():fill(-1) end},
  {"a chain for a tree", {tree = "random"}, "tree_mask", chain_like},
  {"the tree of another sequence", {tree = "bits"}, "tree_mask", function(t) return rolled(t, 1) end},
  {"the tree of the query before", {tree = "random"}, "tree_mask", function(t) return rolled(t, 2) end},
}
local FP8_MUTATIONS = {
  {"no k_descale", {k_descale = "heads"}, "k_descale", 1},
  {"no v_descale", {v_descale = "scalar"}, "v_descale", 1},
  {"v_descale the wrong way round", {v_descale = 2}, "v_descale", 0.5},
}
local DTYPES = {
  fwd = {{"f32"}, {"f16"}, {"bf16"}}, bwd = {{"f32"}, {"f16"}, {"bf16"}},
  decode = {{"f32"}, {"bf16"}, {"bf16", "fp8_e4m3"}, {"f16", "fp8_e5m2"}},
  fwd_fp8 = {{"fp8_e4m3"}, {"fp8_e5m2"}, {"bf16", "fp8_e4m3"}},
}

local function check(op, dtypes, mutation)
  local what, change, argument, wrong = unpack(mutation, 1, 4)
  local case = cases.plain(op, cases.merged({dtype = dtypes[1], cache_dtype = dtypes[2], len_q = 9}, change))
  local problem = problems.build(case, cpu)
  local want, pt = problem.reference(), judge.low_precision(problem)
  assert.same({}, judge.judge(problem, rounded(problem, want), want, pt))
  if type(wrong) == "function" then wrong = wrong(problem.args[argument]) end
  local mutant = problem.reference({[argument] = wrong})
  assert.is_true(#judge.judge(problem, rounded(problem, mutant), want, pt) > 0, what .. " passes")
end

describe("the judge", function()
  for op, list in pairs(DTYPES) do
    for _, dtypes in ipairs(list) do
      it(("accepts the right %s of %s and refuses every wrong one"):format(op, table.concat(dtypes, "/")), function()
        for _, mutation in ipairs(MUTATIONS) do
          check(op, dtypes, mutation)
        end
        for _, mutation in ipairs((op == "decode" or op == "fwd") and TREE_MUTATIONS or {}) do
          check(op, dtypes, mutation)
        end
        if op == "fwd_fp8" or op == "decode" then
          for _, mutation in ipairs(FP8_MUTATIONS) do check(op, dtypes, mutation) end
        end
      end)
    end
  end

  local function plain_result(change)
    local problem = problems.build(cases.plain("fwd", change), cpu)
    local want = problem.reference()
    return problem, rounded(problem, want), want
  end

  it("refuses heads that are mapped round robin instead of in groups", function()
    local problem, _, want = plain_result {H = 4, Hkv = 2}
    local mutant = problem.reference()
    for position, head in ipairs {1, 3, 2, 4} do
      mutant.out:select(2, position):copy(want.out:select(2, head))
      mutant.lse:select(2, position):copy(want.lse:select(2, head))
    end
    assert.is_true(#judge.judge(problem, rounded(problem, mutant), want) > 0)
  end)

  it("refuses gradients of sinks with the sign turned, or of the keys alone", function()
    for _, dtype in ipairs {"f32", "f16", "bf16"} do
      local problem = problems.build(cases.plain("bwd", {sinks = true, dtype = dtype}), cpu)
      local want = problem.reference()
      assert.same({}, judge.judge(problem, rounded(problem, want), want))
      for _, factor in ipairs {-1, 0, 0.9} do
        problem.results.dsinks:copy(mapped(want.dsinks:to "f32", function(x) return factor * x end))
        assert.equal(1, #judge.judge(problem, problem.results, want))
      end
    end
  end)

  it("refuses NaN, a finite lse for an empty row, and elements left unwritten", function()
    local problem, results, want = plain_result {len_k = {0, 5}}
    assert.same({}, judge.judge(problem, results, want))
    results.lse:set(-1e30, 1, 1, 1)
    assert.is_true(#judge.judge(problem, results, want) == 1)
    results.lse:set(-math.huge, 1, 1, 1)
    results.out:set(0 / 0, 2, 1, 1, 1)
    assert.is_true(#judge.judge(problem, results, want) == 1)
  end)

  it("refuses a write beside the results", function()
    local problem, results, want = plain_result {len_k = {3}}
    local out = results.out
    assert.same({}, judge.judge(problem, results, want))
    out:data()[out:numel()] = 0
    assert.same({"out: memory around it was written"}, judge.judge(problem, results, want))
  end)
end)
