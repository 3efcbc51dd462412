-- direct_labels.lua - names that stand where their lines end, in place of a legend: at the right of the frame for
-- curves, along the lines for the limits of a roofline. Promises: labels of curves never overlap; where they have no
-- room, M.margin says so and the legend stays. Read next: gnuplot_script.lua.
local pictures = require "pah.plot.layout"
local text = require "pah.util.safe_text"

local M = {}

local ROW, CHARACTER, INDENT = 16, 7.4, 30 -- height of a label, width of a character, room of its mark, in pixels

-- ---- Ends of curves -----------------------------------------------------------------------------------------------

--- The right margin that the labels of a picture need, in pixels; nil where a legend is better: points without lines,
--- lines that end elsewhere, names too long, or too many.
function M.margin(picture, entries, script)
  if not picture.joined or #entries == 0 then return nil end
  local widest = 0
  for _, entry in ipairs(entries) do
    local last = entry.points[#entry.points]
    if not last or pictures.place(picture.x, last.x) < 0.9 then return nil end
    widest = math.max(widest, text.width(entry.name))
  end
  local margin = INDENT + CHARACTER * widest + 6
  local height = script.height - script.bottom - script.top - 24
  if margin > 0.32 * script.width or #entries * ROW > height then return nil end
  return margin
end

-- Moves places (sorted from above) apart until they are ROW from each other, each crowd around its middle, inside
-- low .. high.
local function spread(list, low, high)
  local crowds = {}
  for _, item in ipairs(list) do
    local crowd = {items = {item}, middle = item.y}
    local above = crowds[#crowds]
    while above and crowd.middle - above.middle < ROW * (#crowd.items + #above.items) / 2 do
      local n, m = #above.items, #crowd.items
      above.middle = (n * above.middle + m * crowd.middle) / (n + m)
      for _, moved in ipairs(crowd.items) do table.insert(above.items, moved) end
      crowds[#crowds] = nil
      crowd, above = above, crowds[#crowds]
    end
    crowds[#crowds + 1] = crowd
  end
  for _, crowd in ipairs(crowds) do
    for i, item in ipairs(crowd.items) do item.y = crowd.middle + (i - (#crowd.items + 1) / 2) * ROW end
  end
  for i, item in ipairs(list) do item.y = math.max(item.y, i > 1 and list[i - 1].y + ROW or low) end
  for i = #list, 1, -1 do list[i].y = math.min(list[i].y, i < #list and list[i + 1].y - ROW or high) end
end

local function at_ends(picture, entries, script)
  local area, list = script.area, {}
  local function x_of(x) return area.left + pictures.place(picture.x, x) * (area.right - area.left) end
  local function y_of(y) return area.bottom - pictures.place(picture.y, y) * (area.bottom - area.top) end
  for i, entry in ipairs(entries) do
    local last = entry.points[#entry.points]
    list[i] = {entry = entry, x = x_of(last.x), from = y_of(last.y), y = y_of(last.y), place = i}
  end
  local function step(item) return math.floor(item.y / 4) end -- lines that end together stand in their own order
  table.sort(list, function(a, b)
    if step(a) ~= step(b) then return step(a) < step(b) end
    return a.place < b.place
  end)
  spread(list, area.top, area.bottom)
  for _, item in ipairs(list) do
    local x = area.right + 4
    if math.abs(item.y - item.from) > 5 then -- a thin line leads from the end to a label that had to move
      script:add("set arrow %d from screen %s,%s to screen %s,%s nohead lw 0.6 lc rgb '%s'", script:tag(),
        script:x(item.x + 7), script:y(item.from), script:x(x), script:y(item.y), item.entry.colour)
    end
    script:entry_mark(item.entry, x, item.y)
    script:say(item.entry.name, x + INDENT - 8, item.y, script.theme.ink)
  end
end

-- ---- Lines of a roofline ------------------------------------------------------------------------------------------

-- A slope's name, or its short one, runs along it, from its lower end; below it where another slope is close above. At
-- a slope too short for both it stands level, below that end.
local function along_slope(script, line, a, b, below)
  local length = math.sqrt((b.x - a.x) ^ 2 + (b.y - a.y) ^ 2)
  local ux, uy = (b.x - a.x) / length, (b.y - a.y) / length
  local away = below and 9 or -9
  local room = math.floor((length - 10) / CHARACTER)
  local words = text.width(line.name) <= room and line.name or line.short
  if text.width(words) > room then return script:say(words, a.x + 6, a.y + ROW, script.theme.muted, "left") end
  script:say(words, a.x + 10 * ux - away * uy, a.y + 10 * uy + away * ux, script.theme.muted,
    ("left rotate by %.1f"):format(math.deg(math.atan2(-uy, ux))))
end

-- Names of ceilings stand above their right ends, beside a name that would be in the way.
local function on_ceilings(script, ceilings)
  local before
  for _, item in ipairs(ceilings) do
    local name = text.cut(item.name, math.floor((script.area.right - script.area.left) / CHARACTER))
    local right = script.area.right
    if before and item.y - before.y < ROW then right = before.left - 14 end
    script:say(name, right, item.y - 9, script.theme.muted, "right")
    before = {y = item.y, left = right - CHARACTER * text.width(name)}
  end
end

local function on_roof(picture, script)
  local area, slopes, ceilings = script.area, {}, {}
  local function pixel(p)
    return {x = area.left + pictures.place(picture.x, p.x) * (area.right - area.left),
      y = area.bottom - pictures.place(picture.y, p.y) * (area.bottom - area.top)}
  end
  for _, line in ipairs(picture.lines) do
    local a, b = pixel(line.points[1]), pixel(line.points[2])
    if line.slope then
      slopes[#slopes + 1] = {line = line, a = a, b = b}
    else
      ceilings[#ceilings + 1] = {name = line.name, y = a.y}
    end
  end
  for i, slope in ipairs(slopes) do
    local above = slopes[i - 1]
    local close = above and math.abs(slope.a.y - above.a.y) + math.abs(slope.a.x - above.a.x) < 3.5 * ROW
    along_slope(script, slope.line, slope.a, slope.b, close)
  end
  on_ceilings(script, ceilings)
end

--- Writes the labels of a picture whose frame is drawn, as gnuplot's labels.
function M.labels(picture, entries, script)
  if picture.kind == "roofline" then return on_roof(picture, script) end
  if M.margin(picture, entries, script) == script.right then at_ends(picture, entries, script) end
end

return M
