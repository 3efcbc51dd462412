-- ptx_spec.lua - the instructions of a warp in kernels/ptx.cuh: layouts of registers against the formulas of the PTX
-- ISA, element by element, and arithmetic on random bits against a decoder of its own; on sim, and on cuda where there
-- is a GPU.
local bit = require "bit"
local ptx = require "spec.support.gpu.ptx"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local decode, element, f32, f32_code, forms = ptx.decode, ptx.element, ptx.f32, ptx.f32_code, ptx.forms
local compiled, each_device, read, stream, words = ptx.compiled, ptx.each_device, ptx.read, ptx.stream, ptx.words

-- The code of x in a small format, to nearest even, by looking at both neighbours. `last`: of the largest number;
-- past the middle between it and what would come next is `over`.
local function nearest(x, f)
  if x ~= x then return f.nan end
  local sign = (x < 0 or 1 / x < 0) and 2 ^ (f.exponent + f.mantissa) or 0
  local magnitude, low, high = math.abs(x), 0, f.last
  while low < high do -- the largest code whose value is at most x
    local middle = math.ceil((low + high) / 2)
    if decode(middle, f.exponent, f.mantissa, f.fn) <= magnitude then low = middle else high = middle - 1 end
  end
  local below = decode(low, f.exponent, f.mantissa, f.fn)
  local step = below - decode(math.max(low - 1, 0), f.exponent, f.mantissa, f.fn)
  local above = low < f.last and decode(low + 1, f.exponent, f.mantissa, f.fn) or below + step
  local up = magnitude - below > above - magnitude or (magnitude - below == above - magnitude and low % 2 == 1)
  if low == f.last and up then return sign + f.over end
  return sign + low + (up and 1 or 0)
end
local formats = {
  bf16 = {exponent = 8, mantissa = 7, last = 0x7f7f, over = 0x7f80, nan = 0x7fff},
  f16 = {exponent = 5, mantissa = 10, last = 0x7bff, over = 0x7c00, nan = 0x7fff},
  e4m3 = {exponent = 4, mantissa = 3, fn = true, last = 0x7e, over = 0x7e, nan = 0x7f},
  e5m2 = {exponent = 5, mantissa = 2, last = 0x7b, over = 0x7b, nan = 0x7f},
}
local function f16_code(x) return nearest(x, formats.f16) end

-- ---- Layouts, as the PTX ISA gives them ------------------------------------------------------------------------

-- mma A, 16 x k: row and column of element e (of 32 / bits per register) of register i of a lane.
local function place_a(lane, i, e, per)
  local g, t = math.floor(lane / 4), lane % 4
  return g + (i % 2 == 1 and 8 or 0), t * per + e + (i >= 2 and 4 * per or 0)
end
local function place_b(lane, i, e, per) -- k, n
  return lane % 4 * per + e + (i == 1 and 4 * per or 0), math.floor(lane / 4)
end
local function place_c(lane, i)
  return math.floor(lane / 4) + (i >= 2 and 8 or 0), lane % 4 * 2 + i % 2
end

local function matrix_of(registers, count, per, bits, place, value)
  local m = {}
  for lane = 0, 31 do
    for i = 0, count - 1 do
      for e = 0, per - 1 do
        local row, column = place(lane, i, e, per)
        m[row] = m[row] or {}
        assert.is_nil(m[row][column])
        m[row][column] = value(element(registers[lane * count + i + 1], e, bits))
      end
    end
  end
  return m
end

local function wrapped(x) return x % 2 ^ 32 end

