-- index_spec.lua - t[...], #t, get and set: indices, ranges and negative ones against spec/support/model.lua,
-- assignment through them, exact int64, and every wrong index with its message at the script's line.
local model = require "spec.support.model"

local refused = require("spec.support.refused").here

-- A random slice of a model: the list of indices for pah, and the model's view.
local function random_slice(m, r)
  local spec, shape, strides, offset = {}, {}, {}, m.offset
  local named = r(1, #m.shape)
  for d = 1, #m.shape do
    local n, kind = m.shape[d], r(1, 4)
    local function signed(i) return r(0, 1) == 0 and i or i - n - 1 end
    if d > named or kind == 1 then
      if d <= named then spec[d] = {} end
      shape[#shape + 1], strides[#strides + 1] = n, m.strides[d]
    else
      local first = r(1, n)
      local last = kind == 4 and r(first, n) or first
      offset = offset + (first - 1) * m.strides[d]
      if kind == 2 then
        spec[d] = signed(first)
      else
        spec[d] = kind == 3 and {signed(first)} or {signed(first), signed(last)}
        shape[#shape + 1], strides[#strides + 1] = last - first + 1, m.strides[d]
      end
    end
  end
  return spec, model.view(m, shape, strides, offset)
end

local function random_tensor(r)
  local shape = {}
  for i = 1, r(1, 4) do shape[i] = r(1, 5) end
  local m = model.new(shape)
  return pah.arange(#m.memory + 1):view(shape), m
end

describe("slices", function()
  it("are the model's", function()
    for trial = 1, 400 do
      local r = model.random(30000 + trial)
      local note = ("seed %d trial %d"):format(model.seed, trial)
      local t, m = random_tensor(r)
      local spec, part = random_slice(m, r)
      local got = t[spec]
      if #part.shape == 0 then
        assert.equal(m.memory[part.offset], got, note)
      else
        assert.same(part.shape, got.shape, note)
        assert.same(model.values(part), model.flat(got:totable()), note)
      end
    end
  end)

  it("assigned to change the model's elements and no other", function()
    for trial = 1, 400 do
      local r = model.random(40000 + trial)
      local note = ("seed %d trial %d"):format(model.seed, trial)
      local t, m = random_tensor(r)
      local spec, part = random_slice(m, r)
      local places = model.places(part)
      if r(0, 1) == 0 then
        t[spec] = -1
        for _, at in ipairs(places) do m.memory[at] = -1 end
      else
        local source = pah.arange(#places):view(part.shape)
        t[spec] = source
        for i, at in ipairs(places) do m.memory[at] = i - 1 end
      end
      assert.same(model.values(m), model.flat(t:totable()), note)
    end
  end)

  it("read and write in the plain ways", function()
    local t = pah.tensor {{1, 2, 3}, {4, 5, 6}}
    assert.equal(2, #t)
    assert.same({4, 5, 6}, t[2]:totable())
    assert.same({4, 5, 6}, t[-1]:totable())
    assert.equal(6, t[-1][-1])
    assert.same({2, 5}, t[{{}, 2}]:totable())
    assert.same({{2, 3}}, t[{{1}, {2, -1}}]:totable())
    assert.equal(5, t:get(2, 2))
    assert.equal(6, t:get(-1, -1))
    t[1] = 7
    t[{2, 3}] = 8
    t[2][1] = 9
    t:set(10, 2, -2)
    assert.same({{7, 7, 7}, {9, 10, 8}}, t:totable())
    t[{{}, {1, 2}}] = t[{{}, {2, 3}}] -- overlapping: as if copied first
    assert.same({{7, 7, 7}, {10, 8, 8}}, t:totable())
    t[{}] = 0
    assert.same({{0, 0, 0}, {0, 0, 0}}, t:totable())
    assert.same({0, 3}, t[{{2, 1}}].shape) -- a range that ends before it starts is empty
  end)
end)

describe("int64 elements", function()
  it("beyond 2^53 stay exact", function()
    local big = 9007199254740993LL
    local t = pah.zeros({2, 2}, {dtype = "i64"})
    t:set(big, 1, 2)
    t[2][1] = -big
    t[{2, 2}] = big
    assert.is_true(t:get(1, 2) == big and t[2][1] == -big and t[{2, 2}] == big)
    assert.equal(0, t:get(1, 1))
    assert.equal("number", type(t[1][1]))
    t[1] = big
    assert.is_true(t[1][1] == big)
    assert.equal(2 ^ 53 - 1, t:set(9007199254740991LL, 1, 1):get(1, 1))
    assert.equal(5, pah.zeros({1}, {dtype = "f32"}):set(5LL, 1)[1])
  end)
end)

describe("a wrong index", function()
  local t, s = pah.zeros {2, 3}, pah.zeros {}
  it("is refused", function()
    refused("select: index 3 of dimension 1 is outside 1 to 2", function() return t[3] end)
    refused("select: index 0 of dimension 1 is outside 1 to 2", function() return t[0] end)
    refused("select: index -3 of dimension 1 is outside 1 to 2", function() return t[-3] end)
    refused("select: index: is 1.5, must be a whole number", function() return t[1.5] end)
    refused("select: index: is nan, must be a whole number", function() return t[0 / 0] end)
    refused("index: names 3 dimensions, the tensor has 2", function() return t[{1, 1, 1}] end)
    refused("index: elements 2 to 4 of dimension 2 are outside 1 to 3", function() return t[{1, {2, 4}}] end)
    refused("index: elements 0 to 2 of dimension 2 are outside 1 to 3", function() return t[{1, {0, 2}}] end)
    refused("index: item 2 is a table of 3, must be", function() return t[{1, {1, 2, 3}}] end)
    refused("index: item 1 is x, must be a number, {first, last} or {}", function() return t[{"x"}] end)
    refused("index: is x, must be", function() return t[{{"x", 2}}] end)
    refused("index: is a boolean, must be a number, a table or a name", function() return t[true] end)
    refused("index: the tensor has no dimension, use t:item()", function() return s[1] end)
    refused("index: the tensor has no dimension, use t:fill(v)", function() s[1] = 1 end)
    refused("#: the tensor has no dimension", function() return #s end)
    refused("get: has 1 indices, must have 2", function() t:get(1) end)
    refused("set: has 3 indices, must have 2", function() t:set(1, 1, 1, 1) end)
    refused("a tensor has no fields to set", function() t.shape = {1} end)
    refused("fill: value is a string, must be a number", function() t[1] = "x" end)
    refused("fill: value is a nil, must be a number", function() t[1] = nil end)
    refused("copy: src has shape [2], must have [3]", function() t[1] = pah.zeros {2} end)
    refused("index: -4 of dimension 2 is outside 1 to 3", function() return t[{1, -4}] end)
    refused("index: 4 of dimension 2 is outside 1 to 3", function() t:get(1, 4) end)
    assert.same({{0, 0, 0}, {0, 0, 0}}, t:totable())
  end)
end)
