-- files.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

pah.safetensors = {}

pah.json = {}

pah.trace = {}

---where the tensors go
---@class pah.DeviceOption
---@field device? pah.device # default `pah.device()`

---a `.npy` file (no ending: the same), or a `.safetensors` file of one tensor
---```lua
---pah.arange(3):save "three.npy"
---print(pah.load "three.npy")
---```
---@param path string
---@param opts? pah.DeviceOption
---@return pah.Tensor
function pah.load(path, opts) end

---`{name = tensor}`, mapped without a copy where alignment allows; second, the metadata or nil; third, `{name =
---dtype}` of what is left out because pah has no dtype for it (also told on stderr)
---```lua
---pah.safetensors.save("three.safetensors", {q = pah.arange(3)})
---print(pah.safetensors.load("three.safetensors").q)
---```
---@param path string
---@param opts? pah.DeviceOption
---@return {[string]: pah.Tensor} tensors
---@return table? metadata
---@return table skipped
function pah.safetensors.load(path, opts) end

---written beside and renamed, so a reader never sees half a file
---```lua
---pah.safetensors.save("three.safetensors", {q = pah.arange(3)})
---```
---@param path string
---@param tensors {[string]: pah.Tensor}
---@param metadata? {[string]: string}
function pah.safetensors.save(path, tensors, metadata) end

---objects keep the order of their keys; whole numbers beyond 2^53 are int64 cdata; `name` stands in errors
---```lua
---pah.json.decode('{"b": 1, "a": [1, 2]}').a[2]
---```
---@param text string
---@param name? string
---@return any
function pah.json.decode(text, name) end

---options of `pah.json.encode`
---@class pah.JsonOptions
---@field indent? string # what each level is indented by; default: one line

---the text of a value
---```lua
---pah.json.encode{1, 2}
---```
---@param value any
---@param opts? pah.JsonOptions
---@return string
function pah.json.encode(value, opts) end

---the keys of a decoded object, in their order
---```lua
---pah.json.keys(pah.json.decode '{"b": 1, "a": 2}')
---```
---@param object table
---@return string[]
function pah.json.keys(object) end

---walks a decoded object in the order of its keys
---```lua
---for key, value in pah.json.pairs(pah.json.decode '{"b": 1}') do print(key, value) end
---```
---@param object table
---@return function
function pah.json.pairs(object) end

---stands for null
---@type any
pah.json.null = nil

---a FlashInfer-Trace definition; its constant axes also in `.const`
---@param path string
---@return table
function pah.trace.definition(path) end

---the workloads of a JSON-lines file, `{definition=, uuid=, axes=, inputs=}` each
---@param path string
---@return table[]
function pah.trace.workloads(path) end

---arguments of `pah.trace.load`
---@class pah.TraceArgs
---@field workload table # one of `pah.trace.workloads`
---@field definition table # of `pah.trace.definition`
---@field root? string # folder of the paths in the workload; default `"."`
---@field device? pah.device # the pool may take half of its memory
---tables whose file is not there are drawn from the workload's axes (`drawn` is true): pages dealt evenly to the
---sequences, shuffled
---@field seed? integer

---a gqa_paged or mla_paged workload as `{block_table=, seqused_k=, num_blocks=, block_size=, num_heads=,
---num_kv_heads=, head_dim=, head_dim_v=, dtype=, softmax_scale=, cu_seqlens_q=, drawn=}`; the pool size is taken from
---the indices. MLA is one K/V head of head_dim 576, of which V is a view of the first head_dim_v = 512
---@param args pah.TraceArgs
---@return table
function pah.trace.load(args) end

---k_blocks `[pages, page_size, 1, 576]` and the view v_blocks of FlashInfer's two caches. A copy: the cache once, 2 x
---576 elements of traffic a slot (2.3 kB in bf16) and as much memory again until the two are freed; then every decode
---reads 576 elements a token, as it would of the two, and new tokens go into the one
---```lua
---pah.trace.mla_cache(pah.zeros({2, 16, 512}), pah.zeros({2, 16, 64})).shape
---```
---@param ckv pah.Tensor
---@param kpe pah.Tensor
---@return pah.Tensor k_blocks
---@return pah.Tensor v_blocks
function pah.trace.mla_cache(ckv, kpe) end

