-- inspect.lua - pah.inspect: values as the prompt and print show them. Tables are readable and elided, lists of numbers
-- packed into columns; everything else is told by tostring.
local M = {}

local plain_print = print
local width, entries, depth_limit = 100, 60, 5
local number_entries = 200 -- of a list of numbers, which takes less room

local function has_tostring(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and meta.__tostring
end

-- A value inside a table: strings quoted, what prints on many lines by its last line (a tensor's footer).
local function scalar(value)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  local text = tostring(value)
  if not text:find "\n" then return text end
  return "<" .. text:match "[^\n]*$" .. ">"
end

local rank = {number = 1, string = 2, boolean = 3}

local function before(a, b)
  local x, y = rank[type(a)] or 4, rank[type(b)] or 4
  if x ~= y then return x < y end
  if x <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

-- Keys beyond the list 1 .. n, sorted.
local function other_keys(t, n)
  local keys = {}
  for key in next, t do
    if not (type(key) == "number" and key >= 1 and key <= n and key % 1 == 0) then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return keys
end

-- Whether t is a list of nothing but numbers.
local function is_number_list(t)
  for i = 1, math.min(#t, number_entries) do
    if type(rawget(t, i)) ~= "number" then return false end
  end
  return #t > 1 and #other_keys(t, #t) == 0
end

-- A list of numbers: on one line if it fits, else in columns of one width.
local function number_list(t, indent)
  local texts, widest, n = {}, 0, math.min(#t, number_entries)
  for i = 1, n do
    texts[i] = tostring(rawget(t, i)) .. (i < #t and "," or "")
    widest = math.max(widest, #texts[i])
  end
  local more = #t > n and (" ... %d more"):format(#t - n) or ""
  local line = "{" .. table.concat(texts, " ") .. more .. "}"
  if #indent + #line <= width then return line end
  local inner, lines = indent .. "  ", {}
  local per_line = math.max(1, math.floor((width - #inner + 1) / (widest + 1)))
  for i = 1, n, per_line do
    local cells = {}
    for j = i, math.min(i + per_line - 1, n) do cells[#cells + 1] = (" "):rep(widest - #texts[j]) .. texts[j] end
    lines[#lines + 1] = inner .. table.concat(cells, " ")
  end
  return "{\n" .. table.concat(lines, "\n") .. (more ~= "" and "\n" .. inner .. more:sub(2) or "")
    .. "\n" .. indent .. "}"
end

local show

-- The texts of the entries of t: its list, then its other keys.
local function entries_of(t, depth, inner, open)
  local parts, n = {}, #t
  for i = 1, math.min(n, entries) do parts[i] = show(rawget(t, i), depth + 1, inner, open) end
  if n > entries then parts[#parts + 1] = ("... %d more"):format(n - entries) end
  local keys = other_keys(t, n)
  for i = 1, math.min(#keys, entries) do
    local key = keys[i]
    local name = type(key) == "string" and key:match "^[%a_][%w_]*$" or "[" .. scalar(key) .. "]"
    parts[#parts + 1] = name .. " = " .. show(rawget(t, key), depth + 1, inner, open)
  end
  if #keys > entries then parts[#parts + 1] = ("... %d more keys"):format(#keys - entries) end
  return parts
end

function show(value, depth, indent, open)
  if type(value) ~= "table" or has_tostring(value) then return scalar(value) end
  if open[value] then return "<the table around it>" end
  if next(value) == nil then return "{}" end
  if depth >= depth_limit then return "{...}" end
  if is_number_list(value) then return number_list(value, indent) end
  open[value] = true
  local inner = indent .. "  "
  local parts = entries_of(value, depth, inner, open)
  open[value] = nil
  local line = "{" .. table.concat(parts, ", ") .. "}"
  if #indent + #line <= width and not line:find "\n" then return line end
  return "{\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. "}"
end

--- The value as text; a string at the top stands as it is.
function M.inspect(value)
  if type(value) ~= "table" or has_tostring(value) then return tostring(value) end
  return show(value, 0, "", {})
end

--- Lua's print, but a table without a __tostring of its own is shown by inspect.
function M.print(...)
  local n, values = select("#", ...), {...}
  for i = 1, n do
    if type(values[i]) == "table" then values[i] = M.inspect(values[i]) end
  end
  plain_print(unpack(values, 1, n))
end

M.exports = {inspect = M.inspect}

return M
