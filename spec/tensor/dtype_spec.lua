-- dtype_spec.lua - the conversions of src/tensor/dtype.c against a decoder written here from the formats'
-- definitions: every code of the 8- and 16-bit types, every midpoint between neighbours and the values just beside it.
local ffi = require "ffi"
local C = require("pah.ffi").C

-- Value of a code by the definition: sign, exponent, mantissa; `special` says what the top exponent means.
local function value_of(code, exponent_bits, mantissa_bits, special)
  local mantissa = code % 2 ^ mantissa_bits
  local exponent = math.floor(code / 2 ^ mantissa_bits) % 2 ^ exponent_bits
  local sign = code >= 2 ^ (exponent_bits + mantissa_bits) and -1 or 1
  local bias, top = 2 ^ (exponent_bits - 1) - 1, 2 ^ exponent_bits - 1
  if special == "fn" then
    if exponent == top and mantissa == 2 ^ mantissa_bits - 1 then return 0 / 0 end
  elseif exponent == top then
    return mantissa == 0 and sign * math.huge or 0 / 0
  end
  if exponent == 0 then return sign * mantissa * 2 ^ (1 - bias - mantissa_bits) end
  return sign * (1 + mantissa / 2 ^ mantissa_bits) * 2 ^ (exponent - bias)
end

local formats = {
  {name = "fp8_e4m3", e = 4, m = 3, special = "fn", decode = "pah_e4m3_to_f32", f32 = "pah_f32_to_e4m3",
    f64 = "pah_f64_to_e4m3", largest = 0x7e, saturates = true},
  {name = "fp8_e5m2", e = 5, m = 2, decode = "pah_e5m2_to_f32", f32 = "pah_f32_to_e5m2", f64 = "pah_f64_to_e5m2",
    largest = 0x7b, saturates = true},
  {name = "f16", e = 5, m = 10, decode = "pah_f16_to_f32", f32 = "pah_f32_to_f16", f64 = "pah_f64_to_f16",
    largest = 0x7bff},
  {name = "bf16", e = 8, m = 7, decode = "pah_bf16_to_f32", f32 = "pah_f32_to_bf16", f64 = "pah_f64_to_bf16",
    largest = 0x7f7f},
}

local cell = ffi.new("union { double x; int64_t bits; }")
-- The float64 `steps` units in the last place away from x >= 0.
local function beside(x, steps)
  cell.x = x
  cell.bits = cell.bits + steps
  return cell.x
end

