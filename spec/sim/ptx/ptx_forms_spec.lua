-- ptx_forms_spec.lua - instructions in forms that kernels/ptx/ has no functions for (spec/kernels/ptx_forms.cu),
-- against plain loops: mma.sync of every width, f64, m8n8k4, wgmma with sums of f16 and s32, arithmetic of PTX.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

describe("forms of PTX on sim", function()
  local device, module
  setup(function()
    device = pah.device "sim:sm_90a"
    module = device:compile{source = "spec/kernels/ptx_forms.cu"}
  end)
  local function numbers(count, least, most, seed)
    return pah.randint(least, most, {count}, {seed = seed, dtype = "i32"}):totable()
  end
  local function there(list, dtype) return pah.tensor(list, {dtype = dtype or "i32", device = device}) end
  local function zeros(count, dtype) return pah.zeros({count}, {dtype = dtype or "i32", device = device}) end

  -- Rows of A (`width` apart) times rows of B, plus C.
  local function product(a, b, c, rows, k, width, each)
    local d = {}
    for i = 0, rows - 1 do
      for j = 0, 7 do
        local sum = c[8 * i + j + 1]
        for l = 1, k do sum = sum + each(a[width * i + l], b[width * j + l]) end
        d[8 * i + j + 1] = sum
      end
    end
    return d
  end
  local function times(x, y) return x * y end

  it("mma.sync of 8, 4 and 1 bits of any sign, saturating or not", function()
    local big = 2 ^ 31 - 2000
    local cases = { -- range of A, of B, depth, rows, largest of C
      {0, 255, -128, 127, 32, 16, big, true}, {0, 255, 0, 255, 32, 16, big}, {-8, 7, 0, 15, 64, 16, 50},
      {0, 15, -8, 7, 64, 16, -big, true}, {0, 1, 0, 1, 256, 16, 9, false, function(x, y) return x ~= y and 1 or 0 end},
      {0, 1, 0, 1, 256, 16, 9}, {-128, 127, 0, 255, 16, 8, 9}, {-8, 7, -8, 7, 32, 8, 9}, {0, 1, 0, 1, 128, 8, 9}}
    for which, case in ipairs(cases) do
      local a, b = numbers(16 * 256, case[1], case[2], which), numbers(8 * 256, case[3], case[4], 100 + which)
      local c, k, rows = {}, case[5], case[6]
      for i = 1, 128 do c[i] = case[7] - (case[7] > 0 and i or -i) end
      local out = zeros(128)
      local report = module:launch("integers", {block = 32}, there(a), there(b), there(c), out, which - 1)
      assert.equal(2 * rows * 8 * k, report.mma.flops)
      local got, want = out:to "cpu":totable(), product(a, b, c, rows, k, 256, case[9] or times)
      for i = 1, 8 * rows do
        local x = want[i]
        if case[8] then x = math.max(-2 ^ 31, math.min(2 ^ 31 - 1, x)) end
        x = (x + 2 ^ 31) % 2 ^ 32 - 2 ^ 31
        if x ~= got[i] then error(("case %d: sum %d is %d, must be %d"):format(which, i, got[i], x)) end
      end
    end
  end)

  it("mma.sync of fp8 with sums of f16, 32 and 16 deep", function()
    local a, b, c = numbers(16 * 256, -8, 8, 1), numbers(8 * 256, -4, 4, 2), numbers(128, -9, 9, 3)
    local deep, half = zeros(128), zeros(128)
    module:launch("fp8_sums", {block = 32}, there(a), there(b), there(c), deep, half)
    assert.same(product(a, b, c, 16, 32, 256, times), deep:to "cpu":totable())
    assert.same(product(a, b, c, 16, 16, 256, times), half:to "cpu":totable())
  end)

  it("mma.sync of f64, rounded as it says", function()
    local a, b, zero, tenth = {}, {}, {}, {}
    for i, x in ipairs(numbers(256, -1000, 1000, 4)) do a[i] = x / 7 end
    for i, x in ipairs(numbers(128, -1000, 1000, 5)) do b[i] = x / 8 end
    for i = 1, 128 do zero[i], tenth[i] = 0, 0.1 end
    local out, up = zeros(128, "f64"), zeros(64, "f64")
    module:launch("doubles", {block = 32}, there(a, "f64"), there(b, "f64"), out, up)
    local want, got = product(a, b, zero, 16, 16, 16, times), out:to "cpu":totable()
    for i = 1, 128 do assert.is_true(math.abs(want[i] - got[i]) <= 1e-9) end
    want, got = product(a, b, tenth, 8, 4, 16, times), up:to "cpu":totable()
    local above = 0
    for i = 1, 64 do
      assert.is_true(math.abs(want[i] - got[i]) <= 1e-9)
      if got[i] > want[i] then above = above + 1 end
      assert.is_true(got[i] >= want[i] - 1e-11) -- rounded to nearest here
    end
    assert.is_true(above > 10)
  end)

  it("mma.sync m8n8k4: four products of a quarter of the warp each", function()
    local a, b = numbers(128, -9, 9, 6), numbers(128, -9, 9, 7)
    local rows, columns = zeros(256, "f32"), zeros(256, "f32")
    module:launch("four_products", {block = 32}, there(a, "f16"), there(b, "f16"), rows, columns)
    local want = {}
    for q = 0, 3 do
      for i = 0, 7 do
        for j = 0, 7 do
          local sum = 0
          for k = 1, 4 do sum = sum + a[32 * q + 4 * i + k] * b[32 * q + 4 * j + k] end
          want[64 * q + 8 * i + j + 1] = sum
        end
      end
    end
    assert.same(want, rows:to "cpu":totable())
    assert.same(want, columns:to "cpu":totable())
  end)

  it("wgmma with sums of s32, saturating, and of f16", function()
    local a, b = numbers(64 * 32, 0, 100, 8), numbers(8 * 32, 0, 127, 9)
    local out, half = zeros(512), zeros(512, "f32")
    module:launch("warpgroup", {block = 128}, there(a, "u8"), there(b, "u8"), out, half)
    local start = {1, 2, 3, 0x7ffffff0}
    local value = {} -- of each code of e4m3
    for code = 0, 127 do
      local e, m = math.floor(code / 8), code % 8
      value[code] = e == 0 and m / 512 or (1 + m / 8) * 2 ^ (e - 7)
    end
    local got, halves = out:to "cpu":totable(), half:to "cpu":totable()
    for i = 0, 63 do
      for j = 0, 7 do
        local sum, real = start[1 + j % 2 + 2 * (math.floor(i / 8) % 2)], 0
        for k = 1, 32 do
          sum = sum + a[32 * i + k] * b[32 * j + k]
          if b[32 * j + k] < 127 then real = real - value[a[32 * i + k]] * value[b[32 * j + k]] else real = 0 / 0 end
        end
        assert.equal(math.min(sum, 2 ^ 31 - 1), got[8 * i + j + 1])
        local h = halves[8 * i + j + 1]
        if real ~= real then
          assert.is_true(h ~= h)
        elseif math.abs(real) < 65504 then
          assert.is_true(math.abs(h - real) <= math.abs(real) / 1024 + 1e-6)
        end
      end
    end
  end)

  it("arithmetic of pairs, bits, directions", function()
    local out, real = zeros(16), zeros(32, "f64")
    module:launch("numbers", {block = 1}, out, real)
    local got = out:to "cpu":totable()
    for i, x in ipairs(got) do got[i] = x % 2 ^ 32 end
    assert.same({0xf000, 10 + 2 * 5 - 3, 2, 0x20000 + 5, 0x80000000, 0x00000005, 0xc0400000, 0, 2, 0xabf0, 0x80007fff,
      1, 0}, {unpack(got, 1, 13)})
    assert.equal(1 + 2 ^ -52, real:to "cpu":get(1))
    assert.equal(1 - 2 ^ -53, real:to "cpu":get(2))
    assert.equal(-9007199254740994, real:to "cpu":get(3))
  end)
end)
