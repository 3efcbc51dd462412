-- table.lua - the rows of a run as tables of HTML: timed ones, counted ones, failed ones.
-- Promises: a column keeps one unit; what is left out is named; a counted row is never shown as a time.
-- Read next: findings.lua, init.lua.
local data = require "pah.plot.data"
local findings = require "pah.report.findings"
local html = require("pah.util.safe_text").html
local results_table = require "pah.results.table"
local parts_of = require "pah.results.parts"
local schema = require "pah.results.schema"
local units = require "pah.util.units"

local M = {}

local MOST_ROWS, MOST_FAILED, MOST_VALUES = 500, 50, 8

-- ---- Columns ------------------------------------------------------------------------------------------------------

-- A column: {head=, unit=, cell = function(row) -> HTML or nil, number = whether it is aligned to the right}.
local function number_column(rows, head, kind, name, interval)
  local low, high
  for _, row in ipairs(rows) do
    local v = data.value(row, name)
    if v then low, high = math.min(low or v, math.abs(v)), math.max(high or v, math.abs(v)) end
  end
  if not high then return nil end
  -- One unit for the column, the largest in which the smallest number has a digit to show.
  local unit = units.scale(kind, low > 0 and high / low > 1e4 and high or math.max(low, high / 1e3))
  return {head = head, unit = unit[2], number = true, name = name, cell = function(row)
    local v, from, to = data.value(row, name)
    if not v then return nil end
    local words = units.number(v / unit[1], kind == "n" and 3 or 4)
    if unit[1] == 1 and v % 1 == 0 and math.abs(v) < 1e9 then words = ("%d"):format(v) end
    if not interval or not from then return words end
    local digits = math.min(7, math.max(4, #words:match "^%d*" + #(words:match "%.(%d*)$" or "")))
    return ("%s <small>%s – %s</small>"):format(words, units.number(from / unit[1], digits),
      units.number(to / unit[1], digits))
  end}
end

local function fraction_column(rows)
  local any
  for _, row in ipairs(rows) do any = any or data.value(row, "fraction") end
  return any and {head = "of the limit", unit = "%", number = true, cell = function(row)
    local v = data.value(row, "fraction")
    if not v then return nil end
    local by = row.result.limit and row.result.limit.by
    return ('<span class="bar" style="--part:%.3f"></span>%.1f%s'):format(math.max(0, math.min(1, v)), 100 * v,
      by and (" <small>%s</small>"):format(html(by)) or "")
  end}
end

-- Axes that vary are columns; the others are named once: {"head_dim 128", ...}.
local function axis_columns(run, rows)
  local points = {}
  for i, row in ipairs(rows) do points[i] = {axes = data.axes_of(row)} end
  local columns, constant, values = {}, {}, results_table.names(rows, "values")
  for _, axis in ipairs((data.axes({run}, points))) do
    if #axis.values > 1 or #rows == 1 then
      local head = axis.name == "axes.run" and axis.name or schema.column("axes", axis.name, values)
      columns[#columns + 1] = {head = head, number = axis.numeric, axis = true, cell = function(row)
        local value = data.axes_of(row)[axis.name]
        return value ~= nil and html(axis.numeric and units.number(value, 6):gsub("%.0+$", "") or value) or nil
      end}
    else
      constant[#constant + 1] = ("%s %s"):format(axis.name, tostring(axis.values[1]))
    end
  end
  if #columns == 0 then
    columns[1] = {head = "point", axis = true, cell = function(row) return html(findings.row_name(row)) end}
  end
  return columns, constant
end

-- What else the function of a point returned: numbers, words, flags.
local function value_columns(rows, columns)
  local names, axes = results_table.names(rows, "values"), results_table.names(rows, "axes")
  for i, name in ipairs(names) do
    if i > MOST_VALUES then break end
    local numeric = false
    for _, row in ipairs(rows) do numeric = numeric or type((row.values or {})[name]) == "number" end
    columns[#columns + 1] = {head = schema.column("values", name, axes), number = numeric, cell = function(row)
      local value = (row.values or {})[name]
      if value == nil then return nil end
      if type(value) ~= "number" then return html(value) end
      return html(value % 1 == 0 and math.abs(value) < 1e9 and ("%d"):format(value) or units.short(value, 3))
    end}
  end
  return math.max(0, #names - MOST_VALUES)
end

-- ---- Tables -------------------------------------------------------------------------------------------------------

local function draw(rows, columns, caption, most)
  local out = {'<div class="scroll" tabindex="0" role="region" aria-label="', html(caption), '"><table><caption>',
    html(caption), "</caption><thead><tr>"}
  local function add(...)
    for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end
  end
  for _, column in ipairs(columns) do
    add('<th scope="col"', column.number and ' class="n">' or ">", html(column.head))
    if column.unit and column.unit ~= "" then add(" <small>", html(column.unit), "</small>") end
    add "</th>"
  end
  add "</tr></thead><tbody>\n"
  for i, row in ipairs(rows) do
    if i > most then break end
    add "<tr>"
    for _, column in ipairs(columns) do
      local cell = column.cell(row)
      add("<td", column.number and ' class="n">' or ">", cell or "–", "</td>")
    end
    add "</tr>\n"
  end
  add "</tbody></table></div>\n"
  return table.concat(out)
end

local function captioned(rows, columns, constant, what, hidden)
  local caption = ("%d %s"):format(#rows, #rows == 1 and what:gsub("s$", "") or what)
  if #rows > MOST_ROWS then caption = ("The first %d of %d %s"):format(MOST_ROWS, #rows, what) end
  if #constant > 0 then caption = caption .. "; all with " .. table.concat(constant, ", ") end
  if hidden > 0 then caption = caption .. ("; %d more columns are in the file"):format(hidden) end
  return draw(rows, columns, caption, MOST_ROWS)
end

-- Adds the machine of a row as column `at`, if the run has several.
local function with_machine(run, columns, at)
  local machines = parts_of.machines(run)
  if #machines < 2 then return end
  table.insert(columns, at, {head = "machine", cell = function(row) return html(machines[row.machine or 1].name) end})
end

local function with_round(run, columns)
  with_machine(run, columns, #columns + 1)
  if findings.rounds(run) > 1 then
    columns[#columns + 1] = {head = "round", number = true, cell = function(row) return tostring(row.round or 1) end}
  end
end

local function timed_table(run, rows)
  local columns, constant = axis_columns(run, rows)
  with_round(run, columns)
  columns[#columns + 1] = number_column(rows, "median", "s", "median", true)
  columns[#columns + 1] = number_column(rows, "bandwidth", "B/s", "bytes_per_second")
  columns[#columns + 1] = number_column(rows, "throughput", "FLOP/s", "flops_per_second")
  columns[#columns + 1] = fraction_column(rows) or nil
  local hidden = value_columns(rows, columns)
  columns[#columns + 1] = number_column(rows, "samples", "n", "n")
  local groups, any = findings.notes(run), false
  for _, row in ipairs(rows) do any = any or findings.letters(row, groups) ~= "" end
  if any then
    columns[#columns + 1] = {head = "notes", cell = function(row)
      local letters = findings.letters(row, groups)
      return letters ~= "" and html(letters) or nil
    end}
  end
  return captioned(rows, columns, constant, "rows", hidden)
end

-- Counters that are shown, and those that are shown as a multiple of their ideal.
local counters = {
  {"launches", "launches", "n"}, {"thread blocks", "thread_blocks", "n"}, {"global read", "global_load_bytes", "B"},
  {"global written", "global_store_bytes", "B"}, {"global sectors", "global_sectors", "n", "global_sectors_ideal"},
  {"shared wavefronts", "shared_wavefronts", "n", "shared_wavefronts_ideal"}, {"mma flops", "mma_flops", "n"},
  {"barriers", "barriers", "n"}, {"atomics", "atomics", "n"},
}

local function counted_table(run, rows)
  local columns, constant = axis_columns(run, rows)
  with_round(run, columns)
  for _, c in ipairs(counters) do
    columns[#columns + 1] = number_column(rows, c[1], c[3], c[2])
    if c[4] then
      columns[#columns + 1] = {head = "of the ideal", unit = "x", number = true, cell = function(row)
        local v, ideal = data.value(row, c[2]), data.value(row, c[4])
        return v and ideal and ideal > 0 and ("%.2f"):format(v / ideal) or nil
      end}
    end
  end
  local hidden = value_columns(rows, columns)
  return captioned(rows, columns, constant, "rows, counted on a simulated GPU and not timed", hidden)
end

local function failed_table(run, rows)
  local rounds = findings.rounds(run)
  local columns = {
    {head = "point", axis = true, cell = function(row) return html(findings.row_name(row, rounds)) end},
    {head = "error", cell = function(row)
      local first, rest = findings.error_of(row)
      if not rest then return html(first) end
      local lines = {}
      for line in rest:gmatch "[^\n]+" do lines[#lines + 1] = html(line) end
      return ("%s<details><summary>traceback</summary><pre>%s</pre></details>"):format(html(first),
        table.concat(lines, "\n"))
    end},
  }
  with_machine(run, columns, 2)
  local caption = #rows > MOST_FAILED and ("The first %d of %d failed rows"):format(MOST_FAILED, #rows)
    or ("%d failed row%s"):format(#rows, #rows == 1 and "" or "s")
  return (draw(rows, columns, caption, MOST_FAILED):gsub('class="scroll"', 'class="scroll failed"', 1))
end

-- Rows that succeeded and have no result of a bench: what their function returned.
local function plain_table(run, rows)
  local columns, constant = axis_columns(run, rows)
  with_round(run, columns)
  local hidden = value_columns(rows, columns)
  return captioned(rows, columns, constant, "rows that were not timed", hidden)
end

--- The tables of a run, as HTML.
function M.of(run)
  local timed, counted, failed, plain = {}, {}, {}, {}
  local rows = {}
  for i, row in ipairs(run.rows) do rows[i] = {row = row, place = i} end
  table.sort(rows, function(a, b) -- a sweep stores them in random order
    local x, y = a.row, b.row
    if (x.index or 0) ~= (y.index or 0) then return (x.index or 0) < (y.index or 0) end
    if (x.round or 1) ~= (y.round or 1) then return (x.round or 1) < (y.round or 1) end
    return a.place < b.place
  end)
  for _, item in ipairs(rows) do
    local row = item.row
    local r = row.result
    local list = row.status ~= "ok" and failed or r and r.counted and counted or r and r.median and timed or plain
    list[#list + 1] = row
  end
  local parts = {}
  if #timed > 0 then parts[#parts + 1] = timed_table(run, timed) end
  if #counted > 0 then parts[#parts + 1] = counted_table(run, counted) end
  if #plain > 0 then parts[#parts + 1] = plain_table(run, plain) end
  if #failed > 0 then parts[#parts + 1] = failed_table(run, failed) end
  return table.concat(parts)
end

return M
