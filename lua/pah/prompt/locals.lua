-- locals.lua - locals of the prompt that outlive their line: a `local` at the top level of a typed chunk names a
-- variable of the session, which later chunks see and scripts, modules and _G do not.
-- Promises: lines and messages stay those of what was typed; `local` inside a block is Lua's own. Read next: lexer.lua.
local lexer = require "pah.prompt.lexer"

local M = {}

local opens = {["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true}
local closes = {["end"] = true, ["until"] = true}

-- The names that the `local` at words[i] declares, and what to put behind the last of them.
local function declaration(words, i)
  local word = words[i + 1]
  if word and word.text == "function" then return {words[i + 2] and words[i + 2].text} end
  local names = {}
  while word and word.kind == "name" do
    names[#names + 1] = word.text
    local after = words[i + 2]
    if not after or after.text ~= "," then return names, not (after and after.text == "=") and word.last or nil end
    i = i + 2
    word = words[i + 1]
  end
  return names
end

--- The text with every top-level `local` blanked out, so that it assigns where it declared; and the names declared.
function M.lift(text)
  local words, depth, names, parts, at = lexer.words(text), 0, {}, {}, 1
  for i, word in ipairs(words) do
    if word.kind == "keyword" then
      if word.text == "local" and depth == 0 then
        local declared, undefined = declaration(words, i)
        for _, name in ipairs(declared) do names[#names + 1] = name end
        parts[#parts + 1] = text:sub(at, word.first - 1) .. (" "):rep(#"local")
        at = word.last + 1
        if undefined then
          parts[#parts + 1] = text:sub(at, undefined) .. " = nil"
          at = undefined + 1
        end
      elseif opens[word.text] then
        depth = depth + 1
      elseif closes[word.text] then
        depth = depth - 1
      end
    end
  end
  return table.concat(parts) .. text:sub(at), names
end

--- A session: session.values by name, session.env for setfenv, session:declare(names), session:names().
function M.new()
  local NIL = {} -- the value of a local that is nil: it hides a global of its name
  local declared, values = {}, {}
  local self = {}
  self.env = setmetatable({}, {
    __index = function(_, name)
      local value = values[name]
      if value == nil then return _G[name] end
      if value ~= NIL then return value end
    end,
    __newindex = function(_, name, value)
      if not declared[name] then
        _G[name] = value
      elseif value == nil then
        values[name] = NIL
      else
        values[name] = value
      end
    end,
  })

  --- Makes the names locals of the session; until they are assigned they stand for what they stood for before.
  function self.declare(names)
    for _, name in ipairs(names) do declared[name] = true end
  end

  --- The set of the names that are locals.
  function self.names() return declared end
  return self
end

return M
