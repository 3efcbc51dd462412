-- serving.lua - manual: request traces and their replay into batches.
return {
  {"pah.serving.read(path: string, opts?: ServingReadOptions) -> table[]", [[
    the requests of a trace file, Mooncake's JSON lines or Azure's CSV, in order of arrival: `{id=, arrival= (seconds),
    input=, output= (tokens), hash_ids=, hash_block=}` each; see [serving.md](serving.md)]]},
  {record = "ServingReadOptions", "options of `pah.serving.read`", fields = [[
    limit?: integer  only the first so many]]},
  {record = "SyntheticArgs", "arguments of `pah.serving.synthetic`", fields = [[
    count?: integer       requests; default 100
    rate?: number         of them a second, with exponential gaps; default 4
    input?: number        tokens of a prompt on average; default 1024
    output?: number       tokens of an answer on average; default 128
    prefixes?: integer    system prompts that prompts begin with; default 4
    prefix?: integer      tokens of such a one; default 512
    hash_block?: integer  tokens of a hash id; default 512
    seed?: integer        default 1]]},
  {"pah.serving.synthetic(args: SyntheticArgs) -> table[]", "made-up requests in the same shape",
    example = "local r = pah.serving.synthetic{count = 3, seed = 1}[1]\nprint(r.arrival, r.input, r.output)"},
  {record = "ReplayArgs", "arguments of `pah.serving.replay`", fields = [[
    trace: string|table[]       a trace file, or a list of requests
    tokens_per_step?: integer   of decode and prefill together; default 2048
    max_sequences?: integer     at one time; default 256
    block_size?: integer        default 16
    num_blocks?: integer        blocks of the cache; default 4096
    prefix_cache?: boolean      false: prompts share nothing
    seconds_per_step?: number|function  default 0.03; a function gets the step
    limit?: integer             requests of a file]]},
  {"pah.serving.replay(args: ReplayArgs) -> ServingReplay", [[
    a request trace through the scheduler and the paged cache of a serving system: chunked prefill, decode, shared
    prefixes, eviction, preemption]], example = [[
for step in pah.serving.replay{trace = pah.serving.synthetic{count = 2, output = 3}}:steps() do
  print(step.time, step.prefill_tokens, step.decode_tokens, step.utilisation)
end]]},
  {class = "ServingReplay", "a replay that is going on"},
  {"ServingReplay:step() -> ServingStep?", "the next step; nil when every request has ended"},
  {"ServingReplay:steps() -> function", "an iterator over the steps"},
  {"ServingReplay:summary() -> table", [[
    so far: `steps`, `seconds`, `requests`, `finished`, `refused` (too long for the cache), `preempted`,
    `prefill_tokens`, `decode_tokens`, `output_tokens`, `hit_tokens` (of prompts, found in the cache), `hit_rate`,
    `peak_blocks`, `first_token_p50`, `first_token_p99` (seconds)]]},
  {class = "ServingStep", "one step of a replay"},
  {"ServingStep:batch(kind: string, device?: device) -> table?", [[
    the tables of its "decode" call (`block_table`, `seqused_k`) or of its "prefill" call (with `cu_seqlens_q`,
    `total_q`, `causal`); nil if it has none]]},
  {"ServingStep.index: integer", "from 1"},
  {"ServingStep.time: number", "seconds at its beginning"},
  {"ServingStep.seconds: number", "how long it takes"},
  {"ServingStep.decode_tokens: integer", "sequences that get one token more"},
  {"ServingStep.prefill_tokens: integer", "tokens of prompts that are computed"},
  {"ServingStep.hit_tokens: integer", "tokens of prompts that begin now and were found in the cache"},
  {"ServingStep.tokens: integer", "tokens of all sequences of the step"},
  {"ServingStep.running: integer", "sequences that have begun"},
  {"ServingStep.waiting: integer", "requests that have arrived and not begun"},
  {"ServingStep.preempted: integer", "sequences that lost their blocks"},
  {"ServingStep.finished: integer", "requests that end with it"},
  {"ServingStep.used_blocks: integer", "blocks that sequences hold"},
  {"ServingStep.idle_blocks: integer", "blocks that keep a prefix and are held by none"},
  {"ServingStep.free_blocks: integer", "the others"},
  {"ServingStep.shared_blocks: integer", "blocks that several sequences hold"},
  {"ServingStep.num_blocks: integer", "all blocks"},
  {"ServingStep.utilisation: number", "used_blocks / num_blocks"},
}