for _, f in ipairs(formats) do
  local half = 2 ^ (f.e + f.m)
  local function decode(code) return C[f.decode](code) end
  local function encode(x) return C[f.f64](x) end

  describe(f.name, function()
    it("decodes every code exactly", function()
      for code = 0, 2 * half - 1 do
        local want, got = value_of(code, f.e, f.m, f.special), decode(code)
        -- (1/x tells the zeros apart)
        local same = got == want and 1 / got == 1 / want or got ~= got and want ~= want
        if not same then
          error(("code 0x%x is %s, must be %s"):format(code, got, want))
        end
      end
    end)

    it("encodes every value to its own code, NaN to a NaN", function()
      for code = 0, 2 * half - 1 do
        local x = value_of(code, f.e, f.m, f.special)
        for _, back in ipairs {encode(x), C[f.f32](x)} do
          local inf = x == math.huge or x == -math.huge
          local want = inf and f.saturates and (x < 0 and half or 0) + f.largest or code
          if x ~= x then
            assert(decode(back) ~= decode(back), ("NaN 0x%x became 0x%x"):format(code, back))
          elseif back ~= want then
            error(("0x%x came back as 0x%x"):format(code, back))
          end
        end
      end
    end)

    it("rounds at every midpoint to even, and beside it to the nearest", function()
      for code = 0, f.largest - 1 do
        local low, high = value_of(code, f.e, f.m, f.special), value_of(code + 1, f.e, f.m, f.special)
        local middle = (low + high) / 2 -- exact in float64
        local even = code % 2 == 0 and code or code + 1
        for sign = 0, 1 do
          local function check(x, want)
            local got = encode(sign == 1 and -x or x)
            if got ~= want + sign * half then
              error(("%.17g became 0x%x, must be 0x%x"):format(x, got, want + sign * half))
            end
          end
          check(middle, even)
          check(beside(middle, -1), code)
          check(beside(middle, 1), code + 1)
          if tonumber(ffi.cast("float", middle)) == middle then -- the midpoint as an f32
            assert.equal(even + sign * half, C[f.f32](sign == 1 and -middle or middle))
          end
        end
      end
    end)

    it("goes past the largest as it says", function()
      local max = value_of(f.largest, f.e, f.m, f.special)
      local last_step = max - value_of(f.largest - 1, f.e, f.m, f.special)
      local edge = max + last_step / 2 -- ties away from the even code below
      local infinite = f.saturates and f.largest or f.largest + 1
      assert.equal(f.largest, encode(beside(edge, -1)))
      assert.equal(infinite, encode(beside(edge, 1)))
      for _, x in ipairs {edge * 2, 1e300, math.huge} do
        assert.equal(infinite, encode(x))
        assert.equal(infinite + half, encode(-x))
      end
    end)

    it("keeps signed zeros and flushes what is under half the smallest subnormal", function()
      local tiny = value_of(1, f.e, f.m, f.special)
      assert.equal(0, encode(0))
      assert.equal(half, encode(-1 / math.huge))
      assert.equal(0, encode(tiny / 2))
      assert.equal(1, encode(beside(tiny / 2, 1)))
      assert.equal(0, encode(5e-324))
      assert.equal(half, encode(-5e-324))
    end)
  end)
end

describe("float64 encoders", function()
  it("round once, where two steps through f32 would round twice", function()
    -- Just above the midpoint of two f16: f32 would first round down to the midpoint, then to even.
    local x = 1 + 2 ^ -11 + 2 ^ -40
    assert.equal(0x3c01, C.pah_f64_to_f16(x))
    assert.equal(0x3c00, C.pah_f32_to_f16(ffi.cast("float", x)))
  end)
end)

describe("dtype names", function()
  it("agree both ways and with the sizes", function()
    local sizes = {f32 = 4, f64 = 8, f16 = 2, bf16 = 2, fp8_e4m3 = 1, fp8_e5m2 = 1, i32 = 4, i64 = 8, u8 = 1}
    for name, size in pairs(sizes) do
      local d = C.pah_dtype_from_name(name)
      assert.equal(name, ffi.string(C.pah_dtype_name(d)))
      assert.equal(size, tonumber(C.pah_dtype_size(d)))
    end
    assert.equal(0, C.pah_dtype_from_name "f33")
    assert.equal(0, C.pah_dtype_from_name(nil))
    assert.is_true(C.pah_dtype_name(0) == nil and C.pah_dtype_name(10) == nil and C.pah_dtype_name(-1) == nil)
    assert.equal(0, tonumber(C.pah_dtype_size(99)))
  end)
end)

describe("NaNs with a payload", function()
  it("reach Lua as plain NaNs, not as its tagged values", function()
    for _, bits in ipairs {0xff880001, 0x7f800001, 0xffffffff} do
      local raw = ffi.new("uint32_t[3]", bits, bits, 0x3f800000)
      local t = pah.from(raw, {3})
      local x = t:get(1)
      assert.is_true(type(x) == "number" and x ~= x)
      assert.is_true(t:totable()[2] ~= t:totable()[2])
      assert.is_truthy(tostring(t):find "nan nan  1.")
      local wide = pah.from(ffi.new("uint64_t[2]", 0xfff9000000000001ULL, 0xffffffffffffffffULL), {2}, {dtype = "f64"})
      assert.is_true(wide:totable()[1] ~= wide:totable()[1] and wide:get(2) ~= wide:get(2))
      assert.is_truthy(tostring(wide):find "nan nan")
    end
  end)
end)
