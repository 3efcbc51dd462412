-- help.lua - pah.help(x): what the manual says of a function, an object or a name, as text for a terminal.
-- Promises: x is only looked at, never called. Read next: init.lua.
local classes = require "pah.util.classes"
local columns = require "pah.util.columns"
local errors = require "pah.errors"
local manual = require "pah.manual"
local tensor = require "pah.tensor"

local M = {}

local WIDTH = 79

-- Markdown to plain text.
local function plain(text)
  return (text:gsub("%[([^%]]+)%]%(([^)]+)%)", function(_, path) return "doc/" .. path end):gsub("`", ""))
end

local function wrapped(first, text) return columns.wrapped(first, text, WIDTH) end

local function sentence(text) return (plain(text):gsub("^%l", string.upper)) .. "." end

-- A type as people read it: a record is a table, whose fields follow.
local function type_text(kind, optional)
  local text = manual.records[kind] and "table" or kind
  return optional and text .. ", optional" or text
end

-- Lines for a list of {name =, type =, optional =, about =}, names below each other.
local function rows(list)
  local widest, lines = 0, {}
  for _, f in ipairs(list) do widest = math.max(widest, #f.name) end
  for i, f in ipairs(list) do
    local about = f.about and plain(f.about) or ""
    local kind = type_text(f.type, f.optional)
    lines[i] = wrapped(("  %s  "):format(f.name .. (" "):rep(widest - #f.name)), kind .. (about ~= "" and ": " or "")
      .. about)
  end
  return lines
end

local function add_all(lines, more)
  for _, line in ipairs(more) do lines[#lines + 1] = line end
end

-- The parameters of e, each record with its fields behind it.
local function add_parameters(lines, e)
  local record = manual.named_arguments(e)
  local list = {}
  for _, p in ipairs(record and record.fields or e.params or {}) do
    list[#list + 1] = {name = p.name or "...", type = p.type, optional = p.optional, about = p.about}
  end
  if #list == 0 then return end
  add_all(lines, {"", "arguments:"})
  add_all(lines, rows(list))
  for _, p in ipairs(record and {} or e.params) do
    local fields = manual.records[p.type]
    if fields then
      add_all(lines, {"", ("%s: %s"):format(p.name, plain(fields.about))})
      add_all(lines, rows(fields.fields))
    end
  end
end

local function add_example(lines, example)
  add_all(lines, {"", "example:"})
  for line in example:gmatch "[^\n]+" do lines[#lines + 1] = "  " .. line end
end

-- The text of a function, method or field; `object` stands for the owner of a method.
local function entry_text(e, object)
  local returned = manual.returned(e)
  if not returned and e.returns and e.returns[1] then returned = type_text(e.returns[1].type) end
  local lines = {manual.call(e, object) .. (returned and " -> " .. returned or "") .. (e.type and ": " .. e.type or "")}
  lines[2] = wrapped("  ", sentence(e.about))
  add_parameters(lines, e)
  if e.example then add_example(lines, e.example) end
  return table.concat(lines, "\n")
end

-- One line for each entry: how it is called, and the beginning of what it is.
local function short_rows(list, object)
  local lines = {}
  for _, e in ipairs(list) do
    local call = manual.call(e, object)
    local gap = #call < 34 and (" "):rep(34 - #call) or "  "
    local line = "  " .. call .. gap .. plain(e.about)
    lines[#lines + 1] = #line > WIDTH and line:sub(1, WIDTH - 3):gsub("%s+%S*$", "") .. " ..." or line
  end
  return lines
end

local function class_text(name)
  local lines = {wrapped(name .. ": ", plain(manual.classes[name].about) .. "."), ""}
  add_all(lines, short_rows(manual.by_owner[name], name == "Tensor" and "t" or name:lower()))
  add_all(lines, {"", ('help "%s.NAME" tells more of one.'):format(name)})
  return table.concat(lines, "\n")
end

local function owner_text(owner)
  local lines = {owner .. ":", ""}
  add_all(lines, short_rows(manual.by_owner[owner]))
  return table.concat(lines, "\n")
end

local titles = {program = "the program", devices = "devices", tensors = "tensors", tensor_methods = "of a tensor",
  arithmetic = "calculating",
  files = "files", operations = "operations", cache = "the paged cache", measuring = "measuring",
  results = "sweeps and results", modules = "your own kernels"}

local function overview()
  local lines = {"help(x) tells of a function, an object or a name; at the prompt also ?x and x?", ""}
  for _, group in ipairs(manual.groups) do
    local names = {}
    for _, e in ipairs(manual.in_group[group]) do
      if e.name and (e.owner == "Tensor" or e.owner:match "^pah") then
        names[#names + 1] = (e.name:gsub("^pah%.", ""):gsub("^Tensor", "t"))
      end
    end
    lines[#lines + 1] = wrapped(("%-20s"):format(titles[group] or group), table.concat(names, " "))
  end
  add_all(lines, {"", "All names but those of a tensor begin with pah. Guides: doc/README.md"})
  return table.concat(lines, "\n")
end

-- The value that a documented name has, nil if none.
function M.value_of(e)
  if e.owner:match "^pah" then
    local value = package.loaded["pah"]
    for key in e.name:gsub("^pah%.", ""):gmatch "[^.]+" do value = value and value[key] end
    return value
  end
  local methods = e.owner == "Tensor" and tensor.methods or classes.methods(e.owner)
  return type(methods) == "table" and rawget(methods, e.key) or nil
end

--- The entry of a function, nil if the manual does not know it.
function M.entry_of(f)
  for _, e in ipairs(manual.entries) do
    if e.params and M.value_of(e) == f then return e end
  end
end

--- The class of an object by its name in the manual, nil if it is none of pah's.
function M.class_of(x) return tensor.is_tensor(x) and "Tensor" or classes.of(x) end

-- Entries whose name or text has the words, best first; nil if there are none.
local function search(words)
  local found, rest, low = {}, {}, words:lower()
  for _, e in ipairs(manual.entries) do
    if e.name and e.name:lower():find(low, 1, true) then
      found[#found + 1] = e
    elseif e.name and e.about:lower():find(low, 1, true) then
      rest[#rest + 1] = e
    end
  end
  for _, e in ipairs(rest) do found[#found + 1] = e end
  if #found == 0 then return nil end
  if #found > 20 then found = {unpack(found, 1, 20)} end
  return table.concat(short_rows(found), "\n")
end

--- The text of a name, nil if the manual has none: "pah.decode", "decode", "Tensor:view", "Tensor.view" or "t:view".
function M.text_of_name(name)
  local dotted = name:gsub(":", "."):gsub("^t%.", "Tensor.")
  for _, e in ipairs(manual.entries) do
    local known = e.name and e.name:gsub(":", ".")
    if known == dotted or known == "pah." .. dotted then
      return entry_text(e, e.owner == "Tensor" and "t" or not e.owner:match "^pah" and e.owner:lower() or nil)
    end
  end
  if manual.classes[name] then return class_text(name) end
  if manual.records[name] then
    local lines = {("%s: %s"):format(name, plain(manual.records[name].about))}
    add_all(lines, rows(manual.records[name].fields))
    return table.concat(lines, "\n")
  end
  if name ~= "pah" and manual.by_owner[dotted] then return owner_text(dotted) end
  if name ~= "pah" and manual.by_owner["pah." .. dotted] then return owner_text("pah." .. dotted) end
end

--- The text of help for x: a function or object of pah, a name, or words to look for; nil without any.
function M.text(x)
  local library = package.loaded["pah"]
  if x == nil or x == library or x == "pah" or x == "" then return overview() end
  if type(x) == "string" then return M.text_of_name(x) or search(x) end
  local class = M.class_of(x)
  if class then return class_text(class) end
  if type(x) == "function" then
    local e = M.entry_of(x)
    return e and M.text_of_name(e.name)
  end
  for owner in pairs(manual.by_owner) do
    if owner:match "^pah%." and library[owner:sub(5)] == x then return owner_text(owner) end
  end
end

--- pah.help: prints the text; a value that the manual does not know is told by what it is.
function M.print(x)
  local text = M.text(x)
  if text then return print(text) end
  if type(x) == "string" then
    local known = {}
    for _, e in ipairs(manual.entries) do
      if e.key then known[e.key], known[e.name] = true, true end
    end
    return print(('The manual has nothing of "%s"%s'):format(x, errors.hint(x, known, ";")))
  end
  print(("A %s; the manual knows the functions and objects of pah."):format(type(x)))
end

return M
