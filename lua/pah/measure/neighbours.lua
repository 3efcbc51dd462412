-- neighbours.lua - how busy other programs kept the processors meanwhile, by what Linux counts for all of them
-- (/proc/stat) less what this process used. What a host below a virtual machine took away ("steal") counts as others'.
-- Read next: init.lua, which notes it.
local C = require("pah.ffi").C

local M = {}

--- Processors in use by others from which on it is worth a note: less may be a daemon, or the counting itself.
M.worth = 0.25

--- The file that is read, and its ticks per second.
M.path, M.ticks = "/proc/stat", 100

-- Seconds of all processors in use so far and the number of processors, or nil where the system does not say.
local function used()
  local file = io.open(M.path)
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  local user, nice, system, irq, softirq, steal =
    text:match "^cpu%s+(%d+) (%d+) (%d+) %d+ %d+ (%d+) (%d+) (%d+)"
  if not user then return nil end
  local _, processors = text:gsub("\ncpu%d", "")
  return (user + nice + system + irq + softirq + steal) / M.ticks, processors
end

--- A function that returns the processors that others used on average since now, and how many there are; nil where
--- that is not known.
function M.watch()
  local before, start, own = used(), C.pah_clock(), C.pah_cpu_clock()
  return function()
    local after, processors = used()
    if not (before and after) then return nil end
    local others = (after - before - (C.pah_cpu_clock() - own)) / (C.pah_clock() - start)
    return math.max(0, math.min(processors, others)), processors
  end
end

--- The line about it, or nil where they were quiet, or `elapsed` seconds are too few to tell. Interleaved scripts
--- (compare/child.lua) have no time of their own that elapsed: each is the other's neighbour.
function M.note(others, processors, elapsed)
  if not others or not elapsed or elapsed < 0.2 or others < M.worth then return nil end
  return ("the machine was busy: other programs used %.1f of %d processors meanwhile"):format(others, processors)
end

return M
