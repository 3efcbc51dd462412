-- pool.lua - the blocks of a cache as numbers alone: free ones, ones that sequences hold, and idle ones that keep a
-- prefix until they are needed. Promises: a block is free, idle or held, never two of them; the idle block that was
-- dropped first goes first. Read next: replay.lua.
local M = {}

local Pool = {}
Pool.__index = Pool

--- A pool of so many blocks, all free, ids from 0; block 0 is taken first.
function M.new(num_blocks)
  local free, holders = {}, {}
  for id = num_blocks - 1, 0, -1 do
    free[#free + 1] = id
    holders[id] = 0
  end
  return setmetatable({num_blocks = num_blocks, free = free, holders = holders, key_of = {}, by_key = {}, queue = {},
    first = 1, last = 0, stamp = {}, idle = 0, shared = 0}, Pool)
end

--- Blocks that can be taken: free and idle ones.
function Pool:available() return #self.free + self.idle end

--- Blocks that some sequence holds.
function Pool:used() return self.num_blocks - #self.free - self.idle end

-- The idle block that has been so for longest; it forgets its prefix.
local function evict(self)
  while true do
    local entry = self.queue[self.first]
    if not entry then return nil end
    self.queue[self.first] = nil
    self.first = self.first + 1
    local id = entry.id
    if self.stamp[id] == entry then -- else it has been held since
      self.stamp[id], self.idle = nil, self.idle - 1
      self.by_key[self.key_of[id]], self.key_of[id] = nil, nil
      return id
    end
  end
end

--- A block for one holder, or nil: an idle one only if none is free.
function Pool:take()
  local id = table.remove(self.free) or evict(self)
  if id then self.holders[id] = 1 end
  return id
end

--- One holder more of a block that is held or idle.
function Pool:hold(id)
  if self.holders[id] == 0 then self.stamp[id], self.idle = nil, self.idle - 1 end
  self.holders[id] = self.holders[id] + 1
  if self.holders[id] == 2 then self.shared = self.shared + 1 end
end

--- One holder less; without holders it is idle if it keeps a prefix, else free.
function Pool:drop(id)
  local n = self.holders[id] - 1
  self.holders[id] = n
  if n == 1 then self.shared = self.shared - 1 end
  if n > 0 then return end
  if not self.key_of[id] then
    self.free[#self.free + 1] = id
    return
  end
  local entry = {id = id}
  self.stamp[id], self.idle = entry, self.idle + 1
  self.last = self.last + 1
  self.queue[self.last] = entry
end

--- Says that a block that is held has the prefix `key`, unless another has it.
function Pool:publish(id, key)
  if self.by_key[key] == nil and self.key_of[id] == nil then self.by_key[key], self.key_of[id] = id, key end
end

--- The block with that prefix, or nil, and whether it is idle.
function Pool:find(key)
  local id = self.by_key[key]
  return id, id and self.holders[id] == 0
end

return M
