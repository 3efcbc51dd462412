-- kv_cache.lua - the paged KV cache: a pool of blocks with reference counts, and sequences that own lists of blocks.
-- Promises: fork shares blocks and copies the last partial one only when a side appends (copy-on-write); when blocks
-- run out, append returns nil and a reason and changes nothing.
-- Read next: block_table.lua, init.lua (kv_append).
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local attention = require "pah.attention"
local block_table = require "pah.attention.block_table"
local raisef = errors.raisef

local M = {}

local Cache = classes.name("Cache", {})
Cache.__index = Cache
local sequences = setmetatable({}, {__mode = "k"}) -- proxy -> state {cache, blocks (0-based ids), length}

local keys = {num_blocks = 1, block_size = 1, num_kv_heads = 1, head_dim = 1, head_dim_v = 1, layout = 1, dtype = 1,
  device = 1}

-- A pool [num_blocks, block_size, num_kv_heads, width]: in memory so ("NHD"), or heads before tokens ("HND").
local function new_pool(size, width, args)
  local n, tokens, heads = size.num_blocks, size.block_size, size.num_kv_heads
  local opts = {dtype = args.dtype, device = args.device}
  if args.layout == "HND" then return tensor.construct("cache", {n, heads, tokens, width}, opts):transpose(2, 3) end
  return tensor.construct("cache", {n, tokens, heads, width}, opts)
end

