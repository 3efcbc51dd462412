-- operations.lua - manual: the attention operations, their arguments, and the float64 oracle.
-- B sequences, H query heads, Hkv key/value heads, D the head_dim of q and K, Dv that of V.
local inputs = [[
  q: Tensor                `[B, H, Sq, D]`, or ragged `[total_q, H, D]` with `cu_seqlens_q`; f32, f16 or bf16;
    decode: at most 64 queries of a sequence, and `[B, H, D]` for one; `fwd_fp8` also fp8
  k_blocks: Tensor         `[num_blocks, block_size, Hkv, D]`, any strides with unit stride in D; as q, in decode and
    `fwd_fp8` also fp8
  v_blocks: Tensor         `[num_blocks, block_size, Hkv, Dv]`, as k_blocks; or a view of it, not in `bwd`
  block_table: Tensor      i32 `[B, max_blocks_per_seq]`, 0-based block ids
  seqused_k?: Tensor       i32 `[B]`, tokens in use, the new ones included
  seqlen_k?: integer       length of every sequence where there is no `seqused_k`; default: the table's reach
  cu_seqlens_q?: Tensor    i32 `[B+1]`, prefix sums from 0: q is ragged
]]
local options = [[
  softmax_scale?: number   default 1/sqrt(D); must be given where `v_blocks` is a view of a part of `k_blocks`
  causal?: boolean|"bottom-right"|"top-left"  `true` or `"bottom-right"`: key j is visible to query i iff
    j <= i + len_k - len_q; `"top-left"`: j <= i; default false
  window?: integer[]       `{left, right}`, -1 for no limit, around the same diagonal; default: none
  softcap?: number         c: score = c tanh(score/c), after scaling, before the mask; 1e-30 to 1e30; default 0, off
  sinks?: Tensor           f32 `[H]`: a score of each query head that takes part in the softmax and has no value
  kernel?: string          an implementation by name, see `pah.kernels()`; default: the best
]]
local tree = [[
  tree_mask?: Tensor       i32 `[B, Sq, ceil(Sq/32)]`, ragged `[total_q, ceil(max_q/32)]`; see `pah.mask`
]]
local tiles = [[
  block_m?: integer        sim and cuda: queries of a tile of the naive kernels: 8, 16, 32, 64 or 128; default: that of
    `pah.block_config`
  block_n?: integer        keys of a tile
]]
local scales = [[
  k_descale?: number|Tensor  real = stored x descale: a number, a scalar tensor, or f32 `[B, Hkv]`; default 1
  v_descale?: number|Tensor  the same of V
]]
local results = [[
  out?: Tensor             as q with Dv for D: written into; default: a new tensor
  lse?: Tensor             f32 `[B, H, Sq]`, ragged `[H, total_q]`, natural logarithm: written into; default: a new one
]]

local paged = [[
local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
local args = {
  q = pah.randn({2, 8, %s, 64}, {seed = 2, dtype = "bf16"}),
  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
  block_table = block_table, seqused_k = seqused_k,%s
}
]]
local one, many = paged:format("1", ""), paged:format("20", " causal = true,")
local halves = [[
local whole = {pah.randn({1, 8, 1, 64}, {seed = 1}), pah.zeros({1, 8, 1}), pah.randn({1, 8, 1, 64}, {seed = 2}),
  pah.ones({1, 8, 1})}
]]

