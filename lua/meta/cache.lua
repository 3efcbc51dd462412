-- cache.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---a pool of blocks with reference counts
---@class pah.Cache
---@field k_blocks pah.Tensor # `[num_blocks, block_size, num_kv_heads, head_dim]`
---@field v_blocks pah.Tensor # `[num_blocks, block_size, num_kv_heads, head_dim_v]`
local Cache = {}

---arguments of `pah.cache`
---@class pah.CacheArgs
---@field num_blocks integer # blocks of the pool
---@field block_size? integer # tokens of a block; default 16
---@field num_kv_heads integer # key/value heads
---@field head_dim integer # width of K
---@field head_dim_v? integer # width of V; default head_dim
---the memory of a block: heads of a token together (default), or tokens of a head; the shape is `[num_blocks,
---block_size, num_kv_heads, head_dim]` in both
---@field layout? "NHD"|"HND"
---@field dtype? pah.dtype # default `"f32"`
---@field device? pah.device # default `pah.device()`

---a new pool, all of it free
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---print(cache:stats().free_blocks)
---```
---@param args pah.CacheArgs
---@return pah.Cache
function pah.cache(args) end

---an empty sequence; `#seq` is its tokens
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---print(#cache:sequence())
---```
---@return pah.Sequence
function Cache:sequence() end

---the tables of a call for these sequences
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---print(cache:block_table{seq, seq:fork()})
---```
---@param sequences pah.Sequence[]
---@return pah.Tensor block_table
---@return pah.Tensor seqused_k
function Cache:block_table(sequences) end

---`num_blocks`, `free_blocks`, `used_blocks`, `shared_blocks` (held by several sequences), `block_size`, `sequences`,
---`tokens`, `stored_tokens` (shared ones once), `fragmentation`
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---print(cache:stats())
---```
---@return table
function Cache:stats() end

---the blocks of one sequence of a cache
---@class pah.Sequence
---@operator len: integer
local Sequence = {}

---new tokens, `[T, Hkv, D]` and `[T, Hkv, Dv]`; true, or nil and `"no free block"` with nothing changed
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---print(#seq)
---```
---@param k pah.Tensor
---@param v pah.Tensor
---@return true? ok
---@return string? why
function Sequence:append(k, v) end

---shares every block; the last partial block is copied when either side appends
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---print(#seq:fork())
---```
---@return pah.Sequence
function Sequence:fork() end

---keeps the first n tokens
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---seq:truncate(3)
---print(#seq)
---```
---@param n integer
function Sequence:truncate(n) end

---the 0-based ids of its blocks
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---print(seq:blocks())
---```
---@return integer[]
function Sequence:blocks() end

---gives its blocks back
---```lua
---local cache = pah.cache{num_blocks = 8, block_size = 4, num_kv_heads = 2, head_dim = 16}
---local seq = cache:sequence()
---seq:append(pah.randn({6, 2, 16}), pah.randn({6, 2, 16}))
---seq:free()
---print(cache:stats().free_blocks)
---```
function Sequence:free() end

---arguments of `pah.block_table`
---@class pah.BlockTableArgs
---@field seqlens integer[]|pah.Tensor # tokens of each sequence
---@field block_size integer # tokens of a block
---@field num_blocks? integer # blocks of the pool; default: as many as are needed
---@field max_blocks_per_seq? integer # columns; default: as many as the longest needs
---@field order? "shuffled"|"linear" # default shuffled
---@field seed? integer # of the shuffling
---@field device? pah.device # default `pah.device()`

---the tables of a call with no cache
---```lua
---pah.block_table{seqlens = {100, 37}, block_size = 16, seed = 1}
---```
---@param args pah.BlockTableArgs
---@return pah.Tensor block_table
---@return pah.Tensor seqused_k
function pah.block_table(args) end

---the requests of one step
---@class pah.Batch
---@field requests table[] # `{q_len=, seq_len=}` each
---@field seqlens integer[] # all tokens of each sequence, for `pah.block_table`
---@field q_lens integer[] # new tokens of each
---@field total_q integer # new tokens of all
---@field max_q integer # the most of one
---@field kind string # `"decode"` (up to 64 new tokens behind others), `"prefill"`, `"extend"` or `"mixed"`
---@field padded boolean # whether all q_len are alike
---@field cu_seqlens_q pah.Tensor # for a ragged q
---@field text string # the grammar's text
local Batch = {}

---a batch in vLLM's grammar, `[COUNT]qTOKENS[k][sTOKENS[k]]` joined by `_` (`8q1s1k`, `8q4s8k`, `2q2k_32q1s1k`,
---`q2k`; q: new tokens, s: all of the sequence, default as many; k: 1024), or from a list of `{q_len=, seq_len=}`;
---`tostring` gives the text back
---```lua
---local batch = pah.batch "2q2k_32q1s1k"
---print(batch.kind, batch.total_q)
---```
---@param requests string|table[]
---@param opts? pah.DeviceOption
---@return pah.Batch
function pah.batch(requests, opts) end
