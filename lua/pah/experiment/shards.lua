-- shards.lua - the points of a sweep dealt out to several processes, I/N each. Promises: every point is in exactly one
-- shard, the same for the same points, seed, N and `together`; a shard is a fair sample of the grid; points that differ
-- only in axes of `together` are in one shard. Read next: sweep.lua, doc/many-machines.md.
local errors = require "pah.errors"

local M = {}

local MOST = 2 ^ 20

--- "2/8" as 2, 8; nil and what is wrong with it.
function M.parse(text)
  local index, count = tostring(text):match "^(%d+)/(%d+)$"
  index, count = tonumber(index), tonumber(count)
  if not index or index < 1 or index > count or count > MOST then
    return nil, ('"%s" is no I/N with I from 1 to N'):format(tostring(text))
  end
  return index, count
end

--- Raises unless `together` is nil or a list of names of axes.
function M.check(what, together, axes)
  local known = {}
  for _, axis in ipairs(axes) do known[axis.name] = true end
  for _, name in ipairs(together or {}) do
    if not known[name] then
      errors.raisef("%s: together names %s, must be axes%s", what, tostring(name), errors.hint(tostring(name), known))
    end
  end
end

-- Text that the points of one group share: their values of the axes that are not in `together`.
local function group_key(point, axes, together)
  local alike, parts = {}, {}
  for _, name in ipairs(together or {}) do alike[name] = true end
  for _, axis in ipairs(axes) do
    if not alike[axis.name] then parts[#parts + 1] = tostring(point.axes[axis.name]):gsub("[\\ ]", "\\%0") end
  end
  return table.concat(parts, " ")
end

--- Of the points in shuffled order those of shard `index` of `count`, in that order: each group goes to the shard that
--- has the fewest points so far.
function M.deal(points, axes, together, index, count)
  local shard_of, sizes, groups, order = {}, {}, {}, {}
  for i, point in ipairs(points) do
    local key = group_key(point, axes, together)
    if not groups[key] then
      groups[key] = {}
      order[#order + 1] = key
    end
    table.insert(groups[key], i)
  end
  for i = 1, count do sizes[i] = 0 end
  for _, key in ipairs(order) do
    local least = 1
    for i = 2, count do
      if sizes[i] < sizes[least] then least = i end
    end
    sizes[least] = sizes[least] + #groups[key]
    for _, i in ipairs(groups[key]) do shard_of[i] = least end
  end
  local list = {}
  for i, point in ipairs(points) do
    if shard_of[i] == index then list[#list + 1] = point end
  end
  return list
end

return M
