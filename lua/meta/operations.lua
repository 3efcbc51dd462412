-- operations.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

pah.mask = {}

pah.reference = {}

---arguments of `pah.fwd`
---@class pah.FwdArgs
---`[B, H, Sq, D]`, or ragged `[total_q, H, D]` with `cu_seqlens_q`; f32, f16 or bf16; decode: at most 64 queries of a
---sequence, and `[B, H, D]` for one; `fwd_fp8` also fp8
---@field q pah.Tensor
---`[num_blocks, block_size, Hkv, D]`, any strides with unit stride in D; as q, in decode and `fwd_fp8` also fp8
---@field k_blocks pah.Tensor
---@field v_blocks pah.Tensor # `[num_blocks, block_size, Hkv, Dv]`, as k_blocks; or a view of it, not in `bwd`
---@field block_table pah.Tensor # i32 `[B, max_blocks_per_seq]`, 0-based block ids
---@field seqused_k? pah.Tensor # i32 `[B]`, tokens in use, the new ones included
---@field seqlen_k? integer # length of every sequence where there is no `seqused_k`; default: the table's reach
---@field cu_seqlens_q? pah.Tensor # i32 `[B+1]`, prefix sums from 0: q is ragged
---@field softmax_scale? number # default 1/sqrt(D); must be given where `v_blocks` is a view of a part of `k_blocks`
---`true` or `"bottom-right"`: key j is visible to query i iff j <= i + len_k - len_q; `"top-left"`: j <= i; default
---false
---@field causal? boolean|"bottom-right"|"top-left"
---@field window? integer[] # `{left, right}`, -1 for no limit, around the same diagonal; default: none
---@field softcap? number # c: score = c tanh(score/c), after scaling, before the mask; 1e-30 to 1e30; default 0, off
---@field sinks? pah.Tensor # f32 `[H]`: a score of each query head that takes part in the softmax and has no value
---@field kernel? string # an implementation by name, see `pah.kernels()`; default: the best
---@field tree_mask? pah.Tensor # i32 `[B, Sq, ceil(Sq/32)]`, ragged `[total_q, ceil(max_q/32)]`; see `pah.mask`
---sim and cuda: queries of a tile of the naive kernels: 8, 16, 32, 64 or 128; default: that of `pah.block_config`
---@field block_m? integer
---@field block_n? integer # keys of a tile
---@field out? pah.Tensor # as q with Dv for D: written into; default: a new tensor
---f32 `[B, H, Sq]`, ragged `[H, total_q]`, natural logarithm: written into; default: a new one
---@field lse? pah.Tensor

---arguments of `pah.decode`
---@class pah.DecodeArgs
---`[B, H, Sq, D]`, or ragged `[total_q, H, D]` with `cu_seqlens_q`; f32, f16 or bf16; decode: at most 64 queries of a
---sequence, and `[B, H, D]` for one; `fwd_fp8` also fp8
---@field q pah.Tensor
---`[num_blocks, block_size, Hkv, D]`, any strides with unit stride in D; as q, in decode and `fwd_fp8` also fp8
---@field k_blocks pah.Tensor
---@field v_blocks pah.Tensor # `[num_blocks, block_size, Hkv, Dv]`, as k_blocks; or a view of it, not in `bwd`
---@field block_table pah.Tensor # i32 `[B, max_blocks_per_seq]`, 0-based block ids
---@field seqused_k? pah.Tensor # i32 `[B]`, tokens in use, the new ones included
---@field seqlen_k? integer # length of every sequence where there is no `seqused_k`; default: the table's reach
---@field cu_seqlens_q? pah.Tensor # i32 `[B+1]`, prefix sums from 0: q is ragged
---@field softmax_scale? number # default 1/sqrt(D); must be given where `v_blocks` is a view of a part of `k_blocks`
---`true` or `"bottom-right"`: key j is visible to query i iff j <= i + len_k - len_q; `"top-left"`: j <= i; default
---false
---@field causal? boolean|"bottom-right"|"top-left"
---@field window? integer[] # `{left, right}`, -1 for no limit, around the same diagonal; default: none
---@field softcap? number # c: score = c tanh(score/c), after scaling, before the mask; 1e-30 to 1e30; default 0, off
---@field sinks? pah.Tensor # f32 `[H]`: a score of each query head that takes part in the softmax and has no value
---@field kernel? string # an implementation by name, see `pah.kernels()`; default: the best
---@field tree_mask? pah.Tensor # i32 `[B, Sq, ceil(Sq/32)]`, ragged `[total_q, ceil(max_q/32)]`; see `pah.mask`
---real = stored x descale: a number, a scalar tensor, or f32 `[B, Hkv]`; default 1
---@field k_descale? number|pah.Tensor
---@field v_descale? number|pah.Tensor # the same of V
---@field num_splits? integer # parts of each KV range; default 0, chosen
---@field out? pah.Tensor # as q with Dv for D: written into; default: a new tensor
---f32 `[B, H, Sq]`, ragged `[H, total_q]`, natural logarithm: written into; default: a new one
---@field lse? pah.Tensor

