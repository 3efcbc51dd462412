-- init.lua - pah.compare: two runs, point by point: what is paired, what is not, and how the times stand.
-- Promises: everything that is left out is reported: points of one side only, errors, machines and inputs that differ.
-- Rounds of several machines never pass as those of one: they count as different runs, and it is said.
-- Statistics: statistics.lua; text: text.lua. Definitions: doc/comparing.md.
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local field = require("pah.results.header").field
local named = require "pah.results.named"
local machines_of = require "pah.compare.machines"
local schema = require "pah.results.schema"
local readable = require("pah.util.whole_file").readable
local stats = require "pah.measure.stats"
local text = require "pah.compare.text"
local versus = require "pah.compare.statistics"

local M = {}

-- Metrics that are made of samples; of the others a result has one value.
local of_samples = {
  median = stats.median, mean = stats.mean,
  min = function(list) return stats.sorted(list)[1] end,
  q1 = function(list) return stats.quantile(stats.sorted(list), 0.25) end,
  q3 = function(list) return stats.quantile(stats.sorted(list), 0.75) end,
}

--- The names of the metrics, in the order in which they are listed.
M.metrics = {"median", "mean", "min", "q1", "q3", "cpu", "wall", "back_to_back"}

--- The metric of the samples of an answer of parent.lua: a function. Raises on what turns do not have.
function M.metric_of_answer(metric)
  if of_samples[metric] then return function(answer) return of_samples[metric](answer.samples) end end
  if metric == "cpu" or metric == "wall" then return function(answer) return stats.median(answer[metric]) end end
  errors.raisef("compare: metric is %s, which turns do not have; must be %s", metric,
    (table.concat(M.metrics, ", "):gsub(", back_to_back", "")))
end

-- ---- Runs -----------------------------------------------------------------------------------------------------------

