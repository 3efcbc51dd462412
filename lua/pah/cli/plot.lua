-- plot.lua - the command `pah plot`: a picture of a results file. Read next: plot/init.lua, init.lua.
local misused = require("pah.options").misused
local named = require "pah.results.named"
local plot = require "pah.plot"

-- "dtype=bf16,head_dim=64" as a table; nil and the word that is none.
local function conditions(words)
  local where = {}
  for _, word in ipairs(words) do
    local name, value = word:match "^([^=]+)=(.*)$"
    if not name then return nil, word end
    where[name] = value
  end
  return where
end

return {
  usage = "FILE[#RUN] [MORE ...] [-o FILE.svg] [options]",
  about = "a picture of measured results, in the terminal or as SVG, PNG or PDF",
  text = [[
FILE is the last run of a results file, FILE#RUN another one, FILE#all all of them; of several, each has its lines.
Options that are not given are chosen from the results. Kinds: curve (a metric over an axis), heat (a metric over two
axes), roofline, bars (one for each point), samples (of one point, in order). Metrics: median, bytes_per_second (GB/s),
flops_per_second (TFLOP/s), fraction (of the limit), and every other number of the results.]],
  options = {
    kind = {"kind of picture", choices = {"curve", "heat", "roofline", "bars", "samples"}},
    x = {"horizontal axis"}, y = {"vertical axis of a heat map"},
    by = {"axes that distinguish lines, separated by commas", {}, type = "string"}, metric = {"number to draw"},
    where = {"AXIS=VALUE of the points to draw, separated by commas", {}, type = "string"},
    title = {"title of the picture"}, out = {"file to write: .svg, .png or .pdf", short = "o"},
    run = named.option, theme = {"colours of the file; auto: an SVG in those that its reader prefers",
      choices = {"light", "dark", "auto"}},
    width = {"width in pixels, or in characters of the terminal", type = "whole"},
  },
  words = 1000,
  run = function(opt)
    local sources = named.with(opt, opt.run)
    if #sources == 0 then return misused("plot", "no results file is named") end
    local where, wrong = conditions(opt.where)
    if not where then return misused("plot", ('--where: "%s" is not AXIS=VALUE'):format(wrong)) end
    plot.plot{sources, kind = opt.kind, x = opt.x, y = opt.y, by = #opt.by > 0 and opt.by or nil,
      metric = opt.metric, where = next(where) and where or nil, title = opt.title, out = opt.out, theme = opt.theme,
      width = opt.width}
    if opt.out then io.stderr:write("pah: plot: ", opt.out, "\n") end
    return 0
  end,
}
