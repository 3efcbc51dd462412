-- forward_sm90_spec.lua - kernels/sm90/forward.cu on sim:sm_90a: see forward.lua. Cases: spec/attention/cases_spec.lua.
local forward = require "spec.gpu.forward"
local why = require("spec.support.gpu.sim").why

describe("the forward for sm_90a", function()
  if why then return pending(why) end
  forward.specs(it, "sm90", pah.device "sim:sm_90a")

  it("is for sm_90a alone", function()
    local a = forward.problem(pah.device "sim", {len_k = {20}, Sq = 4, block_size = 16})
    a.kernel = "sm90"
    local ok, message = pcall(pah.fwd, a)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find("kernel: the sm90 kernel needs an sm_90a", 1, true), message)
  end)

  it("is compiled without spilling, for every size that is launched #slow", function()
    local seen, missing = forward.no_spills("sm90", "forward_sm90", "sm_90a")
    if not seen then return pending(missing) end
    assert.is_true(seen >= 20)
  end)
end)
