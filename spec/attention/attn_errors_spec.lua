-- attn_errors_spec.lua - one table of bad calls over all operations: each has its exact error line, and leaves results
-- that were given untouched. The rules are those of src/attention/attn_check.c, src/attention/attn_contents.c,
-- src/attention/merge.c and src/attention/kv_append.c.
local cpu = {device = "cpu"}

local function tensor(shape, dtype) return pah.randn(shape, {seed = 1, dtype = dtype or "f32", device = "cpu"}) end

local function i32(values) return pah.tensor(values, {dtype = "i32", device = "cpu"}) end

local function poisoned(shape, dtype) return pah.full(shape, 0 / 0, {dtype = dtype or "f32", device = "cpu"}) end

-- B = 2, H = 4, Hkv = 2, Sq = 3, D = 16, 6 blocks of 8 tokens, 3 blocks for a sequence: a reach of 24 tokens.
local function cached(q_shape)
  return {
    q = tensor(q_shape), k_blocks = tensor{6, 8, 2, 16}, v_blocks = tensor{6, 8, 2, 16},
    block_table = i32{{0, 1, 2}, {3, 4, 5}}, seqused_k = i32{24, 9},
    out = poisoned(q_shape), lse = poisoned{2, 4, q_shape[4] and q_shape[3] or 1},
  }
end

local valid = {}

function valid.fwd() return cached{2, 4, 3, 16} end

function valid.fwd_fp8() return cached{2, 4, 3, 16} end

function valid.decode() return cached{2, 4, 1, 16} end

function valid.bwd()
  local args = cached{2, 4, 3, 16}
  args.out, args.lse, args.dout = tensor{2, 4, 3, 16}, tensor{2, 4, 3}, tensor{2, 4, 3, 16}
  args.dq, args.dk_blocks, args.dv_blocks = poisoned{2, 4, 3, 16}, poisoned{6, 8, 2, 16}, poisoned{6, 8, 2, 16}
  return args
end

-- Ragged: 5 queries in all, 2 and 3 of them.
local function ragged(args)
  args.q, args.out, args.lse = tensor{5, 4, 16}, poisoned{5, 4, 16}, poisoned{4, 5}
  args.cu_seqlens_q = i32{0, 2, 5}
end

function valid.kv_append()
  return {
    k = tensor{3, 2, 16}, v = tensor{3, 2, 16}, k_blocks = poisoned{6, 8, 2, 16}, v_blocks = poisoned{6, 8, 2, 16},
    slot_mapping = i32{0, 47, -1},
  }
end

function valid.merge()
  return {
    out_a = tensor{2, 4, 3, 16}, lse_a = tensor{2, 4, 3}, out_b = tensor{2, 4, 3, 16}, lse_b = tensor{2, 4, 3},
    out = poisoned{2, 4, 3, 16}, lse = poisoned{2, 4, 3},
  }
end

local function call(op, args)
  if op == "merge" then
    return pah.merge(args.out_a, args.lse_a, args.out_b, args.lse_b, {out = args.out, lse = args.lse})
  end
  return pah[op](args)
end

-- Arguments of which NaN must still be all there after a refused call.
local results = {
  fwd = {"out", "lse"}, fwd_fp8 = {"out", "lse"}, decode = {"out", "lse"}, merge = {"out", "lse"},
  bwd = {"dq", "dk_blocks", "dv_blocks"}, kv_append = {"k_blocks", "v_blocks"},
}

local function set(field, value)
  return function(args) args[field] = type(value) == "function" and value(args) or value end
end

