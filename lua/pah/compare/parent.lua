-- parent.lua - two scripts measured interleaved on this machine: the parent's side of `pah compare --interleave`.
-- Promises: each script runs in its own process, started anew for every pair; within a pair they take turns in
-- the order A B B A, so that slow changes of the machine reach both alike. Read next: child.lua, statistics.lua,
-- doc/comparing.md.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local host = require "pah.host"
local json = require "pah.util.json"
local stats = require "pah.measure.stats"
local readable = require("pah.util.whole_file").readable

local C = binding.C

local M = {}

-- ---- What is to be run ----------------------------------------------------------------------------------------------

--- The words of one side: "FILE", or "NAME=value ... FILE words ..." when no file has that whole name. Returns a table
--- with path, words and environment (a list of NAME=value); raises if there is no such file.
function M.parse(text)
  local side = {text = text, path = text, words = {}, environment = {}}
  if not readable(text) then
    side.path = nil
    for word in text:gmatch "%S+" do
      if side.path then
        side.words[#side.words + 1] = word
      elseif word:match "^[%a_][%w_]*=" then
        side.environment[#side.environment + 1] = word
      else
        side.path = word
      end
    end
  end
  if not side.path or not readable(side.path) then
    errors.raisef('compare: no script is named "%s"', side.path or text)
  end
  return side
end

local function start(side)
  local call = ("require('pah.compare.child').serve(%s)"):format(("%q"):format(side.path)
    .. (#side.words > 0 and ", unpack(arg)" or ""))
  local words = {"/usr/bin/env"}
  for _, word in ipairs(side.environment) do words[#words + 1] = word end
  for _, word in ipairs {host.exe, "-e", "arg = arg or {} " .. call, "-"} do words[#words + 1] = word end
  for _, word in ipairs(side.words) do words[#words + 1] = word end
  local child, why = host.spawn(words)
  if not child then errors.raisef("compare: %s cannot be started: %s", side.text, why) end
  return child
end

-- The next message of a child: a bench, or done; raises the error that it failed with.
local function next_event(child, side)
  local line, why = child:receive()
  if not line then
    local code, signal = child:finish(5)
    errors.raisef("compare: %s ended before it was measured (%s)", side.text,
      code and "exit code " .. code or signal or why)
  end
  local event = json.decode(line)
  if event.event == "error" then errors.raisef("compare: %s failed: %s", side.text, event.message) end
  return event
end

-- ---- Turns ----------------------------------------------------------------------------------------------------------

local function ask(child, side, message)
  child:send(json.encode(message))
  return next_event(child, side)
end

--- Which side, 1 or 2, begins in each of so many pairs: drawn for every other pair (by Lehmer's generator, from the
--- seed alone) and reversed in the next, so that both begin equally often.
function M.beginners(count, seed)
  local state, list = seed % 2147483646 + 1, {}
  local function draw()
    state = state * 16807 % 2147483647
    return state > 1073741823 and 2 or 1
  end
  for _ = 1, 3 do draw() end -- the first numbers of small seeds are all small
  for pair = 1, count do list[pair] = pair % 2 == 1 and draw() or 3 - list[pair - 1] end
  return list
end

-- Turns of one point: lists of answers, a and b, of the same length. `first`: which begins.
local function take_turns(children, sides, events, o, first)
  local calls = math.max(events[1].calls, events[2].calls)
  local share = o.time / o.pairs / 2
  local count = math.max(2, math.floor(share / 0.05 / 2) * 2)
  local answers = {{}, {}}
  for turn = 1, count do
    local order = (turn + first) % 2 == 0 and {1, 2} or {2, 1}
    for _, which in ipairs(order) do
      answers[which][turn] = ask(children[which], sides[which], {seconds = share / count, calls = calls})
    end
  end
  return answers, calls
end

-- A name that no point of this pair has yet: "x", then "x #2", ...
local function unused(name, used)
  local key, count = name, 1
  while used[key] do
    count = count + 1
    key = ("%s #%d"):format(name, count)
  end
  used[key] = true
  return key
end

-- All points of one pair of processes. points[i] gathers name, about and the answers of every pair.
local function run_pair(sides, o, points, first)
  local children = {}
  local order = first == 1 and {1, 2} or {2, 1}
  local events = {}
  for _, which in ipairs(order) do
    children[which] = start(sides[which])
    events[which] = next_event(children[which], sides[which])
  end
  local n, used = 0, {}
  while events[1].event == "bench" and events[2].event == "bench" do
    n = n + 1
    local name = events[1].name
    if name ~= events[2].name then name = name .. " | " .. events[2].name end
    name = unused(name, used)
    points[n] = points[n] or {key = name, about = {events[1], events[2]}, pairs = {}}
    if o.conditions and n == 1 and #points[1].pairs == 0 then
      for which = 1, 2 do events[which].conditions = ask(children[which], sides[which], {conditions = true}) end
    end
    if points[n].key ~= name then
      errors.raisef('compare: point %d was "%s" and is "%s" in another process: a script must measure the same each '
        .. "time", n, points[n].key, name)
    end
    local answers, calls = take_turns(children, sides, events, o, first)
    points[n].calls = calls
    table.insert(points[n].pairs, answers)
    -- One after the other, as they were started: what a script does until its next turn (another warm-up, work of its
    -- own) must not meet the other's, whose threads would want the same processors.
    for _, which in ipairs(order) do events[which] = ask(children[which], sides[which], {finish = true}) end
  end
  for which = 1, 2 do
    if events[which].event == "bench" then
      errors.raisef('compare: %s measures more than %s: "%s"', sides[which].text, sides[3 - which].text,
        events[which].name)
    end
  end
  if n == 0 then
    errors.raisef("compare: %s and %s measured nothing: a script calls pah.bench on a device that has a time, or "
      .. "returns a function", sides[1].text, sides[2].text)
  end
  for which = 1, 2 do children[which]:finish(5) end
  return n
end

--- The logarithms of `metric` of every turn of a list of answers.
function M.logarithms(answers, metric)
  local list = {}
  for i, answer in ipairs(answers) do list[i] = math.log(metric(answer)) end
  return list
end

--- The difference of B and A in a pair: the median over its turns of the difference of logarithms.
function M.difference(answers, metric)
  local a, b = M.logarithms(answers[1], metric), M.logarithms(answers[2], metric)
  local list = {}
  for i = 1, #a do list[i] = b[i] - a[i] end
  return stats.median(list)
end

--- Measures two sides (of M.parse) interleaved. o: pairs (of processes), time (seconds of turns of one point, over all
--- pairs), seed (of who begins), after (called with the points after every pair), conditions (true: of the first point
--- about[1] and about[2] get `conditions`, as of run_header). Returns a list of points {key, calls, about = {a, b},
--- pairs = {{answers of A, answers of B}, ...}}; an answer has the lists samples, wall and cpu.
function M.measure(a, b, o)
  local sides, points = {a, b}, {}
  for pair, first in ipairs(M.beginners(o.pairs, o.seed)) do
    local from, before = C.pah_clock(), #points
    local n = run_pair(sides, o, points, first)
    if pair > 1 and n ~= before then
      errors.raisef("compare: %d points were measured in one pair of processes and %d in another", before, n)
    end
    if o.after then o.after(points, pair, C.pah_clock() - from) end
  end
  return points
end

return M