describe("ptx mma.sync", function()
  local kinds = {
    {"bf16", "bf16", "mma_m16n8k16_bf16"}, {"f16", "f16", "mma_m16n8k16_f16"}, {"tf32", "tf32", "mma_m16n8k8_tf32"},
    {"e4m3", "e4m3", "mma_m16n8k32_e4m3"}, {"e5m2", "e5m2", "mma_m16n8k32_e5m2"},
    {"e4m3", "e5m2", "mma_m16n8k32_e4m3_e5m2"}, {"e5m2", "e4m3", "mma_m16n8k32_e5m2_e4m3"},
    {"f16", "f16", "F16_SUMS"}, {"s8", "s8", "S8"},
  }
  local function operand(random, form, exact)
    return exact and ptx.simple(random, form) or random()
  end
  local function registers_of(random, form, count, exact)
    local r = {}
    for i = 1, 32 * count do r[i] = operand(random, form, exact) end
    return r
  end
  local function expected(kind, a, b, c)
    local fa, fb = forms[kind[1]], forms[kind[2]]
    local per = 32 / fa.bits
    local ma = matrix_of(a, 4, per, fa.bits, place_a, fa.value)
    local mb = matrix_of(b, 2, per, fb.bits, place_b, fb.value)
    local d = {}
    for lane = 0, 31 do
      for i = 0, 3 do
        local row, column = place_c(lane, i)
        local at, sum = lane * 4 + i + 1
        if kind[3] == "F16_SUMS" then sum = forms.f16.value(element(c[lane * 4 + math.floor(i / 2) + 1], i % 2, 16))
        elseif kind[3] == "S8" then sum = bit.tobit(c[at])
        else sum = f32(c[at]) end
        for k = 0, 8 * per - 1 do sum = sum + ma[row][k] * mb[k][column] end
        if kind[3] == "F16_SUMS" then
          local reg = lane * 4 + math.floor(i / 2) + 1
          d[reg] = (d[reg] or 0) + f16_code(sum) * 2 ^ (16 * (i % 2))
          if i >= 2 then d[at] = 0 end
        elseif kind[3] == "S8" then d[at] = wrapped(sum)
        else d[at] = f32_code(sum) end
      end
    end
    for lane = 0, 31 do
      if kind[3] == "F16_SUMS" then d[lane * 4 + 3], d[lane * 4 + 4] = 0, 0 end
    end
    return d
  end
  for _, kind in ipairs(kinds) do
    it(kind[3] .. " of exact numbers, on every device, and of random bits on sim", function()
      each_device(function(device, name)
        local defines = kind[3]:match "^mma" and {MMA = kind[3]} or {[kind[3]] = 1}
        local module = compiled(device, "ptx_layout.cu", defines)
        for round = 1, 6 do
          local exact = round <= 2
          if not exact and not name:match "^sim" then break end
          local random = stream(round * 77)
          local a, b = registers_of(random, kind[1], 4, exact), registers_of(random, kind[2], 2, exact)
          local c = {}
          local simple = exact and ({F16_SUMS = 0x40003c00, S8 = 5})[kind[3]] or 0x40400000
          for i = 1, 128 do c[i] = exact and simple or random() end
          local d = words(registers_of(random, "s8", 4), device)
          module:launch("mma", {grid = 1, block = 32}, words(a, device), words(b, device), words(c, device), d)
          assert.same(expected(kind, a, b, c), read(d), ("%s, round %d"):format(name, round))
        end
      end)
    end)
  end
end)

describe("ptx ldmatrix and stmatrix", function()
  local any = {MMA = "mma_m16n8k16_bf16"}
  local kinds = {{1}, {2}, {4}, {1, true}, {2, true}, {4, true}}
  -- Rows at places that are all different and in no order.
  local offsets = {}
  for i = 0, 31 do offsets[i + 1] = (i * 7 % 32) * 112 + 16 end
  local function half(matrix, row, column) return offsets[8 * matrix + row + 1] / 2 + column end
  -- Elements of register m of a lane: (row, column), (row, column).
  local function places(lane, trans)
    local g, t = math.floor(lane / 4), lane % 4
    if trans then return 2 * t, g, 2 * t + 1, g end
    return g, 2 * t, g, 2 * t + 1
  end
  it("take element (row, column) to the lane and register of the PTX ISA", function()
    each_device(function(device, name)
      local module = compiled(device, "ptx_layout.cu", any)
      local image = {}
      for i = 0, 1023 do image[i + 1] = 2 * i + (2 * i + 1) * 65536 end -- every half holds its own index
      local out = pah.zeros({6 * 128}, {dtype = "i32", device = device})
      module:launch("ldmatrix", {grid = 1, block = 32}, words(image, device), words(offsets, device), out)
      local got = read(out)
      for k, kind in ipairs(kinds) do
        for lane = 0, 31 do
          local r1, c1, r2, c2 = places(lane, kind[2])
          for m = 0, 3 do
            local want = m < kind[1] and half(m, r1, c1) + half(m, r2, c2) * 65536 or 0
            assert.equal(want, got[((k - 1) * 32 + lane) * 4 + m + 1], ("%s kind %d lane %d"):format(name, k, lane))
          end
        end
      end
    end)
  end)
  it("movmatrix turns a matrix; lg2 and rcp are within 2^-21", function()
    each_device(function(device, name)
      local module = compiled(device, "ptx_layout.cu", any)
      local matrix, x = {}, {}
      for lane = 0, 31 do -- element (row, column) is 8 row + column + 1
        local first = 8 * math.floor(lane / 4) + 2 * (lane % 4) + 1
        matrix[lane + 1], x[lane + 1] = first + (first + 1) * 65536, 0.01 + lane * lane / 7
      end
      local out = pah.zeros({96}, {dtype = "i32", device = device})
      module:launch("turn", {grid = 1, block = 32}, words(matrix, device), pah.tensor(x, {device = device}), out)
      local got, given = read(out), pah.tensor(x):totable()
      for lane = 0, 31 do
        local g, t = math.floor(lane / 4), lane % 4
        assert.equal(16 * t + g + 1 + (16 * t + 8 + g + 1) * 65536, got[3 * lane + 1], name .. " lane " .. lane)
        local log2 = math.log(given[lane + 1]) / math.log(2)
        assert.is_true(math.abs(f32(got[3 * lane + 2]) - log2) <= 2 ^ -21 * math.max(1, math.abs(log2)), name)
        assert.is_true(math.abs(f32(got[3 * lane + 3]) * given[lane + 1] - 1) <= 2 ^ -21, name)
      end
    end)
  end)
  it("take it back", function()
    each_device(function(device, name)
      local module = compiled(device, "ptx_layout.cu", any)
      local random = stream(5)
      local registers = {}
      for i = 1, 128 do registers[i] = random() end
      local out = pah.zeros({6 * 1024}, {dtype = "i32", device = device})
      module:launch("stmatrix", {grid = 1, block = 32}, words(registers, device), words(offsets, device), out)
      local got = read(out)
      for k, kind in ipairs(kinds) do
        local want = {}
        for i = 0, 2047 do want[i] = 0 end
        for lane = 0, 31 do
          local r1, c1, r2, c2 = places(lane, kind[2])
          for m = 0, kind[1] - 1 do
            local r = registers[lane * 4 + m + 1]
            want[half(m, r1, c1)], want[half(m, r2, c2)] = r % 65536, math.floor(r / 65536)
          end
        end
        for i = 0, 1023 do
          assert.equal(want[2 * i] + want[2 * i + 1] * 65536, got[(k - 1) * 1024 + i + 1],
            ("%s kind %d word %d"):format(name, k, i))
        end
      end
    end)
  end)
end)

