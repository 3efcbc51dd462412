-- forward.lua - what every fast forward of kernels/ must do beyond the table of cases, on sim with every check on: the
-- same bits for every block size, however K and V are copied, and for every schedule; packed heads; windows; ragged
-- batches; sinks, tree masks and head_dim 192 for q and k with 128 for v; what is refused.
-- Cases: spec/attention/cases_spec.lua.
local assert = require "luassert"
local refused = require "spec.support.refused"
local same_bits = require("spec.support.bits").same
local spills = require "spec.support.gpu.spills"

local M = {}

-- Sequences of one content, [tokens, Hkv, D], in blocks of any size; slots past the end hold NaN.
function M.problem(sim, o)
  local H, Hkv, D, Dv, total, used = o.H or 4, o.Hkv or 2, o.D or 64, o.Dv or o.D or 64, 0, 0
  for _, len in ipairs(o.len_k) do
    total, used = total + math.ceil(len / o.block_size), used + len
  end
  local options = {dtype = o.dtype or "bf16", device = "cpu"}
  options.seed = 1
  local k = pah.randn({used, Hkv, D}, options)
  options.seed = 2
  local v = pah.randn({used, Hkv, Dv}, options)
  local table_, lens = pah.block_table{seqlens = o.len_k, block_size = o.block_size, num_blocks = total + 2, seed = 3}
  local pools = {}
  for i, content in ipairs {k, v} do
    local shape = {total + 2, o.block_size, Hkv, content:size(3)}
    local pool = pah.full(shape, 0 / 0, {dtype = content.dtype, device = "cpu"})
    local at = 0
    for b, len in ipairs(o.len_k) do
      for first = 0, len - 1, o.block_size do
        local count = math.min(o.block_size, len - first)
        local block = table_:get(b, first / o.block_size + 1)
        pool:select(1, block + 1):narrow(1, 1, count):copy(content:narrow(1, at + first + 1, count))
      end
      at = at + len
    end
    pools[i] = pool:to(sim)
  end
  options.seed = 4
  local a = {
    k_blocks = pools[1], v_blocks = pools[2], block_table = table_:to(sim), seqused_k = lens:to(sim),
    causal = o.causal, window = o.window, softcap = o.softcap, softmax_scale = o.softmax_scale,
  }
  if o.len_q then
    local sums = {0}
    for b, len in ipairs(o.len_q) do sums[b + 1] = sums[b] + len end
    a.q = pah.randn({sums[#sums], H, D}, options):to(sim)
    a.cu_seqlens_q = pah.tensor(sums, {dtype = "i32", device = sim})
  else
    a.q = pah.randn({#o.len_k, H, o.Sq, D}, options):to(sim)
  end
  return a
end

local function reference(a)
  local host = {}
  for key, value in pairs(a) do host[key] = type(value) == "cdata" and value:to("cpu") or value end
  host.kernel = nil
  return pah.reference.fwd(host)
end

local function near(out, want, lse, want_lse)
  local off = pah.diff(out:to("cpu"):to("f32"), want:to("f32"))
  assert.equal(0, off.nan)
  assert.is_true(off.rel_norm < 4e-3, ("off by %g"):format(off.rel_norm))
  local ok, report = pah.allclose(lse:to("cpu"), want_lse, {atol = 1e-4, rtol = 1e-5})
  assert.is_true(ok, tostring(report))
end

function M.right(kernel, a)
  a.kernel = kernel
  local out, lse = pah.fwd(a)
  local want, want_lse = reference(a)
  near(out, want, lse, want_lse)
  return out, lse
end

--- The specs of one kernel on one device of sim, within a describe; `it` is busted's.
function M.specs(it, kernel, sim)
  local function problem(o) return M.problem(sim, o) end
  local function right(a) return M.right(kernel, a) end

  it("gives the same bits for every block size, by bulk copies and token by token", function()
    local first, first_lse
    for _, block_size in ipairs {16, 8, 24, 128, 1, 5} do
      local out, lse = right(problem{len_k = {200, 61, 0}, Sq = 40, D = 128, block_size = block_size, causal = true})
      if first then assert.is_true(same_bits(first, out) and same_bits(first_lse, lse), "blocks of " .. block_size) end
      first, first_lse = out, lse
    end
  end)

  it("gives the same bits in every schedule #slow", function()
    local first
    for n, schedule in ipairs {"order", "reverse", "random"} do
      for _, block_size in ipairs {16, 3} do
        sim:set{schedule = schedule, seed = n}
        local out = right(problem{len_k = {300}, Sq = 140, H = 2, Hkv = 1, D = 128, block_size = block_size,
          causal = true})
        if first then assert.is_true(same_bits(first, out), schedule) end
        first = out
      end
    end
    sim:set{schedule = "order", seed = 0}
  end)

  it("packs the heads of a K/V head where sequences are short, ragged ones too", function()
    right(problem{len_k = {90, 300, 17, 0}, len_q = {30, 1, 0, 5}, H = 8, Hkv = 2, block_size = 16, causal = true})
    right(problem{len_k = {90, 30}, Sq = 3, H = 6, Hkv = 3, D = 128, block_size = 32, causal = "top-left"})
  end)

  it("masks windows on both sides, and caps scores", function()
    right(problem{len_k = {500, 222}, Sq = 150, block_size = 16, window = {100, 30}})
    right(problem{len_k = {400}, Sq = 200, block_size = 16, window = {0, 0}, D = 128})
    right(problem{len_k = {300}, Sq = 60, block_size = 64, softcap = 2, causal = true, dtype = "f16"})
    -- All scores small beside the cap; some, in rows that others share a warp with; by a factor that has no 7th power.
    for _, cap in ipairs {30, 5, 1e4, 1e30} do
      right(problem{len_k = {70}, Sq = 20, H = 2, Hkv = 1, block_size = 16, softcap = cap, softmax_scale = 0.3})
    end
  end)

  it("does head_dims between its sizes, and the largest", function()
    for _, D in ipairs {8, 72, 160, 256} do
      right(problem{len_k = {140, 33}, Sq = 70, D = D, block_size = 16, causal = true})
      right(problem{len_k = {140, 33}, Sq = 70, D = D, block_size = 3, causal = true})
    end
  end)

  it("gives rows that see nothing 0 and -inf", function()
    local out, lse = right(problem{len_k = {5, 0}, Sq = 70, block_size = 16, causal = true})
    assert.equal(0, out:to("cpu"):to("f32"):get(2, 1, 70, 1))
    assert.equal(-math.huge, lse:to("cpu"):get(1, 1, 1))
  end)

  it("lets a sink take part in the softmax", function()
    local a = problem{len_k = {150, 0}, Sq = 70, block_size = 16, causal = true}
    local plain = right(a)
    a.sinks = pah.tensor({0.5, -1 / 0, 3, -200}, {device = sim})
    local out = right(a)
    assert.is_true(same_bits(out:select(2, 2), plain:select(2, 2)), "a sink of -inf is none")
  end)

  it("takes a tree of new tokens: a chain is causal bit for bit, other bits hide", function()
    local a = problem{len_k = {150, 41}, Sq = 40, block_size = 16, causal = true}
    local causal, causal_lse = right(a)
    a.causal = false
    local function bits(visible)
      local words = {}
      for b = 1, 2 do
        words[b] = {}
        for i = 0, 39 do
          local row = {0, 0}
          for j = 0, 39 do
            if visible(i, j) then row[math.floor(j / 32) + 1] = row[math.floor(j / 32) + 1] + 2 ^ (j % 32) end
          end
          for w = 1, 2 do row[w] = row[w] >= 2 ^ 31 and row[w] - 2 ^ 32 or row[w] end
          words[b][i + 1] = row
        end
      end
      return pah.tensor(words, {dtype = "i32", device = sim})
    end
    a.tree_mask = bits(function(i, j) return j <= i end)
    local out, lse = right(a)
    assert.is_true(same_bits(causal, out) and same_bits(causal_lse, lse))
    a.tree_mask = bits(function(i, j) return j <= i and (i - j) % 3 == 0 end)
    right(a)
  end)

  it("takes head_dim 192 with 128 for v, and a v that is narrower than its size", function()
    right(problem{len_k = {200, 33}, Sq = 70, D = 192, Dv = 128, block_size = 16, causal = true})
    right(problem{len_k = {200, 33}, Sq = 70, D = 128, Dv = 40, block_size = 3, causal = true})
  end)

  it("refuses by name what none of its kind can do", function()
    local function refuses(words, o, change)
      local a = problem(o)
      a.kernel = kernel
      if change then change(a) end
      refused(words:format(kernel), pah.fwd, a)
    end
    local plain = {len_k = {20}, Sq = 4, block_size = 16}
    refuses("the %s kernel takes bf16 or f16", {len_k = {20}, Sq = 4, block_size = 16, dtype = "f32"})
    refuses("softmax_scale: the %s kernel takes", plain, function(a) a.softmax_scale = -1 end)
    refuses("block_m: the %s kernel has tiles of its own", plain, function(a) a.block_m = 64 end)
    refuses("head_dim: the %s kernel takes multiples of 8 up to 256", {len_k = {20}, Sq = 4, block_size = 16, D = 264})
    refuses("q: the %s kernel takes data and strides", plain, function(a)
      a.q = pah.zeros({1, 4, 4, 65}, {dtype = "bf16", device = sim}):narrow(4, 1, 64)
    end)
  end)
end

--- Compiles all sizes for an architecture: none may spill. `sizes` is a list of {D, Dv, softcap, block_size, KV heads};
--- a softcap of 1 bounds scores. -> how many there were; nil and why if they cannot be compiled.
--- `allowed`: as of spills.none.
function M.no_spills(kernel, function_name, arch, sizes, dtype, allowed)
  return spills.none(arch, function_name, function(zeros, add)
    for _, size in ipairs(sizes) do
      local D, Dv, softcap, block_size, heads = unpack(size)
      add(function()
        local blocks = {4, block_size or 16, heads or 1}
        pah.fwd{q = zeros({1, 2, 4, D}, dtype), k_blocks = zeros({blocks[1], blocks[2], blocks[3], D}, dtype),
          v_blocks = zeros({blocks[1], blocks[2], blocks[3], Dv}, dtype), block_table = zeros({1, 4}, "i32"),
          softcap = softcap, kernel = kernel}
      end)
    end
  end, allowed)
end

return M
