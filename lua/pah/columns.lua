-- columns.lua - rows of text as columns for people, as Markdown or as CSV. Read next: experiment.lua.
local pad = require("pah.safe_text").pad
local width_of = require("pah.safe_text").width

local M = {}

--- Lines of the rows (lists of strings, the first of headings), columns padded. right[i]: column i stands to the right.
function M.plain(rows, right)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width_of(cell)) end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = pad(cell, widths[i], right and right[i])
    end
    lines[n] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- A table of Markdown, its heading from the first row.
function M.markdown(rows, right)
  local lines, rule = {}, {}
  for i = 1, #rows[1] do rule[i] = right and right[i] and "---:" or "---" end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = cell:gsub("[|\\]", "\\%0"):gsub("\n", " ") end
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
