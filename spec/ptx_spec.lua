-- ptx_spec.lua - the instructions of a warp in kernels/ptx.cuh: layouts of registers against the formulas of the PTX
-- ISA, element by element, and arithmetic on random bits against a decoder of its own; on sim, and on cuda where there
-- is a GPU.
local bit = require "bit"
local ffi = require "ffi"
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift

local include = {"kernels"}

-- ---- Numbers -------------------------------------------------------------------------------------------------

local word = ffi.new "union { float f; uint32_t u; int32_t i; }"
local function f32(code)
  if code % 2 ^ 31 > 0x7f800000 then return 0 / 0 end -- LuaJIT must not see the payload of a NaN
  word.u = code
  return tonumber(word.f)
end
local function f32_code(x)
  if x ~= x then return 0x7fffffff end
  word.f = x
  return tonumber(word.u)
end

-- The value of a code: sign, exponent, mantissa. `fn`: the top exponent is numbers too, but for the last code.
local function decode(code, exponent_bits, mantissa_bits, fn)
  local top = lshift(1, exponent_bits) - 1
  local exponent, mantissa = band(rshift(code, mantissa_bits), top), band(code, lshift(1, mantissa_bits) - 1)
  local sign = band(rshift(code, exponent_bits + mantissa_bits), 1) == 1 and -1 or 1
  local bias = rshift(top, 1)
  if fn and exponent == top and mantissa == lshift(1, mantissa_bits) - 1 then return 0 / 0 end
  if not fn and exponent == top then return mantissa ~= 0 and 0 / 0 or sign / 0 end
  if exponent == 0 then return sign * mantissa * 2 ^ (1 - bias - mantissa_bits) end
  return sign * (mantissa + 2 ^ mantissa_bits) * 2 ^ (exponent - bias - mantissa_bits)
end
local forms = {
  bf16 = {bits = 16, value = function(c) return decode(c, 8, 7) end},
  f16 = {bits = 16, value = function(c) return decode(c, 5, 10) end},
  tf32 = {bits = 32, value = function(c) return f32(band(c, -8192) % 2 ^ 32) end},
  e4m3 = {bits = 8, value = function(c) return decode(c, 4, 3, true) end},
  e5m2 = {bits = 8, value = function(c) return decode(c, 5, 2) end},
  s8 = {bits = 8, value = function(c) return c < 128 and c or c - 256 end},
}

-- To f16, to nearest even, by looking at both neighbours.
local function f16_code(x)
  if x ~= x then return 0x7fff end
  local sign, magnitude = (x < 0 or 1 / x < 0) and 0x8000 or 0, math.abs(x)
  if magnitude >= 65520 then return sign + 0x7c00 end
  local low, high = 0, 0x7bff
  while low < high do -- the largest code whose value is at most x
    local middle = math.ceil((low + high) / 2)
    if decode(middle, 5, 10) <= magnitude then low = middle else high = middle - 1 end
  end
  local below, above = decode(low, 5, 10), low == 0x7bff and 65536 or decode(low + 1, 5, 10)
  local up = magnitude - below > above - magnitude or (magnitude - below == above - magnitude and low % 2 == 1)
  return sign + low + (up and 1 or 0)
end

-- A stream of random 32-bit words.
local function stream(seed)
  local state = seed
  return function()
    state = (state * 1103515245 + 12345) % 2 ^ 31
    local high = math.floor(state / 2 ^ 15)
    state = (state * 1103515245 + 12345) % 2 ^ 31
    return high * 2 ^ 16 + math.floor(state / 2 ^ 15)
  end
end

-- ---- Devices -------------------------------------------------------------------------------------------------

local function words(list, device)
  local t = pah.empty({#list}, {dtype = "i32"})
  local data = ffi.cast("uint32_t *", t:data())
  for i, x in ipairs(list) do data[i - 1] = x end
  return t:to(device)
end
local function read(t)
  local host, list = t:to(pah.device "cpu"), {}
  local data = ffi.cast("uint32_t *", host:data())
  for i = 1, host:numel() do list[i] = tonumber(data[i - 1]) end
  return list
end

local devices = {}
for _, d in ipairs(pah.devices()) do
  if d.usable and d.name:match "^cuda" then devices[#devices + 1] = d.name end
end
devices[#devices + 1] = "sim:sm_90a"

local function each_device(f)
  for _, name in ipairs(devices) do f(pah.device(name), name) end
end
local modules = {}
local function compiled(device, file, defines)
  local key = device.name .. file
  for k, v in pairs(defines or {}) do key = key .. k .. tostring(v) end
  modules[key] = modules[key] or device:compile{source = "spec/kernels/" .. file, include = include, defines = defines}
  return modules[key]
end

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

local function element(register, e, bits)
  if bits == 32 then return register end
  return math.floor(register / 2 ^ (bits * e)) % 2 ^ bits
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
  -- Small numbers: exponents near 1 so that sums are exact on any hardware; else any bits at all.
  local function operand(random, form, exact)
    local w = random()
    if not exact then return w end
    if form == "tf32" then return bor(band(w, 0x8000e000), 0x3f800000) % 2 ^ 32 end
    if form == "bf16" then return bor(band(w, 0x80708070), 0x3f803f80) % 2 ^ 32 end
    if form == "f16" then return bor(band(w, 0x83008300 - 2 ^ 32), 0x3c003c00) % 2 ^ 32 end
    if form == "e4m3" then return bor(band(w, 0x87878787 - 2 ^ 32), 0x38383838) % 2 ^ 32 end
    if form == "e5m2" then return bor(band(w, 0x83838383 - 2 ^ 32), 0x3c3c3c3c) % 2 ^ 32 end
    return w
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
