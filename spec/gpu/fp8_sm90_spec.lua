-- fp8_sm90_spec.lua - pah.fwd_fp8 by kernels/sm90/forward.cu on sim:sm_90a with every check on: what the table of
-- cases does not say of it. The same bits for every box of pages and in every schedule; NaN is kept, and what lies past
-- the end is not; results that are exact; sums that leave their registers; descales of any sign; what is refused; no
-- spills.
-- Cases: spec/attention/cases_spec.lua. Other types: forward_sm90_spec.lua.
local why = require("spec.support.gpu.sim").why
local fp8 = require "spec.support.gpu.fp8"
local refused = require "spec.support.refused"
local same_bits = require("spec.support.bits").same
local spills = require "spec.support.gpu.spills"

describe("fwd_fp8 for sm_90a", function()
  if why then return pending(why) end
  local sim = pah.device "sim:sm_90a"

  local function problem(o) return fp8.problem(sim, o) end
  local right, reference = fp8.right, fp8.reference

  it("gives the same bits for every block size, to fp8 and to bf16, from a wider q too", function()
    for _, types in ipairs {{"fp8_e4m3", nil, "fp8_e4m3"}, {"fp8_e4m3", nil, "bf16"}, {"bf16", "fp8_e4m3"}} do
      local first, first_lse
      for _, block_size in ipairs {16, 8, 24, 128, 1, 5} do
        if block_size == 1 and types[1] == types[3] then first = nil end -- token by token, tiles have fewer keys
        local out, lse = right(problem{len_k = {200, 61, 0}, Sq = 40, block_size = block_size, causal = true,
          q = types[1], kv = types[2], out = types[3]})
        local same = not first or same_bits(first, out) and same_bits(first_lse, lse)
        assert.is_true(same, "blocks of " .. block_size)
        first, first_lse = out, lse
      end
    end
  end)

  it("gives the same bits in every schedule #slow", function()
    for _, types in ipairs {{"fp8_e4m3"}, {"fp8_e5m2", nil, "f16"}, {"bf16", "fp8_e4m3"}} do
      local first
      for n, schedule in ipairs {"order", "reverse", "random"} do
        sim:set{schedule = schedule, seed = n}
        local out = right(problem{len_k = {700}, Sq = 140, q = types[1], kv = types[2], out = types[3], causal = true})
        if first then assert.is_true(same_bits(first, out), schedule) end
        first = out
      end
    end
    sim:set{schedule = "order", seed = 0}
  end)

  it("multiplies e4m3 and e5m2, each with each, and widens a cache for a q of 16 bits", function()
    for _, types in ipairs {{"fp8_e4m3", "fp8_e4m3"}, {"fp8_e4m3", "fp8_e5m2"}, {"fp8_e5m2", "fp8_e4m3"},
      {"fp8_e5m2", "fp8_e5m2"}, {"bf16", "fp8_e5m2"}, {"f16", "fp8_e4m3"}} do
      right(problem{len_k = {150, 33}, Sq = 70, q = types[1], kv = types[2], causal = true, H = 4, Hkv = 2,
        block_size = 32})
    end
  end)

  it("does head_dims between its sizes, and the largest", function()
    for _, D in ipairs {16, 80, 160, 256} do
      for _, types in ipairs {{"fp8_e4m3"}, D ~= 80 and {"bf16", "fp8_e4m3"} or nil} do
        right(problem{len_k = {140, 33}, Sq = 70, D = D, q = types[1], kv = types[2], causal = true})
      end
    end
    right(problem{len_k = {140, 33}, Sq = 70, D = 192, Dv = 128, out = "f32", window = {50, 0}})
    for _, D in ipairs {64, 192, 256} do right(problem{len_k = {140, 33}, Sq = 70, D = D, block_size = 3}) end
  end)

  it("keeps NaN where it is visible, and only there", function()
    local row = {Sq = 70, len_k = {150}, causal = true, H = 1}
    for _, out_dtype in ipairs {"fp8_e4m3", "f32"} do
      row.out = out_dtype
      local function nan(change)
        row.change = change
        local out, lse = pah.fwd_fp8(problem(row))
        return out:to("cpu"):to("f32"), lse:to("cpu")
      end
      local out, lse = nan(function(q) q:set(0 / 0, 1, 1, 5, 3) end) -- of query 5
      for i = 1, 70 do
        assert.equal(i == 5, out:get(1, 1, i, 1) ~= out:get(1, 1, i, 1))
        assert.equal(i == 5, lse:get(1, 1, i) ~= lse:get(1, 1, i))
      end
      out = nan(function(_, k) k:set(0 / 0, 100, 1, 1) end) -- of key 99: queries from 99 - 80 on see it
      for i = 1, 70 do assert.equal(i > 19, out:get(1, 1, i, 1) ~= out:get(1, 1, i, 1)) end
      out = nan(function(_, _, v) v:set(0 / 0, 30, 1, 7) end) -- of a key that all see: column 7 of all
      for i = 1, 70 do
        for d = 1, 128 do assert.equal(d == 7, out:get(1, 1, i, d) ~= out:get(1, 1, i, d)) end
      end
    end
  end)

  it("saturates results of fp8", function()
    local a = problem{len_k = {64}, Sq = 8, o_scale = 2 ^ 14, out = "fp8_e4m3"}
    local out, want = pah.fwd_fp8(a):to("cpu"):to("f32"), (reference(a))
    for _, i in ipairs {1, 2, 50, 128} do
      local exact = want:get(1, 1, 1, i)
      if math.abs(exact) == 448 then assert.equal(exact, out:get(1, 1, 1, i)) end
    end
    local worst = pah.diff(out, want:to("f32"))
    assert.is_true(worst.rel_norm < 0.05, "off by " .. worst.rel_norm)
  end)

  it("is exact where it can be: equal weights, and a single key with all of them", function()
    for _, out_dtype in ipairs {"fp8_e4m3", "f32"} do
      -- Small integers and 64 keys: the mean is exact in f32 sums; times 64 it is an integer.
      local a = problem{len_k = {64}, Sq = 3, out = out_dtype, v_descale = 64, change = function(q, _, v)
        q:fill(0)
        v:copy(pah.randint(-1, 2, {64, 1, 128}, {seed = 5, device = "cpu"}):to("f32"))
      end}
      assert.equal(0, pah.diff(pah.fwd_fp8(a):to("cpu"):to("f32"),
        reference(a):to(out_dtype == "f32" and "f32" or "fp8_e4m3"):to("f32")).max_abs)
      local chosen = problem{len_k = {300}, Sq = 1, out = out_dtype, H = 1, softmax_scale = 1, change = function(q, k)
        q:fill(8)
        k:fill(-8)
        k:select(1, 34):fill(8)
      end}
      local content = pah.randn({300, 1, 128}, {seed = 2, device = "cpu"}):to("fp8_e4m3"):to("f32")
      local out = pah.fwd_fp8(chosen):to("cpu"):to("f32")
      for d = 1, 128 do assert.equal(content:get(34, 1, d), out:get(1, 1, 1, d)) end
    end
  end)

  it("adds up long rows beyond the tensor cores, also when their maximum rises late", function()
    right(problem{len_k = {5000}, Sq = 3, H = 1, o_scale = 16})
    local a = problem{len_k = {5000}, Sq = 3, H = 1, D = 64, change = function(q, k)
      -- tiles come from the last to the first: the scores rise all the way
      for i = 1, 5000 do k:select(1, i):fill((5000 - i) / 2500) end
      q:fill(0.5)
    end}
    right(a)
  end)

  it("takes descales of any sign, of tensors and of heads", function()
    right(problem{len_k = {150, 33}, Sq = 20, k_descale = -0.5, q_descale = 2, v_descale = -3})
    right(problem{len_k = {150, 33}, Sq = 20, k_descale = 0, v_descale = 2, out = "bf16"})
    local heads = pah.tensor({{0.5, -1}, {0, 2}}, {device = sim})
    right(problem{len_k = {150, 33}, Sq = 20, H = 4, Hkv = 2, k_descale = heads, v_descale = heads, q_descale = 0.5})
    right(problem{len_k = {150, 33}, Sq = 20, H = 4, Hkv = 2, k_descale = heads, softcap = 3, q = "bf16",
      kv = "fp8_e5m2"})
  end)

  it("refuses by name what it cannot do", function()
    local function refuses(words, o) refused(words, pah.fwd_fp8, problem(o)) end
    refuses("q: the sm90 kernel takes bf16 or f16", {len_k = {20}, Sq = 4, q = "f32", kv = "fp8_e4m3"})
    refuses("the sm90 kernel takes data and strides", {len_k = {20}, Sq = 4, D = 24, out = "f32"})
    refuses("out: the sm90 kernel writes fp8", {len_k = {20}, Sq = 4, D = 72, q = "bf16", out = "fp8_e4m3"})
  end)

  -- Most of them by bulk copies without a softcap: nvrtc_spec.lua. Results of fp8 differ up to 128 alone, and what is
  -- widened for a wider q is not gathered.
  it("is compiled without spilling, for every size that is launched #slow", function()
    local seen, no_nvrtc = spills.none("sm_90a", "forward_sm90", function(zeros, add)
      local function size(D, Dv, types, softcap, block_size)
        local cache = types[2] or types[1]
        add(function()
          pah.fwd_fp8{q = zeros({1, 2, 4, D}, types[1]), k_blocks = zeros({4, block_size, 1, D}, cache),
            v_blocks = zeros({4, block_size, 1, Dv}, cache), block_table = zeros({1, 4}, "i32"), out_dtype = types.out,
            softcap = softcap, kernel = "sm90"}
        end)
      end
      for _, dims in ipairs {{64, 64}, {128, 128}, {192, 128}, {192, 192}, {256, 256}} do
        local D, Dv = unpack(dims)
        for _, types in ipairs {{"fp8_e4m3"}, {"fp8_e4m3", out = "bf16"}, {"bf16", "fp8_e4m3"}} do
          local own, gathered = D <= 128 or types[2] or types.out, not types[2]
          if own and D ~= Dv then size(D, Dv, types, 0, 16) end
          if own then size(D, Dv, types, 1, 16) end
          if own and gathered then size(D, Dv, types, 0, 1) end
          if own and gathered then size(D, Dv, types, 1, 1) end
        end
      end
    end, function(source) -- 4 bytes, and 8 of stack: all registers of the launch are given away
      return source:find "HEAD_DIM=256 .*SOFTCAP=1 .*IO_T=bf16 KV_T=fp8" and 12 or 0
    end)
    if not seen then return pending(no_nvrtc) end
  end)
end)