---arguments of `pah.fwd_fp8`
---@class pah.FwdFp8Args
---`[B, H, Sq, D]`, or ragged `[total_q, H, D]` with `cu_seqlens_q`; f32, f16 or bf16; decode: at most 64 queries of a
---sequence, and `[B, H, D]` for one; `fwd_fp8` also fp8
---@field q pah.Tensor
---`[num_blocks, block_size, Hkv, D]`, any strides with unit stride in D; as q, in decode and `fwd_fp8` also fp8
---@field k_blocks pah.Tensor
---@field v_blocks pah.Tensor # `[num_blocks, block_size, Hkv, Dv]`, as k_blocks; or a view of it, not in `bwd`
---@field block_table pah.Tensor # i32 `[B, max_blocks_per_seq]`, 0-based block ids
---@field seqused_k? pah.Tensor # i32 `[B]`, tokens in use, the new ones included
---@field seqlen_k? integer # length of every sequence where there is no `seqused_k`; default: the table's reach
---@field cu_seqlens_q? pah.Tensor # i32 `[B+1]`, prefix sums from 0: q is ragged
---@field softmax_scale? number # default 1/sqrt(D); must be given where `v_blocks` is a view of a part of `k_blocks`
---`true` or `"bottom-right"`: key j is visible to query i iff j <= i + len_k - len_q; `"top-left"`: j <= i; default
---false
---@field causal? boolean|"bottom-right"|"top-left"
---@field window? integer[] # `{left, right}`, -1 for no limit, around the same diagonal; default: none
---@field softcap? number # c: score = c tanh(score/c), after scaling, before the mask; 1e-30 to 1e30; default 0, off
---@field sinks? pah.Tensor # f32 `[H]`: a score of each query head that takes part in the softmax and has no value
---@field kernel? string # an implementation by name, see `pah.kernels()`; default: the best
---@field q_descale? number|pah.Tensor # as k_descale
---real = stored x descale: a number, a scalar tensor, or f32 `[B, Hkv]`; default 1
---@field k_descale? number|pah.Tensor
---@field v_descale? number|pah.Tensor # the same of V
---sim and cuda: queries of a tile of the naive kernels: 8, 16, 32, 64 or 128; default: that of `pah.block_config`
---@field block_m? integer
---@field block_n? integer # keys of a tile
---@field o_scale? number # with an fp8 out: stored = real x o_scale, saturated; default 1
---@field out_dtype? pah.dtype # q's; or `"f32"`, `"f16"`, `"bf16"`, unscaled
---@field out? pah.Tensor # as q with Dv for D: written into; default: a new tensor
---f32 `[B, H, Sq]`, ragged `[H, total_q]`, natural logarithm: written into; default: a new one
---@field lse? pah.Tensor

---arguments of `pah.bwd`
---@class pah.BwdArgs
---@field dout pah.Tensor # as out
---@field out pah.Tensor # of the forward
---@field lse pah.Tensor # of the forward
---`[B, H, Sq, D]`, or ragged `[total_q, H, D]` with `cu_seqlens_q`; f32, f16 or bf16; decode: at most 64 queries of a
---sequence, and `[B, H, D]` for one; `fwd_fp8` also fp8
---@field q pah.Tensor
---`[num_blocks, block_size, Hkv, D]`, any strides with unit stride in D; as q, in decode and `fwd_fp8` also fp8
---@field k_blocks pah.Tensor
---@field v_blocks pah.Tensor # `[num_blocks, block_size, Hkv, Dv]`, as k_blocks; or a view of it, not in `bwd`
---@field block_table pah.Tensor # i32 `[B, max_blocks_per_seq]`, 0-based block ids
---@field seqused_k? pah.Tensor # i32 `[B]`, tokens in use, the new ones included
---@field seqlen_k? integer # length of every sequence where there is no `seqused_k`; default: the table's reach
---@field cu_seqlens_q? pah.Tensor # i32 `[B+1]`, prefix sums from 0: q is ragged
---@field softmax_scale? number # default 1/sqrt(D); must be given where `v_blocks` is a view of a part of `k_blocks`
---`true` or `"bottom-right"`: key j is visible to query i iff j <= i + len_k - len_q; `"top-left"`: j <= i; default
---false
---@field causal? boolean|"bottom-right"|"top-left"
---@field window? integer[] # `{left, right}`, -1 for no limit, around the same diagonal; default: none
---@field softcap? number # c: score = c tanh(score/c), after scaling, before the mask; 1e-30 to 1e30; default 0, off
---@field sinks? pah.Tensor # f32 `[H]`: a score of each query head that takes part in the softmax and has no value
---@field kernel? string # an implementation by name, see `pah.kernels()`; default: the best
---sim and cuda: queries of a tile of the naive kernels: 8, 16, 32, 64 or 128; default: that of `pah.block_config`
---@field block_m? integer
---@field block_n? integer # keys of a tile
---@field dq? pah.Tensor # as q: written into; default: a new tensor, as for those that follow
---@field dk_blocks? pah.Tensor # as k_blocks; slots that no sequence uses become 0
---@field dv_blocks? pah.Tensor # as v_blocks
---@field dsinks? pah.Tensor # f32 `[H]`, with `sinks`

