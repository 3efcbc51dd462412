-- backward_sm90_spec.lua - kernels/sm90/backward on sim:sm_90a: see backward.lua. Cases: spec/attention/cases_spec.lua.
local backward = require "spec.support.gpu.backward"
local why = require("spec.support.gpu.sim").why

describe("the backward for sm_90a", function()
  if why then return pending(why) end
  backward.specs(it, "sm90", pah.device "sim:sm_90a")

  -- By bulk copies without a softcap: nvrtc_spec.lua.
  it("is compiled without spilling, for every size that is launched #slow", function()
    local sizes = {{64, 1}, {64, 0, 1}, {64, 1, 1}, {128, 1}, {128, 0, 1}, {128, 1, 1}}
    local seen, missing = backward.no_spills("sm90", {"backward_sm90"}, "sm_90a", sizes)
    if not seen then return pending(missing) end
  end)
end)
