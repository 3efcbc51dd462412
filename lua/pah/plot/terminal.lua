-- terminal.lua - a picture of layout.lua as text: lines in dots of braille, points as marks that differ by shape,
-- bars and heat maps in blocks. Promises: readable without colour; never wider than asked; names reach the terminal
-- without control characters. Read next: layout.lua, text_canvas.lua.
local canvas = require "pah.plot.text_canvas"
local host = require "pah.host"
local pictures = require "pah.plot.layout"
local screen = require "pah.util.screen"
local text = require "pah.util.safe_text"

local M = {}

local marks = {"●", "■", "▲", "◆", "▼", "○", "□", "△"}
local series_colours = {"34", "31", "32", "35", "33", "36", "95", "37"}
local heat_colours = {"48;5;255;38;5;16", "48;5;153;38;5;16", "48;5;117;38;5;16", "48;5;75;38;5;16", "48;5;69;38;5;231",
  "48;5;62;38;5;231", "48;5;25;38;5;231", "48;5;18;38;5;231", "48;5;17;38;5;231"}
local shades = {" ", "░", "░", "▒", "▒", "▓", "▓", "█", "█"}

--- How to draw: {width=, colour=}. The width is that of the terminal, of $COLUMNS, or 80; colours only on a terminal
--- and without $NO_COLOR.
function M.settings(width)
  local colour = host.isatty(1) and (os.getenv "NO_COLOR" or "") == ""
  return {width = math.max(40, math.min(width or screen.width(), 240)), colour = colour}
end

local function coloured(settings, words, code)
  return settings.colour and ("\27[%sm%s\27[0m"):format(code, words) or words
end
local function faint(settings, words) return coloured(settings, words, "2") end

