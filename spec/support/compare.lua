-- compare.lua - what the specs of pah compare share: a folder, the command run in it, results made by hand.
local host = require "pah.host"
local stats = require "pah.measure.stats"

local M = {folder = os.tmpname()}

os.remove(M.folder)
assert(os.execute("mkdir " .. M.folder) == 0)

--- To be called when the specs of a file are done.
function M.clean() os.execute("rm -r " .. M.folder) end

local function contents(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

function M.write(name, text)
  local file = assert(io.open(M.folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

--- pah compare WORDS in the folder: stdout, stderr, exit code.
function M.compare(words)
  local program = "'" .. host.exe:gsub("'", "'\\''") .. "'"
  local status = os.execute(("cd %s && exec >out 2>err; env -u LUA_INIT PAH_DEVICE=cpu %s compare %s"):format(M.folder,
    program, words))
  return contents(M.folder .. "/out"), contents(M.folder .. "/err"), math.floor(status / 256)
end

--- Raises unless `part` stands in `text`.
function M.has(text, part)
  if not text:find(part, 1, true) then error(("%q is not in:\n%s"):format(part, text), 2) end
end

-- Samples around `median`, a little apart, the same each time.
local function samples(median, round)
  local list, state = {}, 77 + round
  for i = 1, 40 do
    state = state * 16807 % 2147483647
    list[i] = median * (1 + 0.004 * (state / 2147483647 - 0.5))
  end
  return list
end

--- A result as of pah.bench, with `more` on top.
function M.result(median, round, more)
  local list = samples(median, round)
  local r = stats.summary(list)
  r.samples, r.name, r.device, r.cold, r.calls, r.threads = list, "x", "cpu", false, 1, 2
  for key, value in pairs(more or {}) do r[key] = value end
  return r
end

return M
