-- sharded.lua - a small sweep that the specs of shards and of several machines measure, and its rows by identity.
local M = {}

M.axes = {{name = "a", values = pah.range(1, 8)}, {name = "kernel", values = {"base", "new"}}}

--- The rows of a sweep over 16 points; `options` as for pah.sweep.
function M.sweep(options)
  local o = {name = "s", axes = M.axes, quiet = true, run = function(p) return {v = p.a} end}
  for key, value in pairs(options or {}) do o[key] = value end
  return pah.sweep(o)
end

--- What must be the same for two lists of rows that have the same points and rounds, in any order.
function M.identities(rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = ("%d %d %s"):format(row.index, row.round, row.key) end
  table.sort(list)
  return list
end

return M
