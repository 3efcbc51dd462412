-- cache.lua - manual: the paged cache, sequences, block tables without a cache, batches.
local new = "local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}\n"
local filled = new .. "local seq = cache:sequence()\nseq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))\n"

return {
  {class = "Cache", "a pool of blocks with reference counts"},
  {record = "CacheArgs", "arguments of `pah.cache`", fields = [[
    num_blocks: integer    blocks of the pool
    block_size?: integer   tokens of a block; default 16
    num_kv_heads: integer  key/value heads
    head_dim: integer      width of K
    head_dim_v?: integer   width of V; default head_dim
    layout?: "NHD"|"HND"   the memory of a block: heads of a token together (default), or tokens of a head; the shape is
      `[num_blocks, block_size, num_kv_heads, head_dim]` in both
    dtype?: dtype          default `"f32"`
    device?: device        default `pah.device()`]]},
  {"pah.cache(args: CacheArgs) -> Cache", "a new pool, all of it free",
    example = new .. "print(cache:stats().free_blocks)"},
  {"Cache.k_blocks: Tensor", "`[num_blocks, block_size, num_kv_heads, head_dim]`"},
  {"Cache.v_blocks: Tensor", "`[num_blocks, block_size, num_kv_heads, head_dim_v]`"},
  {"Cache:sequence() -> Sequence", "an empty sequence; `#seq` is its tokens",
    example = new .. "print(#cache:sequence())"},
  {[[
    Cache:block_table(sequences: Sequence[]) -> block_table: Tensor, seqused_k: Tensor]], [[
    the tables of a call for these sequences]], example = filled .. "print(cache:block_table{seq, seq:fork()})"},
  {"Cache:stats() -> table", [[
    `num_blocks`, `free_blocks`, `used_blocks`, `shared_blocks` (held by several sequences), `block_size`,
    `sequences`, `tokens`, `stored_tokens` (shared ones once), `fragmentation`]],
    example = filled .. "print(cache:stats())"},
  {class = "Sequence", "the blocks of one sequence of a cache"},
  {"Sequence:append(k: Tensor, v: Tensor) -> ok: true?, why: string?", [[
    new tokens, `[T, Hkv, D]` and `[T, Hkv, Dv]`; true, or nil and `"no free block"` with nothing changed]],
    example = filled .. "print(#seq)"},
  {"Sequence:fork() -> Sequence", "shares every block; the last partial block is copied when either side appends",
    example = filled .. "print(#seq:fork())"},
  {"Sequence:truncate(n: integer)", "keeps the first n tokens", example = filled .. "seq:truncate(3)\nprint(#seq)"},
  {"Sequence:blocks() -> integer[]", "the 0-based ids of its blocks", example = filled .. "print(seq:blocks())"},
  {"Sequence:free()", "gives its blocks back", example = filled .. "seq:free()\nprint(cache:stats().free_blocks)"},
  {record = "BlockTableArgs", "arguments of `pah.block_table`", fields = [[
    seqlens: integer[]|Tensor     tokens of each sequence
    block_size: integer           tokens of a block
    num_blocks?: integer          blocks of the pool; default: as many as are needed
    max_blocks_per_seq?: integer  columns; default: as many as the longest needs
    order?: "shuffled"|"linear"   default shuffled
    seed?: integer                of the shuffling
    device?: device               default `pah.device()`]]},
  {[[
    pah.block_table(args: BlockTableArgs) -> block_table: Tensor, seqused_k: Tensor]],
    "the tables of a call with no cache",
    example = "pah.block_table{seqlens = {100, 37}, block_size = 16, seed = 1}"},
  {class = "Batch", "the requests of one step"},
  {"pah.batch(requests: string|table[], opts?: DeviceOption) -> Batch", [=[
    a batch in vLLM's grammar, `[COUNT]qTOKENS[k][sTOKENS[k]]` joined by `_` (`8q1s1k`, `8q4s8k`,
    `2q2k_32q1s1k`, `q2k`; q: new tokens, s: all of the sequence, default as many; k: 1024), or from a list of
    `{q_len=, seq_len=}`; `tostring` gives the text back]=],
    example = 'local batch = pah.batch "2q2k_32q1s1k"\nprint(batch.kind, batch.total_q)'},
  {"Batch.requests: table[]", "`{q_len=, seq_len=}` each"},
  {"Batch.seqlens: integer[]", "all tokens of each sequence, for `pah.block_table`"},
  {"Batch.q_lens: integer[]", "new tokens of each"},
  {"Batch.total_q: integer", "new tokens of all"},
  {"Batch.max_q: integer", "the most of one"},
  {"Batch.kind: string", [[
    `"decode"` (up to 64 new tokens behind others), `"prefill"`, `"extend"` or `"mixed"`]]},
  {"Batch.padded: boolean", "whether all q_len are alike"},
  {"Batch.cu_seqlens_q: Tensor", "for a ragged q"},
  {"Batch.text: string", "the grammar's text"},
}
