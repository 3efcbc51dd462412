-- mutants_spec.lua - a correct kernel in C passes pah.judge; with any of some fifty mistakes planted it does not, and
-- the judge names the cause. A kernel that is only imprecise is refused without a cause. Read next: mutant.c.
local mutants = require "spec.judge.mutants"
local verdicts = require "pah.judge.verdict"

-- Decode, each option a few times: small, so that fifty kernels are judged in seconds.
local cases = {
  {}, {H = 6, Hkv = 3}, {H = 8, Hkv = 2, D = 24, block_size = 7}, {len_q = 9, causal = true},
  {len_q = 5, causal = true, H = 6, Hkv = 2}, {len_q = 9, causal = true, len_k = {70, 9, 33}},
  {len_q = 6, window = {3, 1}}, {len_q = 6, window = {5, 0}, len_k = {40, 21, 64}}, {softcap = 1.5},
  {softcap = 1.5, len_q = 6, causal = true}, {softcap = 2, len_q = 4, window = {9, 0}}, {sinks = true},
  {sinks = true, num_splits = 3, len_k = {120, 64, 90}}, {sinks = true, num_splits = 4, len_k = {100, 130, 90}},
  {len_q = 9, tree = "bits"}, {len_q = 9, tree = "random", len_k = {30, 9, 50}}, {len_k = {0, 5, 33}},
  {len_q = 12, len_k = {4, 30, 12}, causal = true}, {num_splits = 3, len_k = {120, 64, 90}},
  {num_splits = 5, len_k = {200, 90, 130}}, {k_descale = "scalar"}, {v_descale = "scalar", H = 6, Hkv = 2},
  {len_k = {100, 37, 64}}, {layout = "HND"}, {ragged = true, len_q = {7, 1, 3}, causal = true},
}

local function judge(mistake, more)
  local spec = {op = "decode", device = "cpu", run = mutants.run(mistake), supports = mutants.supports, cases = cases}
  for name, value in pairs(more or {}) do spec[name] = value end
  return pah.judge(spec)
end

local function names(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

describe("mutants of a kernel in C", function()
  it("the kernel itself passes every case that it supports, decode and prefill", function()
    for _, op in ipairs {"decode", "fwd"} do
      local v = pah.judge{op = op, device = "cpu", run = mutants.run "RIGHT", supports = mutants.supports,
        invariant = op == "decode" and {"repeat", "batch", "blocks", "block_size"} or {"repeat", "batch"}}
      assert.is_true(v.ok, tostring(v))
      assert.is_true(v.passed > 80, tostring(v))
    end
  end)

  for _, mistake in ipairs(names(mutants.causes)) do
    it(mistake .. " is refused and named", function()
      local v = judge(mistake)
      assert.is_true(v.failed > 0, mistake .. " passes")
      local causes = verdicts.causes(v)
      assert.is_truthy(causes[1] and causes[1].cause:find(mutants.causes[mistake]), tostring(v))
    end)
  end

  it("every number of mutant.c is looked at here", function()
    local count = #names(mutants.causes) + #mutants.imprecise + 4 -- RIGHT, and the three below
    assert.equal(mutants.count, count)
  end)

  for _, mistake in ipairs(mutants.imprecise) do
    it(mistake .. " is refused, and no mistake is made up for it", function()
      local few = {}
      for n = 1, #cases, 3 do few[#few + 1] = cases[n] end -- all mistakes are tried for each
      local v = judge(mistake, {cases = few})
      assert.is_true(v.failed > 0)
      for _, f in ipairs(v.failures) do
        assert.is_truthy(f.cause:find "^none of %d+ known mistakes explains it", f.cause)
      end
    end)
  end

  it("a write beside a result, and one into an input, are told as such", function()
    for mistake, words in pairs {WRITES_BESIDE = "memory around it was written", WRITES_INPUT = "q: is an input"} do
      local v = judge(mistake)
      assert.is_true(v.failed > 0)
      assert.is_truthy(v.failures[1].what:find(words, 1, true), v.failures[1].what)
    end
  end)

  it("a result that depends on the others in the batch breaks the invariant, and nothing else", function()
    local one = {len_q = 3}
    assert.is_true(judge("BATCH_ORDER", {cases = {one}}).ok)
    local v = judge("BATCH_ORDER", {cases = {one}, invariant = {"batch", "repeat", "blocks"}})
    assert.equal(1, #v.failures)
    assert.is_truthy(v.failures[1].what:find "^batch: sequence 0 alone")
  end)

  it("a failure says where: the sequence, query, head and first key that is wrong", function()
    local v = judge("TILE_SKIPPED", {cases = {{len_k = {40, 20}}}})
    local where = v.failures[1].where
    assert.equal(16, where.key)
    assert.equal(0, where.slot)
    assert.is_true(where.sequence < 2 and where.query == 0 and where.head < 4 and where.block >= 0)
  end)
end)
