-- init.lua - the manual: what every function, operation, module and object of pah is, each said once. help() at the
-- prompt, completion, doc/lua-api.md and the definitions for editors (lua/meta) are all made from it.
-- An entry is {signature, about, example=}: "pah.zeros(shape: integer[], opts?: TensorOptions) -> Tensor" is a
-- function, "Tensor:view(...: integer) -> Tensor" a method, "Tensor.shape: integer[]" a field. {record =
-- "TensorOptions", about, fields = [[...]]} is a table of named values, one a line: name, "?" where it may be left out,
-- ": type", two spaces, words. {class = "Tensor", about} is a kind of object.
-- Read next: tensors.lua (entries), help.lua, page.lua, luals.lua.
local ffi = require "ffi"
local C = require("pah.ffi").C

local M = {}

-- The names that f(0), f(1), ... give, up to NULL.
local function names_of(f, first)
  local list = {}
  for i = first or 0, math.huge do
    local name = f(i)
    if name == nil then return list end
    list[#list + 1] = ffi.string(name)
  end
end

--- Types that are words: their values. A device may also be an object.
M.words = {
  dtype = names_of(C.pah_dtype_name, 1),
  device = names_of(C.pah_device_kind),
  op = {"fwd", "fwd_fp8", "bwd", "decode"},
}

--- Names of the groups, in the order of doc/lua-api.md; each is a file beside this one that returns a list of entries.
M.groups = {"program", "devices", "tensors", "tensor_methods", "arithmetic", "files", "operations", "cache", "serving",
  "measuring", "judging", "results", "modules"}

local closing = {["("] = ")", ["{"] = "}", ["["] = "]", ["<"] = ">"}

-- The parts of `text` between commas outside of brackets and quotes.
local function split(text)
  local parts, depth, from, quoted = {}, 0, 1, false
  for i = 1, #text do
    local c = text:sub(i, i)
    if c == '"' then quoted = not quoted end
    if not quoted then
      if closing[c] then depth = depth + 1 end
      if c == ")" or c == "}" or c == "]" then depth = depth - 1 end
      if c == "," and depth == 0 then
        parts[#parts + 1] = text:sub(from, i - 1)
        from = i + 1
      end
    end
  end
  if text:find "%S" then parts[#parts + 1] = text:sub(from) end
  for i, part in ipairs(parts) do parts[i] = part:match "^%s*(.-)%s*$" end
  return parts
end

-- "name?: type" as {name =, optional =, type =}; a type alone has no name.
local function typed(text)
  local name, optional, kind = text:match '^([%w_.]+)(%??): (.+)$'
  if not name then return {type = text} end
  return {name = name, optional = optional == "?" or nil, type = kind}
end

local function typed_list(text)
  local list = split(text)
  for i, part in ipairs(list) do list[i] = typed(part) end
  return list
end

-- Fills in what the signature says: owner, key, colon (a method), params and returns (a function), type (a field).
local function read_signature(e)
  local name = e[1]:match "^[%a_][%w_.]*:[%a_][%w_]*%f[(]" or e[1]:match "^[%a_][%w_.]*"
  local owner, mark, key = name:match "^(.*)([.:])([%w_]+)$"
  local rest = e[1]:sub(#name + 1)
  e.name, e.owner, e.key, e.colon = name, owner, key, mark == ":" or nil
  local inside = rest:match "^%b()"
  if not inside then
    e.type = assert(rest:match "^: (.+)$", e[1])
    return
  end
  e.params = typed_list(inside:sub(2, -2))
  e.returns = typed_list(rest:match "%-> (.+)$" or "")
end

-- The lines of `fields` as {name =, optional =, type =, about =}.
local function read_fields(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do
    local head, about = line:match "^%s*(%S.-)  +(.+)$"
    if head then
      local field = typed(head)
      field.about = about
      list[#list + 1] = field
    else -- the words go on
      list[#list].about = list[#list].about .. " " .. line:match "^%s*(.-)%s*$"
    end
  end
  return list
end

local entries, by_name, by_owner, records, classes, in_group = {}, {}, {}, {}, {}, {}

-- A text that may stand in several lines, in one.
local function joined(text) return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

local function add(e, group)
  e.group = group
  for i, text in ipairs(e) do e[i] = joined(text) end
  if e.record then
    e.about, e.fields = e[1], read_fields(e.fields)
    records[e.record] = e
  elseif e.class then
    e.about = e[1]
    classes[e.class] = e
  else
    e.about = e[2]
    read_signature(e)
    assert(not by_name[e.name], e.name)
    by_name[e.name] = e
    by_owner[e.owner] = by_owner[e.owner] or {}
    table.insert(by_owner[e.owner], e)
  end
  entries[#entries + 1] = e
  table.insert(in_group[group], e)
end

for _, group in ipairs(M.groups) do
  in_group[group] = {}
  for _, e in ipairs(require("pah.manual." .. group)) do add(e, group) end
end

--- All entries in order; by the name of their signature ("pah.zeros", "Tensor:view"); the members of an owner ("pah",
--- "pah.reference", "Tensor") in order; records and classes by name; the entries of a group.
M.entries, M.by_name, M.by_owner, M.records, M.classes, M.in_group = entries, by_name, by_owner, records, classes,
  in_group

--- The record that a call of `e` takes in braces, nil if its only argument is not one.
function M.named_arguments(e)
  local only = e.params and #e.params == 1 and e.params[1]
  return only and only.name == "args" and records[only.type] or nil
end

local function names_text(list)
  local texts = {}
  for i, p in ipairs(list) do texts[i] = p.name or p.type end
  return table.concat(texts, ", ")
end

--- How a function is called, for people: "pah.zeros(shape, opts)", "pah.decode{q=, k_blocks=, ...}".
function M.call(e, object)
  local head = object and not e.owner:match "^pah" and object .. (e.colon and ":" or ".") .. e.key or e.name
  if not e.params then return head end
  local record = M.named_arguments(e)
  if not record then return ("%s(%s)"):format(head, names_text(e.params)) end
  local keys, all = {}, true
  for _, field in ipairs(record.fields) do
    if field.optional then all = false else keys[#keys + 1] = field.name .. "=" end
  end
  if not all then keys[#keys + 1] = "..." end
  return ("%s{%s}"):format(head, table.concat(keys, ", "))
end

--- The names of what it returns: "out, lse"; nil where they have no names.
function M.returned(e)
  return e.returns and e.returns[1] and e.returns[1].name and names_text(e.returns) or nil
end

return M
