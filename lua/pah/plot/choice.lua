-- choice.lua - what to draw when the options do not say it: the metric, the kind of picture, its axes, what to hold
-- fixed. Promises: a picture never mixes points of different axes in one line; a note names what is left out. Read
-- next: layout.lua.
local data = require "pah.plot.data"
local errors = require "pah.errors"
local text = require "pah.util.safe_text"
local units = require "pah.util.units"

local M = {}

M.kinds = {"curve", "heat", "roofline", "bars", "samples"}
local MOST_LINES = 8

local function set(list)
  local s = {}
  for _, name in ipairs(list) do s[name] = true end
  return s
end

-- ---- The metric ---------------------------------------------------------------------------------------------------

local function given_metric(name, runs)
  local metric, names = data.metric(name), data.metrics(runs)
  if not names[metric.name] then
    local shown = {}
    for key in pairs(names) do shown[#shown + 1] = key end
    table.sort(shown)
    errors.raisef('plot: metric is "%s", must be a number of the results%s (%s)', text.line(name),
      errors.hint(name, names, ";"), #shown > 0 and text.line(table.concat(shown, ", ")) or "there are none")
  end
  return metric
end

-- Time, unless the points have different work: then the bandwidth where reads and writes bound all of them, else the
-- share of the limit, which is one measure for what bytes and what flops bound.
local function chosen_metric(runs, where)
  local timed = data.points(runs, "median", where)
  if #timed == 0 then
    local counted = data.points(runs, "global_sectors", where)
    return data.metric(#counted > 0 and "global_sectors" or "median")
  end
  local work, different, by = nil, false, {bytes = 0, flops = 0}
  for _, point in ipairs(timed) do
    local r = point.rows[1].result
    if not r.fraction or not r.limit then return data.metric "median" end
    local this = ("%s %s"):format(r.bytes, r.flops)
    different, work = different or work ~= nil and this ~= work, this
    by[r.limit.by] = (by[r.limit.by] or 0) + 1
  end
  if not different then return data.metric "median" end
  return data.metric(by.flops > 0 and "fraction" or "bytes_per_second")
end

-- ---- Axes ---------------------------------------------------------------------------------------------------------

local function varying(axes)
  local list = {}
  for _, axis in ipairs(axes) do
    if #axis.values > 1 then list[#list + 1] = axis end
  end
  return list
end

local function named_axis(what, name, axes)
  for _, axis in ipairs(axes) do
    if axis.name == name then return axis end
  end
  local known = {}
  for _, axis in ipairs(axes) do known[axis.name] = true end
  local shown = {}
  for key in pairs(known) do shown[#shown + 1] = key end
  table.sort(shown)
  return errors.raisef('plot: %s is "%s", must be an axis of the results%s (%s)', what, text.line(name),
    errors.hint(name, known, ";"), #shown > 0 and text.line(table.concat(shown, ", ")) or "there are none")
end

-- The numeric axis with the most values that is not in `taken`; without one the longest of the others if `any`.
local function longest(list, taken, any)
  local best
  for _, axis in ipairs(list) do
    if not taken[axis.name] and (axis.numeric or any)
      and (not best or (axis.numeric and not best.numeric)
        or axis.numeric == best.numeric and #axis.values > #best.values) then
      best = axis
    end
  end
  return best
end

local first = {run = 2, machine = 1} -- what tells more apart than a value of an axis does

-- Axes for the lines of a curve: the shortest first, as long as there are not too many lines.
local function lines_by(list, taken)
  local rest, by, lines = {}, {}, 1
  for i, axis in ipairs(list) do
    if not taken[axis.name] then rest[#rest + 1] = {axis = axis, place = i} end
  end
  table.sort(rest, function(a, b)
    local x, y = first[a.axis.name] or 0, first[b.axis.name] or 0
    if x ~= y then return x > y end
    if #a.axis.values ~= #b.axis.values then return #a.axis.values < #b.axis.values end
    return a.place < b.place
  end)
  for _, item in ipairs(rest) do
    if lines * #item.axis.values <= MOST_LINES then
      by[#by + 1] = item.axis
      lines = lines * #item.axis.values
    end
  end
  return by
end

-- The points that have all axes of the list `needed` (axes of the plan): points of another experiment may not. Adds to
-- the list `said` how many were left out.
local function with_axes(points, needed, said)
  for _, axis in ipairs(needed) do
    local kept = {}
    for _, point in ipairs(points) do
      if point.axes[axis.name] ~= nil then kept[#kept + 1] = point end
    end
    local gone = #points - #kept
    if gone > 0 then
      said[#said + 1] = ("%d point%s without %s not shown"):format(gone, gone == 1 and "" or "s", axis.name)
    end
    points = kept
  end
  return points
end

-- Whether a point may stand beside those that have `axis`: its run has it nowhere, and is told apart from the others.
local function without_axis(points, axis, taken)
  local has = {}
  for _, point in ipairs(points) do
    if point.axes[axis.name] ~= nil then has[point.run] = true end
  end
  return function(point) return taken.run and point.axes.run ~= nil and not has[point.run] end
end

-- Keeps the points with the commonest value of every axis that varies and is not drawn; returns them. Adds
-- "head_dim 64 (of 64, 128)" and the like to the list `said`.
local function hold_fixed(points, runs, taken, said)
  while true do
    local left
    for _, axis in ipairs(varying((data.axes(runs, points)))) do
      if not taken[axis.name] then left = left or axis end
    end
    if not left then return points end
    local elsewhere = without_axis(points, left, taken)
    local count, best = {}, nil
    for _, point in ipairs(points) do
      local value = point.axes[left.name]
      if value ~= nil then count[value] = (count[value] or 0) + 1 end
    end
    for _, value in ipairs(left.values) do
      if best == nil or count[value] > count[best] then best = value end
    end
    local kept, words = {}, {}
    for _, point in ipairs(points) do
      if point.axes[left.name] == best or elsewhere(point) then kept[#kept + 1] = point end
    end
    for i, value in ipairs(left.values) do words[i] = units.axis_value(value) end
    said[#said + 1] = ("%s %s (of %s)"):format(left.name, units.axis_value(best),
      #words > 6 and ("%d values"):format(#words) or table.concat(words, ", "))
    points = kept
  end
end

local function names_of(axes)
  local names = {}
  for i, axis in ipairs(axes) do names[i] = axis.name end
  return names
end

-- ---- Kinds --------------------------------------------------------------------------------------------------------

local function has_samples(points)
  for _, point in ipairs(points) do
    if #data.samples(point.rows[1].result) > 1 then return true end
  end
  return false
end

local function chosen_kind(o, points, list)
  if o.kind then return o.kind end
  if o.y and o.x then return "heat" end
  if o.x then return "curve" end
  if #points == 1 and has_samples(points) and not o.metric then return "samples" end
  return longest(list, {}) and "curve" or "bars"
end

local plans = {}

function plans.curve(plan, o, axes, list, runs)
  local x = o.x and named_axis("x", o.x, axes) or longest(list, set(o.by or {}), true) or axes[1]
  if not x then errors.raise "plot: a curve needs an axis, these results have none; kind = \"bars\" draws them" end
  local by = {}
  for i, name in ipairs(o.by or {}) do by[i] = named_axis("by", name, axes) end
  plan.points = with_axes(plan.points, {x}, plan.fixed)
  if not o.by then by = lines_by(varying((data.axes(runs, plan.points))), {[x.name] = true}) end
  plan.x, plan.by = x, names_of(by)
  return {x.name, unpack(plan.by)}
end

function plans.heat(plan, o, axes, _, runs)
  local x, y = o.x and named_axis("x", o.x, axes), o.y and named_axis("y", o.y, axes)
  -- One is chosen among the axes of the points that have the other.
  local function other(taken) return longest(varying((data.axes(runs, plan.points))), taken, true) end
  plan.points = with_axes(plan.points, {y or x}, plan.fixed)
  x = x or other(set{o.y})
  plan.points = with_axes(plan.points, {x}, plan.fixed)
  y = y or x and other(set{x.name})
  plan.points = with_axes(plan.points, {y}, plan.fixed)
  if not x or not y or x == y then
    errors.raise "plot: a heat map needs two axes that vary, x and y; kind = \"bars\" draws what has fewer"
  elseif #plan.points == 0 then
    errors.raisef("plot: there is nothing to draw: no point has both axes, %s and %s", text.line(x.name),
      text.line(y.name))
  end
  plan.x, plan.y, plan.by = x, y, {}
  return {x.name, y.name}
end

-- Everything is drawn; `by` is only the colour: a word, of which there are few.
local function coloured(plan, o, axes, list)
  local by = {}
  for i, name in ipairs(o.by or {}) do by[i] = named_axis("by", name, axes) end
  if not o.by then
    for _, axis in ipairs(list) do
      if #axis.values <= MOST_LINES and (not by[1] or by[1].numeric and not axis.numeric) then by[1] = axis end
    end
  end
  plan.by = names_of(by)
end

plans.roofline = coloured

-- Bars of one axis are named by it: colours would say the same again.
function plans.bars(plan, o, axes, list)
  plan.by = {}
  if o.by or #list > 1 then coloured(plan, o, axes, list) end
end

function plans.samples(plan) plan.by = {} end

-- Points of a roofline need both counts of work, whatever the metric.
local function with_work(points)
  local kept = {}
  for _, point in ipairs(points) do
    local r = point.rows[1].result
    if r and data.drawable(r.flops) and data.drawable(r.bytes) and r.flops > 0 and r.bytes > 0 and point.v > 0
      and point.low > 0 then
      kept[#kept + 1] = point
    end
  end
  return kept
end

-- Every axis that is named is one of the results, also where this kind of picture does not need it.
local function check_names(runs, o)
  local rows = {}
  for _, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do rows[#rows + 1] = {axes = data.axes_of(row, run)} end
  end
  local axes = data.axes(runs, rows)
  if #runs > 1 then axes[#axes + 1] = {name = "run"} end
  for _, what in ipairs {"x", "y"} do
    if o[what] then named_axis(what, o[what], axes) end
  end
  for _, name in ipairs(o.by or {}) do named_axis("by", name, axes) end
  for name in pairs(o.where or {}) do named_axis("where", name, axes) end
  if o.y and o.kind and o.kind ~= "heat" then
    errors.raisef('plot: y is "%s", but only a heat map has one; this is kind "%s"', text.line(o.y), o.kind)
  end
end

-- Whether the options name the axis "machine".
local function names_machine(o)
  for _, name in ipairs(o.by or {}) do
    if name == "machine" then return true end
  end
  return o.x == "machine" or o.y == "machine" or (o.where or {}).machine ~= nil
end

--- The plan of a picture of `runs` with options kind, x, y, by (list of axes), metric, where: {kind, metric, x, y, by
--- (names), points, axes (varying ones), fixed (list of texts), failed, runs}.
function M.choose(runs, o)
  if o.kind and not set(M.kinds)[o.kind] then
    errors.raisef('plot: kind is "%s", must be %s%s', text.line(o.kind), table.concat(M.kinds, ", "),
      errors.hint(o.kind, set(M.kinds), ";"))
  end
  data.tell_machines_apart(runs, names_machine(o))
  check_names(runs, o)
  local metric = o.metric and given_metric(o.metric, runs) or chosen_metric(runs, o.where)
  if o.kind == "roofline" then metric = data.metric "flops_per_second" end
  if o.kind == "samples" then metric = data.metric "median" end
  local points, failed = data.points(runs, metric.name, o.where)
  if o.kind == "roofline" then points = with_work(points) end
  if #points == 0 then
    local why = o.where and #data.points(runs, metric.name) > 0 and "no row has what `where` asks for"
      or o.kind == "roofline" and "no row has a time, flops and bytes"
      or ("no row has the metric %s"):format(metric.name)
    errors.raisef("plot: there is nothing to draw: %s%s", why, failed > 0 and (", %d failed"):format(failed) or "")
  end
  local axes = data.axes(runs, points)
  local list = varying(axes)
  local plan = {metric = metric, failed = failed, runs = runs, fixed = {}, points = points}
  plan.kind = chosen_kind(o, points, list)
  if plan.kind == "samples" and not has_samples(points) then
    errors.raise "plot: there is nothing to draw: no row has samples"
  end
  local drawn = plans[plan.kind](plan, o, axes, list, runs)
  if drawn then plan.points = hold_fixed(plan.points, runs, set(drawn), plan.fixed) end
  plan.axes = varying((data.axes(runs, plan.points)))
  for _, axis in ipairs((data.axes(runs, plan.points))) do -- values that are left, in order
    if plan.x and axis.name == plan.x.name then plan.x = axis end
    if plan.y and axis.name == plan.y.name then plan.y = axis end
  end
  return plan
end

return M