-- Parts in as many lines as they need; each part is {shown words, width}.
local function wrapped(parts, width, gap)
  local lines, line, used = {}, "", 0
  for _, part in ipairs(parts) do
    if used > 0 and used + #gap + part[2] > width then
      lines[#lines + 1] = line
      line, used = "", 0
    end
    line = used > 0 and line .. gap .. part[1] or part[1]
    used = used + (used > 0 and #gap or 0) + part[2]
  end
  if used > 0 then lines[#lines + 1] = line end
  return lines
end

local function header(picture, settings)
  local lines = {coloured(settings, text.cut(picture.title, settings.width), "1")}
  local notes = {}
  for i, note in ipairs(picture.notes) do
    note = text.cut(note, settings.width)
    notes[i] = {faint(settings, note), text.width(note)}
  end
  for _, line in ipairs(wrapped(notes, settings.width, ", ")) do lines[#lines + 1] = line end
  return lines
end

-- What tells a line of the limits: its looks, or where there are several a letter that stands on it.
local function line_mark(picture, i)
  if #picture.lines > 1 then return string.char(("a"):byte() + i - 1) end
  return picture.lines[i].dashed and "╌" or "─"
end

local function legend(picture, settings, lines)
  local parts = {}
  local function add(mark, name, code)
    name = text.cut(name, settings.width - 3)
    parts[#parts + 1] = {coloured(settings, mark, code) .. " " .. name, 2 + text.width(name)}
  end
  local named = #picture.series > 1 or (picture.series[1] or {}).name ~= ""
  if picture.kind ~= "samples" and not picture.bars and named then
    for i, series in ipairs(picture.series) do
      add(marks[(i - 1) % 8 + 1], series.name, series_colours[(i - 1) % 8 + 1])
    end
  end
  for i, line in ipairs(picture.lines) do add(line_mark(picture, i), line.name, "2") end
  for _, line in ipairs(wrapped(parts, settings.width, "   ")) do lines[#lines + 1] = line end
end

-- ---- Curves, rooflines, samples -----------------------------------------------------------------------------------

-- Ticks below the frame, those that have room: a line of `left` blanks and then the words.
local function tick_line(axis, left, width)
  for most = math.max(9, math.min(#(axis.values or {}), 60)), 2, -1 do
    local cells, reached, fits = {}, 0, true
    for _, tick in ipairs(pictures.ticks(axis, most)) do
      local words = axis.words and text.cut(tick.text, math.max(4, math.floor(width / #axis.words) - 1)) or tick.text
      local middle = left + math.floor(pictures.place(axis, tick.at) * (width - 1) + 0.5)
      local start = middle - math.floor(text.width(words) / 2)
      start = math.max(0, math.min(start, left + width - text.width(words)))
      fits = fits and start >= reached + (reached > 0 and 1 or 0)
      cells[#cells + 1] = (" "):rep(start - reached) .. words
      reached = start + text.width(words)
    end
    if fits then return table.concat(cells) end
  end
  return ""
end

local function chart(picture, settings, lines)
  local height = 16
  local ticks = pictures.ticks(picture.y, 6)
  local left = 0
  for _, tick in ipairs(ticks) do left = math.max(left, text.width(tick.text)) end
  left = left + 1
  local width = settings.width - left - 1
  local sheet = canvas.new(width, height)
  local function at(x, y) return pictures.place(picture.x, x), pictures.place(picture.y, y) end
  for _, line in ipairs(picture.lines) do
    for i = 2, #line.points do
      local x1, y1 = at(line.points[i - 1].x, line.points[i - 1].y)
      local x2, y2 = at(line.points[i].x, line.points[i].y)
      sheet:line(x1, y1, x2, y2, "2", line.dashed and 3)
    end
  end
  for i, series in ipairs(picture.series) do
    local colour = series_colours[(i - 1) % 8 + 1]
    for j, p in ipairs(series.points) do
      local x, y = at(p.x, p.y)
      if picture.joined and j > 1 then
        local x0, y0 = at(series.points[j - 1].x, series.points[j - 1].y)
        sheet:line(x0, y0, x, y, colour)
      end
      if picture.kind == "samples" then
        sheet:dot(x, y, colour)
      else
        local _, low = at(p.x, math.max(p.low, picture.y.low))
        local _, high = at(p.x, math.min(p.high, picture.y.high))
        sheet:line(x, low, x, high, colour)
      end
    end
  end
  for i, line in ipairs(#picture.lines > 1 and picture.lines or {}) do -- near the ends that no other line reaches
    local p, other = line.points[line.slope and 1 or 2], line.points[line.slope and 2 or 1]
    local x, y = at(p.x, p.y)
    local x2, y2 = at(other.x, other.y)
    sheet:mark(x + 0.06 * (x2 - x), y + 0.06 * (y2 - y), line_mark(picture, i), "2")
  end
  for i, series in ipairs(picture.kind ~= "samples" and picture.series or {}) do
    for _, p in ipairs(series.points) do
      local x, y = at(p.x, p.y)
      sheet:mark(x, y, marks[(i - 1) % 8 + 1], series_colours[(i - 1) % 8 + 1])
    end
  end
  local labels = {}
  for _, tick in ipairs(ticks) do
    labels[height - math.floor(pictures.place(picture.y, tick.at) * (height - 1) + 0.5)] = tick.text
  end
  lines[#lines + 1] = faint(settings, text.cut(picture.y.label, settings.width))
  for row = 1, height do
    lines[#lines + 1] = faint(settings, text.pad(labels[row] or "", left - 1, true) .. (labels[row] and "┤" or "│"))
      .. sheet:row(row, settings.colour)
  end
  lines[#lines + 1] = faint(settings, (" "):rep(left - 1) .. "└" .. ("─"):rep(width))
  lines[#lines + 1] = faint(settings, tick_line(picture.x, left, width))
  local label = text.cut(picture.x.label, width)
  lines[#lines + 1] = faint(settings, (" "):rep(left + math.floor((width - text.width(label)) / 2)) .. label)
end

-- ---- Bars and heat maps -------------------------------------------------------------------------------------------

local eighths = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"}

-- The widest words of a field of the bars.
local function widest(bars, field)
  local most = 0
  for _, bar in ipairs(bars) do most = math.max(most, bar[field] and text.width(bar[field]) or 0) end
  return most
end

local function bars(picture, settings, lines)
  local groups = math.min(widest(picture.bars, "group"), math.floor(settings.width / 4))
  local names, values = widest(picture.bars, "name"), widest(picture.bars, "text")
  local before = groups > 0 and groups + 1 or 0
  names = math.min(names, math.max(12, settings.width - before - values - 14))
  local room = settings.width - before - names - values - 3
  local most = 0
  for _, bar in ipairs(picture.bars) do most = math.max(most, bar.v) end
  for i, bar in ipairs(picture.bars) do
    local parts = most > 0 and math.floor(math.max(0, bar.v) / most * room * 8 + 0.5) or 0
    local drawn = ("█"):rep(math.floor(parts / 8)) .. (eighths[parts % 8] or "")
    if drawn == "" then drawn = "▏" end
    local first = i == 1 or bar.group ~= picture.bars[i - 1].group
    local group = before > 0 and text.pad(text.cut(first and bar.group or "", groups), before) or ""
    lines[#lines + 1] = ("%s%s %s %s"):format(group, text.pad(text.cut(bar.name, names), names),
      coloured(settings, drawn, series_colours[((bar.series or 1) - 1) % 8 + 1]), bar.text)
  end
  lines[#lines + 1] = faint(settings, text.cut(picture.x.label, settings.width))
end

local function heat(picture, settings, lines)
  local h = picture.heat
  local names, cell = text.width(picture.y.label), 0
  for _, name in ipairs(h.y) do names = math.max(names, text.width(name)) end
  names = math.min(names, math.floor(settings.width / 3))
  for j in ipairs(h.y) do
    for i in ipairs(h.x) do cell = math.max(cell, h.cells[j][i] and text.width(h.cells[j][i].text) or 1) end
  end
  for _, name in ipairs(h.x) do cell = math.max(cell, math.min(8, text.width(name))) end
  cell = cell + 3
  local columns = math.min(#h.x, math.max(1, math.floor((settings.width - names - 1) / cell)))
  lines[#lines + 1] = faint(settings, ("%s to %s%s"):format(h.low_text, h.high_text, h.log and ", logarithmic" or ""))
  if columns < #h.x then
    lines[#lines + 1] = faint(settings, ("the first %d of %d columns have room"):format(columns, #h.x))
  end
  for j = #h.y, 1, -1 do
    local line = text.pad(text.cut(h.y[j], names), names, true) .. " "
    for i = 1, columns do
      local c = h.cells[j][i]
      if not c then
        line = line .. text.pad("–", cell - 1, true) .. " "
      elseif settings.colour then
        line = line .. coloured(settings, " " .. text.pad(c.text, cell - 2, true) .. " ", heat_colours[c.level])
      else
        line = line .. shades[c.level]:rep(2) .. text.pad(c.text, cell - 3, true) .. " "
      end
    end
    lines[#lines + 1] = line:gsub(" +$", "")
  end
  local line = text.pad("", names + 1)
  for i = 1, columns do line = line .. text.pad(text.cut(h.x[i], cell - 1), cell - 1, true) .. " " end
  lines[#lines + 1] = faint(settings, (line:gsub(" +$", "")))
  lines[#lines + 1] = faint(settings, text.cut(("%s up, %s across"):format(picture.y.label, picture.x.label),
    settings.width))
end

--- The picture as text, lines ended by newlines; settings as M.settings makes them.
function M.draw(picture, settings)
  local lines = header(picture, settings)
  if picture.heat then
    heat(picture, settings, lines)
  else
    legend(picture, settings, lines);
    (picture.bars and bars or chart)(picture, settings, lines)
  end
  local small = {}
  local function add(words)
    words = text.cut(words, settings.width)
    small[#small + 1] = {faint(settings, words), text.width(words)}
  end
  for _, words in ipairs(picture.source) do add(words) end
  if picture.interval and not picture.bars and picture.kind ~= "samples" then add(picture.interval) end
  for _, line in ipairs(wrapped(small, settings.width, ", ")) do lines[#lines + 1] = line end
  for i, line in ipairs(lines) do lines[i] = line:gsub(" +$", "") end
  return table.concat(lines, "\n") .. "\n"
end

return M
