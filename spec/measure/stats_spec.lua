-- stats_spec.lua - statistics of times, against brute force and known figures.
local generator = require("spec.support.model").normal
local stats = require "pah.measure.stats"

describe("statistics", function()
  it("take quantiles between neighbours", function()
    assert.equal(3, stats.median {5, 1, 3})
    assert.equal(2.5, stats.median {4, 1, 3, 2})
    assert.equal(1.75, stats.quantile({1, 2, 3, 4}, 0.25))
    assert.equal(7, stats.quantile({7}, 0.9))
  end)

  -- Every one of the n^n draws with replacement, for the distribution that median_distribution computes.
  local function brute_force(list)
    local n, counts = #list, {}
    for code = 0, n ^ n - 1 do
      local draw, rest = {}, code
      for i = 1, n do
        draw[i], rest = list[rest % n + 1], math.floor(rest / n)
      end
      table.sort(draw)
      local low, high = draw[math.ceil(n / 2)], draw[math.floor(n / 2) + 1]
      counts[low] = (counts[low] or 0) + 0.5 / n ^ n
      counts[high] = (counts[high] or 0) + 0.5 / n ^ n
    end
    return counts
  end

  it("know the bootstrap distribution of a median exactly", function()
    for _, list in ipairs {{1, 2, 4}, {1, 2, 4, 8}, {1, 3, 5, 9, 20}, {2, 3, 4, 5, 6, 9}} do
      local want = brute_force(list)
      local values, weights = stats.median_distribution(list)
      local sum = 0
      for i = 1, #values do
        assert.is_true(math.abs(weights[i] - want[values[i]]) < 1e-9, ("%d: %g"):format(values[i], weights[i]))
        sum = sum + weights[i]
      end
      assert.is_true(math.abs(sum - 1) < 1e-9)
    end
  end)


  it("cover the true median 95 times in 100, whether samples depend on each other or not", function()
    for _, correlation in ipairs {0, 0.6, 0.9} do
      local normal, covered, runs = generator(77), 0, 400
      for _ = 1, runs do
        local list, x = {}, normal()
        for i = 1, 300 do
          x = correlation * x + math.sqrt(1 - correlation ^ 2) * normal()
          list[i] = math.exp(0.2 * x) -- skewed; its median is 1
        end
        local s = stats.summary(list)
        if s.low <= 1 and 1 <= s.high then covered = covered + 1 end
      end
      assert.is_true(covered / runs > 0.9 and covered / runs < 0.99, correlation .. ": " .. covered / runs)
    end
  end)

  it("tell how many independent samples there are", function()
    local normal, list = generator(5), {}
    for i = 1, 500 do list[i] = normal() end
    assert.is_true(stats.effective_size(list) > 300)
    local steps = {}
    for i = 1, 500 do steps[i] = math.floor(i / 50) % 2 + 0.01 * normal() end
    assert.is_true(stats.effective_size(steps) < 30)
    assert.equal(3, stats.effective_size {1, 2, 3})
  end)

  it("see drift and outliers", function()
    local flat, rising = {}, {}
    for i = 1, 90 do flat[i], rising[i] = 1 + (i % 2) * 0.01, 1 + 0.1 * i / 90 end
    assert.is_true(math.abs(stats.drift(flat)) < 0.01)
    assert.is_true(math.abs(stats.drift(rising) - 0.095) < 0.005)
    flat[7], flat[50] = 9, 9
    assert.equal(2, stats.summary(flat).outliers)
    assert.equal(0, stats.summary({3, 3, 3, 3}).outliers)
  end)

  it("know Student's t", function()
    for df, want in pairs {[1] = 12.706, [2] = 4.303, [3] = 3.182, [5] = 2.571, [10] = 2.228, [30] = 2.042} do
      assert.is_true(math.abs(stats.student(df) - want) < 0.006 * want, df .. ": " .. stats.student(df))
    end
  end)
end)
