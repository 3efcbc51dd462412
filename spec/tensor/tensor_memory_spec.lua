-- tensor_memory_spec.lua - memory that Lua's collector does not see: dropped tensors are let go before they fill the
-- machine, and borrowed memory lives as long as any view of it.
local ffi = require "ffi"

local isas = require "spec.support.isas"
local refused = require("spec.support.refused").here

describe("the memory of tensors", function()
  it("that were dropped does not pile up", function()
    local cpu, last = pah.device "cpu", 0
    for _ = 1, 800 do -- 16 MiB each, never touched
      pah.empty {2 ^ 22}
      local bytes = cpu:memory().bytes
      if bytes < last then return end
      last = bytes
    end
    error("nothing was let go")
  end)

  it("beside them that the cpu kernels keep is one stock for all instruction sets, and is told", function()
    local args = {block_table = pah.tensor({{0, 1}}, {dtype = "i32", device = "cpu"})}
    args.q = pah.randn({1, 8, 128, 64}, {device = "cpu"})
    args.k_blocks = pah.randn({2, 512, 8, 64}, {device = "cpu"})
    args.v_blocks = args.k_blocks
    local most = 0
    for _, isa in ipairs(isas.usable) do
      local device, there = pah.device("cpu:" .. isa), {}
      for name, x in pairs(args) do there[name] = x:to(device) end
      for _ = 1, 3 do pah.fwd(there) end
      local held = device:memory().scratch_bytes
      assert.equal(held, pah.device("cpu"):memory().scratch_bytes)
      if isa == isas.usable[1] then most = held end
      assert.is_true(held <= 4 * 2 ^ 26)
      assert.is_true(held <= 2 * most + 2 ^ 22, ("%s: %d bytes, %d before"):format(isa, held, most))
    end
  end)

  it("that is borrowed is kept alive by a view", function()
    local function view()
      local memory = ffi.new("float[200000]")
      for i = 0, 199999 do memory[i] = 7 end
      return pah.from(memory, {200000}):view(200, 1000):transpose(1, 2)
    end
    local t = view()
    for _ = 1, 20 do
      collectgarbage()
      ffi.fill(ffi.new "float[200000]", 800000, 1)
    end
    assert.same({7, 7}, {t:get(1, 1), t:get(1000, 200)})
  end)

  it("holds int64 saturated, and NaN as 0, as i32 does", function()
    local t = pah.tensor({1e300, -1e300, 0 / 0, 2.9}, {dtype = "i64"})
    assert.is_true(t[1] == 0x7fffffffffffffffLL and t[2] == -0x7fffffffffffffffLL - 1)
    assert.same({0, 2}, {t[3], t[4]})
  end)

  it("of int64 is compared exactly", function()
    local a = pah.full({2}, 2 ^ 53, {dtype = "i64"})
    local b = a:clone():set(2LL ^ 53 + 1, 2)
    assert.is_true((pah.allclose(a, a, {rtol = 0, atol = 0})))
    local close, report = pah.allclose(a, b, {rtol = 0, atol = 0})
    assert.is_false(close)
    assert.same({1, 1, {2}}, {report.mismatched, report.max_abs, report.first_mismatch})
    assert.is_false((pah.allclose(a, b:transpose(1, 1), {rtol = 0, atol = 0.5})))
    assert.is_true((pah.allclose(a, b, {rtol = 0, atol = 1})))
    local low = pah.full({1}, -0x7fffffffffffffffLL - 1, {dtype = "i64"})
    assert.equal(2 ^ 64, pah.diff(low, pah.full({1}, 0x7fffffffffffffffLL, {dtype = "i64"})).max_abs)
  end)

  it("is not set at, or named by, what is no index", function()
    refused("set: index 2 is a table, must be a whole number", function() pah.zeros({1, 1}):set(1, 1, {}) end)
    refused('no method or property "qqqqqqqqqq"', function() return pah.zeros({1}).qqqqqqqqqq end)
    assert.is_false(select(2, pcall(function() return pah.zeros({1}).qqqqqqqqqq end)):find "did you mean" ~= nil)
  end)

  it("is not asked for, or borrowed, on wrong terms", function()
    refused("from: ptr is a ctype<int64_t>, must be an FFI pointer or array", function() pah.from(1234LL, {1}) end)
    refused("from: ptr is a tensor, must be", function() pah.from(pah.zeros {2}, {2}) end)
    refused("from: ptr holds 8 bytes, the shape needs 12", function() pah.from(ffi.new "float[2]", {3}) end)
    refused("empty: shape has the key dtype, must be a list", function() pah.empty {2, dtype = "f16"} end)
    refused("more than 2^53", function() pah.empty {2 ^ 30, 2 ^ 30, 0} end)
    refused("numel: called on a nil, must be a tensor", function() pah.zeros({1}).numel() end)
    refused("tensor: tables nest deeper than 8 dimensions", function()
      local t = {}
      t[1] = t
      pah.tensor(t)
    end)
  end)
end)
