-- tensor_spec.lua - constructors, properties, contents, copies and memory of tensors; views against
-- spec/support/model.lua over random shapes and strides (a failure tells the seed: PAH_SEED repeats a run).
-- Indexing is in index_spec.lua.
local ffi = require "ffi"
local model = require "spec.support.model"
local refused = require("spec.support.refused").here

local dtypes = {"f32", "f64", "f16", "bf16", "fp8_e4m3", "fp8_e5m2", "i32", "i64", "u8"}
local sizes = {f32 = 4, f64 = 8, f16 = 2, bf16 = 2, fp8_e4m3 = 1, fp8_e5m2 = 1, i32 = 4, i64 = 8, u8 = 1}

describe("constructors", function()
  it("give every dtype its size, strides and contents", function()
    for _, dtype in ipairs(dtypes) do
      local t = pah.full({2, 3}, 2, {dtype = dtype})
      assert.same({2, 3}, t.shape)
      assert.same({3, 1}, t.strides)
      assert.equal(dtype, t.dtype)
      assert.equal(6 * sizes[dtype], t.nbytes)
      assert.same({{2, 2, 2}, {2, 2, 2}}, t:totable())
      assert.same({{0, 0, 0}, {0, 0, 0}}, pah.zeros({2, 3}, {dtype = dtype}):totable())
      assert.same({{1}, {1}}, pah.ones({2, 1}, {dtype = dtype}):totable())
      assert.same({0, 1, 2, 3}, pah.arange(4, {dtype = dtype}):totable())
      assert.same({{1, 2}, {3, 4}}, pah.tensor({{1, 2}, {3, 4}}, {dtype = dtype}):totable())
    end
    assert.equal("f32", pah.empty({1}).dtype)
    assert.equal("cpu", pah.empty({1}, {device = "cpu"}).device.name)
    assert.same({5}, pah.zeros(5).shape)
  end)

  it("keep int64 exact beyond 2^53", function()
    local big = 9007199254740993LL
    local t = pah.tensor({big, -big, 9223372036854775807LL, 7}, {dtype = "i64"})
    local got = t:totable()
    assert.is_true(got[1] == big and got[2] == -big and got[3] == 9223372036854775807LL)
    assert.equal(7, got[4])
    assert.is_true(pah.full({2}, big, {dtype = "i64"}):get(2) == big)
    assert.is_true(pah.full({}, big, {dtype = "i64"}):item() == big)
    assert.same({0}, pah.full({0}, big, {dtype = "i64"}).shape)
    assert.same({5, 5}, pah.full({2}, 5LL):totable())
  end)

  it("refuse what makes no tensor", function()
    refused('zeros: unknown option "dtyp", did you mean "dtype"?', function() pah.zeros({1}, {dtyp = "f32"}) end)
    refused("empty: shape is a nil, must be a table of sizes", function() pah.empty() end)
    refused("empty: shape[2] is -1, must be a whole number >= 0", function() pah.empty {2, -1} end)
    refused("empty: shape[1] is 1.5, must be a whole number >= 0", function() pah.empty {1.5} end)
    refused("empty: shape has 9 dimensions, must have at most 8", function() pah.empty {1, 1, 1, 1, 1, 1, 1, 1, 1} end)
    refused("more than 2^53", function() pah.empty {2 ^ 40, 2 ^ 40} end)
    refused([[dtype: is "float", must be one of f32, f64, f16]], function() pah.empty({1}, {dtype = "float"}) end)
    refused("full: value is a string, must be a number", function() pah.full({1}, "x") end)
    refused("arange: n", function() pah.arange(1.5) end)
    refused("tensor: element[2] has 1, must have 2 elements like the first", function() pah.tensor {{1, 2}, {3}} end)
    refused("tensor: element[1][2] is a string, must be a number", function() pah.tensor {{1, "x"}} end)
    refused("from: ptr is a number, must be an FFI pointer", function() pah.from(1, {1}) end)
    refused("from: ptr is NULL", function() pah.from(ffi.cast("float *", nil), {1}) end)
    refused('no method or property "shap", did you mean "shape"?', function() return pah.zeros({1}).shap end)
  end)

  it("borrow memory at a pointer", function()
    local memory = ffi.new("float[6]", {1, 2, 3, 4, 5, 6})
    local t = pah.from(memory, {2, 3})
    assert.same({{1, 2, 3}, {4, 5, 6}}, t:totable())
    t:transpose(1, 2)[3] = 9
    assert.same({9, 9}, {memory[2], memory[5]})
    assert.is_true(t:data() == ffi.cast("float *", memory))
    t:free()
    assert.equal(9, memory[2])
  end)
end)

