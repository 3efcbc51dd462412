-- interpreter.lua - pah as a Lua interpreter: chunks run with a traceback, and the options that luajit has.
-- Promises: the exit codes of init.lua; the global `arg` and `...` as in lua and luajit, LUA_INIT honoured.
local host = require "pah.host"
local notice = require "pah.measure.notice"
local options = require "pah.options"
local read_file = require("pah.util.whole_file").read
local traceback = require "pah.traceback"
local uncompiled = require "pah.prompt.uncompiled"

local M = {}

-- ---- Calls ----------------------------------------------------------------------------------------------------

-- busted, run as a script, ends a failing run by raising nil, of which lua and luajit say nothing.
local SILENT = {}
local function handler(e)
  local raiser = e == nil and debug.getinfo(3, "S")
  if raiser and raiser.source:find "/busted/compatibility%.lua$" then return SILENT end
  local text = traceback(e, 3) -- no tail call, which would take this level away
  return text
end

--- Calls f(...); an error is reported on stderr with its traceback. Returns the exit code, 0 or 1.
function M.call_plainly(f, ...)
  local ok, message = xpcall(f, handler, ...)
  if ok then return 0 end
  if message == SILENT then return 1 end
  -- At some alignments of frames LuaJIT has no slots left after a stack overflow to call a handler with.
  if message == "stack overflow" then message = message .. "\nstack traceback:\n\t(no stack was left to take it)" end
  notice.finish()
  io.stderr:write("pah: ", message, "\n")
  return 1
end

--- The same for a script's code: Ctrl-C raises an error in it, and the exit code is then 130.
function M.call(f, ...)
  host.catch_interrupts()
  local code = M.call_plainly(f, ...)
  return host.rearm() and code ~= 0 and 130 or code
end

-- Runs a chunk that loadfile or loadstring gave; returns the exit code.
local function run_chunk(chunk, why, ...)
  if chunk then return M.call(chunk, ...) end
  io.stderr:write("pah: ", why, "\n")
  return 1
end

-- os.exit closes the state unless told not to: objects that hold device memory or a file must be closed in order.
local exit = os.exit
os.exit = function(code, close) -- luacheck: ignore 122
  exit(code == nil or code, close ~= false)
end

-- ---- Scripts --------------------------------------------------------------------------------------------------

--- Sets the global `arg`: argv[script] at 0, what follows from 1, what came before at negative indices.
function M.set_arg(argv, script)
  arg = {}
  for i = 0, #argv do arg[i - script] = argv[i] end
end

--- Runs what LUA_INIT says, code or "@file"; returns the exit code.
function M.init()
  local init = os.getenv "LUA_INIT"
  if not init or init == "" then return 0 end
  if init:sub(1, 1) == "@" then return run_chunk(loadfile(init:sub(2))) end
  return run_chunk(loadstring(init, "=LUA_INIT"))
end

-- Modules beside the script are found, behind those of pah: require "mymod" wherever it is started from.
local function look_beside(script)
  local folder, own = script:match "^(.*)/[^/]*$", host.datadir .. "/lua/?.lua;" .. host.datadir .. "/lua/?/init.lua;"
  if not folder then return end
  local rest = package.path
  if rest:sub(1, #own) == own then rest = rest:sub(#own + 1) else own = "" end
  package.path = ("%s%s/?.lua;%s/?/init.lua;%s"):format(own, folder, folder, rest)
end

-- What `SCRIPT --help` prints for a script that looks at no words of its own: the comment at its head.
local function head_of(path)
  local text = (arg[1] == "--help" or arg[1] == "-h") and path ~= "-" and read_file(path)
  if not text then return nil end
  for _, word in ipairs {"options", "experiment", "%f[%w_]arg%f[^%w_]", "%.%.%."} do
    if text:gsub("%-%-[^\n]*", ""):find(word) then return nil end
  end
  return ("usage: pah %s\n%s\n"):format(path, options.head(text) or "It says nothing of itself.")
end

--- Runs a file, or standard input for "-", with the words of the global `arg`; returns the exit code.
function M.file(path)
  local head = head_of(path)
  if head then return io.write(head) and 0 end
  look_beside(path)
  local chunk, why = loadfile(path ~= "-" and path or nil)
  return run_chunk(chunk, why, unpack(arg))
end

-- ---- The options of luajit --------------------------------------------------------------------------------------

local function jit_command(text)
  local name, rest = text:match "^([^=]*)=?(.*)$"
  if name == "on" or name == "off" or name == "flush" then return jit[name]() end
  local words = {}
  for word in rest:gmatch "[^,]+" do words[#words + 1] = word end
  require("jit." .. name).start(unpack(words))
end

local function optimisation(text)
  local words = {}
  for word in text:gmatch "[^,]+" do words[#words + 1] = word end
  require("jit.opt").start(unpack(words))
end

-- Options with a value, given after the letter or as the next word; each returns an exit code.
local valued = {
  e = function(text) return run_chunk(loadstring(text, "=(command line)")) end,
  l = function(text) return M.call(require, text) end,
  j = function(text) return M.call(jit_command, text) end,
}

function M.print_version()
  print(("pah %s, %s"):format(host.version, jit.version))
end

-- The options at the start of argv: steps to run in order, flags, and the index of the script (past the end: none).
-- nil and a message on wrong usage.
local function read_options(argv)
  local steps, flags, i = {}, {}, 1
  while argv[i] and argv[i]:match "^%-." do
    local word = argv[i]
    local letter, text = word:match "^%-(.)(.*)$"
    if word == "--" then return steps, flags, i + 1 end
    if valued[letter] then
      if text == "" then
        i = i + 1
        text = argv[i]
      end
      if not text then return nil, ("-%s: needs a value"):format(letter) end
      steps[#steps + 1] = function() return valued[letter](text) end
      flags[letter] = true
    elseif letter == "O" then
      steps[#steps + 1] = function() return M.call(optimisation, text ~= "" and text or "3") end
    elseif text == "" and letter:match "[ivEb]" then
      flags[letter] = true
      if letter == "b" then return steps, flags, i + 1 end
    else
      return nil, ('unknown option "%s"'):format(word)
    end
    i = i + 1
  end
  return steps, flags, i
end

--- Behaves as luajit does with the words of argv. `repl` starts the prompt. Returns the exit code, or nil and a line
--- that says what is wrong with the words.
function M.main(argv, repl)
  local steps, flags, script = read_options(argv)
  if not steps then return nil, flags end
  if flags.b then return M.call(function() require("jit.bcsave").start(unpack(argv, script)) end) end
  M.set_arg(argv, script)
  if flags.i then uncompiled.install() end
  if flags.v or flags.i and not argv[script] then M.print_version() end
  local code = flags.E and 0 or M.init()
  for _, step in ipairs(steps) do
    if code == 0 then code = step() end
  end
  if code ~= 0 then return code end
  if argv[script] then
    code = M.file(argv[script])
  elseif not (flags.e or flags.i or flags.v) then
    if host.isatty(0) then return repl(flags.E) end
    code = M.file "-"
  end
  if code == 0 and flags.i then return repl(flags.E) end
  return code
end

return M
