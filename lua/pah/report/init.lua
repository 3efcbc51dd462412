-- init.lua - pah.report: results as one self-contained page of HTML, without network and scripts.
-- Promises: every name is escaped; the page is written in one step; counted results are never shown as times.
-- What it shows: doc/report.md. Read next: findings.lua, table.lua, pictures.lua.
local data = require "pah.plot.data"
local errors = require "pah.errors"
local facts = require "pah.report.facts"
local files = require "pah.util.whole_file"
local findings = require "pah.report.findings"
local host = require "pah.host"
local named = require "pah.results.named"
local pictures = require "pah.report.pictures"
local safe = require "pah.util.safe_text"
local style = require "pah.report.style"
local tables = require "pah.report.table"
local units = require "pah.util.units"

local html = safe.html
local M = {}

local terms = {
  {"median", "Half of the samples are shorter, half longer. Beside it the 95 % interval of the median, by bootstrap, "
    .. "with samples that depend on each other counted as fewer."},
  {"bandwidth", "The fewest bytes that the call must move, over the median. A block that is read twice counts once."},
  {"throughput", "The floating-point operations of the unmasked pairs of query and key, over the median."},
  {"of the limit", "The least time that this machine needs for the bytes or the flops, by reads and multiply-adds "
    .. "measured in the same run, over the median. Which of the two limits it stands beside it."},
  {"roofline", "Throughput against flops per byte. Slopes are what reads allow, the ceiling is what multiply-adds "
    .. "allow; a point can be no higher than the line above it, unless its data stay in a cache."},
  {"bars at points", "The interval of the median. Rounds of one point are drawn as one: the median of theirs, from the "
    .. "lowest end of an interval to the highest."},
  {"notes", "What casts doubt on a result: a warm-up that did not settle, a drift, outliers. Letters in the table name "
    .. "those of “What stands out”."},
  {"counted", "Results of the simulated GPU are counts of what was done. They are never times."},
}

local tags = {bad = "failed", warn = "doubt", good = "good", info = "note"}

