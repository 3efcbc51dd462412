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

--- Words of `text` in lines of at most `width` columns; the first goes behind `first`, the others are indented as
--- deep.
function M.wrapped(first, text, width)
  local lines, line, indent = {}, first, (" "):rep(safe.width(first))
  for word in text:gmatch "%S+" do
    if safe.width(line) + 1 + safe.width(word) > width and line ~= first and line ~= indent then
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

-- ---- Plain text -------------------------------------------------------------------------------------------------

local GAP, INDENT = "  ", "    " -- between columns; before what stands below its row
local WORDS = 20 -- columns that words need to go on in further lines

-- Columns from `first` to `last` side by side.
local function width_of(widths, first, last)
  local sum = -#GAP
  for i = first, last do sum = sum + widths[i] + #GAP end
  return math.max(sum, 0)
end

-- Widths of the columns in a line for each row, from row `first` on.
local function widths_of(rows, first)
  local widths = {}
  for n = first or 1, #rows do
    for i, cell in ipairs(rows[n]) do widths[i] = math.max(widths[i] or 0, safe.width(cell)) end
  end
  return widths
end

-- A heading in two lines at most, no wider than `width` where its words allow that; also the width that it needs.
local function heading_in_two(head, width)
  for word in head:gmatch "%S+" do width = math.max(width, safe.width(word)) end
  local text = M.wrapped("", head, width)
  while text:find "\n.*\n" do
    width = width + 1
    text = M.wrapped("", head, width)
  end
  return text:find "\n" and {text:match "^(.*)\n(.*)$"} or {text}, width
end

-- The same where headings, the first row, have two lines if that makes their columns narrower; also these lines.
local function folded_widths(rows)
  local widths, heads = widths_of(rows, 2), {}
  for i, head in ipairs(rows[1]) do heads[i], widths[i] = heading_in_two(head, widths[i] or 0) end
  return widths, heads
end

-- Cells of the columns from share[1] to share[2] on one line.
local function line_of(cells, widths, right, share)
  local parts = {}
  for i = share[1], share[2] do
    parts[#parts + 1] = safe.pad(cells[i] or "", widths[i], right and right[i])
  end
  return (table.concat(parts, GAP):gsub("%s+$", ""))
end

-- The lines of headings of those columns; the last words of all stand in the last line.
local function heading_lines(heads, widths, right, share)
  local above, below = {}, {}
  for i, lines in ipairs(heads) do above[i], below[i] = lines[2] and lines[1] or "", lines[2] or lines[1] end
  above, below = line_of(above, widths, right, share), line_of(below, widths, right, share)
  return above ~= "" and {above, below} or {below}
end

-- A line for each row, and for headings of two lines (`heads`) two; `words`: the words of the last column go on in
-- further lines where they need more columns than that.
local function flat(rows, widths, heads, right, words)
  local all, count = {1, #widths}, #widths
  local lines = heads and heading_lines(heads, widths, right, all) or {}
  for n = heads and 2 or 1, #rows do
    local last = rows[n][count]
    if words and last and safe.width(last) > words then
      local first = safe.pad(line_of(rows[n], widths, right, {1, count - 1}), width_of(widths, 1, count - 1))
      if count > 1 then first = first .. GAP end
      lines[#lines + 1] = M.wrapped(first, last, safe.width(first) + words)
    else
      lines[#lines + 1] = line_of(rows[n], widths, right, all)
    end
  end
  return lines
end

-- The columns that share a line, {{first, last}, ...}: the first `names`, then the others, each as many as fit.
local function shares(widths, width, names)
  local list, used = {{1, 0}}, 0
  for i, this in ipairs(widths) do
    if i > 1 and (i == names + 1 or used + this > width) then
      list[#list + 1] = {i, i}
      used = #INDENT
    end
    list[#list][2] = i
    used = used + this + #GAP
  end
  return list
end

-- A line behind its indent; that of a single column too wide has its words in further lines.
local function within(width, indent, line)
  return #indent + safe.width(line) > width and M.wrapped(indent, line, width) or indent .. line
end

-- Rows of several lines: the columns that name them, and aligned below them the others.
local function stacked(rows, widths, heads, right, width, names)
  local lines, list = {}, shares(widths, width, names)
  for n, row in ipairs(rows) do
    for k, share in ipairs(list) do
      local own = n == 1 and heading_lines(heads, widths, right, share) or {line_of(row, widths, right, share)}
      for _, line in ipairs(own) do
        local indent = k > 1 and INDENT or ""
        if line ~= "" or k == 1 then lines[#lines + 1] = within(width, indent, line) end
      end
    end
  end
  return lines
end

-- Rows of text: the columns that fit, and below them the words of the others.
local function followed(rows, widths, right, width)
  local lines, first = {}, shares(widths, width, #widths)[1]
  for _, row in ipairs(rows) do
    lines[#lines + 1] = within(width, "", line_of(row, widths, right, first))
    local rest = {}
    for i = first[2] + 1, #row do
      if row[i] ~= "" then rest[#rest + 1] = row[i] end
    end
    if #rest > 0 then lines[#lines + 1] = M.wrapped(INDENT, table.concat(rest, "; "), width) end
  end
  return lines
end

-- Columns for the words of the last column beside the others, or nil if these are too few or they are figures.
local function words_of_last(widths, right, width)
  local room = width - width_of(widths, 1, #widths - 1) - (#widths > 1 and #GAP or 0)
  return room > WORDS and not (right and right[#widths]) and room or nil
end

--- Whether the rows, a heading first, fit into `width` with a line for each, or with `folded` two for the heading.
function M.fits(rows, width, folded)
  local widths = (folded and folded_widths or widths_of)(harmless(rows))
  return width_of(widths, 1, #widths) <= width
end

--- Lines of the rows (lists of strings, the first of headings), columns padded. right[i]: column i stands to the right.
--- width: where the columns need more, the words of the last column, if it has many, go on in further lines, or
--- headings get two lines. Where that is not enough, columns stand below their row: all behind the first `names`,
--- aligned, or without `names` the words of those that do not fit.
function M.plain(rows, right, width, names)
  rows = harmless(rows)
  local widths, heads, words = widths_of(rows), nil, nil
  local function too_wide() return width and width_of(widths, 1, #widths) > width end
  if too_wide() then
    words = words_of_last(widths, right, width)
    if not words then widths, heads = folded_widths(rows) end
    if heads and too_wide() then words = words_of_last(widths, right, width) end
  end
  local lines
  if words or not too_wide() then
    lines = flat(rows, widths, heads, right, words)
  elseif names then
    lines = stacked(rows, widths, heads, right, width, names)
  else
    lines = followed(rows, widths, right, width)
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
