-- provenance.lua - where the numbers of a picture come from, for its small print: machine, program and commit, date,
-- run, and what its bars mean. Promises: only what the headers say; results without a header have none of it.
-- Read next: layout.lua.
local named = require "pah.results.named"
local parts_of = require "pah.results.parts"
local text = require "pah.util.safe_text"

local M = {}

-- A list whose items are told once, and beyond `most` counted.
local function told(most, many)
  local list, seen = {}, {}
  local function add(words)
    if words and not seen[words] then
      seen[words] = true
      list[#list + 1] = text.line(words)
    end
  end
  local function sentence()
    if #list > most then return ("%d %s"):format(#list, many) end
    return #list > 0 and table.concat(list, ", ") or nil
  end
  return add, sentence
end

local function machine_of(machine)
  local host, gpu = machine.host or {}, machine.gpu or {}
  if gpu.name then return tostring(gpu.name) end
  if not host.cpu then return machine.device end
  return host.cpu .. (host.threads and (", %s thread%s"):format(host.threads, host.threads == 1 and "" or "s") or "")
end

local function program_of(pah)
  if not pah or not pah.version then return nil end
  return ("pah %s%s"):format(pah.version, pah.git and (" at %s%s"):format(pah.git:sub(1, 12),
    pah.dirty and ", changed" or "") or "")
end

-- The days on which the runs began: the first, or the first and the last.
local function days_of(runs)
  local first, last
  for _, run in ipairs(runs) do
    local day = type(run.header.started) == "string" and run.header.started:match "^%d+%-%d+%-%d+"
    if day and (not first or day < first) then first = day end
    if day and (not last or day > last) then last = day end
  end
  return first and (first == last and first or first .. " to " .. last) or nil
end

--- What the bars at the points of a plan are, or nil where no point has an interval.
function M.interval(plan)
  if plan.kind == "samples" then return "band: 95 % interval of the median" end
  local intervals, rounds = false, 1
  for _, point in ipairs(plan.points) do
    intervals = intervals or point.low < point.high
    rounds = math.max(rounds, #point.rows)
  end
  if plan.kind == "heat" or not intervals then return nil end
  return rounds > 1 and ("bars: ends of the 95 %% intervals of the medians of %d rounds"):format(rounds)
    or "bars: 95 % interval of the median"
end

--- The small print of a plan, a list of texts.
function M.of(plan)
  local add_machine, machines = told(2, "machines")
  local add_program, programs = told(1, "versions of pah")
  local first = plan.points[1].rows[1].result
  local counted = first and first.counted -- the same on every machine
  for _, run in ipairs(plan.runs) do
    for _, machine in ipairs(counted and {} or parts_of.machines(run)) do add_machine(machine_of(machine)) end
    add_program(program_of(run.header.pah))
  end
  local list = {}
  local function add(words) list[#list + 1] = words end
  add(machines())
  add(programs())
  add(days_of(plan.runs))
  local last = false
  for _, run in ipairs(plan.runs) do last = last or run.last_of end
  if #plan.runs > 1 and last then add "the last runs of their files" end
  if #plan.runs == 1 and plan.runs[1].id ~= "" then add(text.line(named.sentence(plan.runs[1]))) end
  return list
end

return M
