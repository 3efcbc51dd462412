-- complete.lua - what Tab does at the prompt: names of globals, fields, methods and properties of every object, keys of
-- named arguments, words that an argument allows (dtypes, devices, ...), file names in other strings.
-- Promises: looks values up and calls no user code but __index. Read next: call.lua, lua/pah/manual/init.lua.
local call = require "pah.prompt.call"
local help = require "pah.manual.help"
local host = require "pah.host"
local lexer = require "pah.prompt.lexer"
local manual = require "pah.manual"

local M = {}

local session -- of the prompt: its locals

--- Names are looked up in this session (locals.lua) first.
function M.look_in(s) session = s end

local function field(value, key)
  local ok, result = pcall(function() return value[key] end)
  if ok then return result end
end

--- The value that a chain such as `pah.safetensors` or `t` names, nil if it names none.
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

M.lookup = lookup

-- The public members of an object of pah.
local function members(class)
  local names = {}
  for _, e in ipairs(manual.by_owner[class]) do names[e.key] = true end
  return names
end

-- Names that may follow `chain` (empty: globals) and then "." or ":".
local function names_after(chain, colon)
  local names = {}
  if chain == "" then
    for word in pairs(lexer.keywords) do names[word] = true end
    for name in pairs(session and session.names() or {}) do names[name] = true end
    gather(_G, names)
    return names
  end
  local value = lookup(chain)
  local class = help.class_of(value)
  if class then
    names = members(class)
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

-- Keys that may be given at this place, as "name = ".
local function keys_of(place)
  local names = {}
  for _, f in ipairs(place.record.fields) do
    if not place.keys[f.name] then names[f.name .. " = "] = true end
  end
  return names
end

-- Those of the names that begin with prefix, sorted.
local function matching(names, prefix)
  local list = {}
  for name in pairs(names) do
    if name:sub(1, #prefix) == prefix then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- The choice inside the open string `word`, the words before it known: names, the part typed, the closing quote.
local function in_string(word, words)
  local text = word.text:match "^[\"'](.*)$" or ""
  local place = call.place(words, lookup)
  local names = place and place.type and call.words_of(place.type) or {}
  local list = next(names) and matching(names, text)
  if list then return list, text, word.text:sub(1, 1) end
  local prefix
  names, prefix = files(text)
  return matching(names, prefix), prefix, word.text:sub(1, 1)
end

-- The choice at the end of the line, outside of strings: a list of names and the part of them that is typed.
local function in_code(line, words)
  local chain, sign, part = line:match "([%a_][%w_.:]*)([.:])([%w_]*)$"
  if chain then return matching(names_after(chain, sign == ":"), part), part end
  part = line:match "[%w_]*$"
  if part ~= "" then words[#words] = nil end
  local place = call.place(words, lookup)
  if place and place.record then
    local list = matching(keys_of(place), part)
    if #list > 0 then return list, part end
  end
  if part == "" or line:match "[.:]%s*[%w_]*$" then return {}, part end
  return matching(names_after("", false), part), part
end

-- Whether the text ends in a comment.
local function in_comment(text, last)
  return text:find("%-%-", last and last.last + 1 or 1) ~= nil
end

--- For the line up to the cursor, and the lines of the chunk before it: the text to insert, and the list to show as
--- text if there is a choice and nothing to insert (else nil).
function M.complete(line, before)
  local text = before and before .. "\n" .. line or line
  local words = lexer.words(text)
  local last = words[#words]
  local list, prefix, quote
  if last and last.open and last.text:match "^[\"']" then
    words[#words] = nil
    list, prefix, quote = in_string(last, words)
  elseif last and last.open or in_comment(text, last) then
    return ""
  else
    list, prefix = in_code(line, words)
  end
  if #list == 0 then return "" end
  local insert = common_prefix(list):sub(#prefix + 1)
  if #list == 1 and quote and not list[1]:match "/$" then insert = insert .. quote end
  return insert, #list > 1 and insert == "" and columns(list) or nil
end

return M
