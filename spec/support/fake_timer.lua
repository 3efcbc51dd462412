-- fake_timer.lua - pah.bench with times that a spec makes up: what it says of them then depends on no clock but that of
-- its own pauses.
local timer = require "pah.measure.timer"

local M = {}

--- pah.bench(fn, options) on the cpu, without a warm-up and limits, with one call a sample; sample(n) gives the seconds
--- of the n-th one and, if there is one, the rate in Hz of a GPU's clock. The two calls of the warm-up are -1 and 0.
function M.bench(sample, options, fn)
  fn = fn or function() end
  local of, count = timer.of, -2
  timer.of = function()
    return function(called)
      if called ~= fn then return 1e-6, 1e-6, 0, 0 end -- the overhead
      fn()
      count = count + 1
      local seconds, hz = sample(count)
      return seconds, seconds, seconds, 0, hz
    end
  end
  local o = {device = "cpu", limits = false, warmup = 0, min_time = 0, setup = function() end}
  for key, value in pairs(options or {}) do o[key] = value end
  local ok, r = pcall(pah.bench, fn, o)
  timer.of = of
  if not ok then error(r, 0) end
  return r
end

return M