-- {operation, what is wrong, a change to valid arguments, the error line or its part}
local cases = {
  -- names
  {"fwd", "misspelt option", set("softmax_scal", 1),
    'fwd: unknown option "softmax_scal", did you mean "softmax_scale"?'},
  {"decode", "misspelt tensor", set("kblocks", 1), 'decode: unknown option "kblocks", did you mean "k_blocks"?'},
  {"kv_append", "misspelt", set("slots", 1), 'kv_append: unknown option "slots"'},
  {"fwd", "no tensor", set("q", 5), "q: is 5, must be a tensor"},
  {"fwd", "table for a tensor", set("block_table", {{1}}), "block_table: is a table, must be a tensor"},
  {"decode", "word for a scale", set("k_descale", "x"), 'k_descale: is "x", must be a number or a tensor'},
  -- presence
  {"fwd", "no q", set("q", nil), "q: is missing, must be given to fwd"},
  {"decode", "no table", set("block_table", nil), "block_table: is missing, must be given to decode"},
  {"bwd", "no dout", set("dout", nil), "dout: is missing, must be given to bwd"},
  {"bwd", "no lse", set("lse", nil), "lse: is missing, must be given to bwd"},
  {"kv_append", "no slots", set("slot_mapping", nil), "slot_mapping: is missing, must be given to kv_append"},
  {"fwd", "dout", set("dout", function(a) return a.q end), "dout: is given, but fwd does not take it"},
  {"fwd", "k_descale", set("k_descale", 2), "k_descale: is given, but fwd does not take it"},
  {"decode", "q_descale", set("q_descale", 2), "q_descale: is given, but decode does not take it"},
  {"decode", "o_scale", set("o_scale", 2), "o_scale: is given, but decode does not take it"},
  {"decode", "cu_seqlens_q with padded q", set("cu_seqlens_q", function() return i32{0, 1, 2} end),
    "q: shape is [2, 4, 1, 16], must be [total_q, H, D], as cu_seqlens_q is given"},
  {"bwd", "tree_mask", set("tree_mask", function() return i32{{{1}, {3}, {7}}, {{1}, {3}, {7}}} end),
    "tree_mask: is given, but bwd does not take it"},
  {"fwd", "dsinks", set("dsinks", function() return tensor{4} end), "dsinks: is given, but fwd does not take it"},
  {"bwd", "dsinks without sinks", set("dsinks", function() return tensor{4} end),
    "dsinks: is given, but sinks is not"},
  -- dtypes
  {"fwd", "q of integers", set("q", function() return pah.zeros({2, 4, 3, 16}, {dtype = "i32", device = "cpu"}) end),
    "q: dtype is i32, must be f32, f16 or bf16"},
  {"fwd", "q of f64", set("q", function(a) return a.q:to("f64") end), "q: dtype is f64, must be f32, f16 or bf16"},
  {"fwd", "q of fp8", set("q", function(a) return a.q:to("fp8_e4m3") end),
    "q: dtype is fp8_e4m3, must be f32, f16 or bf16"},
  {"fwd", "fp8 cache", set("k_blocks", function(a) return a.k_blocks:to("fp8_e4m3") end),
    "k_blocks: dtype is fp8_e4m3, must be f32, as q"},
  {"decode", "bf16 cache", set("k_blocks", function(a) return a.k_blocks:to("bf16") end),
    "k_blocks: dtype is bf16, must be f32, fp8_e4m3 or fp8_e5m2 (that of q, or fp8)"},
  {"decode", "K and V differ", set("v_blocks", function(a) return a.v_blocks:to("fp8_e5m2") end),
    "v_blocks: dtype is fp8_e5m2, must be f32, as k_blocks"},
  {"fwd", "table of i64", set("block_table", function(a) return a.block_table:to("i64") end),
    "block_table: dtype is i64, must be i32"},
  {"fwd", "lse of bf16", set("lse", function(a) return a.lse:to("bf16") end), "lse: dtype is bf16, must be f32"},
  {"fwd", "out of bf16", set("out", function(a) return a.out:to("bf16") end),
    "out: dtype is bf16, must be f32, as q"},
  {"fwd_fp8", "out against out_dtype", set("out_dtype", "bf16"), "out: dtype is f32, must be bf16, as out_dtype says"},
  {"fwd_fp8", "no dtype", set("out_dtype", "bf61"),
    'out_dtype: is "bf61", must be the name of a dtype, did you mean "bf16"?'},
  {"bwd", "dq of bf16", set("dq", function(a) return a.dq:to("bf16") end), "dq: dtype is bf16, must be f32, as q"},
  {"kv_append", "slots of f32", set("slot_mapping", function(a) return a.slot_mapping:to("f32") end),
    "slot_mapping: dtype is f32, must be i32 or i64"},
  {"kv_append", "K and V differ", set("v", function(a) return a.v:to("bf16") end),
    "v: dtype is bf16, must be f32, as k"},
  {"merge", "lse of f16", set("lse_b", function(a) return a.lse_b:to("f16") end), "lse_b: dtype is f16, must be f32"},
  -- shapes
  {"fwd", "3-D q", set("q", function() return tensor{5, 4, 16} end),
    "q: shape is [5, 4, 16], must be [B, H, Sq, D], or [total_q, H, D] with cu_seqlens_q"},
  {"decode", "Sq of 65", set("q", function() return tensor{2, 4, 65, 16} end),
    "q: Sq: is 65, must be 1 to 64 in decode"},
  {"decode", "Sq of 0", set("q", function() return tensor{2, 4, 0, 16} end), "q: Sq: is 0, must be 1 to 64 in decode"},
  {"decode", "65 ragged queries", function(a)
    a.q, a.cu_seqlens_q = tensor{66, 4, 16}, i32{0, 1, 66}
    a.out, a.lse = poisoned{66, 4, 16}, poisoned{4, 66}
  end, "cu_seqlens_q[3]: sequence 2 has 65 queries, must have at most 64 in decode"},
  {"fwd", "tree of too few words", set("tree_mask", function() return i32{{{1}, {3}}, {{1}, {3}}} end),
    "tree_mask: shape is [2, 2, 1], must be [B, Sq, ceil(Sq/32)] = [2, 3, 1]"},
  {"fwd", "tree with causal", function(a)
    a.causal, a.tree_mask = true, i32{{{1}, {3}, {7}}, {{1}, {3}, {7}}}
  end, "tree_mask: is given with causal, must be the only mask"},
  {"fwd", "tree with a window", function(a)
    a.window, a.tree_mask = {2, -1}, i32{{{1}, {3}, {7}}, {{1}, {3}, {7}}}
  end, "tree_mask: is given with window, must be the only mask"},
  {"fwd", "fewer keys than a tree", function(a)
    a.seqused_k, a.tree_mask = i32{9, 2}, i32{{{1}, {3}, {7}}, {{1}, {3}, {7}}}
  end, "seqused_k[2]: is 2, must be at least 3, the queries of a tree"},
  {"fwd", "sinks of other heads", set("sinks", function() return tensor{3} end),
    "sinks: shape is [3], must be [H] = [4]"},
  {"fwd", "sinks of bf16", set("sinks", function() return tensor{4}:to "bf16" end),
    "sinks: dtype is bf16, must be f32"},
  {"fwd", "out of D where V is wider", set("v_blocks", function() return tensor{6, 8, 2, 24} end),
    "out: shape is [2, 4, 3, 16], must be that of q with the head_dim of v_blocks = [2, 4, 3, 24]"},
  {"fwd", "V a view of K, no scale", function(a)
    a.v_blocks, a.out = a.k_blocks:narrow(4, 1, 8), poisoned{2, 4, 3, 8}
  end, "softmax_scale: is missing, must be given where v_blocks is a view of k_blocks"},
  {"bwd", "V a view of K", function(a)
    a.v_blocks, a.softmax_scale = a.k_blocks:narrow(4, 9, 8), 0.25
    a.out, a.dout, a.dv_blocks = tensor{2, 4, 3, 8}, tensor{2, 4, 3, 8}, poisoned{6, 8, 2, 8}
  end, "v_blocks: is a view of k_blocks, must be memory of its own in bwd"},
  {"fwd", "3-D cache", set("k_blocks", function() return tensor{6, 8, 16} end),
    "k_blocks: shape is [6, 8, 16], must be [num_blocks, block_size, Hkv, D]"},
  {"fwd", "V shorter", set("v_blocks", function() return tensor{5, 8, 2, 16} end),
    "v_blocks: shape is [5, 8, 2, 16], must be [num_blocks, block_size, Hkv, Dv] of k_blocks"},
  {"fwd", "head_dim of K", set("k_blocks", function() return tensor{6, 8, 2, 24} end),
    "k_blocks: shape is [6, 8, 2, 24], must be [num_blocks, block_size, Hkv, D] with the head_dim of q"},
  {"fwd", "B of the table", set("block_table", function() return i32{{0, 1, 2}} end),
    "block_table: shape is [1, 3], must be [B, max_blocks_per_seq] with the B of q"},
  {"fwd", "heads", set("q", function() return tensor{2, 3, 3, 16} end),
    "q: has 3 heads, must have a multiple of the 2 key/value heads of k_blocks"},
  {"fwd", "head_dim 12", function(a)
    a.q, a.k_blocks, a.v_blocks = tensor{2, 4, 3, 12}, tensor{6, 8, 2, 12}, tensor{6, 8, 2, 12}
  end, "q: head_dim is 12, must be a multiple of 8 from 8 to 576"},
  {"decode", "head_dim 584", function(a)
    a.q, a.k_blocks, a.v_blocks = tensor{2, 4, 1, 584}, tensor{6, 8, 2, 584}, tensor{6, 8, 2, 584}
  end, "q: head_dim is 584, must be a multiple of 8 from 8 to 576"},
  {"decode", "head_dim 20 of V", set("v_blocks", function() return tensor{6, 8, 2, 20} end),
    "v_blocks: head_dim is 20, must be a multiple of 8 from 8 to 576"},
  {"fwd", "block_size 0", function(a) a.k_blocks, a.v_blocks = tensor{6, 0, 2, 16}, tensor{6, 0, 2, 16} end,
    "k_blocks: block_size is 0, must be 1 or more"},
  {"fwd", "no K/V heads", function(a) a.k_blocks, a.v_blocks = tensor{6, 8, 0, 16}, tensor{6, 8, 0, 16} end,
    "k_blocks: has 0 key/value heads, must have 1 or more"},
  {"fwd", "lengths", set("seqused_k", function() return i32{1, 2, 3} end),
    "seqused_k: shape is [3], must be [B] = [2]"},
  {"fwd", "out", set("out", function() return poisoned{2, 4, 3, 8} end),
    "out: shape is [2, 4, 3, 8], must be that of q with the head_dim of v_blocks = [2, 4, 3, 16]"},
  {"decode", "lse", set("lse", function() return poisoned{2, 4} end),
    "lse: shape is [2, 4], must be [B, H, Sq] = [2, 4, 1]"},
  {"fwd", "prefix sums", function(a) ragged(a) a.cu_seqlens_q = i32{0, 5} end,
    "cu_seqlens_q: shape is [2], must be [B + 1] = [3]"},
  {"decode", "descale", set("k_descale", function() return tensor{2, 3} end),
    "k_descale: shape is [2, 3], must be a scalar or [B, Hkv] = [2, 2]"},
  {"bwd", "dk", set("dk_blocks", function() return poisoned{6, 8, 4, 16} end),
    "dk_blocks: shape is [6, 8, 4, 16], must be that of k_blocks = [6, 8, 2, 16]"},
  {"merge", "lse", set("lse_a", function() return tensor{4, 2} end),
    "lse_a: shape is [4, 2], must be [B, H, Sq] = [2, 4, 3]"},
  {"kv_append", "tokens", set("k", function() return tensor{4, 2, 16} end),
    "k: shape is [4, 2, 16], must be [T, Hkv, D] = [3, 2, 16]"},
  -- layout
  {"fwd", "q transposed", set("q", function() return tensor{2, 4, 16, 3}:transpose(3, 4) end),
    "q: stride of the last dimension is 3, must be 1"},
  {"fwd", "out expanded", set("out", function() return poisoned{1, 4, 3, 16}:expand(2, 4, 3, 16) end),
    "out: elements share memory (stride 0 of dimension 1), must be apart in a result"},
  {"fwd", "out is q", set("out", function(a) return a.q end), "out: shares memory with q, must have its own"},
  {"bwd", "dk is dv", set("dv_blocks", function(a) return a.dk_blocks end),
    "dv_blocks: shares memory with dk_blocks, must have its own"},
  {"merge", "in place", set("out", function(a) return a.out_a end), "out: shares memory with out_a, must have its own"},
  -- options
  {"fwd", "causal", set("causal", "left"), 'causal: is "left", must be true, false, "bottom-right" or "top-left"'},
  {"fwd", "window", set("window", 5), "window: is 5, must be {left, right}"},
  {"fwd", "window of one", set("window", {5}), "window: is a table of 1, must be {left, right}"},
  {"fwd", "window below -1", set("window", {-2, 0}), "window_left: is -2, must be -1 (no limit) or more"},
  {"fwd", "window of a half", set("window", {0, .5}), "window[2]: is 0.5, must be a whole number"},
  {"fwd", "softcap", set("softcap", -1), "softcap: is -1, must be 0 (off) or from 1e-30 to 1e30"},
  {"fwd", "softcap NaN", set("softcap", 0 / 0), "softcap: is nan, must be a number"},
  {"decode", "softcap too large", set("softcap", 3e38), "softcap: is 3e+38, must be 0 (off) or from 1e-30 to 1e30"},
  {"bwd", "softcap too small", set("softcap", 1e-45), "must be 0 (off) or from 1e-30 to 1e30"},
  {"decode", "softmax_scale NaN", set("softmax_scale", 0 / 0), "softmax_scale: is nan, must be a number"},
  {"fwd", "softmax_scale", set("softmax_scale", math.huge), "softmax_scale: is inf, must be finite"},
  {"fwd", "a word for a number", set("softmax_scale", "1"), 'softmax_scale: is "1", must be a number'},
  {"fwd_fp8", "o_scale", set("o_scale", 0), "o_scale: is 0, must be finite and above 0"},
  {"decode", "num_splits", set("num_splits", -1), "num_splits: is -1, must be 0 (chosen) to 4096"},
  {"fwd", "num_splits", set("num_splits", 2), "num_splits: is 2, must be 0: only decode splits"},
  {"decode", "kernel", set("kernel", "flsh"), 'kernel: "flsh" is not one of decode on cpu, must be "'},
  {"fwd", "kernel of another operation", set("kernel", "split-kv"), 'kernel: "split-kv" is not one of fwd on cpu'},
  {"fwd", "seqlen_k", function(a) a.seqused_k, a.seqlen_k = nil, 25 end,
    "seqlen_k: 25 is more than the table's reach of 24 tokens"},
  {"fwd", "seqlen_k below -1", set("seqlen_k", -2), "seqlen_k: is -2, must be -1"},
  -- contents
  {"decode", "a block too far", set("block_table", function() return i32{{0, 1, 2}, {3, 6, 5}} end),
    "block_table[2][2]: block id 6 is outside [0, 6)"},
  {"bwd", "block -1", set("block_table", function() return i32{{0, -1, 2}, {3, 4, 5}} end),
    "block_table[1][2]: block id -1 is outside [0, 6)"},
  {"fwd", "a length past the reach", set("seqused_k", function() return i32{24, 25} end),
    "seqused_k[2]: 25 is more than the table's reach of 24 tokens"},
  {"fwd", "a negative length", set("seqused_k", function() return i32{-1, 0} end),
    "seqused_k[1]: is -1, must be 0 or more"},
  {"fwd", "prefix sums from 1", function(a) ragged(a) a.cu_seqlens_q = i32{1, 2, 5} end,
    "cu_seqlens_q[1]: is 1, must be 0"},
  {"fwd", "prefix sums that fall", function(a) ragged(a) a.cu_seqlens_q = i32{0, 6, 5} end,
    "cu_seqlens_q[3]: is 5 after 6, must not decrease"},
  {"fwd", "prefix sums that end early", function(a) ragged(a) a.cu_seqlens_q = i32{0, 2, 4} end,
    "cu_seqlens_q[3]: is 4, must be 5, the rows of q"},
  {"kv_append", "a slot too far", set("slot_mapping", function() return i32{0, 48, 1} end),
    "slot_mapping[2]: slot 48 is outside [0, 48)"},
  {"kv_append", "a slot of -2", set("slot_mapping", function() return i32{0, -2, 1} end),
    "slot_mapping[2]: slot -2 is outside [0, 48)"},
  {"kv_append", "a slot twice", set("slot_mapping", function() return i32{7, -1, 7} end),
    "slot_mapping[3]: slot 7 is that of slot_mapping[1] too, must differ"},
}

