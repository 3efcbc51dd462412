-- mla_spec.lua - kernels/sm90/mla on sim:sm_90a with every check on, by the float64 oracle: several queries, ragged
-- ones, windows, sinks, any block size, splits, more segments than a list holds; the same bits in every
-- schedule; what is refused. Cases that it shares with others: spec/attention/cases_spec.lua.
local refused = require "spec.support.refused"
local why = require("spec.support.gpu.sim").why
local bits_of = require("spec.support.bits").of

describe("decode by mla on sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim:sm_90a"

  local function i32(values) return pah.tensor(values, {dtype = "i32", device = "cpu"}) end

  -- A batch: lens, H, Hkv, size (of a block), Sq or len_q (ragged), and options of decode. Slots past the end hold NaN.
  local function batch(c)
    local B, Hkv, blocks = #c.lens, c.Hkv or 1, 0
    for _, len in ipairs(c.lens) do blocks = blocks + math.ceil(len / c.size) end
    local options = {dtype = c.dtype or "bf16", device = "cpu"}
    local table_, lens = pah.block_table{seqlens = c.lens, block_size = c.size, num_blocks = blocks + 2, seed = 3,
      device = "cpu"}
    local pool = pah.full({blocks + 2, c.size, Hkv, 576}, 0 / 0, options)
    for b, len in ipairs(c.lens) do
      for i = 0, math.ceil(len / c.size) - 1 do
        local count = math.min(c.size, len - i * c.size)
        options.seed = 100 * b + i
        pool:select(1, table_:get(b, i + 1) + 1):narrow(1, 1, count):copy(pah.randn({count, Hkv, 576}, options))
      end
    end
    local a = {k_blocks = pool, block_table = table_, seqused_k = lens, causal = c.causal, window = c.window,
      softmax_scale = 0.06, num_splits = c.num_splits}
    options.seed = 1
    if c.len_q then
      local sums = {0}
      for i, n in ipairs(c.len_q) do sums[i + 1] = sums[i] + n end
      a.cu_seqlens_q, a.q = i32(sums), pah.randn({sums[#sums], c.H, 576}, options)
    else
      a.q = pah.randn({B, c.H, c.Sq or 1, 576}, options)
    end
    if c.sinks then a.sinks = pah.randn({c.H}, {seed = 9, device = "cpu"}) end
    return a
  end

  local function on(device, a)
    local copy = {}
    for name, value in pairs(a) do copy[name] = pah.is_tensor(value) and value:to(device) or value end
    copy.v_blocks = copy.k_blocks:narrow(4, 1, 512)
    return copy
  end

  local function is_right(c)
    local a = batch(c)
    local want, want_lse = pah.reference.decode(on("cpu", a))
    local here, first = on(sim, a), nil
    here.kernel = "mla"
    for n, schedule in ipairs {"order", "reverse", "random"} do
      sim:set{schedule = schedule, seed = n}
      local out, lse = pah.decode(here)
      first = first or bits_of(out)
      assert.is_true(first == bits_of(out), schedule .. " gives other bits")
      assert.is_true(pah.allclose(out:to("cpu"):to "f32", want:to "f32", {atol = 2e-2, rtol = 1e-2}))
      assert.is_true(pah.allclose(lse:to "cpu", want_lse:to "f32", {atol = 1e-4, rtol = 1e-4}))
    end
    sim:set{schedule = "order"}
  end

  it("is the kernel for it", function()
    local here = on(sim, batch {lens = {20}, H = 4, size = 16})
    local out = pah.decode(here)
    here.kernel = "mla"
    assert.is_true(bits_of(out) == bits_of(pah.decode(here)))
  end)

  it("takes rows of heads and queries, in groups of 64", function()
    is_right {lens = {130, 3, 64}, H = 16, size = 16}
    is_right {lens = {70, 200}, H = 72, size = 64, dtype = "f16"}
    is_right {lens = {90, 5}, H = 6, Sq = 3, causal = true, size = 7}
    is_right {lens = {90, 0}, H = 6, Hkv = 2, size = 1}
  end)

  it("takes ragged queries, windows and sinks", function()
    is_right {lens = {40, 30, 150, 0}, H = 8, len_q = {3, 0, 9, 2}, causal = true, size = 16}
    is_right {lens = {140, 40}, H = 8, Sq = 2, window = {30, 1}, sinks = true, size = 8}
  end)

  it("gives a sequence the same bits in any company where num_splits is given", function()
    is_right {lens = {300}, H = 4, size = 64, num_splits = 3}
    local a = on(sim, batch {lens = {230, 64, 9}, H = 4, size = 16, num_splits = 2})
    a.kernel = "mla"
    local all = pah.decode(a)
    for b = 1, 3 do
      local one = {}
      for name, value in pairs(a) do one[name] = value end
      for _, name in ipairs {"q", "block_table", "seqused_k"} do one[name] = a[name]:narrow(1, b, 1) end
      assert.is_true(bits_of(all:narrow(1, b, 1)) == bits_of(pah.decode(one)), "sequence " .. b)
    end
  end)

  it("lists more segments than fit at a time", function()
    local lens = {}
    for b = 1, 70 do lens[b] = b % 5 end
    is_right {lens = lens, H = 2, size = 4}
  end)

  it("says what it does not take where it is asked for by name", function()
    local a = on(sim, batch {lens = {20}, H = 2, size = 16})
    a.kernel = "mla"
    a.v_blocks = a.v_blocks:clone()
    refused("v_blocks: the mla kernel takes only the first 512 of k_blocks' 576 elements", pah.decode, a)
    a.v_blocks, a.softcap = a.k_blocks:narrow(4, 1, 512), 5
    refused("softcap: the mla kernel takes only 0", pah.decode, a)
    local other = on(pah.device "sim", batch {lens = {20}, H = 2, size = 16})
    other.kernel = "mla"
    refused("device: the mla kernel takes only sm_90a (Hopper)", pah.decode, other)
  end)
end)
