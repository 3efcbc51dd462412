-- command_bench_spec.lua - `pah bench`: its standard table holds calls that can be made, batches become the arguments
-- that they say, rows are printed, stored and given as JSON, and what is wrong is said with its place.
local bench_problem = require "pah.measure.problem"
local bench_table = require "pah.measure.standard_table"
local child = require "spec.support.child"
local host = require "pah.host"
local json = require "pah.util.json"

local base = os.tmpname()

local sim_usable = false
for _, d in ipairs(pah.devices()) do sim_usable = sim_usable or d.name == "sim" and d.usable end

-- Runs "pah WORDS" with the last of them quoted; returns stdout, stderr and the exit code.
local function run(words, last)
  local status = os.execute(("env -u PAH_DEVICE '%s' %s %s >%s.out 2>%s.err"):format(host.exe, words,
    last and child.quoted(last) or "", base, base))
  local texts = {}
  for i, name in ipairs {".out", ".err"} do texts[i] = child.contents(base .. name) end
  return texts[1], texts[2], math.floor(status / 256)
end

local function bench(words) return run("bench " .. words) end

teardown(function()
  for _, ending in ipairs {"", ".out", ".err", ".jsonl", ".db"} do os.remove(base .. ending) end
end)

local small = " --heads 2 --kv-heads 1 --head-dim 64 "

local refused = require "spec.support.refused"

