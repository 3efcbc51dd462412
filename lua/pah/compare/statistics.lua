-- statistics.lua - is B slower than A: the ratio of two times, its interval and the verdict.
-- Promises: works on logarithms of times, draws nothing at random, and says "undecided" rather than something wrong:
-- the difference that two runs show without a reason is part of every interval. Definitions and what was measured to
-- find the constants: doc/comparing.md. Read next: measure/stats.lua, init.lua, parent.lua.
local stats = require "pah.measure.stats"

local M = {}

--- Standard deviations of the logarithm of a time that are assumed, whatever the samples show: `run`, of a run in one
--- process against another; `round`, of a round by itself, where there is only one; `runs`, where several runs show
--- themselves how much they differ. `prior` is how much rounds are expected to differ, and worth `prior_df` of them.
--- `disturbed` is the part of the way from the fast samples to the median that is taken for what others on the machine
--- did and may do otherwise in the next run, `processors` that of a difference in processors that were at work.
M.assumed = {run = 0.01, round = 0.03, runs = 0.005, prior = 0.01, prior_df = 2, disturbed = 0.5, processors = 0.6}

--- Where half the interval of 95 % (whatever interval is asked for) is above `half`, other programs have held up the
--- calls by whole slices of time: such differences are not normal ones, and a few pairs agree by luck. Then only the
--- interval of `confidence` tells.
M.rough = {half = 0.1, confidence = 0.999}

--- How likely an effect of the size `detectable` is found.
M.power = 0.8

-- ---- The centre of some numbers ---------------------------------------------------------------------------------

-- How many of n numbers are cut off at either end.
local function cut_of(n) return n >= 8 and math.floor(n / 5) or 0 end

--- Degrees of freedom of the trimmed mean of n numbers.
function M.freedom(n) return math.max(1, n - 2 * cut_of(n) - 1) end

--- The trimmed mean of a list, its squared standard error and degrees of freedom (Yuen: from the Winsorised variance).
--- A fifth of the numbers is cut off at either end, none of fewer than 8.
function M.trimmed(list)
  local n, sorted = #list, stats.sorted(list)
  local cut = cut_of(n)
  local left, sum, kept = n - 2 * cut, 0, {}
  for i = 1, n do
    kept[i] = sorted[math.min(math.max(i, cut + 1), n - cut)]
    if i > cut and i <= n - cut then sum = sum + sorted[i] end
  end
  local squared = left > 1 and stats.variance(kept) * (n - 1) / (left * (left - 1)) or 0
  return sum / left, squared, left - 1
end

-- Noise of computers has all lengths of memory, each doubling of time about the same variance (1/f): the mean of n
-- blocks is then not n times better than one but log2(n) times, which is what a run of n blocks is worth here.
local function octaves(n) return math.max(1, math.log(n) / math.log(2)) end