describe("ptx conversions", function()
  -- Edges of every format and its middles, and random bits.
  local function inputs()
    local random, list = stream(9), {0, -0.0, 448, 464, 465, 57344, 61440, 65504, 65519, 65520, 1 / 0, -1 / 0, 0 / 0,
      2 ^ -9, 2 ^ -10, 1.5 * 2 ^ -10, 2 ^ -16, 2 ^ -17, 2 ^ -24, 2 ^ -25, 1.5 * 2 ^ -25, 3.4e38, 1.0009765625, 17, 19}
    for code = 0, 255 do
      local middle = (decode(code, 4, 3, true) + decode((code + 1) % 256, 4, 3, true)) / 2
      list[#list + 1] = middle
      list[#list + 1] = (decode(code, 5, 2) + decode((code + 1) % 256, 5, 2)) / 2
    end
    for _ = 1, 500 do list[#list + 1] = f32(random()) end
    for _ = 1, 500 do list[#list + 1] = f32((random() % 2 ^ 28 + 0x38000000) % 2 ^ 32) end
    return list
  end
  local function pair(x, y, name, bits) return nearest(x, formats[name]) + nearest(y, formats[name]) * 2 ^ bits end
  local function widened(pairs_of, exponent, mantissa, fn)
    return f16_code(decode(pairs_of % 256, exponent, mantissa, fn)) +
      f16_code(decode(math.floor(pairs_of / 256), exponent, mantissa, fn)) * 65536
  end
  -- To tf32, ties away from zero.
  local function tf32(x)
    if x ~= x then return 0x7fffe000 end -- seen on an H200; the PTX ISA says NaN
    if math.abs(x) == 1 / 0 then return f32_code(x) end
    return math.floor((f32_code(x) + 0x1000) % 2 ^ 32 / 0x2000) * 0x2000
  end

  it("round once, to nearest even, and widen exactly", function()
    local list = inputs()
    if #list % 2 == 1 then list[#list] = nil end
    local n, codes, two = #list / 2, {}, {}
    for i, x in ipairs(list) do codes[i] = f32_code(x) end
    for i = 1, n do two[i] = (i * 257 + i) % 65536 end
    each_device(function(device, name)
      local module = compiled(device, "ptx_layout.cu", {MMA = "mma_m16n8k16_bf16"})
      local out = pah.zeros({8 * n}, {dtype = "i32", device = device})
      local bits = words(codes, device)
      module:launch("convert", {grid = math.ceil(n / 32), block = 32}, bits:data(), words(two, device), out, n)
      local got = read(out)
      for i = 1, n do
        local a, b, at = list[2 * i - 1], list[2 * i], 8 * (i - 1)
        local want = {pair(a, b, "bf16", 16), pair(a, b, "f16", 16), pair(a, b, "e4m3", 8), pair(a, b, "e5m2", 8),
          widened(two[i], 4, 3, true), widened(two[i], 5, 2), tf32(a)}
        for k = 1, 7 do
          assert.equal(want[k], got[at + k], ("%s: %d of %g, %g, 0x%x"):format(name, k, a, b, two[i]))
        end
        local first, largest = math.floor((i - 1) / 32) * 32, 0
        for l = first + 1, math.min(first + 32, n) do largest = math.max(largest, two[l]) end
        assert.equal(largest, got[at + 8], name)
      end
    end)
  end)
end)
