-- options.lua - pah.options: a script declares its options and gets command-line flags and --help from them.
-- Promises: a value has the type of its default; a mistake gives one line on stderr and exit code 2.
-- The commands of cli/init.lua read theirs in the same way.
local columns = require "pah.util.columns"
local errors = require "pah.errors"
local safe = require "pah.util.safe_text"

local M = {}
local entry_keys = {[1] = true, [2] = true, choices = true, type = true, short = true}

-- ---- Types: each parses the text of a value, or returns nil and what the text is not ---------------------------

local function number(text)
  local value = tonumber(text)
  if not value then return nil, "is not a number" end
  return value
end

local function whole(text)
  local value = tonumber(text)
  if not value or value % 1 ~= 0 then return nil, "is not a whole number" end
  return value
end

local function boolean(text)
  if text == "true" or text == "yes" or text == "1" then return true end
  if text == "false" or text == "no" or text == "0" then return false end
  return nil, "is not true or false"
end

local types = {
  number = {parse = number, word = "NUMBER"},
  whole = {parse = whole, word = "N"},
  boolean = {parse = boolean},
  string = {parse = function(text) return text end, word = "TEXT"},
}

local function type_of_value(value)
  if type(value) == "number" then return value % 1 == 0 and "whole" or "number" end
  return value == nil and "string" or type(value)
end

-- One declared option: name, flag, help, default, choices, kind (a key of `types`), list (values between commas).
local function declared(name, entry)
  if type(name) ~= "string" or not name:match "^[%a][%w_-]*$" then
    errors.raisef("options: name is %s, must be letters, digits and underscores", tostring(name))
  end
  if type(entry) ~= "table" then
    errors.raisef('options: %s is a %s, must be {"help", default, choices=}', name, type(entry))
  end
  errors.check_keys("options: " .. name, entry, entry_keys)
  if entry.short ~= nil and not (type(entry.short) == "string" and entry.short:match "^%a$") then
    errors.raisef("options: short of %s is %s, must be a letter", name, tostring(entry.short))
  end
  if entry.choices ~= nil and type(entry.choices) ~= "table" then
    errors.raisef("options: choices of %s is a %s, must be a list", name, type(entry.choices))
  end
  if name == "help" then errors.raise "options: help is taken, must be another name" end
  local default = entry[2]
  local list = type(default) == "table"
  local kind = entry.type or type_of_value(list and default[1] or not list and default or nil)
  if default == false then kind = "boolean" end
  if not types[kind] then
    errors.raisef("options: type of %s is %s, must be string, number, whole or boolean", name, tostring(kind))
  end
  return {
    name = name, flag = "--" .. name:gsub("_", "-"), help = tostring(entry[1] or ""), default = default,
    choices = entry.choices, kind = kind, list = list, short = entry.short and "-" .. entry.short,
  }
end

-- ---- Help -----------------------------------------------------------------------------------------------------

local function shown(value)
  if type(value) ~= "table" then return tostring(value) end
  local words = {}
  for i, v in ipairs(value) do words[i] = tostring(v) end
  return table.concat(words, ",")
end

local function left_column(option)
  if option.kind == "boolean" then return (option.default and "--no-" or "--") .. option.flag:sub(3) end
  local word = types[option.kind].word
  local flag = option.short and option.short .. ", " .. option.flag or option.flag
  return flag .. " " .. (option.list and word .. ",..." or word)
end

local function right_column(option)
  local text = option.help
  if option.choices then text = text .. ": " .. table.concat(option.choices, ", ") end
  local default = option.kind ~= "boolean" and option.default ~= nil and shown(option.default) or ""
  if default ~= "" then text = text .. (" [%s]"):format(default) end
  if option.kind == "boolean" and option.default then text = text .. " [on]" end
  return text
end

