-- columns.lua - rows of text as columns for people, as Markdown or as CSV. Read next: experiment/init.lua.
local safe = require "pah.util.safe_text"

local M = {}

-- The rows with every cell on one line and without what a terminal obeys: names come from files and scripts.
local function harmless(rows)
  local copy = {}
  for n, row in ipairs(rows) do
    copy[n] = {}
    for i, cell in ipairs(row) do copy[n][i] = safe.line(cell) end
  end
  return copy
end

--- Words of `text` in lines of at most `width` columns; the first goes behind `first`, the others are indented as deep.
function M.wrapped(first, text, width)
  local lines, line, indent = {}, first, (" "):rep(#first)
  for word in text:gmatch "%S+" do
    if #line + 1 + #word > width and line ~= first and line ~= indent then
      lines[#lines + 1] = line
      line = indent
    end
    line = (line == first or line == indent) and line .. word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- A line in as many lines of 80 columns as it needs, those after the first indented.
function M.folded(line) return (M.wrapped("", safe.line(line), 78):gsub("\n", "\n  ")) end

-- How many columns of these widths fit side by side.
local function fitting(widths, width)
  local used = -2
  for i, this in ipairs(widths) do
    used = used + this + 2
    if used > width then return i - 1 end
  end
  return #widths
end

-- The cells of a row from `first` on, joined, as indented lines.
local function below(row, first, width)
  local rest = {}
  for i = first, #row do
    if row[i] ~= "" then rest[#rest + 1] = row[i] end
  end
  return #rest > 0 and "\n" .. M.wrapped("    ", table.concat(rest, "; "), width) or ""
end

--- Lines of the rows (lists of strings, the first of headings), columns padded. right[i]: column i stands to the right.
--- width: the words of the last column go on in further lines where it would reach beyond; where there is no room for
--- that, the columns that do not fit stand below their row.
function M.plain(rows, right, width)
  local widths, lines = {}, {}
  rows = harmless(rows)
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, safe.width(cell)) end
  end
  local fit = width and fitting(widths, width) or #widths
  local stacked = fit > 0 and fit < #widths - 1
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      if not stacked or i <= fit then cells[i] = safe.pad(cell, widths[i], right and right[i]) end
    end
    local last = table.remove(cells)
    local first = table.concat(cells, "  ") .. (#cells > 0 and "  " or "")
    if width and safe.width(first) + 20 < width and safe.width(first .. last) > width then
      lines[n] = M.wrapped(first, last, width)
    else
      lines[n] = (first .. last):gsub("%s+$", "")
    end
    if stacked then lines[n] = lines[n] .. below(row, fit + 1, width) end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- A table of Markdown, its heading from the first row.
function M.markdown(rows, right)
  local lines, rule = {}, {}
  for i = 1, #rows[1] do rule[i] = right and right[i] and "---:" or "---" end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = safe.markdown(cell) end
    lines[n] = "| " .. table.concat(cells, " | ") .. " |"
  end
  table.insert(lines, 2, "| " .. table.concat(rule, " | ") .. " |")
  return table.concat(lines, "\n") .. "\n"
end

--- Comma-separated values; a cell with a comma, quote or line break is quoted (RFC 4180).
function M.csv(rows)
  local lines = {}
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = cell:find '[,"\r\n]' and '"' .. cell:gsub('"', '""') .. '"' or cell
    end
    lines[n] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
