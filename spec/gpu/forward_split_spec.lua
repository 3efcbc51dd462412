-- forward_split_spec.lua - forwards of few queries that go to decode's kernel by themselves, on sim: which do, that the
-- results are right, and what is refused by name. Cases: spec/attention/cases_spec.lua.
local forward = require "spec.gpu.forward"
local instances = require("pah.module").instances
local why = require("spec.support.gpu.sim").why

describe("the forward of few queries", function()
  if why then return pending(why) end

  -- The kernel that a call on a device of its own comes to.
  local function kernel_of(o)
    local sim = pah.device "sim"
    local before = #instances(sim)
    local a = forward.problem(sim, o)
    forward.right(nil, a)
    local list = instances(sim)
    return #list > before and list[#list].kernel or "one of before"
  end

  it("goes to decode's kernel where tiles of rows would leave most of the GPU idle", function()
    assert.equal("decode", kernel_of {len_k = {300}, Sq = 5, H = 2, Hkv = 1, block_size = 16, causal = true,
      dtype = "f16"})
    assert.equal("decode", kernel_of {len_k = {200, 90}, len_q = {3, 30}, H = 4, Hkv = 2, block_size = 5,
      causal = "top-left"})
    assert.equal("forward_sm80", kernel_of {len_k = {100}, Sq = 65, H = 2, Hkv = 1, block_size = 16, causal = true})
    assert.equal("forward_sm80", kernel_of {len_k = {40, 20, 9, 1, 5, 6, 7, 3, 0, 8, 2, 64}, Sq = 64, H = 2, Hkv = 1,
      block_size = 16, dtype = "f16"})
  end)

  it("is refused by name where it is none", function()
    local function refused(words, o, change)
      local a = forward.problem(pah.device "sim", o)
      a.kernel = "split-kv"
      if change then change(a) end
      local ok, message = pcall(pah.fwd, a)
      assert.is_false(ok)
      assert.is_truthy(tostring(message):find(words, 1, true), message)
    end
    refused("q: the split-kv kernel takes at most 64 queries, of ragged ones in all, not 65",
      {len_k = {100}, Sq = 65, block_size = 16})
    refused("q: the split-kv kernel takes at most 64 queries, of ragged ones in all, not 80",
      {len_k = {100, 50}, len_q = {40, 40}, block_size = 16})
    refused("q: the split-kv kernel takes what that of decode takes; head_dim:", {len_k = {9}, Sq = 5, block_size = 16,
      D = 72})
    refused("block_m: the split-kv kernel", {len_k = {9}, Sq = 5, block_size = 16}, function(a) a.block_m = 16 end)
  end)
end)
