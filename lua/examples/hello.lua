-- hello: one decode step of two sequences over a paged cache, printed and checked
pah.options({}, {words = 0})

local B, H, Hkv, D, block_size = 2, 4, 2, 32, 4

-- Sequence 1 has 10 tokens, sequence 2 has 5; their blocks lie scattered in a pool of 12.
local block_table, seqused_k = pah.block_table{seqlens = {10, 5}, block_size = block_size, num_blocks = 12, seed = 7}
local args = {
  q = pah.randn({B, H, 1, D}, {seed = 1}),
  k_blocks = pah.randn({12, block_size, Hkv, D}, {seed = 2}),
  v_blocks = pah.randn({12, block_size, Hkv, D}, {seed = 3}),
  block_table = block_table,
  seqused_k = seqused_k,
}
print("block_table", block_table)

local out, lse = pah.decode(args)
print("out[1][1]", out[1][1])
print("lse", lse:view(B, H))

local want = pah.reference.decode(args)
local ok, report = pah.allclose(out:to("f64"), want, {rtol = 1e-5, atol = 1e-6})
print("against the float64 oracle:", report)
assert(ok, "decode is wrong")
