-- traceback.lua - an error as text: its message and the calls that led to it, a handler for xpcall.
-- Promises: frames of the library and of the program around the script are left out, unless the library itself failed.
-- Read next: errors.lua, which raises errors at the script's line.
local errors = require "pah.errors"

-- An error value as text: a string as it is, an object by its __tostring, anything else by its type.
local function message_of(e)
  if type(e) == "string" then return e end
  local meta = getmetatable(e)
  if type(e) == "number" or type(meta) == "table" and meta.__tostring or type(e) == "cdata" then
    local ok, text = pcall(tostring, e)
    if ok and type(text) == "string" then return text end
  end
  return ("(error object is a %s value)"):format(type(e))
end

local function frame_line(info)
  local where = info.source:match "^@(.*)" or info.short_src
  if info.what == "C" then where = "[C]" elseif info.currentline > 0 then where = where .. ":" .. info.currentline end
  local what
  if info.what == "main" then
    what = "in main chunk"
  elseif info.name then
    what = ("in function '%s'"):format(info.name)
  elseif info.what == "C" then
    what = "in a C function"
  else
    what = ("in function <%s:%d>"):format(info.short_src, info.linedefined)
  end
  return ("\t%s: %s"):format(where, what)
end

-- First and last frame that concern the script: the library's way to errors.raise is left out, and so is what the
-- program did to start the script.
local function extent(frames, message)
  local first, last = 1, #frames
  for i = #frames, 1, -1 do
    if frames[i].func == xpcall then
      last = i - 1
      break
    end
  end
  local script = last
  while script > 0 and errors.inside(frames[script].source) do script = script - 1 end
  if script > 0 then last = script end
  -- raised: by errors.lua or by Ctrl-C, not by a mistake in the library, where every frame counts
  local i, raised = 1, message == "interrupted"
  while i <= last and (frames[i].what == "C" or errors.inside(frames[i].source)) do
    raised = raised or frames[i].func == errors.raise
    i = i + 1
  end
  if raised and i <= last then first = i end
  return first, last
end

--- The handler for xpcall: the message, then the calls that led to it, one per line. A handler that calls this one
--- gives 3 as level.
return function(e, level)
  local message, frames = message_of(e), {}
  level = level or 2
  while true do
    local info = debug.getinfo(level, "Slnf")
    if not info then break end
    frames[#frames + 1] = info
    level = level + 1
  end
  local first, last = extent(frames, message)
  local lines = {message, "stack traceback:"}
  for i = first, last do
    if last - first > 24 and i == first + 12 then lines[#lines + 1] = "\t..." end
    if last - first <= 24 or i < first + 12 or i > last - 10 then lines[#lines + 1] = frame_line(frames[i]) end
  end
  return table.concat(lines, "\n")
end
