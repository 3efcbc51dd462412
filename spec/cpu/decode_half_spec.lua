-- decode_half_spec.lua - decode of fp8 caches by f16 multiply-adds (src/cpu/decode/f16.h), by the processor and by a
-- model of its instructions: beside the same kernel by f32 (cpu:avx512bf16), and its error beside that of the
-- low-precision evaluation.
local ffi = require "ffi"
local isas = require "spec.support.isas"
local judge = require "pah.judge.budget"

local ways = require("spec.cpu.model.decode_half").ways()

-- A problem of one sequence on the host; its fields may be changed before it is run.
local function problem(s)
  local len, group, hkv, D = s.len or 75, s.group or 4, s.Hkv or 2, s.D or 128
  local blocks = math.ceil(len / 16)
  local function pool(seed, mean, scale)
    local x = pah.randn({blocks, 16, hkv, D}, {device = "cpu", seed = seed, scale = scale or 1})
    local data = ffi.cast("float *", x:data())
    for i = 0, mean and x:numel() - 1 or -1 do data[i] = data[i] + mean end
    return x:to(s.dtype)
  end
  return {
    q = pah.randn({1, hkv * group, D}, {device = "cpu", seed = 1, scale = s.q_scale or 1}):to(s.q_dtype or "bf16"),
    k_blocks = pool(2, nil, s.k_scale), v_blocks = pool(3, s.v_mean, s.v_scale),
    k_descale = s.k_descale, softmax_scale = s.softmax_scale, num_splits = s.num_splits,
    block_table = pah.arange(blocks, {dtype = "i32", device = "cpu"}):view(1, blocks),
    seqused_k = pah.tensor({len}, {dtype = "i32", device = "cpu"}),
  }
end

