-- facts.lua - the header of a run in words: machine, program, script, limits. Promises: what a header does not
-- have is left out, never guessed. Read next: results/header.lua, init.lua.
local parts_of = require "pah.results.parts"
local units = require "pah.util.units"

local M = {}

local function when(stamp) return (tostring(stamp):gsub("T", " "):gsub("%.?%d*Z$", function(s)
  return (s:gsub("Z", "") .. " UTC")
end)) end

-- "2026-11-25T20:40:05Z" as seconds, or nil.
local function seconds_of(stamp)
  local y, mo, d, h, mi, s = tostring(stamp or ""):match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)"
  if not y then return nil end
  return os.time{year = y, month = mo, day = d, hour = h, min = mi, sec = 0} + tonumber(s)
end

local function duration(seconds)
  if seconds < 120 then return ("%.0f s"):format(seconds) end
  if seconds < 7200 then return ("%.0f min"):format(seconds / 60) end
  return ("%.1f h"):format(seconds / 3600)
end

-- Seconds from the start of a run to its last row, or nil.
local function length_of(run)
  local start, last = seconds_of(run.header.started), nil
  for _, row in ipairs(run.rows) do
    local at = seconds_of(row.measured_at)
    if at and (not last or at > last) then last = at end
  end
  return start and last and last >= start and last - start or nil
end

--- One line about a run: rows, device, start.
function M.summary(run)
  local h, parts = run.header, {("%d row%s"):format(#run.rows, #run.rows == 1 and "" or "s")}
  if h.device then parts[1] = parts[1] .. " on " .. tostring(h.device) end
  if h.started then parts[#parts + 1] = "begun " .. when(h.started) end
  local length = length_of(run)
  if length then parts[#parts + 1] = "took " .. duration(length) end
  if run.id ~= "" then parts[#parts + 1] = "run " .. run.id end
  parts[#parts + 1] = parts_of.sentence(run)
  return table.concat(parts, " · ")
end

--- One line about all runs: how many, on what, when.
function M.overview(runs)
  local parts, seen, from, to = {}, {}, nil, nil
  if #runs ~= 1 then parts[1] = ("%d runs"):format(#runs) end
  for _, run in ipairs(runs) do
    local h = run.header
    for _, machine in ipairs(parts_of.machines(run)) do
      local cpu = (machine.gpu or {}).name or (machine.host or {}).cpu
      local place = cpu and tostring(cpu) or machine.device and tostring(machine.device)
      if place and not seen[place] then
        seen[place] = true
        parts[#parts + 1] = place
      end
    end
    if h.started then
      local day = tostring(h.started):sub(1, 10)
      from, to = (not from or day < from) and day or from, (not to or day > to) and day or to
    end
  end
  if from then parts[#parts + 1] = from == to and from or from .. " to " .. to end
  return table.concat(parts, " · ")
end

local function command_of(argv)
  local words = {}
  for i, word in ipairs(argv) do words[i] = tostring(word) end
  return table.concat(words, " ")
end

local function peaks(h, add)
  local l = h.limits
  if type(l) ~= "table" then return end
  if l.read_bytes_per_second then
    add("limit of reads", units.text("B/s", l.read_bytes_per_second) .. " in order" .. (l.shuffled_read_bytes_per_second
      and ", " .. units.text("B/s", l.shuffled_read_bytes_per_second) .. " by shuffled blocks" or ""))
  end
  local dtypes, words = {}, {}
  for dtype in pairs(l.fma_flops_per_second or {}) do dtypes[#dtypes + 1] = dtype end
  table.sort(dtypes)
  for i, dtype in ipairs(dtypes) do
    words[i] = ("%s %s"):format(dtype, units.text("FLOP/s", l.fma_flops_per_second[dtype]))
  end
  if #words > 0 then add("limit of multiply-adds", table.concat(words, ", ")) end
end

local function machine(h, add)
  local host = h.host or {}
  add("device", h.device)
  local gpu = h.gpu or {}
  if gpu.name then
    add("GPU", tostring(gpu.name) .. (gpu.sms and (", %s multiprocessors"):format(tostring(gpu.sms)) or ""))
    add("GPU driver", gpu.driver)
    add("GPU clock", gpu.clock_mhz and ("%s MHz"):format(tostring(gpu.clock_mhz)))
  end
  add("processor", host.cpu)
  add("instruction set", host.isa)
  add("threads", host.threads)
  local governor = host.governor and ", governor " .. tostring(host.governor) or ""
  add("clock", host.mhz and ("%.0f MHz%s"):format(host.mhz, governor))
  local function bytes(n) return type(n) == "number" and n > 0 and units.text("B", n) end
  add("last-level cache", bytes(host.cache_bytes))
  add("memory", bytes(host.memory_bytes))
  add("NUMA nodes", host.numa_nodes)
  add("huge pages", host.huge_pages)
  add("load at the start", host.load and ("%.2f"):format(host.load))
  add("kernel", host.kernel)
  add("host", host.name)
end

--- Facts {{name, words}, ...} about the run, from its header.
function M.of(run)
  local h, list = run.header, {}
  local function add(name, value)
    if value ~= nil and value ~= false and tostring(value) ~= "" then list[#list + 1] = {name, tostring(value)} end
  end
  machine(h, add)
  peaks(h, add)
  local program = h.pah or {}
  local commit = program.git and ", commit " .. tostring(program.git):sub(1, 12) or ""
  add("pah", program.version and tostring(program.version) .. commit .. (program.dirty and ", with changes" or ""))
  add("LuaJIT", h.luajit)
  add("compiler", h.compiler)
  add("script", h.script and tostring(h.script) .. (h.script_sha256 and (" (sha256 %s…)"):format(
    tostring(h.script_sha256):sub(1, 12)) or ""))
  add("command", type(h.argv) == "table" and #h.argv > 0 and command_of(h.argv) or nil)
  add("seed", h.seed)
  add("begun", h.started and when(h.started))
  add("run", run.id)
  return list
end

--- Of a run of several machines their facts, {name=, facts={{name, words}, ...}} each; of others none.
function M.machines(run)
  local machines, list = parts_of.machines(run), {}
  if #machines < 2 then return list end
  for i, m in ipairs(machines) do
    local facts_ = {{"rows", tostring(m.rows)}}
    local function add(name, value)
      if value ~= nil and value ~= false and tostring(value) ~= "" then
        facts_[#facts_ + 1] = {name, tostring(value)}
      end
    end
    machine(m, add)
    peaks(m, add)
    for _, variable in ipairs(M.environment(m)) do add(variable[1], variable[2]) end
    list[i] = {name = m.name, facts = facts_}
  end
  return list
end

--- Variables of the environment that the header kept, sorted.
function M.environment(h)
  local list = {}
  for name, value in pairs(h.env or {}) do list[#list + 1] = {tostring(name), tostring(value)} end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

return M