--- The options of `spec`, sorted by name, --help among them: a list of {how it is written, what it is}.
function M.rows(spec)
  local options = {}
  for name, entry in pairs(spec) do options[#options + 1] = declared(name, entry) end
  local rows = {{"--help", "print this text", "help"}}
  for _, option in ipairs(options) do rows[#rows + 1] = {left_column(option), right_column(option), option.name} end
  table.sort(rows, function(a, b) return a[3] < b[3] end)
  return rows
end

--- Lines of help for the options of `spec`.
function M.help(spec)
  local rows, width = M.rows(spec), 0
  for _, row in ipairs(rows) do width = math.max(width, #row[1]) end
  local lines = {}
  for i, row in ipairs(rows) do
    lines[i] = columns.wrapped(("  %-" .. width .. "s  "):format(row[1]), row[2], 80):gsub("%s+$", "")
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- Parsing --------------------------------------------------------------------------------------------------

-- A value from its text; nil and a message if it does not have the option's type or is not a choice.
local function value_of(option, text)
  local value, why = types[option.kind].parse(text)
  if value == nil then return nil, ('%s: "%s" %s'):format(option.flag, text, why) end
  if not option.choices then return value end
  for _, choice in ipairs(option.choices) do
    if choice == value then return value end
  end
  local known = {}
  for _, choice in ipairs(option.choices) do known[tostring(choice)] = true end
  return nil, ('%s: "%s" is not one of %s%s'):format(option.flag, text,
    table.concat(option.choices, ", "), errors.hint(text, known, ";"))
end

local function list_of(option, text)
  local list = {}
  for part in (text .. ","):gmatch "(.-)," do
    local value, why = value_of(option, part)
    if value == nil then return nil, why end
    list[#list + 1] = value
  end
  return list
end

-- The option that a word such as "--no-flag" names, and the value it already has (of a boolean), or nil.
local function named(options, word)
  for _, option in pairs(options) do
    if option.short == word then return option end
  end
  local name = word:sub(3):gsub("-", "_")
  if options[name] then return options[name], options[name].kind == "boolean" or nil end
  local positive = options[name:match "^no_(.+)$" or ""]
  if positive and positive.kind == "boolean" then return positive, false end
end

local function unknown(options, word)
  local flags = {["--help"] = true}
  for _, option in pairs(options) do
    flags[option.flag] = true
    if option.kind == "boolean" then flags["--no-" .. option.flag:sub(3)] = true end
  end
  return ('unknown option "%s"%s'):format(word, errors.hint(word, flags, ";"))
end

--- Reads the list of words `args` by `spec` (see pah.options). Returns the table of values, or nil and a line that says
--- what is wrong. The field `help` of the result is true if --help was among them.
function M.parse(spec, args)
  local options, opt = {}, {}
  for name, entry in pairs(spec) do
    local option = declared(name, entry)
    options[name:gsub("-", "_")] = option
    opt[name] = entry[2]
  end
  local i = 1
  while i <= #args do
    local word = args[i]
    if word == "--" then
      for j = i + 1, #args do opt[#opt + 1] = args[j] end
      break
    elseif word == "--help" or word == "-h" then
      opt.help = true
    elseif word:match "^%-" and word ~= "-" and not tonumber(word) then
      local flag, text = word:match "^(%-%-[^=]+)=(.*)$"
      local option, value = named(options, flag or word)
      if not option then return nil, unknown(options, flag or word) end
      if value == nil or text then
        if value == false then return nil, ("%s: takes no value"):format(flag) end
        if not text then
          i = i + 1
          text = args[i]
        end
        if not text then return nil, ("%s: needs a value"):format(option.flag) end
        local why
        value, why = (option.list and list_of or value_of)(option, text)
        if value == nil then return nil, why end
      end
      opt[option.name] = value
    else
      opt[#opt + 1] = word
    end
    i = i + 1
  end
  return opt
end

--- Tells on stderr what is wrong with the words of `pah COMMAND`, and where its usage stands; returns `code`, or 2. The
--- message may begin with the command already: those of the library's calls do.
function M.misused(command, message, code)
  message = safe.line(message)
  if message:sub(1, #command + 2) ~= command .. ": " then message = command .. ": " .. message end
  io.stderr:write("pah: ", message, "\nhint: `pah help ", command, "` shows the usage\n")
  return code or 2
end

-- ---- Scripts --------------------------------------------------------------------------------------------------

--- What a Lua file is by its own words: the first sentence of its first comment, without the file's own name; nil if it
--- has none.
function M.about(path)
  local file = io.open(path)
  if not file then return nil end
  local words = {}
  for line in file:lines() do
    local text = line:match "^%-%-+%s*(.-)%s*$"
    if text then words[#words + 1] = text elseif #words > 0 or not line:match "^#!" then break end
  end
  file:close()
  local text = table.concat(words, " "):gsub("^[%w_.-]+ ?[:-] ", "")
  return text ~= "" and ((text .. " "):match "^(.-)[.:;]%s" or text) or nil
end

--- What a Lua file says of itself at its head, as lines: its first comment; nil if it has none.
function M.head(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    local words = line:match "^%-%-+%s?(.-)%s*$"
    if words then lines[#lines + 1] = words elseif #lines > 0 or not line:match "^#!" then break end
  end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

--- Declares the script's options: {name = {"help", default, choices = {...}, type = "number", short = "n"}}. The
--- command line takes --name VALUE, --name=VALUE, -n VALUE, --flag and --no-flag; underscores are written as dashes.
--- The type is that of the default (a whole number, a number, a boolean, a string, a list of one of these between
--- commas) or the one named by `type`. Returns the values by name, and the other words at [1], [2], ...; --help prints
--- the list and ends the program. limits.words: how many other words there may be.
function M.options(spec, limits)
  if type(spec) ~= "table" then errors.raisef("options: is a %s, must be a table", type(spec)) end
  errors.check_keys("options", limits, {words = true})
  local opt, most = M.of_script(spec, M.about), limits and limits.words
  if most ~= nil and (type(most) ~= "number" or most % 1 ~= 0 or most < 0) then
    errors.raisef("options: words is %s, must be a whole number >= 0", tostring(most))
  end
  if most and opt[most + 1] then M.refuse(('"%s" is one word too many'):format(opt[most + 1])) end
  return opt
end

-- The words of the script's command line; none in a test run, where they are busted's.
local function script_words() return package.loaded["busted.runner"] and {} or arg or {} end

--- Ends the script for a wrong command line: what is wrong, on stderr, and code 2.
function M.refuse(why)
  io.stderr:write(script_words()[0] or "SCRIPT", ": ", why, "\nhint: --help lists the options\n")
  os.exit(2, true)
end

--- The options of the running script by `spec`, as pah.options gives them. about(script) is the sentence of --help.
function M.of_script(spec, about)
  local words = script_words()
  local script = words[0] or "SCRIPT"
  local opt, why = M.parse(spec, words)
  if not opt then M.refuse(why) end
  if opt.help then
    local sentence = about(script)
    io.stdout:write("usage: pah ", script, " [options]\n", sentence and sentence .. ".\n" or "")
    io.stdout:write("\noptions:\n", M.help(spec))
    os.exit(0, true)
  end
  return opt
end

M.exports = {options = M.options}

return M
