-- layout.lua - a plan of choice.lua worked out: series, axes with their ranges and units, lines of the limits.
-- Promises: everything that is drawn is here as numbers in the unit of its axis, for gnuplot and for the terminal.
-- Read next: gnuplot_script.lua, terminal.lua, roofline.lua.
local data = require "pah.plot.data"
local provenance = require "pah.plot.provenance"
local roofline = require "pah.plot.roofline"
local text = require "pah.util.safe_text"
local units = require "pah.util.units"

local M = {}

local MOST_BARS, MOST_LINES, MOST_POINTS, MOST_CELLS, LEVELS = 40, 16, 1000, 48, 9

-- ---- Axes ---------------------------------------------------------------------------------------------------------

-- Whether numbers (sorted) want a logarithmic axis: positive, over a wide range, most of them far apart.
local function geometric(values)
  local n = #values
  if n < 3 or values[1] <= 0 or values[n] / values[1] < 4 then return false end
  local far = 0
  for i = 2, n do
    if values[i] / values[i - 1] >= 1.5 then far = far + 1 end
  end
  return far >= 0.6 * (n - 1)
end

local function evenly(values)
  local step = values[2] and values[2] - values[1]
  for i = 3, #values do
    if math.abs(values[i] - values[i - 1] - step) > 1e-6 * math.abs(step) then return false end
  end
  return true
end

-- What an axis of the results is called: in the words of the script, if it has some.
local function label_of(axis) return text.line(axis.about or axis.name) end

