-- gpu_clock_spec.lua - clocks of a GPU around samples: the rate, what is throttled, and what pah.bench does with such
-- samples, on a device made up for it. Over the test driver: driver/cuda_cases.lua.
local gpu_clock = require "pah.gpu_clock"
local timer = require "pah.timer"

describe("gpu_clock", function()
  before_each(gpu_clock.forget)
  teardown(gpu_clock.forget)

  it("gives the rate, and none of no time", function()
    assert.equal(1.5e9, gpu_clock.rate(1000, 1500))
    assert.is_nil(gpu_clock.rate(0, 1500))
    assert.is_nil(gpu_clock.rate(1000, 0))
    assert.is_nil(gpu_clock.rate(-5, 10))
  end)

  it("calls throttled what is below 75 % of the highest rate of that device", function()
    local a, b = {name = "cuda:8"}, {name = "cuda:9"}
    assert.is_false(gpu_clock.throttled(a, 1e9))
    assert.is_false(gpu_clock.throttled(a, 0.76e9))
    assert.is_true(gpu_clock.throttled(a, 0.74e9))
    assert.is_false(gpu_clock.throttled(a, 2e9))
    assert.is_true(gpu_clock.throttled(a, 1e9))
    assert.is_false(gpu_clock.throttled(b, 1e9))
    assert.is_false(gpu_clock.throttled(a, nil))
    assert.equal(2e9, gpu_clock.highest(a))
  end)

  it("pauses longer after more throttled samples, and never beyond the time left", function()
    local start = pah.clock()
    gpu_clock.pause(1, 10)
    assert.is_true(pah.clock() - start >= 0.05)
    start = pah.clock()
    gpu_clock.pause(10, -1)
    gpu_clock.pause(10, 0)
    assert.is_true(pah.clock() - start < 0.4)
  end)
end)

-- pah.bench with a timer whose samples are `seconds` long, at clocks that clock(n) gives for the n-th sample.
local function bench(clock, options)
  local cpu, of, count = pah.device "cpu", timer.of, 0
  timer.of = function()
    return function(fn, calls)
      if fn ~= options.fn then return 1e-6, 1e-6, 0, 0 end
      count = count + 1
      for _ = 1, calls do fn() end
      return 1e-3, 1e-3, 1e-3, 0, clock(count)
    end
  end
  local ok, r = pcall(pah.bench, options.fn, {device = cpu, limits = false, warmup = 0, min_time = 0, min_samples = 5,
    setup = function() end, max_time = options.max_time or 5})
  timer.of = of
  if not ok then error(r, 0) end
  return r
end

describe("pah.bench", function()
  before_each(gpu_clock.forget)
  teardown(gpu_clock.forget)

  it("throws samples at a throttled clock away and says so", function()
    local r = bench(function(n) return n % 4 == 0 and 1e9 or 1.9e9 end, {fn = function() end})
    assert.is_true(r.throttled >= 1)
    assert.equal(r.n, #r.samples)
    assert.is_truthy(table.concat(r.notes, "\n"):find("less than 75 % of the highest clock seen, 1900 MHz; thrown away",
      1, true))
  end)

  it("keeps them when its time is over, and ends", function()
    local r = bench(function(n) return n <= 3 and 1.9e9 or 1e9 end, {fn = function() end, max_time = 0.3})
    assert.equal("max_time", r.stopped)
    assert.is_true(r.n >= 3)
  end)

  it("has none of it where there is no clock", function()
    local r = bench(function() return nil end, {fn = function() end})
    assert.is_nil(r.clock_hz)
    assert.is_nil(table.concat(r.notes, "\n"):find("clock seen", 1, true))
  end)
end)
