-- serving: a request trace replayed into a paged cache and into decode batches, with pictures of what each step had
local opt = pah.options{
  trace = {"file of Mooncake (.jsonl) or Azure (.csv); made up without one", nil, type = "string"},
  limit = {"requests of it", 150}, num_blocks = {"blocks of the cache", 2000}, block_size = {"tokens of a block", 16},
  tokens_per_step = {"prefill and decode together", 1024}, seconds = {"of a step", 0.03, type = "number"},
  heads = {"K/V heads; there are four times as many query heads", 2}, head_dim = {"elements of a head", 64},
  every = {"steps of which one is measured", 100}, time = {"seconds of samples of each", 0.1, type = "number"},
  flashinfer = {"folder for the measured batches as FlashInfer-Trace", nil, type = "string"},
}
local replay = pah.serving.replay{
  trace = opt.trace or pah.serving.synthetic{count = opt.limit, rate = 8, input = 600, output = 150},
  limit = opt.limit, num_blocks = opt.num_blocks, block_size = opt.block_size, tokens_per_step = opt.tokens_per_step,
  seconds_per_step = opt.seconds,
}
local pool = {opt.num_blocks, opt.block_size, opt.heads, opt.head_dim}
local k, v = pah.randn(pool, {seed = 1, dtype = "bf16"}), pah.randn(pool, {seed = 2, dtype = "bf16"})

-- The decode of one step, measured; its batch is written too if a folder for that is named.
local definition = pah.trace.new_definition{op = "decode", num_heads = 4 * opt.heads, num_kv_heads = opt.heads,
  head_dim = opt.head_dim, block_size = opt.block_size}
local function measured(batch)
  if opt.flashinfer then pah.trace.save_workload(opt.flashinfer, definition, batch) end
  local args = {q = pah.randn({batch.seqused_k:size(1), 4 * opt.heads, opt.head_dim}, {seed = 3, dtype = "bf16"}),
    k_blocks = k, v_blocks = v, block_table = batch.block_table, seqused_k = batch.seqused_k}
  return pah.bench(function() pah.decode(args) end, {min_time = 0, max_time = opt.time, warmup = 0.02}).median
end

if opt.flashinfer then pah.trace.save_definition(opt.flashinfer, definition) end
local rows = {}
for step in replay:steps() do
  local batch = step.index % opt.every == 0 and step:batch "decode"
  if batch then
    rows[#rows + 1] = {index = #rows + 1, axes = {second = step.time}, values = {used = 100 * step.utilisation,
      shared = step.shared_blocks, sequences = batch.seqused_k:size(1), decode_us = 1e6 * measured(batch)}}
  end
end

for _, picture in ipairs {{"used", "blocks of the cache in use, %"}, {"shared", "blocks that several sequences share"},
  {"decode_us", "one decode of the step's batch, microseconds"}} do
  pah.plot{rows, kind = "curve", x = "second", metric = picture[1], title = picture[2]}
end
local s = replay:summary()
print(("%d requests in %d steps, %.0f s: %.0f %% of the prompts found in the cache, %d preempted, %d refused"):format(
  s.requests, s.steps, s.seconds, 100 * s.hit_rate, s.preempted, s.refused))
print(("first token after %.2f s (median), %.2f s (99 %%); %d of %d blocks at the most"):format(s.first_token_p50,
  s.first_token_p99, s.peak_blocks, opt.num_blocks))
