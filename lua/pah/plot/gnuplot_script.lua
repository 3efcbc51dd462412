-- gnuplot_script.lua - a picture of layout.lua as a script of gnuplot. The layout is worked out here, from the top:
-- title, notes, legend, name of the y axis, the frame, ticks, name of the x axis; so nothing overlaps at any width.
-- Promises: names are written only as strings of util/safe_text.lua, in which gnuplot executes nothing. Read next:
-- run_gnuplot.lua.
local bars = require "pah.plot.gnuplot_bars"
local direct = require "pah.plot.direct_labels"
local pictures = require "pah.plot.layout"
local text = require "pah.util.safe_text"

local M = {}

local FONT, CHARACTER = 13, 7.4 -- size of the text and about its width, in pixels
local SMALL, RIGHT = 10, 18 -- size of the small print; margin where no labels stand
local shapes = {7, 5, 9, 13, 11, 15, 6, 4}

local quote = text.gnuplot
local function number(x) return ("%.9g"):format(x) end

-- ---- A script in the making: lines, and the height that is used from the top -----------------------------------

local Script = {}
Script.__index = Script

-- Dashes are longer for cairo, whose pixels are smaller.
local function new_script(width, height, theme, format)
  return setmetatable({lines = {}, width = width, height = height, theme = theme, top = 6, bottom = 50, right = RIGHT,
    tags = 0,
    dashes = format == "svg" and "(6,4)" or "(14,9)"}, Script)
end

