-- sim_cuda_spec.lua - ordinary CUDA C++ kernels (spec/kernels/cuda_plain.cu) on sim: results against plain loops in
-- Lua, and no finding in any schedule.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local function near(expected, actual, tolerance, what)
  local error_is_small = math.abs(expected - actual) <= tolerance -- false of NaN
  if not error_is_small then
    error(("%s: %.9g instead of %.9g"):format(what, actual, expected), 2)
  end
end

describe("sim CUDA", function()
  local device, module
  setup(function()
    device = pah.device "sim"
    module = device:compile{source = "spec/kernels/cuda_plain.cu"}
  end)

  local function rand(shape, dtype) return pah.rand(shape, {seed = 7}):to(dtype or "f32"):to(device) end
  local function zeros(shape, dtype) return pah.zeros(shape, {dtype = dtype or "f32", device = device}) end

  -- One kernel in the three schedules: `prepare` gives grid, block, shared and the arguments, `check` sees them.
  local function kernel(name, prepare, check)
    for _, schedule in ipairs{"order", "reverse", "random"} do
      it(name .. " in schedule " .. schedule, function()
        local options, args = prepare()
        options.schedule, options.seed = schedule, 11
        module:launch(name, options, unpack(args, 1, #args)) -- findings are errors
        for i, a in ipairs(args) do
          if type(a) == "table" or type(a) == "userdata" then args[i] = a:to "cpu" end
        end
        check(unpack(args, 1, #args))
      end)
    end
  end

  kernel("reduce", function()
    return {grid = 3, block = 128}, {rand({1000}, "f64"), zeros({1}, "f64"), 1000}
  end, function(x, sum)
    local s = 0
    for i = 1, 1000 do s = s + x:get(i) end
    near(s, sum:get(1), 1e-9, "sum")
  end)

  kernel("softmax", function()
    return {grid = 3, block = 64, shared = 100 * 4}, {rand{3, 100}, zeros{3, 100}, 100}
  end, function(x, y)
    for r = 1, 3 do
      local s = 0
      for i = 1, 100 do s = s + math.exp(x:get(r, i)) end
      for i = 1, 100 do near(math.exp(x:get(r, i)) / s, y:get(r, i), 1e-7, "softmax") end
    end
  end)

  kernel("layernorm<64>", function()
    return {grid = 2, block = 64}, {rand{2, 256}, rand{256}, zeros{2, 256}, 1e-5}
  end, function(x, gamma, y)
    for r = 1, 2 do
      local mean, variance = 0, 0
      for i = 1, 256 do mean = mean + x:get(r, i) / 256 end
      for i = 1, 256 do variance = variance + (x:get(r, i) - mean) ^ 2 / 256 end
      for i = 1, 256 do
        near((x:get(r, i) - mean) / math.sqrt(variance + 1e-5) * gamma:get(i), y:get(r, i), 1e-5, "layernorm")
      end
    end
  end)

  kernel("scan", function()
    local x = pah.randint(0, 9, {100}, {seed = 3, dtype = "i32"}):to(device)
    return {grid = 1, block = 128, shared = 2 * 128 * 4}, {x, zeros({100}, "i32"), 100}
  end, function(x, y)
    local s = 0
    for i = 1, 100 do
      s = s + x:get(i)
      assert.are.equal(s, y:get(i))
    end
  end)

  kernel("transpose<16, 4>", function()
    return {grid = {3, 2}, block = {16, 4}}, {zeros{40, 20}, rand{20, 40}, 40, 20}
  end, function(y, x)
    for i = 1, 20 do
      for j = 1, 40 do assert.are.equal(x:get(i, j), y:get(j, i)) end
    end
  end)

  kernel("histogram", function()
    local x = pah.randint(0, 256, {3000}, {seed = 3, dtype = "u8"}):to(device)
    return {grid = 2, block = 96}, {x, zeros({256}, "i32"), 3000}
  end, function(x, bins)
    local count = {}
    for i = 1, 3000 do count[x:get(i)] = (count[x:get(i)] or 0) + 1 end
    for i = 0, 255 do assert.are.equal(count[i] or 0, bins:get(i + 1)) end
  end)

  for _, name in ipairs{"filter", "filter_by_hand"} do
    kernel(name, function()
      return {grid = 3, block = 96}, {rand{250}, zeros{250}, zeros({1}, "i32"), 0.6, 250}
    end, function(x, y, counter)
      local kept, found = {}, {}
      for i = 1, 250 do
        if x:get(i) > 0.6 then kept[#kept + 1] = x:get(i) end
      end
      assert.are.equal(#kept, counter:get(1))
      for i = 1, #kept do found[i] = y:get(i) end
      table.sort(kept)
      table.sort(found)
      assert.are.same(kept, found)
    end)
  end

  it("matmul<16> takes structs by value", function()
    local ffi = require "ffi"
    local matrix = ffi.typeof "struct { int rows, columns; const float *data; }"
    local a, b, c = rand{20, 37}, rand{37, 35}, zeros{20, 35}
    local function of(t, rows, columns) return matrix(rows, columns, ffi.cast("const float *", t:data())) end
    module:launch("matmul<16>", {grid = {3, 2}, block = {16, 16}}, of(a, 20, 37), of(b, 37, 35), c)
    local x, y, z = a:to "cpu", b:to "cpu", c:to "cpu"
    for i = 1, 20 do
      for j = 1, 35 do
        local s = 0
        for k = 1, 37 do s = s + x:get(i, k) * y:get(k, j) end
        near(s, z:get(i, j), 1e-5, "matmul")
      end
    end
  end)

  it("saxpy_half2 rounds once", function()
    local x, y = rand({200}, "f16"), pah.rand({200}, {seed = 8}):to "f16"
    local z = y:to(device)
    module:launch("saxpy_half2", {grid = 1, block = 32}, z, x, 0.75, 100)
    local expected = pah.zeros({200}, {dtype = "f64"})
    for i = 1, 200 do expected:set(0.75 * x:to("cpu"):get(i) + y:get(i), i) end -- exact in f64
    local want, got = expected:to "f16", z:to "cpu"
    for i = 1, 200 do assert.are.equal(want:get(i), got:get(i)) end
  end)

  kernel("quantize", function()
    local x = (pah.randn({300}, {seed = 5}):to "bf16"):to(device)
    return {grid = 3, block = 128}, {x, zeros({300}, "fp8_e4m3"), zeros{300}, 64, 300}
  end, function(x, y, back)
    local scaled = pah.zeros({300}, {dtype = "f64"})
    for i = 1, 300 do scaled:set(x:get(i) * 64, i) end
    local want = scaled:to "fp8_e4m3"
    for i = 1, 300 do
      assert.are.equal(want:get(i), y:get(i))
      assert.are.equal(want:get(i), back:get(i))
    end
  end)

  kernel("stencil", function()
    return {grid = 3, block = 128}, {rand{300}, zeros{300}, 300}
  end, function(x, y)
    local w = {0.125, 0.0625, 0.03125, 0.03125}
    local function at(i) return i >= 1 and i <= 300 and x:get(i) or 0 end
    for i = 1, 300 do
      local v = 0.5 * at(i)
      for r = 1, 4 do v = v + w[r] * (at(i - r) + at(i + r)) end
      near(v, y:get(i), 1e-6, "stencil")
    end
  end)

  kernel("handover", function()
    return {grid = 1, block = 96}, {zeros({1}, "i32"), zeros({1}, "i32"), zeros({1}, "i32"), zeros({1}, "i32")}
  end, function(_, _, out, count)
    assert.are.equal(42, out:get(1))
    assert.are.equal(96, count:get(1))
  end)

  kernel("groups", function()
    return {grid = 1, block = 64}, {rand{64}, zeros{2}, zeros({64, 6}, "i32")}
  end, function(x, sums, out)
    for w = 0, 1 do
      local s = 0
      for i = 1, 32 do s = s + x:get(w * 32 + i) end
      near(s, sums:get(w + 1), 1e-5, "sum of a warp")
    end
    for t = 0, 63 do
      local first, lanes = t - t % 8, 0
      for i = 0, 7 do lanes = lanes + ((first + i) % 3 == 0 and 2 ^ i or 0) end
      local before = 0
      for i = first, t - 1 do before = before + i end
      local row = {t == 0 and 64 or 0, t % 4 == 0 and 4 * t + 6 or 0, before, t % 8 + 1, lanes,
                   require "bit".bxor(t, 3) + first + 7}
      for i = 1, 6 do assert.are.equal(row[i], out:get(t + 1, i)) end
    end
  end)

  it("static shared memory is that of the kernel and of functions", function()
    local parts = 32 * 4 + 32 * 8 -- block_sum of float and of double, if both are there
    local bytes = module:resources "histogram".shared_bytes
    assert.is_true(bytes >= 1024 and bytes <= 1024 + parts)
  end)
end)
