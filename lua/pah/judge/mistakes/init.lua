-- init.lua - the list of usual mistakes: each a cause in words and an edit of a copy of the problem that
-- attention/plain.lua computes, so that the numbers of the mistake are known and can be compared with a kernel's.
-- Promises: only those that can matter for a problem are listed. Read next: mask.lua, score.lua, keys.lua, splits.lua,
-- rows.lua, backward.lua, then judge/diagnose.lua.
local M = {}

local groups = {}
for i, group in ipairs {
  require "pah.judge.mistakes.mask", require "pah.judge.mistakes.score", require "pah.judge.mistakes.backward",
  require "pah.judge.mistakes.keys", require "pah.judge.mistakes.splits", require "pah.judge.mistakes.rows",
} do
  groups[i] = group
end

--- The mistakes for a problem of plain.lua, the likely ones first: a list of {cause=, edit=, finish=}. edit(copy, base)
--- plants one in a copy of the problem; finish(results), where there is one, changes the results.
function M.list(base)
  local list = {}
  local function add(cause, edit, finish) list[#list + 1] = {cause = cause, edit = edit, finish = finish} end
  for _, group in ipairs(groups) do group(add, base) end
  return list
end

return M
