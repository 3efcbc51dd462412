-- shared_prefix: fork a prompt into several answers; the blocks are shared until they differ
pah.options({}, {words = 0})

local Hkv, D, block_size, answers = 2, 64, 16, 4
local cache = pah.cache{num_blocks = 32, block_size = block_size, num_kv_heads = Hkv, head_dim = D, dtype = "f32"}

local function tokens(n, seed) return pah.randn({n, Hkv, D}, {seed = seed}), pah.randn({n, Hkv, D},
  {seed = seed + 1}) end

-- A prompt of 40 tokens: two full blocks and half of a third.
local prompt = cache:sequence()
assert(prompt:append(tokens(40, 1)))

-- The full blocks stay shared; the first append of each answer copies the partial one.
local branches = {}
for i = 1, answers do
  branches[i] = prompt:fork()
  assert(branches[i]:append(tokens(i, 100 * i)))
end
local block_table, seqused_k = cache:block_table(branches)
print(block_table, seqused_k)

local stats = cache:stats()
print(("%d tokens in %d blocks, %d shared; private copies would need %d blocks"):format(stats.tokens, stats.used_blocks,
  stats.shared_blocks, (answers + 1) * 3))

-- The same tokens in a private cache give the same bits.
local q = pah.randn({answers, 8, 1, D}, {seed = 9})
local shared = pah.decode{q = q, k_blocks = cache.k_blocks, v_blocks = cache.v_blocks, block_table = block_table,
  seqused_k = seqused_k}
local private = pah.cache{num_blocks = 32, block_size = block_size, num_kv_heads = Hkv, head_dim = D, dtype = "f32"}
local copies = {}
for i = 1, answers do
  copies[i] = private:sequence()
  assert(copies[i]:append(tokens(40, 1)))
  assert(copies[i]:append(tokens(i, 100 * i)))
end
local table2, used2 = private:block_table(copies)
local alone = pah.decode{q = q, k_blocks = private.k_blocks, v_blocks = private.v_blocks, block_table = table2,
  seqused_k = used2}
print("shared against private:", pah.diff(shared, alone))
assert(pah.allclose(shared, alone, {rtol = 0, atol = 0}))

for _, branch in ipairs(branches) do branch:free() end
prompt:free()
assert(cache:stats().free_blocks == 32)
print("ok")