---attention of queries over a paged cache
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 20, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k, causal = true,
---}
---local out, lse = pah.fwd(args)
---print(out.shape, lse.shape)
---```
---@param args pah.FwdArgs
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.fwd(args) end

---attention of the last tokens of each sequence over a paged cache, K and V read once for all of them; lse is `[B, H,
---1]` for q `[B, H, D]`
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 1, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k,
---}
---local out, lse = pah.decode(args)
---print(pah.diff(out:to("f64"), pah.reference.decode(args)))
---```
---@param args pah.DecodeArgs
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.decode(args) end

---as `pah.fwd`, of fp8 values with scales
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 20, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k, causal = true,
---}
---for _, name in ipairs{"q", "k_blocks", "v_blocks"} do args[name] = args[name]:to "fp8_e4m3" end
---args.out_dtype = "bf16"
---print(pah.fwd_fp8(args).dtype)
---```
---@param args pah.FwdFp8Args
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.fwd_fp8(args) end

---gradients; dsinks if `sinks` are given
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 20, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k, causal = true,
---}
---args.out, args.lse = pah.fwd(args)
---args.dout = pah.randn(args.out.shape, {seed = 5, dtype = "bf16"})
---local dq, dk, dv = pah.bwd(args)
---print(dq.shape, dk.shape)
---```
---@param args pah.BwdArgs
---@return pah.Tensor dq
---@return pah.Tensor dk_blocks
---@return pah.Tensor dv_blocks
---@return pah.Tensor? dsinks
function pah.bwd(args) end

---results that may be given
---@class pah.MergeOptions
---@field out? pah.Tensor # written into; default: a new one as out_a
---@field lse? pah.Tensor # written into; default: a new one as lse_a

---out, lse of the union of two disjoint sets of keys
---```lua
---local whole = {pah.randn({1, 8, 1, 64}, {seed = 1}), pah.zeros({1, 8, 1}), pah.randn({1, 8, 1, 64}, {seed = 2}),
---  pah.ones({1, 8, 1})}
---local out, lse = pah.merge(unpack(whole))
---print(lse:get(1, 1, 1))
---```
---@param out_a pah.Tensor
---@param lse_a pah.Tensor
---@param out_b pah.Tensor
---@param lse_b pah.Tensor
---@param opts? pah.MergeOptions
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.merge(out_a, lse_a, out_b, lse_b, opts) end

---arguments of `pah.kv_append`
---@class pah.KvAppendArgs
---@field k pah.Tensor # `[T, Hkv, D]`, new tokens
---@field v pah.Tensor # `[T, Hkv, Dv]`
---@field k_blocks pah.Tensor # the cache, as for the operations
---@field v_blocks pah.Tensor # the cache
---@field slot_mapping pah.Tensor # i32 or i64 `[T]`: slot = block x block_size + offset; -1 skips the token
---@field k_descale? number|pah.Tensor # a number or a scalar: stored = real / descale; default 1
---@field v_descale? number|pah.Tensor # the same of V

---writes new tokens into the cache
---```lua
---local k = pah.randn({3, 2, 64}, {seed = 1})
---local k_blocks, v_blocks = pah.zeros({4, 16, 2, 64}), pah.zeros({4, 16, 2, 64})
---pah.kv_append{k = k, v = k, k_blocks = k_blocks, v_blocks = v_blocks,
---  slot_mapping = pah.tensor({5, 6, -1}, {dtype = "i32"})}
---print(pah.diff(k_blocks[{1, 6}], k[1]).max_abs)
---```
---@param args pah.KvAppendArgs
function pah.kv_append(args) end

