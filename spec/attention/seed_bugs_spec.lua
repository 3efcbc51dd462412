-- seed_bugs_spec.lua - the twenty mistakes of the kernels that pah was written after, each as a small regression that
-- would have caught it. Numbers 17 and 18 are about registers and shared memory of GPU kernels and have no meaning on
-- a cpu. The same ground is covered more widely by cases_spec.lua; here every mistake has its name.
local cases = require "pah.judge.cases"
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"

local cpu = pah.device "cpu"
local NAN = 0 / 0

local function i32(list) return pah.tensor(list, {dtype = "i32", device = cpu}) end

local function passes(op, change) return judge.passes(cases.plain(op, change), cpu) end

local function value(x, dtype) return pah.tensor({x}, {dtype = "f64", device = cpu}):to(dtype):to("f64"):get(1) end

-- One head, D = 8, tokens in order in one block; zero queries and keys, value t in token t.
local function counting(len_q, len_k, options)
  local v = pah.empty({1, len_k, 1, 8}, {device = cpu})
  for t = 1, len_k do v[1][t]:fill(t) end
  local args = {
    q = pah.zeros({1, 1, len_q, 8}, {device = cpu}), k_blocks = pah.zeros({1, len_k, 1, 8}, {device = cpu}),
    v_blocks = v, block_table = i32 {{0}},
  }
  for name, option in pairs(options or {}) do args[name] = option end
  return args
end

