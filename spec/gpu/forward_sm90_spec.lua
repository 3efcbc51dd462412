-- forward_sm90_spec.lua - kernels/sm90/forward.cu on sim:sm_90a: see forward.lua. Cases: spec/attention/cases_spec.lua.
local forward = require "spec.gpu.forward"
local refused = require "spec.support.refused"
local why = require("spec.support.gpu.sim").why

describe("the forward for sm_90a", function()
  if why then return pending(why) end
  forward.specs(it, "sm90", pah.device "sim:sm_90a")

  it("is for sm_90a alone", function()
    local a = forward.problem(pah.device "sim", {len_k = {20}, Sq = 4, block_size = 16})
    a.kernel = "sm90"
    refused("kernel: the sm90 kernel needs an sm_90a", pah.fwd, a)
  end)

  -- Most of them by bulk copies without a softcap: nvrtc_spec.lua.
  it("is compiled without spilling, for every size that is launched #slow", function()
    local sizes = {{64, 64, 1, 16, 2}, {128, 128, 1, 16, 2}, {192, 128, 0}} -- the first: bounded, heads not packed
    for _, dims in ipairs {{64, 64}, {128, 128}, {192, 128}, {192, 192}, {256, 256}} do
      sizes[#sizes + 1] = {dims[1], dims[2], 60}
      for _, softcap in ipairs {0, 60} do sizes[#sizes + 1] = {dims[1], dims[2], softcap, 1} end
    end
    local seen, missing = forward.no_spills("sm90", "forward_sm90", "sm_90a", sizes, "bf16", function(source)
      return source:find "HEAD_DIM=128 .*BOUNDED=1" and 16 or 0 -- 8 bytes, and 8 of stack, as it was measured
    end)
    if not seen then return pending(missing) end
  end)
end)
