-- words.lua - what may follow on a command line: `pah __words WORD ... PARTIAL` prints it, one a line, for the
-- completion of shells (scripts/completion). Nothing: the shell offers file names. Read next: init.lua (commands).
local manual = require "pah.manual"

local M = {}

-- Options whose values are words.
local values = {dtype = manual.words.dtype, device = manual.words.device, op = manual.words.op,
  kind = {"curve", "heat", "roofline", "bars", "samples"}, format = {"text", "md", "csv", "json"},
  arch = {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a"}}

-- The options of a command as they are typed.
local function options_of(command)
  local list = {"--help"}
  for name in pairs(command.options or {}) do list[#list + 1] = "--" .. name:gsub("_", "-") end
  return list
end

-- Of a list of words, those that begin with what is typed of the last one, after its last comma.
local function matching(list, partial, whole)
  local found = {}
  for _, word in ipairs(list) do
    word = (whole or "") .. word
    if word:sub(1, #partial) == partial then found[#found + 1] = word end
  end
  table.sort(found)
  return found
end

--- The words that may stand for the last of `typed` (the words after "pah"); `commands` and `order` as in init.lua,
--- `examples`: the names of those that ship.
function M.after(typed, commands, order, examples)
  local partial, name = typed[#typed] or "", typed[1]
  if #typed <= 1 then
    if partial:find "^%-" then return matching({"--help", "--version", "-e", "-i", "-l", "-v", "-E"}, partial) end
    return matching(order, partial)
  end
  local command = commands[name]
  if not command then return {} end
  local before = typed[#typed - 1] == "=" and typed[#typed - 2] or typed[#typed - 1]
  local option = before:match "^%-%-([%w-]+)$"
  local entry = option and command.options and command.options[(option:gsub("-", "_"))]
  if entry then return matching(entry.choices or values[option] or {}, partial, partial:match "^.*,") end
  if partial:find "^%-" then return matching(options_of(command), partial) end
  if name == "run" and #typed == 2 then return matching(examples, partial) end
  if name == "help" then
    local list = {unpack(order)}
    if partial:find "[%.:]" or partial == "pah" then
      list = {} -- with "." for ":", where shells part words
      for _, e in ipairs(manual.entries) do list[#list + 1] = e.name and e.name:gsub(":", ".") or nil end
    end
    return matching(list, partial)
  end
  if name == "cache" and #typed == 2 then return matching({"clear"}, partial) end
  return {}
end

return M
