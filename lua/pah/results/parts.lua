-- parts.lua - runs that were measured in parts: a shard that went on on another machine, shards that were merged.
-- A part is a run with a header of its own and the id of the whole in `part_of`. Promises: a reader sees one run, every
-- row once, and of each row the machine; what the machines have in common is in the header, the rest in its `machines`.
-- Read next: merge.lua, doc/many-machines.md.
local run_header = require "pah.results.header"
local schema = require "pah.results.schema"

local M = {}

--- The id of the run that a header is a part of; its own if it is the whole, or the first part.
function M.whole(header) return header.part_of or header.run end

-- ---- Names of machines ----------------------------------------------------------------------------------------------

-- Names by their identities; a name that two have gets a number.
local function distinct(list, identity, name)
  local count, names = {}, {}
  for _, item in ipairs(list) do
    local id = identity(item)
    if not names[id] then
      local text = name(item)
      count[text] = (count[text] or 0) + 1
      names[id] = count[text] > 1 and ("%s (%d)"):format(text, count[text]) or text
    end
  end
  return names
end

local function machine_name(header)
  local host = header.host or {}
  local gpu = header.gpu and (header.gpu.pci or header.device)
  return tostring(host.name or header.device or "unknown") .. (gpu and " " .. tostring(gpu) or "")
end

local function kind_name(header)
  return tostring((header.gpu or {}).name or (header.host or {}).cpu or header.device)
end

-- The machines of parts, in the order of their first rows, and of each part which it is.
local function machines_of(parts)
  local headers, list, place, by_identity = {}, {}, {}, {}
  for i, part in ipairs(parts) do headers[i] = part.header end
  local names = distinct(headers, run_header.machine_identity, machine_name)
  local kinds = distinct(headers, run_header.machine_kind, kind_name)
  for i, part in ipairs(parts) do
    local h, id = part.header, run_header.machine_identity(part.header)
    if not by_identity[id] then
      list[#list + 1] = {name = names[id], kind = kinds[run_header.machine_kind(h)], device = h.device, host = h.host,
        gpu = h.gpu, env = h.env, limits = h.limits, rows = 0}
      by_identity[id] = #list
    end
    place[i] = by_identity[id]
    local machine = list[place[i]]
    machine.limits = machine.limits or h.limits
  end
  return list, place
end

--- The machines of a run, each {name=, kind=, device=, host=, gpu=, env=, limits=, rows= (how many)}: several, if the
--- run was measured in parts; its own otherwise. row.machine is the place in this list, 1 where it is absent.
function M.machines(run)
  if run.header.machines then return run.header.machines end
  local list = machines_of{run}
  list[1].rows = #run.rows
  return list
end

--- "rows of 2 machines: a (12), b (4)", or nil if there are not several.
function M.sentence(run)
  local list, words = M.machines(run), {}
  if #list < 2 then return nil end
  for i = 1, math.min(#list, 8) do words[i] = ("%s (%d)"):format(list[i].name, list[i].rows) end
  return ("rows of %d machines: %s%s"):format(#list, table.concat(words, ", "),
    #list > 8 and (" and %d more"):format(#list - 8) or "")
end

--- How many points have rounds of more than one machine.
function M.mixed(run)
  local first, mixed, count = {}, {}, 0
  for _, row in ipairs(run.rows) do
    local machine = row.machine or 1
    first[row.index] = first[row.index] or machine
    if first[row.index] ~= machine and not mixed[row.index] then
      mixed[row.index], count = true, count + 1
    end
  end
  return count
end

-- ---- The whole ------------------------------------------------------------------------------------------------------

local function same(a, b)
  return a == b or type(a) == "table" and type(b) == "table" and schema.encode(a) == schema.encode(b)
end

-- What two headers have in common; of machine, GPU, environment and program field by field.
local nested = {host = true, gpu = true, env = true, pah = true}

local function common(a, b)
  local copy = {}
  for key, value in pairs(a) do
    if same(value, b[key]) then
      copy[key] = value
    elseif nested[key] and type(value) == "table" and type(b[key]) == "table" then
      copy[key] = {}
      for name, item in pairs(value) do
        if same(item, b[key][name]) then copy[key][name] = item end
      end
    end
  end
  return copy
end

local function header_of(parts, machines, place)
  local first = parts[1].header
  local header = common(first, first)
  local list, started, rounds, merged = {}, first.started, first.rounds, true
  for i, part in ipairs(parts) do
    local h = part.header
    header = common(header, h)
    if h.started and (not started or h.started < started) then started = h.started end
    if h.rounds and (not rounds or h.rounds > rounds) then rounds = h.rounds end
    if not same(h.shard, header.shard) then header.shard = nil end
    merged = merged and h.run ~= M.whole(h)
    list[i] = {run = h.run, machine = place[i], shard = h.shard, started = h.started, rows = part.kept}
  end
  header.schema, header.name, header.axes, header.script = first.schema, first.name, first.axes, first.script
  header.run, header.part_of, header.started, header.rounds = M.whole(first), nil, started, rounds
  header.limits = #machines == 1 and machines[1].limits or nil
  header.machines, header.parts, header.merged = machines, list, merged or nil
  return header
end

-- Rows of parts, each once, with their machine; how many stood twice.
local function rows_of(parts, machines, place)
  local rows, seen, twice = {}, {}, 0
  for i, part in ipairs(parts) do
    part.kept = 0
    for _, row in ipairs(part.rows) do
      local identity = row.index .. " " .. row.round
      if seen[identity] then
        twice = twice + 1
      else
        seen[identity] = true
        local copy = {}
        for key, value in pairs(row) do copy[key] = value end
        copy.machine = place[i]
        rows[#rows + 1], part.kept = copy, part.kept + 1
        machines[place[i]].rows = machines[place[i]].rows + 1
      end
    end
  end
  return rows, twice
end

local function whole_of(id, parts, notes)
  local machines, place = machines_of(parts)
  local rows, twice = rows_of(parts, machines, place)
  if twice > 0 then
    notes[#notes + 1] = ("%d rows of run %s stand in two of its parts; the first are taken"):format(twice, id)
  end
  return {id = id, header = header_of(parts, machines, place), rows = rows, parts = parts}
end

--- Runs with their parts put together: {id=, header=, rows=} each, and `parts`, the runs as they are stored, of those
--- that have some. They stand where their first part stood. Adds to the list `notes`.
function M.fold(runs, notes)
  local groups, order = {}, {}
  for _, run in ipairs(runs) do
    local id = M.whole(run.header)
    if not groups[id] then
      groups[id] = {}
      order[#order + 1] = id
    end
    table.insert(groups[id], run)
  end
  local list = {}
  for i, id in ipairs(order) do
    local parts = groups[id]
    list[i] = #parts == 1 and not parts[1].header.part_of and parts[1] or whole_of(id, parts, notes)
  end
  return list
end

return M
