-- luals.lua - definitions for editors in the words of LuaLS (---@meta): lua/meta/GROUP.lua for every group of the
-- manual. scripts/manual writes the files, spec/tree/manual_spec.lua compares. Read next: init.lua.
local manual = require "pah.manual"

local M = {}

-- A type in LuaLS's words: the manual's own classes have the prefix "pah.".
local function type_text(kind)
  return (kind:gsub('"[^"]*"', function(word) return word:gsub("%w", "\1%0") end):gsub("%f[%w_.\1][%a_][%w_.]*",
    function(name)
      local own = manual.classes[name] or manual.records[name] or manual.words[name]
      return own and "pah." .. name or name
    end):gsub("\1", ""))
end

-- Text as lines of comment, at most 120 columns.
local function comment(text)
  local lines, line = {}, "---"
  for word in text:gmatch "%S+" do
    if #line + #word + 1 > 118 then
      lines[#lines + 1] = line
      line = "---"
    end
    line = line .. (line == "---" and "" or " ") .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

local function one_line(head, about)
  local text = about and ("%s # %s"):format(head, about) or head
  return #text <= 118 and text or about and comment(about) .. "\n" .. head or text
end

local function function_text(e)
  local lines = {comment(e.about)}
  if e.example then
    lines[#lines + 1] = "---```lua"
    for line in e.example:gmatch "[^\n]+" do lines[#lines + 1] = "---" .. line end
    lines[#lines + 1] = "---```"
  end
  local names = {}
  for _, p in ipairs(e.params) do
    local name = p.name or "..."
    names[#names + 1] = name
    lines[#lines + 1] = ("---@param %s%s %s"):format(name, p.optional and "?" or "", type_text(p.type))
  end
  for _, r in ipairs(e.returns) do
    lines[#lines + 1] = ("---@return %s%s"):format(type_text(r.type), r.name and " " .. r.name or "")
  end
  lines[#lines + 1] = ("function %s(%s) end"):format(e.name, table.concat(names, ", "))
  return table.concat(lines, "\n")
end

local function record_text(e)
  local lines = {comment(e.about), "---@class pah." .. e.record}
  for _, f in ipairs(e.fields) do
    local head = ("---@field %s%s %s"):format(f.name, f.optional and "?" or "", type_text(f.type))
    lines[#lines + 1] = one_line(head, f.about)
  end
  return table.concat(lines, "\n")
end

-- What a tensor can do besides its methods.
local tensor_operators = [[
---@operator len: integer
---@operator add(pah.Tensor|number): pah.Tensor
---@operator sub(pah.Tensor|number): pah.Tensor
---@operator mul(pah.Tensor|number): pah.Tensor
---@operator div(pah.Tensor|number): pah.Tensor
---@operator pow(pah.Tensor|number): pah.Tensor
---@operator unm: pah.Tensor
---@field [integer] pah.Tensor|number
---@field [table] pah.Tensor|number]]

local function class_text(e)
  local lines = {comment(e.about), "---@class pah." .. e.class}
  if e.class == "Tensor" then lines[#lines + 1] = tensor_operators end
  if e.class == "Sequence" then lines[#lines + 1] = "---@operator len: integer" end
  for _, member in ipairs(manual.by_owner[e.class]) do
    if member.type then
      lines[#lines + 1] = one_line(("---@field %s %s"):format(member.key, type_text(member.type)), member.about)
    end
  end
  lines[#lines + 1] = ("local %s = {}"):format(e.class)
  return table.concat(lines, "\n")
end

-- What stands at the top of a group's file: tables of functions, aliases, classes whose methods another group adds.
local function preamble(group)
  local lines, seen = {}, {}
  if group == "program" then
    local words = {}
    for _, name in ipairs {"dtype", "device", "op"} do
      for i, word in ipairs(manual.words[name]) do words[i] = ('"%s"'):format(word) end
      local more = name == "device" and "|string|pah.Device" or ""
      lines[#lines + 1] = ("---@alias pah.%s %s%s"):format(name, table.concat(words, "|"), more)
      words = {}
    end
    lines[#lines + 1] = "---@class pah\npah = {}"
  end
  for _, e in ipairs(manual.in_group[group]) do
    if e.owner and not seen[e.owner] then
      seen[e.owner] = true
      if e.owner:match "^pah%." then lines[#lines + 1] = e.owner .. " = {}" end
      local class = manual.classes[e.owner]
      if class and class.group ~= group then
        lines[#lines + 1] = ("---@class pah.%s\nlocal %s = {}"):format(e.owner, e.owner)
      end
    end
  end
  return lines
end

--- The text of the definitions of a group.
function M.text(group)
  local head = "-- %s.lua - definitions for editors, made by scripts/manual from lua/pah/manual.\n---@meta%s"
  local parts = {head:format(group, group == "program" and " pah" or "")}
  for _, part in ipairs(preamble(group)) do parts[#parts + 1] = part end
  for _, e in ipairs(manual.in_group[group]) do
    if e.record then
      parts[#parts + 1] = record_text(e)
    elseif e.class then
      parts[#parts + 1] = class_text(e)
    elseif e.params then
      parts[#parts + 1] = function_text(e)
    elseif e.owner:match "^pah" then
      parts[#parts + 1] = ("%s\n---@type %s\n%s = nil"):format(comment(e.about), type_text(e.type), e.name)
    end
  end
  if group == "program" then parts[#parts + 1] = "return pah" end
  return table.concat(parts, "\n\n") .. "\n"
end

return M
