-- sm80_decode_spec.lua - the decode kernels of kernels/sm80 on sim: several queries, trees, sinks, more segments than a
-- list holds, joins whoever comes last, the same bits whatever else is in the batch, corrupt tables, every fp8 code.
-- What they share with the naive ones: spec/attention/cases_spec.lua.
local ffi = require "ffi"
local sm80 = require "spec.support.gpu.sm80"
local bits_of = require("spec.support.bits").of

local why = require("spec.support.gpu.sim").why

describe("decode by sm80 on sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"

  local function i32(values, shape)
    local t = pah.tensor(values, {dtype = "i32", device = sim})
    return shape and t:view(unpack(shape)) or t
  end

  -- A batch: lens, H, Hkv, D, block_size, dtype, cache, Sq or len_q (ragged).
  local function batch(c)
    local B, D, size, blocks = #c.lens, c.D or 64, c.block_size or 16, 0
    for _, len in ipairs(c.lens) do blocks = blocks + math.ceil(len / size) end
    local ids, rows, at, width = pah.randperm(blocks + 3, {seed = 5, dtype = "i32", device = "cpu"}):totable(), {}, 1, 1
    for _, len in ipairs(c.lens) do width = math.max(width, math.ceil(len / size)) end
    for b, len in ipairs(c.lens) do
      rows[b] = {}
      for i = 1, width do rows[b][i] = 2 ^ 31 - 1 end
      for i = 1, math.ceil(len / size) do rows[b][i], at = ids[at], at + 1 end
    end
    local dtype = c.dtype or "bf16"
    local function random(shape, seed, kind) return pah.randn(shape, {seed = seed, dtype = kind, device = sim}) end
    local pool, a = {blocks + 3, size, c.Hkv, D}, {}
    a.k_blocks, a.v_blocks = random(pool, 2, c.cache or dtype), random(pool, 3, c.cache or dtype)
    a.block_table, a.seqused_k = i32(rows), i32(c.lens)
    local shape, lse = {B, c.H, c.Sq or 1, D}, {B, c.H, c.Sq or 1}
    if c.len_q then
      local sums = {0}
      for i, n in ipairs(c.len_q) do sums[i + 1] = sums[i] + n end
      a.cu_seqlens_q, shape, lse = i32(sums), {sums[#sums], c.H, D}, {c.H, sums[#sums]}
    end
    a.q = random(shape, 1, dtype)
    a.out, a.lse = pah.full(shape, 0 / 0, {dtype = dtype, device = sim}), pah.full(lse, 0 / 0, {device = sim})
    a.causal, a.window, a.softcap, a.num_splits = c.causal, c.window, c.softcap, c.num_splits
    return a
  end

  local function no_finding(report) assert.equal(0, #report.findings, report:text()) end

  local function matches(a)
    local out, lse = a.out:to("f32"):totable(), a.lse:totable()
    sm80.each_row(a, function(b, h, i, row, want, want_lse)
      local got = a.cu_seqlens_q and out[row + 1][h] or out[b][h][i + 1]
      local got_lse = a.cu_seqlens_q and lse[h][row + 1] or lse[b][h][i + 1]
      local place = ("sequence %d, head %d, query %d"):format(b, h, i)
      assert.is_true(got_lse == want_lse or math.abs(got_lse - want_lse) < 2e-5 * math.max(1, math.abs(want_lse)),
        ("%s: lse %g, must be %g"):format(place, got_lse, want_lse))
      for d = 1, #want do
        assert.is_true(math.abs(got[d] - want[d]) < 2e-2, ("%s, %d: %g, must be %g"):format(place, d, got[d], want[d]))
      end
    end)
  end

  -- In every schedule right, without a finding, with the same bits, and all counters at zero after it.
  local function is_right(a, runs, shape)
    local first
    for n, schedule in ipairs {"order", "reverse", "random"} do
      a.out:fill(0 / 0)
      local report, arrivals = sm80.decode(a, runs, shape, {schedule = schedule, seed = n})
      no_finding(report)
      for _, count in ipairs(arrivals:totable()) do assert.equal(0, count) end
      first = first or bits_of(a.out)
      assert.is_true(first == bits_of(a.out), schedule .. " gives other bits")
    end
    matches(a)
  end

  it("takes several queries in every way that rows are shared out", function()
    for _, shape in ipairs {{1, 1, 4}, {1, 2, 4}, {2, 1, 3}, {2, 2, 4}, {1, 4, 4}, {2, 4, 4}} do
      is_right(batch {lens = {75, 3, 140}, H = 8, Hkv = 2, Sq = 5, causal = true}, 5, shape)
    end
  end)

  it("takes ragged queries, and sequences without any", function()
    is_right(batch {lens = {40, 30, 90, 0}, H = 6, Hkv = 2, len_q = {3, 0, 17, 2}, causal = true}, 4, {1, 2, 4})
    is_right(batch {lens = {40, 30, 90}, H = 4, Hkv = 1, len_q = {0, 1, 9}, window = {20, 3}}, 3, {2, 1, 4})
  end)

  it("looks bits of a tree up for the last keys only, and a chain is causal bit for bit", function()
    local a = batch {lens = {70, 45}, H = 2, Hkv = 1, Sq = 40}
    local words, chain = {}, {}
    for i = 0, 2 * 40 - 1 do
      words[2 * i + 1], words[2 * i + 2] = (i * 2654435761 + 1) % 2 ^ 31, (i * 40503) % 2 ^ 31
      local n = i % 40 + 1
      chain[2 * i + 1] = n >= 32 and -1 or 2 ^ n - 1
      chain[2 * i + 2] = n > 32 and 2 ^ (n - 32) - 1 or 0
    end
    a.tree_mask = i32(words, {2, 40, 2})
    is_right(a, 3, {2, 4, 4})
    a.tree_mask = i32(chain, {2, 40, 2})
    is_right(a, 3, {2, 4, 4})
    local by_chain = bits_of(a.out)
    a.tree_mask, a.causal = nil, true
    is_right(a, 3, {2, 4, 4})
    assert.is_true(by_chain == bits_of(a.out))
  end)

  it("gives sinks their share once, also where parts are joined and where no key is seen", function()
    local a = batch {lens = {130, 0, 20}, H = 4, Hkv = 2}
    a.sinks = pah.tensor({0.5, -1 / 0, 7, -3}, {device = sim})
    is_right(a, 6, {1, 1, 4})
    a.num_splits = 3
    is_right(a, 6, {1, 1, 4})
    a.sinks = pah.full({4}, 1 / 0, {device = sim})
    no_finding((sm80.decode(a, 6, {1, 1, 4})))
    for _, x in ipairs(a.out:view(3 * 4 * 64):to("f32"):totable()) do assert.equal(0, x) end
    for _, x in ipairs(a.lse:view(12):totable()) do assert.equal(1 / 0, x) end
  end)

  it("caps scores, and shares short and long sequences out among any number of runs", function()
    for _, runs in ipairs {1, 2, 7, 40} do
      is_right(batch {lens = {300, 1, 0, 17, 16}, H = 3, Hkv = 1, softcap = 4}, runs, {1, 1, 4})
    end
    is_right(batch {lens = {90, 200}, H = 2, Hkv = 2, D = 128, dtype = "f16", block_size = 3}, 6, {1, 1, 3})
    is_right(batch {lens = {90, 200}, H = 2, Hkv = 2, D = 128, cache = "fp8_e5m2", block_size = 1}, 6, {1, 1, 3})
  end)

  it("takes what is known when it is compiled: no options, sizes as constants", function()
    local known = {PLAIN = 1, GROUP = 4, BLOCK_SIZE = 16, QUERIES = 1}
    is_right(batch {lens = {300, 1, 0, 17, 16}, H = 8, Hkv = 2}, 7, {1, 1, 4, known = known})
    known.ASIDE = 1
    is_right(batch {lens = {300, 1, 0, 17, 16}, H = 8, Hkv = 2}, 2, {1, 1, 8, known = known})
    is_right(batch {lens = {90, 200}, H = 4, Hkv = 1, cache = "fp8_e4m3", causal = true}, 6, {1, 1, 3, known = known})
    local lens = {}
    for b = 1, 140 do lens[b] = b % 37 end
    is_right(batch {lens = lens, H = 4, Hkv = 1}, 3, {1, 1, 2, known = known})
    known = {PLAIN = 1, ASIDE = 1}
    is_right(batch {lens = {75, 3, 140}, H = 8, Hkv = 2, Sq = 5, causal = true, block_size = 3}, 5,
      {2, 2, 4, known = known})
    known = {PLAIN = 1, GROUP = 3, BLOCK_SIZE = 5}
    is_right(batch {lens = {75, 3, 140}, H = 6, Hkv = 2, Sq = 4, block_size = 5}, 4, {1, 2, 4, known = known})
  end)

  it("spreads the tiles of one sequence, or of few short ones, over thread blocks", function()
    local plain = {PLAIN = 1}
    is_right(batch {lens = {0}, H = 2, Hkv = 1}, 3, {1, 1, 4, spread = true, known = plain})
    is_right(batch {lens = {300, 1, 33}, H = 8, Hkv = 2, Sq = 2, causal = true, block_size = 5}, 3,
      {1, 1, 4, spread = true, known = plain})
    is_right(batch {lens = {70, 200}, H = 4, Hkv = 1, D = 128, dtype = "f16", block_size = 1}, 2,
      {1, 1, 3, spread = true, known = plain})
    is_right(batch {lens = {500}, H = 4, Hkv = 1, cache = "fp8_e4m3"}, 4,
      {1, 1, 4, spread = true, known = {PLAIN = 1, GROUP = 4, BLOCK_SIZE = 16, QUERIES = 1}})
    local a = batch {lens = {90}, H = 4, Hkv = 2}
    a.kernel = "sm80"
    pah.decode(a)
    local list = require("pah.module").instances(sim)
    assert.truthy(list[#list].source:find("sm80/spread.cu", 1, true))
  end)

  it("lists more segments than fit at a time", function()
    local lens = {}
    for b = 1, 300 do lens[b] = b % 4 end
    is_right(batch {lens = lens, H = 2, Hkv = 1, block_size = 2}, 1, {1, 1, 2, known = {ASIDE = 1}})
    is_right(batch {lens = lens, H = 2, Hkv = 1, block_size = 2, num_splits = 2}, 1, {1, 1, 2})
    is_right(batch {lens = {4000}, H = 1, Hkv = 1, num_splits = 200}, 1, {1, 1, 2})
  end)

  it("gives a sequence the same bits in any company where num_splits is given", function()
    local a = batch {lens = {230, 64, 9}, H = 4, Hkv = 2}
    for _, splits in ipairs {1, 3, 50} do
      local all = pah.decode {q = a.q, k_blocks = a.k_blocks, v_blocks = a.v_blocks, block_table = a.block_table,
        seqused_k = a.seqused_k, num_splits = splits, kernel = "sm80"}
      for b = 1, 3 do
        local one = pah.decode {q = a.q:narrow(1, b, 1), k_blocks = a.k_blocks, v_blocks = a.v_blocks,
          block_table = a.block_table:narrow(1, b, 1), seqused_k = a.seqused_k:narrow(1, b, 1), num_splits = splits,
          kernel = "sm80"}
        assert.is_true(bits_of(all:narrow(1, b, 1)) == bits_of(one), splits .. " splits, sequence " .. b)
      end
    end
  end)

  it("stays within its tensors whatever the tables hold", function()
    local a = batch {lens = {40, 50, 60}, H = 4, Hkv = 2, len_q = {2, 3, 1}, causal = true}
    local good = {a.block_table, a.seqused_k, a.cu_seqlens_q}
    local tables = {{-1, 2 ^ 31 - 1, 9999, 0}, {-2 ^ 31, -7, 1, 5}, {3, 2, 1, 100000}}
    local lengths = {{2 ^ 31 - 1, -2 ^ 31, 60}, {65, 1000000, -1}, {0, 40, 64}}
    local sums = {{0, 2, 5, 100}, {-2 ^ 31, 2 ^ 31 - 1, 3, 6}, {6, 5, 2, 0}}
    for i = 1, 3 do
      a.block_table, a.seqused_k, a.cu_seqlens_q = i32(tables), i32(lengths[i]), good[3]
      no_finding((sm80.decode(a, 5, {1, 1, 4})))
      local b = batch {lens = {40, 50, 60}, H = 4, Hkv = 2}
      b.block_table, b.seqused_k = a.block_table, a.seqused_k
      no_finding((sm80.decode(b, 3, {1, 1, 4, spread = true, known = {PLAIN = 1}})))
      a.block_table, a.seqused_k, a.cu_seqlens_q = good[1], good[2], i32(sums[i])
      local report = sm80.decode(a, 5, {1, 1, 4})
      for _, finding in ipairs(report.findings) do
        assert.equal("race", finding.code) -- sequences that share queries write them twice
      end
    end
  end)

  it("reads every fp8 code exactly, NaN too", function()
    for _, cache in ipairs {"fp8_e4m3", "fp8_e5m2"} do
      local codes = ffi.new "uint8_t[256]"
      for i = 0, 255 do codes[i] = i end
      local v = pah.zeros({1, 1, 1, 256}, {dtype = cache, device = "cpu"})
      ffi.copy(v:data(), codes, 256)
      local out = pah.decode {q = pah.zeros({1, 1, 1, 256}, {dtype = "f16", device = sim}),
        k_blocks = pah.zeros({1, 1, 1, 256}, {dtype = cache, device = sim}), v_blocks = v:to(sim), kernel = "sm80",
        block_table = i32 {{0}}, seqused_k = i32 {1}}
      local got, want = out:view(256):to("f32"):totable(), v:view(256):to("f16"):to("f32"):totable()
      for i = 1, 256 do
        assert.is_true(got[i] == want[i] or got[i] ~= got[i] and want[i] ~= want[i],
          ("%s %d: %g, must be %g"):format(cache, i - 1, got[i], want[i]))
      end
    end
  end)

  it("says what it does not take where it is asked for by name, and is passed over else", function()
    local a = batch {lens = {20}, H = 2, Hkv = 1, D = 32}
    local args = {q = a.q, k_blocks = a.k_blocks, v_blocks = a.v_blocks, block_table = a.block_table,
      seqused_k = a.seqused_k}
    assert.is_true(pcall(pah.decode, args))
    args.kernel = "sm80"
    local ok, message = pcall(pah.decode, args)
    assert.is_false(ok)
    assert.truthy(tostring(message):find("head_dim: the sm80 kernel takes only 64, 128 or 256", 1, true), message)
  end)
end)