-- ---- Views against the model ------------------------------------------------------------------------------

-- One random view step on a tensor and its model.
local steps = {
  function(t, m, r) -- transpose
    local a, b = r(1, #m.shape), r(1, #m.shape)
    local shape, strides = {unpack(m.shape)}, {unpack(m.strides)}
    shape[a], shape[b], strides[a], strides[b] = shape[b], shape[a], strides[b], strides[a]
    return t:transpose(a, r(0, 1) == 0 and b or b - #m.shape - 1), model.view(m, shape, strides)
  end,
  function(t, m, r) -- permute
    local order, shape, strides = {}, {}, {}
    for i = 1, #m.shape do table.insert(order, r(1, i), i) end
    for i, d in ipairs(order) do shape[i], strides[i] = m.shape[d], m.strides[d] end
    return t:permute(order), model.view(m, shape, strides)
  end,
  function(t, m, r) -- narrow
    local d = r(1, #m.shape)
    local start = r(1, m.shape[d] + 1)
    local length = r(0, m.shape[d] - start + 1)
    if length == 0 and r(0, 3) > 0 then return t, m end
    local shape = {unpack(m.shape)}
    shape[d] = length
    return t:narrow(d, start, length), model.view(m, shape, m.strides, m.offset + (start - 1) * m.strides[d])
  end,
  function(t, m, r) -- select
    local d = r(1, #m.shape)
    if m.shape[d] == 0 or #m.shape == 1 then return t, m end
    local i = r(1, m.shape[d])
    local shape, strides = {unpack(m.shape)}, {unpack(m.strides)}
    table.remove(shape, d)
    table.remove(strides, d)
    return t:select(d, r(0, 1) == 0 and i or i - m.shape[d] - 1),
      model.view(m, shape, strides, m.offset + (i - 1) * m.strides[d])
  end,
  function(t, m, r) -- expand: a dimension in front, and sizes of 1 grown
    if #m.shape > 5 then return t, m end
    local sizes_, shape, strides = {r(1, 3)}, {}, {0}
    shape[1] = sizes_[1]
    for i, n in ipairs(m.shape) do
      local grown = n == 1 and r(1, 3) or n
      shape[i + 1], strides[i + 1] = grown, n == 1 and 0 or m.strides[i]
      sizes_[i + 1] = r(0, 1) == 0 and n ~= 1 and -1 or grown
    end
    return t:expand(sizes_), model.view(m, shape, strides)
  end,
}

-- A random tensor of a dtype and its model, of up to 4 dimensions, then up to 4 view steps.
local function random_view(r, dtype, step_count)
  local shape = {}
  for i = 1, r(1, 4) do shape[i] = r(0, 12) == 0 and 0 or r(1, 5) end
  local m = model.new(shape)
  local t = pah.arange(math.max(#m.memory + 1, 1), {dtype = dtype})
  if model.values(m)[1] == nil then t = pah.empty(shape, {dtype = dtype}) else t = t:view(shape) end
  for _ = 1, step_count do t, m = steps[r(1, #steps)](t, m, r) end
  return t, m
end

describe("views", function()
  it("are those of the model, and so are reshapes and clones of them", function()
    for trial = 1, 400 do
      local r = model.random(trial)
      local t, m = random_view(r, "f64", r(0, 4))
      local note = ("seed %d trial %d"):format(model.seed, trial)
      local want = model.values(m)
      assert.same(m.shape, t.shape, note)
      assert.equal(#want, t:numel(), note)
      assert.same(want, model.flat(t:totable()), note)
      local c = t:clone()
      assert.is_true(c:is_contiguous(), note)
      assert.same(want, model.flat(c:totable()), note)
      assert.equal(t:is_contiguous(), t:contiguous():data() == t:data() or #want == 0, note)
      local whole = t:reshape(-1)
      assert.same({#want}, whole.shape, note)
      assert.same(want, model.flat(whole:totable()), note)
      if #want > 0 then
        local even = #want % 2 == 0 and {2, 1, #want / 2} or {1, #want}
        assert.same(want, model.flat(t:reshape(even):totable()), note)
        local ok, v = pcall(t.view, t, even)
        if ok then
          assert.same(want, model.flat(v:totable()), note)
          assert.is_true(v:data() == t:data(), note)
        else
          assert.is_false(t:is_contiguous(), note)
        end
      end
    end
  end)

  it("join and split dimensions without a copy where the strides allow it", function()
    local t = pah.arange(24):view(2, 3, 4)
    assert.same({4, 1}, t:view(6, 4).strides)
    assert.same({12, 2, 1}, t:narrow(2, 1, 2):view(2, 4, 2).strides)
    assert.same({1, 4}, t:select(1, 2):transpose(1, 2):view(4, 3).strides)
    refused("view: needs a copy for these strides, use reshape", function() t:transpose(1, 2):view(24) end)
    refused("view: [5, 5] has 25 elements, the tensor has 24", function() t:view(5, 5) end)
    refused("view: sizes 1 and 3 are both -1, only one may be", function() t:view(-1, 2, -1) end)
    refused("view", function() t:view(-1, 7) end)
  end)

  it("share memory that lives as long as the last of them", function()
    local before = pah.device("cpu"):memory()
    local t = pah.arange(1000)
    local row = t:view(10, 100)[3]
    t:free()
    collectgarbage()
    assert.equal(250, row:get(51))
    row:fill(1)
    row:free()
    collectgarbage()
    collectgarbage()
    local after = pah.device("cpu"):memory()
    assert.is_true(after.buffers <= before.buffers and after.bytes <= before.bytes)
  end)

  it("refuse dimensions and sizes outside", function()
    local t = pah.zeros {2, 3}
    refused("transpose: dimension is 3, must be 1 to 2", function() t:transpose(1, 3) end)
    refused("permute: names 1 dimensions, must name all 2", function() t:permute(1) end)
    refused("permute: dimension 1 is named twice", function() t:permute(1, -2) end)
    refused("narrow: elements 3 to 4 of dimension 2 are outside 1 to 3", function() t:narrow(2, 3, 2) end)
    refused("narrow: start: is 1.5, must be a whole number", function() t:narrow(2, 1.5, 1) end)
    refused("select: index 4 of dimension 2 is outside 1 to 3", function() t:select(2, 4) end)
    refused("select: index 0 of dimension 1 is outside 1 to 2", function() t:select(1, 0) end)
    refused("expand: size 2 is 4, must be 3 or that size must be 1", function() t:expand(2, 4) end)
    refused("expand: names 1 sizes, must name at least 2", function() t:expand(2) end)
    refused("size: dimension is 0, must be 1 to 2", function() t:size(0) end)
  end)
end)

-- ---- Contents ---------------------------------------------------------------------------------------------

describe("copies", function()
  it("of random views into random views of another dtype write the model's elements and no other", function()
    for trial = 1, 300 do
      local r = model.random(10000 + trial)
      local note = ("seed %d trial %d"):format(model.seed, trial)
      local src, m = random_view(r, dtypes[r(1, #dtypes)], r(0, 4))
      local values = model.values(m)
      local exact = src:to("f64") -- what the source's dtype made of them
      for i, x in ipairs(model.flat(exact:totable())) do
        if src.dtype == "f64" or src.dtype == "i64" or src.dtype == "i32" then assert.equal(values[i], x, note) end
      end
      -- the destination: every second element of a larger tensor, its dimensions stored in another order
      local n = #m.shape
      local order, inverse, wide = {}, {}, {}
      for i = 1, n do table.insert(order, r(1, i), i) end
      for i, d in ipairs(order) do
        wide[i], inverse[d] = m.shape[d] * 2 + 1, i
      end
      local dtype = dtypes[r(1, #dtypes)]
      local store = pah.full(wide, 3, {dtype = dtype})
      local dst = store
      for i = 1, n do
        dst = dst:narrow(i, 2, m.shape[order[i]])
      end
      dst = dst:permute(inverse)
      dst:copy(src)
      assert.same(exact:to(dtype):totable(), dst:totable(), note)
      dst:fill(3)
      assert.is_true(pah.allclose(store, pah.full(wide, 3), {rtol = 0, atol = 0}), note)
    end
  end)

  it("within one buffer are as if the source had been copied first", function()
    for trial = 1, 200 do
      local r = model.random(20000 + trial)
      local note = ("seed %d trial %d"):format(model.seed, trial)
      local n = r(1, 6)
      local t = pah.arange(n * n + 20)
      local a, b = r(1, 20), r(1, 20)
      local src, dst = t:narrow(1, a, n * n):view(n, n), t:narrow(1, b, n * n):view(n, n)
      if r(0, 1) == 0 then src = src:transpose(1, 2) end
      if r(0, 1) == 0 then dst = dst:transpose(1, 2) end
      local want = src:totable()
      dst:copy(src)
      assert.same(want, dst:totable(), note)
    end
  end)

  it("refuse another shape, and what is no tensor", function()
    local t = pah.zeros {2, 3}
    refused("copy: src has shape [3, 2], must have [2, 3]", function() t:copy(pah.zeros {3, 2}) end)
    refused("copy: src: is a number, must be a tensor", function() t:copy(1) end)
    refused("fill: value is a string, must be a number", function() t:fill("1") end)
    refused("tensor: has 6 elements, must have 1", function() t:item() end)
    refused("to: needs a dtype or a device", function() t:to() end)
    refused('to: unknown option "dtypes", did you mean "dtype"?', function() t:to {dtypes = "f32"} end)
    refused('"f33" is not a device, must be cpu', function() t:to("f33") end)
  end)

  it("convert as to() does, and to() is the tensor itself where nothing changes", function()
    local t = pah.tensor({-1.7, 1.7, 300, 0 / 0}, {dtype = "f32"})
    assert.is_true(t:to("f32"):data() == t:data())
    assert.is_true(t:to("cpu"):data() == t:data())
    assert.same({-1, 1, 300, 0}, t:to("i32"):totable())
    assert.same({0, 1, 255, 0}, t:to("u8"):totable())
    assert.same({448, 1.75}, pah.tensor({1e9, 1.7}):to("fp8_e4m3"):totable())
    assert.equal("i64", t:to({dtype = "i64", device = "cpu"}).dtype)
  end)
end)

describe("tensors of no element and of no dimension", function()
  it("are legal everywhere", function()
    for _, dtype in ipairs(dtypes) do
      local s = pah.full({}, 3, {dtype = dtype})
      assert.same({}, s.shape)
      assert.equal(1, s:numel())
      assert.equal(3, s:item())
      assert.equal(3, s:totable())
      assert.equal(3, s:clone():get())
      assert.same({{3, 3}}, s:expand(1, 2):totable())
      assert.same({1, 1}, s:view(1, 1).shape)
      assert.equal(5, s:set(5):item())
      assert.equal(5, pah.tensor(5, {dtype = dtype}):item())
      local z = pah.empty({3, 0, 2}, {dtype = dtype})
      assert.equal(0, z:numel())
      assert.equal(0, z.nbytes)
      assert.same({{}, {}, {}}, z:totable())
      assert.same({0, 6}, z:view(0, 6).shape)
      assert.same({2, 0, 3}, z:transpose(1, 3):clone().shape)
      assert.same({0, 2}, z[2].shape)
      assert.same({3, 0, 1}, z:narrow(3, 2, 1):fill(1).shape)
      assert.is_true(pah.allclose(z, z:to("f64")))
      assert.is_true(z:is_contiguous())
    end
  end)
end)

describe("memory", function()
  it("is counted, and free gives it back at once", function()
    collectgarbage()
    collectgarbage()
    local dev = pah.device "cpu"
    local before = dev:memory()
    local t = pah.empty {1000}
    assert.equal(before.bytes + 4000, dev:memory().bytes)
    assert.equal(before.buffers + 1, dev:memory().buffers)
    assert.is_true(dev:memory().peak_bytes >= before.bytes + 4000)
    t:free()
    assert.equal(before.bytes, dev:memory().bytes)
    for _ = 1, 10 do pah.empty({1000}):view(10, 100):transpose(1, 2) end
    collectgarbage()
    collectgarbage()
    assert.equal(before.bytes, dev:memory().bytes)
    assert.equal(before.buffers, dev:memory().buffers)
  end)

  it("of a freed tensor cannot be used", function()
    local t = pah.zeros {2}
    t:free()
    t:free()
    assert.equal("[freed tensor]", tostring(t))
    refused("fill: the tensor was freed", function() t:fill(1) end)
    refused("shape: the tensor was freed", function() return t.shape end)
    refused("index: the tensor was freed", function() return t[1] end)
    refused("the tensor was freed", function() t[1] = 1 end)
    refused("the tensor was freed", function() return #t end)
    refused("copy: src: the tensor was freed", function() pah.zeros({2}):copy(t) end)
    refused("allclose: a: the tensor was freed", function() pah.allclose(t, t) end)
  end)
end)

describe("comparison", function()
  it("follows |a - b| <= atol + rtol |b|", function()
    local a, b = pah.tensor {1, 2, 3}, pah.tensor {1, 2.5, 3}
    local ok, report = pah.allclose(a, b)
    assert.is_false(ok)
    assert.equal(1, report.mismatched)
    assert.same({2}, report.argmax)
    assert.same({2}, report.first_mismatch)
    local some = pah.diff(pah.tensor {1, 2.5, 3}, pah.tensor {1, 2, 3})
    assert.equal("max abs 0.5, max rel 0.25, rms 0.289, largest at [2], 1 of 3 differ, first at [2]", tostring(some))
    assert.is_nil(tostring(pah.diff(pah.ones {2}, pah.zeros {2})):find "differ") -- all do: rounding, which says nothing
    assert.equal("1 of 3 mismatched, first at [2]; max abs 0.5, max rel 0.2, rms 0.289, largest at [2]",
      tostring(report))
    assert.is_true(pah.allclose(a, b, {rtol = 0, atol = 0.5}))
    assert.is_true(pah.allclose(a, b, {rtol = 0.2, atol = 0}))
    assert.is_false(pah.allclose(a, b, {rtol = 0.1999, atol = 0}))
  end)

  it("takes equal infinities as close and NaN never", function()
    local inf, nan = math.huge, 0 / 0
    local a = pah.tensor {{inf, -inf, 1}, {nan, inf, 1}}
    assert.is_true(pah.allclose(a[1], a[1]))
    assert.is_false(pah.allclose(a, a))
    local d = pah.diff(a, pah.tensor {{inf, inf, 2}, {nan, 0, 1}})
    assert.equal(1, d.nan)
    assert.equal(3 + 1, d.mismatched)
    assert.equal(1, d.max_abs)
    assert.equal(0.5, d.max_rel)
    assert.same({1, 3}, d.argmax)
    assert.equal(math.sqrt(1 / 2), d.rms)
  end)

  it("compares views and dtypes, and refuses shapes and tolerances", function()
    local a = pah.arange(6):view(2, 3)
    assert.is_true(pah.allclose(a:transpose(1, 2), pah.tensor({{0, 3}, {1, 4}, {2, 5}}, {dtype = "i32"})))
    refused("allclose: a has shape [2, 3], b has [3, 2], must be equal",
      function() pah.allclose(a, pah.zeros {3, 2}) end)
    refused("allclose: atol is -1, must be a number >= 0", function() pah.allclose(a, a, {atol = -1}) end)
    refused("allclose: rtol is nan, must be a number >= 0", function() pah.allclose(a, a, {rtol = 0 / 0}) end)
    refused("diff: b: is a nil, must be a tensor", function() pah.diff(a) end)
  end)
end)

describe("data", function()
  it("is a typed pointer to the view's first element", function()
    local types = {f32 = "float", f64 = "double", f16 = "uint16_t", bf16 = "uint16_t", fp8_e4m3 = "uint8_t",
      fp8_e5m2 = "uint8_t", i32 = "int32_t", i64 = "int64_t", u8 = "uint8_t"}
    local ones = {f16 = 0x3c00, bf16 = 0x3f80, fp8_e4m3 = 0x38, fp8_e5m2 = 0x3c}
    for _, dtype in ipairs(dtypes) do
      local t = pah.tensor({0, 1}, {dtype = dtype})
      assert.is_true(ffi.istype(types[dtype] .. " *", t:data()))
      assert.equal(ones[dtype] or 1, tonumber(t:narrow(1, 2, 1):data()[0]))
    end
  end)
end)
