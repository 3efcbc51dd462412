-- verdict.lua - what pah.judge returns: passed, failed and pending as numbers and by option, and the failures, each
-- with its place, its cause and the line that runs just that case. tostring(verdict) is for people, M.plain for JSON.
-- Read next: init.lua, place.lua.
local classes = require "pah.util.classes"
local columns = require "pah.util.columns"
local place = require "pah.judge.place"
local safe = require "pah.util.safe_text"
local screen = require "pah.util.screen"

jit.off(true, true) -- see init.lua

local M = {}
local Verdict = classes.name("Verdict", {})
Verdict.__index = Verdict

local SHOWN = 12 -- failures that are told in full

function M.new(fields)
  local v = {passed = 0, failed = 0, pending = 0, failures = {}, pendings = {}, notes = {}, by_option = {},
    order = {}, causes = {}}
  for name, value in pairs(fields) do v[name] = value end
  return setmetatable(v, Verdict)
end

-- Options of a case that are rows of the table: the dtypes, and what differs from the plain problem.
local function options_of(case, plain)
  local dtype = tostring(case.dtype) .. (case.cache_dtype and "/" .. case.cache_dtype or "")
  local list, skip = {"dtype " .. dtype}, {op = true, dtype = true, cache_dtype = true, seed = true, name = true,
    permutation = true, finite = true}
  for name, value in pairs(case) do
    if not skip[name] and value ~= plain[name] and value ~= false then list[#list + 1] = name end
  end
  if #list == 1 then list[2] = "none" end
  return list
end

--- Counts a case: state is "passed", "failed" or "pending".
function M.count(v, case, plain, state)
  v[state] = v[state] + 1
  for _, option in ipairs(options_of(case, plain)) do
    local row = v.by_option[option]
    if not row then
      row = {option = option, passed = 0, failed = 0, pending = 0}
      v.by_option[option] = row
      v.order[#v.order + 1] = option
    end
    row[state] = row[state] + 1
  end
end

--- The rows of the table by option, dtypes first.
function M.rows(v)
  local names = {unpack(v.order)}
  table.sort(names, function(a, b)
    local x, y = a:match "^dtype " and 0 or 1, b:match "^dtype " and 0 or 1
    if x ~= y then return x < y end
    return a < b
  end)
  local rows = {}
  for i, name in ipairs(names) do rows[i] = v.by_option[name] end
  return rows
end

-- Why cases are pending, by option, the most frequent first: a list of {option or reason, count, values}.
local function reasons(v)
  local by, list = {}, {}
  for _, p in ipairs(v.pendings) do
    local option, value = p.why:match "^([%w_]+) = (.*)$"
    local key = option or p.why
    if not by[key] then
      by[key] = {key, 0, {}}
      list[#list + 1] = by[key]
    end
    local row = by[key]
    row[2] = row[2] + 1
    if value and not row[3][value] then row[3][#row[3] + 1], row[3][value] = value, true end
  end
  table.sort(list, function(a, b) return a[2] > b[2] or a[2] == b[2] and a[1] < b[1] end)
  return list
end

-- "12 for window: {3,0}, {0,2}, ..."
local function reason_line(reason)
  local values = reason[3]
  local text = table.concat(values, ", ", 1, math.min(6, #values)) .. (#values > 6 and ", ..." or "")
  return ("pending: %d for %s%s"):format(reason[2], reason[1], text ~= "" and ": " .. text or "")
end

--- The causes of the failures, the most frequent first: {cause=, count=}; those that nothing explains as one.
function M.causes(v)
  local count, list = {}, {}
  for _, f in ipairs(v.failures) do
    local cause = f.cause and f.cause:gsub("^none of %d+ known mistakes explains it.*", "no known mistake explains it")
    if cause and not count[cause] then list[#list + 1] = {cause = cause} end
    if cause then count[cause] = (count[cause] or 0) + 1 end
  end
  for _, c in ipairs(list) do c.count = count[c.cause] end
  table.sort(list, function(a, b) return a.count > b.count or a.count == b.count and a.cause < b.cause end)
  return list
end

local function failure_lines(f, lines)
  lines[#lines + 1] = "FAILED " .. f.case
  for line in (f.what .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = "  " .. safe.line(line) end
  local where = place.text(f.where)
  if where ~= "" then lines[#lines + 1] = "  where: " .. where end
  if f.cause then lines[#lines + 1] = "  cause: " .. safe.line(f.cause) end
  lines[#lines + 1] = "  alone: " .. f.alone
end

function Verdict:__tostring()
  local lines = {("%s on %s: %d passed, %d failed, %d pending of %d cases, %.1f s"):format(self.title, self.device,
    self.passed, self.failed, self.pending, self.passed + self.failed + self.pending, self.seconds)}
  local rows = {{"option", "passed", "failed", "pending"}}
  for _, row in ipairs(M.rows(self)) do
    rows[#rows + 1] = {row.option, tostring(row.passed), tostring(row.failed), tostring(row.pending)}
  end
  lines[#lines + 1] = columns.plain(rows, {[2] = true, [3] = true, [4] = true}, screen.width(), 1):gsub("\n$", "")
  for _, reason in ipairs(reasons(self)) do
    lines[#lines + 1] = safe.line(reason_line(reason))
  end
  for _, note in ipairs(self.notes) do lines[#lines + 1] = "note: " .. safe.line(note) end
  for i = 1, math.min(SHOWN, #self.failures) do failure_lines(self.failures[i], lines) end
  if #self.failures > SHOWN then
    lines[#lines + 1] = ("and %d failures more"):format(#self.failures - SHOWN)
  end
  for _, c in ipairs(M.causes(self)) do
    lines[#lines + 1] = ("cause of %d of %d failures: %s"):format(c.count, #self.failures, safe.line(c.cause))
  end
  return table.concat(lines, "\n")
end

--- The verdict as plain tables, for JSON.
function M.plain(v)
  local failures = {}
  for i, f in ipairs(v.failures) do
    failures[i] = {case = f.case, what = f.what, where = next(f.where) and f.where or nil, cause = f.cause,
      alone = f.alone}
  end
  return {op = v.op, title = v.title, device = v.device, ok = v.ok, passed = v.passed, failed = v.failed,
    pending = v.pending, seconds = v.seconds, options = M.rows(v), failures = failures, pendings = v.pendings,
    causes = M.causes(v), notes = v.notes}
end

return M
