-- llama_decode: a Llama-3.1-8B decode batch, captured (FlashInfer-Trace) or generated: checked and timed
local opt = pah.options({
  definition = {"FlashInfer-Trace definition (.json); without it a batch is generated"},
  workloads = {"workloads (.jsonl) of that definition"},
  root = {"folder that the workloads' paths start from"},
  workload = {"which line of the workloads", 1},
  batch = {"generated: sequences", 64},
  seed = {"seed of lengths, tables and values", 1},
  repeats = {"timed calls", 15},
}, {words = 0})
local p
if opt.definition then
  assert(opt.workloads and opt.root, "--definition needs --workloads and --root too")
  local workload = assert(pah.trace.workloads(opt.workloads)[opt.workload], "there is no such workload")
  p = pah.trace.load{workload = workload, definition = pah.trace.definition(opt.definition), root = opt.root}
else -- the shape of the captures: page size 1, lengths log-normal around 400, the first token shared by all
  local normal, lengths, total = pah.randn({opt.batch}, {seed = opt.seed}):totable(), {}, 0
  for b = 1, opt.batch do
    lengths[b] = math.max(1, math.min(8192, math.floor(400 * math.exp(0.9 * normal[b]))))
    total = total + lengths[b]
  end
  p = {block_size = 1, num_heads = 32, num_kv_heads = 8, head_dim = 128, dtype = "bf16", num_blocks = total}
  p.block_table, p.seqused_k = pah.block_table{seqlens = lengths, block_size = 1, num_blocks = total, seed = opt.seed}
  p.block_table[{{}, 1}] = p.block_table:get(1, 1)
end
local B, pool = #p.seqused_k, {p.num_blocks, p.block_size, p.num_kv_heads, p.head_dim}
local args = {
  q = pah.randn({B, p.num_heads, p.head_dim}, {seed = opt.seed + 1, dtype = p.dtype}),
  k_blocks = pah.randn(pool, {seed = opt.seed + 2, dtype = p.dtype}),
  v_blocks = pah.randn(pool, {seed = opt.seed + 3, dtype = p.dtype}),
  block_table = p.block_table, seqused_k = p.seqused_k, softmax_scale = p.softmax_scale,
}
local lengths, seen, blocks = p.seqused_k:totable(), {[-1] = true}, 0 -- -1 stands in unused entries
for _, row in ipairs(p.block_table:totable()) do
  for _, id in ipairs(row) do
    if not seen[id] then seen[id], blocks = true, blocks + 1 end
  end
end
table.sort(lengths)
print(("%d sequences, %d to %d tokens (median %d), %d blocks of %d, H=%d Hkv=%d D=%d %s"):format(B, lengths[1],
  lengths[B], lengths[math.ceil(B / 2)], blocks, p.block_size, p.num_heads, p.num_kv_heads, p.head_dim, p.dtype))
local out, lse = pah.decode(args)
local want, want_lse = pah.reference.decode(args)
local ok, report = pah.allclose(out:to("f64"), want, {rtol = 1e-2, atol = 1e-2})
local lse_ok, lse_report = pah.allclose(lse:to("f64"), want_lse, {rtol = 1e-3, atol = 1e-3})
print(("max error %.1e, of lse %.1e: %s"):format(report.max_abs, lse_report.max_abs, ok and lse_ok and "ok" or "WRONG"))
args.out, args.lse = out, lse
local times = {}
for i = 1, opt.repeats do
  local start = pah.clock()
  pah.decode(args)
  times[i] = pah.clock() - start
end
table.sort(times)
-- The fewest bytes: every block in use once, K and V, and q and out.
local bytes = blocks * (args.k_blocks.nbytes + args.v_blocks.nbytes) / p.num_blocks + args.q.nbytes + out.nbytes
local t, name = times[math.ceil(opt.repeats / 2)], out.device.name
print(("decode on %s: median %.3f ms, %.1f MB, %.1f GB/s"):format(name, t * 1e3, bytes / 1e6, bytes / t / 1e9))
assert(ok and lse_ok, "decode is wrong")
