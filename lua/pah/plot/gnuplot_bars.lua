-- gnuplot_bars.lua - the bars of a picture as lines of a script of gnuplot: names at the left, of groups beside their
-- middle, values at the ends. Promises: names that are too long to stand beside their bars stand above them.
-- Read next: gnuplot_script.lua.
local text = require "pah.util.safe_text"

local M = {}

local CHARACTER = 7.8 -- about the width of a character of a name, with its digits and underscores, in pixels

local quote = text.gnuplot
local function number(x) return ("%.9g"):format(x) end

-- The widest words of a field of the bars.
local function widest_word(bars, field)
  local most = 0
  for _, bar in ipairs(bars) do most = math.max(most, bar[field] and text.width(bar[field]) or 0) end
  return most
end

-- Room for the names at the left, in pixels: of the groups, and of the bars themselves. Nil where they are too long to
-- stand beside their bars and stand above them.
local function name_columns(picture, width)
  local names, groups = widest_word(picture.bars, "name"), widest_word(picture.bars, "group")
  local left = groups > 0 and 12 + CHARACTER * groups or 0
  if left + 18 + CHARACTER * names > 0.42 * width then return nil end
  return left, left + 18 + CHARACTER * names
end

-- Where bars stand, from above: half a place is left between groups. Returns the list and the height of all.
local function bar_places(picture)
  local places, at = {}, 0
  for i, bar in ipairs(picture.bars) do
    if i > 1 and bar.group ~= picture.bars[i - 1].group then at = at + 0.5 end
    at = at + 1
    places[i] = at
  end
  return places, at
end

-- Names of the bars, and of groups beside their middle.
local function name_bars(script, picture, places, columns)
  local first
  for i, bar in ipairs(picture.bars) do
    local function say(words, at, options)
      script:add("set label %d %s at %s %s tc rgb '%s'", script:tag(), quote(words), at, options, script.theme.ink)
    end
    if columns then
      say(bar.name, "graph 0,first " .. number(places[i]), "right offset character -0.8,0")
      if i == 1 or bar.group ~= picture.bars[i - 1].group then first = i end
      if bar.group and (picture.bars[i + 1] or {}).group ~= bar.group then
        say(bar.group, ("screen %s,first %s"):format(script:x(12), number((places[first] + places[i]) / 2)), "left")
      end
    else
      local words = bar.group and bar.group .. " " .. bar.name or bar.name
      say(text.cut(words, math.floor((script.width - 30) / CHARACTER)), "graph 0,first " .. number(places[i] - 0.22),
        "left")
    end
  end
end

--- Writes the bars of a picture into a script that has its title.
function M.draw(script, picture)
  local theme, columns, left = script.theme, name_columns(picture, script.width)
  local places, height = bar_places(picture)
  local room = script:frame(picture, left or 12)
  picture.x.high = picture.x.high * (columns and 1.25 or 1.3)
  script:range("x", picture.x)
  script:x_ticks(picture.x, room)
  script:add("set yrange [%s:0.4]\nunset ytics\nset grid xtics noytics back lc rgb '%s' lt 1", number(height + 0.6),
    theme.grid)
  name_bars(script, picture, places, columns)
  local rows = {}
  for i, bar in ipairs(picture.bars) do
    local colour = tonumber(theme.series[((bar.series or 1) - 1) % 8 + 1]:sub(2), 16)
    local low, high = places[i] - 0.38, places[i] + 0.38
    if not columns then low, high = places[i] + 0.02, places[i] + 0.36 end
    rows[i] = {bar.v, (low + high) / 2, 0, bar.v, low, high, bar.low, bar.high, colour}
    script:add("set label %d %s at first %s,%s left offset character 0.8,0 tc rgb '%s'", script:tag(), quote(bar.text),
      number(math.max(bar.v, bar.high)), number((low + high) / 2), theme.muted)
  end
  script:block("bars", rows)
  script:add("plot $bars using 1:2:3:4:5:6:9 with boxxyerror lc rgb variable, "
    .. "$bars using 1:2:7:8 with xerrorbars pt -1 lw 1.2 lc rgb '%s'", theme.ink)
end

--- The height that a picture of bars needs at a width, without title and notes.
function M.height(picture, width)
  local _, places = bar_places(picture)
  return 110 + places * (name_columns(picture, width) and 26 or 44)
end

return M
