-- text.lua - a comparison as a table for people and as Markdown for pull requests.
-- Promises: the verdict comes last, in words, with the smallest difference that could have been found.
-- Read next: init.lua, cli/compare.lua.
local columns = require "pah.util.columns"
local keys_of = require "pah.compare.keys"
local named = require "pah.results.named"
local safe = require "pah.util.safe_text"
local screen = require "pah.util.screen"
local units = require "pah.util.units"
local versus = require "pah.compare.statistics"

local M = {}

local function seconds(value, counted)
  return counted and ("%.6g"):format(value) or units.text("s", value)
end

local function percent(fraction)
  if fraction > 10 then return "> 1000 %" end
  return ("%.1f %%"):format(100 * fraction)
end

local function number(x) return x >= 1000 and "> 1000" or ("%.3f"):format(x) end

local function interval(r) return ("[%s, %s]"):format(number(r.low), number(r.high)) end

local heading = {"point", "A", "B", "B / A", "interval", "finds", "verdict"}
local to_the_right = {false, true, true, true, true, true, false}

-- ---- Rows -----------------------------------------------------------------------------------------------------------

-- Rows of cells; names[i], if there is one, stands for the key of point i.
local function rows_of(c, names)
  local rows = {heading}
  for i, point in ipairs(c.points) do
    rows[#rows + 1] = {names and names[i] or keys_of.name(point.key), seconds(point.a, point.counted),
      seconds(point.b, point.counted), number(point.ratio), interval(point), percent(point.detectable), point.verdict}
  end
  local all = c.all
  for _, group in ipairs(c.machines or {}) do
    rows[#rows + 1] = {("%d on %s"):format(group.count, group.name), "", "", number(group.all.ratio),
      interval(group.all), percent(group.all.detectable), group.all.verdict}
  end
  rows[#rows + 1] = {#c.points > 1 and ("all %d (geomean)"):format(#c.points) or "all", "", "",
    number(all.ratio), interval(all), percent(all.detectable), all.verdict}
  return rows
end

local words = {
  faster = "B is faster", slower = "B is slower", same = "A and B are the same", undecided = "undecided",
}

--- The verdict as one sentence.
function M.sentence(c)
  local all = c.all
  local change = math.abs(all.ratio - 1)
  local text = words[all.verdict]
  local what = c.points[1] and c.points[1].counted and c.metric or "time"
  if all.verdict == "faster" or all.verdict == "slower" then
    if what ~= "time" then text = all.verdict == "faster" and "B has fewer" or "B has more" end
    text = ("%s: %.3f times the %s of A, between %.3f and %.3f"):format(text, all.ratio, what, all.low, all.high)
  elseif all.verdict == "same" then
    text = ("%s within %s: B takes %.3f times the %s of A, between %.3f and %.3f"):format(text, percent(c.threshold),
      all.ratio, what, all.low, all.high)
  else
    text = ("%s: B takes %.3f times the time of A, anything between %s and %s is possible"):format(text, all.ratio,
      number(all.low), number(all.high))
  end
  if c.itself then return "A and B are the same run: its numbers are the same, by themselves that says nothing" end
  if all.error == 0 then return text .. "; counts are exact" end
  if all.verdict == "undecided" and all.detectable < 10 and change < all.detectable then
    text = text .. (". A slow-down of %s would have been found"):format(percent(all.detectable))
    if c.method == "runs" then text = text .. "; --interleave finds smaller ones" end
    return text
  end
  return text .. (". The smallest slow-down that would be found: %s"):format(percent(all.detectable))
end

-- ---- What else is to be said ----------------------------------------------------------------------------------------

