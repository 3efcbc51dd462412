-- edges_spec.lua - the edges of the contract one by one, mostly with results known exactly: no keys, no queries, one
-- token, more splits than keys, huge scores, strided views, and offsets past 2^31 elements and 4 GiB.
-- What mixes these with everything else is in cases_spec.lua.
local cases = require "pah.judge.cases"
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"

local INF = math.huge

local function i32(list, device) return pah.tensor(list, {dtype = "i32", device = device}) end

local function assert_equal_values(want, got)
  local e, why = judge.errors(got, want)
  assert.is_truthy(e, why)
  assert.equal(0, e.max)
end

-- Values of the pool become their token's number plus `step` times the K/V head, the keys 0.
local function number_tokens(problem)
  local case, plan = problem.case, problem.plan
  for b, len in ipairs(case.len_k) do
    for t = 0, len - 1 do
      local id, slot = plan.table[b][math.floor(t / case.block_size) + 1] + 1, t % case.block_size + 1
      problem.args.v_blocks[id][slot]:fill(t)
      problem.args.k_blocks[id][slot]:fill(0)
    end
  end
end

for _, entry in ipairs(pah.devices()) do
  describe("edges on " .. entry.name .. (entry.name == "sim" and " #slow" or ""), function()
    if not entry.usable then
      pending(("are not run: %s"):format(entry.why or "the device is not usable"))
      return
    end
    local device = pah.device(entry.name)

    local function passes(op, change) return judge.passes(cases.plain(op, change), device) end

    it("keys of equal score give the mean of the visible values exactly", function()
      -- Row i sees tokens 0 .. 2^n - 1 or a window of 2^n: means of whole numbers that every type holds.
      for _, dtype in ipairs {"f32", "f16", "bf16"} do
        for _, len in ipairs {1, 2, 4, 8, 16, 32} do
          local problem = problems.build(cases.plain("fwd", {len_k = {len}, len_q = 3, dtype = dtype}), device)
          number_tokens(problem)
          local results = problem.run()
          assert.equal((len - 1) / 2, results.out:get(1, 1, 1, 1))
          assert.is_true(math.abs(math.log(len) - results.lse:get(1, 4, 3)) < 1e-6)
        end
        local problem = problems.build(cases.plain("fwd", {
          len_k = {40}, len_q = 6, dtype = dtype, causal = true, window = {3, 0}, block_size = 3,
        }), device)
        number_tokens(problem)
        local out = problem.run().out
        for i = 1, 6 do assert.equal(34 + i - 1 - 1.5, out:get(1, 4, i, 64)) end
      end
    end)

    it("one-hot values show the probabilities, which sum to 1", function()
      local problem = problems.build(cases.plain("fwd", {len_k = {32}, D = 32, len_q = 4, causal = true}), device)
      local k, v = problem.args.k_blocks, problem.args.v_blocks
      for t = 0, 31 do
        local slot = v[problem.plan.table[1][math.floor(t / 16) + 1] + 1][t % 16 + 1]
        slot:fill(0)
        for g = 1, 2 do slot:set(1, g, t + 1) end
      end
      local out = problem.run().out
      assert.same({}, judge.judge(problem, problem.results))
      for i = 1, 4 do
        local sum = 0
        for d = 1, 32 do
          local p = out:get(1, 1, i, d)
          assert.is_true(d <= 28 + i and p > 0 or p == 0)
          sum = sum + p
        end
        assert.is_true(math.abs(sum - 1) < 1e-6)
      end
      assert.equal(k.dtype, "f32")
    end)

    it("no sequences and no queries are legal", function()
      for _, op in ipairs {"fwd", "bwd"} do
        passes(op, {len_k = {}})
        passes(op, {len_q = 0})
        passes(op, {len_q = {}, len_k = {}, ragged = true})
      end
      passes("decode", {len_k = {}, dtype = "bf16"})
      passes("fwd_fp8", {len_k = {}, dtype = "fp8_e4m3"})
    end)

    it("no keys give 0 and -inf, and no gradient", function()
      for _, op in ipairs {"fwd", "decode", "fwd_fp8"} do
        local dtype = op == "fwd_fp8" and "fp8_e5m2" or "f16"
        local results = passes(op, {len_k = {0, 0}, dtype = dtype, num_splits = op == "decode" and 4 or nil}).results
        assert_equal_values(pah.zeros(results.out.shape), results.out)
        assert_equal_values(pah.full(results.lse.shape, -INF), results.lse)
      end
      local gradients = passes("bwd", {len_k = {0, 0}}).results
      for _, tensor in pairs(gradients) do assert_equal_values(pah.zeros(tensor.shape), tensor) end
    end)

    it("queries before the first key of a causal mask give 0 and -inf", function()
      local results = passes("fwd", {len_k = {3}, len_q = 8, causal = true}).results
      for i = 1, 8 do
        local empty = i <= 5
        assert.equal(empty, results.lse:get(1, 1, i) == -INF)
        assert.equal(empty, results.out:get(1, 1, i, 1) == 0)
      end
      passes("bwd", {len_k = {3}, len_q = 8, causal = true})
      passes("fwd", {len_k = {300}, len_q = 2, window = {0, 0}, causal = "top-left"})
    end)

    it("lengths around multiples of the block size", function()
      for _, block_size in ipairs {1, 2, 16, 64} do
        local len_k = {}
        for _, k in ipairs {1, 2, 5} do
          for delta = -1, 1 do len_k[#len_k + 1] = k * block_size + delta end
        end
        for _, op in ipairs {"fwd", "decode", "bwd"} do
          passes(op, {len_k = len_k, block_size = block_size, len_q = 2})
        end
      end
    end)

    it("a single token in every place", function()
      for _, block_size in ipairs {1, 256} do
        local results = passes("decode", {len_k = {1}, block_size = block_size, num_splits = 9}).results
        assert.is_true(results.lse:get(1, 1, 1) > -INF)
      end
    end)

    it("17 splits of 3 blocks, and every other number of splits", function()
      for _, dtype in ipairs {"f32", "bf16"} do
        for _, num_splits in ipairs {1, 2, 3, 4, 17, 48, 49, 133, 1000} do
          passes("decode", {len_k = {48, 33, 0}, num_splits = num_splits, dtype = dtype})
        end
      end
    end)

    it("scores of any size", function()
      for _, scale in ipairs {1e-4, 30, 1e4} do
        passes("fwd", {softmax_scale = scale, causal = true})
        passes("decode", {softmax_scale = scale, num_splits = 3})
      end
      passes("fwd", {softmax_scale = -0.5})
    end)

    it("NaN in a key or a value reaches the rows that see it, and no other", function()
      local function nans(t)
        local count = 0
        for _, x in ipairs(t:to("cpu"):reshape(t:numel()):totable()) do count = count + (x ~= x and 1 or 0) end
        return count
      end
      for _, name in ipairs {"k_blocks", "v_blocks"} do
        for token, rows in pairs {[3] = 4, [36] = 1} do -- the last of 4 rows alone sees the last of 37 tokens
          local problem = problems.build(cases.plain("fwd", {len_k = {37}, len_q = 4, causal = true}), device)
          problem.args[name][problem.plan.table[1][math.floor(token / 16) + 1] + 1][token % 16 + 1]:fill(0 / 0)
          local results = problem.run()
          assert.equal(4 * rows * 64, nans(results.out))
          assert.equal(name == "k_blocks" and 4 * rows or 0, nans(results.lse))
        end
      end
    end)

    it("NaN in a query touches its own row only", function()
      local problem = problems.build(cases.plain("fwd", {causal = true, dtype = "bf16"}), device)
      problem.args.q:set(0 / 0, 2, 3, 4, 5)
      local results = problem.run()
      assert.same({}, judge.judge(problem, results))
      local lse = results.lse:get(2, 3, 4)
      assert.is_true(lse ~= lse)
    end)

    it("seqlen_k stands for all lengths, and the table's reach for it", function()
      local problem = problems.build(cases.plain("fwd", {len_k = {32, 32}, causal = true}), device)
      local results = problem.run()
      local args = problem.args_without("seqused_k")
      args.seqlen_k = 32
      assert_equal_values(results.out, (pah.fwd(args)))
      args.seqlen_k = nil
      args.block_table = args.block_table:narrow(2, 1, 2)
      assert_equal_values(results.out, (pah.fwd(args)))
    end)

    it("strided views of everything", function()
      local problem = problems.build(cases.plain("fwd", {causal = true}), device)
      local results, args = problem.run(), problem.args_without()
      local function spaced(t) -- the same values, every second row of a larger tensor
        local shape = t.shape
        local n = shape[1]
        shape[1] = 2 * n
        local wide = pah.zeros(shape, {dtype = t.dtype, device = device})
        table.insert(shape, 2, 2)
        shape[1] = n
        local view = wide:view(unpack(shape)):select(2, 1)
        view:copy(t)
        return view
      end
      for _, name in ipairs {"q", "k_blocks", "v_blocks", "block_table", "seqused_k"} do
        args[name] = spaced(args[name])
      end
      args.out = spaced(pah.zeros(args.q.shape, {device = device}))
      args.lse = spaced(pah.zeros(results.lse.shape, {device = device}))
      pah.fwd(args)
      assert_equal_values(results.out, args.out)
      assert_equal_values(results.lse, args.lse)
    end)

    -- Untouched pages of a pool cost nothing; keys and values share one.
    it("blocks past 2^31 elements and past 4 GiB", function()
      if entry.name ~= "cpu" then return pending "takes a pool of 4 GiB" end
      for _, kind in ipairs {{"bf16", 131072 + 64, "fwd"}, {"fp8_e4m3", 2 * 131072 + 64, "decode"}} do
        local dtype, num_blocks, op = unpack(kind)
        local pool = pah.empty({num_blocks, 16, 8, 128}, {dtype = dtype, device = device})
        local ids = {num_blocks - 1, 131072, 131071, 0, math.floor(num_blocks / 2) + 1}
        for n, id in ipairs(ids) do
          pool[id + 1]:copy(pah.randn({16, 8, 128}, {seed = n, dtype = dtype, device = device}))
        end
        local args = {
          q = pah.randn({1, 8, 1, 128}, {seed = 9, dtype = "bf16", device = device}), k_blocks = pool, v_blocks = pool,
          block_table = i32({ids}, device), seqused_k = i32({75}, device),
        }
        local out, lse = pah[op](args)
        local want, want_lse = pah.reference[op](args)
        args.intermediate = "bf16"
        local pt, pt_lse = pah.reference[op](args)
        local rule = {max = 2, mean = 1.5, atol = 1e-5, mean_atol = 1e-6}
        assert.is_nil(judge.complaint(out, want, pt, rule))
        local case = {op = op, dtype = "bf16", cache_dtype = dtype}
        assert.is_nil((judge.lse_of_case_complaint(case, lse, want_lse, pt_lse)))
        pool:free()
      end
    end)
  end)
end

-- Where scores lie exactly between two powers of two, both parts of 2^x must take the same side: 0.5 would else be 1.
describe("probabilities at half steps of the exponent", function()
  -- Weights 2^(-i/4) of one key against another of score 0, through q k = -i/4 and a scale of ln 2, give or take a bit.
  local function worst_error(device, dtype)
    local n, worst = 64, 0
    local args = {
      q = pah.zeros({1, 1, 1, 8}, {device = device, dtype = dtype}),
      k_blocks = pah.zeros({n, 2, 1, 8}, {device = device, dtype = dtype}),
      v_blocks = pah.zeros({n, 2, 1, 8}, {device = device, dtype = dtype}), block_table = i32({{0}}, device),
    }
    args.q:set(1, 1, 1, 1, 1)
    for i = 1, n do
      args.k_blocks:set(-(i - 1) / 4, i, 2, 1, 1)
      args.v_blocks:set(1, i, 2, 1, 1)
    end
    for _, bits in ipairs {0, 1, -1} do
      args.softmax_scale = math.log(2) * (1 + bits * 2 ^ -24)
      for i = 1, n do
        args.block_table:set(i - 1, 1, 1)
        local p = 2 ^ (-(i - 1) / 4)
        for _, op in ipairs {"fwd", "decode"} do
          worst = math.max(worst, math.abs(pah[op](args):get(1, 1, 1, 1) / (p / (1 + p)) - 1))
        end
      end
    end
    return worst
  end

  for _, isa in ipairs(require("spec.support.isas").usable) do
    it("are right in " .. isa, function()
      assert.is_true(worst_error(pah.device("cpu:" .. isa), "f32") < 1e-5)
      assert.is_true(worst_error(pah.device("cpu:" .. isa), "bf16") < 1e-2)
    end)
  end
end)
