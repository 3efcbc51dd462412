-- backward_sm80_spec.lua - kernels/sm80/backward on sim: see backward.lua. Cases: spec/attention/cases_spec.lua.
local backward = require "spec.support.gpu.backward"
local why = require("spec.support.gpu.sim").why

describe("the backward for sm_80", function()
  if why then return pending(why) end
  backward.specs(it, "sm80", pah.device "sim")

  it("has smaller tiles where shared memory is small", function()
    local problem, right = backward.on("sm80", pah.device "sim:sm_86")
    for _, D in ipairs {64, 128} do
      right(problem{len_k = {100, 33}, Sq = 70, H = 2, Hkv = 1, D = D, block_size = 5, causal = true})
    end
  end)

  it("takes head_dim up to 256 where it is large, 192 with 128 for v among them", function()
    local problem, right = backward.on("sm80", pah.device "sim:sm_90a")
    right(problem{len_k = {100, 33}, Sq = 70, H = 2, Hkv = 1, D = 256, block_size = 16, causal = true})
    right(problem{len_k = {100}, Sq = 40, H = 2, Hkv = 1, D = 192, Dv = 128, block_size = 5, softcap = 2})
  end)

  -- On sm_80 and sm_90a without a softcap: nvrtc_spec.lua.
  it("is compiled without spilling, for every size that is launched #slow", function()
    for arch, sizes in pairs {sm_80 = {{64, 1}, {128, 1}}, sm_86 = {{64, 0}, {64, 1}, {128, 0}, {128, 1}},
      sm_90a = {{64, 1}, {128, 1}, {256, 1}}} do
      local seen, missing = backward.no_spills("sm80", {"backward_dkdv_sm80", "backward_dq_sm80"}, arch, sizes)
      if not seen then return pending(missing) end
    end
  end)
end)