-- Why a verdict may be "undecided" beside an interval without 1.
local function add_rough(lines, c)
  local keys = {}
  if c.all.rough and #c.points > 1 then keys[1] = "all" end
  for _, point in ipairs(c.points) do
    if point.rough then keys[#keys + 1] = point.key end
  end
  keys_of.add(lines, "rough", keys, (": half the interval is above %g %%, as when other programs hold up the calls; "
    .. "faster, slower and same need the interval of %g %% here"):format(100 * versus.rough.half,
    100 * versus.rough.confidence))
end

-- Errors of points that fail alike are one line.
local function add_errors(lines, side, entries)
  local keys, order = {}, {}
  for _, entry in ipairs(entries) do
    if not keys[entry.error] then
      keys[entry.error] = {}
      order[#order + 1] = entry.error
    end
    table.insert(keys[entry.error], keys_of.name(entry.key)
      .. (entry.count > 1 and (", %d rounds"):format(entry.count) or ""))
  end
  for _, why in ipairs(order) do keys_of.add(lines, "error in " .. side, keys[why], ": " .. why) end
end

local function short(text) return #text == 64 and text:match "^%x+$" and text:sub(1, 12) or text end

-- One line for all that differs in the state of the machine, and one for the rest.
local function add_differences(lines, what, differs, conditions)
  local parts = {}
  for _, d in ipairs(differs) do
    if d.conditions == conditions then parts[#parts + 1] = ("%s: A %s, B %s"):format(d.what, short(d.a), short(d.b)) end
  end
  if #parts > 0 then lines[#lines + 1] = ("%s: %s"):format(what, table.concat(parts, "; ")) end
end

--- Lines about points that are not compared, and about differences other than the times.
function M.remarks(c)
  local lines = {}
  keys_of.add(lines, "only in A", c.only_a)
  keys_of.add(lines, "only in B", c.only_b)
  for _, side in ipairs {"A", "B"} do add_errors(lines, side, c["errors_" .. side:lower()]) end
  keys_of.add(lines, "without " .. c.metric, c.unmeasured)
  add_differences(lines, "other conditions", c.differs, true)
  add_differences(lines, "differs", c.differs, false)
  for _, point in ipairs(c.points) do
    for _, note in ipairs(point.notes) do
      lines[#lines + 1] = ("not the same work: %s: %s"):format(keys_of.name(point.key), note)
    end
  end
  local single = false
  for _, point in ipairs(c.points) do
    single = single or not point.paired and ((point.rounds_a or 2) < 2 or (point.rounds_b or 2) < 2)
  end
  if c.method == "turns" then
    lines[#lines + 1] = "samples of A and B were taken by turns: pairs of neighbours are compared, nothing is assumed"
  end
  if single and c.all.error > 0 then
    lines[#lines + 1] = "a single round: how much rounds differ is assumed, not measured (doc/comparing.md)"
  end
  add_rough(lines, c)
  for _, point in ipairs(c.points) do
    local a, b = point.processors_a, point.processors_b
    if a and b and math.max(a / b, b / a) > 1.1 then
      lines[#lines + 1] = ("processors at work: %s: A %.2f, B %.2f: other programs, or another use of threads"):format(
        keys_of.name(point.key), a, b)
    end
  end
  for _, note in ipairs(c.notes) do lines[#lines + 1] = note end
  return lines
end

local function title(side, letter)
  local parts = {("%s: %s"):format(letter, side.name)}
  if side.run and side.run ~= side.name then
    parts[#parts + 1] = side.runs > 1 and ("%d runs"):format(side.runs)
      or named.sentence{id = side.run, last_of = side.last_of}
  end
  if side.started and #parts == 1 then parts[#parts + 1] = side.started end
  if side.device then parts[#parts + 1] = "on " .. side.device end
  if side.git then parts[#parts + 1] = "pah " .. side.git:sub(1, 12) end
  if side.load then parts[#parts + 1] = ("load %.1f"):format(side.load) end
  return table.concat(parts, ", ")
end

local function how(c)
  local confidence = #c.points > 1 and c.points[1].confidence > 0.951
    and ("intervals hold at 95 %% for all %d points together"):format(#c.points) or "intervals hold at 95 %"
  return ("%s of a call; %s; a difference below %s does not count"):format(c.metric, confidence, percent(c.threshold))
end

-- The points; what is the same in all of them stands above where there would be no room for it.
local function add_points(lines, c)
  local rows, width = rows_of(c), screen.width()
  if #c.points > 1 and not columns.fits(rows, width) then
    local same, names = keys_of.alike(c.points)
    if #same > 0 then
      lines[#lines + 1] = columns.folded(table.concat(same, ", ") .. " in all points")
      rows = rows_of(c, names)
    end
  end
  lines[#lines + 1] = columns.plain(rows, to_the_right, width, 1):gsub("\n$", "")
end

--- For people.
function M.table(c)
  local remarks = M.remarks(c)
  local lines = {columns.folded(title(c.a, "A")), columns.folded(title(c.b, "B")), columns.folded(how(c)), ""}
  add_points(lines, c)
  if #remarks > 0 then lines[#lines + 1] = "" end
  for _, line in ipairs(remarks) do lines[#lines + 1] = columns.folded(line) end
  lines[#lines + 1] = "\n" .. columns.wrapped("", M.sentence(c), 80)
  return table.concat(lines, "\n")
end

--- For a pull request.
function M.markdown(c)
  local rows = columns.markdown(rows_of(c), to_the_right)
  for _, verdict in ipairs {"slower", "faster"} do -- stands last in its row
    rows = rows:gsub("| " .. verdict .. " |\n", "| **" .. verdict .. "** |\n")
  end
  local lines = {("**%s**"):format(M.sentence(c)), "", rows}
  for _, line in ipairs {title(c.a, "A"), title(c.b, "B"), how(c), unpack(M.remarks(c))} do
    lines[#lines + 1] = "- " .. safe.markdown(line)
  end
  return table.concat(lines, "\n")
end

return M