-- The squared standard error and degrees of freedom of the centre of n >= 2 neighbours in time.
local function of_neighbours(list, expected)
  local centre, squared, df = M.trimmed(list)
  local prior = expected and M.assumed.prior_df or 0
  local spread = (prior * M.assumed.prior ^ 2 + df * squared * #list) / (prior + df)
  return centre, spread / octaves(#list), df + prior
end

-- ---- One side ---------------------------------------------------------------------------------------------------

--- Logarithms of `metric` (a function of a list) of eight blocks of a list in the order of time; fewer if it is short.
function M.blocks(samples, metric)
  local n, list = math.min(8, math.floor(#samples / 3)), {}
  for i = 1, n do
    local part = {}
    for k = math.floor((i - 1) * #samples / n) + 1, math.floor(i * #samples / n) do part[#part + 1] = samples[k] end
    list[i] = math.log(metric(part))
  end
  return list
end

-- How far the median of all samples is above their twentieth part: 0 on a machine that does nothing else.
local function disturbance(runs, estimate)
  local all = {}
  for _, rounds in ipairs(runs) do
    for _, round in ipairs(rounds) do
      for _, seconds in ipairs(round.samples or {}) do all[#all + 1] = seconds end
    end
  end
  if #all < 10 then return 0 end
  table.sort(all)
  return math.max(0, math.min(estimate, math.log(stats.quantile(all, 0.5))) - math.log(stats.quantile(all, 0.05)))
end

-- The logarithm of how many processors worked during a call, on average; nil if it is not known of every round.
local function processors(runs)
  local sum, n = 0, 0
  for _, rounds in ipairs(runs) do
    for _, round in ipairs(rounds) do
      if not (round.cpu and round.cpu > 0) then return nil end
      sum, n = sum + math.log(round.cpu / round.value), n + 1
    end
  end
  return sum / n
end

--- One side of a comparison: `runs` is a list of runs, each a list of rounds {value = seconds, blocks = logarithms,
--- samples = seconds, cpu = processor seconds}; all but value may be absent.
--- Returns estimate (a logarithm), units (the numbers that vary: rounds, or runs if there are several), squared and df
--- (squared error and its degrees of freedom), floor (the squared error that is assumed), processors.
function M.side(runs)
  local units = {}
  for i, rounds in ipairs(runs) do
    local logs = {}
    for k, round in ipairs(rounds) do logs[k] = math.log(round.value) end
    if #runs == 1 then units = logs else units[i] = M.trimmed(logs) end
  end
  local side = {runs = #runs, rounds = #runs[1], units = units, estimate = units[1]}
  if #units > 1 then
    side.floor = (#runs > 1 and M.assumed.runs or M.assumed.run) ^ 2
    side.estimate, side.squared, side.df = of_neighbours(units, true)
  else
    local blocks = runs[1][1].blocks or {}
    side.floor = M.assumed.round ^ 2
    side.squared, side.df = 0, 1
    if #blocks > 1 then
      local _
      _, side.squared, side.df = of_neighbours(blocks, false)
    end
  end
  side.disturbance = disturbance(runs, side.estimate)
  side.floor = side.floor + (M.assumed.disturbed * side.disturbance) ^ 2
  side.processors = processors(runs)
  return side
end

-- ---- The ratio ----------------------------------------------------------------------------------------------------

--- "faster", "slower", "same" or "undecided" of an interval of the ratio B / A; `threshold` (a fraction) is the
--- difference that does not count.
function M.verdict(ratio, low, high, threshold)
  local most, least = 1 + threshold, 1 / (1 + threshold)
  if low > 1 and ratio > most then return "slower" end
  if high < 1 and ratio < least then return "faster" end
  if low >= least and high <= most then return "same" end
  return "undecided"
end

-- Of a standard error: half the interval that is asked for; half of the one that a verdict needs, which is wider where
-- the measurement is rough; whether it is.
local function halves(error, df, confidence)
  local half = stats.student(df, (1 + confidence) / 2) * error
  local usual = confidence == 0.95 and half or stats.student(df) * error
  if usual <= math.log(1 + M.rough.half) then return half, half, false end
  return half, math.max(half, stats.student(df, (1 + M.rough.confidence) / 2) * error), true
end

-- From half of the interval that a verdict needs.
local function found(needed, error, df, threshold)
  return math.exp(math.max(needed, math.log(1 + threshold)) + stats.student(df, M.power) * error) - 1
end

local function confidence_and_threshold(opts) return opts.confidence or 0.95, opts.threshold or 0.02 end

--- The smallest slow-down (a fraction) that is detected with the probability M.power by a comparison with this standard
--- error and these degrees of freedom. opts: threshold, confidence.
function M.finds(error, df, opts)
  local confidence, threshold = confidence_and_threshold(opts)
  local _, needed = halves(error, df, confidence)
  return found(needed, error, df, threshold)
end

--- The result for a difference of logarithms with its squared standard error and degrees of freedom: ratio, low, high,
--- half (half the interval, of the logarithm), error, df, confidence, rough (the verdict needs more than this
--- interval), detectable (see finds), verdict. opts: threshold, confidence.
function M.result(difference, squared, df, opts)
  local confidence, threshold = confidence_and_threshold(opts)
  local error = math.sqrt(squared)
  local half, needed, rough = halves(error, df, confidence)
  local r = {ratio = math.exp(difference), low = math.exp(difference - half), high = math.exp(difference + half),
    half = half, error = error, df = df, confidence = confidence, rough = rough,
    detectable = found(needed, error, df, threshold)}
  r.verdict = M.verdict(r.ratio, math.exp(difference - needed), math.exp(difference + needed), threshold)
  return r
end

-- Welch and Satterthwaite: the sum of squared errors, and its degrees of freedom.
local function add(parts, floor)
  local sum, weighted = floor, 0
  for _, part in ipairs(parts) do
    sum, weighted = sum + part[1], weighted + part[1] ^ 2 / part[2]
  end
  return sum, weighted > 0 and sum ^ 2 / weighted or 1e6
end

--- B against A, of two sides.
function M.unpaired(a, b, opts)
  local floor = a.floor + b.floor
  if a.processors and b.processors then
    floor = floor + (M.assumed.processors * (a.processors - b.processors)) ^ 2
  end
  local squared, df = add({{a.squared, a.df}, {b.squared, b.df}}, floor)
  return M.result(b.estimate - a.estimate, squared, df, opts)
end

--- B against A, of differences of logarithms that are independent of each other (pairs of processes): no assumptions.
function M.paired(differences, opts)
  local centre, squared, df = M.trimmed(differences)
  return M.result(centre, squared, df, opts)
end

--- B against A, of times that were taken by turns: pairs of neighbours, eight blocks of them in the order of time; all
--- of them where there are too few for blocks.
function M.by_turns(a, b, opts)
  local ratios, logs = {}, {}
  for i = 1, math.min(#a, #b) do
    ratios[i] = b[i] / a[i]
    logs[i] = math.log(ratios[i])
  end
  local blocks = M.blocks(ratios, stats.median)
  return M.paired(#blocks >= 4 and blocks or logs, opts)
end

-- ---- All points together ------------------------------------------------------------------------------------------

-- The geometric mean of the points of one side. Points of one round share what disturbed it: rounds are averaged over
-- the points first, and only then differ. Of a single round half the variance is taken as shared.
local function mean_side(sides)
  local sum, squared, floor, n, weakest, known = 0, 0, 0, #sides, sides[1], 0
  for _, side in ipairs(sides) do
    sum, squared, floor = sum + side.estimate, squared + side.squared, floor + side.floor
    if #side.units < #weakest.units then weakest = side end
    known = side.processors and known and known + side.processors / n or nil
  end
  local all = {estimate = sum / n, floor = floor / n, processors = known}
  if #weakest.units == 1 then
    local shared = 0.5 + 0.5 / n
    all.floor = M.assumed.run ^ 2 + math.max(0, floor / n - M.assumed.run ^ 2) * shared
    all.squared, all.df = squared / n * shared, weakest.df
    return all
  end
  local means = {}
  for i = 1, #weakest.units do
    means[i] = 0
    for _, side in ipairs(sides) do means[i] = means[i] + (side.units[i] - side.estimate) / n end
  end
  local _
  _, all.squared, all.df = of_neighbours(means, true)
  return all
end

--- The geometric mean over points, each {a = side, b = side}: the ratio of B to A.
function M.together(points, opts)
  local a, b = {}, {}
  for i, point in ipairs(points) do
    a[i], b[i] = point.a, point.b
  end
  if #points == 1 then return M.unpaired(a[1], b[1], opts) end
  return M.unpaired(mean_side(a), mean_side(b), opts)
end

--- The geometric mean of results that are independent of each other.
function M.mean(results, opts)
  local sum, parts, n = 0, {}, #results
  for i, r in ipairs(results) do
    sum, parts[i] = sum + math.log(r.ratio) / n, {(r.error / n) ^ 2, r.df}
  end
  local squared, df = add(parts, 0)
  return M.result(sum, squared, df, opts)
end

--- The same for lists of differences, one list for each point, the same pairs in each.
function M.paired_together(lists, opts)
  local means = {}
  for i = 1, #lists[1] do
    means[i] = 0
    for _, list in ipairs(lists) do means[i] = means[i] + list[i] / #lists end
  end
  return M.paired(means, opts)
end

return M
