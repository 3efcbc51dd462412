-- ptx_hopper_spec.lua - wgmma (every kind, N, swizzle and orientation) and bulk tensor copies (1 to 5 dimensions, every
-- swizzle, boxes over the edge) against the layouts of the PTX ISA; on sim, and on cuda where there is an sm_90.
local bit = require "bit"
local ffi = require "ffi"
local ptx = require "spec.support.gpu.ptx"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local forms, element = ptx.forms, ptx.element

local function swizzled(offset, span) -- span: bytes in a row of the swizzle; 0: none
  if span == 0 then return offset end
  return bit.bxor(offset, bit.lshift(bit.band(bit.rshift(offset, 7), span / 16 - 1), 4))
end

-- ---- wgmma ---------------------------------------------------------------------------------------------------

-- Operand layouts, by the table "canonical layouts": byte offset of element (mn, k), and the descriptor.
local modes = {[0] = 0, [128] = 1, [64] = 2, [32] = 3}
local function layout(o)
  local size, floor = o.size, math.floor
  local per = 16 / size -- elements in a chunk
  local function plain(mn, k)
    if not o.trans then
      if o.span == 0 then
        return mn % 8 * 16 + floor(mn / 8) * o.stride + k % per * size + floor(k / per) * o.leading
      end
      return mn % 8 * o.span + floor(mn / 8) * o.stride + k * size
    elseif o.span == 0 then
      return mn % per * size + floor(mn / per) * o.stride + k % 8 * 16 + floor(k / 8) * o.leading
    end
    local row = o.span / size
    return mn % row * size + floor(mn / row) * o.leading + k % 8 * o.span + floor(k / 8) * o.stride
  end
  local encode = ffi.cast("uint64_t", o.start / 16) + ffi.cast("uint64_t", o.leading / 16) * 2ULL^16 +
    ffi.cast("uint64_t", o.stride / 16) * 2ULL ^ 32 + ffi.cast("uint64_t", modes[o.span]) * 2ULL ^ 62
  return function(mn, k) return swizzled(o.start + plain(mn, k), o.span) end, encode
end

-- Strides that leave no element in the place of another, for `rows` rows of 32 bytes of k.
local function operand(o)
  local span = o.span == 0 and 16 or o.span
  if not o.trans then
    o.leading = o.span == 0 and 128 or 16
    o.stride = o.span == 0 and 256 or 8 * span
  else
    local groups = o.rows * o.size / span
    o.leading = o.span == 0 and 128 * math.ceil(groups) or 8 * span * 2
    o.stride = o.span == 0 and 128 or 8 * span
    if o.span ~= 0 then o.bytes = math.ceil(groups) * o.leading end
  end
  o.bytes = o.bytes or math.max(o.rows * math.max(span, 32), 2048)
  return o
end

-- Rows x k codes of random simple numbers.
local function matrix(random, form, rows)
  local m, per = {}, 32 / forms[form].bits
  for row = 0, rows - 1 do
    m[row] = {}
    for w = 0, 7 do
      local register = ptx.simple(random, form)
      for e = 0, per - 1 do m[row][w * per + e] = element(register, e, forms[form].bits) end
    end
  end
  return m
end

local function place(image, o, codes)
  local offset, descriptor = layout(o)
  local bytes = ffi.cast("uint8_t *", image)
  for mn = 0, o.rows - 1 do
    for k = 0, 32 / o.size - 1 do
      local at = offset(mn, k)
      for b = 0, o.size - 1 do bytes[at + b] = bit.band(bit.rshift(codes[mn][k], 8 * b), 255) end
    end
  end
  return descriptor
end

local function values(codes, form)
  local m = {}
  for row, list in pairs(codes) do
    m[row] = {}
    for k, code in pairs(list) do m[row][k] = forms[form].value(code) end
  end
  return m
end

-- The sums that each thread must hold: row and column of sum i by the figure for D of wgmma.
local function expected(c, a, b, n, depth, sign)
  local d = {}
  for thread = 0, 127 do
    local lane = thread % 32
    for i = 0, n / 2 - 1 do
      local row = 16 * math.floor(thread / 32) + math.floor(lane / 4) + 8 * (math.floor(i / 2) % 2)
      local column = 8 * math.floor(i / 4) + 2 * (lane % 4) + i % 2
      local at = thread * n / 2 + i + 1
      local sum, ra, rb = c and ptx.f32(c[at]) or 0, a[row], b[column]
      for k = 0, depth - 1 do sum = sum + sign * ra[k] * rb[k] end
      d[at] = ptx.f32_code(sum)
    end
  end
  return d