describe("mistakes of the seed that stay away:", function()
  it("1: a backward whose arguments shift by one", function()
    -- All sizes differ, so that none can stand for another.
    local sizes = {H = 6, Hkv = 3, D = 40, block_size = 7, len_q = 11, len_k = {23, 5}}
    passes("bwd", sizes)
    sizes.causal, sizes.softmax_scale = true, 0.3
    passes("bwd", sizes)
  end)

  it("2: a backward that forgets the K/V heads", function()
    passes("bwd", {H = 2, Hkv = 2})
    passes("bwd", {H = 4, Hkv = 2, len_k = {70}, block_size = 5})
  end)

  it("3: fp8 kernels that do not exist at run time", function()
    for _, dtype in ipairs {"fp8_e4m3", "fp8_e5m2"} do
      for _, D in ipairs {64, 128} do
        passes("fwd_fp8", {dtype = dtype, D = D, q_descale = "scalar", k_descale = "scalar", v_descale = "scalar"})
        passes("decode", {dtype = "bf16", cache_dtype = dtype, D = D, k_descale = "heads"})
      end
    end
  end)

  it("4: an fp8 codec with holes", function()
    local e4m3, e5m2 = "fp8_e4m3", "fp8_e5m2"
    for _, pair in ipairs {{464, 448}, {480, 448}, {1e6, 448}, {math.huge, 448}, {-1e6, -448}, {1.97, 2},
      {2 ^ -9, 2 ^ -9}, {7 * 2 ^ -9, 7 * 2 ^ -9}, {2 ^ -10, 0}, {1.5 * 2 ^ -10, 2 ^ -9}, {1.5e-5, 0},
      {1.0625, 1}, {1.1875, 1.25}} do -- ties go to even
      assert.equal(pair[2], value(pair[1], e4m3))
    end
    for _, pair in ipairs {{65536, 57344}, {math.huge, 57344}, {1.5e-5, 2 ^ -16}, {2 ^ -16, 2 ^ -16},
      {0.0117, 0.01171875}, {2 ^ -17, 0}, {1.125, 1}, {1.375, 1.5}} do
      assert.equal(pair[2], value(pair[1], e5m2))
    end
    for _, dtype in ipairs {e4m3, e5m2} do
      assert.equal(-math.huge, 1 / value(-0.0, dtype))
      local nan = value(NAN, dtype)
      assert.is_true(nan ~= nan)
    end
    local t = pah.zeros({2}, {dtype = e4m3, device = cpu})
    t:data()[0], t:data()[1] = 0x7f, 0xff
    for i = 1, 2 do assert.is_true(t:get(i) ~= t:get(i)) end
  end)

  it("5: descales that divide", function()
    local args = counting(1, 2)
    for _, name in ipairs {"q", "k_blocks", "v_blocks"} do args[name] = args[name]:to "fp8_e4m3" end
    args.v_descale, args.out_dtype = 4, "f32"
    assert.equal(6, pah.fwd_fp8(args):get(1, 1, 1, 1))
    args.out_dtype, args.o_scale = "fp8_e4m3", 2
    assert.equal(12, pah.fwd_fp8(args):get(1, 1, 1, 1))
  end)

  it("6: a single query with its lse unwritten and its mask dropped", function()
    for _, dtype in ipairs {"f32", "f16", "bf16"} do
      for _, op in ipairs {"fwd", "decode"} do
        passes(op, {dtype = dtype, len_q = 1, causal = true})
        passes(op, {dtype = dtype, len_q = 1, causal = "top-left"})
      end
    end
  end)

  it("7: a causal mask from the wrong corner", function()
    local out = pah.fwd(counting(3, 7, {causal = true}))
    assert.same({3, 3.5, 4}, {out:get(1, 1, 1, 1), out:get(1, 1, 2, 1), out:get(1, 1, 3, 1)})
    passes("fwd", {len_q = 3, len_k = {7}, causal = true})
  end)

  it("8: offsets in 32 bits", function()
    -- The last slots of a pool of 2^31 elements and a bit; pages that nothing touches cost nothing.
    local num_blocks, block_size, heads, D = 131072 + 2, 16, 8, 128
    local pool = pah.empty({num_blocks, block_size, heads, D}, {dtype = "fp8_e4m3", device = cpu})
    local other = pah.empty({num_blocks, block_size, heads, D}, {dtype = "fp8_e4m3", device = cpu})
    local k = pah.randn({2, heads, D}, {seed = 3, device = cpu})
    pah.kv_append {
      k = k, v = k, k_blocks = pool, v_blocks = other,
      slot_mapping = pah.tensor({num_blocks * block_size - 1, 131072 * block_size}, {dtype = "i64", device = cpu}),
    }
    local want = k:to "fp8_e4m3"
    assert.equal(0, judge.errors(pool[num_blocks][block_size], want[1]).max)
    assert.equal(0, judge.errors(other[131073][1], want[2]).max)
    pool:free()
    other:free()
  end)

  it("9: NaN in rows that see no key", function()
    passes("fwd", {len_k = {0, 3}, len_q = 7, causal = true})
    passes("bwd", {len_k = {0, 3}, len_q = 7, causal = true})
    passes("decode", {len_k = {0, 3}, num_splits = 3})
  end)

  it("10: one length for the whole batch, and nothing checked", function()
    passes("fwd", {len_k = {1, 64, 17}})
    local function refuses(what, op, change)
      local problem = problems.build(cases.plain(op, {len_k = {20}}), cpu)
      local ok, message = pcall(pah[op], change(problem.args_without()))
      assert.is_false(ok)
      assert.is_truthy(tostring(message):find(what, 1, true), message)
    end
    refuses("block_table", "fwd", function(args)
      args.block_table = args.block_table:clone()
      args.block_table:set(-1, 1, 2)
      return args
    end)
    refuses("seqused_k", "decode", function(args)
      args.q = args.q:narrow(3, 1, 1)
      args.seqused_k = i32 {16 * #args.block_table[1] + 1}
      return args
    end)
    refuses("v_blocks", "fwd", function(args)
      args.v_blocks = args.v_blocks:to "f16"
      return args
    end)
    refuses("q: has 3 heads", "fwd", function(args)
      args.q = args.q:narrow(2, 1, 3)
      return args
    end)
  end)

  it("11: a prefill that sees the future", function()
    local problem = problems.build(cases.plain("fwd", {len_k = {30}, len_q = 30, causal = true}), cpu)
    local before = problem.run().out:clone()
    local last = problem.args.v_blocks[problem.plan.table[1][2] + 1]
    last:narrow(1, 5, 10):fill(1e6) -- tokens 20 .. 29
    local out = problem.run().out
    assert.equal(0, judge.errors(out:narrow(3, 1, 20), before:narrow(3, 1, 20)).max)
    assert.is_true(judge.errors(out:narrow(3, 21, 10), before:narrow(3, 21, 10)).max > 1)
  end)

  it("12: gradients summed in the type of the tensors, in the order of threads", function()
    -- One key: P = 1, so dv is the number of queries; adding ones in bf16 stops at 256.
    for _, dtype in ipairs {"bf16", "f16"} do
      local n = dtype == "bf16" and 4096 or 8192
      local args = {
        q = pah.ones({1, 1, n, 8}, {dtype = dtype, device = cpu}), k_blocks = pah.ones({1, 1, 1, 8}, {dtype = dtype}),
        v_blocks = pah.ones({1, 1, 1, 8}, {dtype = dtype}), block_table = i32 {{0}},
      }
      args.out, args.lse = pah.fwd(args)
      args.dout = pah.ones({1, 1, n, 8}, {dtype = dtype, device = cpu})
      local dv = select(3, pah.bwd(args))
      assert.equal(n, dv:get(1, 1, 1, 1))
    end
    local problem = problems.build(cases.plain("bwd", {H = 8, Hkv = 1, len_k = {90, 90, 90}, shared_blocks = 4}), cpu)
    local threads, first = pah.threads(), nil
    for _, n in ipairs {1, 2, 3, 7} do
      pah.threads(n)
      local dk = problem.run().dk_blocks:clone()
      first = first or dk
      assert.equal(0, judge.errors(dk, first).max)
    end
    pah.threads(threads)
  end)

  it("13: fast mathematics that flushes subnormal numbers", function()
    local args = counting(1, 1)
    args.v_blocks:fill(1e-40)
    local want = args.v_blocks:get(1, 1, 1, 1)
    assert.is_true(want > 0)
    assert.equal(want, pah.fwd(args):get(1, 1, 1, 1))
    assert.equal(want, pah.decode(args):get(1, 1, 1, 1))
  end)

  it("14: a reference that forgets the K/V heads", function()
    local args = counting(1, 2)
    args.q = pah.zeros({1, 2, 1, 8}, {device = cpu})
    args.k_blocks = pah.zeros({1, 2, 2, 8}, {device = cpu})
    args.v_blocks = pah.zeros({1, 2, 2, 8}, {device = cpu})
    args.v_blocks:select(3, 2):fill(5)
    for _, api in ipairs {pah, pah.reference} do
      local out = api.fwd(args)
      assert.same({0, 5}, {out:get(1, 1, 1, 1), out:get(1, 2, 1, 8)})
    end
  end)

  it("15: a top-left mask that runs past the last key", function()
    local out = pah.fwd(counting(6, 2, {causal = "top-left"}))
    assert.same({1, 1.5, 1.5}, {out:get(1, 1, 1, 1), out:get(1, 1, 2, 1), out:get(1, 1, 6, 1)})
    passes("bwd", {len_q = 30, len_k = {5}, causal = "top-left"})
  end)

  it("16: a large negative number that stands for minus infinity", function()
    for _, op in ipairs {"fwd", "decode"} do
      local args = counting(1, 4, {softmax_scale = 1})
      args.q:fill(1e16)
      args.k_blocks:fill(-1e16) -- every score is -8e32
      if op == "decode" then args.num_splits = 2 end
      local out, lse = pah[op](args)
      assert.equal(2.5, out:get(1, 1, 1, 1))
      assert.is_true(math.abs(lse:get(1, 1, 1) / -8e32 - 1) < 1e-6)
    end
  end)

  it("19: tests of one head, one sequence and an identity table only", function()
    local seen = {}
    local function note(op, what) seen[op .. " " .. what] = true end
    for _, case in ipairs(cases.all()) do
      if #case.len_k > 1 then note(case.op, "batch") end
      if case.Hkv > 1 and case.H > case.Hkv then note(case.op, "groups") end
      if case.causal then note(case.op, "causal") end
      note(case.op, case.dtype)
      note(case.op, "cache " .. (case.cache_dtype or case.dtype))
    end
    for _, op in ipairs {"fwd", "bwd", "decode", "fwd_fp8"} do
      for _, what in ipairs {"batch", "groups", "causal", "f32", "f16", "bf16"} do
        assert.is_true(seen[op .. " " .. what], op .. " " .. what)
      end
    end
    assert.is_true(seen["decode cache fp8_e4m3"] and seen["decode cache fp8_e5m2"] and seen["fwd_fp8 fp8_e4m3"])
    local first = problems.plan(cases.all()[1]).table[1]
    assert.is_false(first[1] == 0 and first[2] == 1 and first[3] == 2)
  end)

  it("20: two layouts of the cache and two types of slot", function()
    local args = counting(1, 2)
    args.k_blocks = args.k_blocks:view(1, 2, 8)
    assert.is_false((pcall(pah.fwd, args)))
    for _, dtype in ipairs {"i32", "i64"} do
      local blocks = pah.zeros({2, 2, 1, 8}, {device = cpu})
      local k = pah.ones({1, 1, 8}, {device = cpu})
      pah.kv_append {
        k = k, v = k, k_blocks = blocks, v_blocks = blocks:clone(),
        slot_mapping = pah.tensor({3}, {dtype = dtype, device = cpu}),
      }
      assert.equal(1, blocks:get(2, 2, 1, 8))
      assert.equal(0, blocks:get(2, 1, 1, 8))
    end
  end)
end)
