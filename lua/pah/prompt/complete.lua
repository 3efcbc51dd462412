-- complete.lua - what Tab does at the prompt: names of globals, fields, methods and tensor properties, file names in
-- strings. Promises: looks values up and calls no user code but __index.
local host = require "pah.host"
local tensor = require "pah.tensor"

local M = {}

local keywords = require("pah.prompt.lexer").keywords

local session -- of the prompt: its locals

--- Names are looked up in this session (locals.lua) first.
function M.look_in(s) session = s end

local function field(value, key)
  local ok, result = pcall(function() return value[key] end)
  if ok then return result end
end

-- The value that a chain such as `pah.safetensors` or `t` names, nil if it names none.
local function lookup(chain)
  local value = session and session.env or _G
  for name in chain:gmatch "[^.:]+" do
    value = field(value, name)
    if value == nil then return nil end
  end
  return value
end

-- Adds the string keys of `value` and of what its metatable indexes to the set `names`.
local function gather(value, names)
  for _ = 1, 8 do
    if type(value) ~= "table" then break end
    for key in next, value do
      if type(key) == "string" and key:match "^[%a_][%w_]*$" and not key:match "^__" then names[key] = true end
    end
    local meta = getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
end

-- Names that may follow `chain` (empty: globals) and then "." or ":".
local function names_after(chain, colon)
  local names = {}
  if chain == "" then
    for word in pairs(keywords) do names[word] = true end
    for name in pairs(session and session.names() or {}) do names[name] = true end
    gather(_G, names)
    return names
  end
  local value = lookup(chain)
  if tensor.is_tensor(value) then
    for _, name in ipairs(tensor.names()) do names[name] = true end
  elseif type(value) == "string" then
    gather(string, names)
  else
    gather(value, names)
  end
  if colon then
    for name in pairs(names) do
      if type(field(value, name)) ~= "function" then names[name] = nil end
    end
  end
  return names
end

-- The text of the string literal that is open at the end of the line; nil if none is.
local function open_string(line)
  local quote, start
  local i = 1
  while i <= #line do
    local c = line:sub(i, i)
    if quote then
      if c == "\\" then i = i + 1 elseif c == quote then quote = nil end
    elseif c == '"' or c == "'" then
      quote, start = c, i + 1
    elseif line:sub(i, i + 1) == "--" then
      return nil
    end
    i = i + 1
  end
  return quote and line:sub(start), quote
end

local function files(path)
  local folder, prefix = path:match "^(.*/)([^/]*)$"
  if not folder then folder, prefix = "", path end
  local place = folder == "" and "." or folder:gsub("^~/", (os.getenv "HOME" or "~") .. "/")
  local names = {}
  for _, name in ipairs(host.list(place) or {}) do
    if prefix ~= "" or not name:match "^%." then names[name] = true end
  end
  return names, prefix
end

local function common_prefix(list)
  local prefix = list[1]
  for i = 2, #list do
    local n = 0
    while n < #prefix and prefix:byte(n + 1) == list[i]:byte(n + 1) do n = n + 1 end
    prefix = prefix:sub(1, n)
  end
  return prefix
end

local function columns(list)
  local widest = 0
  for _, name in ipairs(list) do widest = math.max(widest, #name) end
  local per_line = math.max(1, math.floor(78 / (widest + 2)))
  local lines = {}
  for i = 1, #list, per_line do
    local cells = {}
    for j = i, math.min(i + per_line - 1, #list) do
      cells[#cells + 1] = list[j] .. (" "):rep(widest - #list[j])
    end
    lines[#lines + 1] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

--- For the line up to the cursor: the text to insert, and the list to show as text if there is a choice and nothing
--- to insert (else nil).
function M.complete(line)
  local names, prefix
  local text, quote = open_string(line)
  if text then
    names, prefix = files(text)
  else
    local chain, sign, word = line:match "([%a_][%w_.:]*)([.:])([%w_]*)$"
    if not chain then
      word = line:match "[%w_]*$"
      if word == "" or line:match "[.:]%s*[%w_]*$" then return "" end
    end
    names, prefix = names_after(chain or "", sign == ":"), word
  end
  local list = {}
  for name in pairs(names) do
    if name:sub(1, #prefix) == prefix then list[#list + 1] = name end
  end
  table.sort(list)
  if #list == 0 then return "" end
  local insert = common_prefix(list):sub(#prefix + 1)
  if #list == 1 and quote and not list[1]:match "/$" then insert = insert .. quote end
  return insert, #list > 1 and insert == "" and columns(list) or nil
end

return M
