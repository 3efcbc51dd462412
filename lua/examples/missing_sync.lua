-- missing_sync: the kernel of own_kernel with a __syncthreads() left out; the simulator finds the race that it makes
local opt = pah.options({seed = {"seed of a random schedule; 0: threads in order", 0}}, {words = 0})
local sim, head_dim, block_size = pah.device("sim"), 64, 16
local block_table, seqused_k = pah.block_table{seqlens = {70}, block_size = block_size, num_blocks = 8, device = sim}
local q = pah.randn({1, 2, head_dim}, {seed = 1, device = sim})
local k_blocks = pah.randn({8, block_size, 1, head_dim}, {seed = 2, device = sim})
local v_blocks = pah.randn({8, block_size, 1, head_dim}, {seed = 3, device = sim})
local out, lse = pah.empty({1, 2, head_dim}, {device = sim}), pah.empty({1, 2, 1}, {device = sim})

for _, defines in ipairs {{HEAD_DIM = head_dim}, {HEAD_DIM = head_dim, FORGOTTEN = 1}} do
  local mod = sim:compile{source = "own_kernel.cu", defines = defines}
  local report = mod:launch("own_decode", {
    grid = {2, 1}, block = head_dim, on_finding = "report",
    schedule = opt.seed > 0 and "random" or "order", seed = opt.seed,
  }, out, lse, q, k_blocks, v_blocks, block_table, seqused_k, 2, 1, block_size, block_table:size(2), 0.125)
  print(defines.FORGOTTEN and "without the __syncthreads() at the end of the loop:" or "as it should be:")
  print(report:text())
  assert((#report.findings > 0) == (defines.FORGOTTEN ~= nil))
end
