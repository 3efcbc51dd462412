-- tiles.lua - the picture of README.md: the bytes that the naive forward kernel moves, as a multiple of the fewest
-- possible, by the height of its tile of queries. Counted on sim: no GPU, and the same numbers on every machine.
--   pah run doc/pictures/tiles.lua -o tiles.jsonl
--   pah plot tiles.jsonl --metric bytes_over_fewest --by tokens -o doc/pictures/tiles.svg \
--     --title "naive forward: bytes moved over the fewest possible"
return pah.experiment{
  name = "tiles",
  axes = {{name = "block_m", values = pah.powers(8, 128), about = "rows of a tile of queries (block_m)"},
    {name = "tokens", values = {64, 128, 256, 512}}},
  setup = function() return pah.device "sim" end,
  run = function(p, sim)
    local pool = {p.tokens / 16, 16, 1, 64}
    local counted = pah.bench_attention("fwd", {
      q = pah.randn({1, 1, p.tokens, 64}, {seed = 1, dtype = "bf16", device = sim}),
      k_blocks = pah.randn(pool, {seed = 2, dtype = "bf16", device = sim}),
      v_blocks = pah.randn(pool, {seed = 3, dtype = "bf16", device = sim}),
      block_table = pah.block_table{seqlens = {p.tokens}, block_size = 16, seed = 4, device = sim},
      block_m = p.block_m, block_n = 32, kernel = "naive",
    })
    local moved = counted.global_load_bytes + counted.global_store_bytes
    return counted, {bytes_over_fewest = moved / counted.work.bytes}
  end,
}