describe("a bad call of", function()
  for _, case in ipairs(cases) do
    local op, what, change, message = unpack(case)
    it(("%s (%s) is refused by its field"):format(op, what), function()
      local args = valid[op]()
      local kept = {}
      for _, name in ipairs(results[op]) do kept[name] = args[name] end
      change(args)
      local ok, err = pcall(function() call(op, args) end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), ("%s\nis not\n%s"):format(err, message))
      for name, t in pairs(kept) do
        local zeros = pah.zeros(t.shape, cpu)
        assert.equal(t:numel(), pah.diff(t, zeros).nan, name .. " was written to")
      end
    end)
  end
end)

describe("a freed tensor", function()
  local function freed(shape, dtype)
    local t = tensor(shape, dtype)
    t:free()
    return t
  end

  -- Every tensor that any operation takes, the optional ones too: as an argument that is absent it would be computed
  -- without.
  local optional = {
    fwd = {"seqused_k", "cu_seqlens_q", "sinks", "tree_mask"}, bwd = {"seqused_k", "cu_seqlens_q", "sinks"},
    decode = {"k_descale", "v_descale", "cu_seqlens_q", "sinks", "tree_mask"},
    fwd_fp8 = {"q_descale", "k_descale", "v_descale", "cu_seqlens_q"}, kv_append = {"k_descale", "v_descale"},
    merge = {},
  }

  for op, names in pairs(optional) do
    it("is named by " .. op .. " in whatever place", function()
      for name, value in pairs(valid[op]()) do
        if pah.is_tensor(value) then names[#names + 1] = name end
      end
      for _, name in ipairs(names) do
        local args = valid[op]()
        local kept = {}
        for _, result in ipairs(results[op]) do kept[result] = result ~= name and args[result] or nil end
        args[name] = freed{2}
        local ok, err = pcall(call, op, args)
        assert.is_false(ok, name)
        assert.truthy(tostring(err):find(name .. ": the tensor was freed", 1, true), tostring(err))
        for result, t in pairs(kept) do
          assert.equal(t:numel(), pah.diff(t, pah.zeros(t.shape, cpu)).nan, result .. " was written to")
        end
        ok, err = pcall(pah.reference[op], args)
        if op == "merge" then ok, err = pcall(pah.reference.merge, args.out_a, args.lse_a, args.out_b, args.lse_b) end
        local ignored = name == "out" or name == "lse" or name == "dq" or name:match "^d[kv]_blocks$"
        if not ignored then -- the oracle makes its results itself
          assert.is_false(ok, name)
          assert.truthy(tostring(err):find(name .. ": the tensor was freed", 1, true), tostring(err))
        end
      end
    end)
  end

  it("is named where a number stands for a scale", function()
    local args = valid.decode()
    args.q, args.k_descale = freed{2}, 2
    local ok, err = pcall(pah.decode, args)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("q: the tensor was freed", 1, true), tostring(err))
  end)

  it("is named by what takes tensors beside the operations", function()
    local t = freed{2}
    for message, f in pairs {
      ["out_a: the tensor was freed"] = function() pah.merge(t, t, t, t) end,
      ["q: the tensor was freed"] = function() pah.work("fwd", {q = t}) end,
      ["block_table: seqlens: the tensor was freed"] = function() pah.block_table{seqlens = t, block_size = 1} end,
      ["tensor_map: the tensor was freed"] = function() pah.tensor_map(t, {box = {1}}) end,
      ["trace: kv_indptr: the tensor was freed"] = function() pah.trace.block_table(t, t, nil, 1) end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok, message)
      assert.truthy(tostring(err):find(message, 1, true), tostring(err))
    end
  end)
end)

