-- inspect.lua - values as the prompt shows them: tables readable and elided, everything else by tostring.
local M = {}

local width, entries, depth_limit = 100, 60, 5

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

local function show(value, depth, indent, open)
  if type(value) ~= "table" or has_tostring(value) then return scalar(value) end
  if open[value] then return "<the table around it>" end
  if next(value) == nil then return "{}" end
  if depth >= depth_limit then return "{...}" end
  open[value] = true
  local inner, parts, n = indent .. "  ", {}, #value
  for i = 1, math.min(n, entries) do parts[i] = show(rawget(value, i), depth + 1, inner, open) end
  if n > entries then parts[#parts + 1] = ("... %d more"):format(n - entries) end
  local keys = other_keys(value, n)
  for i = 1, math.min(#keys, entries) do
    local key = keys[i]
    local name = type(key) == "string" and key:match "^[%a_][%w_]*$" or "[" .. scalar(key) .. "]"
    parts[#parts + 1] = name .. " = " .. show(rawget(value, key), depth + 1, inner, open)
  end
  if #keys > entries then parts[#parts + 1] = ("... %d more keys"):format(#keys - entries) end
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

return M
