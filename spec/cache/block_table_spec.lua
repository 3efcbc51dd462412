-- block_table_spec.lua - pah.block_table: every option, blocks that are distinct and inside the pool, unused
-- entries -1, the same table for the same seed, and the messages of wrong options.
local function refused(part, options) require "spec.support.refused"(part, pah.block_table, options) end

describe("block_table", function()
  it("gives every sequence blocks of its own inside the pool", function()
    for seed = 1, 20 do
      local lengths = {seed, 0, 17, 4 * seed, 1}
      local bt, used = pah.block_table{seqlens = lengths, block_size = 4, num_blocks = 64, seed = seed}
      assert.same({"i32", "i32"}, {bt.dtype, used.dtype})
      assert.same(lengths, used:totable())
      assert.same({5, math.max(seed, 5)}, bt.shape)
      local seen = {}
      for b, row in ipairs(bt:totable()) do
        for j, id in ipairs(row) do
          if j <= math.ceil(lengths[b] / 4) then
            assert.is_true(id >= 0 and id < 64 and not seen[id])
            seen[id] = true
          else
            assert.equal(-1, id)
          end
        end
      end
    end
  end)

  it("takes them in order, or shuffled by the seed", function()
    local linear = pah.block_table{seqlens = {5, 3}, block_size = 2, order = "linear"}
    assert.same({{0, 1, 2}, {3, 4, -1}}, linear:totable())
    local options = {seqlens = {40}, block_size = 1, seed = 3}
    local a = pah.block_table(options):totable()
    assert.same(a, pah.block_table(options):totable())
    options.seed = 4
    assert.are_not.same(a, pah.block_table(options):totable())
    table.sort(a[1])
    assert.same(pah.arange(40):totable(), a[1])
  end)

  it("takes lengths as a tensor, none at all, and a wider table", function()
    local lengths = pah.tensor({5, 3}, {dtype = "i32"})
    assert.same({2, 3}, pah.block_table({seqlens = lengths, block_size = 2}).shape)
    local bt, used = pah.block_table{seqlens = {}, block_size = 2}
    assert.same({{0, 0}, {0}}, {bt.shape, used.shape})
    local wide = pah.block_table{seqlens = {2}, block_size = 2, max_blocks_per_seq = 3, order = "linear"}
    assert.same({{0, -1, -1}}, wide:totable())
  end)

  it("refuses wrong options", function()
    refused("block_table: seqlens is a nil, must be a table of lengths", {block_size = 2})
    refused("block_table: block_size is nil, must be a whole number >= 1", {seqlens = {1}})
    refused("block_table: seqlens[2] is -1, must be a whole number >= 0", {seqlens = {1, -1}, block_size = 2})
    refused("block_table: num_blocks is 2, these lengths need 3", {seqlens = {5}, block_size = 2, num_blocks = 2})
    refused("max_blocks_per_seq is 1, seqlens[1] = 5 needs 3", {seqlens = {5}, block_size = 2, max_blocks_per_seq = 1})
    refused('order is random, must be "shuffled" or "linear"', {seqlens = {5}, block_size = 2, order = "random"})
    refused('unknown option "seqlen", did you mean "seqlens"?', {seqlen = {5}, block_size = 2})
    refused("block_table: max_blocks_per_seq is x", {seqlens = {5}, block_size = 2, max_blocks_per_seq = "x"})
  end)
end)
