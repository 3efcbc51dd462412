-- random_spec.lua - random numbers: known answers of Philox, independence of threads, strides and dtype, moments,
-- bounds.
local ffi = require "ffi"

-- Philox 4x32-10 in plain Lua, from the paper's definition.
local function mulhilo(a, b)
  local p = ffi.cast("uint64_t", a) * ffi.cast("uint64_t", b)
  return tonumber(p / 2 ^ 32), tonumber(p % 2 ^ 32)
end

local function philox(c, k)
  local k0, k1 = k[1], k[2]
  for _ = 1, 10 do
    local h0, l0 = mulhilo(0xD2511F53, c[1])
    local h1, l1 = mulhilo(0xCD9E8D57, c[3])
    local function xor3(x, y, z) return bit.bxor(bit.tobit(x), bit.tobit(y), bit.tobit(z)) % 2 ^ 32 end
    c = {xor3(h1, c[2], k0), l1, xor3(h0, c[4], k1), l0}
    k0, k1 = (k0 + 0x9E3779B9) % 2 ^ 32, (k1 + 0xBB67AE85) % 2 ^ 32
  end
  return c
end

describe("random numbers", function()
  it("come from Philox 4x32-10", function()
    assert.same({0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, philox({0, 0, 0, 0}, {0, 0}))
    local ones = 0xffffffff
    assert.same({0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, philox({ones, ones, ones, ones}, {ones, ones}))
    for _, seed in ipairs {0, 1, 2 ^ 33 + 5} do -- rand's element i: counter (i, 0, 0, stream 0), 53 bits of two words
      local t = pah.rand({50}, {seed = seed, dtype = "f64"})
      for i = 0, 49 do
        local w = philox({i, 0, 0, 0}, {seed % 2 ^ 32, math.floor(seed / 2 ^ 32)})
        assert.equal((w[1] * 2 ^ 21 + math.floor(w[2] / 2 ^ 11)) * 2 ^ -53, t:get(i + 1))
      end
    end
  end)

  it("are Box-Muller's, to the last bits of libm", function()
    local t = pah.randn({64}, {seed = 3, dtype = "f64"})
    for i = 0, 31 do
      local w = philox({i, 0, 0, 1}, {3, 0})
      local function unit(a, b) return (a * 2 ^ 21 + math.floor(b / 2 ^ 11)) * 2 ^ -53 end
      local r, angle = math.sqrt(-2 * math.log(1 - unit(w[1], w[2]))), 2 * math.pi * unit(w[3], w[4])
      assert.is_near(r * math.cos(angle), t:get(2 * i + 1), 1e-13)
      assert.is_near(r * math.sin(angle), t:get(2 * i + 2), 1e-13)
    end
  end)

  it("have the same bits for any number of threads, in views and after a prefix", function()
    local before = pah.threads()
    local draws = {}
    for threads = 1, 4 do
      pah.threads(threads)
      draws[threads] = pah.randn({300001}, {seed = 9})
    end
    pah.threads(before)
    for threads = 2, 4 do assert.is_true(pah.allclose(draws[1], draws[threads], {rtol = 0, atol = 0})) end
    local short = pah.randn({1001}, {seed = 9})
    assert.is_true(pah.allclose(draws[1]:narrow(1, 1, 1001), short, {rtol = 0, atol = 0}))
    local C = require("pah.ffi").C
    local wide = pah.zeros({7, 11})
    local view = wide:transpose(1, 2)
    assert.equal(0, C.pah_tensor_randn(view.raw, 9, 0, 1))
    assert.is_true(pah.allclose(view:contiguous():view(77), short:narrow(1, 1, 77), {rtol = 0, atol = 0}))
  end)

  it("are rounded once into narrow types", function()
    local exact = pah.randn({500}, {seed = 4, dtype = "f64"})
    for _, dtype in ipairs {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"} do
      assert.is_true(pah.allclose(pah.randn({500}, {seed = 4, dtype = dtype}), exact:to(dtype), {rtol = 0, atol = 0}))
    end
  end)

  it("have the moments that they should", function()
    local n = 200000
    local t = pah.randn({n}, {seed = 11, scale = 2, mean = 5, dtype = "f64"})
    local p, sum, square, fourth = t:data(), 0, 0, 0
    for i = 0, n - 1 do
      local z = (p[i] - 5) / 2
      sum, square, fourth = sum + z, square + z * z, fourth + z ^ 4
    end
    assert.is_near(0, sum / n, 0.01)
    assert.is_near(1, square / n, 0.01)
    assert.is_near(3, fourth / n, 0.08)
  end)

  it("draw whole numbers evenly within their bounds", function()
    local t, counts = pah.randint(-3, 4, {70000}, {seed = 5}):totable(), {}
    for _, x in ipairs(t) do counts[x] = (counts[x] or 0) + 1 end
    for x = -3, 3 do assert.is_near(10000, counts[x], 500) end
    assert.is_nil(counts[4])
    local huge = pah.randint(-2 ^ 62, 2 ^ 62, {100}, {seed = 1})
    assert.equal("i64", huge.dtype)
    assert.is_true(pah.allclose(pah.randint({6}, {low = 2, high = 3, dtype = "u8"}), pah.full({6}, 2, {dtype = "u8"})))
    assert.has_error(function() pah.randint(3, 3, {1}) end)
    assert.error_matches(function() pah.randint(0, 300, {1}, {dtype = "u8"}) end, "must lie within what u8 holds")
  end)

  it("permute", function()
    for _, n in ipairs {0, 1, 2, 1000} do
      local seen = {}
      for _, x in ipairs(pah.randperm(n, {seed = 2}):totable()) do seen[x] = true end
      for i = 0, n - 1 do assert.is_true(seen[i]) end
    end
    assert.is_false((pah.allclose(pah.randperm(100, {seed = 1}), pah.randperm(100, {seed = 2}))))
    assert.error_matches(function() pah.randperm(300, {dtype = "u8"}) end, "more than u8 holds exactly")
  end)

  it("without a seed draw on, with one again", function()
    assert.is_false((pah.allclose(pah.randn {8}, pah.randn {8})))
    assert.is_true((pah.allclose(pah.rand({8}, {seed = 1}), pah.rand({8}, {seed = 1}), {rtol = 0, atol = 0})))
    assert.error_matches(function() pah.randn({2}, {seed = -1}) end, "seed is %-1")
    assert.error_matches(function() pah.randn({2}, {sede = 1}) end, 'did you mean "seed"')
  end)
end)
