-- repl.lua - the interactive prompt: reads, runs and prints, with history and completion on a terminal.
-- Promises: only Ctrl-D ends it; Ctrl-C stops a running call and clears the line at the prompt; locals of the top
-- level outlive their line. Read next: locals.lua, complete.lua, src/host/lineedit.c.
local complete = require "pah.prompt.complete"
local devices = require "pah.device"
local help = require "pah.manual.help"
local host = require "pah.host"
local inspect = require("pah.util.inspect").inspect
local locals = require "pah.prompt.locals"
local notice = require "pah.measure.notice"
local read_file = require("pah.util.whole_file").read
local traceback = require "pah.traceback"
local uncompiled = require "pah.prompt.uncompiled"

local M = {}

local session = locals.new()
complete.look_in(session)

-- The user's file of a kind: $variable, else below the folder that XDG names, else below a folder of $HOME. nil: none.
local function own_file(variable, xdg, folder, name)
  local path = os.getenv(variable)
  if path then return path ~= "" and path or nil end
  local base = os.getenv(xdg)
  if base and base ~= "" then return base .. "/pah/" .. name end
  local home = os.getenv "HOME"
  return home and home ~= "" and ("%s/%s/pah/%s"):format(home, folder, name) or nil
end

-- Where lines come from: read(prompt, text before) returns the next line, nil at the end, false after Ctrl-C;
-- keep(text) remembers a whole entry.
local function line_source()
  if not host.isatty(0) then
    return {read = function() return io.stdin:read "*l" end, keep = function() end}
  end
  local path = own_file("PAH_HISTORY", "XDG_STATE_HOME", ".local/state", "history")
  if path then host.history(path) end
  return {
    read = function(prompt, before)
      return host.read_line(prompt, function(line) return complete.complete(line, before) end)
    end,
    keep = host.remember,
  }
end

-- The chunk of `text`: an expression if it can be one, else statements, whose top-level locals go to the session. nil
-- and the message if it is neither.
-- The wrapping keeps a call from being a tail call, which would take the typed line out of messages and tracebacks.
local function compile(text)
  local expression = text:match "^%s*=(.*)$"
  local chunk, why = loadstring("return " .. (expression or text), "=stdin")
  if chunk then
    chunk = loadstring("return (function(...) return ... end)(" .. (expression or text) .. "\n)", "=stdin") or chunk
  elseif not expression then
    chunk, why = loadstring(text, "=stdin")
    if chunk then
      local lifted, names = locals.lift(text)
      chunk = assert(loadstring(lifted, "=stdin"))
      session.declare(names)
    end
  end
  return chunk and setfenv(chunk, session.env), why
end

-- What `?x` and `x?` ask about, as a chunk: the object or function that is named, else the name.
local function question(text)
  local name = text:match "^%s*%?%s*([%w_.:]*)%s*$" or text:match "^%s*([%w_.:]+)%s*%?%s*$"
  if not name then return nil end
  local object, method = name:match "^(.+):([%w_]+)$"
  local class = object and help.class_of(complete.lookup(object))
  local value = not object and complete.lookup(name)
  local about = name ~= "" and name or nil
  if class then
    about = class .. ":" .. method
  elseif value and type(value) ~= "string" and help.text(value) then
    about = value
  end
  return function() help.print(about) end
end

-- Reads lines until they make a chunk. Returns it; nil and a message; or false at the end of input.
local function read_chunk(lines)
  local text
  while true do
    local line = lines.read(text and ">> " or "> ", text)
    if line == false then return nil end -- Ctrl-C: start anew
    if line == nil then return text and compile(text) or false, text and select(2, compile(text)) end
    text = text and text .. "\n" .. line or line
    if text:match "^%s*$" then
      text = nil
    else
      local chunk, why = question(text), nil
      if not chunk then chunk, why = compile(text) end
      if chunk or not why:find("'<eof>'", 1, true) then
        lines.keep(text)
        return chunk, why
      end
    end
  end
end

local function report(message)
  io.stdout:flush()
  notice.finish()
  io.stderr:write(message, "\n")
end

-- The traceback, left out if its only frame is the typed line itself.
local function short_traceback(e)
  local text = traceback(e, 3)
  local calls = text:match "\nstack traceback:\n(.*)$" or ""
  for line in calls:gmatch "[^\n]+" do
    if not line:match "^\t%[C%]" and not line:match "^\tstdin:%d+: in main chunk$" then return text end
  end
  return (text:gsub("\nstack traceback:\n.*$", ""))
end

local function print_results(...)
  local n = select("#", ...)
  if n == 0 then return end
  local texts = {}
  for i = 1, n do texts[i] = inspect((select(i, ...))) end
  print(table.concat(texts, "\t"))
  if (...) ~= nil then _G._ = (...) end
end

local function run_chunk(chunk)
  local ok, message = xpcall(function() print_results(chunk()) end, short_traceback)
  host.rearm()
  if not ok then report(message) end
end

-- Reads and runs one chunk; true at the end of input.
local function turn(lines)
  local chunk, why = read_chunk(lines)
  if chunk then run_chunk(chunk) elseif why then report(why) end
  return chunk == false
end

-- Runs the user's init file as if it had been typed.
local function run_init_file()
  local path = own_file("PAH_INIT", "XDG_CONFIG_HOME", ".config", "init.lua")
  local text = path and read_file(path)
  if not text then return end
  local chunk, why = loadstring(text, "@" .. path)
  if not chunk then return report(why) end
  local lifted, names = locals.lift(text)
  session.declare(names)
  run_chunk(setfenv(assert(loadstring(lifted, "@" .. path)), session.env))
end

local function greet()
  local cpu = devices.get("cpu"):info()
  print(("pah %s, %s; cpu: %s, %d threads"):format(host.version, jit.version, cpu.isa, cpu.threads))
  print "Tab completes, ?name helps, Ctrl-C stops a call, Ctrl-D leaves."
end

--- Reads and runs chunks from the terminal or standard input until it ends; `bare` leaves out the init file. Returns
--- the exit code 0.
function M.run(bare)
  uncompiled.install()
  host.catch_interrupts()
  if rawget(_G, "help") == nil then rawset(_G, "help", help.print) end -- a script's own stays
  if host.isatty(0) then greet() end
  if not bare then run_init_file() end
  local lines = line_source()
  repeat
    local ok, done = pcall(turn, lines)
    -- Ctrl-C between two calls lands here.
    if not ok and not host.rearm() then report("pah: " .. tostring(done)) end
  until ok and done
  host.close_line_input()
  return 0
end

return M
