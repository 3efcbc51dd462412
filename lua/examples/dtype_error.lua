-- dtype_error: what a narrower cache costs in error and gains in time: decode from f32 to fp8, against the oracle
return pah.experiment{
  name = "dtype_error",
  options = {
    batch = {"sequences", 16}, seqlen = {"tokens of each", 1024},
    heads = {"K/V heads; there are four times as many query heads", 8},
    time = {"seconds of samples at most, each point", 1, type = "number"},
  },
  axes = {
    {name = "dtype", about = "of the cache; fp8 is read by bf16 queries",
      values = {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2"}},
  },
  setup = function(opt)
    local lengths, blocks = {}, opt.batch * math.ceil(opt.seqlen / 16)
    for b = 1, opt.batch do lengths[b] = opt.seqlen end
    local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = 16, num_blocks = blocks, seed = 1}
    local args = {
      q = pah.randn({opt.batch, 4 * opt.heads, 1, 128}, {seed = 2}), block_table = block_table, seqused_k = seqused_k,
      k_blocks = pah.randn({blocks, 16, opt.heads, 128}, {seed = 3}),
      v_blocks = pah.randn({blocks, 16, opt.heads, 128}, {seed = 4}),
    }
    local function rounded(p) -- the call with its operands in that type
      return {
        q = args.q:to(p.dtype:match "^fp8" and "bf16" or p.dtype), k_blocks = args.k_blocks:to(p.dtype),
        v_blocks = args.v_blocks:to(p.dtype), block_table = block_table, seqused_k = seqused_k,
      }
    end
    return {rounded = rounded, want = pah.reference.decode(args)} -- the oracle's of the values before they are rounded
  end,
  check = function(p, c)
    local d = pah.diff((pah.decode(c.rounded(p))):to("cpu"):to("f64"), c.want)
    return {max_error = d.max_abs, rms_error = d.rms}
  end,
  run = function(p, c, opt)
    return pah.bench_attention("decode", c.rounded(p), {max_time = opt.time, warmup = opt.time / 4})
  end,
}
