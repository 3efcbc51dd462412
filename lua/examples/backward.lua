-- backward: gradients through a paged cache, with a block that two sequences share, checked against the oracle
local opt = pah.options({
  seqlen = {"tokens of each sequence", 96},
  dtype = {"element type", "f32", choices = {"f32", "f16", "bf16"}},
}, {words = 0})
local B, H, Hkv, D, block_size, n = 2, 4, 2, 64, 16, opt.seqlen
local block_table, seqused_k = pah.block_table{seqlens = {n, n}, block_size = block_size, seed = 1}
block_table:set(block_table:get(1, 1), 2, 1) -- both begin with the same block: its gradients add up
local pool = {2 * math.ceil(n / block_size), block_size, Hkv, D}
local args = {
  q = pah.randn({B, H, n, D}, {seed = 2, dtype = opt.dtype}),
  k_blocks = pah.randn(pool, {seed = 3, dtype = opt.dtype}),
  v_blocks = pah.randn(pool, {seed = 4, dtype = opt.dtype}),
  block_table = block_table, seqused_k = seqused_k, causal = true,
}
args.out, args.lse = pah.fwd(args)
args.dout = pah.randn({B, H, n, D}, {seed = 5, dtype = opt.dtype})

local names, got, want = {"dq", "dk_blocks", "dv_blocks"}, {pah.bwd(args)}, {pah.reference.bwd(args)}
local tolerance = opt.dtype == "f32" and 1e-4 or 5e-2
for i, name in ipairs(names) do
  local ok, report = pah.allclose(got[i]:to("f64"), want[i], {rtol = tolerance, atol = tolerance})
  print(("%-9s %s %s"):format(name, report, ok and "ok" or "WRONG"))
  assert(ok)
end

-- Deterministic: another number of threads gives the same bits.
local threads = pah.threads()
pah.threads(threads + 1)
local again = {pah.bwd(args)}
pah.threads(threads)
for i = 1, 3 do assert(pah.allclose(got[i], again[i], {rtol = 0, atol = 0})) end
print(("the same bits with %d and %d threads"):format(threads, threads + 1))
