-- hash_spec.lua - t:hash() depends on every bit of a tensor and on nothing else.
describe("t:hash", function()
  it("depends on every bit, and on nothing else", function()
    local x = pah.arange(100000, {dtype = "f32", device = "cpu"})
    local hash = x:hash()
    assert.is_truthy(hash:match "^%x+$" and #hash == 16)
    assert.equal(hash, x:clone():hash())
    for _, i in ipairs {1, 777, 65536, 100000} do
      local y = x:clone()
      y:set(y:get(i) + 0.25, i)
      assert.are_not.equal(hash, y:hash())
    end
    assert.are_not.equal(hash, x:narrow(1, 1, 99999):hash())
    local grid = pah.arange(12, {device = "cpu"}):view(3, 4)
    assert.equal(grid:transpose(1, 2):contiguous():hash(), grid:transpose(1, 2):hash())
    assert.equal(pah.zeros({0}, {device = "cpu"}):hash(), pah.zeros({0, 5}, {device = "cpu"}):hash())
  end)
end)