-- The rows of a run with this value of an axis, under keys without that axis.
local function selected(run, name, axis, value)
  local axes, rows, known = {}, {}, {}
  for _, entry in ipairs(run.header.axes or {}) do
    if entry.name ~= axis then axes[#axes + 1] = entry end
  end
  for _, row in ipairs(run.rows) do
    local has = (row.axes or {})[axis]
    if has ~= nil then known[#known + 1] = tostring(has) end
    if tostring(has) == value then
      rows[#rows + 1] = setmetatable({key = schema.key(axes, row.axes)}, {__index = row})
    end
  end
  if #rows > 0 then return setmetatable({rows = rows, selected = axis}, {__index = run}) end
  errors.raisef("compare: %s: no row has %s = %s%s", name, axis, value,
    known[1] and (", the first has %s"):format(known[1]) or "; the run has no such axis")
end

--- The runs (a list, with the reader's notes) that a name means: results/named.lua; "...@axis=value": only rows with
--- that value of an axis, which are then as if it were none.
function M.load(name)
  local rest, axis, value = nil, nil, nil
  if not readable(name) then rest, axis, value = name:match "^(.*)@([%a_][%w_]*)=(.*)$" end
  local runs, notes = named.read("compare", rest or name)
  for i, run in ipairs(runs) do
    if #run.rows == 0 then errors.raisef("compare: %s: run %s has no rows", name, run.id) end
    if axis then runs[i] = selected(run, name, axis, value) end
  end
  runs.notes = notes
  return runs
end

-- A result of pah.bench, or a list of them (rounds of one thing, or different things), as a run.
local function run_of_results(what, value)
  local list, rounds, rows = value.samples and {value} or value, {}, {}
  for i, r in ipairs(list) do
    if type(r) ~= "table" or not (r.samples or r.counted) then
      errors.raisef("compare: %s is a table without samples, must be a result of pah.bench, a list of them, rows of "
        .. "pah.sweep or the name of a results file", what)
    end
    rounds[r.name] = (rounds[r.name] or 0) + 1
    rows[i] = {index = i, round = rounds[r.name], key = r.name, status = "ok", result = r}
  end
  if #rows == 0 then errors.raisef("compare: %s is empty, must be a result of pah.bench", what) end
  return {{id = what, header = {}, rows = rows}}
end

local function runs_of(what, value)
  if type(value) == "string" then return M.load(value) end
  if type(value) ~= "table" then
    errors.raisef("compare: %s is a %s, must be a results file, rows of pah.sweep or a result of pah.bench", what,
      type(value))
  end
  if value.rows then return {value} end
  if value.header and value[1] and value[1].key then
    return {{id = value.run or what, header = value.header, rows = value}}
  end
  return run_of_results(what, value)
end

-- ---- Points ---------------------------------------------------------------------------------------------------------

-- A row's value and samples into the rounds of its point: those of one run and machine are together.
local function take(point, row, place, metric)
  local r = row.result
  point.result = r
  local value = of_samples[metric] and r.samples and #r.samples > 0 and of_samples[metric](r.samples) or r[metric]
  if type(value) ~= "number" or value <= 0 then return end
  if not point.at[place] then
    point.runs[#point.runs + 1] = {}
    point.at[place] = point.runs[#point.runs]
  end
  table.insert(point.at[place], {value = value, samples = r.samples, cpu = metric ~= "cpu" and r.cpu or nil,
    blocks = r.samples and versus.blocks(r.samples, of_samples[metric] or stats.median)})
  point.count = point.count + 1
end

-- Rows as the grid has them, not as they were measured; those without an index keep their places behind the others.
local function in_grid_order(rows)
  local list, place = {}, {}
  for i, row in ipairs(rows) do list[i], place[row] = row, i end
  table.sort(list, function(a, b)
    local x, y = a.index or 1 / 0, b.index or 1 / 0
    if x ~= y then return x < y end
    return place[a] < place[b]
  end)
  return list
end

-- Rows of runs by key: {order = list of keys, [key] = {runs = lists of rounds, errors = messages, result = the last,
-- machines = names}}.
local function points_of(runs, metric)
  local points = {order = {}}
  for i, run in ipairs(runs) do
    for _, row in ipairs(in_grid_order(run.rows)) do
      local point = points[row.key]
      if not point then
        point = {key = row.key, runs = {}, at = {}, errors = {}, count = 0, machines = {}}
        points[row.key], points.order[#points.order + 1] = point, row.key
      end
      if row.status == "error" then
        point.errors[#point.errors + 1] = tostring(row.error or "no message"):match "^[^\n]*"
      elseif row.result then
        take(point, row, ("%d %d"):format(i, row.machine or 1), metric)
        machines_of.add(point.machines, run, row)
      end
    end
  end
  return points
end

--- What makes the times of two results incomparable or doubtful: a list of notes.
function M.differences_of_results(a, b)
  local notes = {}
  for _, name in ipairs {"device", "threads", "cold", "pinned", "bytes", "flops"} do
    local x, y = a[name], b[name]
    if x ~= y and not (x == nil and y == false or x == false and y == nil) then
      notes[#notes + 1] = ("%s: %s and %s"):format(name, tostring(x), tostring(y))
    end
  end
  return notes
end

-- ---- Headers --------------------------------------------------------------------------------------------------------

-- Fields whose difference makes times incomparable (true), and those that are reported as a possible reason.
local told = {
  {"device", true}, {"host.name", true}, {"host.cpu", true}, {"host.isa", true}, {"host.threads", true},
  {"host.governor", true}, {"host.huge_pages", true}, {"gpu.name", true}, {"gpu.driver", true}, {"seed", true},
  {"host.kernel"}, {"pah.version"}, {"pah.git"}, {"pah.dirty"}, {"pah.diff"}, {"pah.program_sha256"}, {"luajit"},
  {"compiler"}, {"script"}, {"script_sha256"},
}

local function flat(prefix, values, into)
  for key, value in pairs(type(values) == "table" and values or {}) do
    into[prefix .. key] = type(value) == "table" and schema.encode(value) or tostring(value)
  end
end

local function differences_of_headers(a, b)
  local list = {}
  local function add(name, x, y, conditions)
    if x == y then return end
    list[#list + 1] = {what = name, conditions = conditions or false,
      a = x ~= nil and tostring(x) or "unknown", b = y ~= nil and tostring(y) or "unknown"}
  end
  for _, entry in ipairs(told) do
    add(entry[1], machines_of.field(a, entry[1]), machines_of.field(b, entry[1]), entry[2])
  end
  for _, name in ipairs {"env", "options", "files"} do
    local x, y, names = {}, {}, {}
    flat(name .. ".", machines_of.common(a, name), x)
    flat(name .. ".", machines_of.common(b, name), y)
    for _, values in ipairs {x, y} do
      for key in pairs(values) do names[key] = true end
    end
    local order = {}
    for key in pairs(names) do order[#order + 1] = key end
    table.sort(order)
    for _, key in ipairs(order) do add(key, x[key], y[key], name == "env") end
  end
  return list
end

local function about(name, runs)
  local run = runs[#runs]
  local h = run.header
  return {name = type(name) == "string" and name or run.id, run = run.id, runs = #runs, last_of = run.last_of,
    started = h.started, device = h.device, load = field(h, "host.load"), git = field(h, "pah.git"), script = h.script}
end

-- ---- The comparison -------------------------------------------------------------------------------------------------

local Comparison = classes.name("Comparison", {})
Comparison.__index = Comparison
Comparison.__tostring = function(self) return text.table(self) end

--- Of a comparison: the exit code of `pah compare`, 0 faster or same, 1 slower, 2 undecided.
function Comparison:code()
  local verdict = self.all.verdict
  if self.any then
    for _, point in ipairs(self.points) do
      if point.verdict == "slower" then return 1 end
    end
  end
  return verdict == "slower" and 1 or verdict == "undecided" and 2 or 0
end

--- The options of pah.compare, checked, with their defaults.
function M.options(opts)
  errors.check_keys("compare", opts, {metric = true, threshold = true, each = true, any = true})
  local o = {metric = "median", threshold = 0.02}
  for key, value in pairs(opts or {}) do o[key] = value end
  if type(o.threshold) ~= "number" or not (o.threshold >= 0 and o.threshold < 1) then
    errors.raisef("compare: threshold is %s, must be a fraction from 0 to 1", tostring(o.threshold))
  end
  if type(o.metric) ~= "string" then errors.raisef("compare: metric is a %s, must be a string", type(o.metric)) end
  return o
end

--- How sure each of n points is: 95 % for all of them together (Bonferroni), or, with o.each, for each alone.
function M.confidence(o, n) return o.each and 0.95 or 1 - 0.05 / n end

--- A comparison from its parts.
function M.new(o, parts)
  parts.metric, parts.threshold, parts.any = o.metric, o.threshold, o.any or false
  return setmetatable(parts, Comparison)
end

local function unknown_metric(o, a, b)
  for _, name in ipairs(M.metrics) do
    if name == o.metric then return end
  end
  for _, side in ipairs {a, b} do
    for _, key in ipairs(side.order) do
      local r = side[key].result
      if r and r.counted and type(r[o.metric]) == "number" then return end
    end
  end
  errors.raisef("compare: metric is %s, must be %s, or a counter of runs on sim", o.metric,
    table.concat(M.metrics, ", "))
end

-- Whether the samples of two points were taken by turns (pah bench --peer): then pairs of neighbours are compared.
local function by_turns(x, y, metric)
  local a, b = x.result, y.result
  return metric == "median" and x.count == 1 and y.count == 1 and a.by_turns ~= nil and a.by_turns == b.by_turns
end

-- Counters of sim are exact: their ratio has no interval.
local function exact(a, b, o)
  local ratio = b / a
  return {ratio = ratio, low = ratio, high = ratio, half = 0, error = 0, confidence = 1, detectable = o.threshold,
    verdict = versus.verdict(ratio, ratio, ratio, o.threshold)}
end

local function pair_up(c, a, b)
  local both = {}
  for _, key in ipairs(a.order) do
    local x, y = a[key], b[key]
    if not y then c.only_a[#c.only_a + 1] = key end
    if x.count > 0 and y and y.count > 0 then
      both[#both + 1] = {key = key, x = x, y = y}
    elseif y and x.result and y.result then
      c.unmeasured[#c.unmeasured + 1] = key
    end
  end
  for _, key in ipairs(b.order) do
    if not a[key] then c.only_b[#c.only_b + 1] = key end
  end
  for list, side in pairs {[c.errors_a] = a, [c.errors_b] = b} do
    for _, key in ipairs(side.order) do
      if #side[key].errors > 0 then
        list[#list + 1] = {key = key, error = side[key].errors[1], count = #side[key].errors}
      end
    end
  end
  return both
end

-- Whether A and B are the very same runs, header and rows: then there is nothing to be undecided about.
local function the_same(a, b)
  for i = 1, math.max(#a, #b) do
    if not a[i] or not b[i] or not a[i].header.run or a[i].id ~= b[i].id or a[i].selected then return false end
    if schema.encode{a[i].header, a[i].rows} ~= schema.encode{b[i].header, b[i].rows} then return false end
  end
  return true
end

local function nothing(c, o)
  local why = "no point is in both and measured in both"
  if #c.unmeasured > 0 then why = ("the points have no %s (counts of sim have none)"):format(o.metric) end
  errors.raisef("compare: %s and %s: %s; only in A: %d, only in B: %d, errors in A: %d, in B: %d", c.a.name, c.b.name,
    why, #c.only_a, #c.only_b, #c.errors_a, #c.errors_b)
end

--- Compares b with a: names of results files (see M.load), rows of pah.sweep, or results of pah.bench (several of one
--- name are rounds). Options: metric ("median"), threshold (0.02: what counts as the same), each (95 % for each point
--- alone), any (code() is 1 if any point is slower). Returns a table that prints for people: points (key, a, b, ratio,
--- low, high, rough, detectable, verdict, notes), all (the same of their geometric mean), machines (of runs measured on
--- several: the same for each), only_a, only_b, errors_a, errors_b, differs, notes; code(), markdown().
function M.compare(a, b, opts)
  local o = M.options(opts)
  local runs_a, runs_b = runs_of("a", a), runs_of("b", b)
  local points_a, points_b = points_of(runs_a, o.metric), points_of(runs_b, o.metric)
  unknown_metric(o, points_a, points_b)
  local c = M.new(o, {a = about(a, runs_a), b = about(b, runs_b), points = {}, only_a = {}, only_b = {}, errors_a = {},
    errors_b = {}, unmeasured = {}, notes = {}, method = "runs",
    differs = differences_of_headers(runs_a[#runs_a].header, runs_b[#runs_b].header)})
  for _, runs in ipairs {runs_a, runs_b} do
    for _, note in ipairs(runs.notes or {}) do c.notes[#c.notes + 1] = tostring(note) end
  end
  c.itself = the_same(runs_a, runs_b)
  local both = pair_up(c, points_a, points_b)
  if #both == 0 then nothing(c, o) end
  local sides, counted, unpaired = {}, false, false
  for i, point in ipairs(both) do
    local x, y = versus.side(point.x.runs), versus.side(point.y.runs)
    sides[i] = {a = x, b = y}
    local counts = point.x.result.counted or point.y.result.counted
    counted = counted or counts
    local how = {threshold = o.threshold, confidence = M.confidence(o, #both)}
    local paired = not (counts or c.itself) and by_turns(point.x, point.y, o.metric)
    local r = (counts or c.itself) and exact(math.exp(x.estimate), math.exp(y.estimate), o)
      or paired and versus.by_turns(point.x.result.samples, point.y.result.samples, how) or versus.unpaired(x, y, how)
    r.key, r.a, r.b = point.key, math.exp(x.estimate), math.exp(y.estimate)
    r.rounds_a, r.rounds_b, r.counted, r.paired = point.x.count, point.y.count, counts, paired
    unpaired = unpaired or not paired
    r.notes = M.differences_of_results(point.x.result, point.y.result)
    r.processors_a = x.processors and math.exp(x.processors)
    r.processors_b = y.processors and math.exp(y.processors)
    r.machines_a, r.machines_b = point.x.machines, point.y.machines
    c.points[i] = r
  end
  if counted or c.itself then
    local sum = 0
    for _, point in ipairs(c.points) do sum = sum + math.log(point.ratio) / #c.points end
    c.all = exact(1, math.exp(sum), o)
  else
    c.all = unpaired and versus.together(sides, {threshold = o.threshold})
      or versus.mean(c.points, {threshold = o.threshold})
    if not unpaired then c.method = "turns" end
    c.machines = machines_of.groups(c.points, sides, function(list)
      return versus.together(list, {threshold = o.threshold})
    end)
  end
  machines_of.remarks(c, {A = runs_a, B = runs_b})
  return c
end

--- The table of a comparison in Markdown, for a pull request.
function Comparison:markdown() return text.markdown(self) end

M.exports = {compare = M.compare}

return M