---a and b one behind the other in the last dimension, as q_nope and q_pe become q; a copy
---```lua
---pah.trace.joined(pah.zeros({2, 512}), pah.zeros({2, 64})).shape
---```
---@param a pah.Tensor
---@param b pah.Tensor
---@return pah.Tensor
function pah.trace.joined(a, b) end

---FlashInfer's lists as tables
---@param kv_indptr pah.Tensor
---@param kv_indices pah.Tensor
---@param last_page_len? pah.Tensor
---@param page_size integer
---@param max_blocks? integer
---@return pah.Tensor block_table
---@return pah.Tensor seqused_k
---@return integer num_blocks
function pah.trace.block_table(kv_indptr, kv_indices, last_page_len, page_size, max_blocks) end

---arguments of `pah.trace.new_definition`
---@class pah.DefinitionArgs
---@field op "decode"|"fwd" # one query a sequence, or causal prefill of ragged queries
---@field num_heads integer # query heads
---@field num_kv_heads integer # K/V heads
---@field head_dim integer # elements of a head
---@field block_size integer # tokens of a page
---@field dtype? pah.dtype # of queries; default bf16
---@field cache_dtype? pah.dtype # default dtype
---@field name? string # default by FlashInfer's rule, `gqa_paged_decode_h32_kv8_d128_ps16`

---a definition of ours as `pah.trace.definition` reads one, its meaning in PyTorch included; see
---[serving.md](serving.md#flashinfer-trace)
---```lua
---local d = pah.trace.new_definition{op = "decode", num_heads = 32, num_kv_heads = 8, head_dim = 128, block_size = 16}
---print(d.name, pah.json.keys(d.inputs))
---```
---@param args pah.DefinitionArgs
---@return table
function pah.trace.new_definition(args) end

---writes it to `root/definitions/OP_TYPE/NAME.json`
---@param root string
---@param definition table
---@return string path
function pah.trace.save_definition(root, definition) end

---tables as FlashInfer's lists
---```lua
---local table_, used = pah.block_table{seqlens = {20, 5}, block_size = 16, seed = 1}
---print(pah.trace.pages(table_, used, 16))
---```
---@param block_table pah.Tensor
---@param seqused_k pah.Tensor
---@param page_size integer
---@return pah.Tensor kv_indptr
---@return pah.Tensor kv_indices
---@return pah.Tensor kv_last_page_len
function pah.trace.pages(block_table, seqused_k, page_size) end

---adds a workload: its tables to `root/blob/workloads`, its line to `root/workloads`. batch: `block_table`,
---`seqused_k`, and `num_blocks`, `softmax_scale`, of a prefill `cu_seqlens_q`
---@param root string
---@param definition table
---@param batch table
---@return table
function pah.trace.save_workload(root, definition, batch) end

---a result for `pah.trace.save_result`
---@class pah.TraceResult
---@field status? string # default PASSED; INCORRECT_NUMERICAL, RUNTIME_ERROR and so on
---@field log? string # what was printed
---@field max_relative_error? number # of PASSED and INCORRECT_NUMERICAL
---@field max_absolute_error? number # of PASSED and INCORRECT_NUMERICAL
---@field latency_ms? number # of PASSED
---@field reference_latency_ms? number # of PASSED
---@field hardware? string # default the device's model
---@field libs? table # `{name = version}`; default pah's

---adds the result of a workload to `root/traces`; returns its line
---@param root string
---@param definition table
---@param workload table
---@param solution string
---@param result? pah.TraceResult
---@return table
function pah.trace.save_result(root, definition, workload, solution, result) end

---what FlashInfer-Trace's schema says against a decoded "definition", "workload" or "result"; nil if nothing
---```lua
---pah.trace.problem("workload", {definition = "d"})
---```
---@param kind string
---@param value table
---@return string? why
function pah.trace.problem(kind, value) end

---`"bf16"` for `"bfloat16"`
---```lua
---pah.trace.dtype "bfloat16"
---```
---@param name string
---@return pah.dtype
function pah.trace.dtype(name) end