end

-- A of registers: as for mma.sync, 16 rows per warp.
local function registers(codes, bits)
  local list, per = {}, 32 / bits
  for thread = 0, 127 do
    local g, t = math.floor(thread % 32 / 4), thread % 4
    for i = 0, 3 do
      local row, register = 16 * math.floor(thread / 32) + g + 8 * (i % 2), 0
      for e = 0, per - 1 do
        register = register + codes[row][(t + 4 * math.floor(i / 2)) * per + e] * 2 ^ (bits * e)
      end
      list[#list + 1] = register
    end
  end
  return list
end

local names = {bf16 = "BF16", f16 = "F16", tf32 = "TF32"}
local function kind_of(fa, fb)
  return "WGMMA_" .. (names[fa] or (fa:upper() .. "_" .. fb:upper()))
end

local function kernel_of(case)
  return ("multiply<%s, %d, %d, %d, %d, %d, %d>"):format(kind_of(case.a, case.b), case.n, case.trans_a and 1 or 0,
    case.trans_b and 1 or 0, case.negate_a and -1 or 1, case.negate_b and -1 or 1, case.registers and 1 or 0)
end

local function run(device, module, case)
  local random = ptx.stream(case.seed)
  local size = forms[case.a].bits / 8
  local a = operand{rows = 64, size = size, span = case.span_a, trans = case.trans_a, start = 0}
  local b = operand{rows = case.n, size = size, span = case.span_b, trans = case.trans_b}
  b.start = math.ceil(a.bytes / 1024) * 1024
  a.start, b.start = a.start + (case.advance or 0), b.start + (case.advance or 0)
  local bytes = b.start + math.ceil(b.bytes / 1024) * 1024
  local image = pah.zeros({bytes / 4}, {dtype = "i32"})
  local a_codes, b_codes = matrix(random, case.a, 64), matrix(random, case.b, case.n)
  local a_descriptor, b_descriptor = place(image:data(), a, a_codes), place(image:data(), b, b_codes)
  local c = {}
  for i = 1, 64 * case.n do c[i] = ptx.f32_code(i % 17 - 8) end
  local d, sums = pah.zeros({#c}, {device = device}), ptx.words(c, device) -- bits of f32, as i32
  module:launch(kernel_of(case), {grid = 1, block = 128, shared = bytes}, image:to(device), bytes / 4, a_descriptor,
    b_descriptor, ptx.words(registers(a_codes, 8 * size), device), sums:data(), d,
    case.overwrite and 0 or 1)
  local sign = (case.negate_a and -1 or 1) * (case.negate_b and -1 or 1)
  local want = expected(not case.overwrite and c, values(a_codes, case.a), values(b_codes, case.b), case.n,
    32 / size, sign)
  assert.same(want, ptx.read(d), ("%s %s spans %d %d"):format(device.name, kernel_of(case), case.span_a, case.span_b))
end

local function run_all(cases)
  ptx.each_device(function(device)
    local wanted, seen = {}, {}
    for i, case in ipairs(cases) do
      case.seed, case.span_a, case.span_b = i, case.span_a or 128, case.span_b or 128
      if not seen[kernel_of(case)] then wanted[#wanted + 1] = kernel_of(case) end
      seen[kernel_of(case)] = true
    end
    local module = ptx.compiled(device, "ptx_hopper.cu", nil, wanted)
    for _, case in ipairs(cases) do run(device, module, case) end
  end, true)
end

describe("ptx wgmma", function()
  it("of every N", function()
    local cases = {}
    for n = 8, 256, 8 do cases[#cases + 1] = {a = "bf16", b = "bf16", n = n} end
    run_all(cases)
  end)

  it("of every kind and swizzle, A from shared memory and from registers", function()
    local cases = {}
    for _, kind in ipairs {{"bf16", "bf16"}, {"f16", "f16"}, {"tf32", "tf32"}, {"e4m3", "e4m3"}, {"e5m2", "e5m2"},
      {"e4m3", "e5m2"}, {"e5m2", "e4m3"}} do
      for i, span in ipairs {0, 32, 64, 128} do
        local other = ({128, 0, 32, 64})[i]
        cases[#cases + 1] = {a = kind[1], b = kind[2], n = 40, span_a = span, span_b = other}
        cases[#cases + 1] = {a = kind[1], b = kind[2], n = 40, span_b = span, registers = true, overwrite = i == 2}
      end
    end
    run_all(cases)
  end)

  it("of 16-bit operands stored with k outermost", function()
    local cases = {}
    for _, span in ipairs {0, 32, 64, 128} do
      for _, kind in ipairs {"bf16", "f16"} do
        cases[#cases + 1] = {a = kind, b = kind, n = 128, span_a = span, trans_a = true}
        cases[#cases + 1] = {a = kind, b = kind, n = 128, span_b = span, trans_b = true}
        cases[#cases + 1] = {a = kind, b = kind, n = 128, span_a = span, span_b = span, trans_a = true, trans_b = true}
        cases[#cases + 1] = {a = kind, b = kind, n = 128, span_b = span, trans_b = true, registers = true}
      end
    end
    run_all(cases)
  end)

  it("of the later parts of a swizzled row, and with signs", function()
    local cases = {}
    for _, negate in ipairs {{true, false}, {false, true}, {true, true}} do
      cases[#cases + 1] = {a = "bf16", b = "bf16", n = 64, negate_a = negate[1], negate_b = negate[2]}
    end
    for advance = 32, 96, 32 do cases[#cases + 1] = {a = "bf16", b = "bf16", n = 64, advance = advance} end
    cases[#cases + 1] = {a = "e4m3", b = "e4m3", n = 64, span_a = 64, span_b = 64, advance = 32}
    run_all(cases)
  end)
end)

-- ---- Bulk copies -----------------------------------------------------------------------------------------------

describe("ptx bulk copies", function()
  -- Shapes outermost first, coordinates innermost first, as kernels take them.
  local cases = {
    {shape = {100}, box = {64}, at = {24}},
    {shape = {100}, box = {64}, at = {56}}, {shape = {100}, box = {64}, at = {-8}},
    {shape = {30, 64}, box = {16, 32}, at = {16, 7}, swizzle = 64},
    {shape = {30, 64}, box = {16, 64}, at = {0, 20}, swizzle = 128},
    {shape = {30, 64}, box = {16, 64}, at = {-8, -5}, swizzle = 128},
    {shape = {30, 64}, box = {16, 16}, at = {56, 3}, swizzle = 32},
    {shape = {30, 64}, box = {8, 32}, at = {8, 0}, swizzle = 128},
    {shape = {30, 64}, box = {16, 64}, at = {64, 0}},
    {shape = {5, 6, 64}, box = {2, 4, 64}, at = {0, 4, 3}, swizzle = 128},
    {shape = {5, 6, 64}, box = {2, 4, 24}, at = {8, -1, 4}},
    {shape = {5, 6, 64}, box = {2, 4, 24}, at = {8, 1, 4}, swizzle = 128},
    {shape = {5, 6, 64}, box = {2, 4, 24}, at = {40, 3, 0}, swizzle = 64},
    {shape = {3, 4, 5, 16}, box = {2, 3, 2, 16}, at = {0, 4, 2, -1}, swizzle = 32},
    {shape = {3, 2, 4, 5, 16}, box = {2, 2, 3, 2, 8}, at = {8, 4, 2, -1, 2}},
    {shape = {3, 2, 4, 5, 16}, box = {2, 2, 3, 2, 8}, at = {8, 4, 2, 1, 2}},
  }
  for _, case in ipairs(cases) do
    case.swizzle = case.swizzle or 0
    case.row = case.box[#case.box] * 2
    case.pitch = case.swizzle > 0 and case.swizzle or case.row -- with a swizzle, a row takes a whole span
    for _, x in ipairs(case.at) do case.negative = case.negative or x < 0 end -- loads only
  end

  local stored = {}
  for _, case in ipairs(cases) do stored[#stored + 1] = not case.negative and case or nil end

  -- Where the element at a position of the packed box lies in shared memory, in elements.
  local function place_of(case, position)
    local bytes = position * 2
    return swizzled(math.floor(bytes / case.row) * case.pitch + bytes % case.row, case.swizzle) / 2
  end

  -- Calls f(position in the packed box, linear index in the tensor or nil) for every element of the box.
  local function each_element(case, f)
    local rank, index = #case.shape, {}
    local function descend(dimension, position, linear)
      if dimension > rank then
        f(position, linear)
        return
      end
      for i = 0, case.box[dimension] - 1 do
        index[dimension] = i + case.at[rank + 1 - dimension]
        local inside = linear and index[dimension] >= 0 and index[dimension] < case.shape[dimension]
        descend(dimension + 1, position * case.box[dimension] + i,
          inside and linear * case.shape[dimension] + index[dimension] or nil)
      end
    end
    descend(1, 0, 0)
  end

  local function size_of(list)
    local n = 1
    for _, x in ipairs(list) do n = n * x end
    return n
  end

  local function coordinates(case)
    local c = {}
    for i = 1, 5 do c[i] = case.at[i] or 0 end
    return unpack(c, 1, 5)
  end

  local function map_of(t, case) return pah.tensor_map(t, {box = case.box, swizzle = case.swizzle}) end

  local function halves(t)
    local host = t:to(pah.device "cpu")
    return host, ffi.cast("uint16_t *", host:data())
  end

  it("put every element of a box at its place in shared memory", function()
    ptx.each_device(function(device)
      local module = ptx.compiled(device, "ptx_hopper.cu")
      for n, case in ipairs(cases) do
        local elements = size_of(case.shape)
        local count = size_of(case.box) * case.pitch / case.row
        local host = pah.empty(case.shape, {dtype = "bf16"})
        local data = ffi.cast("uint16_t *", host:data())
        for i = 0, elements - 1 do data[i] = i + 1 end
        local t = host:to(device)
        local out = pah.zeros({count / 2}, {dtype = "i32", device = device})
        local x, y, z, u, v = coordinates(case)
        module:launch("load_box", {grid = 1, block = 32, shared = count * 2}, map_of(t, case), #case.shape, x, y, z,
          u, v, out, count / 2, size_of(case.box) * 2)
        local keep, got = halves(out)
        each_element(case, function(position, linear)
          local at = place_of(case, position)
          local want = linear and linear + 1 or 0
          assert.equal(want, got[at], ("%s: case %d, element %d"):format(device.name, n, position))
        end)
        assert.is_truthy(keep)
      end
    end, true)
  end)

  it("write a box back, and nothing outside the tensor", function()
    ptx.each_device(function(device)
      local module = ptx.compiled(device, "ptx_hopper.cu")
      for n, case in ipairs(stored) do
        local elements = size_of(case.shape)
        local count = size_of(case.box) * case.pitch / case.row
        local image, want = {}, {}
        for i = 1, count / 2 do image[i] = (2 * i - 1) + 2 * i * 65536 end
        for i = 0, elements - 1 do want[i] = 0 end
        local t = pah.zeros(case.shape, {dtype = "bf16", device = device})
        local x, y, z, u, v = coordinates(case)
        module:launch("store_box", {grid = 1, block = 32, shared = count * 2}, map_of(t, case), #case.shape, x, y, z,
          u, v, ptx.words(image, device), count / 2)
        each_element(case, function(position, linear)
          if linear then want[linear] = place_of(case, position) + 1 end
        end)
        local keep, got = halves(t)
        for i = 0, elements - 1 do
          assert.equal(want[i], got[i], ("%s: case %d, element %d"):format(device.name, n, i))
        end
        assert.is_truthy(keep)
      end
    end, true)
  end)

  it("are refused where a GPU stops: inside 16 bytes, and stores at negative coordinates", function()
    local sim = pah.device "sim:sm_90a"
    local module = ptx.compiled(sim, "ptx_hopper.cu")
    local t = pah.zeros({30, 64}, {dtype = "bf16", device = sim})
    local map = pah.tensor_map(t, {box = {8, 64}})
    local function codes(kernel, x, y, ...)
      local options = {block = 32, shared = 1024, on_finding = "report"}
      local report = module:launch(kernel, options, map, 2, x, y, 0, 0, 0, ...)
      return report.findings[1] and report.findings[1].code
    end
    local words = pah.zeros({256}, {dtype = "i32", device = sim})
    assert.equal("misaligned", codes("load_box", 3, 0, words, 256, 1024))
    assert.equal("misaligned", codes("store_box", 4, 0, words, 256))
    assert.is_nil(codes("load_box", -8, -5, words, 256, 1024))
    assert.equal("bad-operand", codes("store_box", 0, -1, words, 256))
    assert.is_nil(codes("store_box", 8, 25, words, 256))
  end)

  it("move plain bytes both ways", function()
    ptx.each_device(function(device)
      local list = {}
      for i = 1, 1024 do list[i] = i * 3 end
      local out = pah.zeros({1024}, {dtype = "i32", device = device})
      ptx.compiled(device, "ptx_hopper.cu"):launch("bulk_copy", {grid = 1, block = 32, shared = 4096},
        ptx.words(list, device), out, 1024)
      list[1] = 4
      assert.same(list, ptx.read(out))
    end, true)
  end)
end)
