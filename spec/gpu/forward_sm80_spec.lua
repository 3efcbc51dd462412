-- forward_sm80_spec.lua - kernels/sm80/forward/ on sim: see forward.lua. Cases: spec/attention/cases_spec.lua.
local forward = require "spec.gpu.forward"
local why = require("spec.support.gpu.sim").why

describe("the forward for sm_80", function()
  if why then return pending(why) end
  forward.specs(it, "sm80", pah.device "sim")

  it("has smaller tiles where shared memory is small, and larger ones on Hopper", function()
    for _, arch in ipairs {"sim:sm_86", "sim:sm_90a"} do
      forward.right("sm80", forward.problem(pah.device(arch), {len_k = {200, 33}, Sq = 70, D = 192, Dv = 128,
        block_size = 5, causal = true}))
      forward.right("sm80", forward.problem(pah.device(arch), {len_k = {100}, Sq = 40, D = 256, block_size = 16}))
      forward.right("sm80", forward.problem(pah.device(arch), {len_k = {100}, Sq = 90, D = 128, block_size = 16,
        causal = true}))
    end
  end)

  it("is compiled without spilling, for every size that is launched #slow", function()
    for _, arch in ipairs {"sm_80", "sm_86", "sm_90a"} do
      local seen, missing = forward.no_spills("sm80", "forward_sm80", arch)
      if not seen then return pending(missing) end
      assert.is_true(seen >= 10)
    end
  end)
end)
