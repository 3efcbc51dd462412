-- bench_spec.lua - pah.bench, pah.work and pah.bench_attention: rules, figures against counting by hand, and a cheating
-- kernel for every defence. No time is asserted but that of a loop against the same clock.
local C = require("pah.ffi").C

local fake_timer = require "spec.support.fake_timer"
local peaks = require "pah.measure.peaks"
local refused = require "spec.support.refused"
local retried = require "spec.support.retried"

-- Ten samples, however long the machine takes for them.
local quick = {min_time = 0, max_time = 60, max_samples = 10, warmup = 0.05, limits = false}

local function with(options)
  for key, value in pairs(quick) do
    if options[key] == nil then options[key] = value end
  end
  return options
end

describe("pah.bench", function()
  it("measures a wait as long as it is", function()
    local function wait()
      local stop = C.pah_clock() + 2e-3
      while C.pah_clock() < stop do end -- luacheck: ignore 542
    end
    local r = pah.bench(wait, with {device = "cpu"})
    assert.is_true(r.min >= 2e-3 and r.median >= r.min and r.low <= r.median and r.median <= r.high)
    assert.equal(r.n, #r.samples)
    -- One call is a sample unless reading the clock takes more than 0.1 % of it.
    assert.is_true(r.calls == 1 or r.calls / 2 * 2e-3 < 1000 * r.overhead, r.calls)
    assert.is_true(r.overhead > 0)
    retried(function() assert.is_true(require("pah.measure.timer").overhead(pah.device "cpu") < 1e-3) end)
  end)

  it("takes many short calls as one sample, and one where something happens between calls", function()
    local count = 0
    assert.is_true(pah.bench(function() count = count + 1 end, with {device = "cpu"}).calls > 10)
    assert.equal(1, pah.bench(function() end, with {device = "cpu", setup = function() end}).calls)
  end)

  it("calls setup and after around each call, and flushes what it says", function()
    local log = {}
    local r = pah.bench(function() log[#log + 1] = "f" end, with {device = "cpu", cold = true, max_samples = 4,
      min_samples = 3, setup = function() log[#log + 1] = "s" end, after = function() log[#log + 1] = "a" end})
    assert.equal(("sfa"):rep(#log / 3), table.concat(log))
    assert.is_true(r.cold and r.flush_bytes >= 2 * pah.device("cpu"):info().cache_bytes)
  end)

  it("stops at its cap and says so", function()
    local n = 0
    local r = pah.bench(function() -- every second call takes much longer
      n = n + 1
      local stop = C.pah_clock() + (n % 2 == 0 and 4e-3 or 1e-3)
      while C.pah_clock() < stop do end -- luacheck: ignore 542
    end, {device = "cpu", min_time = 0, max_time = 0.1, warmup = 0.05, limits = false, precision = 1e-6})
    assert.equal("max_time", r.stopped)
    assert.is_truthy(tostring(r):find("stopped at max_time", 1, true))
  end)

  it("refuses a speed above the limit of this machine", function()
    refused("impossible", pah.bench, function() end, with {device = "cpu", bytes = 2 ^ 40, limits = true})
    refused("impossible", pah.bench, function() end, with {device = "cpu", flops = 1e15, limits = true})
  end)

  it("says in its notes what came in the way of the precision", function()
    local function notes(sample, options) return table.concat(fake_timer.bench(sample, options).notes, "\n") end
    local function even() return 1e-3 end
    assert.is_truthy(notes(even, {max_time = 0}):find "^only 3 samples in [%d.]+ s, asked for 10$")
    assert.equal("", notes(even, {max_time = 0, min_time = 5, min_samples = 3}))
    assert.equal("", notes(even, {min_samples = 10}))
    assert.is_truthy(notes(function(n) return n * 1e-3 end, {max_time = 0}):find(
      "stopped at max_time with the interval at +-50.0 %, asked for +-1.0 %", 1, true))
    assert.equal("precise", fake_timer.bench(even, {max_time = 0, min_time = 5, min_samples = 3}).stopped)
    assert.equal("max_time", fake_timer.bench(even, {max_time = 0}).stopped)
  end)

  it("doubts a warm-up that was too short to be compared only where the samples drift", function()
    local text = "a warm%-up of 2 calls in [%d.]+ s does not show whether they are stable"
    local function said(sample)
      local r = fake_timer.bench(sample, {min_samples = 10, max_samples = 10})
      assert.is_false(r.warmup.compared)
      return table.concat(r.notes, "\n"):find(text) ~= nil
    end
    assert.is_false(said(function() return 1e-3 end))
    assert.is_true(said(function(n) return 1e-3 * (1 + 0.01 * n) end))
  end)

  it("knows a peak for each dtype: bf16 has two ways, of which the faster counts", function()
    local cpu = pah.device "cpu"
    peaks.forget()
    local f32, bf16, least = peaks.fma(cpu, "f32"), peaks.fma(cpu, "bf16"), math.huge
    -- Other programs take their time too, from either measurement: the least of many shorter ones is below it.
    for _ = 1, 20 do least = math.min(least, peaks.flops(cpu, "dots", 0.005)) end
    assert.is_true(f32 > 0 and least >= 0 and bf16 > 0.25 * least)
    -- Dtypes that are multiplied by the same instructions have the same peak, not another measurement of it.
    assert.equal(peaks.fma(cpu, "f32"), peaks.fma(cpu, "f16"))
    assert.is_true(peaks.fma(cpu, "bf16") >= peaks.fma(cpu, "f32"))
    assert.equal(peaks.fma(cpu, "bf16"), peaks.fma(cpu, "fp8_e4m3"))
    assert.equal(peaks.fma(cpu, "bf16"), peaks.fma(cpu, "fp8_e5m2"))
  end)

  it("looks again at the limits after long work, and says what has moved", function()
    local function found(read, f32)
      return {read_bytes_per_second = read, shuffled_read_bytes_per_second = 2e9,
        fma_flops_per_second = {f32 = f32, bf16 = 3e11}, caches = {{bytes = 2 ^ 14, read_bytes_per_second = 5e10}}}
    end
    local collect, device, again = peaks.collect, pah.device "cpu", nil
    peaks.collect = function() return again end
    finally(function() peaks.collect = collect end)
    again = found(1e9, 1e11)
    assert.is_nil(peaks.again(device, found(4e9, 2e11), 19))
    local after, moved = peaks.again(device, found(1.08e9, 1.09e11), 21)
    assert.equal(again, after)
    assert.is_nil(moved)
    after, moved = peaks.again(device, found(4e9, 9e10), 21)
    assert.equal(again, after)
    assert.equal("limits moved by more than 10 % while the rows were measured: reads of memory from 4.00 GB/s to "
      .. "1.00 GB/s, f32 multiply-adds from 90.0 GFLOP/s to 100 GFLOP/s", moved)
  end)

  it("counts on sim, and gives no time", function()
    if not pah.devices()[3].usable then return pending("sim is not usable") end
    local sim = pah.device "sim"
    local block_table, seqused_k = pah.block_table{seqlens = {40}, block_size = 16, device = sim}
    local cache = {3, 16, 1, 64}
    local args = {q = pah.randn({1, 2, 1, 64}, {device = sim}), k_blocks = pah.randn(cache, {device = sim}),
      v_blocks = pah.randn(cache, {device = sim}), block_table = block_table, seqused_k = seqused_k}
    local r = pah.bench(function() pah.decode(args) end, {device = sim, bytes = pah.work("decode", args).bytes})
    assert.is_true(r.counted and r.launches >= 1)
    assert.is_true(r.global_load_bytes >= 40 * 64 * 4 * 2)
    assert.is_nil(r.median)
    assert.is_truthy(tostring(r):find("not timed", 1, true))
    local module = sim:compile{text = 'extern "C" __global__ void f(int *x) { x[threadIdx.x] = 1; }'}
    local x = pah.zeros({32}, {dtype = "i32", device = sim})
    r = pah.bench(function() module:launch("f", {block = 32}, x) end, {device = sim})
    assert.equal(1, r.launches)
    assert.equal(128, r.global_store_bytes)
  end)

  it("names what is wrong with its arguments, and gives errors on", function()
    refused("is called with a number, must be a function", pah.bench, 3)
    refused('unknown option "minsamples", did you mean "min_samples"?', pah.bench, print, {minsamples = 3})
    refused("min_time is -1, must be a number >= 0", pah.bench, print, {min_time = -1})
    refused("min_samples is 1, must be at least 3", pah.bench, print, {min_samples = 1})
    refused("max_samples is 5, must be at least min_samples, 10", pah.bench, print, {max_samples = 5})
    refused("setup is a boolean, must be a function", pah.bench, print, {setup = true})
    refused("mine", pah.bench, function() error "mine" end, with {device = "cpu"})
    assert.is_true(collectgarbage "count" > 0)
  end)

  it("pins threads and lets them go", function()
    local function allowed()
      for line in io.lines "/proc/self/status" do
        if line:match "^Cpus_allowed_list" then return line end
      end
    end
    local before, during = allowed(), nil
    local r = pah.bench(function() during = allowed() end, with {device = "cpu", pin = true})
    assert.is_true(r.pinned)
    assert.equal(before, allowed())
    if before:find "[-,]" and pah.threads() > 1 then assert.are_not.equal(before, during) end
  end)
end)

-- A paged problem on the cpu: sequences of lengths, H heads over Hkv, bf16 or f32.
local function problem(lengths, options)
  options = options or {}
  local H, Hkv, D, block_size = options.H or 4, options.Hkv or 2, 64, 16
  local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = block_size, num_blocks = 40, seed = 3,
    device = "cpu"}
  local function random(shape, seed)
    return pah.randn(shape, {seed = seed, dtype = options.dtype or "f32", device = "cpu"})
  end
  return {q = random({#lengths, H, options.Sq or 1, D}, 1), k_blocks = random({40, block_size, Hkv, D}, 2),
    v_blocks = random({40, block_size, Hkv, D}, 3), block_table = block_table, seqused_k = seqused_k,
    causal = options.causal, window = options.window}
end

describe("pah.work", function()
  -- Pairs and tokens by asking the rule of the mask for every query and key.
  local function by_hand(args, lengths, Sq)
    local pairs_, tokens = 0, 0
    for _, len in ipairs(lengths) do
      local seen = {}
      for i = 0, Sq - 1 do
        for j = 0, len - 1 do
          local diagonal = i + (args.causal == "top-left" and 0 or len - Sq)
          local window = args.window or {-1, -1}
          local visible = (not args.causal or j <= diagonal) and (window[1] < 0 or j >= diagonal - window[1])
            and (window[2] < 0 or j <= diagonal + window[2])
          if visible then pairs_, seen[j] = pairs_ + 1, true end
        end
      end
      for _ in pairs(seen) do tokens = tokens + 1 end
    end
    return pairs_, tokens
  end

  it("counts what the mask leaves", function()
    local lengths = {37, 20, 0, 5}
    for _, mask in ipairs {{}, {causal = true}, {causal = "top-left"}, {causal = true, window = {5, 0}},
      {window = {3, 2}}} do
      local args = problem(lengths, {Sq = 13, causal = mask.causal, window = mask.window})
      local w = pah.work("fwd", args)
      local pairs_, tokens = by_hand(args, lengths, 13)
      assert.equal(pairs_, w.pairs)
      assert.equal(tokens, w.tokens)
      assert.equal(4 * 64 * 4 * pairs_, w.flops)
    end
  end)

  it("reads K and V once for several queries, and counts a tree exactly", function()
    local lengths, parents = {37, 20, 16}, {0, 1, 1, 2, 0}
    local one, many = problem(lengths), problem(lengths, {Sq = 5})
    local w, grows = pah.work("decode", many), 2 * 4 * 64 * 4 + 4 * 4 -- by q, out and lse of 4 heads
    assert.equal(pah.work("decode", one).bytes + 3 * (5 - 1) * grows, w.bytes)
    assert.equal(5 * (37 + 20 + 16), w.pairs)
    many.tree_mask = pah.mask.from_parents(parents, {batch = 3, device = "cpu"})
    local tree = pah.work("decode", many)
    assert.equal(5 * (32 + 15 + 11) + 3 * (1 + 2 + 2 + 3 + 1), tree.pairs)
    assert.same({w.tokens, w.entries, w.bytes + 3 * 5 * 4}, {tree.tokens, tree.entries, tree.bytes})
    local hole = problem({17}, {Sq = 3}) -- nobody sees the second of the queries
    hole.tree_mask = pah.mask.from_bool(pah.tensor({{1, 0, 0}, {1, 0, 0}, {0, 0, 1}}), {device = "cpu"})
    local h = pah.work("decode", hole)
    assert.same({3 * 14 + 3, 16, 2}, {h.pairs, h.tokens, h.entries})
    many.q, many.cu_seqlens_q = many.q:view(15, 4, 64):narrow(1, 1, 6), pah.tensor({0, 5, 5, 6}, {dtype = "i32"})
    many.tree_mask = pah.mask.from_parents({parents, {}, {0}}, {ragged = true, device = "cpu"})
    assert.equal(5 * 32 + 9 + 16, pah.work("decode", many).pairs)
  end)

  it("counts V by its own width, once with K where it is a view, and sinks", function()
    local args = problem {37, 20}
    local w = pah.work("decode", args)
    args.v_blocks = pah.zeros({40, 16, 2, 24}, {device = "cpu"})
    local narrow = pah.work("decode", args)
    assert.equal(57 * 4 * (2 * 64 + 2 * 24), narrow.flops)
    assert.equal((57 * 2 + 2 * 4) * 40 * 4, w.bytes - narrow.bytes) -- of V and of out
    args.sinks = pah.zeros({4}, {device = "cpu"})
    assert.equal(narrow.bytes + 16, pah.work("decode", args).bytes)
    args.sinks, args.softmax_scale = nil, 0.1
    for _, first in ipairs {1, 9, 41} do
      args.v_blocks = args.k_blocks:narrow(4, first, 24)
      assert.equal(narrow.bytes - 57 * 2 * 24 * 4, pah.work("decode", args).bytes)
    end
    args.v_blocks = args.k_blocks
    assert.equal(w.bytes - 57 * 2 * 64 * 4, pah.work("decode", args).bytes)
  end)

  it("counts five products and every gradient backward", function()
    local args = problem({37, 20}, {Sq = 7, causal = true})
    args.v_blocks = pah.zeros({40, 16, 2, 24}, {device = "cpu"})
    args.sinks = pah.zeros({4}, {device = "cpu"})
    args.dout, args.lse = pah.zeros({2, 4, 7, 24}, {device = "cpu"}), pah.zeros({2, 4, 7}, {device = "cpu"})
    args.out = args.dout
    local w, forward = pah.work("bwd", args), problem({37, 20}, {Sq = 7, causal = true})
    forward.v_blocks = args.v_blocks
    local f = pah.work("fwd", forward)
    assert.equal(w.pairs * 4 * (6 * 64 + 4 * 24), w.flops)
    assert.equal(f.bytes + args.out.nbytes + args.q.nbytes + 40 * 16 * 2 * 88 * 4 + 32, w.bytes)
  end)

  it("counts a block once that sequences share", function()
    local args = problem {64, 64}
    local alone = pah.work("decode", args)
    assert.equal(128, alone.tokens)
    for j = 1, 2 do args.block_table:set(args.block_table:get(1, j), 2, j) end
    local shared = pah.work("decode", args)
    assert.equal(96, shared.tokens)
    assert.equal(6, shared.blocks)
    assert.equal(32 * 2 * 64 * 4 * 2, alone.bytes - shared.bytes) -- 32 tokens, K and V of 2 heads, f32
    assert.equal(alone.pairs, shared.pairs)
  end)

  it("looks at no more of a table than the sequences use, and at one block of an expanded row once", function()
    local args = problem {64, 37}
    local narrow = pah.work("decode", args)
    local wide = pah.full({2, 1}, 2, {dtype = "i32"})
    args.block_table = wide:expand(2, 2 ^ 31 - 1)
    local w = pah.work("decode", args)
    assert.same({narrow.pairs, narrow.entries, 1, 16}, {w.pairs, w.entries, w.blocks, w.tokens})
    args.seqused_k, args.seqlen_k = nil, 2 ^ 31 - 1
    w = pah.work("decode", args)
    assert.same({2 * (2 ^ 31 - 1), 2 * 2 ^ 27, 1, 16}, {w.pairs, w.entries, w.blocks, w.tokens})
    args.seqlen_k = 15
    w = pah.work("decode", args)
    assert.same({30, 2, 1, 15}, {w.pairs, w.entries, w.blocks, w.tokens})
  end)

  it("checks the arguments", function()
    refused("work: op is dance", pah.work, "dance", {})
    refused("k_blocks", pah.work, "decode", {q = pah.zeros {1, 1, 1, 64}})
  end)
end)

describe("pah.bench_attention", function()
  it("measures what is right, and leaves the arguments as they were", function()
    for _, options in ipairs {{dtype = "bf16"}, {dtype = "f32", Sq = 16, causal = true}} do
      local args = problem({100, 37, 64}, options)
      local before = args.k_blocks:hash() .. args.v_blocks:hash() .. args.q:hash() .. args.block_table:hash()
      local r = pah.bench_attention(options.Sq and "fwd" or "decode", args, with {})
      assert.is_true(r.verified and r.median > 0 and r.bytes == r.work.bytes)
      assert.equal(before, args.k_blocks:hash() .. args.v_blocks:hash() .. args.q:hash() .. args.block_table:hash())
      assert.is_nil(args.out)
    end
  end)

  -- What a kernel gets after `calls` calls in which it did as it should.
  local function after(calls, cheat)
    local n = 0
    return function(args)
      n = n + 1
      if n > calls then return cheat(args) end
      pah.decode(args)
    end
  end

  local function cheats(message, run, lengths)
    local args = problem(lengths or {100, 37, 64})
    local before = args.k_blocks:hash()
    refused(message, pah.bench_attention, "decode", args, with {run = run, name = "cheat"})
    return args, before
  end

  it("catches a kernel that caches its output by pointer", function()
    local cache = {}
    cheats("cheat gives another out for the same problem in another order", after(2, function(args)
      local key = tostring(args.q:data())
      if not cache[key] then
        pah.decode(args)
        cache[key] = {args.out:clone(), args.lse:clone()}
      end
      args.out:copy(cache[key][1])
      args.lse:copy(cache[key][2])
    end))
  end)

  it("catches a kernel that skips half of the keys", function()
    local function half(args)
      local fewer = {}
      for key, value in pairs(args) do fewer[key] = value end
      fewer.seqused_k = args.seqused_k:clone()
      for b = 1, 3 do fewer.seqused_k:set(math.ceil(args.seqused_k:get(b) / 2), b) end
      pah.decode(fewer)
    end
    cheats("cheat is wrong: an element of out (sequence 1, queries 0 to 0) differs from the float64 oracle", half)
    cheats("cheat gives another", after(3, half))
  end)

  it("catches a kernel that leaves half of the sequences out", function()
    local function some(args)
      local out, lse = pah.decode {q = args.q, k_blocks = args.k_blocks, v_blocks = args.v_blocks,
        block_table = args.block_table, seqused_k = args.seqused_k}
      args.out:narrow(1, 1, 1):copy(out:narrow(1, 1, 1))
      args.lse:narrow(1, 1, 1):copy(lse:narrow(1, 1, 1))
    end
    cheats("cheat left 512 of 768 elements of out unwritten", some)
    cheats("unwritten (or wrote NaN) when it returned", after(3, some))
  end)

  it("catches a kernel that writes late", function()
    local waiting
    cheats("unwritten (or wrote NaN) when it returned", after(2, function(args)
      if waiting then args.out:copy(waiting) end
      waiting = pah.decode {q = args.q, k_blocks = args.k_blocks, v_blocks = args.v_blocks,
        block_table = args.block_table, seqused_k = args.seqused_k}
      if waiting then args.out:fill(0 / 0) end
    end))
  end)

  it("catches a kernel that changes its inputs", function()
    local function spoil(name, calls)
      return after(calls, function(args)
        pah.decode(args)
        args[name]:narrow(1, 1, 1):fill(1)
      end)
    end
    cheats("cheat changes its inputs: q", spoil("q", 0))
    cheats("cheat changes its inputs: q", spoil("q", 4))
    cheats("cheat changes its inputs: k_blocks", spoil("k_blocks", 0))
    cheats("cheat ", spoil("v_blocks", 4))
  end)

  it("puts the pool back when the kernel fails", function()
    local args, before = cheats("mine", after(6, function() error "mine" end))
    assert.equal(before, args.k_blocks:hash())
  end)

  it("names what is wrong with its arguments", function()
    local args = problem {20}
    refused('op is dance, must be "fwd", "fwd_fp8", "decode" or "bwd"', pah.bench_attention, "dance", args)
    refused("out: is missing", pah.bench_attention, "bwd", args)
    refused("bytes is given, but follows from the arguments", pah.bench_attention, "decode", args, {bytes = 1})
    refused("run is a number", pah.bench_attention, "decode", args, {run = 1})
    refused("must be a table of named arguments", pah.bench_attention, "decode")
  end)
end)
