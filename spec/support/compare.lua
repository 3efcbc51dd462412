-- compare.lua - what the specs of pah compare share: a folder, the command run in it, results made by hand.
local child = require "spec.support.child"
local stats = require "pah.measure.stats"

local M = {folder = child.folder()}

--- To be called when the specs of a file are done.
function M.clean() os.execute("rm -r " .. M.folder) end

function M.write(name, text) child.write(M.folder .. "/" .. name, text) end

--- pah compare WORDS in the folder: stdout, stderr, exit code.
function M.compare(words) return child.run(M.folder, "compare " .. words) end

--- Raises unless `part` stands in `text`, however its lines are broken.
function M.has(text, part)
  local function line(words) return (words:gsub("%s+", " ")) end
  if not line(text):find(line(part), 1, true) then error(("%q is not in:\n%s"):format(part, text), 2) end
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
