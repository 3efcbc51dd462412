-- tensor_map_spec.lua - pah.tensor_map refuses what the hardware cannot copy, and says why.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local function refused(part, ...) require "spec.support.refused"(part, pah.tensor_map, ...) end

describe("tensor maps", function()
  local sim = pah.device "sim:sm_90a"
  local t = pah.zeros({6, 8, 64}, {dtype = "bf16", device = sim})

  it("are 128 bytes that stand for a tensor and a box", function()
    local map = pah.tensor_map(t, {box = {1, 8, 64}, swizzle = 128})
    assert.equal(128, require("ffi").sizeof(map))
    assert.is_true(map.words[1] == require("ffi").cast("uintptr_t", t.raw.data))
  end)

  it("take views whose last dimension is contiguous", function()
    assert.is_truthy(pah.tensor_map(t:transpose(1, 2), {box = {8, 1, 64}}))
    refused("the last stride is 64, must be 1", t:transpose(2, 3), {box = {1, 64, 8}})
  end)

  it("refuse what cannot be copied", function()
    refused("must be a tensor", 5, {box = {1}})
    refused("must be a table of 3 numbers", t, {box = {8, 64}})
    refused("box: item 2 is 257, must be 1 to 256", t, {box = {1, 257, 64}})
    refused("box: item 1 is 0.5, must be a whole number", t, {box = {0.5, 8, 64}})
    refused("the last item is 24 bytes, must be a multiple of 16", t, {box = {1, 8, 12}})
    refused("the last item is 128 bytes, must be at most the 64 of the swizzle", t, {box = {1, 8, 64}, swizzle = 64})
    refused("swizzle: is 16, must be 0, 32, 64 or 128", t, {box = {1, 8, 64}, swizzle = 16})
    refused("stride 1 is 26 bytes, must be a multiple of 16", pah.zeros({4, 13}, {dtype = "bf16", device = sim}),
      {box = {1, 8}})
    refused("did you mean", t, {box = {1, 8, 64}, swizle = 64})
    refused("must have 1 to 5", pah.zeros({1, 1, 1, 1, 1, 8}, {device = sim}), {box = {1, 1, 1, 1, 1, 8}})
    refused("cpu has no tensor maps", pah.zeros {8, 8}, {box = {8, 8}})
  end)
end)
