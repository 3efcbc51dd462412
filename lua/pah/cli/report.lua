-- report.lua - the command `pah report`: results files as one page of HTML. Read next: report/init.lua.
local misused = require("pah.options").misused
local named = require "pah.results.named"
local report = require "pah.report"

return {
  usage = "FILE[#RUN] [MORE ...] [-o report.html] [options]",
  about = "measured results as one self-contained HTML page",
  text = [[
FILE is the last run of a results file, FILE#RUN another one, FILE#all all of them. Environment, what stands out, tables
and pictures of every run. The page needs no network and no scripts, and is made for light and dark, paper and phones.
gnuplot draws the pictures.]],
  options = {
    out = {"file to write", "report.html", short = "o"}, title = {"title of the page"},
    run = named.option,
  },
  words = 1000,
  run = function(opt)
    local sources = named.with(opt, opt.run)
    if #sources == 0 then return misused("report", "no results file is named") end
    report.report{sources, out = opt.out, title = opt.title}
    io.stderr:write("pah: report: ", opt.out, "\n")
    return 0
  end,
}
