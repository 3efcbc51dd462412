-- lexer.lua - the words of a piece of Lua: names, keywords, strings, numbers and symbols with their places, comments
-- left out. Promises: any text has words, also half a line; a string that is open at the end is the last word.
-- Used by locals.lua (which `local` is at the top level) and complete.lua (where the cursor stands).
local M = {}

local keywords = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true "
  .. "until while"):gmatch "%a+" do
  keywords[word] = true
end
M.keywords = keywords

-- The end of a long bracket that opens at `at`; nil if none opens there, #text and true if it never closes.
local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, last = text:find("]" .. level .. "]", at, true)
  return last or #text, last == nil
end

-- The end of the quoted string that opens at `at`; true if it is open at the end of its line.
local function quoted(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == quote then return i end
    if c == "\n" then return i - 1, true end
    i = c == "\\" and i + 2 or i + 1
  end
  return #text, true
end

-- The end of the comment at `at`, nil if there is none.
local function comment(text, at)
  if text:sub(at, at + 1) ~= "--" then return nil end
  return long_bracket(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
end

-- Kind and end of the word at `at`, and whether it is a string without an end.
local function word_at(text, at)
  local last = text:match("^[%a_][%w_]*()", at)
  if last then return keywords[text:sub(at, last - 1)] and "keyword" or "name", last - 1 end
  last = text:match("^%.?%d[%w.]*()", at)
  if last then
    while text:find("^[eEpP]", last - 1) and text:find("^[+-]", last) do last = text:match("^[+-]%w*()", last) end
    return "number", last - 1
  end
  if text:find("^[\"']", at) then
    local ending, open = quoted(text, at)
    return "string", ending, open
  end
  local ending, open = long_bracket(text, at)
  if ending then return "string", ending, open end
  last = text:match("^%.%.%.?()", at) or text:match("^[=~<>]=()", at) or text:match("^::()", at)
  return "symbol", (last or at + 1) - 1
end

--- The words of `text`: a list of {kind =, text =, first =, last =, open =}.
function M.words(text)
  local list, at = {}, 1
  while true do
    at = text:find("%S", at)
    if not at then return list end
    local skipped = comment(text, at)
    if skipped then
      at = skipped + 1
    else
      local kind, last, open = word_at(text, at)
      list[#list + 1] = {kind = kind, text = text:sub(at, last), first = at, last = last, open = open}
      at = last + 1
    end
  end
end

return M
