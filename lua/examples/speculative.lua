-- speculative: a tree of draft tokens verified in one decode; each path from its root to a leaf as plain decode has it
local opt = pah.options({
  batch = {"sequences", 2},
  past = {"committed tokens of each", 200},
  heads = {"query heads", 8},
  kv_heads = {"key/value heads", 2},
  head_dim = {"elements of a head", 64},
  dtype = {"element type", "f32", choices = {"f32", "f16", "bf16"}},
}, {words = 0})
-- The parent of each draft token; 0 is the last committed one. Two first guesses, each guessed on:
--   1 - 3 - 6    2 - 5 - 8
--     \ 4 - 7
local parents = {0, 0, 1, 1, 2, 3, 4, 5}
local n, Hkv, D, block_size = #parents, opt.kv_heads, opt.head_dim, 16
local function random(shape, seed) return pah.randn(shape, {seed = seed, dtype = opt.dtype}) end

local cache = pah.cache{num_blocks = 4 * opt.batch * math.ceil((opt.past + n) / block_size), block_size = block_size,
  num_kv_heads = Hkv, head_dim = D, dtype = opt.dtype}
local q, drafts, committed, sequences = random({opt.batch, opt.heads, n, D}, 1), {}, {}, {}
for b = 1, opt.batch do
  committed[b] = cache:sequence()
  assert(committed[b]:append(random({opt.past, Hkv, D}, 10 * b + 2), random({opt.past, Hkv, D}, 10 * b + 3)))
  drafts[b] = {k = random({n, Hkv, D}, 10 * b + 4), v = random({n, Hkv, D}, 10 * b + 5)}
  sequences[b] = committed[b]:fork() -- the blocks of the committed text are shared
  assert(sequences[b]:append(drafts[b].k, drafts[b].v))
end
local args = {q = q, k_blocks = cache.k_blocks, v_blocks = cache.v_blocks,
  tree_mask = pah.mask.from_parents(parents, {batch = opt.batch, device = q.device})}
args.block_table, args.seqused_k = cache:block_table(sequences)
local out, lse = pah.decode(args)

-- The leaves, and the path to each: its drafts one behind the other in a cache, each decoded as the last token there.
local has_child, worst = {}, 0
for _, parent in ipairs(parents) do has_child[parent] = true end
for leaf = 1, n do
  local path, at = {}, leaf
  while at > 0 do table.insert(path, 1, at) at = parents[at] end
  for b = 1, has_child[leaf] and 0 or opt.batch do
    local branch = committed[b]:fork()
    for i, node in ipairs(path) do
      assert(branch:append(drafts[b].k:narrow(1, node, 1), drafts[b].v:narrow(1, node, 1)))
      local plain = {q = q:narrow(1, b, 1):narrow(3, node, 1), k_blocks = cache.k_blocks, v_blocks = cache.v_blocks}
      plain.block_table, plain.seqused_k = cache:block_table{branch}
      local one, one_lse = pah.decode(plain)
      worst = math.max(worst, pah.diff(out:narrow(1, b, 1):narrow(3, node, 1), one).max_abs,
        pah.diff(lse:narrow(1, b, 1):narrow(3, node, 1), one_lse).max_abs)
      assert(#branch == opt.past + i)
    end
    branch:free()
  end
  if not has_child[leaf] then print(("path %s: checked"):format(table.concat(path, " - "))) end
end
local allowed = ({f32 = 1e-5, f16 = 2e-3, bf16 = 2e-2})[opt.dtype]
print(("tree against plain decode: max difference %.1e, allowed %.0e"):format(worst, allowed))
assert(worst <= allowed, "a path of the tree is not what plain decode gives")
print("ok")
