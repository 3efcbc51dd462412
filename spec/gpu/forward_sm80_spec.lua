-- forward_sm80_spec.lua - kernels/sm80/forward/ on sim: see forward.lua; and in tf32 (kernel = "tf32"): factors are
-- rounded to 10 bits, to nearest, judged by an evaluation in which every intermediate is tf32; it is never chosen
-- unless named. Cases: spec/attention/cases_spec.lua.
local budget = require "pah.judge.budget"
local forward = require "spec.gpu.forward"
local refused = require "spec.support.refused"
local same_bits = require("spec.support.bits").same
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

  -- Without a softcap the tile is the same and registers are fewer, so one stands for all; nvrtc_spec.lua has others.
  it("is compiled without spilling, for every size that is launched #slow", function()
    for _, arch in ipairs {"sm_80", "sm_86", "sm_90a"} do
      local sizes = {}
      for _, dims in ipairs {{64, 64}, {128, 128}, {192, 128}, {192, 192}, {256, 256}} do
        sizes[#sizes + 1] = {dims[1], dims[2], 60}
        if dims[2] ~= dims[1] then sizes[#sizes + 1] = {dims[1], dims[2], 0} end
      end
      local seen, missing = forward.no_spills("sm80", "forward_sm80", arch, sizes)
      if not seen then return pending(missing) end
    end
  end)
end)

describe("the forward in tf32", function()
  if why then return pending(why) end
  local sim = pah.device "sim"

  local function problem(o)
    o.dtype = "f32"
    local a = forward.problem(sim, o)
    a.kernel = "tf32"
    return a
  end

  local function right(a)
    local out, lse = pah.fwd(a)
    local want, want_lse = pah.reference.fwd(a)
    a.intermediate = "tf32"
    local low, low_lse = pah.reference.fwd(a)
    a.intermediate = nil
    assert.is_nil((budget.complaint(out, want, low, budget.forward)))
    assert.is_nil((budget.lse_of_case_complaint({op = "fwd"}, lse, want_lse, low_lse, "tf32")))
    return out, lse
  end

  -- One token: its weight is 1, and the result is V as it was multiplied.
  it("rounds factors to nearest, and so does the evaluation that judges it", function()
    local a = problem{len_k = {1}, Sq = 1, block_size = 8}
    local unit = 2 ^ -10
    local given = {1 + 0.4 * unit, 1 + 0.6 * unit, 1 - 0.2 * unit, 3 + 1.1 * unit, -1 - 0.6 * unit, 2 ^ -130, 0}
    local wanted = {1, 1 + unit, 1, 3 + 2 * unit, -1 - unit, 2 ^ -130, 0}
    local used = a.block_table:to("cpu"):get(1, 1) + 1
    for i, x in ipairs(given) do a.v_blocks:select(1, used):select(1, 1):select(1, 1):narrow(1, i, 1):fill(x) end
    a.intermediate = "tf32"
    local low = pah.reference.fwd(a)
    a.intermediate = nil
    local out = pah.fwd(a):to "cpu"
    for i, x in ipairs(wanted) do
      assert.equal(x, out:get(1, 1, 1, i), "the kernel, number " .. i)
      assert.equal(x, low:get(1, 1, 1, i), "the evaluation, number " .. i)
    end
  end)

  it("gives the same bits for every block size", function()
    local first, first_lse
    for _, block_size in ipairs {16, 24, 1} do
      local out, lse = right(problem{len_k = {80, 33, 0}, Sq = 20, H = 2, Hkv = 1, causal = true,
        block_size = block_size})
      local same = not first or same_bits(first, out) and same_bits(first_lse, lse)
      assert.is_true(same, "blocks of " .. block_size)
      first, first_lse = out, lse
    end
  end)

  it("does every head_dim, packed heads, windows and a softcap", function()
    for _, dims in ipairs {{8, 8}, {40, 104}, {128, 128}, {192, 128}, {256, 256}} do
      right(problem{len_k = {50, 33}, len_q = {20, 5}, H = 2, Hkv = 1, D = dims[1], Dv = dims[2], block_size = 16,
        causal = true})
    end
    right(problem{len_k = {100}, Sq = 40, H = 2, Hkv = 1, block_size = 16, window = {40, 10}, softcap = 2})
  end)

  it("is chosen by its name alone", function()
    local a = problem{len_k = {50}, Sq = 20, block_size = 16}
    local named = pah.fwd(a)
    a.kernel = nil
    local chosen = pah.fwd(a)
    a.kernel = "simt"
    assert.is_true(same_bits(chosen, pah.fwd(a)))
    assert.is_false(same_bits(chosen, named))
  end)

  it("refuses other types", function()
    local a = forward.problem(sim, {len_k = {20}, Sq = 4, block_size = 16})
    a.kernel = "tf32"
    refused("q: the tf32 kernel takes f32", pah.fwd, a)
  end)

  it("is compiled without spilling, for every size that is launched #slow", function()
    for _, arch in ipairs {"sm_80", "sm_86", "sm_90a"} do
      local sizes = {}
      for _, dims in ipairs {{64, 64}, {128, 128}, {192, 128}, {256, 256}} do
        sizes[#sizes + 1] = {dims[1], dims[2], 1}
        if dims[2] ~= dims[1] then sizes[#sizes + 1] = {dims[1], dims[2], 0} end
      end
      local seen, missing = forward.no_spills("tf32", "forward_sm80", arch, sizes, "f32")
      if not seen then return pending(missing) end
    end
  end)
end)
