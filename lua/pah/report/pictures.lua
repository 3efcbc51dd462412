-- pictures.lua - the pictures of a report: which ones a run gets, each in two widths, for desktop and phone.
-- Promises: gnuplot is started once for all of them; a run with nothing to draw has none. Read next: plot/svg.lua.
local choice = require "pah.plot.choice"
local data = require "pah.plot.data"
local gnuplot = require "pah.plot.run_gnuplot"
local html = require("pah.util.safe_text").html
local pictures = require "pah.plot.layout"
local script = require "pah.plot.gnuplot_script"
local svg = require "pah.plot.svg"
local theme = require "pah.plot.theme"

local M = {}

local WIDE, NARROW, MOST_CURVES = 560, 350, 3

-- The picture that options ask for, or nil where the results have nothing of the kind to draw.
local function picture(runs, options)
  local ok, plan = pcall(choice.choose, runs, options)
  if not ok then
    if type(plan) == "string" and plan:find("^plot: ") then return nil end
    error(plan, 0)
  end
  return pictures.build(plan), plan
end

local function has(runs, metric) return #(data.points(runs, metric)) > 0 end

-- Axes of the points, the numeric ones with the most values first.
local function axes_of(runs, metric)
  local list = {}
  for _, axis in ipairs((data.axes(runs, (data.points(runs, metric))))) do
    if #axis.values > 1 then list[#list + 1] = axis end
  end
  for i, axis in ipairs(list) do axis.place = i end
  table.sort(list, function(a, b)
    if a.numeric ~= b.numeric then return a.numeric end
    if #a.values ~= #b.values then return #a.values > #b.values end
    return a.place < b.place
  end)
  return list
end

--- The pictures that runs get: curves over their numeric axes, a heat map over the two longest, a roofline; bars
--- where no axis is a number, samples where there is one point.
function M.choose(runs)
  local counted = not has(runs, "median")
  local metric = counted and "global_sectors" or "median"
  if not has(runs, metric) then return {} end
  local list = {}
  local function add(options) list[#list + 1] = picture(runs, options) end
  local axes, points = axes_of(runs, metric), data.points(runs, metric)
  local numeric = 0
  for _, axis in ipairs(axes) do
    if axis.numeric and (#axis.values > 2 or numeric == 0) and numeric < MOST_CURVES then
      add{kind = "curve", x = axis.name}
      numeric = numeric + 1
    end
  end
  if numeric == 0 and #points > 1 then add{kind = "bars"} end
  if #points == 1 and not counted then add{kind = "samples"} end
  local two = #axes > 1 and #axes[1].values * #axes[2].values >= 6
  if two then
    add{kind = "heat", x = axes[1].name, y = axes[2].name, metric = has(runs, "fraction") and "fraction" or metric}
  end
  if not counted and has(runs, "flops_per_second") then add{kind = "roofline"} end
  return list
end

--- Curves that show several runs beside each other: those whose lines are told apart by run.
function M.choose_across(runs)
  local metric = has(runs, "median") and "median" or "global_sectors"
  local list = {}
  for _, axis in ipairs(axes_of(runs, metric)) do
    if axis.numeric and #list < 2 then
      local p, plan = picture(runs, {kind = "curve", x = axis.name})
      local seen, count = {}, 0
      for _, point in ipairs(plan and plan.points or {}) do
        if not seen[point.run] then count = count + 1 end
        seen[point.run] = true
      end
      if p and plan.by[1] == "run" and count > 1 then list[#list + 1] = p end
    end
  end
  return list
end

--- Figures of HTML for lists of pictures: one text for each list.
function M.draw(lists, what)
  local jobs = {}
  for _, list in ipairs(lists) do
    for _, p in ipairs(list) do
      for _, width in ipairs {WIDE, NARROW} do
        -- Title and notes are the page's: they wrap as its text does.
        local bare = setmetatable({notes = {}, source = {}, interval = false, title = false}, {__index = p})
        jobs[#jobs + 1] = script.job(bare, "svg", {width = width, theme = theme.marks})
      end
    end
  end
  local drawn = #jobs > 0 and gnuplot.draw(jobs, what) or {}
  local texts, n = {}, 0
  for i, list in ipairs(lists) do
    local figures = {}
    for j, p in ipairs(list) do
      local notes = html(table.concat(p.notes, "; "))
      if notes ~= "" then notes = " <small>" .. notes .. "</small>" end
      local parts = {"<figure><figcaption>", html(p.title), notes, "</figcaption>\n"}
      for _, class in ipairs {"wide", "narrow"} do
        n = n + 1
        parts[#parts + 1] = svg.inline(drawn[n], "p" .. n, p.title, class) .. "\n"
      end
      figures[j] = table.concat(parts) .. "</figure>\n"
    end
    texts[i] = #figures > 0 and '<div class="figures">\n' .. table.concat(figures) .. "</div>\n" or ""
  end
  return texts
end

return M
