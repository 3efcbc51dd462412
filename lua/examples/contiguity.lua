-- contiguity: the time of decode from a shuffled block table to a linear one, by the share of blocks in a row
local function order(n, share) -- 0 to n - 1 in shuffled pieces, so that about `share` of the ids follow the one before
  local cut, starts, list = {}, {0}, {}
  local places = pah.randperm(n - 1, {seed = 1, device = "cpu"}):totable()
  for i = 1, math.floor((n - 1) * (1 - share) + 0.5) do cut[places[i] + 1] = true end
  for id = 1, n - 1 do
    if cut[id] then starts[#starts + 1] = id end
  end
  starts[#starts + 1] = n
  for _, piece in ipairs(pah.randperm(#starts - 1, {seed = 2, device = "cpu"}):totable()) do
    for id = starts[piece + 1], starts[piece + 2] - 1 do list[#list + 1] = id end
  end
  return list
end

return pah.experiment{
  name = "contiguity",
  options = {
    batch = {"sequences", 16}, seqlen = {"tokens of each, a multiple of the block size", 4096},
    heads = {"K/V heads; there are four times as many query heads", 8},
    cold = {"caches flushed before every sample", false},
    time = {"seconds of samples at most, each point", 1, type = "number"},
  },
  axes = {
    {name = "block_size", about = "tokens of a block", values = {16}},
    {name = "share", about = "of the blocks that lie behind the one before", values = {0, 0.5, 0.75, 0.9, 1}},
  },
  run = function(p, _, opt)
    local each = opt.seqlen / p.block_size
    local n, follow = opt.batch * each, 0
    local ids = order(n, p.share)
    for i = 2, n do follow = follow + (ids[i] == ids[i - 1] + 1 and 1 or 0) end
    local function random(shape, seed) return pah.randn(shape, {seed = seed, dtype = "bf16"}) end
    local pool = {n, p.block_size, opt.heads, 128}
    local r = pah.bench_attention("decode", {
      q = random({opt.batch, 4 * opt.heads, 1, 128}, 3), k_blocks = random(pool, 4), v_blocks = random(pool, 5),
      block_table = pah.tensor(ids, {dtype = "i32"}):view(opt.batch, each), seqlen_k = opt.seqlen,
    }, {cold = opt.cold, max_time = opt.time, warmup = opt.time / 10, min_time = 0, max_samples = math.max(10, n / 50)})
    return r, {contiguous = follow / (n - 1)} -- every timed call exchanges two blocks: few samples leave it as it is
  end,
}