-- The x axis of a curve over the values of an axis of the results.
local function x_axis(axis)
  local x = {label = label_of(axis), values = axis.values, at = {}}
  if not axis.numeric then
    x.words = {}
    for i, value in ipairs(axis.values) do x.words[i], x.at[value] = text.line(units.axis_value(value)), i end
    x.low, x.high = 0.5, #axis.values + 0.5
    return x
  end
  for _, value in ipairs(axis.values) do x.at[value] = value end
  local low, high = axis.values[1], axis.values[#axis.values]
  if geometric(axis.values) then
    x.log, x.exact = 2, true
    x.low, x.high = low / (high / low) ^ 0.04, high * (high / low) ^ 0.04
  else
    local margin = high > low and 0.04 * (high - low) or math.max(0.5, math.abs(low) * 0.1)
    x.low, x.high, x.exact = low - margin, high + margin, evenly(axis.values)
  end
  return x
end

-- The axis of a metric over all numbers that it has to show; these are divided by its unit afterwards.
local function metric_axis(metric, low, high, from_zero)
  local unit = units.scale(metric.kind, high)
  local axis = {label = text.line(metric.label) .. (unit[2] ~= "" and (" (%s)"):format(unit[2]) or ""), unit = unit,
    metric = metric}
  low, high = low / unit[1], high / unit[1]
  if not from_zero and low > 0 and high / low > 20 then
    axis.log, axis.low, axis.high = 10, low / 1.2, high * 1.2
  else
    axis.low, axis.high = math.min(0, low * 1.08), math.max(high * 1.08, low < 0 and 0 or high * 1.08)
    if axis.high <= axis.low then axis.high = axis.low + 1 end
  end
  return axis
end

--- The ticks {at=, text=} of an axis, `most` of them at most.
function M.ticks(axis, most)
  most = math.max(2, most)
  if axis.words or axis.exact then
    local ticks, step = {}, math.ceil(#axis.values / most)
    for i = 1, #axis.values, step do
      ticks[#ticks + 1] = {at = axis.words and i or axis.values[i],
        text = axis.words and axis.words[i] or units.axis_value(axis.values[i])}
    end
    return ticks
  end
  if axis.log == 2 then return units.binary_ticks(axis.low, axis.high, most) end
  if axis.log then return units.log_ticks(axis.low, axis.high, most) end
  return units.linear_ticks(axis.low, axis.high, most)
end

--- Where a number stands on an axis, 0 to 1.
function M.place(axis, value)
  if axis.log then return math.log(value / axis.low) / math.log(axis.high / axis.low) end
  return (value - axis.low) / (axis.high - axis.low)
end

-- ---- Series -------------------------------------------------------------------------------------------------------

local function range(points)
  local low, high = math.huge, -math.huge
  for _, p in ipairs(points) do low, high = math.min(low, p.low), math.max(high, p.high) end
  return low, high
end

-- Name of the line that a point belongs to: the values of the axes `by`.
local function line_of(point, by)
  local words = {}
  for i, name in ipairs(by) do
    local value = point.axes[name]
    local said = value == nil and "-" or units.axis_value(value)
    words[i] = type(value) == "string" and said or ("%s %s"):format(name, said)
  end
  return text.line(table.concat(words, ", "))
end

-- The points by line, lines in the order of the axes' values: list of {name=, points=}.
local function split(plan)
  local order, lines, list = {}, {}, {}
  for _, axis in ipairs(plan.axes) do order[axis.name] = axis.at end
  for _, point in ipairs(plan.points) do
    local name = line_of(point, plan.by)
    if not lines[name] then
      local places = {}
      for i, axis in ipairs(plan.by) do places[i] = order[axis] and order[axis][point.axes[axis]] or 0 end
      lines[name] = {name = name, points = {}, places = places}
      list[#list + 1] = lines[name]
    end
    table.insert(lines[name].points, point)
  end
  table.sort(list, function(a, b)
    for i, place in ipairs(a.places) do
      if place ~= b.places[i] then return place < b.places[i] end
    end
    return a.name < b.name
  end)
  return list
end

local builders = {}

function builders.curve(plan, picture)
  local x = x_axis(plan.x)
  local y = metric_axis(plan.metric, range(plan.points))
  if plan.metric.kind == "%" and not y.log then y.high = math.max(y.high, 105) end
  picture.x, picture.y, picture.joined = x, y, not x.words
  local f = y.unit[1]
  for i, line in ipairs(split(plan)) do
    local series = {name = line.name, points = {}}
    for _, p in ipairs(line.points) do
      local at = x.at[p.axes[plan.x.name]]
      if at then series.points[#series.points + 1] = {x = at, y = p.v / f, low = p.low / f, high = p.high / f} end
    end
    table.sort(series.points, function(a, b) return a.x < b.x end)
    picture.series[i] = series
  end
  if plan.metric.kind == "%" and y.high >= 100 then
    picture.lines[1] = {name = "the limit", points = {{x = x.low, y = 100}, {x = x.high, y = 100}}, dashed = true}
  end
  picture.title = ("%s by %s"):format(plan.metric.label, plan.x.name)
end

-- Words for the axes of a point that `wanted` holds true of, or nil where there are none.
local function words_for(point, axes, wanted)
  local words = {}
  for _, axis in ipairs(axes) do
    local value = point.axes[axis.name]
    if value ~= nil and wanted(axis.name) then
      words[#words + 1] = type(value) == "string" and value or ("%s %s"):format(axis.name, units.axis_value(value))
    end
  end
  return #words > 0 and text.line(table.concat(words, " ")) or nil
end

-- Bars of which each would be a group of its own: one name for both.
local function ungroup(bars, axes)
  for _, bar in ipairs(bars) do
    if bar.group then bar.name = words_for(bar.point, axes, function() return true end) end
    bar.group = nil
  end
end

-- A bar is named by the axes that colour it; the others make groups, whose bars stand together.
function builders.bars(plan, picture)
  local x = metric_axis(plan.metric, 0, select(2, range(plan.points)), true)
  local f, by, line_at, rank, groups, all = x.unit[1], {}, {}, {}, 0, {}
  for _, name in ipairs(plan.by) do by[name] = true end
  for i, line in ipairs(split(plan)) do
    picture.series[i] = {name = line.name, points = {}}
    line_at[line.name] = i
  end
  for i, p in ipairs(plan.points) do
    local name = words_for(p, plan.axes, function(axis) return by[axis] end)
    local group = words_for(p, plan.axes, function(axis) return not by[axis] end)
    if not name then name, group = group, nil end
    if group and not rank[group] then groups, rank[group] = groups + 1, groups + 1 end
    name = name or text.line(p.axes.name or p.rows[1].result and p.rows[1].result.name or "result")
    all[i] = {name = name, group = group, rank = group and rank[group] or 0, series = line_at[line_of(p, plan.by)],
      place = i, point = p, v = p.v / f, low = p.low / f, high = p.high / f, text = units.of(x.unit, p.v)}
  end
  table.sort(all, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    if a.series ~= b.series then return a.series < b.series end
    return a.place < b.place
  end)
  if groups == #all then ungroup(all, plan.axes) end
  picture.x, picture.bars = x, {unpack(all, 1, math.min(#all, MOST_BARS))}
  if #all > MOST_BARS then
    table.insert(picture.notes, ("the first %d of %d points"):format(MOST_BARS, #all))
  end
  picture.title = plan.metric.label
end

function builders.heat(plan, picture)
  local x, y = plan.x, plan.y
  local low, high = math.huge, -math.huge
  for _, p in ipairs(plan.points) do low, high = math.min(low, p.v), math.max(high, p.v) end
  local unit = units.scale(plan.metric.kind, high)
  local log = low > 0 and high / low > 20
  local heat = {x = {}, y = {}, cells = {}, levels = LEVELS, log = log, unit = unit[2],
    low_text = units.of(unit, low, 3), high_text = units.of(unit, high, 3),
    label = text.line(plan.metric.label)}
  for _, axis in ipairs {x, y} do
    if #axis.values > MOST_CELLS then
      local said = ("the first %d of %d values of %s"):format(MOST_CELLS, #axis.values, axis.name)
      table.insert(picture.notes, text.line(said))
    end
  end
  for i = 1, math.min(MOST_CELLS, #x.values) do heat.x[i] = text.line(units.axis_value(x.values[i])) end
  for i = 1, math.min(MOST_CELLS, #y.values) do
    heat.y[i], heat.cells[i] = text.line(units.axis_value(y.values[i])), {}
  end
  for _, p in ipairs(plan.points) do
    local i, j = x.at[p.axes[x.name]], y.at[p.axes[y.name]]
    local row = heat.cells[j] or {} -- beyond the last one: not shown
    local part = 0.5
    if high > low then part = log and math.log(p.v / low) / math.log(high / low) or (p.v - low) / (high - low) end
    row[i] = {v = p.v / unit[1], level = math.min(LEVELS, 1 + math.floor(part * LEVELS)),
      text = units.short(p.v / unit[1], 3)}
  end
  picture.heat, picture.x, picture.y = heat, {label = label_of(x)}, {label = label_of(y)}
  picture.title = ("%s by %s and %s"):format(plan.metric.label, x.name, y.name)
end

function builders.samples(plan, picture)
  local point
  for _, p in ipairs(plan.points) do
    if not point and #data.samples(p.rows[1].result) > 1 then point = p end
  end
  local r, key = point.rows[1].result, point.rows[1].key
  local drawn = data.samples(r)
  local low, high = math.huge, -math.huge
  for _, s in ipairs(drawn) do low, high = math.min(low, s.v), math.max(high, s.v) end
  local y = metric_axis({label = "time of a sample", kind = "s"}, low, high)
  local f = y.unit[1]
  local margin = 0.06 * (high - low + math.abs(low) * 0.02) / f
  if not y.log then y.low, y.high = math.max(math.min(0, low / f), low / f - margin), high / f + margin end
  if y.high <= y.low then y.high = y.low + 1 end
  picture.x, picture.y = {label = "sample", low = 0, high = #r.samples + 1}, y
  local series = {name = "samples", points = {}}
  for i, s in ipairs(drawn) do series.points[i] = {x = s.at, y = s.v / f, low = s.v / f, high = s.v / f} end
  picture.series[1] = series
  if #drawn < #r.samples then
    table.insert(picture.notes, ("%d samples that are no numbers to draw are not shown"):format(#r.samples - #drawn))
  end
  local function said(seconds) return units.of(y.unit, seconds or r.median) end
  if data.drawable(r.median) then
    picture.lines[1] = {name = ("median %s [%s, %s]"):format(said(r.median), said(r.low), said(r.high)),
      points = {{x = 0, y = r.median / f}, {x = #r.samples + 1, y = r.median / f}}}
  end
  picture.band = data.drawable(r.low) and data.drawable(r.high) and {low = r.low / f, high = r.high / f}
  key = key or r.name
  if key and key ~= "" then table.insert(picture.notes, text.line(key)) end
  if #plan.points > 1 then table.insert(picture.notes, ("one of %d points"):format(#plan.points)) end
  picture.title = "samples in the order in which they were taken"
end

function builders.roofline(plan, picture)
  roofline.build(plan, picture, split(plan))
end

-- The first lines where there are more than a legend can name.
local function first_lines(picture)
  local n = #picture.series
  for i = n, MOST_LINES + 1, -1 do picture.series[i] = nil end
  if n > MOST_LINES then table.insert(picture.notes, ("the first %d of %d lines"):format(MOST_LINES, n)) end
end

-- Keeps every so many points of each series where there are more than an eye can tell apart.
local function thin(picture)
  local total = 0
  for _, series in ipairs(picture.series) do total = total + #series.points end
  local step = math.ceil(total / MOST_POINTS)
  if step < 2 or picture.kind == "samples" then return end
  for _, series in ipairs(picture.series) do
    local kept = {}
    for i = 1, #series.points, step do kept[#kept + 1] = series.points[i] end
    series.points = kept
  end
  table.insert(picture.notes, ("every %d%s point is drawn"):format(step, ({[2] = "nd", [3] = "rd"})[step] or "th"))
end

--- The picture of a plan: {kind, title, notes (texts), source (texts of the small print), interval (what bars at
--- points mean, if there are some), series {{name=, points={{x=, y=, low=, high=}}}}, lines (of the limits), x, y
--- (axes), and bars or heat where it is one}.
function M.build(plan)
  local picture = {kind = plan.kind, series = {}, lines = {}, notes = {}}
  for i, words in ipairs(plan.fixed) do picture.notes[i] = text.line(words) end
  builders[plan.kind](plan, picture)
  if not picture.bars then first_lines(picture) end
  thin(picture)
  if plan.failed > 0 and plan.kind ~= "samples" then
    table.insert(picture.notes, plan.failed == 1 and "1 failed row is not shown"
      or ("%d failed rows are not shown"):format(plan.failed))
  end
  for _, words in ipairs(data.machine_notes(plan.runs)) do table.insert(picture.notes, text.line(words)) end
  local r = plan.points[1].rows[1].result
  if r and r.counted then table.insert(picture.notes, "counted on " .. text.line(r.device) .. ", not timed") end
  picture.title = text.line(picture.title):gsub("^%l", string.upper)
  picture.source, picture.interval = provenance.of(plan), provenance.interval(plan)
  return picture
end

return M
