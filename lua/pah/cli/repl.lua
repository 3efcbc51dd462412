-- repl.lua - the interactive prompt: reads, runs and prints, with history and completion on a terminal.
-- Promises: only Ctrl-D ends it; Ctrl-C stops a running call and clears the line at the prompt.
-- Read next: complete.lua, inspect.lua, src/host/lineedit.c.
local complete = require "pah.cli.complete"
local devices = require "pah.device"
local host = require "pah.host"
local inspect = require "pah.cli.inspect"
local traceback = require "pah.traceback"
local uncompiled = require "pah.cli.uncompiled"

local M = {}

local function history_path()
  local path = os.getenv "PAH_HISTORY"
  if path and path ~= "" then return path end
  local state = os.getenv "XDG_STATE_HOME"
  if state and state ~= "" then return state .. "/pah/history" end
  local home = os.getenv "HOME"
  return home and home ~= "" and home .. "/.local/state/pah/history" or nil
end

-- A function that returns the next line, nil at the end, false after Ctrl-C.
local function line_reader()
  if not host.isatty(0) then
    return function() return io.stdin:read "*l" end
  end
  local path = history_path()
  if path then host.history(path) end
  return function(prompt) return host.read_line(prompt, complete.complete) end
end

-- The chunk of `text`: an expression if it can be one, else statements. nil and the message if it is neither.
-- The wrapping keeps a call from being a tail call, which would take the typed line out of messages and tracebacks.
local function compile(text)
  local expression = text:match "^%s*=(.*)$"
  local plain, why = loadstring("return " .. (expression or text), "=stdin")
  if plain then
    return loadstring("return (function(...) return ... end)(" .. (expression or text) .. "\n)", "=stdin") or plain
  end
  if expression then return nil, why end
  return loadstring(text, "=stdin")
end

-- Reads lines until they make a chunk. Returns it; nil and a message; or false at the end of input.
local function read_chunk(read)
  local text
  while true do
    local line = read(text and ">> " or "> ")
    if line == false then return nil end -- Ctrl-C: start anew
    if line == nil then return text and compile(text) or false, text and select(2, compile(text)) end
    text = text and text .. "\n" .. line or line
    if text:match "^%s*$" then
      text = nil
    else
      local chunk, why = compile(text)
      if chunk or not why:find("'<eof>'", 1, true) then return chunk, why end
    end
  end
end

local function report(message)
  io.stdout:flush()
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
  for i = 1, n do texts[i] = inspect.inspect((select(i, ...))) end
  print(table.concat(texts, "\t"))
  if (...) ~= nil then _G._ = (...) end
end

local function run_chunk(chunk)
  local ok, message = xpcall(function() print_results(chunk()) end, short_traceback)
  host.rearm()
  if not ok then report(message) end
end

-- Reads and runs one chunk; true at the end of input.
local function turn(read)
  local chunk, why = read_chunk(read)
  if chunk then run_chunk(chunk) elseif why then report(why) end
  return chunk == false
end

local function greet()
  local cpu = devices.get("cpu"):info()
  print(("pah %s, %s; cpu: %s, %d threads"):format(host.version, jit.version, cpu.isa, cpu.threads))
  print "Tab completes, Ctrl-C stops a call, Ctrl-D leaves."
end

--- Reads and runs chunks from the terminal or standard input until it ends. Returns the exit code 0.
function M.run()
  uncompiled.install()
  host.catch_interrupts()
  if host.isatty(0) then greet() end
  local read = line_reader()
  repeat
    local ok, done = pcall(turn, read)
    -- Ctrl-C between two calls lands here.
    if not ok and not host.rearm() then report("pah: " .. tostring(done)) end
  until ok and done
  host.close_line_input()
  return 0
end

return M
