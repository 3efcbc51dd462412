-- decode_half_spec.lua - decode of fp8 caches by f16 multiply-adds (src/cpu/decode/f16.h) where the processor has
-- them: beside the same kernel by f32 (cpu:avx512bf16), and its error beside that of the low-precision evaluation.
local ffi = require "ffi"
local judge = require "spec.support.judge"

describe("decode by f16", function()
  if ffi.C.pah_isa_usable "avx512fp16" == 0 then return pending "this processor has no AVX512-FP16" end
  local half, single = pah.device "cpu:avx512fp16", pah.device "cpu:avx512bf16"

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

  local function run(p, device)
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
end)