--- A cache of num_blocks blocks of block_size tokens (default 16); cache.k_blocks is [num_blocks, block_size,
--- num_kv_heads, head_dim], cache.v_blocks has head_dim_v (default head_dim); uninitialised; dtype default f32.
--- layout "HND" keeps the tokens of a head of a block together in memory, "NHD" (default) the heads of a token.
local function new_cache(args)
  errors.check_keys("cache", args, keys)
  args = args or {}
  if args.layout ~= nil and args.layout ~= "NHD" and args.layout ~= "HND" then
    raisef('cache: layout is %s, must be "NHD" or "HND"', tostring(args.layout))
  end
  local size = {block_size = args.block_size == nil and 16 or args.block_size,
    head_dim_v = args.head_dim_v == nil and args.head_dim or args.head_dim_v}
  for _, name in ipairs {"num_blocks", "block_size", "num_kv_heads", "head_dim", "head_dim_v"} do
    local value = size[name] or args[name]
    if type(value) ~= "number" or value % 1 ~= 0 or value < 1 then
      raisef("cache: %s is %s, must be a whole number >= 1", name, tostring(value))
    end
    size[name] = value
  end
  local cache = setmetatable({
    k_blocks = new_pool(size, size.head_dim, args),
    v_blocks = new_pool(size, size.head_dim_v, args),
    free = {}, -- stack of ids; the last is taken first
    references = {}, -- id -> sequences that hold it
    alive = setmetatable({}, {__mode = "k"}), -- states of sequences not freed
  }, Cache)
  for id = size.num_blocks - 1, 0, -1 do
    cache.free[#cache.free + 1] = id
    cache.references[id] = 0
  end
  return cache
end

function Cache:__tostring()
  local s = self:stats()
  return ("pah.cache of %d blocks of %d tokens, %d used by %d sequences"):format(s.num_blocks, s.block_size,
    s.used_blocks,
    s.sequences)
end

-- A copy of a list of ids; unpack would fail beyond a few thousand.
local function copy_of(list)
  local copy = {}
  for i = 1, #list do copy[i] = list[i] end
  return copy
end

local function take(cache)
  local id = table.remove(cache.free)
  cache.references[id] = 1
  return id
end

local function drop(cache, id)
  cache.references[id] = cache.references[id] - 1
  if cache.references[id] == 0 then cache.free[#cache.free + 1] = id end
end

local methods = {}

local function state_of(what, seq)
  local s = sequences[seq]
  if not s then raisef("%s: is a %s, must be a sequence of a cache", what, type(seq)) end
  if not s.cache then raisef("%s: the sequence was freed", what) end
  return s
end

-- A sequence is a userdata, because a table has no __len in this Lua.
local prototype = newproxy(true)
local mt = classes.name("Sequence", getmetatable(prototype))
mt.__index = methods
function mt.__len(seq) return state_of("#", seq).length end
function mt.__tostring(seq)
  local s = sequences[seq]
  if not s.cache then return "pah.sequence (freed)" end
  return ("pah.sequence of %d tokens in %d blocks"):format(s.length, #s.blocks)
end
-- A sequence that is collected as garbage frees its blocks.
function mt.__gc(seq) pcall(methods.free, seq) end

local function new_sequence(cache, blocks, length)
  local seq = newproxy(prototype)
  local s = {cache = cache, blocks = blocks, length = length}
  sequences[seq] = s
  cache.alive[s] = true
  return seq
end

--- A new, empty sequence.
function Cache:sequence() return new_sequence(self, {}, 0) end

local function block_size_of(cache) return cache.k_blocks:size(2) end

-- Blocks that `count` more tokens need from the pool: new ones, and one for a shared last block that is not full.
local function needs(s, count)
  local size = block_size_of(s.cache)
  local new = math.ceil((s.length + count) / size) - #s.blocks
  local partial = s.length % size ~= 0 and count > 0
  local copy = partial and s.cache.references[s.blocks[#s.blocks]] > 1
  return new, copy
end

local function check_tokens(s, k, v)
  for name, t in pairs {k = k, v = v} do
    tensor.want("append: " .. name, t)
    local shape, want = t.shape, s.cache[name .. "_blocks"].shape
    if #shape ~= 3 or shape[2] ~= want[3] or shape[3] ~= want[4] then
      raisef("append: %s has shape [%s], must be [T, %d, %d]", name, table.concat(shape, ", "), want[3], want[4])
    end
  end
  if k:size(1) ~= v:size(1) then raisef("append: k has %d tokens and v %d, must be equal", k:size(1), v:size(1)) end
  return k:size(1)
end

--- Adds the tokens k [T, num_kv_heads, head_dim] and v [T, num_kv_heads, head_dim_v] at the end.
--- True, or nil and "no free block": then nothing changed.
function methods.append(seq, k, v)
  local s = state_of("append", seq)
  if k == nil or v == nil then raisef("append: needs k and v") end
  local cache, count = s.cache, check_tokens(s, k, v)
  local new, copy = needs(s, count)
  if new + (copy and 1 or 0) > #cache.free then return nil, "no free block" end
  local size, blocks = block_size_of(cache), copy_of(s.blocks)
  local old = blocks[#blocks]
  local taken = {}
  if copy then
    blocks[#blocks] = take(cache)
    taken[1] = blocks[#blocks]
  end
  for _ = 1, new do
    blocks[#blocks + 1] = take(cache)
    taken[#taken + 1] = blocks[#blocks]
  end
  local slots = tensor.new({count}, "i64", devices.get "cpu")
  local p = slots:data()
  for i = 0, count - 1 do
    local at = s.length + i
    p[i] = blocks[math.floor(at / size) + 1] * size + at % size
  end
  local ok, why = pcall(function()
    attention.exports.kv_append{k = k, v = v, k_blocks = cache.k_blocks, v_blocks = cache.v_blocks,
      slot_mapping = slots:to(cache.k_blocks.device)}
    if copy then
      local held = s.length % size
      for _, pool in ipairs {cache.k_blocks, cache.v_blocks} do
        pool:select(1, taken[1] + 1):narrow(1, 1, held):copy(pool:select(1, old + 1):narrow(1, 1, held))
      end
    end
  end)
  if not ok then
    for i = #taken, 1, -1 do drop(cache, taken[i]) end
    error(why, 0)
  end
  if copy then drop(cache, old) end
  s.blocks, s.length = blocks, s.length + count
  return true
end

--- A sequence with the same tokens that shares every block with this one.
function methods.fork(seq)
  local s = state_of("fork", seq)
  for _, id in ipairs(s.blocks) do s.cache.references[id] = s.cache.references[id] + 1 end
  return new_sequence(s.cache, copy_of(s.blocks), s.length)
end

--- Keeps the first n tokens and frees the blocks after them.
function methods.truncate(seq, n)
  local s = state_of("truncate", seq)
  tensor.whole("truncate: n", n)
  if n < 0 or n > s.length then raisef("truncate: n is %d, must be 0 to %d", n, s.length) end
  local keep = math.ceil(n / block_size_of(s.cache))
  while #s.blocks > keep do drop(s.cache, table.remove(s.blocks)) end
  s.length = n
end

--- Frees all blocks; afterwards every use except another free is an error.
function methods.free(seq)
  local s = sequences[seq]
  if not s or not s.cache then return end
  for i = #s.blocks, 1, -1 do drop(s.cache, s.blocks[i]) end
  s.cache.alive[s] = nil
  s.cache, s.blocks, s.length = nil, {}, 0
end

--- The 0-based ids of a sequence's blocks, as a table.
function methods.blocks(seq) return copy_of(state_of("blocks", seq).blocks) end

--- block_table i32 [B, max blocks] (unused entries -1) and seqused_k i32 [B] of a list of sequences.
function Cache:block_table(list)
  if type(list) ~= "table" then raisef("block_table: is a %s, must be a list of sequences", type(list)) end
  local rows, lengths, width = {}, {}, 0
  for b, seq in ipairs(list) do
    local s = state_of(("block_table: sequence %d"):format(b), seq)
    if s.cache ~= self then raisef("block_table: sequence %d is of another cache", b) end
    rows[b], lengths[b] = s.blocks, s.length
    width = math.max(width, #s.blocks)
  end
  return block_table.tensors(rows, lengths, width, self.k_blocks.device)
end

--- Statistics: num_blocks, free_blocks, used_blocks, shared_blocks (held by several sequences), block_size, sequences,
--- tokens (of all sequences), stored_tokens (slots in use, shared ones once), fragmentation (share of used slots idle).
function Cache:stats()
  local num_blocks, size = self.k_blocks:size(1), block_size_of(self)
  local shared, count, tokens = 0, 0, 0
  local filled = {}
  for id = 0, num_blocks - 1 do
    if self.references[id] > 1 then shared = shared + 1 end
  end
  for s in pairs(self.alive) do
    count, tokens = count + 1, tokens + s.length
    for i, id in ipairs(s.blocks) do
      filled[id] = math.max(filled[id] or 0, math.min(size, s.length - (i - 1) * size))
    end
  end
  local stored, used = 0, num_blocks - #self.free
  for _, n in pairs(filled) do stored = stored + n end
  return {num_blocks = num_blocks, free_blocks = #self.free, used_blocks = used, shared_blocks = shared,
    block_size = size,
    sequences = count, tokens = tokens, stored_tokens = stored,
    fragmentation = used > 0 and 1 - stored / (used * size) or 0}
end

M.exports = {cache = new_cache}

return M
