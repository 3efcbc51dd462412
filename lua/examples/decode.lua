-- decode: one token per sequence over a shuffled cache; the number of splits changes nothing but the time
local opt = pah.options({
  batch = {"sequences", 4},
  seqlen = {"tokens in the cache of each", 1024},
  heads = {"query heads", 32},
  kv_heads = {"key/value heads", 8},
  head_dim = {"elements of a head", 128},
  block_size = {"tokens of a block", 16},
  dtype = {"element type", "bf16", choices = {"f32", "f16", "bf16"}},
}, {words = 0})
local lengths = {}
for b = 1, opt.batch do lengths[b] = opt.seqlen end
local needed = opt.batch * math.ceil(opt.seqlen / opt.block_size)
local pool = {needed * 2, opt.block_size, opt.kv_heads, opt.head_dim}
local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = opt.block_size, num_blocks = pool[1],
  seed = 1}
local args = {
  q = pah.randn({opt.batch, opt.heads, opt.head_dim}, {seed = 2, dtype = opt.dtype}),
  k_blocks = pah.randn(pool, {seed = 3, dtype = opt.dtype}),
  v_blocks = pah.randn(pool, {seed = 4, dtype = opt.dtype}),
  block_table = block_table, seqused_k = seqused_k,
}
local want = pah.reference.decode(args)
local bytes = 2 * opt.batch * opt.seqlen * opt.kv_heads * opt.head_dim * (opt.dtype == "f32" and 4 or 2)
local tolerance = opt.dtype == "f32" and 1e-5 or 1e-2

for _, splits in ipairs {0, 1, 2, 7, 16} do
  args.num_splits = splits
  local out, times = nil, {}
  for i = 1, 9 do
    local start = pah.clock()
    out = pah.decode(args)
    times[i] = pah.clock() - start
  end
  table.sort(times)
  local ok, report = pah.allclose(out:to("f64"), want, {rtol = tolerance, atol = tolerance})
  print(("num_splits %2d: median %7.3f ms %6.1f GB/s  max error %.1e %s"):format(splits, times[5] * 1e3,
    bytes / times[5] / 1e9, report.max_abs, ok and "ok" or "WRONG"))
  assert(ok)
end
