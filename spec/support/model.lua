-- model.lua - a tensor as plain Lua: a flat list of numbers seen through shape, strides and offset. Specs compare pah's
-- views and copies against it, so it shares no code with lua/pah. Also random numbers whose seed is printed.
local M = {}

-- The seed of this run: PAH_SEED, else the time. Put it into the message of every random assertion.
M.seed = tonumber(os.getenv "PAH_SEED") or os.time() % 1000000

--- A generator r(low, high) of whole numbers, the same for the same seed on every machine.
function M.random(salt)
  local state = (M.seed * 7919 + salt * 104729 + 12345) % 2147483647
  if state == 0 then state = 1 end
  return function(low, high)
    state = state * 16807 % 2147483647
    return low + math.floor(state / 2147483647 * (high - low + 1))
  end
end

--- Two functions from a seed, for simulations: one gives normal numbers, the other uniform ones in (0, 1); both draw
--- from one sequence, which is the same on every machine and build. That of math.random is not.
function M.normal(seed)
  local state = seed
  local function uniform()
    state = (state * 16807) % 2147483647
    return state / 2147483647
  end
  return function() return math.sqrt(-2 * math.log(uniform())) * math.cos(2 * math.pi * uniform()) end, uniform
end

--- A model of a contiguous tensor whose element i (row-major, from 0) is first + i.
function M.new(shape, first)
  local n, strides = 1, {}
  for i = #shape, 1, -1 do
    strides[i] = n
    n = n * shape[i]
  end
  local memory = {}
  for i = 0, n - 1 do memory[i] = (first or 0) + i end
  return {memory = memory, shape = {unpack(shape)}, strides = strides, offset = 0}
end

--- Another view of the same memory.
function M.view(m, shape, strides, offset)
  return {memory = m.memory, shape = shape, strides = strides, offset = offset or m.offset}
end

--- Visits the places in memory in row-major order.
function M.places(m)
  local list = {}
  local function walk(d, at)
    if d > #m.shape then
      list[#list + 1] = at
      return
    end
    for i = 0, m.shape[d] - 1 do walk(d + 1, at + i * m.strides[d]) end
  end
  walk(1, m.offset)
  return list
end

--- The elements in row-major order.
function M.values(m)
  local list = M.places(m)
  for i, at in ipairs(list) do list[i] = m.memory[at] end
  return list
end

--- The numbers of nested tables (t:totable()) in order.
function M.flat(nested, list)
  list = list or {}
  if type(nested) ~= "table" then
    list[#list + 1] = nested
  else
    for _, inner in ipairs(nested) do M.flat(inner, list) end
  end
  return list
end

return M
