-- naive_spec.lua - the kernels of kernels/ beside attention, on sim with every check on: merge, kv_append (the same
-- bits as the cpu's), and the kernels that look over tables, which only cuda needs. Attention itself:
-- spec/attention/cases_spec.lua.
local cases = require "pah.judge.cases"
local ffi = require "ffi"
local judge = require "pah.judge.budget"
local problems = require "pah.judge.problem"
local same_bits = require("spec.support.bits").same

local DTYPES = {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"}
local declare_params = require("spec.support.gpu.sm80").declare_params
local why = require("spec.support.gpu.sim").why

-- What the kernel `name` of check.cu concludes of the params p: nil, or {rule, sequence, index, value, limit}; both its
-- verdict on a first call and, as a stream of calls has it, behind others that broke nothing.
local function verdict_of(module, name, grid, p, device)
  local size = ffi.sizeof "struct pah_verdict"
  local host = ffi.new "struct pah_verdict"
  host.key = -1LL
  local verdict = pah.from(ffi.cast("uint8_t *", host), {size}, {dtype = "u8", device = "cpu"}):to(device)
  p.verdict, p.ticket = ffi.cast("struct pah_verdict *", verdict:data()), 7
  for _ = 1, 2 do module:launch(name, {grid = grid, block = 256}, p) end
  local back = verdict:to "cpu"
  ffi.copy(host, back:data(), size)
  assert.same({0, -1LL + 0ULL}, {host.arrived, host.key}) -- as the next call must find them
  assert.equal(host.first.rule == 0 and 0 or 7, host.broken)
  local r = host.first
  if r.rule == 0 then return end
  return {r.rule, tonumber(r.sequence), tonumber(r.index), tonumber(r.value), tonumber(r.limit)}
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
    local function broken(table_rows, lengths, sums, total_q, most, tree, bits)
      local block_table, used, cu = i32(table_rows), i32(lengths), i32(sums)
      local p = ffi.new "struct pah_attn_params"
      p.block_table, p.table_batch, p.table_block = ffi.cast("int *", block_table:data()), #table_rows[1], 1
      p.seqused_k, p.seqused_stride = ffi.cast("int *", used:data()), 1
      p.cu_seqlens_q, p.cu_stride, p.total_q = ffi.cast("int *", cu:data()), 1, total_q
      p.batch, p.block_size, p.num_blocks, p.max_blocks = #lengths, 4, 10, #table_rows[1]
      p.most_queries, p.tree_bits = most or 64, bits or 64
      p.tree_mask = tree and ffi.cast("int *", used:data())
      return verdict_of(module, "check_attention", #lengths, p, sim)
    end
    local C = ffi.C
    local good = {{0, 9, 2147483647}, {3, -7, -1}}
    for _, schedule in ipairs {"order", "reverse", "random"} do
      sim:set {schedule = schedule, seed = 5}
      assert.is_nil(broken(good, {8, 4}, {0, 3, 5}, 5))
      assert.same({C.CHECK_TABLE, 1, 1, -7, 10}, broken(good, {8, 5}, {0, 3, 5}, 5))
      assert.same({C.CHECK_TABLE, 0, 2, 2147483647, 10}, broken(good, {9, 8}, {0, 3, 5}, 5)) -- the first counts
      assert.same({C.CHECK_TABLE, 0, 1, 10, 10}, broken({{0, 10, 0}, {3, 0, 0}}, {8, 4}, {0, 3, 5}, 5))
      assert.same({C.CHECK_SEQUSED, 1, 0, 13, 12}, broken(good, {9, 13}, {0, 3, 5}, 5))
      assert.same({C.CHECK_SEQUSED, 1, 0, -1, 12}, broken(good, {8, -1}, {0, 3, 5}, 5))
      assert.same({C.CHECK_CU_ORDER, 2, 0, 5, 6}, broken(good, {8, 4}, {0, 6, 5}, 5))
      assert.same({C.CHECK_CU_FIRST, 0, 0, 1, 5}, broken(good, {8, 13}, {1, 3, 5}, 5))
      assert.same({C.CHECK_CU_TOTAL, 2, 0, 5, 6}, broken(good, {8, 4}, {0, 3, 5}, 6))
      assert.same({C.CHECK_QUERIES, 0, 0, 3, 2}, broken(good, {8, 5}, {0, 3, 5}, 5, 2)) -- before the table
      assert.same({C.CHECK_QUERIES, 0, 1, 3, 2}, broken(good, {2, 4}, {0, 3, 5}, 5, 3, true, 2))
      assert.is_nil(broken(good, {8, 4}, {0, 3, 5}, 5, 3, true))
      assert.same({C.CHECK_QUERIES, 0, 2, 3, 2}, broken(good, {2, 4}, {0, 3, 5}, 5, 3, true)) -- fewer keys
      assert.same({C.CHECK_CU_ORDER, 1, 0, -2147483648, 0}, broken(good, {8, 4}, {0, -2147483648, 5}, 5))
    end
    sim:set {schedule = "order"}
    local long, last = {}, 300
    for i = 1, last do long[i] = i % 10 end
    long[290] = 11
    assert.same({C.CHECK_TABLE, 0, 289, 11, 10}, broken({long}, {4 * last}, {0, 5}, 5)) -- more than a thread each
  end)

  it("find slots that are out of range or named twice", function()
    declare_params()
    local module = sim:compile {source = "kernels/check.cu"}
    for _, dtype in ipairs {"i32", "i64"} do
      local function broken(slots)
        local mapping = pah.tensor(slots, {dtype = dtype, device = sim})
        local p = ffi.new "struct pah_append_params"
        p.slot_mapping, p.slot_stride, p.slot_bytes = mapping:data(), 1, dtype == "i64" and 8 or 4
        p.tokens, p.block_size, p.num_blocks = #slots, 4, 3
        return verdict_of(module, "check_slots", math.ceil(#slots / 256), p, sim)
      end
      local C = ffi.C
      assert.is_nil(broken {0, -1, 11, -1, 5})
      assert.same({C.CHECK_SLOT_RANGE, 0, 1, 12, 12}, broken {0, 12})
      assert.same({C.CHECK_SLOT_RANGE, 0, 0, -2, 12}, broken {-2})
      assert.same({C.CHECK_SLOT_TWICE, 0, 2, 4, 0}, broken {4, 1, 4, 1})
      local many = {}
      for i = 1, 600 do many[i] = -1 end
      many[10], many[590] = 3, 3
      assert.same({C.CHECK_SLOT_TWICE, 0, 589, 3, 9}, broken(many))
    end
  end)

  it("leave everything as it is when the verdict says so", function()
    for path in io.popen "grep -lE 'pah_(attn|append)_params p[,)]' -r kernels --include=*.cu":lines() do
      if path ~= "kernels/check.cu" then
        local text = io.open(path):read "*a"
        local bodies = 0
        for body in text:gmatch "__global__[^;{]*pah_%w+_params p.-\n}" do
          bodies = bodies + 1
          assert.is_truthy(body:find("refused(p.verdict, p.ticket)", 1, true), path .. " does not look")
        end
        assert.is_true(bodies > 0, path)
      end
    end
  end)
end)
