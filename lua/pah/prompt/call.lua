-- call.lua - where the cursor stands in what has been typed: in which argument of which call, at a key of a table of
-- named arguments or at its value. Used by complete.lua. Read next: lexer.lua, lua/pah/manual/init.lua.
local help = require "pah.manual.help"
local manual = require "pah.manual"

local M = {}

local closes = {[")"] = "(", ["}"] = "{", ["]"] = "["}

-- The chain of names that ends at words[i], as text: "pah.decode", "t:view"; "" if there is none.
local function chain_at(words, i)
  local parts, at = {}, i
  while at >= 1 and words[at].kind == "name" do
    table.insert(parts, 1, words[at].text)
    local mark = words[at - 1]
    if not mark or mark.text ~= "." and mark.text ~= ":" then break end
    table.insert(parts, 1, mark.text)
    at = at - 2
  end
  return table.concat(parts)
end
M.chain_at = chain_at

-- The manual's entry of what a chain calls, nil if it has none.
local function entry_of(chain, lookup)
  local object, method = chain:match "^(.+):([%w_]+)$"
  if object then
    local class = help.class_of(lookup(object))
    return class and manual.by_name[class .. ":" .. method]
  end
  local value = chain ~= "" and lookup(chain) or nil
  return type(value) == "function" and help.entry_of(value) or nil
end

-- The brackets that are open after `words`: each with the word before it, its commas, the keys given in it and the key
-- whose value is being typed.
local function open_brackets(words)
  local stack = {}
  for i, word in ipairs(words) do
    local top, text = stack[#stack], word.kind == "symbol" and word.text
    if text == "(" or text == "{" or text == "[" then
      stack[#stack + 1] = {text = text, at = i, commas = 0, keys = {}}
    elseif closes[text] then
      stack[#stack] = nil
    elseif top and text == "," then
      top.commas, top.key = top.commas + 1, nil
    elseif top and text == "=" and words[i - 1].kind == "name" then
      top.key = words[i - 1].text
      top.keys[top.key] = true
    end
  end
  return stack
end

--- What the cursor is in, after the complete words before it: {type =} of the value to be typed there, or {record =,
--- keys =} where a key may begin (keys: those given already). nil where the manual knows nothing of the place.
function M.place(words, lookup)
  local stack = open_brackets(words)
  local top, last = stack[#stack], words[#words]
  if not top then -- pah.device "cpu"
    local e = last and entry_of(chain_at(words, #words), lookup)
    return e and e.params and e.params[1] and {type = e.params[1].type} or nil
  end
  local outer, parameter = stack[#stack - 1], nil
  local e = entry_of(chain_at(words, top.at - 1), lookup)
  if e and e.params then
    parameter = e.params[top.text == "{" and 1 or top.commas + 1]
  elseif top.text == "{" and outer and outer.text == "(" then
    e = entry_of(chain_at(words, outer.at - 1), lookup)
    parameter = e and e.params and e.params[outer.commas + 1]
  end
  if not parameter then return nil end
  if top.text == "(" then return {type = parameter.type} end
  local record
  for kind in parameter.type:gmatch "%a[%w]*" do record = record or manual.records[kind] end
  if not record then return nil end
  if not top.key then return (last.text == "{" or last.text == ",") and {record = record, keys = top.keys} or nil end
  for _, field in ipairs(record.fields) do
    if field.name == top.key then return {type = field.type} end
  end
end

--- The words that a type allows: "a"|"b" themselves, and those of dtype, device and op.
function M.words_of(kind)
  local names = {}
  for word in kind:gmatch '"([^"]*)"' do names[word] = true end
  for alias in kind:gsub('"[^"]*"', ""):gmatch "%l+" do
    for _, word in ipairs(manual.words[alias] or {}) do names[word] = true end
  end
  return names
end

return M
