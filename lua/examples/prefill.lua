-- prefill: causal prefill of a batch with different lengths, checked against the oracle and timed
local opt = pah.options({
  seqlen = {"new tokens of each sequence", 256},
  past = {"tokens already in the cache", 128},
  batch = {"sequences", 2},
  heads = {"query heads", 8},
  kv_heads = {"key/value heads", 2},
  head_dim = {"elements of a head", 64},
  block_size = {"tokens of a block", 16},
  dtype = {"element type", "bf16", choices = {"f32", "f16", "bf16"}},
}, {words = 0})
local lengths = {}
for b = 1, opt.batch do lengths[b] = opt.past + opt.seqlen end
local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = opt.block_size, seed = 1}
local pool = {math.max(1, opt.batch * math.ceil(lengths[1] / opt.block_size)), opt.block_size, opt.kv_heads,
  opt.head_dim}
local args = {
  q = pah.randn({opt.batch, opt.heads, opt.seqlen, opt.head_dim}, {seed = 2, dtype = opt.dtype}),
  k_blocks = pah.randn(pool, {seed = 3, dtype = opt.dtype}),
  v_blocks = pah.randn(pool, {seed = 4, dtype = opt.dtype}),
  block_table = block_table, seqused_k = seqused_k, causal = true,
}
local out, lse = pah.fwd(args)

local times = {}
for i = 1, 7 do
  local start = pah.clock()
  pah.fwd{q = args.q, k_blocks = args.k_blocks, v_blocks = args.v_blocks, block_table = block_table,
    seqused_k = seqused_k, causal = true, out = out, lse = lse}
  times[i] = pah.clock() - start
end
table.sort(times)

-- Query i of a sequence sees past + i keys: the exact number of unmasked pairs, 4 flops per pair and element.
local pairs_seen = opt.batch * opt.heads * (opt.seqlen * opt.past + opt.seqlen * (opt.seqlen + 1) / 2)
print(("prefill %d x %d tokens on %d, %s: median %.3f ms, %.1f GFLOP/s"):format(opt.batch, opt.seqlen, opt.past,
  opt.dtype,
  times[4] * 1e3, 4 * pairs_seen * opt.head_dim / times[4] / 1e9))

local want, want_lse = pah.reference.fwd(args)
print("out against the oracle:", pah.diff(out:to("f64"), want))
print("lse against the oracle:", pah.diff(lse:to("f64"), want_lse))
local tolerance = opt.dtype == "f32" and 1e-5 or 2e-2
assert(pah.allclose(out:to("f64"), want, {rtol = tolerance, atol = tolerance}))
print("ok")
