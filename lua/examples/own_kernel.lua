-- own_kernel: a custom decode kernel (own_kernel.cu) on the simulated GPU, against the float64 oracle
local opt = pah.options({
  device = {"where it runs: sim, sim:sm_90a or cuda", "sim"},
  heads = {"query heads", 4},
  kv_heads = {"key/value heads", 2},
  block_size = {"tokens of a block", 16},
}, {words = 0})
local head_dim, lengths, num_blocks = 64, {70, 0, 33}, 16
local dev = pah.device(opt.device)
local pool = {num_blocks, opt.block_size, opt.kv_heads, head_dim}
local block_table, seqused_k = pah.block_table{seqlens = lengths, block_size = opt.block_size, num_blocks = num_blocks,
  seed = 1, device = "cpu"}
local args = { -- on the cpu, for the oracle
  q = pah.randn({#lengths, opt.heads, head_dim}, {seed = 2, device = "cpu"}),
  k_blocks = pah.randn(pool, {seed = 3, device = "cpu"}), v_blocks = pah.randn(pool, {seed = 4, device = "cpu"}),
  block_table = block_table, seqused_k = seqused_k,
}
local want, want_lse = pah.reference.decode(args)

local here = {} -- the same on the device
for name, tensor in pairs(args) do here[name] = tensor:to(dev) end
local out = pah.empty(args.q.shape, {device = dev})
local lse = pah.empty({#lengths, opt.heads, 1}, {device = dev})

local mod = dev:compile{source = "own_kernel.cu", defines = {HEAD_DIM = head_dim}}
local report = mod:launch("own_decode", {grid = {opt.heads, #lengths}, block = head_dim, problem = here},
  out, lse, here.q, here.k_blocks, here.v_blocks, here.block_table, here.seqused_k, opt.heads, opt.kv_heads,
  opt.block_size, block_table:size(2), 1 / math.sqrt(head_dim))

local ok, words = pah.allclose(out:to("cpu"):to("f64"), want, {rtol = 1e-5, atol = 1e-5})
print("out against the oracle", words)
print("lse against the oracle", select(2, pah.allclose(lse:to("cpu"):to("f64"), want_lse, {rtol = 1e-5, atol = 1e-5})))
print(report) -- on sim: findings, then what the launch moved
assert(ok)
