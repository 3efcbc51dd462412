-- turns.lua - measurements that take their samples by turns, so that what changes slowly on a machine reaches all of
-- them alike, and the ratio of two of them. Promises: all have as many samples, the i-th ones taken next to each other,
-- the first of a round one round and the last the next. Read next: attention.lua.
local host = require "pah.host"
local stats = require "pah.measure.stats"

local M = {}

-- Gives a thread its turn: "turn" and why it would end (or nil), "done" and its result, or "error" and its message.
local function resume(thread, stop)
  local ok, what, value = coroutine.resume(thread, stop)
  if host.interrupted() then error("interrupted", 0) end
  if not ok then return "error", what end
  return what, value
end

--- Runs jobs, functions job(turn) that call turn(why) after each sample (the option `turn` of pah.bench), by turns;
--- they end together, once all would. Returns for each {result = what it returned} or {error = what it raised}.
function M.take(jobs)
  local threads, answers, order = {}, {}, {}
  local function turn(why) return coroutine.yield("turn", why) end
  for i, job in ipairs(jobs) do
    threads[i] = coroutine.create(function() return "done", job(turn) end)
    order[i] = i
  end
  local stop = false
  while #order > 0 do
    local next_order, ready = {}, true
    for k = #order, 1, -1 do
      local i = order[k]
      local what, value = resume(threads[i], stop)
      if what == "turn" then
        next_order[#next_order + 1], ready = i, ready and value ~= nil
      else
        answers[i] = what == "done" and {result = value} or {error = value}
      end
    end
    order, stop = next_order, ready
  end
  return answers
end

--- The ratio of b to a, lists of times that were taken by turns: {ratio=, low=, high=}, the median of the ratios of
--- neighbours and its 95 % interval.
function M.ratio(a, b)
  local list = {}
  for i = 1, math.min(#a, #b) do list[i] = b[i] / a[i] end
  local sorted = stats.sorted(list)
  local low, high = stats.interval_of_median(sorted, stats.effective_size(list))
  return {ratio = stats.quantile(sorted, 0.5), low = low, high = high}
end

return M