local function specs(half)
  local single = pah.device "cpu:avx512bf16"

  local function run(p, device)
    if device == half then return half(p) end
    local there = {}
    for name, x in pairs(p) do there[name] = pah.is_tensor(x) and x:to(device) or x end
    local out, lse = pah.decode(there)
    return out:to "cpu", lse:to "cpu"
  end

  -- Both ways give the same infinities and NaN, and what is finite is near, relative to the largest.
  local function same(p, tolerance)
    local out, lse = run(p, half)
    local want, want_lse = run(p, single)
    for _, pair in ipairs {{out, want}, {lse, want_lse}} do
      local got, n, keep_got = judge.values(pair[1])
      local expected, _, keep_expected = judge.values(pair[2])
      local largest = 1e-30
      for i = 0, n - 1 do
        if math.abs(expected[i]) < math.huge then largest = math.max(largest, math.abs(expected[i])) end
      end
      for i = 0, n - 1 do
        local x, y = got[i], expected[i]
        local alike = x == y or (x ~= x and y ~= y) or math.abs(x - y) <= tolerance * largest
        assert.is_true(alike, ("element %d is %g, f32 gives %g"):format(i, x, y))
      end
      assert.same({n, n}, {keep_got:numel(), keep_expected:numel()}) -- and both are alive until here
    end
    return out, lse
  end

  -- Puts a code where element (token, head, d) of a pool lies, all counted from 0.
  local function put(pool, token, head, d, code)
    pool:data()[(token * pool.shape[3] + head) * pool.shape[4] + d] = code
  end

  for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
    it("agrees with f32 for every group, D and number of tokens, " .. dtype, function()
      for group = 1, 9 do
        for _, D in ipairs {64, 72, 80, 112, 128, 192, 256} do
          same(problem{dtype = dtype, group = group, D = D}, 8e-3)
        end
      end
      for len = 1, 67 do same(problem{dtype = dtype, len = len, Hkv = 1}, 8e-3) end
    end)

    it("is used: its bits are not those of f32, " .. dtype, function()
      local p = problem{dtype = dtype}
      assert.not_equal(run(p, half):hash(), run(p, single):hash())
      p.q = p.q:to "f32"
      same(p, 2e-6)
    end)

    it("errs no more than an evaluation in bf16, " .. dtype, function()
      for _, s in ipairs {
        {}, {v_mean = 3}, {softmax_scale = 0.001, v_mean = -1}, {softmax_scale = 1}, {softmax_scale = 4, v_mean = 1},
        {k_scale = 2 ^ -6, k_descale = 64}, {k_scale = 30}, {v_scale = 2 ^ -6}, {v_scale = 30, v_mean = 10},
        {q_scale = 2 ^ -20, softmax_scale = 2 ^ 17}, {q_scale = 100, softmax_scale = 0.001}, {q_dtype = "f16"},
      } do
        s.dtype, s.len, s.Hkv, s.num_splits = dtype, 2000, 1, 2
        local p = problem(s)
        local out, lse = run(p, half)
        local want, want_lse = pah.reference.decode(p)
        p.intermediate = "bf16"
        local low, low_lse = pah.reference.decode(p)
        local rule = {max = 1.2, mean = 1.05, atol = 1e-6, mean_atol = 1e-7}
        assert.is_nil((judge.complaint(out, want, low, rule)))
        assert.is_nil((judge.complaint(lse, want_lse, low_lse, rule)))
      end
    end)

    it("gives what is not finite as f32 does, at visible and at masked tokens, " .. dtype, function()
      local nonfinite = dtype == "fp8_e4m3" and {0x7f, 0xff} or {0x7c, 0xfc, 0x7d, 0xff}
      for _, name in ipairs {"k_blocks", "v_blocks"} do
        for _, code in ipairs(nonfinite) do
          for _, token in ipairs {0, 3, 31, 32, 70, 74, 75, 79} do
            local p = problem{dtype = dtype}
            put(p[name], token, 1, (token * 37) % 128, code)
            local out, lse = same(p, 8e-3)
            local values, n, keep = judge.values(out)
            for i = 0, n - 1 do -- the other KV head has heads 0 to 3
              if i < 4 * 128 or token >= 75 then assert.is_true(math.abs(values[i]) < math.huge) end
            end
            assert.equal(n, keep:numel())
            if name == "v_blocks" then assert.is_true(math.abs(lse:view(8)[8]) < 100) end
          end
        end
      end
    end)

    it("does not overflow, " .. dtype, function()
      local top = dtype == "fp8_e4m3" and 0x7e or 0x7b
      for _, name in ipairs {"k_blocks", "v_blocks"} do
        for _, sign in ipairs {0, 0x80} do
          for _, q_scale in ipairs {1, 1e-3, 1e4, 1e30} do
            local p = problem{dtype = dtype, q_scale = q_scale, softmax_scale = 1 / q_scale / 1e5}
            for token = 0, 74 do
              for d = 0, 127 do put(p[name], token, 0, d, top + sign) end
            end
            same(p, 8e-3)
          end
        end
      end
    end)

    it("takes any q, " .. dtype, function()
      for _, scale in ipairs {0, 1e-38, 1e-30, 1e-6, 1e6, 1e18, 3e37} do
        local p = problem{dtype = dtype, q_scale = scale}
        same(p, 8e-3)
        p.softmax_scale = scale > 0 and 0.1 / scale or 1
        same(p, 8e-3)
      end
      for _, x in ipairs {math.huge, -math.huge, 0 / 0} do
        local p = problem{dtype = dtype}
        p.q[{1, 2, 77}] = x
        same(p, 8e-3)
      end
    end)

    it("holds over long contexts, flat and peaked, " .. dtype, function()
      for _, softmax_scale in ipairs {1e-4, 0.09, 1} do
        local p = problem{dtype = dtype, len = 32768, Hkv = 1, v_mean = 1, softmax_scale = softmax_scale}
        same(p, 8e-3)
      end
    end)
  end

  -- A row of 128 with one element at `at` and the rest +-rest, as random signs.
  local function one_and_rest(one, rest, seed)
    local row = pah.rand({128}, {seed = seed, device = "cpu"}):totable()
    for d, x in ipairs(row) do row[d] = d == 5 and one or x < 0.5 and -rest or rest end
    return row
  end

  -- Every element of the pool is the code that code(token, d) gives.
  local function fill(pool, code)
    local shape = pool.shape
    for token = 0, shape[1] * shape[2] - 1 do
      for head = 0, shape[3] - 1 do
        for d = 0, shape[4] - 1 do put(pool, token, head, d, code(token, d)) end
      end
    end
  end

  local function as_exact(p, what, device)
    local out, lse = run(p, device or half)
    local want, want_lse = pah.reference.decode(p)
    p.intermediate = "bf16"
    local low, low_lse = pah.reference.decode(p)
    p.intermediate = nil
    assert.is_nil((judge.complaint(lse, want_lse, low_lse, {max = 2, mean = 2, atol = 1e-3, mean_atol = 1e-3})), what)
    local largest = judge.errors(p.v_blocks, p.v_blocks).largest
    local floor = 2 ^ -22 * largest
    assert.is_nil((judge.complaint(out, want, low, {max = 4, mean = 4, atol = floor, mean_atol = floor})), what)
  end

  for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
    local top = dtype == "fp8_e4m3" and 0x7e or 0x7b

    it("holds one huge and many tiny elements of q, " .. dtype, function()
      for exponent = 0, -40, -2 do
        for _, k_one in ipairs {0, 0x38} do -- what the huge one meets: 0, or 1 or 0.5
          local p = problem{dtype = dtype}
          local rows = {}
          for h = 1, 8 do rows[h] = one_and_rest(97, 2 ^ exponent * (1 + h / 8), h) end
          p.q = pah.tensor({rows}, {device = "cpu"}):to "bf16"
          fill(p.k_blocks, function(token, d)
            return d == 4 and k_one or (token * 31 + d * 7) % 11 < 5 and top - token % 3 or 0x80 + top - token % 3
          end)
          as_exact(p, ("2^%d beside 97, code %d"):format(exponent, k_one))
          p.softmax_scale = 2 ^ -12
          as_exact(p, ("2^%d beside 97, code %d, scale 2^-12"):format(exponent, k_one))
        end
      end
    end)

    it("holds the case of the report, " .. dtype, function()
      local p = problem{dtype = dtype}
      local rows = {}
      for h = 1, 8 do
        rows[h] = one_and_rest(97, 1e-4, h)
        for d, x in ipairs(rows[h]) do rows[h][d] = math.abs(x) end
      end
      p.q = pah.tensor({rows}, {device = "cpu"}):to "bf16"
      fill(p.k_blocks, function(_, d) return d == 4 and 0 or top end)
      as_exact(p, "97 beside 1e-4")
      for _, isa in ipairs(isas.usable) do as_exact(p, isa, pah.device("cpu:" .. isa)) end
    end)

    it("holds one huge and many tiny probabilities, " .. dtype, function()
      local one = dtype == "fp8_e4m3" and 0x38 or 0x3c
      for log2 = 0, 60, 6 do -- of the first token's p over the others'
        local p = problem{dtype = dtype, softmax_scale = 1, len = 1000, Hkv = 1, num_splits = 1}
        p.q:zero()
        p.q[{{}, {}, 1}] = log2 * math.log(2)
        fill(p.k_blocks, function(token, d) return d == 0 and token == 0 and one or 0 end)
        fill(p.v_blocks, function(token, d) return token == 0 and d % 4 or d % 2 == 0 and top - 8 or 0x30 end)
        as_exact(p, ("2^%d"):format(log2))
      end
    end)

    -- The score's error at most `roundings` of 2^-11, where all keys of a problem are alike.
    local function rounds(p, roundings)
      local _, lse = run(p, half)
      local _, want = pah.reference.decode(p)
      local score = want:view(want:numel()):totable()[1] - math.log(p.seqused_k:totable()[1])
      local off = judge.errors(lse, want).max
      assert.is_true(off <= roundings * 2 ^ -11 * score, ("D %d, %d heads: off by %g, the score is %g"):format(
        p.q.shape[3], p.q.shape[2], off, score))
    end

    it("rounds no more often than it says, " .. dtype, function()
      for _, D in ipairs {64, 128, 192, 256} do
        for group = 1, 4 do
          local p = problem{dtype = dtype, D = D, group = group, softmax_scale = 1}
          p.q:fill(1 + 2 ^ -7)
          fill(p.k_blocks, function(_, d)
            return dtype == "fp8_e4m3" and (d < 32 and 0x39 or 0x21) or d < 32 and 0x3d or 0x31
          end)
          rounds(p, 8 + math.floor((D - 1) / 128) + 3) -- DECODE_F16_ROUNDINGS
        end
      end
    end)

    it("lets a large sum swallow no more than a chain of products, " .. dtype, function()
      local p = problem{dtype = dtype, D = 256, softmax_scale = 1}
      p.q:fill(1 - 2 ^ -8)
      p.q[{{}, {}, {1, 64}}] = 1
      fill(p.k_blocks, function(_, d) -- 1, and 2^-9: half a step of a sum of four
        return dtype == "fp8_e4m3" and (d < 64 and 0x38 or 0x01) or d < 64 and 0x3c or 0x18
      end)
      rounds(p, 8)
    end)
  end
end

describe("decode by f16", function()
  if #ways == 0 then
    return pending "this processor has no AVX512-FP16, and the model of it needs the sources, gcc 12 and GFNI"
  end
  for _, way in ipairs(ways) do
    local slow = way.name == "the model" and " #slow" or ""
    describe("of " .. way.name .. slow, function() specs(way.decode) end)
  end

  it("is by the model what it is by the processor", function()
    if #ways < 2 then return pending "one of the two is not to be had here" end
    for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
      for group = 1, 8 do
        for _, D in ipairs {64, 72, 128, 256} do
          -- With num_splits the pieces are the same for one thread and for many.
          local args = problem{dtype = dtype, group = group, D = D, num_splits = 2}
          local out, lse = ways[1].decode(args)
          local model_out, model_lse = ways[2].decode(args)
          -- Roundings of f16 would show a hundred times as large; those of f32 depend on the compiler.
          assert.is_true(pah.allclose(model_lse, lse, {rtol = 0, atol = 1e-5}))
          assert.is_true(pah.allclose(model_out, out, {rtol = 2 ^ -7, atol = 1e-3}))
        end
      end
    end
  end)
end)