describe("a legal call", function()
  it("may interleave K and V in one allocation", function()
    local args = valid.kv_append()
    local both = poisoned{6, 2, 8, 2, 16}
    args.k_blocks, args.v_blocks = both:select(2, 1), both:select(2, 2)
    assert.has_no.errors(function() pah.kv_append(args) end)
    assert.equal(args.v:get(1, 1, 1), args.v_blocks:get(1, 1, 1, 1))
  end)

  it("never looks at unused entries of the table", function()
    local args = valid.decode()
    args.block_table = i32{{0, 1, 2}, {3, 4, 2147483647}}
    assert.has_no.errors(function() pah.decode(args) end)
  end)

  it("reports errors at the line of the script", function()
    local ok, err = pcall(function() pah.fwd{} end)
    assert.is_false(ok)
    assert.truthy(err:find("attn_errors_spec.lua:%d+: q: is missing"), err)
  end)
end)

describe("pah.block_config", function()
  it("knows the seed's tiles", function()
    assert.same({64, 32}, {pah.block_config("fwd", 64, "f32")})
    assert.same({32, 32}, {pah.block_config("fwd", 128, "fp8_e4m3")})
    assert.same({16, 16}, {pah.block_config("bwd", 128, "f32")})
    assert.same({64, 32}, {pah.block_config("bwd", 64, "bf16")})
  end)

  it("names what is supported", function()
    local function refused(message, ...)
      local ok, err = pcall(pah.block_config, ...)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), err)
    end
    refused("head_dim: 96 is not supported, must be 64 or 128", "fwd", 96, "f32")
    refused("dtype: fp8_e4m3 is not supported, must be bf16, f16 or f32", "bwd", 64, "fp8_e4m3")
    refused("op: decode is not supported, must be bwd or fwd", "decode", 64, "f32")
  end)
end)

describe("pah.kernels", function()
  it("lists every implementation", function()
    local seen = {}
    for _, kernel in ipairs(pah.kernels()) do seen[kernel.device .. " " .. kernel.op] = kernel.name end
    for _, op in ipairs{"fwd", "fwd_fp8", "bwd", "decode"} do assert.is_string(seen["cpu " .. op]) end
  end)
end)
