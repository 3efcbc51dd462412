-- fp8_sm80_spec.lua - pah.fwd_fp8 by kernels/sm80/forward/ on sim with every check on: fp8 of every kind is widened on
-- its way into shared memory, NaN too; the same bits for every block size; sinks, packed heads and descales; what is
-- refused; no spills. Cases: spec/attention/cases_spec.lua. On Hopper: fp8_sm90_spec.lua.
local why = require("spec.support.gpu.sim").why
local fp8 = require "spec.support.gpu.fp8"
local refused = require "spec.support.refused"
local same_bits = require("spec.support.bits").same
local spills = require "spec.support.gpu.spills"

describe("fwd_fp8 for sm_80", function()
  if why then return pending(why) end
  local sim = pah.device "sim"

  local function problem(o)
    o.kernel = "sm80"
    return fp8.problem(sim, o)
  end

  it("widens e4m3 and e5m2, of the cache and of q, for any result", function()
    for _, types in ipairs {{"fp8_e4m3", "fp8_e4m3", "fp8_e4m3"}, {"fp8_e5m2", "fp8_e4m3", "f32"},
      {"bf16", "fp8_e5m2", "fp8_e5m2"}, {"f16", "fp8_e4m3", "bf16"}} do
      fp8.right(problem{len_k = {90, 33}, Sq = 12, q = types[1], kv = types[2], out = types[3], causal = true, H = 4,
        Hkv = 2, D = 64, k_descale = 0.5, v_descale = 2})
    end
  end)

  it("gives the same bits for every block size", function()
    local first
    for _, block_size in ipairs {16, 24, 1} do
      local out = fp8.right(problem{len_k = {70, 33, 0}, Sq = 5, H = 1, block_size = block_size, causal = true,
        q = "bf16", kv = "fp8_e4m3"})
      assert.is_true(not first or same_bits(first, out), "blocks of " .. block_size)
      first = out
    end
  end)

  it("does head_dims between its sizes, and the largest #slow", function()
    for _, D in ipairs {16, 80, 192, 256} do
      for _, q in ipairs {"fp8_e4m3", "bf16"} do
        fp8.right(problem{len_k = {70, 33}, Sq = 20, D = D, q = q, kv = "fp8_e4m3", out = "bf16", causal = true})
      end
    end
    fp8.right(problem{len_k = {70}, Sq = 20, D = 192, Dv = 128, q = "bf16", kv = "fp8_e4m3", softcap = 3})
  end)

  it("keeps NaN: of a query, of a key for those that see it, of a value in its column", function()
    for _, q_type in ipairs {"fp8_e4m3", "bf16"} do
      local function nan(change)
        return pah.fwd_fp8(problem{len_k = {40}, Sq = 10, H = 1, D = 64, causal = true, q = q_type, kv = "fp8_e4m3",
          out = "bf16", change = change}):to("cpu"):to("f32")
      end
      local out = nan(function(q) q:set(0 / 0, 1, 1, 5, 3) end)
      for i = 1, 10 do assert.equal(i == 5, out:get(1, 1, i, 1) ~= out:get(1, 1, i, 1)) end
      out = nan(function(_, k) k:set(0 / 0, 40, 1, 1) end) -- of the last key, which the last query sees
      for i = 1, 10 do assert.equal(i == 10, out:get(1, 1, i, 1) ~= out:get(1, 1, i, 1)) end
      out = nan(function(_, _, v) v:set(0 / 0, 1, 1, 7) end)
      for d = 1, 64 do assert.equal(d == 7, out:get(1, 1, 4, d) ~= out:get(1, 1, 4, d)) end
    end
  end)

  it("refuses by name what it cannot do", function()
    local function refuses(words, o) refused(words, pah.fwd_fp8, problem(o)) end
    refuses("q: the sm80 kernel takes bf16 or f16", {len_k = {20}, Sq = 4, q = "f32", kv = "fp8_e4m3"})
    refuses("head_dim: the sm80 kernel takes multiples of 16 of fp8", {len_k = {20}, Sq = 4, D = 72, q = "bf16",
      kv = "fp8_e4m3"})
  end)

  -- On sm_90a most of them without a softcap: nvrtc_spec.lua. On sm_80, where fp8 is widened by integers and a compile
  -- takes six times as long, a softcap stands for none, but for 128, which has another tile then; and e5m2 for e4m3.
  it("is compiled without spilling, for every size that is launched #slow", function()
    for _, arch in ipairs {"sm_80", "sm_90a"} do
      local seen, no_nvrtc = spills.none(arch, "forward_sm80", function(zeros, add)
        local function size(D, Dv, q, cache, softcap)
          add(function()
            pah.fwd_fp8{q = zeros({1, 2, 4, D}, q), k_blocks = zeros({4, 16, 1, D}, cache),
              v_blocks = zeros({4, 16, 1, Dv}, cache), block_table = zeros({1, 4}, "i32"), out_dtype = "bf16",
              softcap = softcap, kernel = "sm80"}
          end)
        end
        for i, dims in ipairs {{64, 64}, {128, 128}, {192, 128}, {256, 256}} do
          for _, q in ipairs {"fp8", "bf16"} do
            local cache = (arch == "sm_80" and i == 1) and "fp8_e5m2" or "fp8_e4m3"
            local q_type = q == "fp8" and cache or q
            size(dims[1], dims[2], q_type, cache, 1)
            if dims[1] == 128 and arch == "sm_80" or dims[1] ~= dims[2] and arch == "sm_90a" then
              size(dims[1], dims[2], q_type, cache, 0)
            end
          end
        end
      end)
      if not seen then return pending(no_nvrtc) end
    end
  end)
end)
