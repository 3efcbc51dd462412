-- reference_spec.lua - the oracle against closed forms, cases worked by hand and finite differences: nothing that
-- judges the kernels goes unjudged. Everything else in spec/ leans on what is shown here.
local judge = require "pah.judge.budget"

local cpu = pah.device "cpu"
local LOG2, exp, log = math.log(2), math.exp, math.log

local function tensor(values, dtype) return pah.tensor(values, {dtype = dtype or "f32", device = cpu}) end

-- One sequence with tokens in order: k and v are lists of [Hkv][D] rows.
local function problem(q, k, v, options)
  local n = #k
  local args = {
    q = tensor(q), k_blocks = tensor {k}, v_blocks = tensor {v}, block_table = tensor({{0}}, "i32"),
    seqused_k = tensor({n}, "i32"), softmax_scale = 1,
  }
  for name, value in pairs(options or {}) do args[name] = value end
  return args
end

-- A row of D = 8 whose first elements are given.
local function row(...)
  local r = {...}
  for i = #r + 1, 8 do r[i] = 0 end
  return r
end

local function near(want, got, tolerance)
  assert.is_true(want == got or math.abs(want - got) <= (tolerance or 1e-12), ("%.17g, not %.17g"):format(got, want))
end

describe("the oracle's forward", function()
  it("gives the mean of the values and log n for q = 0", function()
    local q = {{{row(), row(), row()}}}
    local k = {{row(1)}, {row(-3)}, {row(5)}, {row(7)}}
    local v = {{row(1)}, {row(2)}, {row(4)}, {row(8)}}
    local out, lse = pah.reference.fwd(problem(q, k, v))
    assert.same({"f64", "f64"}, {out.dtype, lse.dtype})
    near(3.75, out:get(1, 1, 1, 1))
    near(log(4), lse:get(1, 1, 1))
    -- Bottom-right: the last of 3 queries sees 4 keys, the first 2.
    out, lse = pah.reference.fwd(problem(q, k, v, {causal = true}))
    near(1.5, out:get(1, 1, 1, 1))
    near(7 / 3, out:get(1, 1, 2, 1))
    near(3.75, out:get(1, 1, 3, 1))
    near(LOG2, lse:get(1, 1, 1))
    -- Top-left: query i sees keys 0 .. i.
    out = pah.reference.fwd(problem(q, k, v, {causal = "top-left"}))
    near(1, out:get(1, 1, 1, 1))
    near(1.5, out:get(1, 1, 2, 1))
    near(7 / 3, out:get(1, 1, 3, 1))
    -- Window around key i + 1: one to the left, none to the right.
    out, lse = pah.reference.fwd(problem(q, k, v, {window = {1, 0}}))
    near(1.5, out:get(1, 1, 1, 1))
    near(3, out:get(1, 1, 2, 1))
    near(6, out:get(1, 1, 3, 1))
    near(LOG2, lse:get(1, 1, 3))
    out = pah.reference.fwd(problem(q, k, v, {window = {-1, 1}}))
    near(7 / 3, out:get(1, 1, 1, 1))
    near(3.75, out:get(1, 1, 2, 1))
    out = pah.reference.fwd(problem(q, k, v, {window = {0, -1}, causal = true}))
    near(2, out:get(1, 1, 1, 1))
    near(8, out:get(1, 1, 3, 1))
  end)

  it("weighs two tokens by hand, with scale and softcap", function()
    local q, k, v = {{{row(2)}}}, {{row(0)}, {row(1.5)}}, {{row(1, 1)}, {row(5, -1)}}
    local out, lse = pah.reference.fwd(problem(q, k, v, {softmax_scale = 0.5}))
    local p = 1 / (1 + exp(-1.5))
    near((1 - p) + 5 * p, out:get(1, 1, 1, 1))
    near((1 - p) - p, out:get(1, 1, 1, 2))
    near(log(1 + exp(1.5)), lse:get(1, 1, 1))
    -- softcap after the scale: 2 tanh(1.5 / 2).
    out, lse = pah.reference.fwd(problem(q, k, v, {softmax_scale = 0.5, softcap = 2}))
    local s = 2 * math.tanh(0.75)
    p = 1 / (1 + exp(-s))
    near((1 - p) + 5 * p, out:get(1, 1, 1, 1))
    near(log(1 + exp(s)), lse:get(1, 1, 1))
    -- The default scale is 1/sqrt(8), exact to float64.
    local args = problem(q, k, v)
    args.softmax_scale = nil
    near(log(1 + exp(3 / math.sqrt(8))), select(2, pah.reference.fwd(args)):get(1, 1, 1), 1e-12)
  end)

  it("leaves rows without keys at 0 and -inf", function()
    local q = {{{row(1), row(1), row(1)}}}
    local args = problem(q, {{row(1)}}, {{row(9)}}, {causal = true})
    local out, lse = pah.reference.fwd(args)
    for i = 1, 2 do
      assert.equal(0, out:get(1, 1, i, 1))
      assert.equal(-math.huge, lse:get(1, 1, i))
    end
    near(9, out:get(1, 1, 3, 1))
    args.seqused_k = tensor({0}, "i32")
    out, lse = pah.reference.fwd(args)
    assert.equal(0, out:get(1, 1, 3, 1))
    assert.equal(-math.huge, lse:get(1, 1, 3))
  end)

  it("maps query heads to K/V heads in groups and looks blocks up", function()
    -- 4 query heads over 2 K/V heads; 3 tokens in blocks 2, 0 of two slots; everything unused is NaN.
    local nan = 0 / 0
    local v = pah.full({3, 2, 2, 8}, nan, {device = cpu})
    local k = v:clone()
    for token, at in ipairs {{3, 1}, {3, 2}, {1, 1}} do
      for g = 1, 2 do
        for d = 1, 8 do
          v:set(10 * token + g, at[1], at[2], g, d)
          k:set(0, at[1], at[2], g, d)
        end
      end
    end
    local out = pah.reference.fwd {
      q = pah.zeros({1, 4, 1, 8}, {device = cpu}), k_blocks = k, v_blocks = v,
      block_table = tensor({{2, 0, 2147483647}}, "i32"), seqused_k = tensor({3}, "i32"),
    }
    for h = 1, 4 do near(20 + math.ceil(h / 2), out:get(1, h, 1, 8)) end
  end)

  it("multiplies by the descales and scales an fp8 out", function()
    local args = problem({{{row(2)}}}, {{row(0)}, {row(1)}}, {{row(1)}, {row(3)}}, {
      q_descale = 0.5, k_descale = 2, v_descale = tensor {{100}}, o_scale = 4, out_dtype = "f32",
    })
    for _, name in ipairs {"q", "k_blocks", "v_blocks"} do args[name] = args[name]:to("fp8_e4m3") end
    local p = 1 / (1 + exp(-2))
    near(100 * ((1 - p) + 3 * p), pah.reference.fwd_fp8(args):get(1, 1, 1, 1), 1e-10)
    args.out_dtype = nil
    near(448, pah.reference.fwd_fp8(args):get(1, 1, 1, 1))
    args.out_dtype = "fp8_e5m2"
    near(400 * ((1 - p) + 3 * p), pah.reference.fwd_fp8(args):get(1, 1, 1, 1), 1e-9)
  end)

  it("reads every code of the small formats as its definition says", function()
    for dtype, sample in pairs {fp8_e4m3 = 0x39, fp8_e5m2 = 0x3d, f16 = 0x3e00, bf16 = 0x3fc0} do
      local t = pah.zeros({1, 1, 1, 8}, {dtype = dtype, device = cpu})
      t:data()[0] = sample
      local args = {
        q = pah.zeros({1, 1, 1, 8}, {dtype = dtype, device = cpu}), k_blocks = t, v_blocks = t,
        block_table = tensor({{0}}, "i32"),
      }
      if dtype:find "fp8" then args.out_dtype = "f32" end
      local op = dtype:find "fp8" and "fwd_fp8" or "fwd"
      near(({fp8_e4m3 = 1.125, fp8_e5m2 = 1.25, f16 = 1.5, bf16 = 1.5})[dtype],
        pah.reference[op](args):get(1, 1, 1, 1))
    end
    -- All 256 codes of both fp8 types, as values, against the library's conversion.
    for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
      local codes = pah.zeros({32, 1, 1, 8}, {dtype = dtype, device = cpu})
      for i = 0, 255 do codes:data()[i] = i end
      local ids = pah.arange(32, {dtype = "i32", device = cpu}):view(32, 1)
      local out = pah.reference.fwd_fp8 {
        q = pah.zeros({32, 1, 1, 8}, {dtype = dtype, device = cpu}), k_blocks = pah.zeros({32, 1, 1, 8},
          {dtype = dtype, device = cpu}), v_blocks = codes, block_table = ids, out_dtype = "f32",
      }
      assert.is_truthy(judge.errors(codes, out))
      assert.equal(0, judge.errors(codes, out).max)
    end
  end)

  it("takes NaN of a used slot into the rows that see it, and no further", function()
    local q, k, v = {{{row(1), row(1)}}}, {{row(1)}, {row(0 / 0)}}, {{row(1)}, {row(2)}}
    local out, lse = pah.reference.fwd(problem(q, k, v, {causal = true}))
    near(1, out:get(1, 1, 1, 1))
    assert.is_true(out:get(1, 1, 2, 1) ~= out:get(1, 1, 2, 1) and lse:get(1, 1, 2) ~= lse:get(1, 1, 2))
  end)

  it("rounds what it computes on the way when asked to", function()
    local function shape() return {1, 2, 5, 16} end
    local args = {
      q = pah.randn(shape(), {seed = 1, dtype = "bf16", device = cpu}),
      k_blocks = pah.randn({3, 4, 2, 16}, {seed = 2, dtype = "bf16", device = cpu}),
      v_blocks = pah.randn({3, 4, 2, 16}, {seed = 3, dtype = "bf16", device = cpu}),
      block_table = tensor({{2, 0, 1}}, "i32"), softcap = 5,
    }
    local exact = pah.reference.fwd(args)
    local last
    for _, dtype in ipairs {"f32", "f16", "bf16"} do
      args.intermediate = dtype
      local e = judge.errors(pah.reference.fwd(args), exact)
      assert.is_true(e.max > (last or 1e-9) and e.max < 0.05, dtype .. ": " .. e.max)
      assert.equal(0, judge.errors(pah.reference.fwd(args):to(dtype), pah.reference.fwd(args)).max)
      last = 2 * e.max
    end
    -- tf32 has the mantissa of f16 and the exponents of f32; the plain evaluation rounds as this one does.
    args.intermediate = "f16"
    local half = judge.errors(pah.reference.fwd(args), exact).max
    args.intermediate = "tf32"
    local tf32 = pah.reference.fwd(args)
    local off = judge.errors(tf32, exact).max
    assert.is_true(off > half / 4 and off < half * 4, off .. " beside " .. half)
    args.score = function(s) return s end
    assert.equal(0, judge.errors(pah.reference.fwd(args), tf32).max)
  end)
end)

