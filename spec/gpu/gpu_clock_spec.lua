-- gpu_clock_spec.lua - clocks of a GPU around samples: the rate, what is throttled, and what pah.bench does with such
-- samples, on a device made up for it. Over the test driver: spec/driver/cuda_cases.lua.
local fake_timer = require "spec.support.fake_timer"
local gpu_clock = require "pah.measure.gpu_clock"

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
    local function seconds(...)
      local start = pah.clock()
      gpu_clock.pause(...)
      return pah.clock() - start
    end
    assert.is_true(seconds(1, 10) >= 0.05)
    assert.is_true(seconds(3, 10) >= 0.15)
    assert.is_true(seconds(10, 0.1) >= 0.1)
    assert.same({0.05, 0.5, 0.5, 0.1, 0, 0}, {gpu_clock.rest(1, 10), gpu_clock.rest(10, 10), gpu_clock.rest(99, 10),
      gpu_clock.rest(10, 0.1), gpu_clock.rest(10, 0), gpu_clock.rest(10, -1)})
  end)
end)

describe("pah.bench", function()
  before_each(gpu_clock.forget)
  teardown(gpu_clock.forget)

  -- Samples of a millisecond at clocks that clock(n) gives.
  local function bench(clock, options)
    return fake_timer.bench(function(n) return 1e-3, clock(n) end, options)
  end

  it("throws samples at a throttled clock away and says so", function()
    local r = bench(function(n) return n % 4 == 0 and 1e9 or 1.9e9 end, {min_samples = 5, max_time = 60})
    assert.is_true(r.throttled >= 1)
    assert.equal(5, r.n)
    assert.equal(r.n, #r.samples)
    assert.equal(r.n, #r.clocks)
    for _, hz in ipairs(r.clocks) do assert.equal(1.9e9, hz) end
    assert.is_truthy(table.concat(r.notes, "\n"):find("less than 75 % of the highest clock seen, 1900 MHz; thrown away",
      1, true))
  end)

  it("forgets all of one that was thrown away last", function()
    local n = 0
    local function time()
      n = n + 1
      return 1e-3, n > 3 and 1 or 1e-3, n > 3 and 1 or 1e-3, n > 3 and 9 or 0, n > 3 and 1e9 or 1.9e9
    end
    local taken = require("pah.measure").take(function() end, {device = pah.device "cpu", min_samples = 5, min_time = 0,
      max_samples = 100, max_time = 0.2, precision = 0}, time, 1)
    assert.equal("max_time", taken.why)
    assert.is_true(taken.throttled >= 1)
    for _, name in ipairs {"seconds", "wall", "cpu", "faults", "hz"} do assert.equal(3, #taken[name], name) end
  end)

  it("keeps them when its time is over, and ends", function()
    local r = bench(function(n) return n <= 1 and 1.9e9 or 1e9 end, {min_samples = 5, max_time = 0.2})
    assert.equal("max_time", r.stopped)
    assert.equal(3, r.n)
    assert.equal(1e9, r.clock_hz)
    assert.is_truthy(table.concat(r.notes, "\n"):find("some were kept, as time was over", 1, true))
  end)

  it("has none of it where there is no clock", function()
    local r = bench(function() return nil end, {min_samples = 5})
    assert.is_nil(r.clock_hz)
    assert.is_nil(table.concat(r.notes, "\n"):find("clock seen", 1, true))
  end)
end)