---a `tree_mask` from each query's parent: the number of an earlier query, or 0 for the committed text; a list of such
---lists is a tree for each sequence
---```lua
---pah.mask.from_parents({0, 1, 1, 2, 0}, {batch = 2})
---```
---@param parents integer[]|integer[][]
---@param opts? pah.MaskOptions
---@return pah.Tensor
function pah.mask.from_parents(parents, opts) end

---one from `[Sq, Sq]` or `[B, Sq, Sq]`: query i sees the key of query j where element [i, j] is not 0
---```lua
---pah.mask.from_bool(pah.ones({2, 2}))
---```
---@param t pah.Tensor
---@param opts? pah.MaskOptions
---@return pah.Tensor
function pah.mask.from_bool(t, opts) end

---the tree of n queries one behind the other, which is `causal` to the last bit
---```lua
---pah.mask.chain(5, {batch = 2})
---```
---@param n integer
---@param opts? pah.MaskOptions
---@return pah.Tensor
function pah.mask.chain(n, opts) end

---options of `pah.mask`
---@class pah.MaskOptions
---@field batch? integer # the same tree for so many sequences
---@field ragged? boolean # `[total_q, ceil(max_q/32)]`
---@field device? pah.device # default: cpu

---list of `{device=, op=, name=, dtypes=, limits=, about=}`
---```lua
---for _, k in ipairs(pah.kernels()) do print(k.device, k.op, k.name) end
---```
---@return table[]
function pah.kernels() end

---the tile of the naive GPU kernels
---```lua
---pah.block_config("fwd", 64, "bf16")
---```
---@param op "fwd"|"bwd"
---@param head_dim integer
---@param dtype pah.dtype
---@return integer block_m
---@return integer block_n
function pah.block_config(op, head_dim, dtype) end

---what a call has to do: `pairs`, `flops`, `bytes`, `tokens`, `blocks`, `entries`, `dtype`
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 1, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k,
---}
---print(pah.work("decode", args).bytes)
---```
---@param op pah.op
---@param args table
---@return table
function pah.work(op, args) end

---the float64 oracle, as for all of `pah.reference`: the same arguments (results, `kernel`, `num_splits`, `block_m`
---and `block_n` are ignored), new f64 tensors on the cpu; `intermediate = "bf16"` rounds every intermediate to that
---dtype, or to "tf32"
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 20, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k, causal = true,
---}
---print(pah.reference.fwd(args).dtype)
---```
---@param args pah.FwdArgs
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.reference.fwd(args) end

---the oracle of `pah.fwd_fp8`
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 20, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k, causal = true,
---}
---print(pah.reference.fwd_fp8(args).dtype)
---```
---@param args pah.FwdFp8Args
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.reference.fwd_fp8(args) end

---the oracle of `pah.decode`
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 1, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k,
---}
---print(pah.reference.decode(args).dtype)
---```
---@param args pah.DecodeArgs
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.reference.decode(args) end

---the oracle of `pah.bwd`; it recomputes out and lse
---```lua
---local block_table, seqused_k = pah.block_table{seqlens = {100, 37}, block_size = 16, num_blocks = 12, seed = 1}
---local args = {
---  q = pah.randn({2, 8, 20, 64}, {seed = 2, dtype = "bf16"}),
---  k_blocks = pah.randn({12, 16, 2, 64}, {seed = 3, dtype = "bf16"}),
---  v_blocks = pah.randn({12, 16, 2, 64}, {seed = 4, dtype = "bf16"}),
---  block_table = block_table, seqused_k = seqused_k, causal = true,
---}
---args.dout = pah.randn(args.q.shape, {seed = 5, dtype = "bf16"})
---print(pah.reference.bwd(args).dtype)
---```
---@param args pah.BwdArgs
---@return pah.Tensor dq
---@return pah.Tensor dk_blocks
---@return pah.Tensor dv_blocks
---@return pah.Tensor? dsinks
function pah.reference.bwd(args) end

---the oracle of `pah.merge`
---```lua
---local whole = {pah.randn({1, 8, 1, 64}, {seed = 1}), pah.zeros({1, 8, 1}), pah.randn({1, 8, 1, 64}, {seed = 2}),
---  pah.ones({1, 8, 1})}
---print(pah.reference.merge(unpack(whole)).dtype)
---```
---@param out_a pah.Tensor
---@param lse_a pah.Tensor
---@param out_b pah.Tensor
---@param lse_b pah.Tensor
---@return pah.Tensor out
---@return pah.Tensor lse
function pah.reference.merge(out_a, lse_a, out_b, lse_b) end

---the oracle of `pah.kv_append`
---@param args pah.KvAppendArgs
function pah.reference.kv_append(args) end
