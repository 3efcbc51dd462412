-- init.lua - pah.plot: a picture of results, to a file by gnuplot or to the terminal. Without options the best kind
-- and axes are chosen from the data. Every option: doc/report.md. Read next: choice.lua, layout.lua.
local choice = require "pah.plot.choice"
local data = require "pah.plot.data"
local errors = require "pah.errors"
local files = require "pah.util.whole_file"
local gnuplot = require "pah.plot.run_gnuplot"
local pictures = require "pah.plot.layout"
local script = require "pah.plot.gnuplot_script"
local svg = require "pah.plot.svg"
local terminal = require "pah.plot.terminal"
local text = require "pah.util.safe_text"
local theme = require "pah.plot.theme"

local M = {}

local known = {[1] = true, rows = true, run = true, runs = true, kind = true, x = true, y = true, by = true,
  metric = true, where = true, out = true, title = true, theme = true, width = true}

local function check_text(o, name)
  if o[name] ~= nil and type(o[name]) ~= "string" then
    errors.raisef("plot: %s is a %s, must be a string", name, type(o[name]))
  end
end

local function format_of(out)
  local format = out:lower():match "%.(%w+)$"
  if format ~= "svg" and format ~= "png" and format ~= "pdf" then
    errors.raisef('plot: out is "%s", must end in .svg, .png or .pdf', text.line(out))
  end
  return format
end

-- Options for choice.lua, checked; `by` may be a name, names between commas, or a list of names.
local function choices(o)
  local by = o.by
  if type(by) == "string" then
    local list = {}
    for name in by:gmatch "[^,]+" do list[#list + 1] = name end
    by = list
  elseif by ~= nil and type(by) ~= "table" then
    errors.raisef("plot: by is a %s, must be the name of an axis or a list of names", type(by))
  end
  if o.where ~= nil and type(o.where) ~= "table" then
    errors.raisef("plot: where is a %s, must be a table {axis = value}", type(o.where))
  end
  return {kind = o.kind, x = o.x, y = o.y, by = by, metric = o.metric, where = o.where}
end

-- The colours of a file, and whether an SVG turns dark by itself.
local function theme_of(name, format)
  if name ~= nil and name ~= "light" and name ~= "dark" and name ~= "auto" then
    errors.raisef('plot: theme is "%s", must be light, dark or auto', text.line(name))
  elseif name == "auto" and format and format ~= "svg" then
    errors.raisef('plot: theme is "auto", which only an SVG can be; a %s must be light or dark', format)
  end
  if name == "light" or name == "dark" then return theme[name], false end
  return theme.light, format == "svg"
end

--- The picture of results as a table (layout.lua), its title set; options as for pah.plot.
function M.picture(o)
  errors.check_keys("plot", o, known)
  for _, name in ipairs {"kind", "x", "y", "metric", "out", "theme", "title"} do check_text(o, name) end
  local source = o[1] or o.runs or o.run or o.rows
  if source == nil then errors.raise "plot: results are missing, must be plot{results, ...}" end
  local runs = data.runs(source, "plot")
  local picture = pictures.build(choice.choose(runs, choices(o)))
  local name = #runs == 1 and runs[1].header.name
  if name then picture.title = text.line(name) .. ": " .. picture.title:gsub("^%u", string.lower) end
  picture.title = o.title or picture.title
  return picture
end

--- Draws results: a path of a results file, what pah.results.read returns, a run, a list of runs, rows or results of
--- pah.bench. Options: kind ("curve", "heat", "roofline", "bars", "samples"), x, y, by (axes), metric, where
--- ({axis = value}), title, width (pixels, or characters in the terminal), out (a file that ends in .svg, .png or
--- .pdf), theme of the file ("light", "dark", or "auto", an SVG in the colours that its reader prefers). Without out
--- the picture goes to standard output as text. Returns the path that was written.
function M.plot(o)
  if type(o) ~= "table" then errors.raisef("plot: is called with a %s, must be a table", type(o)) end
  local format = type(o.out) == "string" and format_of(o.out)
  local least, most = format and 320 or 40, format and 10000 or 240
  if o.width and (type(o.width) ~= "number" or o.width < least or o.width > most) then
    errors.raisef("plot: width is %s, must be a number from %d to %d", tostring(o.width), least, most)
  end
  check_text(o, "theme")
  local colours, switching = theme_of(o.theme, format)
  local picture = M.picture(o)
  if not format then
    io.stdout:write(terminal.draw(picture, terminal.settings(o.width)))
    return
  end
  local job = script.job(picture, format, {title = picture.title, theme = colours, background = colours.surface,
    width = o.width or 760})
  local drawn = gnuplot.draw({job}, "plot")[1]
  files.write(o.out, format == "svg" and svg.file(drawn, picture.title, switching) or drawn, "plot")
  return o.out
end

M.exports = {plot = M.plot}

return M
