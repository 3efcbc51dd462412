-- cache_spec.lua - pah.cache against a plain Lua model of it: random appends, forks, truncations and frees until the
-- pool is exhausted and beyond; contents read back through cache:block_table, figures, and the messages of wrong calls.
local model = require "spec.support.model"

local BLOCK, HEADS, D, BLOCKS = 3, 2, 2, 12

local function new_cache(layout)
  return pah.cache{num_blocks = BLOCKS, block_size = BLOCK, num_kv_heads = HEADS, head_dim = D, layout = layout}
end

-- `count` tokens whose elements all hold the token's number, for k, and its negative, for v.
local function tokens(first, count)
  local k = (pah.arange(count)):view(count, 1, 1):expand(count, HEADS, D):clone()
  for i = 1, count do k[i] = first + i - 1 end
  local v = k:clone()
  for i = 1, count do v[i] = -(first + i - 1) end
  return k, v
end

-- Every sequence reads back as its list of token numbers.
local function check_contents(cache, list, note)
  local seqs = {}
  for i, s in ipairs(list) do seqs[i] = s.seq end
  local bt, used = cache:block_table(seqs)
  assert.same({#list}, used.shape, note)
  for i, s in ipairs(list) do
    assert.equal(#s.tokens, #s.seq, note)
    assert.equal(#s.tokens, used:get(i), note)
    for j, number in ipairs(s.tokens) do
      local block = bt:get(i, math.ceil(j / BLOCK))
      local slot = (j - 1) % BLOCK + 1
      local k, v = cache.k_blocks[block + 1][slot], cache.v_blocks[block + 1][slot]
      assert.is_true(pah.allclose(k, pah.full({HEADS, D}, number)), note)
      assert.is_true(pah.allclose(v, pah.full({HEADS, D}, -number)), note)
    end
  end
end

-- The figures follow from who holds which block.
local function check_stats(cache, list, note)
  local holders, total, filled = {}, 0, {}
  for _, s in ipairs(list) do
    total = total + #s.tokens
    for i, id in ipairs(s.seq:blocks()) do
      holders[id] = (holders[id] or 0) + 1
      filled[id] = math.max(filled[id] or 0, math.min(BLOCK, #s.tokens - (i - 1) * BLOCK))
    end
    assert.equal(math.ceil(#s.tokens / BLOCK), #s.seq:blocks(), note)
  end
  local used, shared, stored = 0, 0, 0
  for id, n in pairs(holders) do
    used, shared, stored = used + 1, shared + (n > 1 and 1 or 0), stored + filled[id]
  end
  assert.same({num_blocks = BLOCKS, free_blocks = BLOCKS - used, used_blocks = used, shared_blocks = shared,
    block_size = BLOCK, sequences = #list, tokens = total, stored_tokens = stored,
    fragmentation = used > 0 and 1 - stored / (used * BLOCK) or 0}, cache:stats(), note)
  return BLOCKS - used, holders
end

-- Blocks that appending `count` tokens must take: new ones, and a private copy of a shared partial last block.
local function needed(s, count, holders)
  local blocks = s.seq:blocks()
  local copy = count > 0 and #s.tokens % BLOCK ~= 0 and holders[blocks[#blocks]] > 1
  return math.ceil((#s.tokens + count) / BLOCK) - #blocks + (copy and 1 or 0)
end

describe("a cache", function()
  it("behaves as its model under random calls", function()
    local exhausted = 0
    for trial = 1, 8 do
      local r = model.random(80000 + trial)
      local cache, list, number = new_cache(({"NHD", "HND"})[trial % 2 + 1]), {}, 1
      for step = 1, 60 do
        local note = ("seed %d trial %d step %d"):format(model.seed, trial, step)
        local free, holders = check_stats(cache, list, note)
        local kind, i = r(1, 10), #list > 0 and r(1, #list) or nil
        local s = list[i]
        if not s or kind == 1 then
          list[#list + 1] = {seq = cache:sequence(), tokens = {}}
        elseif kind == 2 or kind == 3 then
          list[#list + 1] = {seq = s.seq:fork(), tokens = {unpack(s.tokens)}}
        elseif kind == 4 then
          local n = r(0, #s.tokens)
          s.seq:truncate(n)
          s.tokens = {unpack(s.tokens, 1, n)}
        elseif kind == 5 then
          s.seq:free()
          table.remove(list, i)
        else
          local count = r(0, 7)
          local want = needed(s, count, holders) <= free
          local ok, why = s.seq:append(tokens(number, count))
          assert.equal(want or nil, ok, note)
          if ok then
            for j = 1, count do s.tokens[#s.tokens + 1] = number + j - 1 end
          else
            assert.equal("no free block", why, note)
            exhausted = exhausted + 1
          end
          number = number + count
        end
        if step % 10 == 0 then check_contents(cache, list, note) end
      end
      for _, s in ipairs(list) do s.seq:free() end
      assert.equal(BLOCKS, cache:stats().free_blocks)
    end
    assert.is_true(exhausted > 0, "no pool was ever exhausted: the trials are too easy")
  end)

  it("copies a shared partial block when either side appends", function()
    for _, first in ipairs {"parent", "child"} do
      local cache = new_cache()
      local parent = cache:sequence()
      assert.is_true(parent:append(tokens(1, 4)))
      local child = parent:fork()
      assert.equal(2, cache:stats().used_blocks)
      local one, two = parent, child
      if first == "child" then one, two = child, parent end
      assert.is_true(one:append(tokens(10, 1)))
      assert.is_true(two:append(tokens(20, 1)))
      assert.same({3, 1}, {cache:stats().used_blocks, cache:stats().shared_blocks})
      check_contents(cache, {{seq = one, tokens = {1, 2, 3, 4, 10}}, {seq = two, tokens = {1, 2, 3, 4, 20}}}, first)
    end
  end)

  it("holds values of their own width, in either layout", function()
    for _, layout in ipairs {"NHD", "HND"} do
      local cache = pah.cache{num_blocks = 9, block_size = 4, num_kv_heads = 2, head_dim = 24, head_dim_v = 16,
        layout = layout, device = "cpu"}
      assert.same({9, 4, 2, 24}, cache.k_blocks.shape)
      assert.same({9, 4, 2, 16}, cache.v_blocks.shape)
      assert.equal(layout == "NHD", cache.k_blocks:is_contiguous())
      assert.same({1, layout == "NHD" and 48 or 24}, {cache.k_blocks.strides[4], cache.k_blocks.strides[2]})
      local seq = cache:sequence()
      local k = pah.randn({10, 2, 24}, {seed = 1, device = "cpu"})
      local v = pah.randn({10, 2, 16}, {seed = 2, device = "cpu"})
      assert.is_true(seq:append(k, v))
      local branch = seq:fork()
      assert.is_true(branch:append(k:narrow(1, 1, 1), v:narrow(1, 1, 1)))
      for j = 1, 3 do
        local n = math.min(4, 10 - 4 * (j - 1))
        for _, s in ipairs {seq, branch} do
          local id = s:blocks()[j]
          assert.equal(0, pah.diff(cache.k_blocks[id + 1]:narrow(1, 1, n), k:narrow(1, 4 * j - 3, n)).max_abs)
          assert.equal(0, pah.diff(cache.v_blocks[id + 1]:narrow(1, 1, n), v:narrow(1, 4 * j - 3, n)).max_abs)
        end
      end
    end
  end)

  it("gets the blocks of forgotten sequences back", function()
    local cache = new_cache()
    do
      local s = cache:sequence()
      assert.is_true(s:append(tokens(1, 9)))
    end
    collectgarbage()
    collectgarbage()
    assert.equal(BLOCKS, cache:stats().free_blocks)
  end)

  it("prints itself and its sequences, and is 16 tokens a block by default", function()
    local cache = new_cache()
    local s = cache:sequence()
    s:append(tokens(1, 4))
    assert.equal("pah.sequence of 4 tokens in 2 blocks", tostring(s))
    assert.equal("pah.cache of 12 blocks of 3 tokens, 2 used by 1 sequences", tostring(cache))
    s:free()
    s:free()
    assert.equal("pah.sequence (freed)", tostring(s))
    assert.same({2, 16, 1, 8}, pah.cache({num_blocks = 2, num_kv_heads = 1, head_dim = 8}).k_blocks.shape)
  end)
end)

describe("a wrong call", function()
  local function refused(part, f)
    local ok, why = pcall(f)
    assert.is_false(ok, part)
    local text = tostring(why):match "cache_spec%.lua:%d+: (.*)$"
    assert.is_truthy(text and text:find(part, 1, true), tostring(why))
  end

  it("of a cache or a sequence is refused and changes nothing", function()
    local cache = new_cache()
    local s = cache:sequence()
    local k, v = tokens(1, 2)
    refused("cache: num_blocks is 0, must be a whole number >= 1",
      function() pah.cache{num_blocks = 0, num_kv_heads = 1, head_dim = 8} end)
    refused("cache: head_dim is nil, must be", function() pah.cache{num_blocks = 1, num_kv_heads = 1} end)
    refused("cache: head_dim_v is 0, must be a whole number >= 1", function()
      pah.cache{num_blocks = 1, num_kv_heads = 1, head_dim = 8, head_dim_v = 0} end)
    refused('cache: layout is BSHD, must be "NHD" or "HND"', function()
      pah.cache{num_blocks = 1, num_kv_heads = 1, head_dim = 8, layout = "BSHD"} end)
    refused('unknown option "blocks", did you mean', function() pah.cache{blocks = 1} end)
    refused([[cache: dtype: is "f33"]], function()
      pah.cache{num_blocks = 1, num_kv_heads = 1, head_dim = 8, dtype = "f33"} end)
    refused("append: needs k and v", function() s:append(k) end)
    refused("append: k has shape [2, 1, 2], must be [T, 2, 2]", function() s:append(pah.zeros {2, 1, 2}, v) end)
    refused("append: k has 2 tokens and v 1, must be equal", function() s:append(k, v:narrow(1, 1, 1)) end)
    refused("dtype", function() s:append(k:to("i32"), v:to("i32")) end)
    assert.same({0, BLOCKS}, {#s, cache:stats().free_blocks})
    refused("truncate: n is 1, must be 0 to 0", function() s:truncate(1) end)
    refused("truncate: n: is 0.5, must be a whole number", function() s:truncate(0.5) end)
    refused("block_table: is a nil, must be a list of sequences", function() cache:block_table() end)
    refused("block_table: sequence 1 is of another cache", function() cache:block_table {new_cache():sequence()} end)
    refused("block_table: sequence 1: is a number", function() cache:block_table {1} end)
    s:free()
    refused("append: the sequence was freed", function() s:append(k, v) end)
    refused("fork: the sequence was freed", function() s:fork() end)
    refused("#: the sequence was freed", function() return #s end)
  end)
end)

describe("a long sequence", function()
  it("of more blocks than the stack of Lua holds is appended to and forked", function()
    local cache = pah.cache{num_blocks = 20000, block_size = 1, num_kv_heads = 1, head_dim = 8}
    local seq = cache:sequence()
    assert.is_true(seq:append(pah.ones {12000, 1, 8}, pah.ones {12000, 1, 8}))
    local twin = seq:fork()
    assert.is_true(twin:append(pah.ones {1, 1, 8}, pah.ones {1, 1, 8}))
    assert.equal(12001, #twin:blocks())
  end)
end)