return {
  {record = "FwdArgs", "arguments of `pah.fwd`", fields = inputs .. options .. tree .. tiles .. results},
  {record = "DecodeArgs", "arguments of `pah.decode`", fields = inputs .. options .. tree .. scales .. [[
    num_splits?: integer     parts of each KV range; default 0, chosen
    ]] .. results},
  {record = "FwdFp8Args", "arguments of `pah.fwd_fp8`", fields = inputs .. options .. [[
    q_descale?: number|Tensor  as k_descale
    ]] .. scales .. tiles .. [[
    o_scale?: number         with an fp8 out: stored = real x o_scale, saturated; default 1
    out_dtype?: dtype        q's; or `"f32"`, `"f16"`, `"bf16"`, unscaled
    ]] .. results},
  {record = "BwdArgs", "arguments of `pah.bwd`", fields = [[
    dout: Tensor             as out
    out: Tensor              of the forward
    lse: Tensor              of the forward
    ]] .. inputs .. options .. tiles .. [[
    dq?: Tensor              as q: written into; default: a new tensor, as for those that follow
    dk_blocks?: Tensor       as k_blocks; slots that no sequence uses become 0
    dv_blocks?: Tensor       as v_blocks
    dsinks?: Tensor          f32 `[H]`, with `sinks`]]},
  {"pah.fwd(args: FwdArgs) -> out: Tensor, lse: Tensor", "attention of queries over a paged cache",
    example = many .. "local out, lse = pah.fwd(args)\nprint(out.shape, lse.shape)"},
  {"pah.decode(args: DecodeArgs) -> out: Tensor, lse: Tensor", [[
    attention of the last tokens of each sequence over a paged cache, K and V read once for all of them; lse is
    `[B, H, 1]` for q `[B, H, D]`]], example = one
    .. 'local out, lse = pah.decode(args)\nprint(pah.diff(out:to("f64"), pah.reference.decode(args)))'},
  {"pah.fwd_fp8(args: FwdFp8Args) -> out: Tensor, lse: Tensor", "as `pah.fwd`, of fp8 values with scales", example =
    many .. 'for _, name in ipairs{"q", "k_blocks", "v_blocks"} do args[name] = args[name]:to "fp8_e4m3" end\n'
    .. 'args.out_dtype = "bf16"\nprint(pah.fwd_fp8(args).dtype)'},
  {[[
    pah.bwd(args: BwdArgs) -> dq: Tensor, dk_blocks: Tensor, dv_blocks: Tensor, dsinks: Tensor?]],
    "gradients; dsinks if `sinks` are given", example = many
    .. 'args.out, args.lse = pah.fwd(args)\nargs.dout = pah.randn(args.out.shape, {seed = 5, dtype = "bf16"})\n'
    .. "local dq, dk, dv = pah.bwd(args)\nprint(dq.shape, dk.shape)"},
  {record = "MergeOptions", "results that may be given", fields = [[
    out?: Tensor  written into; default: a new one as out_a
    lse?: Tensor  written into; default: a new one as lse_a]]},
  {[[
    pah.merge(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor, opts?: MergeOptions) -> out: Tensor,
    lse: Tensor]], "out, lse of the union of two disjoint sets of keys",
    example = halves .. "local out, lse = pah.merge(unpack(whole))\nprint(lse:get(1, 1, 1))"},
  {record = "KvAppendArgs", "arguments of `pah.kv_append`", fields = [[
    k: Tensor             `[T, Hkv, D]`, new tokens
    v: Tensor             `[T, Hkv, Dv]`
    k_blocks: Tensor      the cache, as for the operations
    v_blocks: Tensor      the cache
    slot_mapping: Tensor  i32 or i64 `[T]`: slot = block x block_size + offset; -1 skips the token
    k_descale?: number|Tensor  a number or a scalar: stored = real / descale; default 1
    v_descale?: number|Tensor  the same of V]]},
  {"pah.kv_append(args: KvAppendArgs)", "writes new tokens into the cache", example = [[
local k = pah.randn({3, 2, 64}, {seed = 1})
local k_blocks, v_blocks = pah.zeros({4, 16, 2, 64}), pah.zeros({4, 16, 2, 64})
pah.kv_append{k = k, v = k, k_blocks = k_blocks, v_blocks = v_blocks,
  slot_mapping = pah.tensor({5, 6, -1}, {dtype = "i32"})}
print(pah.diff(k_blocks[{1, 6}], k[1]).max_abs)]]},
  {"pah.mask.from_parents(parents: integer[]|integer[][], opts?: MaskOptions) -> Tensor", [[
    a `tree_mask` from each query's parent: the number of an earlier query, or 0 for the committed text; a list
    of such lists is a tree for each sequence]], example = "pah.mask.from_parents({0, 1, 1, 2, 0}, {batch = 2})"},
  {"pah.mask.from_bool(t: Tensor, opts?: MaskOptions) -> Tensor", [[
    one from `[Sq, Sq]` or `[B, Sq, Sq]`: query i sees the key of query j where element [i, j] is not 0]],
    example = "pah.mask.from_bool(pah.ones({2, 2}))"},
  {"pah.mask.chain(n: integer, opts?: MaskOptions) -> Tensor", [[
    the tree of n queries one behind the other, which is `causal` to the last bit]],
    example = "pah.mask.chain(5, {batch = 2})"},
  {record = "MaskOptions", "options of `pah.mask`", fields = [[
    batch?: integer   the same tree for so many sequences
    ragged?: boolean  `[total_q, ceil(max_q/32)]`
    device?: device   default: cpu]]},
  {"pah.kernels() -> table[]", "list of `{device=, op=, name=, dtypes=, limits=, about=}`",
    example = "for _, k in ipairs(pah.kernels()) do print(k.device, k.op, k.name) end"},
  {'pah.block_config(op: "fwd"|"bwd", head_dim: integer, dtype: dtype) -> block_m: integer, block_n: integer',
    "the tile of the naive GPU kernels", example = 'pah.block_config("fwd", 64, "bf16")'},
  {'pah.work(op: op, args: table) -> table', [[
    what a call has to do: `pairs`, `flops`, `bytes`, `tokens`, `blocks`, `entries`, `dtype`]],
    example = one .. 'print(pah.work("decode", args).bytes)'},
  {[[
    pah.reference.fwd(args: FwdArgs) -> out: Tensor, lse: Tensor]], [[
    the float64 oracle, as for all of `pah.reference`: the same arguments (results, `kernel`, `num_splits`,
    `block_m` and `block_n` are ignored), new f64 tensors on the cpu; `intermediate = "bf16"` rounds every
    intermediate to that dtype, or to "tf32"]],
    example = many .. "print(pah.reference.fwd(args).dtype)"},
  {"pah.reference.fwd_fp8(args: FwdFp8Args) -> out: Tensor, lse: Tensor", "the oracle of `pah.fwd_fp8`",
    example = many .. "print(pah.reference.fwd_fp8(args).dtype)"},
  {"pah.reference.decode(args: DecodeArgs) -> out: Tensor, lse: Tensor", "the oracle of `pah.decode`",
    example = one .. "print(pah.reference.decode(args).dtype)"},
  {[[
    pah.reference.bwd(args: BwdArgs) -> dq: Tensor, dk_blocks: Tensor, dv_blocks: Tensor, dsinks: Tensor?]], [[
    the oracle of `pah.bwd`; it recomputes out and lse]], example = many
    .. 'args.dout = pah.randn(args.q.shape, {seed = 5, dtype = "bf16"})\nprint(pah.reference.bwd(args).dtype)'},
  {"pah.reference.merge(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor) -> out: Tensor, lse: Tensor",
    "the oracle of `pah.merge`", example = halves .. "print(pah.reference.merge(unpack(whole)).dtype)"},
  {"pah.reference.kv_append(args: KvAppendArgs)", "the oracle of `pah.kv_append`"},
}