local function count(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- The first few rows by name, and how many more.
local function places(rows, rounds)
  if #rows == 0 then return "" end
  local names = {}
  for i = 1, math.min(4, #rows) do names[i] = findings.row_name(rows[i], rounds) end
  return html(table.concat(names, "; ") .. (#rows > 4 and ("; and %d more"):format(#rows - 4) or ""))
end

local function findings_html(list, rounds)
  if #list == 0 then return "<p class=\"quiet\">Nothing: no row failed, none has a note.</p>\n" end
  local out = {'<ul class="findings">\n'}
  for _, f in ipairs(list) do
    local words = f.words:gsub("^%l", string.upper)
    if f.letter and #f.rows > 1 then words = words .. ", and alike in " .. count(#f.rows - 1, "more row") end
    local many = not f.letter and f.level == "warn" and #f.rows > 0 and (" (%s)"):format(count(#f.rows, "row")) or ""
    out[#out + 1] = ('<li class="%s"><span class="tag">%s%s</span><div><p>%s%s.</p>'):format(f.level, tags[f.level],
      f.letter and " " .. f.letter or "", html(words), many)
    if f.detail then out[#out + 1] = ("<p><code>%s</code></p>"):format(html(f.detail)) end
    local where = places(f.rows, rounds)
    if where ~= "" then out[#out + 1] = ('<p class="where">%s</p>'):format(where) end
    out[#out + 1] = "</div></li>\n"
  end
  out[#out + 1] = "</ul>\n"
  return table.concat(out)
end

local function definitions(class, list)
  local out = {('<dl class="%s">\n'):format(class)}
  for _, item in ipairs(list) do
    local pair = class == "terms" and "<dt>%s</dt><dd>%s</dd>\n" or "<div><dt>%s</dt><dd>%s</dd></div>\n"
    out[#out + 1] = pair:format(html(item[1]), html(item[2]))
  end
  out[#out + 1] = "</dl>\n"
  return table.concat(out)
end

-- The numbers at the top: what was measured and the best of it.
local function tiles(runs)
  local rows, failed, noted = 0, 0, 0
  for _, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do
      rows = rows + 1
      if row.status ~= "ok" then failed = failed + 1 end
      if row.result and #(row.result.notes or {}) > 0 then noted = noted + 1 end
    end
  end
  local list = {{"rows", tostring(rows)}, {"failed", tostring(failed)}, {"with notes", tostring(noted)}}
  for _, best in ipairs {{"fraction", "best share of the limit", "%"}, {"bytes_per_second", "highest bandwidth", "B/s"},
    {"flops_per_second", "highest throughput", "FLOP/s"}} do
    local most
    for _, run in ipairs(runs) do
      for _, row in ipairs(run.rows) do
        local v = data.value(row, best[1])
        if v then most = math.max(most or 0, v) end
      end
    end
    if most then list[#list + 1] = {best[2], units.text(best[3], most, 3)} end
  end
  return definitions("tiles", list)
end

local function run_html(run, name, place, figures, several)
  local h = run.header
  local out = {("<section id=\"run-%d\">\n"):format(place)}
  local function add(words) out[#out + 1] = words end
  if several then -- of a single run the head of the page says it
    add(("<h2>%s</h2>\n<p class=\"quiet\">%s</p>\n"):format(html(name), html(facts.summary(run))))
    add(tiles{run})
  end
  local level = several and 3 or 2
  local function head(words) add(("<h%d>%s</h%d>\n"):format(level, words, level)) end
  head "What stands out"
  add(findings_html(findings.of(run), findings.rounds(run)))
  if figures ~= "" then
    head "Pictures"
    add(figures)
  end
  if #run.rows > 0 then
    head "Results"
    add(tables.of(run))
  end
  local about = facts.of(run)
  if #about > 0 then
    head "Environment"
    add(definitions("facts", about))
  end
  for _, machine in ipairs(facts.machines(run)) do
    add(("<details><summary>Machine %s</summary>"):format(html(machine.name))
      .. definitions("facts", machine.facts) .. "</details>\n")
  end
  local env = facts.environment(h)
  if #env > 0 then
    add("<details><summary>Environment variables</summary>" .. definitions("facts", env) .. "</details>\n")
  end
  add "</section>\n"
  return table.concat(out)
end

local function command_line()
  local words = {"pah"}
  for _, word in ipairs(host.argv) do
    words[#words + 1] = word:match "^[%w_./:=,@%%+-]+$" and word or safe.shell(word)
  end
  return table.concat(words, " ")
end

--- The page of runs as text; title may be nil.
function M.page(runs, title, notes)
  local names = data.run_names(runs)
  local lists = {#runs > 1 and pictures.choose_across(runs) or {}}
  for _, run in ipairs(runs) do lists[#lists + 1] = pictures.choose{run} end
  local figures = pictures.draw(lists, "report")
  title = title or #runs == 1 and names[1] or count(#runs, "run")
  local out = {"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"pah ", html(host.version),
    "\">\n<title>", html(title), "</title>\n<style>\n", style, "</style>\n</head>\n<body>\n<header>\n<h1>", html(title),
    "</h1>\n<p class=\"quiet\">", html(facts.overview(runs)),
    #runs == 1 and "<br>" .. html(facts.summary(runs[1])) or "", "</p>\n", tiles(runs)}
  local function add(words) out[#out + 1] = words end
  if #runs > 1 then
    add "<nav aria-label=\"runs\"><ul>\n"
    for i, name in ipairs(names) do add(("<li><a href=\"#run-%d\">%s</a></li>\n"):format(i, html(name))) end
    add "</ul></nav>\n"
  end
  add "</header>\n<main>\n"
  for _, note in ipairs(notes or {}) do
    add(('<ul class="findings"><li class="warn"><span class="tag">file</span><p>%s</p></li></ul>\n'):format(html(note)))
  end
  if #runs == 0 then add "<p>There are no runs in these files.</p>\n" end
  if figures[1] ~= "" then add("<section>\n<h2>All runs</h2>\n" .. figures[1] .. "</section>\n") end
  for i, run in ipairs(runs) do add(run_html(run, names[i], i, figures[i + 1], #runs > 1)) end
  add("<section>\n<h2>How to read this</h2>\n" .. definitions("terms", terms) .. "</section>\n</main>\n")
  add(("<footer>\n<p>Made by pah %s on %s with <code>%s</code></p>\n</footer>\n</body>\n</html>\n"):format(
    html(host.version), os.date "!%Y-%m-%d %H:%M UTC", html(command_line())))
  return table.concat(out)
end

local known = {[1] = true, runs = true, out = true, title = true}

--- Writes results (as pah.plot takes them) as one page of HTML to `out`; title is that of the page. Returns the path.
function M.report(o)
  errors.check_keys("report", o, known)
  local source = o and (o[1] or o.runs)
  if source == nil then errors.raise "report: results are missing, must be report{results, out = \"report.html\"}" end
  if type(o.out) ~= "string" or o.out == "" then
    errors.raisef("report: out is %s, must be the path of a file", tostring(o.out))
  end
  if o.title ~= nil and type(o.title) ~= "string" then
    errors.raisef("report: title is a %s, must be a string", type(o.title))
  end
  local runs, notes = data.runs(source, "report")
  for _, run in ipairs(runs) do
    if run.last_of then notes[#notes + 1] = named.sentence(run) .. " of its file; FILE#all has all of them" end
  end
  files.write(o.out, M.page(runs, o.title, notes), "report")
  return o.out
end

M.exports = {report = M.report}

return M