function Script:add(format, ...)
  self.lines[#self.lines + 1] = select("#", ...) > 0 and format:format(...) or format
end

function Script:tag()
  self.tags = self.tags + 1
  return self.tags
end

-- Pixels from the left and from the top as gnuplot's screen coordinates.
function Script:x(pixels) return number(pixels / self.width) end
function Script:y(pixels) return number(1 - pixels / self.height) end

function Script:say(words, x, y, colour, options)
  self:add("set label %d %s at screen %s,%s tc rgb '%s' %s", self:tag(), quote(words), self:x(x), self:y(y), colour,
    options or "left")
end

-- Parts, with `between` between them, in as many lines as they need at that width and size of type.
local function wrapped(parts, between, width, size)
  local room = math.floor((width - 24) / (CHARACTER * size / FONT))
  local lines = {}
  for _, part in ipairs(parts) do
    local last = lines[#lines]
    if last and text.width(last .. between .. part) <= room then
      lines[#lines] = last .. between .. part
    else
      lines[#lines + 1] = part
    end
  end
  for i, line in ipairs(lines) do lines[i] = text.cut(line, room) end
  return lines
end

function Script:paragraph(parts, between, colour, size)
  for _, line in ipairs(wrapped(parts, between, self.width, size)) do
    self.top = self.top + size + 5
    self:say(line, 12, self.top - size / 2, colour, ("left font ',%d'"):format(size))
  end
end

-- The small print of a picture, below everything else; `bottom` is where the frame ends, in pixels from below.
local function small_lines(picture, width)
  local parts = {unpack(picture.source)}
  parts[#parts + 1] = picture.interval or nil
  return wrapped(parts, " · ", width, SMALL)
end

function Script:small_print(picture)
  local lines = small_lines(picture, self.width)
  for i, line in ipairs(lines) do
    self:say(line, 12, self.height - 4 - (#lines - i + 0.5) * (SMALL + 4), self.theme.muted,
      ("left font ',%d'"):format(SMALL))
  end
  self.bottom = 50 + #lines * (SMALL + 4) + (#lines > 0 and 4 or 0)
end

-- ---- Title and legend ---------------------------------------------------------------------------------------------

function Script:entry_mark(entry, x, y)
  if entry.shape then
    self:add("set label %d '' at screen %s,%s point pt %d ps 1 lc rgb '%s'", self:tag(), self:x(x + 8), self:y(y),
      entry.shape, entry.colour)
  else
    for start = 0, entry.dashed and 14 or 0, 7 do -- a dash type of an arrow is not drawn by every terminal
      self:add("set arrow %d from screen %s,%s to screen %s,%s nohead lw 1.5 lc rgb '%s'", self:tag(),
        self:x(x + start), self:y(y), self:x(x + (entry.dashed and start + 4 or 18)), self:y(y), entry.colour)
    end
  end
end

-- What a legend or the labels name: each {name=, colour=, shape= or dashed=, points=}.
function Script:entries(picture)
  local entries, theme = {}, self.theme
  local named = picture.kind ~= "samples" and (picture.series[1] or {}).name ~= ""
    and (#picture.lines > 0 or picture.kind == "roofline")
  for i, series in ipairs((#picture.series > 1 or named) and picture.series or {}) do
    local n = (i - 1) % 8 + 1
    entries[i] = {name = series.name, colour = theme.series[n], shape = shapes[n], points = series.points}
  end
  for _, line in ipairs(picture.kind ~= "roofline" and picture.lines or {}) do
    entries[#entries + 1] = {name = line.name, colour = theme.limit, dashed = line.dashed, points = line.points}
  end
  return entries
end

function Script:legend(entries)
  if #entries == 0 then return end
  local x, row = 12, 20
  self.top = self.top + 4
  for _, entry in ipairs(entries) do
    local name = text.cut(entry.name, math.floor((self.width - 50) / CHARACTER))
    local width = 26 + CHARACTER * text.width(name) + 14
    if x > 12 and x + width > self.width then x, self.top = 12, self.top + row end
    self:entry_mark(entry, x, self.top + row / 2)
    self:say(name, x + 24, self.top + row / 2, self.theme.ink)
    x = x + width
  end
  self.top = self.top + row + 2
end

-- ---- The frame ----------------------------------------------------------------------------------------------------

local function widest(ticks)
  local most = 0
  for _, tick in ipairs(ticks) do most = math.max(most, text.width(tick.text)) end
  return most
end

local function tick_list(ticks)
  local parts = {}
  for i, tick in ipairs(ticks) do parts[i] = ("%s %s"):format(quote(tick.text), number(tick.at)) end
  return "(" .. table.concat(parts, ", ") .. ")"
end

-- Ticks of the x axis: as many as have room beside each other, their words cut to their places.
local function x_ticks(axis, room)
  for most = axis.values and math.min(#axis.values, 40) or 9, 2, -1 do
    local ticks = pictures.ticks(axis, most)
    if axis.words then
      local slot = math.floor(room / #axis.words / CHARACTER) - 1
      local most_letters = math.max(4, slot * math.ceil(#axis.words / #ticks))
      for _, tick in ipairs(ticks) do tick.text = text.cut(tick.text, most_letters) end
    end
    local fits = true
    for i = 2, #ticks do
      local apart = (pictures.place(axis, ticks[i].at) - pictures.place(axis, ticks[i - 1].at)) * room
      local need = (text.width(ticks[i].text) + text.width(ticks[i - 1].text)) / 2 * CHARACTER + 8
      fits = fits and apart >= need
    end
    if fits then return ticks end
  end
  return pictures.ticks(axis, 2)
end

-- Sets ticks on the x axis of a frame that is `room` wide.
function Script:x_ticks(axis, room)
  self:add("set xtics %s tc rgb '%s'", tick_list(x_ticks(axis, room)), self.theme.muted)
end

function Script:range(letter, axis)
  if axis.log then self:add("set logscale %s %d", letter, axis.log) end
  self:add("set %srange [%s:%s]", letter, number(axis.low), number(axis.high))
end

-- Margins, axes and ticks; y may be nil (bars have no numbers there). Returns the width of the frame in pixels.
function Script:frame(picture, left)
  local theme, right, bottom = self.theme, self.width - self.right, self.bottom
  self.area = {left = left, right = right, top = self.top + 6, bottom = self.height - bottom}
  self:add("set lmargin at screen %s\nset rmargin at screen %s\nset tmargin at screen %s\nset bmargin at screen %s",
    self:x(left), self:x(right), self:y(self.area.top), self:y(self.area.bottom))
  self:add("unset key\nset border 1 lc rgb '%s' lw 1\nset tics scale 0 nomirror tc rgb '%s'\nset errorbars small",
    theme.muted, theme.muted)
  self:add("set style fill solid 1 noborder")
  if picture.x.label then
    self:say(text.cut(picture.x.label, math.floor((self.width - left) / CHARACTER)), (left + right) / 2,
      self.area.bottom + 40, theme.muted, "center")
  end
  return right - left
end

function Script:axes(picture)
  local theme = self.theme
  self.top = self.top + 18
  self:say(picture.y.label, 12, self.top - 7, theme.muted)
  local ticks = pictures.ticks(picture.y, self.height > 300 and 7 or 5)
  local left = 18 + CHARACTER * widest(ticks)
  local room = self:frame(picture, left)
  self:range("x", picture.x)
  self:range("y", picture.y)
  self:add("set ytics %s tc rgb '%s'", tick_list(ticks), theme.muted)
  self:x_ticks(picture.x, room)
  self:add("set grid ytics %s back lc rgb '%s' lw 1 lt 1", picture.kind == "roofline" and "xtics" or "noxtics",
    theme.grid)
end

-- ---- Kinds --------------------------------------------------------------------------------------------------------

function Script:block(name, rows)
  self:add("$%s << EOD", name)
  for _, row in ipairs(rows) do
    local words = {}
    for i, x in ipairs(row) do words[i] = number(x) end
    self.lines[#self.lines + 1] = table.concat(words, " ")
  end
  self:add "EOD"
end

local function xy(points)
  local rows = {}
  for i, p in ipairs(points) do rows[i] = {p.x, p.y, p.low or p.y, p.high or p.y} end
  return rows
end

local function points_and_lines(script, picture)
  local theme, plots, entries = script.theme, {}, script:entries(picture)
  script.right = direct.margin(picture, entries, script) or script.right
  if script.right == RIGHT then script:legend(entries) end
  script:axes(picture)
  direct.labels(picture, entries, script)
  if picture.band then
    script:add("set object 1 rect from graph 0, first %s to graph 1, first %s fc rgb '%s' fs solid 1 noborder behind",
      number(picture.band.low), number(picture.band.high), theme.band)
  end
  for i, line in ipairs(picture.lines) do
    script:block("line" .. i, xy(line.points))
    plots[#plots + 1] = ("$line%d using 1:2 with lines lw 1.5 dt %s lc rgb '%s'"):format(i,
      line.dashed and script.dashes or "1", theme.limit)
  end
  local many = 0
  for _, series in ipairs(picture.series) do many = many + #series.points end
  for i, series in ipairs(picture.series) do
    local colour, shape = theme.series[(i - 1) % 8 + 1], shapes[(i - 1) % 8 + 1]
    script:block("series" .. i, xy(series.points))
    if picture.joined and #series.points > 1 then
      plots[#plots + 1] = ("$series%d using 1:2 with lines lw 1.8 lc rgb '%s'"):format(i, colour)
    end
    local size = many > 60 and 0.6 or 0.9
    plots[#plots + 1] = picture.kind == "samples"
      and ("$series%d using 1:2 with points pt 7 ps 0.5 lc rgb '%s'"):format(i, colour)
      or ("$series%d using 1:2:3:4 with yerrorbars pt %d ps %g lw 1.2 lc rgb '%s'"):format(i, shape, size, colour)
  end
  script:add("plot %s", table.concat(plots, ", "))
end

-- The scale of a heat map: its levels from the least to the most.
local function heat_scale(script, h)
  local theme, x = script.theme, 12
  local function say(words)
    script:say(words, x, script.top + 12, theme.muted)
    x = x + CHARACTER * text.width(words) + 8
  end
  say(h.low_text)
  for i = 1, h.levels do
    script:add("set object %d rect from screen %s,%s to screen %s,%s fc rgb '%s' fs solid 1 noborder", script:tag(),
      script:x(x), script:y(script.top + 18), script:x(x + 16), script:y(script.top + 6), theme.heat[i])
    x = x + 16
  end
  x = x + 8
  say(h.high_text .. (h.log and ", logarithmic" or ""))
  script.top = script.top + 26
end

local function heat(script, picture)
  local h, theme = picture.heat, script.theme
  heat_scale(script, h)
  script.top = script.top + 18
  script:say(picture.y.label, 12, script.top - 7, theme.muted)
  local names = 0
  for _, name in ipairs(h.y) do names = math.max(names, text.width(name)) end
  names = math.min(names, math.floor(0.3 * script.width / CHARACTER))
  local room = script:frame(picture, 20 + CHARACTER * names)
  local axis = {words = h.x, values = h.x, low = 0.5, high = #h.x + 0.5}
  script:range("x", axis)
  script:add("set yrange [0.5:%s]\nunset border", number(#h.y + 0.5))
  local ticks, rows = {}, {}
  for j, name in ipairs(h.y) do ticks[j] = {at = j, text = text.cut(name, names)} end
  script:x_ticks(axis, room)
  script:add("set ytics %s", tick_list(ticks))
  for j = 1, #h.y do
    for i = 1, #h.x do
      local cell = h.cells[j][i]
      if cell then
        rows[#rows + 1] = {i, j, i - 0.485, i + 0.485, j - 0.47, j + 0.47, tonumber(theme.heat[cell.level]:sub(2), 16)}
      end
      local words = cell and cell.text or "–"
      if CHARACTER * text.width(words) + 4 < room / #h.x then
        script:add("set label %d %s at first %d,%d center front tc rgb '%s'", script:tag(), quote(words), i, j,
          cell and theme.heat_ink[cell.level] or theme.muted)
      end
    end
  end
  script:block("cells", rows)
  script:add "plot $cells using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable"
end

local kinds = {curve = points_and_lines, roofline = points_and_lines, samples = points_and_lines, bars = bars.draw,
  heat = heat}

-- Height for a width: taller where bars or rows need it.
local function height_of(picture, width)
  if picture.bars then return bars.height(picture, width) end
  if picture.heat then return 170 + #picture.heat.y * 34 end
  return width < 500 and 340 or math.floor(width * 0.56)
end

--- The job for gnuplot.draw: options width (pixels), theme (theme.lua), background,
--- title (false: none stands above).
function M.job(picture, format, options)
  local width, words = options.width or 760, {}
  for word in (options.title or ""):gmatch "%S+" do words[#words + 1] = word end
  local height = height_of(picture, width) + 21 * #wrapped(words, " ", width, 16)
    + 17 * #wrapped(picture.notes, " · ", width, 12) + (SMALL + 4) * #small_lines(picture, width)
  local script = new_script(width, height, options.theme, format)
  script:paragraph(words, " ", options.theme.ink, 16)
  script:paragraph(picture.notes, " · ", options.theme.muted, 12)
  script:small_print(picture)
  kinds[picture.kind](script, picture)
  return {format = format, width = width, height = script.height, background = options.background,
    script = table.concat(script.lines, "\n")}
end

return M
