-- mask_spec.lua - pah.mask against masks written out by hand, and the oracle under a tree against one query at a time
-- whose keys are only those that the tree shows it.
local cpu = {device = "cpu"}

local function refused(message, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(message, 1, true), err)
end

describe("pah.mask", function()
  it("makes a tree of parents", function()
    --   1 - 2 - 4      3 and 2 are children of 1, 5 begins another branch
    --     \ 3      5
    local t = pah.mask.from_parents({0, 1, 1, 2, 0}, cpu)
    assert.same({{{1}, {3}, {5}, {11}, {16}}}, t:totable())
    assert.equal("i32", t.dtype)
  end)

  it("has words for every 32 queries", function()
    local t = pah.mask.chain(40, {device = "cpu", batch = 2})
    assert.same({2, 40, 2}, t.shape)
    assert.same({1, 0}, t[{1, 1}]:totable())
    assert.same({-1, 0}, t[{2, 32}]:totable())
    assert.same({-1, 255}, t[{2, 40}]:totable())
    local same = pah.mask.from_bool(pah.tensor({{1, 0}, {1, 1}}, cpu), cpu)
    assert.same(pah.mask.chain(2, cpu):totable(), same:totable())
  end)

  it("takes a tree for each sequence, ragged ones too", function()
    assert.same({{{1}, {3}}, {{1}, {2}}}, pah.mask.from_parents({{0, 1}, {0, 0}}, cpu):totable())
    local t = pah.mask.from_parents({{0, 1, 2}, {}, {0}}, {ragged = true, device = "cpu"})
    assert.same({{1}, {3}, {7}, {1}}, t:totable())
    refused("mask.from_parents: tree 2 has 1 queries, must have 2 as the first, or ragged = true",
      pah.mask.from_parents, {{0, 0}, {0}})
  end)

  it("refuses what is no tree", function()
    refused("mask.from_parents: parent of query 2 is 2, must be 0 (the committed text) or an earlier query",
      pah.mask.from_parents, {0, 2})
    refused("mask.from_parents: parent of query 1 is x", pah.mask.from_parents, {"x"})
    refused("mask.from_parents: is a number", pah.mask.from_parents, 3)
    refused("mask.from_bool: shape is [2, 3], must be [Sq, Sq] or [B, Sq, Sq]", pah.mask.from_bool, pah.ones({2, 3}))
    refused("mask.chain: is 1.5", pah.mask.chain, 1.5)
    refused('mask.chain: unknown option "bach", did you mean "batch"?', pah.mask.chain, 2, {bach = 1})
    refused("mask.from_parents: batch is given, but there are 2 trees", pah.mask.from_parents, {{0}, {0}}, {batch = 2})
  end)
end)

describe("the oracle under a tree", function()
  it("sees the committed text and the ancestors of each query, nothing else", function()
    local parents, past, D = {0, 1, 1, 2, 0, 5}, 11, 16
    local function random(shape, seed) return pah.randn(shape, {seed = seed, device = "cpu"}) end
    local len = past + #parents
    local args = {
      q = random({1, 2, #parents, D}, 1), k_blocks = random({len, 1, 1, D}, 2), v_blocks = random({len, 1, 1, 24}, 3),
      block_table = pah.arange(len, {dtype = "i32", device = "cpu"}):view(1, len),
      tree_mask = pah.mask.from_parents(parents, cpu), sinks = random({2}, 4),
    }
    local out, lse = pah.reference.decode(args)
    for i = 1, #parents do
      local row, at = {}, i
      while at > 0 do table.insert(row, 1, past + at - 1) at = parents[at] end
      for j = past - 1, 0, -1 do table.insert(row, 1, j) end
      local one, one_lse = pah.reference.decode{
        q = args.q:narrow(3, i, 1), k_blocks = args.k_blocks, v_blocks = args.v_blocks, sinks = args.sinks,
        block_table = pah.tensor({row}, {dtype = "i32", device = "cpu"}),
      }
      assert.is_true(pah.diff(out:narrow(3, i, 1), one).max_abs < 1e-12)
      assert.is_true(pah.diff(lse:narrow(3, i, 1), one_lse).max_abs < 1e-12)
    end
  end)
end)
