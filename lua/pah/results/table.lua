-- table.lua - rows of a run as a table for people: a line for each point, with its axes, time, rates, fraction
-- of the limit and the other values returned. Several rounds of a point become one line: the median of their medians;
-- those of several machines never do.
-- Read next: experiment/init.lua, cli/results.lua.
local columns_text = require "pah.util.columns"
local safe = require "pah.util.safe_text"
local schema = require "pah.results.schema"
local screen = require "pah.util.screen"
local stats = require "pah.measure.stats"
local units = require "pah.util.units"

local M = {}

local function number(value)
  if type(value) ~= "number" then return value == nil and "" or tostring(value) end
  return value % 1 == 0 and math.abs(value) < 1e15 and ("%d"):format(value) or ("%.4g"):format(value)
end

-- Columns that a result may have: heading, its value from a result, its text, whether it stands in a machine's table.
local columns = {
  {"time", function(r) return r.median end, function(v) return units.text("s", v) end},
  {"95 %", function(r)
    return r.median and r.low and math.max(r.high - r.median, r.median - r.low) / r.median
  end, function(v) return ("+-%.1f %%"):format(100 * v) end},
  {"GB/s", function(r) return r.bytes_per_second and r.bytes_per_second / 1e9 end, number},
  {"GFLOP/s", function(r) return r.flops_per_second and r.flops_per_second / 1e9 end, number},
  {"of limit", function(r) return r.fraction end, function(v) return ("%.1f %%"):format(100 * v) end},
  {"launches", function(r) return r.launches end, number},
  {"global bytes", function(r) return r.counted and r.global_load_bytes + r.global_store_bytes end, number},
  {"sectors", function(r) return r.global_sectors end, number},
  {"ideal", function(r) return r.global_sectors_ideal end, number},
}

-- The rows of each point and machine, in order of index.
local function grouped(rows)
  local groups, by_place = {}, {}
  for _, row in ipairs(rows) do
    local machine = row.machine or 1
    local place = row.index .. " " .. machine
    local group = by_place[place]
    if not group then
      group = {index = row.index, machine = machine, rows = {}}
      by_place[place] = group
      groups[#groups + 1] = group
    end
    table.insert(group.rows, row)
  end
  table.sort(groups, function(a, b)
    return a.index < b.index or a.index == b.index and a.machine < b.machine
  end)
  return groups
end

-- Of several rounds the median; nil if none has it.
local function over_rounds(group, get)
  local list = {}
  for _, row in ipairs(group.rows) do
    local value = row.result and get(row.result)
    if value then list[#list + 1] = value end
  end
  return #list > 0 and stats.median(list) or nil
end

local function first_of(group, get)
  for _, row in ipairs(group.rows) do
    local value = get(row)
    if value ~= nil then return value end
  end
end

--- Names that stand in a field of any row that has it, "axes" or "values", sorted.
function M.names(rows, field)
  local seen, names = {}, {}
  for _, row in ipairs(rows) do
    for name in pairs(row[field] or {}) do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

-- The cell of an error: its text, or with the list `errors` its number in that list, where it is counted.
local function error_cell(why, errors)
  if not why then return "" end
  why = why:match "^[^\n]*"
  if not errors then return why end
  for i, item in ipairs(errors) do
    if item.text == why then
      item.count = item.count + 1
      return tostring(i)
    end
  end
  errors[#errors + 1] = {text = why, count = 1}
  return tostring(#errors)
end

--- Rows of cells, the first of headings, and which columns hold numbers; axes as in the header of a run. machines, if
--- the rows are of several, is the list of results/parts.lua: their names are then a column. With the list `errors`, an
--- error is a number in the table and {text=, count=} in the list.
function M.cells(rows, axes, machines, errors)
  local groups, names, used, failed = grouped(rows), M.names(rows, "values"), {}, false
  for _, column in ipairs(columns) do
    for _, group in ipairs(groups) do
      if over_rounds(group, column[2]) then
        used[#used + 1] = column
        break
      end
    end
  end
  for _, row in ipairs(rows) do failed = failed or row.error ~= nil end
  local head, right, axis_names = {}, {}, {}
  for i, axis in ipairs(axes) do axis_names[i] = axis.name end
  for i, axis in ipairs(axes) do
    head[i], right[i] = schema.column("axes", axis.name, names), type(axis.values[1]) == "number"
  end
  for _, column in ipairs(used) do
    head[#head + 1] = column[1]
    right[#head] = true
  end
  for _, name in ipairs(names) do
    head[#head + 1] = schema.column("values", name, axis_names)
    right[#head] = type(first_of({rows = rows}, function(row) return row.values[name] end)) == "number"
  end
  if machines and #machines > 1 then head[#head + 1] = "machine" else machines = nil end
  if failed then head[#head + 1] = "error" end
  local cells = {head}
  for _, group in ipairs(groups) do
    local line = {}
    for i, axis in ipairs(axes) do line[i] = number(group.rows[1].axes[axis.name]) end
    for _, column in ipairs(used) do
      local value = over_rounds(group, column[2])
      line[#line + 1] = value and column[3](value) or ""
    end
    for _, name in ipairs(names) do
      line[#line + 1] = number(first_of(group, function(row) return row.values[name] end))
    end
    if machines then line[#line + 1] = machines[group.machine].name end
    if failed then
      line[#line + 1] = error_cell(first_of(group, function(row) return row.error end), errors)
    end
    cells[#cells + 1] = line
  end
  return cells, right
end

-- The axes that vary over the rows, and the others as words.
local function varying(rows, axes)
  local list, same = {}, {}
  for _, axis in ipairs(axes) do
    local first, varies = rows[1].axes[axis.name], false
    for _, row in ipairs(rows) do varies = varies or row.axes[axis.name] ~= first end
    if varies then list[#list + 1] = axis else same[#same + 1] = ("%s %s"):format(axis.name, number(first)) end
  end
  return list, same
end

--- The table for people: errors that several rows have are told once, below; where the table would be too wide, so are
--- axes that have one value, above.
function M.text(rows, axes, machines)
  local errors, lines, width = {}, {}, screen.width()
  local cells, right = M.cells(rows, axes, machines, errors)
  if #rows > 1 and not columns_text.fits(cells, width) then
    local left, same = varying(rows, axes)
    if #same > 0 and #left > 0 then
      lines[1] = columns_text.folded(table.concat(same, ", ") .. " in all rows") .. "\n"
      errors, axes = {}, left
      cells, right = M.cells(rows, axes, machines, errors)
    end
  end
  local names = #axes
  if #errors > 0 and not columns_text.fits(cells, width, true) then -- then a row that failed is a single line
    for _, row in ipairs(cells) do table.insert(row, names + 1, table.remove(row)) end
    table.insert(right, names + 1, false)
    names = names + 1
  end
  lines[#lines + 1] = columns_text.plain(cells, right, width, names)
  for i, item in ipairs(errors) do
    local first = ("error %d%s: "):format(i, item.count > 1 and (" (%d points)"):format(item.count) or "")
    lines[#lines + 1] = columns_text.wrapped(first, safe.line(item.text), width) .. "\n"
  end
  return table.concat(lines)
end

return M
