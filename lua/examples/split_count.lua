-- split_count: how many parts of a sequence decode should work on at once (num_splits), by batch and length
return pah.experiment{
  name = "split_count",
  options = {
    heads = {"K/V heads; there are four times as many query heads", 2},
    dtype = {"element type", "bf16", choices = {"f32", "f16", "bf16"}},
    time = {"seconds of samples at most, each point", 0.5, type = "number"},
  },
  axes = {
    {name = "batch", about = "sequences", values = {1, 8}},
    {name = "seqlen", about = "tokens of each", values = {1024, 8192}},
    {name = "num_splits", about = "0: as pah chooses", values = {0, 1, 2, 4, 8, 16}},
  },
  where = function(p) return p.num_splits * 64 <= p.seqlen end,
  run = function(p, _, opt)
    local lengths, blocks = {}, p.batch * math.ceil(p.seqlen / 16)
    for b = 1, p.batch do lengths[b] = p.seqlen end
    local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = 16, num_blocks = blocks, seed = 1}
    local function random(shape, seed) return pah.randn(shape, {seed = seed, dtype = opt.dtype}) end
    return pah.bench_attention("decode", {
      q = random({p.batch, 4 * opt.heads, 1, 128}, 2), k_blocks = random({blocks, 16, opt.heads, 128}, 3),
      v_blocks = random({blocks, 16, opt.heads, 128}, 4), block_table = block_table, seqused_k = seqused_k,
      num_splits = p.num_splits,
    }, {max_time = opt.time, warmup = opt.time / 4})
  end,
}
