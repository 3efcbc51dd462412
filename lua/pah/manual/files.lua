-- files.lua - manual: tensors in files, JSON, and FlashInfer's traces.
local written = 'pah.safetensors.save("three.safetensors", {q = pah.arange(3)})\n'

return {
  {record = "DeviceOption", "where the tensors go", fields = [[
    device?: device  default `pah.device()`]]},
  {"pah.load(path: string, opts?: DeviceOption) -> Tensor", [[
    a `.npy` file (no ending: the same), or a `.safetensors` file of one tensor]], example =
    'pah.arange(3):save "three.npy"\nprint(pah.load "three.npy")'},
  {[[
    pah.safetensors.load(path: string, opts?: DeviceOption) -> tensors: {[string]: Tensor}, metadata: table?,
    skipped: table]], [[
    `{name = tensor}`, mapped without a copy where alignment allows; second, the metadata or nil; third, `{name
    = dtype}` of what is left out because pah has no dtype for it (also told on stderr)]],
    example = written .. 'print(pah.safetensors.load("three.safetensors").q)'},
  {[[
    pah.safetensors.save(path: string, tensors: {[string]: Tensor}, metadata?: {[string]: string})]], [[
    written beside and renamed, so a reader never sees half a file]], example = written},
  {"pah.json.decode(text: string, name?: string) -> any", [[
    objects keep the order of their keys; whole numbers beyond 2^53 are int64 cdata; `name` stands in errors]],
    example = "pah.json.decode('{\"b\": 1, \"a\": [1, 2]}').a[2]"},
  {record = "JsonOptions", "options of `pah.json.encode`", fields = [[
    indent?: string  what each level is indented by; default: one line]]},
  {[[
    pah.json.encode(value: any, opts?: JsonOptions) -> string]], "the text of a value",
    example = "pah.json.encode{1, 2}"},
  {"pah.json.keys(object: table) -> string[]", "the keys of a decoded object, in their order",
    example = "pah.json.keys(pah.json.decode '{\"b\": 1, \"a\": 2}')"},
  {"pah.json.pairs(object: table) -> function", "walks a decoded object in the order of its keys",
    example = "for key, value in pah.json.pairs(pah.json.decode '{\"b\": 1}') do print(key, value) end"},
  {"pah.json.null: any", "stands for null"},
  {"pah.trace.definition(path: string) -> table", "a FlashInfer-Trace definition; its constant axes also in `.const`"},
  {"pah.trace.workloads(path: string) -> table[]", [[
    the workloads of a JSON-lines file, `{definition=, uuid=, axes=, inputs=}` each]]},
  {record = "TraceArgs", "arguments of `pah.trace.load`", fields = [[
    workload: table    one of `pah.trace.workloads`
    definition: table  of `pah.trace.definition`
    root?: string      folder of the paths in the workload; default `"."`
    device?: device    the pool may take half of its memory
    seed?: integer     tables whose file is not there are drawn from the workload's axes (`drawn` is true): pages dealt
      evenly to the sequences, shuffled]]},
  {"pah.trace.load(args: TraceArgs) -> table", [[
    a gqa_paged or mla_paged workload as `{block_table=, seqused_k=, num_blocks=, block_size=, num_heads=,
    num_kv_heads=, head_dim=, head_dim_v=, dtype=, softmax_scale=, cu_seqlens_q=, drawn=}`; the pool size is
    taken from the indices. MLA is one K/V head of head_dim 576, of which V is a view of the first head_dim_v =
    512]]},
  {[[
    pah.trace.mla_cache(ckv: Tensor, kpe: Tensor) -> k_blocks: Tensor, v_blocks: Tensor]], [[
    k_blocks `[pages, page_size, 1, 576]` and the view v_blocks of FlashInfer's two caches. A copy: the cache
    once, 2 x 576 elements of traffic a slot (2.3 kB in bf16) and as much memory again until the two are freed;
    then every decode reads 576 elements a token, as it would of the two, and new tokens go into the one]],
    example = "pah.trace.mla_cache(pah.zeros({2, 16, 512}), pah.zeros({2, 16, 64})).shape"},
  {[[
    pah.trace.joined(a: Tensor, b: Tensor) -> Tensor]], [[
    a and b one behind the other in the last dimension, as q_nope and q_pe become q; a copy]],
    example = "pah.trace.joined(pah.zeros({2, 512}), pah.zeros({2, 64})).shape"},
  {[[
    pah.trace.block_table(kv_indptr: Tensor, kv_indices: Tensor, last_page_len?: Tensor, page_size: integer,
    max_blocks?: integer) -> block_table: Tensor, seqused_k: Tensor, num_blocks: integer]], "FlashInfer's lists as "
    .. "tables"},
  {record = "DefinitionArgs", "arguments of `pah.trace.new_definition`", fields = [[
    op: "decode"|"fwd"      one query a sequence, or causal prefill of ragged queries
    num_heads: integer      query heads
    num_kv_heads: integer   K/V heads
    head_dim: integer       elements of a head
    block_size: integer     tokens of a page
    dtype?: dtype           of queries; default bf16
    cache_dtype?: dtype     default dtype
    name?: string           default by FlashInfer's rule, `gqa_paged_decode_h32_kv8_d128_ps16`]]},
  {"pah.trace.new_definition(args: DefinitionArgs) -> table", [[
    a definition of ours as `pah.trace.definition` reads one, its meaning in PyTorch included; see
    [serving.md](serving.md#flashinfer-trace)]], example = [[
local d = pah.trace.new_definition{op = "decode", num_heads = 32, num_kv_heads = 8, head_dim = 128, block_size = 16}
print(d.name, pah.json.keys(d.inputs))]]},
  {"pah.trace.save_definition(root: string, definition: table) -> path: string", [[
    writes it to `root/definitions/OP_TYPE/NAME.json`]]},
  {[[
    pah.trace.pages(block_table: Tensor, seqused_k: Tensor, page_size: integer) -> kv_indptr: Tensor,
    kv_indices: Tensor, kv_last_page_len: Tensor]], "tables as FlashInfer's lists",
    example = "local table_, used = pah.block_table{seqlens = {20, 5}, block_size = 16, seed = 1}\n"
      .. "print(pah.trace.pages(table_, used, 16))"},
  {"pah.trace.save_workload(root: string, definition: table, batch: table) -> table", [[
    adds a workload: its tables to `root/blob/workloads`, its line to `root/workloads`. batch: `block_table`,
    `seqused_k`, and `num_blocks`, `softmax_scale`, of a prefill `cu_seqlens_q`]]},
  {record = "TraceResult", "a result for `pah.trace.save_result`", fields = [[
    status?: string                default PASSED; INCORRECT_NUMERICAL, RUNTIME_ERROR and so on
    log?: string                   what was printed
    max_relative_error?: number    of PASSED and INCORRECT_NUMERICAL
    max_absolute_error?: number    of PASSED and INCORRECT_NUMERICAL
    latency_ms?: number            of PASSED
    reference_latency_ms?: number  of PASSED
    hardware?: string              default the device's model
    libs?: table                   `{name = version}`; default pah's]]},
  {[[
    pah.trace.save_result(root: string, definition: table, workload: table, solution: string,
    result?: TraceResult) -> table]], "adds the result of a workload to `root/traces`; returns its line"},
  {"pah.trace.problem(kind: string, value: table) -> why: string?", [[
    what FlashInfer-Trace's schema says against a decoded "definition", "workload" or "result"; nil if nothing]],
    example = 'pah.trace.problem("workload", {definition = "d"})'},
  {"pah.trace.dtype(name: string) -> dtype", "`\"bf16\"` for `\"bfloat16\"`", example = 'pah.trace.dtype "bfloat16"'},
}
