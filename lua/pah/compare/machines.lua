-- machines.lua - what a comparison says of runs that were measured on several machines: the ratio on each, points
-- whose rounds are from several, points that A and B have from different ones. Promises: of runs of one machine nothing
-- is said. Read next: results/parts.lua, init.lua, text.lua.
local field = require("pah.results.header").field
local keys_of = require "pah.compare.keys"
local parts_of = require "pah.results.parts"
local schema = require "pah.results.schema"

local M = {}

--- Adds the machine of a row to a list of names, unless it is there.
function M.add(names, run, row)
  local list = run.header.machines
  local name = list and #list > 1 and list[row.machine or 1].name
  if not name then return end
  for _, known in ipairs(names) do
    if known == name then return end
  end
  names[#names + 1] = name
end

local function several(header) return header.machines and #header.machines > 1 end

--- The field "outer.inner" or "name" of a header; of several machines all its values in one text.
function M.field(header, name)
  if not several(header) or not (name == "device" or name:find "^host%." or name:find "^gpu%.") then
    return field(header, name)
  end
  local seen, list = {}, {}
  for _, machine in ipairs(header.machines) do
    local value = tostring(field(machine, name) or "unknown")
    if not seen[value] then list[#list + 1] = value end
    seen[value] = true
  end
  if #list == 1 and list[1] == "unknown" then return nil end
  table.sort(list)
  return table.concat(list, ", ")
end

--- The table env, options or files of a header; of the environments of several machines what any of them has, all
--- values of a name in one text.
function M.common(header, name)
  if name ~= "env" or not several(header) then return header[name] end
  local all, merged = {}, {}
  for _, machine in ipairs(header.machines) do
    for key in pairs(machine.env or {}) do all[key] = true end
  end
  for key in pairs(all) do
    local seen, list = {}, {}
    for _, machine in ipairs(header.machines) do
      local value = tostring((machine.env or {})[key] or "unset")
      if not seen[value] then list[#list + 1] = value end
      seen[value] = true
    end
    table.sort(list)
    merged[key] = table.concat(list, ", ")
  end
  return merged
end

-- "node1", or "node1 / node2" where A and B differ; "" for runs of one machine.
local function label(point)
  local a, b = table.concat(point.machines_a, " and "), table.concat(point.machines_b, " and ")
  return a == b and a or (a ~= "" and a or "another") .. " / " .. (b ~= "" and b or "another")
end

--- The points by the machines that they were measured on, {name=, count=, all = together(their sides)}; nil if that is
--- one group.
function M.groups(points, sides, together)
  local list, by_name = {}, {}
  for i, point in ipairs(points) do
    local name = label(point)
    if not by_name[name] then
      by_name[name] = {name = name, sides = {}}
      list[#list + 1] = by_name[name]
    end
    table.insert(by_name[name].sides, sides[i])
  end
  if #list < 2 then return nil end
  for _, group in ipairs(list) do
    group.count, group.all, group.sides = #group.sides, together(group.sides), nil
  end
  return list
end

--- Adds to the notes of a comparison what is to be said of machines. `sides`: {A = runs, B = runs}.
function M.remarks(c, sides)
  for _, letter in ipairs {"A", "B"} do
    for _, run in ipairs(sides[letter]) do
      local words = parts_of.sentence(run)
      if words then c.notes[#c.notes + 1] = ("%s has %s"):format(letter, words) end
    end
  end
  local mixed, apart = {}, {}
  for _, point in ipairs(c.points) do
    if #point.machines_a > 1 or #point.machines_b > 1 then
      mixed[#mixed + 1] = point.key
    elseif schema.encode(point.machines_a) ~= schema.encode(point.machines_b) then
      apart[#apart + 1] = point.key
    end
  end
  keys_of.add(c.notes, "rounds of several machines, whose differences are in the interval", mixed)
  keys_of.add(c.notes, "A and B measured on different machines", apart)
end

return M
