-- stats.lua - statistics of times: quantiles, the interval of a median, how much samples depend on each other, drift.
-- Promises: nothing is drawn at random: the bootstrap of a median is computed exactly, so that the same samples always
-- give the same interval. Definitions: doc/measuring.md. Read next: init.lua, compare/statistics.lua.
local M = {}

--- A sorted copy of a list of numbers.
function M.sorted(list)
  local copy = {}
  for i = 1, #list do copy[i] = list[i] end
  table.sort(copy)
  return copy
end

--- The quantile p (0 to 1) of a sorted list, linear between neighbours (Hyndman and Fan's type 7).
function M.quantile(sorted, p)
  local at = 1 + p * (#sorted - 1)
  local i = math.floor(at)
  if i >= #sorted then return sorted[#sorted] end
  return sorted[i] + (at - i) * (sorted[i + 1] - sorted[i])
end

--- The median of a list, in any order.
function M.median(list) return M.quantile(M.sorted(list), 0.5) end

function M.mean(list)
  local sum = 0
  for i = 1, #list do sum = sum + list[i] end
  return sum / #list
end

--- The variance of a list (divided by n - 1); 0 for one number.
function M.variance(list)
  local mean, sum = M.mean(list), 0
  for i = 1, #list do sum = sum + (list[i] - mean) ^ 2 end
  return #list > 1 and sum / (#list - 1) or 0
end

-- ---- Distributions --------------------------------------------------------------------------------------------

-- log(n!), by Stirling's series above 20, where its error is below 1e-12.
local function log_factorial(n)
  if n > 20 then return n * math.log(n) - n + 0.5 * math.log(2 * math.pi * n) + 1 / (12 * n) - 1 / (360 * n ^ 3) end
  local sum = 0
  for i = 2, n do sum = sum + math.log(i) end
  return sum
end

-- P(Binomial(n, p) >= m).
local function binomial_tail(n, p, m)
  if p <= 0 then return 0 elseif p >= 1 then return 1 end
  local a, b, fixed, sum = math.log(p), math.log(1 - p), log_factorial(n), 0
  for k = m, n do sum = sum + math.exp(fixed - log_factorial(k) - log_factorial(n - k) + k * a + (n - k) * b) end
  return math.min(1, sum)
end

--- The bootstrap distribution of the median of a sorted list, exactly: values in order and their probabilities. `draws`
--- (default: as many as there are) is how many are drawn with replacement; fewer when samples depend on each other.
-- The middle one of d draws is at most x[k] when at least half of them are, each with probability k/n (Efron 1982).
-- With an even d its two middle ones count half each.
function M.median_distribution(sorted, draws)
  local n = #sorted
  local d = math.max(1, math.floor((draws or n) + 0.5))
  local low, high = math.ceil(d / 2), math.floor(d / 2) + 1
  local values, weights, before = {}, {}, 0
  -- outside of this part of the ranks the probability is below 1e-9
  local reach = math.ceil(n * math.min(0.5, 3.2 / math.sqrt(d))) + 1
  local from, to = math.max(1, math.floor(n / 2) - reach), math.min(n, math.ceil(n / 2) + reach)
  for k = from, to do
    local at = k == n and 1 or binomial_tail(d, k / n, low)
    if high ~= low and k ~= n then at = (at + binomial_tail(d, k / n, high)) / 2 end
    if k == to then at = 1 end
    local weight = at - before
    if weight > 0 then values[#values + 1], weights[#weights + 1] = sorted[k], weight end
    before = at
  end
  return values, weights
end

--- The two ends of the interval that holds the middle `confidence` of a distribution of values in order.
function M.interval(values, weights, confidence)
  local tail, sum, low = (1 - confidence) / 2, 0, nil
  for i = 1, #values do
    sum = sum + weights[i]
    if not low and sum >= tail then low = values[i] end
    if sum >= 1 - tail then return low, values[i] end
  end
  return low or values[1], values[#values]
end

--- The 95 % interval of the median of a sorted list: low, high.
function M.interval_of_median(sorted, draws)
  local values, weights = M.median_distribution(sorted, draws)
  return M.interval(values, weights, 0.95)
end

-- ---- Dependence and drift ---------------------------------------------------------------------------------------

--- How many independent samples the list, in the order of time, is worth for its median: n over the correlation time of
--- "is above the median" (Geyer's initial positive sequence: sums of neighbouring correlations while they are above 0).
function M.effective_size(list)
  local n = #list
  if n < 8 then return n end
  local median, sign, sum = M.median(list), {}, 0
  for i = 1, n do
    sign[i] = list[i] > median and 1 or list[i] < median and -1 or 0
    sum = sum + sign[i]
  end
  local mean, variance = sum / n, 0
  for i = 1, n do variance = variance + (sign[i] - mean) ^ 2 end
  if variance == 0 then return n end
  local function correlation(lag)
    local c = 0
    for i = 1, n - lag do c = c + (sign[i] - mean) * (sign[i + lag] - mean) end
    return c / variance
  end
  local time, lag = 1, 1
  while lag + 1 < n / 2 do
    local pair = correlation(lag) + correlation(lag + 1)
    if pair <= 0 then break end
    time, lag = time + 2 * pair, lag + 2
  end
  return math.max(1, math.min(n, n / time))
end

--- Drift of a list in the order of time: the slope through the medians of its first and last third (Tukey's line), as a
--- fraction of the median over the whole list. 0 below 9 samples.
function M.drift(list)
  local n = #list
  if n < 9 then return 0 end
  local third, first, last = math.floor(n / 3), {}, {}
  for i = 1, third do first[i], last[i] = list[i], list[n - third + i] end
  return (M.median(last) - M.median(first)) / M.median(list) * n / (n - third)
end

-- ---- Student's t --------------------------------------------------------------------------------------------------

-- log Gamma(x), x > 0 (Stirling's series above 8, the recurrence below).
local function log_gamma(x)
  local shift = 0
  while x < 8 do
    shift, x = shift - math.log(x), x + 1
  end
  return shift + (x - 0.5) * math.log(x) - x + 0.5 * math.log(2 * math.pi) + 1 / (12 * x) - 1 / (360 * x ^ 3)
    + 1 / (1260 * x ^ 5)
end

-- The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method).
local function incomplete_beta(x, a, b)
  if x <= 0 then return 0 elseif x >= 1 then return 1 end
  if x > (a + 1) / (a + b + 2) then return 1 - incomplete_beta(1 - x, b, a) end
  local front = math.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math.log(x) + b * math.log(1 - x)) / a
  local c, d = 1, 1 / (1 - (a + b) * x / (a + 1))
  local value = d
  for m = 1, 300 do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d, c = 1 / (1 + even * d), 1 + even / c
    value = value * d * c
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d, c = 1 / (1 + odd * d), 1 + odd / c
    value = value * d * c
    if math.abs(d * c - 1) < 1e-12 then break end
  end
  return front * value
end

--- The quantile `p` (above 0.5; default 0.975) of Student's t with `df` degrees of freedom, 1 at least.
function M.student(df, p)
  df = math.max(1, math.min(df, 1e6))
  local tail = 2 * (1 - (p or 0.975)) -- P(|t| > q) = I_{df / (df + q^2)}(df / 2, 1 / 2)
  local low, high = 0, 1
  while incomplete_beta(df / (df + high ^ 2), df / 2, 0.5) > tail and high < 1e9 do high = 2 * high end
  for _ = 1, 60 do
    local middle = (low + high) / 2
    if incomplete_beta(df / (df + middle ^ 2), df / 2, 0.5) > tail then low = middle else high = middle end
  end
  return (low + high) / 2
end

-- ---- All of it ----------------------------------------------------------------------------------------------------

--- The summary of samples in the order of time: n, effective_n, median, low, high (95 % interval of the median), q1,
--- q3, iqr, min, max, mean, outliers (outside of 1.5 iqr beyond the quartiles, Tukey), drift (fraction).
function M.summary(samples)
  local sorted = M.sorted(samples)
  local q1, q3, effective = M.quantile(sorted, 0.25), M.quantile(sorted, 0.75), M.effective_size(samples)
  local low, high = M.interval_of_median(sorted, effective)
  local outliers, fence = 0, 1.5 * (q3 - q1)
  for i = 1, #sorted do
    local beyond = math.max(q1 - sorted[i], sorted[i] - q3)
    if beyond > fence and beyond > 0 then outliers = outliers + 1 end
  end
  return {
    n = #sorted, effective_n = effective, median = M.quantile(sorted, 0.5), low = low, high = high, q1 = q1, q3 = q3,
    iqr = q3 - q1, min = sorted[1], max = sorted[#sorted], mean = M.mean(sorted), outliers = outliers,
    drift = M.drift(samples),
  }
end

return M
