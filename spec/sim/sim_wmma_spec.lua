-- sim_wmma_spec.lua - nvcuda::wmma on sim: small integers, whose products are exact in every type, against plain loops.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local shapes = { -- kernel, dtype of a and b, of c, m, n, k of one step, is a by rows, is b by rows
  {"f16_16x16", "f16", "f32", 16, 16, 16, true, false}, {"f16_32x8", "f16", "f32", 32, 8, 16, false, true},
  {"f16_8x32", "f16", "f16", 8, 32, 16, true, true}, {"bf16_8x32", "bf16", "f32", 8, 32, 16, false, false},
  {"bf16_16x16", "bf16", "f32", 16, 16, 16, false, true}, {"s8_16x16", "u8", "i32", 16, 16, 16, true, false},
  {"tf32_16x16", "f32", "f32", 16, 16, 8, true, true},
}

describe("sim wmma", function()
  local device, module
  setup(function()
    device = pah.device "sim"
    module = device:compile{source = "spec/kernels/wmma.cu"}
  end)
  for _, s in ipairs(shapes) do
    local name, dtype, sums, m, n, step, a_rows, b_rows = unpack(s)
    it(name, function()
      local k = 2 * step
      local a = pah.randint(0, 5, {m * k}, {seed = 1}):to(dtype):to(device)
      local b = pah.randint(0, 5, {k * n}, {seed = 2}):to(dtype):to(device)
      local c = pah.zeros({m, n}, {dtype = sums, device = device})
      local report = module:launch(name, {grid = 1, block = 32, schedule = "random", seed = 3}, a, b, c)
      assert.are.equal(0, #report.findings)
      local host_a, host_b, host_c = a:to "cpu", b:to "cpu", c:to "cpu"
      for i = 0, m - 1 do
        for j = 0, n - 1 do
          local sum = 0
          for x = 0, k - 1 do
            local left = host_a:get((a_rows and i * k + x or x * m + i) + 1)
            sum = sum + left * host_b:get((b_rows and x * n + j or j * k + x) + 1)
          end
          assert.are.equal(2 * sum, host_c:get(i + 1, j + 1))
        end
      end
    end)
  end
end)
