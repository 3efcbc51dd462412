-- block_size: how the time of decode depends on the block size, for the same sequences; rows go to a file with -o
return pah.experiment{
  name = "block_size",
  options = {
    batch = {"sequences", 16},
    seqlen = {"tokens of the longest sequence; the shortest has half", 2048},
    heads = {"K/V heads; there are four times as many query heads", 8},
    cold = {"caches flushed before every sample", false},
    time = {"seconds of samples at most, each point", 1, type = "number"},
  },
  axes = {
    {name = "block_size", about = "tokens of a block", values = pah.powers(1, 256, 4)},
    {name = "dtype", values = {"bf16"}, choices = {"f32", "f16", "bf16"}},
  },
  run = function(p, _, opt)
    local lengths, blocks = {}, 0
    for b = 1, opt.batch do
      lengths[b] = math.ceil(opt.seqlen * (0.5 + 0.5 * b / opt.batch))
      blocks = blocks + math.ceil(lengths[b] / p.block_size)
    end
    local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = p.block_size, num_blocks = blocks,
      order = "shuffled", seed = 1}
    local pool = {blocks, p.block_size, opt.heads, 128}
    local args = {
      q = pah.randn({opt.batch, 4 * opt.heads, 1, 128}, {seed = 2, dtype = p.dtype}),
      k_blocks = pah.randn(pool, {seed = 3, dtype = p.dtype}), v_blocks = pah.randn(pool, {seed = 4, dtype = p.dtype}),
      block_table = block_table, seqused_k = seqused_k,
    }
    return pah.bench_attention("decode", args, {cold = opt.cold, max_time = opt.time, warmup = opt.time / 4}),
      {blocks = blocks}
  end,
}
