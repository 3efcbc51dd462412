-- bwd_spec.lua - gradients: against the float64 oracle, bitwise the same for any number of threads, added up over
-- shared blocks, 0 where nothing is used, and deaf to what lies in unused slots.
local nan, inf = 0 / 0, math.huge

local function i32(list)
  return pah.tensor(list, {dtype = "i32"})
end

-- Gives the problem its out and lse, by the oracle, so that a wrong forward kernel cannot hide here.
local function forward(p)
  local args = {}
  for key, value in pairs(p) do args[key] = value end
  args.dout = nil
  local out, lse = pah.reference.fwd(args)
  p.out, p.lse = out:to(p.q.dtype), lse:to("f32")
  return p
end

-- A problem with every input random; `o` may override H, Hkv, D, block_size, dtype and the options of the call.
-- lens: {{len_q, len_k}, ...}; equal len_q gives [B, H, Sq, D] unless o.ragged. Unused slots hold NaN.
local function problem(lens, o)
  local H, Hkv, D, size, dtype = o.H or 4, o.Hkv or 2, o.D or 32, o.block_size or 8, o.dtype or "f32"
  local seqlens, total, cu, blocks, width = {}, 0, {0}, 0, 1
  for b, len in ipairs(lens) do
    seqlens[b], total = len[2], total + len[1]
    cu[b + 1] = total
    blocks, width = blocks + math.ceil(len[2] / size), math.max(width, math.ceil(len[2] / size))
  end
  local pool, taken = pah.randperm(3 * blocks + 1, {seed = 5, dtype = "i32"}), 0
  local table_ = pah.full({#lens, width}, 2 ^ 30, {dtype = "i32"}) -- unused entries are never looked at
  for b, len in ipairs(seqlens) do
    for n = 1, math.ceil(len / size) do
      taken = taken + 1
      table_:set(pool:get(taken), b, n)
    end
  end
  local opts = function(seed) return {seed = seed, dtype = dtype} end
  local q_shape = o.ragged and {total, H, D} or {#lens, H, lens[1][1], D}
  local p = {
    q = pah.randn(q_shape, opts(1)), dout = pah.randn(q_shape, opts(2)),
    k_blocks = pah.full({3 * blocks + 1, size, Hkv, D}, nan, {dtype = dtype}),
    v_blocks = pah.full({3 * blocks + 1, size, Hkv, D}, nan, {dtype = dtype}),
    block_table = table_, seqused_k = i32(seqlens), cu_seqlens_q = o.ragged and i32(cu) or nil,
    causal = o.causal, window = o.window, softcap = o.softcap, softmax_scale = o.softmax_scale,
  }
  for b, len in ipairs(lens) do
    if len[2] > 0 then
      local slots = {}
      for t = 0, len[2] - 1 do slots[t + 1] = table_:get(b, math.floor(t / size) + 1) * size + t % size end
      pah.kv_append{
        k = pah.randn({len[2], Hkv, D}, opts(10 + b)), v = pah.randn({len[2], Hkv, D}, opts(20 + b)),
        k_blocks = p.k_blocks, v_blocks = p.v_blocks, slot_mapping = i32(slots),
      }
    end
  end
  return forward(p)
end

-- The gradients, written over NaN.
local function gradients(p)
  local args = {}
  for key, value in pairs(p) do args[key] = value end
  args.dq = pah.full(p.q.shape, nan, {dtype = p.q.dtype})
  args.dk_blocks = pah.full(p.k_blocks.shape, nan, {dtype = p.q.dtype})
  args.dv_blocks = pah.full(p.k_blocks.shape, nan, {dtype = p.q.dtype})
  return {pah.bwd(args)}
end

local tolerance = {f32 = 2e-5, f16 = 4e-3, bf16 = 3e-2}

local function close(got, want, dtype)
  for i, name in ipairs {"dq", "dk", "dv"} do
    local ok, report = pah.allclose(got[i]:to("f64"), want[i], {atol = tolerance[dtype], rtol = tolerance[dtype]})
    assert.is_true(ok, name .. ": " .. tostring(report))
  end
end

local function identical(a, b)
  for i = 1, 3 do
    local diff = pah.diff(a[i], b[i])
    if diff.nan > 0 or diff.mismatched > 0 or diff.max_abs > 0 then return false end
  end
  return true
end

describe("pah.bwd", function()
  local threads = pah.threads()
  after_each(function() pah.threads(threads) end)

  local cases = {
    ["no mask"] = {{{5, 21}, {5, 8}}, {}},
    ["causal"] = {{{30, 30}, {30, 77}}, {causal = true}},
    ["causal, more queries than keys"] = {{{30, 12}, {30, 0}}, {causal = true}},
    ["causal top-left"] = {{{30, 12}, {30, 50}}, {causal = "top-left"}},
    ["window"] = {{{40, 40}, {40, 90}}, {window = {7, 3}}},
    ["causal and window"] = {{{130, 130}}, {causal = true, window = {16, -1}}},
    ["softcap"] = {{{9, 25}}, {softcap = 1.5, causal = true}},
    ["softmax_scale"] = {{{9, 25}}, {softmax_scale = 0.3}},
    ["ragged"] = {{{3, 9}, {0, 5}, {17, 17}, {2, 0}}, {ragged = true, causal = true}},
    ["one head"] = {{{20, 20}}, {H = 1, Hkv = 1, causal = true}},
    ["group of 5, block_size 1"] = {{{20, 27}}, {H = 5, Hkv = 1, block_size = 1, causal = true}},
    ["head_dim 8"] = {{{20, 27}}, {D = 8}},
    ["head_dim 72"] = {{{20, 27}}, {D = 72, causal = true}},
    ["head_dim 256"] = {{{20, 27}}, {D = 256, causal = true}},
    ["several tiles of keys and queries"] = {{{70, 500}}, {causal = true, H = 6}},
    ["several ranges of keys"] = {{{8, 1700}, {8, 900}}, {causal = true, H = 2, Hkv = 1}},
  }
  for name, case in pairs(cases) do
    for _, dtype in ipairs {"f32", "f16", "bf16"} do
      it(("agrees with the oracle: %s, %s"):format(name, dtype), function()
        case[2].dtype = dtype
        local p = problem(case[1], case[2])
        close(gradients(p), {pah.reference.bwd(p)}, dtype)
      end)
    end
  end

  it("is bitwise the same for 1 to 4 threads", function()
    for _, lens in ipairs {{{40, 40}, {40, 133}, {40, 5}}, {{9, 2500}}} do
      local p = problem(lens, {causal = true, dtype = "bf16"})
      p.block_table[1]:narrow(1, 1, 1):fill(p.block_table:get(math.min(2, #lens), 2)) -- shared
      pah.threads(1)
      local want = gradients(p)
      for n = 2, 4 do
        pah.threads(n)
        assert.is_true(identical(gradients(p), want))
      end
    end
  end)

  it("is so with more kv_streams than slots for dQ, some of them without keys or queries", function()
    local p = problem({{30, 0}, {40, 400}, {0, 210}, {100, 200}, {7, 0}, {3, 700}, {25, 25}},
      {causal = true, ragged = true, H = 6, Hkv = 3})
    pah.threads(1)
    local want = gradients(p)
    close(want, {pah.reference.bwd(p)}, "f32")
    for _, n in ipairs {2, 3, 7, 16} do
      pah.threads(n)
      assert.is_true(identical(gradients(p), want))
    end
  end)

  it("adds up the gradients of a shared block, rounded once", function()
    local p = problem({{6, 24}, {6, 24}, {6, 24}}, {})
    local own = {p.block_table:get(1, 1), p.block_table:get(2, 1), p.block_table:get(3, 1)}
    for _, blocks in ipairs {p.k_blocks, p.v_blocks} do -- the same first block three times, then one for all
      for b = 2, 3 do blocks[own[b] + 1]:copy(blocks[own[1] + 1]) end
    end
    forward(p)
    local private = gradients(p)
    for b = 2, 3 do p.block_table:set(own[1], b, 1) end
    local shared = gradients(p)
    for i = 2, 3 do
      local sum = pah.zeros({8, 2, 32}, {dtype = "f64"})
      for at = 1, 8 do
        for d = 1, 32 do
          local x = 0
          for b = 1, 3 do x = x + private[i]:get(own[b] + 1, at, 1, d) end
          sum:set(x, at, 1, d)
        end
      end
      local got = shared[i][own[1] + 1]:to("f64"):narrow(2, 1, 1)
      assert.is_true(pah.allclose(got, sum:narrow(2, 1, 1), {atol = 1e-6, rtol = 1e-6}))
      assert.equal(0, pah.diff(shared[i][own[2] + 1], pah.zeros({8, 2, 32})).mismatched)
    end
    assert.equal(0, pah.diff(shared[1], private[1]).max_abs)
  end)

  it("adds a block up that one sequence names twice", function()
    local p = problem({{6, 20}}, {})
    p.block_table:set(p.block_table:get(1, 1), 1, 2)
    forward(p)
    close(gradients(p), {pah.reference.bwd(p)}, "f32")
  end)

  it("leaves exactly 0 in every slot that no sequence uses", function()
    local p = problem({{4, 11}, {4, 17}}, {dtype = "bf16"})
    local _, dk, dv = unpack(gradients(p))
    local used = {}
    for b, len in ipairs {11, 17} do
      for t = 0, len - 1 do used[p.block_table:get(b, math.floor(t / 8) + 1) * 8 + t % 8] = true end
    end
    for slot = 0, dk:size(1) * 8 - 1 do
      if not used[slot] then
        local block, at = math.floor(slot / 8) + 1, slot % 8 + 1
        for _, t in ipairs {dk[block][at], dv[block][at]} do
          local diff = pah.diff(t, pah.zeros({2, 32}, {dtype = "bf16"}))
          assert.is_true(diff.nan == 0 and diff.max_abs == 0)
        end
      end
    end
  end)

  it("gives no gradient to queries that see no key, even when they hold NaN", function()
    local p = problem({{10, 4}}, {causal = true}) -- the first six see nothing
    local want = gradients(p)
    for i = 1, 6 do
      p.q[{1, {}, i}] = nan
      p.dout[{1, {}, i}] = inf
    end
    local got = gradients(p)
    assert.equal(0, pah.diff(got[1][{1, {}, {1, 6}}], pah.zeros({4, 6, 32})).mismatched)
    assert.is_true(identical(got, want))
  end)

  it("spreads a NaN only along visible pairs", function()
    local p = problem({{40, 40}}, {causal = true, H = 2})
    local want = gradients(p)
    p.q:set(nan, 1, 1, 20, 3) -- query 20 sees keys 1 to 20 through KV head 1
    forward(p)
    local got = gradients(p)
    for t = 1, 40 do
      local block, at = p.block_table:get(1, math.floor((t - 1) / 8) + 1) + 1, (t - 1) % 8 + 1
      local x = got[2]:get(block, at, 1, 1)
      assert.equal(t <= 20, x ~= x)
      assert.near(want[2]:get(block, at, 2, 1), got[2]:get(block, at, 2, 1), 0)
      x = got[1]:get(1, 1, t, 1)
      assert.equal(t == 20, x ~= x)
    end
  end)

  it("stops when it is interrupted", function()
    local C, p = require("pah.ffi").C, problem({{9, 30}}, {})
    C.pah_interrupt(1)
    local ok, message = pcall(pah.bwd, p)
    C.pah_interrupt(0)
    assert.is_false(ok)
    assert.matches("interrupted", message)
    close(gradients(p), {pah.reference.bwd(p)}, "f32")
  end)

  it("reads and writes any strides", function()
    local p = problem({{9, 30}, {9, 14}}, {causal = true})
    local want = gradients(p)
    local function bshd(t) return t:transpose(2, 3):contiguous():transpose(2, 3) end
    local args = {dk_blocks = bshd(p.k_blocks), dv_blocks = bshd(p.k_blocks), dq = bshd(p.q)}
    for key, value in pairs(p) do args[key] = value end
    for _, key in ipairs {"q", "out", "dout", "k_blocks", "v_blocks"} do args[key] = bshd(p[key]) end
    assert.is_true(identical({pah.bwd(args)}, want))
  end)

  it("takes no sequences, no queries and no keys", function()
    local blocks = pah.randn({4, 8, 2, 32}, {seed = 1})
    for _, shape in ipairs {{0, 4, 3, 32}, {2, 4, 0, 32}, {2, 4, 3, 32}} do
      local B, Sq = shape[1], shape[3]
      local q, lse = pah.zeros(shape), pah.full({B, 4, Sq}, -inf)
      local dq, dk, dv = pah.bwd{
        q = q, out = q:clone(), dout = q:clone(), lse = lse, k_blocks = blocks, v_blocks = blocks,
        block_table = pah.zeros({B, 1}, {dtype = "i32"}), seqused_k = pah.zeros({B}, {dtype = "i32"}),
      }
      assert.equal(0, pah.diff(dq, q).mismatched)
      assert.equal(0, pah.diff(dk, pah.zeros(blocks.shape)).mismatched)
      assert.equal(0, pah.diff(dv, pah.zeros(blocks.shape)).mismatched)
    end
  end)
end)
