-- axes.lua - the grid of a sweep: named axes, their values as lists or as text of the command line, and the points
-- that a constraint keeps. Promises: every point has its index in the whole grid, whatever the constraint; the last
-- axis runs fastest. Read next: sweep.lua, init.lua.
local errors = require "pah.errors"
local schema = require "pah.results.schema"

local M = {}

local axis_keys = {name = true, values = true, about = true, choices = true}
local scalar = {number = true, string = true, boolean = true}
local MOST = 2 ^ 22 -- values of an axis, and more than can be measured

-- ---- Values -----------------------------------------------------------------------------------------------------

local function number(what, name, value)
  if type(value) ~= "number" or value ~= value or math.abs(value) == math.huge then
    errors.raisef("%s: %s is %s, must be a number", what, name, tostring(value))
  end
end

--- The numbers from a to b in steps (1): pah.range(1, 8), pah.range(0, 1, 0.25), pah.range(8, 1, -1). b is included
--- if a step reaches it.
function M.range(a, b, step)
  step = step or 1
  number("range", "a", a)
  number("range", "b", b)
  number("range", "step", step)
  if step == 0 then errors.raise "range: step is 0, must not be" end
  local list, count = {}, math.floor((b - a) / step + 1e-9)
  if count >= MOST then errors.raisef("range: makes %.0f numbers, must be %d at most", count + 1, MOST) end
  for i = 0, count do list[i + 1] = a + i * step end
  return list
end

