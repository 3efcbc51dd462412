-- sim_types_spec.lua - half, bf16, fp8 and smaller numbers of CUDA on sim: every code, and values around every number
-- and every middle between two, against the program's own conversions (which spec/tensor/dtype_spec.lua checks against
-- the definitions), those of the smaller ones against the definitions. Vector types.
local describe = require("spec.support.gpu.sim").needed(describe, pending)
local ffi = require "ffi"

local function codes(dtype, count) -- all codes of the dtype in order, as a tensor
  local bytes = ffi.new(count == 65536 and "uint16_t[?]" or "uint8_t[?]", count)
  for i = 0, count - 1 do bytes[i] = i end
  local t = pah.empty({count}, {dtype = dtype})
  ffi.copy(t:data(), bytes, ffi.sizeof(bytes))
  return t
end
local function same(x, y) return x == y and 1 / x == 1 / y or x ~= x and y ~= y end

describe("sim types", function()
  local device, module
  setup(function()
    device = pah.device "sim"
    module = device:compile{source = "spec/kernels/cuda_types.cu"}
  end)
  local function on_device(n, dtype) return pah.zeros({n}, {dtype = dtype, device = device}) end
  local fast = {block = 256, counters = false}
  local function run(name, n, ...)
    fast.grid = math.ceil(n / 256)
    module:launch(name, fast, ...)
  end

  it("decode every code", function()
    local outs = {f16 = on_device(65536, "f32"), bf16 = on_device(65536, "f32"),
                  fp8_e4m3 = on_device(256, "f32"), fp8_e5m2 = on_device(256, "f32")}
    run("decode", 65536, outs.f16, outs.bf16, outs.fp8_e4m3, outs.fp8_e5m2)
    for dtype, out in pairs(outs) do
      local n = out:numel()
      local want, got = codes(dtype, n):to("f64"), out:to("cpu"):to("f64")
      local a, b = ffi.cast("double *", want:data()), ffi.cast("double *", got:data())
      for i = 0, n - 1 do
        if not same(a[i], b[i]) then error(("%s: code 0x%x is %g, not %g"):format(dtype, i, b[i], a[i])) end
      end
    end
  end)

  -- Numbers of the dtype, middles between neighbours, and a little to both sides of each.
  local function probes(dtype, count, step)
    local values = codes(dtype, count):to "f64"
    local v = ffi.cast("double *", values:data())
    local list = {0, 1e300, -1e300, 1e-300, 1 / 0, -1 / 0, 464, 480, 61440, 65520, 3.4e38}
    for i = 0, count - 2, step do
      local middle = (v[i] + v[i + 1]) / 2
      if middle == middle and math.abs(middle) < math.huge then
        for _, x in ipairs{v[i], middle, middle * (1 + 2 ^ -50), middle * (1 - 2 ^ -50)} do list[#list + 1] = x end
      end
    end
    local t = pah.empty({#list}, {dtype = "f64"})
    for i, x in ipairs(list) do ffi.cast("double *", t:data())[i - 1] = x end
    return t
  end

  for dtype, about in pairs{f16 = {65536, 5}, bf16 = {65536, 7}, fp8_e4m3 = {256, 1}, fp8_e5m2 = {256, 1}} do
    it("encode around the numbers of " .. dtype, function()
      local x = probes(dtype, about[1], about[2])
      local n = x:numel()
      local outs = {f16 = on_device(n, "f16"), bf16 = on_device(n, "bf16"),
                    fp8_e4m3 = on_device(n, "fp8_e4m3"), fp8_e5m2 = on_device(n, "fp8_e5m2")}
      run("encode", n, x:to(device), outs.f16, outs.bf16, outs.fp8_e4m3, outs.fp8_e5m2, n)
      for kind, out in pairs(outs) do
        local want, got = x:to(kind):to "f64", out:to("cpu"):to "f64"
        local a, b = ffi.cast("double *", want:data()), ffi.cast("double *", got:data())
        for i = 0, n - 1 do
          if not same(a[i], b[i]) then
            error(("%s: %.17g becomes %g, not %g"):format(kind, ffi.cast("double *", x:data())[i], b[i], a[i]))
          end
        end
      end
    end)
  end

  -- The number of a code: sign, exponent of e bits, mantissa of m bits; every code is one.
  local function number(code, e, m)
    local bias, mantissa = 2 ^ (e - 1) - 1, code % 2 ^ m
    local exponent = math.floor(code / 2 ^ m) % 2 ^ e
    local x = exponent == 0 and mantissa * 2 ^ (1 - bias - m) or (2 ^ m + mantissa) * 2 ^ (exponent - bias - m)
    return code >= 2 ^ (e + m) and -x or x
  end
  local less = {{"e2m3", 2, 3, 64}, {"e3m2", 3, 2, 64}, {"e2m1", 2, 1, 16}}

  it("decode every code of 8 bits of exponent, 6 and 4 bits", function()
    local outs = {}
    for i = 1, 4 do outs[i] = on_device(256, "f32") end
    run("decode_less", 256, unpack(outs))
    for i, out in ipairs(outs) do outs[i] = out:to "cpu":totable() end
    for code = 0, 254 do assert.equal(2 ^ (code - 127), outs[1][code + 1]) end
    assert.is_true(outs[1][256] ~= outs[1][256])
    for i, format in ipairs(less) do
      for code = 0, 255 do
        assert.equal(number(code % format[4], format[2], format[3]), outs[i + 1][code + 1], format[1] .. " " .. code)
      end
    end
  end)

  it("encode to 8 bits of exponent, 6 and 4 bits", function()
    local list = {0, 0.25, -0.25, 0.75, 1e300, -1e300, 1e-300, 1 / 0, -1 / 0, 0 / 0, 5, -5, 2.5, 1.25}
    for i = 1, 500 do list[#list + 1] = (i % 2 * 2 - 1) * 1.03 ^ (i - 350) end
    for code = 0, 63 do list[#list + 1] = (number(code, 2, 3) + number((code + 1) % 64, 2, 3)) / 2 end
    local outs = {}
    for i = 1, 5 do outs[i] = on_device(#list, "u8") end
    run("encode_less", #list, pah.tensor(list, {dtype = "f64", device = device}), outs[1], outs[2], outs[3], outs[4],
      outs[5], #list)
    for i, out in ipairs(outs) do outs[i] = out:to "cpu":totable() end
    -- The nearest code, of two as near the even one; toward zero the largest that is not beyond.
    local function nearest(x, e, m, toward_zero)
      local largest = 2 ^ (e + m) - 1
      if x ~= x then return largest end
      if math.abs(x) > number(largest, e, m) then return largest + (x < 0 and largest + 1 or 0) end
      local best, distance = 0, math.huge
      for code = 0, largest do
        local d = math.abs(math.abs(x) - number(code, e, m))
        local fits = not toward_zero or number(code, e, m) <= math.abs(x)
        if fits and (d < distance or d == distance and code % 2 == 0) then best, distance = code, d end
      end
      return best + (x < 0 and largest + 1 or 0)
    end
    for i, x in ipairs(list) do
      for j, format in ipairs(less) do
        assert.equal(nearest(x, format[2], format[3]), outs[j + 1][i], format[1] .. " of " .. x)
      end
      assert.equal(nearest(x, 2, 1, true), outs[5][i], "toward zero " .. x)
      local power = math.ceil(math.log(math.abs(x)) / math.log(2) - 1e-12) + 127
      local want = x ~= x and 255 or math.max(0, math.min(254, power))
      assert.equal(want, outs[1][i], "e8m0 of " .. x)
    end
  end)

  it("integers of f16 saturate, as PTX converts", function()
    local wide, narrow, least = on_device(65536, "i32"), on_device(65536, "i32"), on_device(65536, "u8")
    run("integers", 65536, wide, narrow, least)
    local a, b, c = wide:to "cpu", narrow:to "cpu", least:to "cpu"
    local x = codes("f16", 65536):to "f64"
    for _, code in ipairs{0, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7c01, 0xffff, 0x5bff, 0x5c00, 0x7800} do
      local v = x:get(code + 1)
      local function clamp(least_value, most)
        return v ~= v and 0 or math.max(least_value, math.min(most, v < 0 and math.ceil(v) or math.floor(v)))
      end
      assert.equal(clamp(-2 ^ 31, 2 ^ 31 - 1), a:get(code + 1))
      assert.equal(clamp(-2 ^ 15, 2 ^ 15 - 1), b:get(code + 1))
      assert.equal(clamp(0, 255), c:get(code + 1))
    end
  end)

  it("directed roundings enclose the number and are neighbours", function()
    local x = probes("f16", 65536, 11):to "f32"
    local n = x:numel()
    local rz, ru, rd = on_device(n, "f16"), on_device(n, "f16"), on_device(n, "f16")
    run("directed", n, x:to(device), rz, ru, rd, n)
    local near = x:to("f16"):to "f64"
    local tensors = {x:to "f64", rz:to("cpu"):to "f64", ru:to("cpu"):to "f64", rd:to("cpu"):to "f64", near}
    local p = {}
    for i, t in ipairs(tensors) do p[i] = ffi.cast("double *", t:data()) end
    for i = 0, n - 1 do
      local v, zero, up, down, nearest = p[1][i], p[2][i], p[3][i], p[4][i], p[5][i]
      assert.is_true(down <= v and v <= up and (nearest == up or nearest == down))
      assert.are.equal(v > 0 and down or up, zero)
      assert.is_true((up == down) == (v == up))
    end
  end)

  it("pairs, operators and functions agree", function()
    local a, b = pah.randn({2000}, {seed = 1}):to "f16", pah.randn({2000}, {seed = 2}):to "f16"
    local wrong = on_device(1000, "i32")
    run("agree", 1000, a:to(device), b:to(device), wrong, 1000)
    local host = wrong:to "cpu"
    for i = 1, 1000 do assert.are.equal(0, host:get(i)) end
  end)

  it("doubles rounded toward zero, up and down are what encloses the exact result", function()
    local x, y = pah.randn({256}, {seed = 3}):to "f64", pah.randn({256}, {seed = 4}):to "f64"
    local out = on_device(5120, "f64")
    local a, b = ffi.cast("double *", x:data()), ffi.cast("double *", y:data())
    for i = 0, 255 do a[i], b[i] = a[i] * math.pi, b[i] / 3 end
    a[0], b[0], a[1], b[1], a[2], b[2] = 1, 2, 4, 2, 1, 2 ^ -80 -- exact, and almost
    module:launch("directed64", {block = 256}, x:to(device), y:to(device), out)
    local host = out:to "cpu"
    local o = ffi.cast("double *", host:data())
    local inexact = 0
    for i = 0, 255 do
      for k = 0, 16, 4 do
        local zero, up, down, near = o[20 * i + k], o[20 * i + k + 1], o[20 * i + k + 2], o[20 * i + k + 3]
        assert.is_true(down <= near and near <= up and (near == up or near == down))
        assert.equal(near > 0 and down or up, zero)
        local next_one = ffi.new("union { double d; int64_t i; }", {d = down})
        next_one.i = next_one.i + (down < 0 and -1 or 1)
        assert.is_true(up == down or up == next_one.d or down == 0)
        inexact = inexact + (up == down and 0 or 1)
      end
    end
    for _, k in ipairs{0, 1, 4, 8, 12, 20, 24, 28, 32, 36} do assert.equal(o[k - k % 4], o[k - k % 4 + 1]) end
    assert.is_true(o[41] > 1 and o[42] == 1 and o[43] == 1 and o[40] == 1) -- 1 + 2^-80
    assert.is_true(inexact > 1000)
  end)

  it("functions that the C library lacks", function()
    local out = on_device(2048, "f64")
    module:launch("inverses", {block = 256}, out)
    local host = out:to "cpu"
    for i = 0, 255 do
      local x = (i - 128) / 40
      for k = 0, 7 do
        -- Near 2 erfc has lost what its inverse needs.
        local lost = (k == 0 or k == 2) and 2e-16 * math.exp(x * x) or 0
        local tolerance = (k == 4 and 1e-5 or 2e-14) + lost
        local off = host:get(8 * i + k + 1)
        assert.is_true(math.abs(off) <= tolerance, ("%d of %g: %g"):format(k, x, off))
      end
    end
  end)

  it("smallest and largest in words of two halves, dot products, the n-th bit", function()
    local x = pah.randint(0, 65535, {768}, {seed = 5, dtype = "i32"})
    local words, wrong = ffi.cast("uint32_t *", x:data()), on_device(256, "i32")
    for i = 0, 767 do words[i] = words[i] * 2654435761 % 2 ^ 32 end
    run("words_of_halves", 256, x:to(device), wrong)
    for i, bad in ipairs(wrong:to "cpu":totable()) do assert.equal(0, bad, i) end
  end)

  local plain = (os.getenv "PAH_SIM_CXX" or ""):match "clang" and pending or it -- clang has structs of its own
  plain("vector types are plain structs whose copies are one access", function()
    local values, records, want = {}, {}, {}
    for i = 1, 8 do
      for j = 1, 4 do values[4 * i + j - 4] = 10 * i + j end
      for j, x in ipairs{0, 0, 0, i, 0, 0, 0, 0} do records[8 * i + j - 8] = x end
      local a, b, c, d = 10 * i + 1, 10 * i + 2, 10 * i + 3, 10 * i + 4
      local last = i == 1 and {a, b, c, d} or {a, a, a, a}
      for _, row in ipairs{{-a, b, c, d}, {d, c, b, a}, {b, 0, 0, 0}, {0, 0, 0, 0}, last} do
        for _, x in ipairs(row) do want[#want + 1] = x end
      end
    end
    local out, sums = on_device(8 * 20, "f32"), on_device(8, "i32")
    local input, list = pah.tensor(values, {device = device}), pah.tensor(records, {device = device})
    local report = module:launch("vectors", {block = 8}, input, out, list, sums)
    assert.same(want, out:to "cpu":totable())
    assert.same({3, 4, 5, 6, 7, 8, 9, 10}, sums:to "cpu":totable())
    -- 4 of vectors and 8 of records are loaded; 1 of sums, and 5 times 8 vectors in as many sectors, are stored.
    assert.equal(4 + 8 + 1 + 5 * 8, report.global.sectors)
  end)
end)
