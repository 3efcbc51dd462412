-- findings.lua - what stands out in a run: failures, doubts, results near and above the limit, grouped so that a
-- hundred equal ones are one line. Promises: counts everything, names a few. Read next: init.lua.
local data = require "pah.plot.data"
local parts_of = require "pah.results.parts"
local units = require "pah.util.units"

local M = {}

local NEAR, WIDE = 0.9, 0.05 -- of the limit; interval over the median

--- What a row is called: its axes as they were given, else the result's name.
function M.row_name(row, rounds)
  local name = row.key
  if not name or name == "" then
    local words = {}
    for axis, value in pairs(row.axes or {}) do words[#words + 1] = ("%s=%s"):format(axis, tostring(value)) end
    table.sort(words)
    name = #words > 0 and table.concat(words, " ") or row.result and row.result.name
      or ("point %d"):format(row.index or 1)
  end
  return rounds and rounds > 1 and ("%s, round %d"):format(name, row.round or 1) or name
end

--- The first line of a row's error, and the lines below it (a traceback) or nil.
function M.error_of(row)
  local text = tostring(row.error or "no reason is given")
  local first, rest = text:match "^%s*([^\n]*)\n(.*)$"
  return first or text, rest and rest:find "%S" and rest or nil
end

--- How many rounds a run has.
function M.rounds(run)
  local most = 1
  for _, row in ipairs(run.rows) do most = math.max(most, row.round or 1) end
  return most
end

-- Texts that differ in their numbers only are alike.
local function shape(words) return (words:gsub("[%d.+-]*%d", "#")) end

--- Groups {words=, rows=, letter=} of the rows by the texts that texts_of(row) returns, the largest first.
function M.group(rows, texts_of)
  local groups, by_shape = {}, {}
  for _, row in ipairs(rows) do
    local seen = {}
    for _, words in ipairs(texts_of(row)) do
      local key = shape(words)
      if not by_shape[key] then
        by_shape[key] = {words = words, shape = key, rows = {}, place = #groups + 1}
        groups[#groups + 1] = by_shape[key]
      end
      if not seen[key] then table.insert(by_shape[key].rows, row) end
      seen[key] = true
    end
  end
  table.sort(groups, function(a, b)
    if #a.rows ~= #b.rows then return #a.rows > #b.rows end
    return a.place < b.place
  end)
  for i, group in ipairs(groups) do
    group.letter = i <= 26 and string.char(96 + i) or tostring(i)
  end
  return groups
end

--- Notes of results, grouped; each group has the letter that stands in the table.
function M.notes(run)
  return M.group(run.rows, function(row) return row.result and row.result.notes or {} end)
end

-- The letters of a row's notes, for the table.
function M.letters(row, groups)
  local found = {}
  for _, words in ipairs(row.result and row.result.notes or {}) do
    for _, group in ipairs(groups) do
      if group.shape == shape(words) then found[#found + 1] = group.letter end
    end
  end
  table.sort(found)
  return table.concat(found, " ")
end

local function failures(run, add)
  local failed = {}
  for _, row in ipairs(run.rows) do
    if row.status ~= "ok" then failed[#failed + 1] = row end
  end
  local groups = M.group(failed, function(row) return {(M.error_of(row))} end)
  for _, group in ipairs(groups) do
    local impossible = group.words:find("impossible", 1, true)
    add("bad", ("%d of %d rows failed%s"):format(#group.rows, #run.rows, impossible and ": faster than possible" or ""),
      group.rows, group.words)
  end
end

local function doubts(run, add)
  for _, group in ipairs(M.notes(run)) do
    add("warn", group.words, group.rows, nil, group.letter)
  end
  local wide, worst = {}, 0
  for _, row in ipairs(run.rows) do
    local v, low, high = data.value(row, "median")
    if v and v > 0 and low and (high - low) / v > WIDE then
      wide[#wide + 1] = row
      worst = math.max(worst, (high - low) / v)
    end
  end
  if #wide > 0 then
    add("warn", ("the interval is wider than %.0f %% of the median, up to %.1f %%"):format(100 * WIDE, 100 * worst),
      wide)
  end
end

local function against_limit(run, add)
  local near, above, best, least, timed = {}, {}, nil, nil, 0
  for _, row in ipairs(run.rows) do
    local f = data.value(row, "fraction")
    if f then
      timed = timed + 1
      if not best or f > best.f then best = {f = f, row = row} end
      if not least or f < least.f then least = {f = f, row = row} end
      if f > 1 then above[#above + 1] = row elseif f >= NEAR then near[#near + 1] = row end
    end
  end
  if #above > 0 then
    add("warn", ("above the limit that was measured, up to %s of it: a limit is a measurement too, 15 %% are let pass")
      :format(units.text("%", best.f, 4)), above)
  end
  if #near > 0 then
    add("good", ("%s of the limit or more; the best reaches %s"):format(units.text("%", NEAR, 2),
      units.text("%", math.min(best.f, 1), 3)), near)
  elseif best and #above == 0 then
    add("info", ("the best reaches %s of its limit"):format(units.text("%", best.f, 3)), {best.row})
  end
  if timed > 1 and least.f < 0.5 * best.f then
    add("info", ("furthest from its limit: %s of it"):format(units.text("%", least.f, 3)), {least.row})
  end
end

-- What is doubtful about a machine, by its header or its entry in header.machines.
local function surroundings_of(h, name, add)
  local host = h.host or {}
  if type(host.load) == "number" and type(host.threads) == "number" and host.load > 0.5 * host.threads then
    add("warn", ("%s was busy when the run began: load %.2f on %d threads"):format(name, host.load, host.threads), {})
  end
  if host.governor and host.governor ~= "performance" then
    add("info", ("the clock%s was governed by \"%s\""):format(name == "the machine" and "" or " of " .. name,
      tostring(host.governor)), {})
  end
end

local function surroundings(run, add)
  local machines = parts_of.machines(run)
  if (run.header.pah or {}).dirty then
    add("info", "the source tree of pah had changes that were not committed", {})
  end
  if #machines == 1 then return surroundings_of(run.header, "the machine", add) end
  add("info", parts_of.sentence(run), {})
  local kinds, count = {}, 0
  for _, machine in ipairs(machines) do
    surroundings_of(machine, machine.name, add)
    count = count + (kinds[machine.kind] and 0 or 1)
    kinds[machine.kind] = true
  end
  if count > 1 then add("warn", ("the machines are of %d kinds, whose times are not alike"):format(count), {}) end
  local mixed = parts_of.mixed(run)
  if mixed > 0 then
    add("warn", ("%d point%s rounds of more than one machine"):format(mixed, mixed == 1 and " has" or "s have"), {})
  end
end

--- What stands out in a run: list of {level = "bad", "warn", "good" or "info", words=, rows=, detail=, letter=}.
function M.of(run)
  local list = {}
  local function add(level, words, rows, detail, letter)
    list[#list + 1] = {level = level, words = words, rows = rows, detail = detail, letter = letter}
  end
  if #run.rows == 0 then add("bad", "the run has no rows: it was stopped before its first point was measured", {}) end
  failures(run, add)
  doubts(run, add)
  against_limit(run, add)
  surroundings(run, add)
  return list
end

return M
