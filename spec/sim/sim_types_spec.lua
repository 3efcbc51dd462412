-- sim_types_spec.lua - half, bf16 and fp8 of CUDA on sim: every code, and values around every number and every middle
-- between two, against the program's own conversions (which spec/tensor/dtype_spec.lua checks against the definitions).
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
end)
