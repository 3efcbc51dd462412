-- merge_spec.lua - two partial attention results into one: equal to attention over all keys at once, and exact where
-- the answer is known by hand.
local inf = math.huge

-- Attention of every sequence over logical blocks [first, first + count) of its table, by the oracle.
local function part(p, first, count, seqused_k, op)
  local out, lse = pah.reference[op]{
    q = p.q, k_blocks = p.k_blocks, v_blocks = p.v_blocks, block_table = p.block_table:narrow(2, first, count),
    seqused_k = seqused_k, cu_seqlens_q = p.cu_seqlens_q,
  }
  return out:to(p.q.dtype), lse:to("f32")
end

-- Two sequences of 6 blocks of 8 tokens, in a shuffled pool.
local function problem(dtype, q_shape)
  local opts = function(seed) return {seed = seed, dtype = dtype} end
  return {
    q = pah.randn(q_shape, opts(1)), k_blocks = pah.randn({16, 8, 2, 32}, opts(2)),
    v_blocks = pah.randn({16, 8, 2, 32}, opts(3)),
    block_table = pah.tensor({{3, 9, 0, 14, 7, 5}, {11, 2, 15, 6, 1, 8}}, {dtype = "i32"}),
  }
end

local tolerance = {f32 = 2e-6, f16 = 4e-3, bf16 = 3e-2}

local function same_as_one_shot(p, op, dtype)
  local lengths = function(a, b) return pah.tensor({a, b}, {dtype = "i32"}) end
  local out_a, lse_a = part(p, 1, 4, lengths(32, 32), op)
  local out_b, lse_b = part(p, 5, 2, lengths(13, 0), op) -- the second sequence ends with the first part
  local out, lse = pah.merge(out_a, lse_a, out_b, lse_b)
  local want, want_lse = part(p, 1, 6, lengths(45, 32), op)
  assert.equal(dtype, out.dtype)
  assert.same(want.shape, out.shape)
  assert.is_true(pah.allclose(out, want, {atol = tolerance[dtype], rtol = 0}))
  assert.is_true(pah.allclose(lse, want_lse, {atol = 1e-5, rtol = 1e-6}))
end

describe("pah.merge", function()
  for _, dtype in ipairs {"f32", "f16", "bf16"} do
    it("equals attention over all keys at once, " .. dtype, function()
      same_as_one_shot(problem(dtype, {2, 4, 3, 32}), "fwd", dtype)
    end)

    it("takes decode's [B, H, D], " .. dtype, function()
      same_as_one_shot(problem(dtype, {2, 4, 32}), "decode", dtype)
    end)

    it("takes ragged queries, " .. dtype, function()
      local p = problem(dtype, {5, 4, 32})
      p.cu_seqlens_q = pah.tensor({0, 2, 5}, {dtype = "i32"})
      same_as_one_shot(p, "fwd", dtype)
    end)

    it("agrees with the oracle, " .. dtype, function()
      local opts = function(seed) return {seed = seed, dtype = dtype} end
      local out_a, out_b = pah.randn({2, 3, 5, 40}, opts(1)), pah.randn({2, 3, 5, 40}, opts(2))
      local lse_a, lse_b = pah.randn({2, 3, 5}, {seed = 3, scale = 4}), pah.randn({2, 3, 5}, {seed = 4, scale = 4})
      local out, lse = pah.merge(out_a, lse_a, out_b, lse_b)
      local want, want_lse = pah.reference.merge(out_a, lse_a, out_b, lse_b)
      assert.is_true(pah.allclose(out:to("f64"), want, {atol = tolerance[dtype], rtol = 0}))
      assert.is_true(pah.allclose(lse:to("f64"), want_lse, {atol = 2e-6, rtol = 2e-7}))
    end)
  end

  it("weighs by exp(lse)", function()
    local a, b = pah.full({1, 1, 1, 8}, 1), pah.full({1, 1, 1, 8}, 5)
    local out, lse = pah.merge(a, pah.full({1, 1, 1}, 0), b, pah.full({1, 1, 1}, math.log(3)))
    assert.near(4, out:get(1, 1, 1, 8), 1e-6)
    assert.near(math.log(4), lse:get(1, 1, 1), 1e-6)
  end)

  it("gives 0 and -inf where both parts are empty, whatever they hold", function()
    local nan, empty = pah.full({1, 2, 1, 8}, 0 / 0), pah.full({1, 2, 1}, -inf)
    local out, lse = pah.merge(nan, empty, nan:clone(), empty:clone())
    assert.equal(0, pah.diff(out, pah.zeros({1, 2, 1, 8})).mismatched)
    assert.equal(-inf, lse:get(1, 2, 1))
  end)

  it("takes the other part where one is empty", function()
    local nan, empty = pah.full({1, 2, 1, 8}, 0 / 0), pah.full({1, 2, 1}, -inf)
    local part_b, lse_b = pah.randn({1, 2, 1, 8}, {seed = 1}), pah.randn({1, 2, 1}, {seed = 2})
    for _, pair in ipairs {{pah.merge(nan, empty, part_b, lse_b)}, {pah.merge(part_b, lse_b, nan, empty)}} do
      assert.equal(0, pah.diff(pair[1], part_b).max_abs)
      assert.equal(0, pah.diff(pair[2], lse_b).max_abs)
    end
  end)

  it("keeps a NaN in its row", function()
    local a, b = pah.ones({1, 1, 2, 8}), pah.ones({1, 1, 2, 8})
    for _, lses in ipairs {{{0 / 0, 0}, {0, 0}}, {{0, 0}, {0 / 0, 0}}} do
      local out, lse = pah.merge(a, pah.tensor({{lses[1]}}), b, pah.tensor({{lses[2]}}))
      assert.is_true(out:get(1, 1, 1, 1) ~= out:get(1, 1, 1, 1) and lse:get(1, 1, 1) ~= lse:get(1, 1, 1))
      assert.equal(1, out:get(1, 1, 2, 8))
    end
  end)

  it("reads any strides", function()
    local a, b = pah.randn({2, 5, 3, 16}, {seed = 1}):transpose(2, 3), pah.randn({2, 3, 5, 16}, {seed = 2})
    local lse_a, lse_b = pah.randn({5, 3, 2}, {seed = 3}):permute(3, 2, 1), pah.randn({2, 3, 5}, {seed = 4})
    local out, lse = pah.merge(a, lse_a, b, lse_b)
    local want, want_lse = pah.merge(a:contiguous(), lse_a:contiguous(), b, lse_b)
    assert.equal(0, pah.diff(out, want).max_abs)
    assert.equal(0, pah.diff(lse, want_lse).max_abs)
  end)
end)
