-- worker.lua - for specs: a program that serves calls badly, by the protocol of pah.worker (doc/judging.md) in Lua
-- alone, and a Python that has NumPy. Read next: worker_spec.lua.
local host = require "pah.host"
local shell = require("spec.support.child").shell

local M = {}

-- What the program does with its first call, as Lua: `link` is its end of the socket, `line` the call.
local ways = {
  hangs = "while true do link:receive(1) end", dies = "os.exit(7)", killed = "os.execute('kill -9 $PPID')",
  nonsense = "link:send 'this is no message'", neither = "link:send '{}'", list = "link:send '[1, 2]'",
  fails = [[link:send '{"error": "it does not feel like it"}']],
  answers = [[link:send '{"ok": true}']],
}

--- The command of a worker that starts well and does that with each call; "early" names: with its start.
function M.command(way, early)
  local body = early and ways[way] or ([[
    link:send '{"ready": 1}'
    while true do
      local line = link:receive()
      if not line or line:find '"end"' then os.exit(0) end
      %s
    end]]):format(ways[way])
  return {host.exe, "-e", "local link = require('pah.host').parent() " .. body}
end

local python

--- A python3 that has NumPy, or nil and why there is none.
function M.python()
  if python == nil then
    python = false
    for _, name in ipairs {os.getenv "PYTHON" or "python3", "/usr/bin/python3"} do
      local _, code = shell(name .. " -c 'import numpy' 2>/dev/null")
      if code == 0 then
        python = name
        break
      end
    end
  end
  return python or nil, "no python3 with numpy (Debian: python3-numpy) is here"
end

return M