--- a, a*base, a*base^2, ... up to b; base is 2 if not given.
function M.powers(a, b, base)
  base = base or 2
  number("powers", "a", a)
  number("powers", "b", b)
  number("powers", "base", base)
  if a <= 0 then errors.raisef("powers: a is %s, must be above 0", tostring(a)) end
  if base <= 1 then errors.raisef("powers: base is %s, must be above 1", tostring(base)) end
  local list, value = {}, a
  local count = math.log(b / a) / math.log(base)
  if count >= MOST then errors.raisef("powers: makes %.0f numbers, must be %d at most", count + 1, MOST) end
  while value <= b * (1 + 1e-12) do
    list[#list + 1] = value
    value = value * base
  end
  return list
end

-- "1:8", "0:1+0.25", "1:64*2" as a list; nil if it is none of these.
local function span(text)
  local a, b, sign, step = text:match "^([^:]+):([^:*+]+)([*+]?)(.*)$"
  a, b = tonumber(a), tonumber(b)
  step = sign and sign ~= "" and tonumber(step) or nil
  if not a or not b or sign ~= "" and not step then return nil end
  if sign == "*" then
    if a <= 0 or step <= 1 then return nil, "multiplies from above 0 by more than 1" end
    if math.log(b / a) / math.log(step) >= MOST then return nil, "makes too many numbers" end
    return M.powers(a, b, step)
  end
  step = step or (b >= a and 1 or -1)
  if step == 0 or (b - a) / step < 0 then return nil, "never arrives" end
  if (b - a) / step >= MOST then return nil, "makes too many numbers" end
  return M.range(a, b, step)
end

local words = {["true"] = true, ["false"] = false, yes = true, no = false}

-- One part between commas, by the type of the axis; adds to list. Returns what is wrong, or nil.
local function add_part(list, kind, part, choices)
  local value = part
  if kind == "number" then
    value = tonumber(part)
    if not value then
      local values, why = span(part)
      if not values then return ('"%s" %s'):format(part, why or "is not a number, nor A:B, A:B+STEP or A:B*FACTOR") end
      for _, v in ipairs(values) do list[#list + 1] = v end
      return nil
    end
  elseif kind == "boolean" then
    value = words[part]
    if value == nil then return ('"%s" is not true or false'):format(part) end
  end
  for _, choice in ipairs(choices or {}) do
    if choice == value then choices = nil break end
  end
  if choices then
    local texts, known = {}, {}
    for i, choice in ipairs(choices) do texts[i], known[tostring(choice)] = tostring(choice), true end
    return ('"%s" is not one of %s%s'):format(part, table.concat(texts, ", "), errors.hint(part, known, ";"))
  end
  list[#list + 1] = value
end

-- A value that a list has twice, or nil.
local function twice(list)
  local seen = {}
  for _, value in ipairs(list) do
    if seen[value] then return value end
    seen[value] = true
  end
end

--- The values of an axis from the text of a command line, such as "16,32" or "1:8" or "1:64*2"; nil and what is wrong.
function M.parse(axis, text)
  local list = {}
  for part in (text .. ","):gmatch "%s*(.-)%s*," do
    local why = add_part(list, type(axis.values[1]), part, axis.choices)
    if why then return nil, why end
  end
  if #list == 0 then return nil, ('"%s" names no value'):format(text) end
  local double = twice(list)
  if double ~= nil then return nil, ('"%s" names %s twice'):format(text, tostring(double)) end
  return list
end

--- Values as text that parse takes back.
function M.text(values)
  local parts = {}
  for i, value in ipairs(values) do
    parts[i] = type(value) == "number" and ("%.15g"):format(value) or tostring(value)
  end
  return table.concat(parts, ",")
end

-- ---- Axes -------------------------------------------------------------------------------------------------------

local function check_values(what, name, values)
  if type(values) ~= "table" or #values == 0 then
    errors.raisef("%s: axis %s has no values, must have a list of them", what, name)
  end
  for i, value in ipairs(values) do
    if not scalar[type(value)] or type(value) ~= type(values[1]) then
      errors.raisef("%s: value %d of axis %s is a %s, must be %s", what, i, name, type(value), i == 1
        and "a number, string or boolean" or "a " .. type(values[1]) .. " as the first")
    end
  end
  local double = twice(values)
  if double ~= nil then errors.raisef("%s: axis %s has %s twice", what, name, tostring(double)) end
end

local function one_axis(what, axis)
  if type(axis) ~= "table" or type(axis.name) ~= "string" or not axis.name:match "^%a[%w_]*$" then
    errors.raisef("%s: an axis is %s, must be {name = letters, digits and underscores, values = {...}}", what,
      type(axis) == "table" and "named " .. tostring(axis.name) or "a " .. type(axis))
  end
  local values, named = axis.values, {}
  for key, value in pairs(axis) do
    if type(key) == "string" then named[key] = value end
  end
  errors.check_keys(what .. ": axis " .. axis.name, named, axis_keys)
  if not values and #axis > 0 then values = #axis == 1 and type(axis[1]) == "table" and axis[1] or {unpack(axis)} end
  check_values(what, axis.name, values)
  return {name = axis.name, values = {unpack(values)}, about = axis.about, choices = axis.choices}
end

--- Axes as a list of {name=, values=, about=, choices=}, from a list of {name=, values=} (or {name=, value, ...}),
--- whose order they keep, or from {name = list}, by name.
function M.list(what, axes)
  if type(axes) ~= "table" then errors.raisef("%s: axes are a %s, must be a table", what, type(axes)) end
  local list, seen = {}, {}
  if #axes == 0 then
    local names = {}
    for name in pairs(axes) do names[#names + 1] = name end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for i, name in ipairs(names) do list[i] = one_axis(what, {name = name, values = axes[name]}) end
  else
    for i, axis in ipairs(axes) do list[i] = one_axis(what, axis) end
  end
  for _, axis in ipairs(list) do
    if seen[axis.name] then errors.raisef("%s: axis %s stands twice", what, axis.name) end
    seen[axis.name] = true
  end
  return list
end

-- ---- Points -----------------------------------------------------------------------------------------------------

-- Values of a point by the names of the axes; any other name is an error, so that misspelt ones are found.
local function strict(point, known)
  return setmetatable(point, {__index = function(_, name)
    errors.raisef("no axis is named %s%s", tostring(name), errors.hint(name, known))
  end})
end

--- The points {index=, key=, axes={name = value}} of the grid for which where(axes) holds, in order of their index.
function M.points(what, axes, where)
  local total, known, points = 1, {}, {}
  for _, axis in ipairs(axes) do
    total = total * #axis.values
    known[axis.name] = true
  end
  for index = 1, total do
    local rest, values = index - 1, {}
    for i = #axes, 1, -1 do
      local list = axes[i].values
      values[axes[i].name] = list[rest % #list + 1]
      rest = math.floor(rest / #list)
    end
    local point = {index = index, key = schema.key(axes, values), axes = strict(values, known)}
    if not where or where(point.axes) then points[#points + 1] = point end
  end
  if #points == 0 then errors.raisef("%s: where leaves none of %d points", what, total) end
  return points
end

M.exports = {range = M.range, powers = M.powers}

return M