describe("the standard table", function()
  for _, name in ipairs {"cpu", "cuda", "sim:sm_90a"} do
    it("has calls that " .. name .. " can make, none twice", function()
      local counts, device = {}, {name = name}
      for _, length in ipairs {"quick", "standard", "full"} do
        local seen, ops = {}, {}
        local points = bench_table.points(device, length)
        for _, p in ipairs(points) do
          local key = table.concat({p.op, p.batch, p.dtype, p.block_size, p.caches}, " ")
          assert.is_nil(seen[key], key)
          seen[key], ops[p.op] = true, true
          local batch = pah.batch(p.batch, {device = "cpu"})
          assert.equal(p.batch, batch.text)
          if p.op == "decode" then assert.equal("decode", batch.kind, key) end
          if p.op ~= "decode" and p.op ~= "fwd_fp8" then assert.is_nil(p.dtype:match "^fp8", key) end
          assert.is_true(p.caches == "hot" or p.caches == "cold")
        end
        counts[#counts + 1] = #points
        assert.is_true(ops.decode and ops.fwd)
        assert.is_true(length == "quick" or ops.bwd)
      end
      assert.is_true(counts[1] < counts[2] and counts[2] < counts[3])
    end)
  end
end)

describe("the table of results", function()
  -- Rows as pah.sweep returns them, with every axis of the standard table and intervals as wide as they come.
  local function rows_of(device, high, peer)
    local rows = {}
    for i, p in ipairs(bench_table.points(device, "full")) do
      if peer then p.peer = peer end
      local r = {median = 1.234e-3 * i, low = 1.2e-5, high = 1.234e-3 * high * i, bytes_per_second = 4.8e12,
        flops_per_second = 9.876e14, fraction = 0.97, limit = {by = i % 2 == 0 and "bytes" or "flops"},
        notes = i == 1 and {"busy"} or {}, launches = 3, thread_blocks = 4096, global_load_bytes = 1e9, bytes = 3e7,
        global_store_bytes = 1, global_sectors = 1e8, global_sectors_ideal = 1e6, shared_wavefronts = 1e8,
        shared_wavefronts_ideal = 1e5, mma_flops = 3.5e9}
      rows[i] = {axes = p, result = r, values = peer and {times_pah = 1.5, times_pah_low = 1.4, times_pah_high = 1.6}}
    end
    return rows
  end
  local function lines_of(text)
    local lines = {}
    for line in text:gmatch "[^\n]+" do
      lines[#lines + 1] = line
      assert.is_true(#line <= 80, line)
    end
    return lines
  end

  it("keeps to 80 columns with every axis, wide intervals, counters and peers", function()
    for _, device in ipairs {{name = "cpu"}, {name = "sim"}} do
      for _, peer in ipairs {false, "flashinfer"} do
        local rows = rows_of(device, 45, peer)
        local text = bench_table.text(rows, device, 80)
        local lines = lines_of(text)
        assert.is_true(#lines >= 2 * #rows, text)
        for _, cell in ipairs(device.name == "sim" and {"33.33", "1000.00", "4096", "3.5e+03"}
          or {"-99 +4400 %", "0.97 bytes", "987600.0", "4800.0"}) do
          assert.truthy(text:find(cell, 1, true), cell .. "\n" .. text)
        end
        assert.equal(peer and true or false, text:find("1.500 [1.400, 1.600]", 1, true) ~= nil)
        rows[1].error, rows[1].result, rows[2].result = "no memory", nil, nil
        lines_of(bench_table.text(rows, device, 80))
      end
    end
  end)

  it("spares the number of notes before it needs two lines for a row", function()
    local rows = {unpack(rows_of({name = "cpu"}, 1.2), 1, 4)}
    for _, row in ipairs(rows) do
      row.axes.batch, row.axes.block_size, row.axes.caches = "2q512_30q1s1k", 16, "hot"
      row.result.bytes_per_second, row.result.flops_per_second = 4.8e9, 9.876e10
    end
    rows[2].axes.dtype = "fp8_e4m3"
    assert.truthy(bench_table.text(rows, {name = "cpu"}, 200):find("notes", 1, true))
    local text = bench_table.text(rows, {name = "cpu"}, 80)
    assert.equal(3 + #rows, #lines_of(text), text) -- the axes that are alike, two lines of headings
    assert.is_nil(text:find("notes", 1, true))
  end)
end)

describe("the arguments of a batch", function()
  local device = pah.device "cpu"
  local function arguments(op, text, dtype)
    return bench_problem.arguments(op, text, {dtype = dtype, block_size = 16, heads = 4, kv_heads = 2, head_dim = 64,
      device = device})
  end

  it("are those of the call", function()
    for _, case in ipairs {{"decode", "3q1s40", "bf16", {3, 4, 1, 64}, 120}, {"decode", "q1s5", "fp8_e5m2",
      {1, 4, 1, 64}, 5}, {"decode", "2q4s30", "bf16", {2, 4, 4, 64}, 60},
      {"decode", "q4s30_q1s9", "f32", {5, 4, 64}, 39},
      {"fwd", "q20", "f32", {1, 4, 20, 64}, 20}, {"fwd", "2q4s30", "f16", {2, 4, 4, 64}, 60},
      {"fwd", "q20_3q1s17", "bf16", {23, 4, 64}, 71}, {"fwd_fp8", "q20", "fp8_e4m3", {1, 4, 20, 64}, 20},
      {"bwd", "q9_q20", "bf16", {29, 4, 64}, 29}} do
      local op, text, dtype, shape, tokens = unpack(case)
      local args = arguments(op, text, dtype)
      assert.same(shape, args.q.shape)
      assert.equal(dtype, args.k_blocks.dtype)
      assert.equal(tokens, pah.work(op, args).tokens)
      assert.equal((op ~= "decode" or text:find "q4") and true or nil, args.causal)
      pah[op](args)
    end
  end)

  it("have values of their own width, sinks and a tree where these are asked for", function()
    local o = {dtype = "bf16", block_size = 16, heads = 4, kv_heads = 2, head_dim = 64, head_dim_v = 24, sinks = true,
      device = device}
    for _, case in ipairs {{"fwd", "q20"}, {"bwd", "q9_q20"}, {"decode", "2q3s30", {0, 1, 1}}} do
      local op, text = unpack(case)
      o.parents = case[3]
      local args = bench_problem.arguments(op, text, o)
      assert.same({64, 24, 4}, {args.k_blocks.shape[4], args.v_blocks.shape[4], args.sinks.shape[1]})
      assert.equal(case[3] == nil or nil, args.causal)
      if case[3] then assert.equal(2 * (3 * 27 + 1 + 2 + 2), pah.work(op, args).pairs) end
      pah[op](args)
    end
    refused("parents are a tree of 3 queries, batch 2q4s30 must have as many", bench_problem.arguments, "decode",
      "2q4s30", o)
  end)

  it("are the same each time", function()
    local a, b = arguments("bwd", "q9_q20", "f32"), arguments("bwd", "q9_q20", "f32")
    for _, name in ipairs {"q", "k_blocks", "v_blocks", "block_table", "dout", "out", "lse"} do
      assert.equal(a[name]:hash(), b[name]:hash())
    end
  end)

  it("are refused where they cannot be", function()
    refused("op is decode, but batch q65s80 has a sequence with 65 new tokens, must be at most 64", arguments, "decode",
      "q65s80", "f32")
    refused("op is bwd, which has no dtype fp8_e4m3", arguments, "bwd", "q3", "fp8_e4m3")
    refused("GiB", arguments, "decode", "1024q1s1024k", "f32")
    local function check(op, o)
      bench_problem.check(op, "q1s9", {dtype = o.dtype or "bf16", block_size = o.block_size or 16, heads = o.heads or 4,
        kv_heads = 2, head_dim = o.head_dim or 64})
    end
    refused("block_size is 0, must be at least 1", check, "fwd", {block_size = 0})
    for _, op in ipairs {"decode", "fwd", "fwd_fp8", "bwd"} do
      check(op, {dtype = op == "fwd_fp8" and "fp8_e4m3"})
      refused("head_dim is 7, must be", check, op, {head_dim = 7})
      refused("has 3 heads, must have a multiple of the 2", check, op, {heads = 3})
    end
  end)
end)

describe("pah bench", function()
  it("says what is wrong with its words", function()
    local function wrong(words, message)
      local out, err, code = bench(words)
      assert.equal("", out)
      assert.equal(2, code, err)
      assert.is_truthy(err:find(message, 1, true), err)
      assert.is_truthy(err:find("hint: ", 1, true), err)
    end
    wrong("--batch 8p1s1k", 'pah: bench: --batch: "8p1s1k" at character 2 of "8p1s1k": q is missing')
    wrong("--full --quick", "--full and --quick are both given")
    wrong("--device cpu --filter nonsense", "no call of the table is left by these options")
    wrong("--device cpu --op bwd --dtype f16", "no call of the table is left by these options")
    wrong("--op dance", '--op: "dance" is not one of decode, fwd, fwd_fp8, bwd')
    wrong("--heads many", '--heads: "many" is not a whole number')
    wrong("extra", '"extra" is one word too many')
    wrong("--device tpu", "tpu")
    wrong("--device 'a\27[31mb\nc'", '"a [31mb c"')
    wrong("--device cpu --batch q1 --heads 3 --kv-heads 2", "--heads is 3, must be a multiple of --kv-heads, 2")
    wrong("--device cpu --batch q1 --head-dim 0", "--head-dim is 0, must be at least 1")
    wrong("--device cpu --head-dim 7", "--head-dim is 7, must be a multiple of 8 from 8 to 576 (op=")
    wrong("--device cpu --head-dim-v 12", "v_blocks: head_dim is 12, must be a multiple of 8 from 8 to 576 (op=")
    wrong("--device cpu --block-size 0", "--block-size is 0, must be at least 1")
    wrong("--device cpu --batch q4 --block-size 16,-3", "--block-size is -3, must be at least 1")
    wrong("--device cpu --batch q1s9,q65 --op decode", "--op is decode, but batch q65 has a sequence with 65 new "
      .. "tokens, must be at most 64 (op=decode batch=q65 ")
    wrong("--device cpu --batch q4 --dtype fp8_e4m3", "--op is fwd, which has no dtype fp8_e4m3; decode and fwd_fp8 "
      .. "have (op=fwd batch=q4 dtype=fp8_e4m3 ")
  end)

  it("counts batches on sim, prints a table and stores the rows", function()
    if not sim_usable then return pending "sim is not usable" end
    local out, err, code = bench("--device sim --batch q16,2q1s20 --head-dim-v 32 --sinks -o " .. base .. ".jsonl"
      .. small)
    assert.equal(0, code, err)
    assert.equal("", err)
    assert.is_truthy(out:gsub("\n  ", " "):find("head_dim 64 (V 32), sinks;", 1, true), out)
    assert.is_truthy(out:find("counted, not timed", 1, true), out)
    assert.is_truthy(out:find("\ndtype bf16, block 16, caches hot in all rows\n", 1, true), out)
    assert.is_truthy(out:find("\nfwd +q16 +1 "), out)
    assert.is_truthy(out:find("\ndecode +2q1s20 +1 "), out)
    local runs = pah.results.read(base .. ".jsonl").runs
    assert.equal(1, #runs)
    assert.equal("bench", runs[1].header.name)
    assert.same({32, true}, {runs[1].header.options.head_dim_v, runs[1].header.options.sinks})
    assert.equal(2, #runs[1].rows)
    for _, row in ipairs(runs[1].rows) do
      assert.is_true(row.result.counted and row.result.verified and row.result.launches >= 1)
      assert.equal(row.axes.op == "fwd" and 16 * 17 / 2 or 40, row.result.work.pairs)
    end
  end)

  it("gives JSON, and a row with its error beside the others", function()
    if not sim_usable then return pending "sim is not usable" end
    local out, err, code = bench("--device sim --json --quiet --op decode --batch 2q1s20,8192q1s1024k" .. small)
    assert.equal(1, code)
    assert.equal("", err)
    local rows = json.decode(out).rows
    assert.equal(2, #rows)
    assert.equal("ok", rows[1].status)
    assert.equal("error", rows[2].status)
    assert.is_truthy(rows[2].error:find("batch 8192q1s1024k needs 2048.0 GiB", 1, true), rows[2].error)
  end)

  it("looks at the limits again after rows that took long, and says what moved", function()
    local script = ([[
      local peaks, calls = require "pah.measure.peaks", 0
      peaks.long, peaks.floor = %s, function() end
      peaks.collect = function()
        calls = calls + 1
        return {threads = 1, read_bytes_per_second = calls * 1e9, shuffled_read_bytes_per_second = 1e9, caches = {},
          fma_flops_per_second = {f32 = 1e9}}
      end
      os.exit(require("pah.cli.bench").run{device = "cpu", batch = {"q1s9"}, op = {}, dtype = {}, block_size = {},
        peer = {}, heads = 2, kv_heads = 1, head_dim = 64, quick = true, filter = "", json = %s})]])
    local moved = "limits moved by more than 10 % while the rows were measured: reads of memory from 1.00 GB/s to "
      .. "2.00 GB/s"
    local out, err, code = run("-e", script:format("0", "false"))
    assert.equal(0, code, err)
    assert.is_truthy(out:gsub("\n  ", " "):find("\nnote: " .. moved .. "\n", 1, true), out)
    assert.is_nil((run("-e", script:format("1e9", "false"))):find("limits moved", 1, true))
    local t = json.decode((run("-e", script:format("0", "true"))))
    assert.same({1e9, 2e9}, {t.limits.read_bytes_per_second, t.limits_after.read_bytes_per_second})
  end)

  it("measures on the cpu beside limits of the same run #slow", function()
    local out, err, code = bench("--device cpu --quick --json --quiet --batch q32,2q1s40 --dtype f32" .. small)
    assert.equal(0, code, err)
    local t = json.decode(out)
    assert.is_true(t.limits.read_bytes_per_second > 0 and #t.rows == 2)
    for _, row in ipairs(t.rows) do
      local r = row.result
      assert.is_true(r.median > 0 and r.low <= r.median and r.median <= r.high and #r.samples == r.n)
      assert.is_true(r.fraction > 0 and r.fraction <= 1.15 and r.verified)
    end
  end)
end)
