-- naive_spec.lua - the kernels of kernels/ beside attention, on sim with every check on: merge, kv_append (the same
-- bits as the cpu's), and the kernels that look over tables, which only cuda needs. Attention itself:
-- spec/attention/cases_spec.lua.
local cases = require "spec.support.cases"
local ffi = require "ffi"
local judge = require "spec.support.judge"
local problems = require "spec.support.problem"

local DTYPES = {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"}
local declare_params = require("spec.gpu.sm80").declare_params
local why = require("spec.support.sim").why

local function same_bits(a, b)
  a, b = a:to("cpu"):contiguous(), b:to("cpu"):contiguous()
  return ffi.string(a:data(), a.nbytes) == ffi.string(b:data(), b.nbytes)
end

describe("naive kernels on sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"

  it("append the bits that the cpu appends, whatever the types", function()
    local T, H, D = 7, 2, 32
    local slots = {3, -1, 0, 9, 14, 7, -1}
    for _, cache_dtype in ipairs(DTYPES) do
      for _, dtype in ipairs {"f32", "f16", "bf16", cache_dtype} do
        for _, descale in ipairs {1, 0.37} do
          local blocks = {}
          for i, device in ipairs {pah.device "cpu", sim} do
            local options = {dtype = dtype, device = device, scale = 40}
            options.seed = 1
            local k = pah.randn({T, H, D}, options)
            options.seed = 2
            local v = pah.randn({T, H, D}, options)
            k[1]:fill(1 / 0)
            v[1]:fill(0 / 0)
            local pool = {dtype = cache_dtype, device = device}
            blocks[i] = {k = pah.zeros({4, 4, H, D}, pool), v = pah.zeros({4, 4, H, D}, pool)}
            pah.kv_append {
              k = k, v = v, k_blocks = blocks[i].k, v_blocks = blocks[i].v,
              slot_mapping = pah.tensor(slots, {dtype = "i64", device = device}),
              k_descale = descale, v_descale = descale,
            }
          end
          assert.is_true(same_bits(blocks[1].k, blocks[2].k), dtype .. " to " .. cache_dtype .. " by " .. descale)
          local got, want = blocks[2].v:to("f32"):to("cpu"), blocks[1].v:to("f32")
          assert.equal(0, pah.diff(got:narrow(1, 2, 3), want:narrow(1, 2, 3)).mismatched) -- block 1 holds the NaN
        end
      end
    end
  end)

  it("merge as the cpu does, and keep NaN and empty parts apart", function()
    local shape, rows = {2, 3, 4, 64}, {2, 3, 4}
    for _, dtype in ipairs {"f32", "f16", "bf16"} do
      local results = {}
      for i, device in ipairs {pah.device "cpu", sim} do
        local function part(seed)
          return pah.randn(shape, {seed = seed, dtype = dtype, device = device}),
            pah.randn(rows, {seed = seed + 1, device = device, scale = 5})
        end
        local out_a, lse_a = part(1)
        local out_b, lse_b = part(3)
        lse_a[1][1]:fill(-1 / 0)
        out_a[1][1]:fill(0 / 0)
        lse_b:set(-1 / 0, 1, 1, 2)
        out_b[2][3]:fill(0 / 0)
        local out, lse = pah.merge(out_a, lse_a, out_b, lse_b)
        results[i] = {out:to("f32"):to("cpu"), lse:to("cpu")}
      end
      for n = 1, 2 do
        local want, got = results[1][n]:totable(), results[2][n]:totable()
        local function compare(x, y)
          if type(x) == "table" then
            for i = 1, #x do compare(x[i], y[i]) end
          else
            assert.is_true(x == y or (x ~= x and y ~= y) or math.abs(x - y) <= 1e-2 * math.abs(x))
          end
        end
        compare(want, got)
      end
    end
  end)

  it("agree with the oracle whatever the tiles", function()
    local tiles = {{8, 8}, {16, 64}, {128, 16}, {32, 128}}
    for op, dtypes in pairs {fwd = {"bf16"}, fwd_fp8 = {"fp8_e4m3"}, bwd = {"f32"}} do
      for _, tile in ipairs(tiles) do
        local problem = problems.build(cases.plain(op, {
          dtype = dtypes[1], len_q = 21, len_k = {37, 18}, H = 2, Hkv = 1, D = 32, causal = true, window = {9, -1},
        }), sim)
        problem.args.block_m, problem.args.block_n = tile[1], tile[2]
        assert.same({}, judge.judge(problem, problem.run()))
      end
    end
  end)

  it("give the same bits in every schedule", function()
    for _, op in ipairs {"fwd", "bwd", "decode"} do
      local problem = problems.build(cases.plain(op, {
        dtype = "bf16", len_q = 11, len_k = {37, 18}, H = 4, Hkv = 2, D = 32, causal = true, shared_blocks = 1,
        num_splits = op == "decode" and 3 or nil,
      }), sim)
      local first
      for n, schedule in ipairs {"order", "reverse", "random"} do
        sim:set {schedule = schedule, seed = n}
        local results, bits = problem.run(), {}
        for name, tensor in pairs(results) do
          local host = tensor:to("cpu"):contiguous()
          bits[name] = ffi.string(host:data(), host.nbytes)
        end
        first = first or bits
        assert.same(first, bits)
      end
      sim:set {schedule = "order"}
    end
  end)

  it("split the keys into as many parts as the call says", function()
    local problem = problems.build(cases.plain("decode", {
      len_k = {1200}, H = 1, Hkv = 1, D = 32, num_splits = 1100,
    }), sim)
    local results
    local counted = pah.bench(function() results = problem.run() end, {device = sim})
    assert.equal(1100 + 1, counted.thread_blocks) -- and one that combines
    assert.same({}, judge.judge(problem, results))
  end)

  it("name the tiles that they cannot have", function()
    local function refused(message, op, device, block_m, block_n)
      local problem = problems.build(cases.plain(op, {len_k = {5}, H = 1, Hkv = 1}), device)
      problem.args.block_m, problem.args.block_n = block_m, block_n
      local ok, err = pcall(problem.run)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), err)
    end
    refused("block_m: is 24, must be 8, 16, 32, 64 or 128", "fwd", sim, 24)
    refused("block_n: is 256, must be 8, 16, 32, 64 or 128", "bwd", sim, 32, 256)
    refused("block_n: is given, but decode has no tiles", "decode", sim, nil, 32)
    refused("block_m: is given, but the kernels of cpu have no tiles to choose", "fwd", "cpu", 64, 32)
  end)

  it("find what is wrong in tables, and nothing in good ones", function()
    declare_params()
    local module = sim:compile {source = "kernels/check.cu"}
    local function i32(list) return pah.tensor(list, {dtype = "i32", device = sim}) end
    local function broken(table_rows, lengths, sums, total_q, most, tree)
      local block_table, used, cu = i32(table_rows), i32(lengths), i32(sums)
      local flag = pah.zeros({1}, {dtype = "i32", device = sim})
      local p = ffi.new "struct pah_attn_params"
      p.block_table, p.table_batch, p.table_block = ffi.cast("int *", block_table:data()), #table_rows[1], 1
      p.seqused_k, p.seqused_stride = ffi.cast("int *", used:data()), 1
      p.cu_seqlens_q, p.cu_stride, p.total_q = ffi.cast("int *", cu:data()), 1, total_q
      p.batch, p.block_size, p.num_blocks, p.max_blocks = #lengths, 4, 10, #table_rows[1]
      p.most_queries, p.tree_mask = most or 64, tree and ffi.cast("int *", used:data())
      module:launch("check_attention", {grid = 1, block = 256}, p, flag)
      return flag:get(1) ~= 0
    end
    local good = {{0, 9, 2147483647}, {3, -7, -1}}
    assert.is_false(broken(good, {8, 4}, {0, 3, 5}, 5))
    assert.is_true(broken(good, {8, 5}, {0, 3, 5}, 5)) -- reaches block -7
    assert.is_true(broken(good, {9, 4}, {0, 3, 5}, 5)) -- reaches block 2147483647
    assert.is_true(broken({{0, 10, 0}, {3, 0, 0}}, {8, 4}, {0, 3, 5}, 5))
    assert.is_true(broken(good, {8, 13}, {0, 3, 5}, 5))
    assert.is_true(broken(good, {8, -1}, {0, 3, 5}, 5))
    assert.is_true(broken(good, {8, 4}, {0, 6, 5}, 5))
    assert.is_true(broken(good, {8, 4}, {1, 3, 5}, 5))
    assert.is_true(broken(good, {8, 4}, {0, 3, 5}, 6))
    assert.is_true(broken(good, {8, 4}, {0, -2147483648, 5}, 5))
    assert.is_true(broken(good, {8, 4}, {0, 3, 5}, 5, 2)) -- 3 queries of a sequence
    assert.is_false(broken(good, {8, 4}, {0, 3, 5}, 5, 3, true))
    assert.is_true(broken(good, {2, 4}, {0, 3, 5}, 5, 3, true)) -- a tree with fewer keys than queries
  end)

  it("find slots that are out of range or named twice", function()
    declare_params()
    local module = sim:compile {source = "kernels/check.cu"}
    for _, dtype in ipairs {"i32", "i64"} do
      local function broken(slots)
        local mapping = pah.tensor(slots, {dtype = dtype, device = sim})
        local flag = pah.zeros({1}, {dtype = "i32", device = sim})
        local p = ffi.new "struct pah_append_params"
        p.slot_mapping, p.slot_stride, p.slot_bytes = mapping:data(), 1, dtype == "i64" and 8 or 4
        p.tokens, p.block_size, p.num_blocks = #slots, 4, 3
        module:launch("check_slots", {grid = 1, block = 256}, p, flag)
        return flag:get(1) ~= 0
      end
      assert.is_false(broken {0, -1, 11, -1, 5})
      assert.is_true(broken {0, 12})
      assert.is_true(broken {-2})
      assert.is_true(broken {4, 1, 4})
    end
  end)
end)
