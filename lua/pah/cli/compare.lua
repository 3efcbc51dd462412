-- compare.lua - `pah compare`: two stored runs, or two interleaved scripts; the exit code is the verdict.
-- Read next: compare/init.lua, compare/parent.lua, doc/comparing.md.
local comparison = require "pah.compare"
local host = require "pah.host"
local interleave = require "pah.compare.parent"
local json = require "pah.util.json"
local misused = require("pah.options").misused
local named = require "pah.results.named"
local schema = require "pah.results.schema"
local stats = require "pah.measure.stats"
local store_of = require "pah.compare.store"
local versus = require "pah.compare.statistics"

local WRONG_USAGE = 3 -- 0, 1 and 2 are verdicts

local function complain(message) return misused("compare", message, WRONG_USAGE) end

-- "2%" or "0.02" as a fraction; nil if it is neither.
local function fraction(text)
  local number, sign = text:match "^%s*([%d.]+)%s*(%%?)%s*$"
  local value = tonumber(number)
  if not value then return nil end
  if sign == "%" then value = value / 100 end
  return value < 1 and value or nil
end

-- ---- Interleaved ----------------------------------------------------------------------------------------------------

-- The differences of every pair by point, and the ratio over all points.
local function judge(points, metric, o)
  local lists, results = {}, {}
  local confidence = comparison.confidence(o, #points)
  for i, point in ipairs(points) do
    lists[i] = {}
    for k, answers in ipairs(point.pairs) do lists[i][k] = interleave.difference(answers, metric) end
    results[i] = #lists[i] > 1 and versus.paired(lists[i], {threshold = o.threshold, confidence = confidence})
  end
  return results, #lists[1] > 1 and versus.paired_together(lists, {threshold = o.threshold})
end

-- Progress on stderr: the smallest slow-down that all pairs together will find.
local function progress(opt, o, all, pair, seconds)
  if opt.quiet then return end
  local text = ("pair %d of %d, %.0f s to go"):format(pair, opt.pairs, (opt.pairs - pair) * seconds)
  if all and pair >= 3 then
    local expected = all.error * math.sqrt(pair / opt.pairs)
    text = text .. ("; %d pairs will find a slow-down of about %.1f %%"):format(opt.pairs,
      100 * versus.finds(expected, versus.freedom(opt.pairs), {threshold = o.threshold}))
  end
  if host.isatty(2) then io.stderr:write("\r\27[K", text, pair == opt.pairs and "\n" or "")
  elseif pair == 3 and pair < opt.pairs then io.stderr:write("pah: ", text, "\n") end
end

local function interleaved(opt, o)
  local metric = comparison.metric_of_answer(o.metric)
  local a, b = interleave.parse(opt[1]), interleave.parse(opt[2])
  local started = schema.now()
  local store = opt.out ~= "" and store_of(opt.out, a, b, started, opt.pairs)
  local points = interleave.measure(a, b, {pairs = opt.pairs, time = opt.time, seed = opt.seed ~= 0 and opt.seed
    or os.time(), conditions = store ~= false, after = function(points, pair, seconds)
      if store then store:add(points, pair) end
      local _, all = judge(points, metric, o)
      progress(opt, o, all, pair, seconds)
    end})
  if store then store:close() end
  local results, all = judge(points, metric, o)
  for i, point in ipairs(points) do
    local r, medians = results[i], {{}, {}}
    for which = 1, 2 do
      for _, answers in ipairs(point.pairs) do
        medians[which][#medians[which] + 1] = stats.median(interleave.logarithms(answers[which], metric))
      end
    end
    r.key, r.a, r.b = point.key, math.exp(stats.median(medians[1])), math.exp(stats.median(medians[2]))
    r.notes = comparison.differences_of_results(point.about[1], point.about[2])
  end
  local count = 0
  for _, answers in ipairs(points[1].pairs) do count = count + #answers[1] end
  return comparison.new(o, {a = {name = a.text, started = started, runs = 1, device = points[1].about[1].device},
    b = {name = b.text, runs = 1, device = points[1].about[2].device}, points = results, all = all, only_a = {},
    only_b = {}, errors_a = {}, errors_b = {}, unmeasured = {}, differs = {}, method = "interleaved",
    notes = {("%d pairs of processes, %d turns of each script"):format(opt.pairs, count)}})
end

-- ---- The command ----------------------------------------------------------------------------------------------------

local function check(opt)
  if not opt[1] or not opt[2] then
    return "compare: needs two runs, A and B" .. (opt.interleave and ": two scripts" or ": results files, or FILE#RUN")
  end
  if opt[3] then return ('compare: "%s" is one word too many'):format(opt[3]) end
  if not fraction(opt.threshold) then
    return ('compare: --threshold: "%s" must be a part below 1, such as 2%% or 0.02'):format(opt.threshold)
  end
  if opt.markdown and opt.json then return "compare: --markdown and --json exclude each other" end
  if opt.interleave and (opt.pairs < 3 or opt.pairs > 1000) then
    return ("compare: --pairs is %d, must be from 3 to 1000"):format(opt.pairs)
  end
  if opt.interleave and opt.time <= 0 then return ("compare: --time is %s, must be above 0"):format(opt.time) end
  if not opt.interleave and opt.out ~= "" then return "compare: --out goes with --interleave" end
end

local function plain(c)
  local copy = {code = c:code(), verdict = c.all.verdict}
  for key, value in pairs(c) do copy[key] = value end
  return copy
end

local function run(opt)
  local wrong = check(opt)
  if wrong then return complain(wrong) end
  local names = named.with(opt, opt.run)
  local ok, c = pcall(function()
    local o = comparison.options{metric = opt.metric, threshold = fraction(opt.threshold), each = opt.each,
      any = opt.any}
    return opt.interleave and interleaved(opt, o) or comparison.compare(names[1], names[2], o)
  end)
  if not ok then return complain(c) end
  if opt.json then
    print(json.encode(plain(c), {indent = 2}))
  else
    print(opt.markdown and c:markdown() or tostring(c))
  end
  return c:code()
end

return {
  usage = "A B | --interleave a.lua b.lua [options]",
  about = "is B faster or slower than A: two stored runs, or two interleaved scripts",
  text = [[
A and B are results files (their last run), FILE#RUN (an id or a part of it, a name) or FILE#all (all runs); with
@axis=value behind it, such as @peer=torch, only those rows, as if they had no such axis.
With --interleave they are scripts, which call pah.bench or return a function; 'NAME=value a.lua --option 1' in quotes
gives one its environment and arguments. Both run interleaved, a few milliseconds each, in new processes for each pair.
Exit code: 0 faster or same, 1 slower, 2 undecided; 3, with a message on standard error, for wrong usage and for files
that cannot be compared. What the figures mean: doc/comparing.md.]],
  options = {
    metric = {"what is compared: median, mean, min, q1, q3, cpu, wall, back_to_back, or a counter of sim", "median"},
    threshold = {"relative difference that counts as none", "2%", type = "string"},
    each = {"95 % intervals for each point alone, not for all together", false},
    any = {"exit code 1 if any point is slower", false},
    markdown = {"print Markdown", false}, json = {"print JSON", false}, quiet = {"no progress on stderr", false},
    interleave = {"A and B are scripts: run them interleaved", false},
    pairs = {"pairs of processes", 12}, time = {"seconds measured for each point, over all pairs", 12, type = "number"},
    seed = {"for the choice of who begins; 0: a new one each time", 0},
    run = named.option,
    out = {"results file that gets the samples of both", "", short = "o"},
  },
  words = 1 / 0, run = run, wrong_usage = WRONG_USAGE,
}
