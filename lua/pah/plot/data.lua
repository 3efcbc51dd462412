-- data.lua - results as points: which axes vary, what a metric is of each point, rounds of a point combined.
-- Promises: takes whatever holds results (a file, runs, a run, rows, results of pah.bench); counted results have no
-- time; rounds of several machines are never one point. Read next: choice.lua, results/parts.lua.
local errors = require "pah.errors"
local named = require "pah.results.named"
local parts_of = require "pah.results.parts"
local schema = require "pah.results.schema"
local stats = require "pah.measure.stats"

local M = {}

-- ---- Where rows come from -----------------------------------------------------------------------------------------

-- A run of bare rows or results, so that there is one shape from here on.
local function run_of(list)
  local rows = {}
  for i, item in ipairs(list) do
    local row = item
    if not item.axes and not item.result and (item.median or item.counted) then
      row = {axes = {name = item.name}, status = "ok", result = item}
    end
    rows[i] = {index = row.index or i, round = row.round or 1, key = row.key, axes = row.axes or {},
      status = row.status or "ok", error = row.error, result = row.result, values = row.values or {},
      seconds = row.seconds, measured_at = row.measured_at, machine = row.machine}
  end
  return {id = "", header = {}, rows = rows}
end

local function append(list, more)
  for _, item in ipairs(more or {}) do list[#list + 1] = item end
end

--- The runs in `source`: a name (results/named.lua), what pah.results.read returns, a run, or a list of runs, rows or
--- results. Also the notes of files that could not be read whole.
function M.runs(source, what)
  if type(source) == "string" then return named.read(what, source) end
  if type(source) ~= "table" then
    errors.raisef("%s: results are a %s, must be a path, runs, rows or results of pah.bench", what, type(source))
  end
  if source.runs then return source.runs, source.notes or {} end
  if source.rows then return {source.header and source or run_of(source.rows)}, {} end
  if source.median or source.counted then return {run_of{source}}, {} end
  local first = source[1]
  if type(first) == "string" or type(first) == "table" and (first.runs or first.rows) then
    local runs, notes = {}, {}
    for _, item in ipairs(source) do
      local these, said = M.runs(item, what)
      append(runs, these)
      append(notes, said)
    end
    return runs, notes
  end
  return {run_of(source)}, {}
end

--- The title of a run: its name, else its id; with the id where two runs share a name.
function M.run_names(runs)
  local count, names = {}, {}
  local function name(run) return run.header.name or (run.id ~= "" and run.id) or "results" end
  for _, run in ipairs(runs) do count[name(run)] = (count[name(run)] or 0) + 1 end
  for i, run in ipairs(runs) do
    names[i] = name(run)
    if count[names[i]] > 1 then names[i] = ("%s %s"):format(names[i], run.id ~= "" and run.id:match "[^-]*$" or i) end
  end
  return names
end

-- ---- Machines -----------------------------------------------------------------------------------------------------

local labels = setmetatable({}, {__mode = "k"}) -- run -> list: the label of each of its machines

--- From now on the points of runs that were measured on machines of several kinds have the axis "machine", the kind;
--- with `each`, those of runs of several machines, the machine.
function M.tell_machines_apart(runs, each)
  for _, run in ipairs(runs) do
    local seen, list, count = {}, {}, 0
    for i, machine in ipairs(run.header.machines or {}) do
      list[i] = each and machine.name or machine.kind
      if not seen[list[i]] then count = count + 1 end
      seen[list[i]] = true
    end
    labels[run] = count > 1 and list or nil
  end
end

--- Notes on runs of several machines: which, and points that have rounds of more than one.
function M.machine_notes(runs)
  local notes = {}
  for _, run in ipairs(runs) do
    notes[#notes + 1] = parts_of.sentence(run)
    local mixed = parts_of.mixed(run)
    if mixed > 0 then
      notes[#notes + 1] = ("%d point%s measured on more than one, drawn once for each"):format(mixed,
        mixed == 1 and " was" or "s were")
    end
  end
  return notes
end

-- ---- Metrics ------------------------------------------------------------------------------------------------------

local aliases = {
  time = "median", ["GB/s"] = "bytes_per_second", gbs = "bytes_per_second", ["TFLOP/s"] = "flops_per_second",
  tflops = "flops_per_second", ["GFLOP/s"] = "flops_per_second", limit = "fraction",
}

-- Metric -> kind of quantity (util/units.lua) and what an axis says of it.
local known = {
  median = {"s", "time per call"}, low = {"s", "lower end of the interval"}, high = {"s", "upper end of the interval"},
  min = {"s", "shortest time of a call"}, max = {"s", "longest time of a call"}, mean = {"s", "mean time of a call"},
  iqr = {"s", "interquartile range"}, wall = {"s", "wall time per call"}, cpu = {"s", "processor time per call"},
  back_to_back = {"s", "time per call, back to back"}, overhead = {"s", "time of reading the clock"},
  bytes_per_second = {"B/s", "bandwidth"}, flops_per_second = {"FLOP/s", "throughput"},
  fraction = {"%", "share of the limit"}, bytes = {"B", "fewest bytes"}, flops = {"n", "flops"},
  global_load_bytes = {"B", "global bytes read"}, global_store_bytes = {"B", "global bytes written"},
  global_unique_bytes = {"B", "different global bytes"}, shared_bytes = {"B", "shared bytes"},
  async_bytes = {"B", "bytes of async copies"}, global_sectors = {"n", "global sectors"},
  global_sectors_ideal = {"n", "global sectors, ideal"},
}

--- What a metric is: {name=, kind=, label=}; `name` may be an alias such as "GB/s".
function M.metric(name)
  name = aliases[name] or name
  local is = known[name]
  if is then return {name = name, kind = is[1], label = is[2]} end
  return {name = name, kind = "n", label = (name:gsub("_", " "))}
end

--- Whether a value is a number that can be drawn: no NaN, not infinite, nor so large or small that a ratio of two is.
function M.drawable(value)
  if type(value) ~= "number" then return false end
  local size = math.abs(value)
  return size == 0 or size > 1e-150 and size < 1e150
end
local number = M.drawable

-- A value and its interval, which holds it; an interval that cannot be drawn is none.
local function within(v, low, high)
  if not number(low) or not number(high) then return v, v, v end
  return v, math.min(low, v), math.max(high, v)
end

--- The metric of a row and its interval; nil where the row has none. Rates and fractions have the interval of the
--- median that they come from.
function M.value(row, name)
  local r = row.result
  if row.status ~= "ok" then return nil end
  if r and number(r[name]) then
    local v = r[name]
    if name == "median" then return within(v, r.low, r.high) end
    local rate = name == "bytes_per_second" or name == "flops_per_second" or name == "fraction"
    if rate and number(r.low) and r.low > 0 and number(r.median) and number(r.high) then
      return within(v, v * r.median / r.high, v * r.median / r.low)
    end
    return v, v, v
  end
  local v = row.values and (row.values[name] or row.values[name:match "^values%.(.*)$"])
  if number(v) then return v, v, v end
end

--- The samples of a result that can be drawn, {at=, v=} each; none without a result.
function M.samples(r)
  local list = {}
  for i, v in ipairs(r and type(r.samples) == "table" and r.samples or {}) do
    if number(v) then list[#list + 1] = {at = i, v = v} end
  end
  return list
end

--- Names of all metrics that some row of the runs has, as a set; a value's that is also pah's is "values.NAME".
function M.metrics(runs)
  local names = {}
  for _, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do
      for name, value in pairs(row.result or {}) do
        if type(name) == "string" and number(value) then names[name] = true end
      end
      for name, value in pairs(row.values or {}) do
        if number(value) then names[schema.column("values", name)] = true end
      end
    end
  end
  return names
end

-- ---- Points -------------------------------------------------------------------------------------------------------

local function axis_name(name, run)
  return (name == "run" or name == "machine" and run and labels[run]) and "axes." .. name or name
end

-- A value of an axis; a number that cannot be drawn is a word.
local function axis_value(value)
  if type(value) == "number" and not number(value) then return tostring(value) end
  return value
end

-- Order of the values of an axis: that of the header, then numbers by size, then words by first appearance.
local function add_value(axis, value)
  if value == nil or axis.at[value] then return end
  axis.values[#axis.values + 1] = value
  axis.at[value] = #axis.values
  axis.numeric = axis.numeric and type(value) == "number"
end

local function sort_values(axis)
  if axis.numeric then table.sort(axis.values) end
  for i, value in ipairs(axis.values) do axis.at[value] = i end
end

--- The axes of runs, each {name=, about=, values=, at={value -> place}, numeric=}, those that `points` have, whose axes
--- are of M.axes_of.
function M.axes(runs, points)
  local axes, by_name = {}, {}
  local function axis(name)
    if not by_name[name] then
      by_name[name] = {name = name, values = {}, at = {}, numeric = true}
      axes[#axes + 1] = by_name[name]
    end
    return by_name[name]
  end
  local used = {}
  for _, point in ipairs(points) do
    for name, value in pairs(point.axes) do
      used[name] = used[name] or {}
      used[name][value] = true
    end
  end
  for _, run in ipairs(runs) do
    for _, a in ipairs(run.header.axes or {}) do
      for _, stored in ipairs(a.values or {}) do
        local name, value = axis_name(a.name, run), axis_value(stored)
        if used[name] and used[name][value] then
          add_value(axis(name), value)
          axis(name).about = axis(name).about or type(a.about) == "string" and a.about ~= "" and a.about or nil
        end
      end
    end
  end
  for _, point in ipairs(points) do
    local names = {}
    for name in pairs(point.axes) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do add_value(axis(name), point.axes[name]) end
  end
  for _, a in ipairs(axes) do sort_values(a) end
  return axes, by_name
end

--- The axes of a row of `run`, {name = value}: several runs are told apart by an axis "run", machines by an axis
--- "machine"; ones of the script's own of these names are "axes.run" and "axes.machine" (results/schema.lua has this
--- rule for columns).
function M.axes_of(row, run, run_name)
  local axes = {}
  for name, value in pairs(row.axes or {}) do axes[axis_name(name, run)] = axis_value(value) end
  if labels[run] then axes.machine = labels[run][row.machine or 1] end
  if run_name then axes.run = run_name end
  return axes
end

local function key_of(axes)
  local parts = {}
  for name, value in pairs(axes) do parts[#parts + 1] = ("%q=%q"):format(name, tostring(value)) end
  table.sort(parts)
  return table.concat(parts, " ")
end

local function matches(axes, where)
  for name, value in pairs(where or {}) do
    if tostring(axes[name]) ~= tostring(value) then return false end
  end
  return true
end

--- Points of the runs that have the metric: {axes=, v=, low=, high=, rows={row, ...}, run=}. Rounds of a point on one
--- machine are one: the median of theirs, from the lowest low to the highest high. They stand in the order of the runs
--- and of the grid, not in that of measuring. Also returns how many rows failed.
function M.points(runs, metric, where)
  local points, known_keys, failed = {}, {}, 0
  local names = #runs > 1 and M.run_names(runs) or {}
  for i, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do
      local axes = M.axes_of(row, run, names[i])
      if matches(axes, where) then
        local v, low, high = M.value(row, metric)
        if row.status ~= "ok" then failed = failed + 1 end
        if v then
          local key = ("%d %d %s"):format(i, row.machine or 1, key_of(axes))
          local point = known_keys[key]
          if not point then
            point = {axes = axes, all = {}, low = low, high = high, rows = {}, run = run, place = {i, row.index}}
            known_keys[key] = point
            points[#points + 1] = point
          end
          point.all[#point.all + 1], point.rows[#point.rows + 1] = v, row
          point.low, point.high = math.min(point.low, low), math.max(point.high, high)
        end
      end
    end
  end
  table.sort(points, function(a, b)
    if a.place[1] ~= b.place[1] then return a.place[1] < b.place[1] end
    return a.place[2] < b.place[2]
  end)
  for _, point in ipairs(points) do point.v, point.all = stats.median(point.all), nil end
  return points, failed
end

return M
