-- child.lua - what specs run in other processes and keep in files: a folder, its files, commands of the shell, scripts
-- of pah to kill, to take the disk from, to see the output of.
local host = require "pah.host"

local M = {}

--- A word for the shell.
function M.quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

--- A new folder.
function M.folder()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  return folder
end

--- A function(format) that gives a new path in the folder each time, "FOLDER/1.FORMAT" first.
function M.paths(folder)
  local count = 0
  return function(format)
    count = count + 1
    return ("%s/%d.%s"):format(folder, count, format)
  end
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- What a file holds, or nil.
function M.contents(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

--- What a file holds that must be there.
function M.read(path) return (assert(M.contents(path), path .. " is not there")) end

--- What a command of the shell prints on both streams, and its exit code.
function M.shell(command)
  local pipe = assert(io.popen(("{ %s\n} 2>&1; echo \"exit $?\""):format(command)))
  local text = pipe:read "*a"
  pipe:close()
  local output, code = text:match "^(.*)exit (%d+)\n$"
  return output, tonumber(code)
end

--- The lines that a command of the shell prints on standard output.
function M.lines(command)
  local pipe, list = assert(io.popen(command)), {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

--- Runs `pah WORDS` by the shell in a folder; `before` stands before the program: "timeout 1", "ulimit -f 1;". Returns
--- stdout, stderr and the exit code (128 + n for signal n).
function M.run(folder, words, before)
  local command = M.quoted(("%s %s %s"):format(before or "", M.quoted(host.exe), words))
  local status = os.execute(("cd %s && { env -u LUA_INIT PAH_DEVICE=cpu sh -c %s; } >out 2>err"):format(
    M.quoted(folder), command))
  local code = status >= 256 and math.floor(status / 256) or status > 0 and status + 128 or 0
  return M.read(folder .. "/out"), M.read(folder .. "/err"), code
end

return M
