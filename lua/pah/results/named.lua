-- named.lua - which runs a name means: "FILE" is the last run of a results file, "FILE#RUN" the one with this id or
-- part of an id, or those of this name, "FILE#all" all. Every command that reads results takes these names.
-- Promises: a run that was chosen because it is the last says so (`last_of`). Read next: init.lua.
local errors = require "pah.errors"
local readable = require("pah.util.whole_file").readable
local results = require "pah.results"
local text = require "pah.util.safe_text"

local M = {}

-- The ids of the last few runs, for an error.
local function ids(runs)
  local list = {}
  for i = math.max(1, #runs - 4), #runs do list[#list + 1] = runs[i].id end
  return table.concat(list, ", ")
end

-- The runs that `which` means.
local function matching(runs, which)
  local named, parts = {}, {}
  for _, run in ipairs(runs) do
    if run.id == which then return {run} end
    if run.header.name == which then named[#named + 1] = run end
    if run.id:find(which, 1, true) then parts[#parts + 1] = run end
  end
  return #named > 0 and named or parts, #named > 0
end

local function choose(what, file, path, which)
  local runs = file.runs
  if #runs == 0 then errors.raisef("%s: %s has no run", what, path) end
  if which == "all" then return {unpack(runs)} end
  if not which or which == "last" then
    local run = runs[#runs]
    run.last_of = #runs > 1 and #runs or nil
    return {run}
  end
  local found, by_name = matching(runs, which)
  if #found == 1 or by_name then return found end
  errors.raisef('%s: %s has %s run "%s"; the last ones are %s', what, text.line(path), #found == 0 and "no" or
    "more than one", text.line(which), ids(runs))
end

--- Path and run of a name; a file whose own name has a "#" is itself.
function M.split(name)
  if readable(name) then return name, nil end
  local path, which = name:match "^(.*)#([^#]*)$"
  if path and which ~= "" then return path, which end
  return name, nil
end

--- The runs that a name means, a list, and the reader's notes on the file. `what` is the call for which they are read:
--- its errors begin with it.
function M.read(what, name)
  local path, which = M.split(name)
  local there, why = io.open(path, "rb")
  if not there then errors.raisef("%s: %s", what, text.line(why)) end
  there:close()
  local file = results.read(path)
  return choose(what, file, path, which), file.notes
end

--- Names with what the flag --run says of those without "#".
function M.with(names, run)
  local list = {}
  for i, name in ipairs(names) do
    local _, which = M.split(name)
    list[i] = (which or run == "last") and name or ("%s#%s"):format(name, run)
  end
  return list
end

--- "run ID", and whether it is the last of several.
function M.sentence(run)
  return ("run %s%s"):format(run.id, run.last_of and (", the last of %d"):format(run.last_of) or "")
end

--- The flag --run of commands, for pah.options.
M.option = {"run of files named without #RUN: last, all, an id or a part of it, a name", "last", type = "string"}

return M
