-- mla_decode: DeepSeek's latent attention decoded from one cache, V a view of K; checked, timed, against a copied V
local opt = pah.options({
  definition = {"FlashInfer-Trace definition of mla_paged decode (.json); without it a batch is generated"},
  workloads = {"workloads (.jsonl) of that definition"},
  root = {"folder that the workloads' paths start from"},
  workload = {"which line of the workloads", 1},
  batch = {"generated: sequences", 4},
  seqlen = {"generated: tokens of each", 512},
  heads = {"generated: query heads", 16},
  queries = {"new tokens of a sequence: more than one for speculative decoding", 1},
  repeats = {"timed calls", 9},
}, {words = 0})
local p
if opt.definition then
  assert(opt.workloads and opt.root, "--definition needs --workloads and --root too")
  local workload = assert(pah.trace.workloads(opt.workloads)[opt.workload], "there is no such workload")
  -- A workload whose tables are not there gets tables drawn from its axes by the seed.
  p = pah.trace.load{workload = workload, definition = pah.trace.definition(opt.definition), root = opt.root, seed = 1}
else -- the latent ckv of 512 and the rotated kpe of 64 in a row; the scale is that of heads of 128 + 64
  local lengths = {}
  for b = 1, opt.batch do lengths[b] = opt.seqlen end
  p = {block_size = 64, num_heads = opt.heads, num_kv_heads = 1, head_dim = 576, head_dim_v = 512, dtype = "bf16",
    num_blocks = opt.batch * math.ceil(opt.seqlen / 64), softmax_scale = 1 / math.sqrt(192)}
  p.block_table, p.seqused_k = pah.block_table{seqlens = lengths, block_size = 64, num_blocks = p.num_blocks, seed = 1}
end
local k_blocks = pah.randn({p.num_blocks, p.block_size, 1, p.head_dim}, {seed = 2, dtype = p.dtype})
local args = {
  q = pah.randn({#p.seqused_k, p.num_heads, opt.queries, p.head_dim}, {seed = 3, dtype = p.dtype}),
  k_blocks = k_blocks, v_blocks = k_blocks:narrow(4, 1, p.head_dim_v), causal = opt.queries > 1,
  block_table = p.block_table, seqused_k = p.seqused_k, softmax_scale = p.softmax_scale,
}
local out, lse = pah.decode(args)
local want, want_lse = pah.reference.decode(args)
local ok, report = pah.allclose(out:to("f64"), want, {rtol = 1e-2, atol = 1e-2})
local lse_ok = pah.allclose(lse:to("f64"), want_lse, {rtol = 1e-3, atol = 1e-3})
print(("%d sequences, %d query heads, %d queries each, K %d wide and V %d of it: max error %.1e: %s"):format(
  #p.seqused_k, p.num_heads, opt.queries, p.head_dim, p.head_dim_v, report.max_abs, ok and lse_ok and "ok" or "WRONG"))

local function measure(name)
  local times, work = {}, pah.work("decode", args)
  for i = 1, opt.repeats do
    local start = pah.clock()
    pah.decode(args)
    times[i] = pah.clock() - start
  end
  table.sort(times)
  local t = times[math.ceil(opt.repeats / 2)]
  print(("%-16s %8.3f ms, %6.2f MB, %5.1f GB/s"):format(name, t * 1e3, work.bytes / 1e6, work.bytes / t / 1e9))
end
measure "V a view of K"
args.v_blocks = args.v_blocks:contiguous()
measure "V copied"
assert(ok and lse_ok, "decode is wrong")
