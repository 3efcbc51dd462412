-- serving.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

pah.serving = {}

---the requests of a trace file, Mooncake's JSON lines or Azure's CSV, in order of arrival: `{id=, arrival= (seconds),
---input=, output= (tokens), hash_ids=, hash_block=}` each; see [serving.md](serving.md)
---@param path string
---@param opts? pah.ServingReadOptions
---@return table[]
function pah.serving.read(path, opts) end

---options of `pah.serving.read`
---@class pah.ServingReadOptions
---@field limit? integer # only the first so many

---arguments of `pah.serving.synthetic`
---@class pah.SyntheticArgs
---@field count? integer # requests; default 100
---@field rate? number # of them a second, with exponential gaps; default 4
---@field input? number # tokens of a prompt on average; default 1024
---@field output? number # tokens of an answer on average; default 128
---@field prefixes? integer # system prompts that prompts begin with; default 4
---@field prefix? integer # tokens of such a one; default 512
---@field hash_block? integer # tokens of a hash id; default 512
---@field seed? integer # default 1

---made-up requests in the same shape
---```lua
---local r = pah.serving.synthetic{count = 3, seed = 1}[1]
---print(r.arrival, r.input, r.output)
---```
---@param args pah.SyntheticArgs
---@return table[]
function pah.serving.synthetic(args) end

---arguments of `pah.serving.replay`
---@class pah.ReplayArgs
---@field trace string|table[] # a trace file, or a list of requests
---@field tokens_per_step? integer # of decode and prefill together; default 2048
---@field max_sequences? integer # at one time; default 256
---@field block_size? integer # default 16
---@field num_blocks? integer # blocks of the cache; default 4096
---@field prefix_cache? boolean # false: prompts share nothing
---@field seconds_per_step? number|function # default 0.03; a function gets the step
---@field limit? integer # requests of a file

---a request trace through the scheduler and the paged cache of a serving system: chunked prefill, decode, shared
---prefixes, eviction, preemption
---```lua
---for step in pah.serving.replay{trace = pah.serving.synthetic{count = 2, output = 3}}:steps() do
---  print(step.time, step.prefill_tokens, step.decode_tokens, step.utilisation)
---end
---```
---@param args pah.ReplayArgs
---@return pah.ServingReplay
function pah.serving.replay(args) end

---a replay that is going on
---@class pah.ServingReplay
local ServingReplay = {}

---the next step; nil when every request has ended
---@return pah.ServingStep?
function ServingReplay:step() end

---an iterator over the steps
---@return function
function ServingReplay:steps() end

---so far: `steps`, `seconds`, `requests`, `finished`, `refused` (too long for the cache), `preempted`,
---`prefill_tokens`, `decode_tokens`, `output_tokens`, `hit_tokens` (of prompts, found in the cache), `hit_rate`,
---`peak_blocks`, `first_token_p50`, `first_token_p99` (seconds)
---@return table
function ServingReplay:summary() end

---one step of a replay
---@class pah.ServingStep
---@field index integer # from 1
---@field time number # seconds at its beginning
---@field seconds number # how long it takes
---@field decode_tokens integer # sequences that get one token more
---@field prefill_tokens integer # tokens of prompts that are computed
---@field hit_tokens integer # tokens of prompts that begin now and were found in the cache
---@field tokens integer # tokens of all sequences of the step
---@field running integer # sequences that have begun
---@field waiting integer # requests that have arrived and not begun
---@field preempted integer # sequences that lost their blocks
---@field finished integer # requests that end with it
---@field used_blocks integer # blocks that sequences hold
---@field idle_blocks integer # blocks that keep a prefix and are held by none
---@field free_blocks integer # the others
---@field shared_blocks integer # blocks that several sequences hold
---@field num_blocks integer # all blocks
---@field utilisation number # used_blocks / num_blocks
local ServingStep = {}

---the tables of its "decode" call (`block_table`, `seqused_k`) or of its "prefill" call (with `cu_seqlens_q`,
---`total_q`, `causal`); nil if it has none
---@param kind string
---@param device? pah.device
---@return table?
function ServingStep:batch(kind, device) end