describe("the oracle's merge and kv_append", function()
  it("merges halves into the whole", function()
    local q, k, v = {{{row(1)}}}, {{row(0.5)}, {row(2)}, {row(-1)}}, {{row(1)}, {row(2)}, {row(4)}}
    local whole, whole_lse = pah.reference.fwd(problem(q, k, v))
    local a, lse_a = pah.reference.fwd(problem(q, {k[1]}, {v[1]}))
    local b, lse_b = pah.reference.fwd(problem(q, {k[2], k[3]}, {v[2], v[3]}))
    local out, lse = pah.reference.merge(a, lse_a, b, lse_b)
    near(whole:get(1, 1, 1, 1), out:get(1, 1, 1, 1))
    near(whole_lse:get(1, 1, 1), lse:get(1, 1, 1))
  end)

  it("merges empty parts into the other one, or nothing", function()
    local full, empty = pah.full({1, 1, 1, 8}, 3, {device = cpu}), pah.full({1, 1, 1, 8}, 0 / 0, {device = cpu})
    local some, none = pah.full({1, 1, 1}, 2, {device = cpu}), pah.full({1, 1, 1}, -math.huge, {device = cpu})
    local out, lse = pah.reference.merge(full, some, empty, none)
    assert.same({3, 2}, {out:get(1, 1, 1, 1), lse:get(1, 1, 1)})
    out, lse = pah.reference.merge(empty, none, empty, none)
    assert.same({0, -math.huge}, {out:get(1, 1, 1, 1), lse:get(1, 1, 1)})
  end)

  it("writes each token into its slot, rounded once", function()
    for _, dtype in ipairs {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"} do
      local k = pah.randn({3, 2, 8}, {seed = 4, scale = 30, device = cpu})
      k:set(1e-9, 1, 1, 1)
      k:set(-1e9, 1, 1, 2)
      local blocks = pah.zeros({2, 2, 2, 8}, {dtype = dtype, device = cpu})
      local values = blocks:clone()
      pah.reference.kv_append {
        k = k, v = k, k_blocks = blocks, v_blocks = values, slot_mapping = tensor({3, -1, 0}, "i32"), v_descale = 2,
      }
      assert.equal(0, judge.errors(blocks[2][2]:to("f64"), k[1]:to(dtype):to("f64")).max)
      assert.equal(0, judge.errors(blocks[1][1]:to("f64"), k[3]:to(dtype):to("f64")).max)
      assert.equal(0, blocks:get(1, 2, 1, 1))
      local half = k[3]:clone()
      for g = 1, 2 do
        for d = 1, 8 do half:set(half:get(g, d) / 2, g, d) end
      end
      assert.equal(0, judge.errors(values[1][1]:to("f64"), half:to(dtype):to("f64")).max)
    end
  end)
end)

describe("the oracle's sinks", function()
  local q, k, v = {{{row(2)}}}, {{row(0)}, {row(1.5)}}, {{row(1, 1)}, {row(5, -1)}}

  it("are a score with no value, neither scaled nor capped nor masked", function()
    for _, cap in ipairs {0, 2} do
      local out, lse = pah.reference.fwd(problem(q, k, v, {softmax_scale = 0.5, softcap = cap, sinks = tensor {3},
        causal = true}))
      local s = cap > 0 and 2 * math.tanh(0.75) or 1.5
      local total = 1 + exp(s) + exp(3)
      near((1 + 5 * exp(s)) / total, out:get(1, 1, 1, 1))
      near((1 - exp(s)) / total, out:get(1, 1, 1, 2))
      near(log(total), lse:get(1, 1, 1))
    end
  end)

  it("are the lse of a query that sees no key", function()
    local out, lse = pah.reference.fwd(problem(q, k, v, {seqused_k = tensor({0}, "i32"), sinks = tensor {-0.75}}))
    assert.same({0, -0.75}, {out:get(1, 1, 1, 1), lse:get(1, 1, 1)})
  end)

  it("of minus infinity give the bits of none, of plus infinity out 0", function()
    local args = problem(q, k, v)
    local out, lse = pah.reference.fwd(args)
    args.sinks = tensor {-math.huge}
    local same, same_lse = pah.reference.fwd(args)
    assert.same({out:hash(), lse:hash()}, {same:hash(), same_lse:hash()})
    args.sinks = tensor {math.huge}
    local none, all = pah.reference.fwd(args)
    assert.same({0, math.huge}, {none:get(1, 1, 1, 1), all:get(1, 1, 1)})
  end)

  it("leave rows of scores of minus infinity at out 0", function()
    local args = problem({{{row(1)}}}, {{row(-math.huge)}, {row(-math.huge)}}, {{row(1)}, {row(2)}})
    local out, lse = pah.reference.fwd(args)
    assert.same({0, -math.huge}, {out:get(1, 1, 1, 1), lse:get(1, 1, 1)})
    args.sinks = tensor {0.5}
    out, lse = pah.reference.fwd(args)
    assert.same({0, 0.5}, {out:get(1, 1, 1, 1), lse:get(1, 1, 1)})
  end)
end)

describe("the oracle's backward", function()
  -- Inputs are multiples of 1/64 and steps 1/4096, so that f32 holds every perturbed value exactly.
  local function grid(t)
    local p, n = t:data(), t:numel()
    for i = 0, n - 1 do p[i] = math.floor(p[i] * 64 + 0.5) / 64 end
    return t
  end

  local function weighted_sum(args, dout)
    local x, n, keep_x = judge.values((pah.reference.fwd(args)))
    local w, _, keep_w = judge.values(dout)
    local sum = 0
    for i = 0, n - 1 do sum = sum + x[i] * w[i] end
    return sum, keep_x, keep_w
  end

  -- Gradients by finite differences; Dv: the width of V.
  local function check(options, Dv)
    Dv = Dv or 8
    local args = {
      q = grid(pah.randn({2, 4, 3, 8}, {seed = 1, device = cpu})),
      k_blocks = grid(pah.randn({4, 2, 2, 8}, {seed = 2, device = cpu})),
      v_blocks = grid(pah.randn({4, 2, 2, Dv}, {seed = 3, device = cpu})),
      -- Block 1 is shared by both sequences; block 2 is nobody's.
      block_table = tensor({{1, 3, 7}, {1, 0, 7}}, "i32"), seqused_k = tensor({4, 3}, "i32"),
    }
    for name, value in pairs(options) do args[name] = value end
    local dout = pah.randn({2, 4, 3, Dv}, {seed = 4, device = cpu})
    args.dout = dout
    local dq, dk, dv, dsinks = pah.reference.bwd(args)
    assert.equal(options.sinks ~= nil, dsinks ~= nil)
    args.dout = nil
    local step = 1 / 4096
    for name, gradient in pairs {q = dq, k_blocks = dk, v_blocks = dv, sinks = dsinks} do
      local p, g, keep = args[name]:data(), judge.values(gradient)
      for i = 0, args[name]:numel() - 1, name == "sinks" and 1 or 7 do
        local x = p[i]
        p[i] = x + step
        local up = weighted_sum(args, dout)
        p[i] = x - step
        local down = weighted_sum(args, dout)
        p[i] = x
        near((up - down) / (2 * step), g[i], 2e-6, keep)
      end
    end
    return dk, dv
  end

  it("agrees with finite differences, blocks shared", function()
    local dk, dv = check {}
    -- Slots that no sequence uses: block 2, and slot 1 of block 0 (3 tokens in sequence 2).
    for _, t in ipairs {dk, dv} do
      assert.equal(0, judge.errors(t[3], pah.zeros({2, 2, 8}, {device = cpu})).max)
      assert.equal(0, judge.errors(t[1][2], pah.zeros({2, 8}, {device = cpu})).max)
    end
  end)

  it("agrees with finite differences under every mask, softcap and scale", function()
    check {causal = true}
    check {causal = "top-left", softcap = 2}
    check {window = {1, 0}, softmax_scale = 0.7}
    check {window = {-1, 1}, softcap = 1.5, causal = true}
  end)

  it("agrees with finite differences for sinks and for values of another width", function()
    local function sinks() return grid(pah.randn({4}, {seed = 5, device = cpu})) end
    check({sinks = sinks()})
    check({sinks = sinks(), causal = true, softcap = 2}, 24)
    check({window = {1, 0}}, 16)
    check({sinks = sinks(), window = {0, 0}, causal = "top-left", softmax_scale = 0.7}, 32)
  end)

  it("gives no gradient to an infinite sink, nor through a row that it takes all of", function()
    local args = problem({{{row(1)}, {row(1)}, {row(1)}}}, {{row(1)}, {row(2)}}, {{row(9)}, {row(4)}})
    args.dout, args.sinks = pah.ones({1, 3, 1, 8}, {device = cpu}), tensor {-math.huge, math.huge, 0}
    local dq, _, dv, dsinks = pah.reference.bwd(args)
    assert.equal(0, dsinks:get(1))
    assert.equal(0, dsinks:get(2))
    assert.is_true(dsinks:get(3) < 0)
    local sum = exp(1) + exp(2)
    near(-(9 * exp(1) + 4 * exp(2)) / ((sum + 1) * (sum + 1)), dsinks:get(3))
    assert.equal(0, dq:get(1, 2, 1, 1))
    near(exp(1) / sum + exp(1) / (sum + 1), dv:get(1, 1, 1, 1))
  end)

  it("gives rows without keys no gradient", function()
    local args = problem({{{row(1), row(1)}}}, {{row(1)}}, {{row(9)}}, {causal = true})
    args.dout = pah.ones({1, 1, 2, 8}, {device = cpu})
    local dq, _, dv = pah.reference.bwd(args)
    assert.equal(0, dq:get(1, 1, 1, 1))
    assert.equal(1, dv:get(1, 1, 1, 1)) -- from the second row alone
  end)
end)
