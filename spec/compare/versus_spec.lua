-- versus_spec.lua - the statistics of a comparison, by simulation: how often the interval holds the truth, how often
-- the same is called different, how often 5 % are found. Numbers of a generator of our own, so each run is the same.
local stats = require "pah.measure.stats"
local versus = require "pah.compare.statistics"

local generator = require("spec.support.model").normal

-- A round of samples: noise that depends on its neighbours by `correlation`, times what the round and the run have.
local function round_of(normal, shift, o)
  local samples, x = {}, normal()
  for i = 1, o.n or 60 do
    x = (o.correlation or 0) * x + math.sqrt(1 - (o.correlation or 0) ^ 2) * normal()
    samples[i] = math.exp(shift + (o.sample or 0.02) * x)
  end
  return {value = stats.median(samples), samples = samples, blocks = versus.blocks(samples, stats.median)}
end

local function run_of(normal, shift, o)
  local rounds = {}
  local own = shift + (o.run or 0) * normal()
  for i = 1, o.rounds do rounds[i] = round_of(normal, own + (o.round or 0) * normal(), o) end
  return rounds
end

-- Shares of comparisons: wrong (an effect that is none, or the wrong one), covered, found.
local function simulate(effect, times, compare)
  local share = {wrong = 0, covered = 0, found = 0, half = {}}
  for i = 1, times do
    local r = compare()
    if r.verdict == "faster" or effect == 0 and r.verdict == "slower" then share.wrong = share.wrong + 1 / times end
    if r.verdict == "slower" then share.found = share.found + 1 / times end
    if r.low <= math.exp(effect) and math.exp(effect) <= r.high then share.covered = share.covered + 1 / times end
    share.half[i] = r.half
  end
  share.half = stats.median(share.half)
  return share
end

local function of_runs(seed, effect, o, times)
  local normal = generator(seed)
  return simulate(effect, times or 150, function()
    local a, b = {}, {}
    for i = 1, o.runs or 1 do
      a[i], b[i] = run_of(normal, -9, o), run_of(normal, -9 + effect, o)
    end
    return versus.unpaired(versus.side(a), versus.side(b), {})
  end)
end

describe("a ratio of runs", function()
  local kinds = {
    independent = {}, ["with neighbours alike"] = {correlation = 0.9}, ["with rounds apart"] = {round = 0.015},
    ["with runs apart"] = {run = 0.01, round = 0.01},
    ["with all of it"] = {run = 0.01, round = 0.01, correlation = 0.9, sample = 0.03},
  }
  for name, kind in pairs(kinds) do
    it("holds the truth and calls nothing different that is the same, of samples " .. name, function()
      for _, rounds in ipairs {1, 2, 3, 6} do
        local o = {rounds = rounds}
        for key, value in pairs(kind) do o[key] = value end
        local share = of_runs(7 + rounds, 0, o)
        assert.is_true(share.covered >= 0.94, ("%d rounds: covered %.3f"):format(rounds, share.covered))
        assert.is_true(share.wrong <= 0.05, ("%d rounds: wrong %.3f"):format(rounds, share.wrong))
        share = of_runs(70 + rounds, math.log(1.05), o, 60)
        assert.is_true(share.covered >= 0.9, ("%d rounds: covered %.3f"):format(rounds, share.covered))
        assert.is_true(share.wrong == 0)
      end
    end)
  end

  it("finds 5 % between calm runs of several rounds, and nothing of that size between single rounds", function()
    local calm = {rounds = 5, sample = 0.005, round = 0.003, run = 0.003}
    assert.is_true(of_runs(3, math.log(1.05), calm).found > 0.9)
    calm.rounds = 1
    assert.is_true(of_runs(3, math.log(1.05), calm).found < 0.1)
    assert.is_true(of_runs(3, math.log(1.2), calm).found > 0.9)
  end)

  it("measures between runs where there are several", function()
    local o = {rounds = 2, runs = 8, run = 0.02, round = 0.005, sample = 0.005}
    local share = of_runs(11, 0, o, 100)
    assert.is_true(share.covered >= 0.94 and share.wrong <= 0.05)
    o.run = 0.004
    assert.is_true(of_runs(11, math.log(1.05), o, 100).found > 0.9)
  end)

  it("is undecided while other programs disturb", function()
    local normal, uniform = generator(5)
    local function disturbed() -- half the time takes twice as long, in stretches; how much of it is a matter of luck
      local rounds, share, slow = {}, 0.2 + 0.6 * uniform(), false
      for i = 1, 3 do
        local samples = {}
        for k = 1, 60 do
          if uniform() < 0.1 then slow = uniform() < share end
          samples[k] = math.exp(0.02 * normal()) * (slow and 2 or 1)
        end
        rounds[i] = {value = stats.median(samples), samples = samples, blocks = versus.blocks(samples, stats.median)}
      end
      return versus.side{rounds}
    end
    local share = simulate(0, 300, function() return versus.unpaired(disturbed(), disturbed(), {}) end)
    assert.is_true(share.wrong <= 0.05, "wrong " .. share.wrong)
  end)

  it("doubts a run that had fewer processors", function()
    local function side(seconds, cpu)
      local rounds = {}
      for i = 1, 5 do rounds[i] = {value = seconds * (1 + 0.001 * i), cpu = cpu} end
      return versus.side{rounds}
    end
    assert.equal("slower", versus.unpaired(side(1, 2), side(2, 4), {}).verdict)
    assert.equal("undecided", versus.unpaired(side(1, 2), side(2, 2), {}).verdict)
  end)
end)

describe("a ratio of pairs", function()
  -- Differences of 12 pairs; some are thrown far off.
  local function of_pairs(seed, effect, o, times)
    local normal, uniform = generator(seed)
    return simulate(effect, times or 1000, function()
      local list = {}
      for i = 1, o.pairs or 12 do
        list[i] = effect + (o.sd or 0.01) * normal()
        if uniform() < (o.bursts or 0) then list[i] = list[i] + (uniform() < 0.5 and 0.2 or -0.2) end
      end
      return versus.paired(list, {})
    end)
  end

  it("holds the truth 19 times in 20", function()
    for _, pairs_ in ipairs {3, 6, 8, 10, 12, 20} do
      for _, bursts in ipairs {0, 0.1} do
        for _, effect in ipairs {0, math.log(1.05)} do
          local share = of_pairs(pairs_ + 10 * bursts, effect, {pairs = pairs_, bursts = bursts})
          local what = ("%d pairs, bursts %g, effect %.3f: covered %.3f, wrong %.3f"):format(pairs_, bursts, effect,
            share.covered, share.wrong)
          assert.is_true(share.covered >= 0.935 and share.wrong <= 0.05, what)
        end
      end
    end
  end)

  it("finds 5 %, and hardly loses by bursts", function()
    assert.is_true(of_pairs(1, math.log(1.05), {sd = 0.015}).found > 0.95)
    assert.is_true(of_pairs(1, math.log(1.05), {sd = 0.01, bursts = 0.08}).found > 0.8)
  end)

  it("says same of the same, if it is calm", function()
    local normal = generator(9)
    local same = 0
    for _ = 1, 200 do
      local list = {}
      for i = 1, 12 do list[i] = 0.008 * normal() end
      if versus.paired(list, {}).verdict == "same" then same = same + 1 end
    end
    assert.is_true(same > 180, "same: " .. same)
  end)

  -- Processes starved for whole slices of time: by luck four pairs of the same once said 0.434 [0.230, 0.821], faster.
  it("calls nothing different from a few rough pairs", function()
    local r = versus.paired({-0.55, -0.95, -1.2, -0.6}, {})
    assert.is_true(r.low < r.high and r.high < 1, ("%.3f [%.3f, %.3f]"):format(r.ratio, r.low, r.high))
    assert.equal("undecided", r.verdict)
    local clear = versus.paired({-1.1, -1.3, -1.2, -1.15, -1.25, -1.2, -1.1, -1.3, -0.9, -1.4, -1.2, -1.2}, {})
    assert.equal("faster", clear.verdict)
  end)

  it("is rough where others disturb, not where many points ask for wide intervals", function()
    local each = versus.result(0.15, 0.03 ^ 2, 7, {})
    local of_many = versus.result(0.15, 0.03 ^ 2, 7, {confidence = 1 - 0.05 / 20})
    assert.is_true(each.half < math.log(1.1) and of_many.half > math.log(1.1) and of_many.low > 1)
    assert.equal("slower", of_many.verdict)
    assert.is_false(each.rough or of_many.rough)
    local rough = versus.result(0.2, 0.05 ^ 2, 7, {})
    assert.is_true(rough.rough and rough.low > 1)
    assert.equal("undecided", rough.verdict)
    assert.is_true(versus.result(0.2, 0.05 ^ 2, 7, {confidence = 1 - 0.05 / 20}).rough)
  end)

  it("says beforehand what it will find", function()
    for _, error in ipairs {0, 0.0005, 0.01, 0.03, 0.08} do
      for _, opts in ipairs {{}, {threshold = 0.1}, {confidence = 0.9975}} do
        local finds = versus.finds(error, 7, opts)
        assert.equal(versus.result(0.3, error ^ 2, 7, opts).detectable, finds)
        assert.is_true(finds >= (opts.threshold or 0.02), ("%g finds %g"):format(error, finds))
      end
    end
    local list = {}
    for n = 1, 30 do
      list[n] = n
      local _, _, df = versus.trimmed(list)
      assert.equal(math.max(1, df), versus.freedom(n))
    end
  end)

  it("tells the smallest effect that it finds 8 times in 10", function()
    local normal, sum = generator(21), 0
    for _ = 1, 300 do
      local list = {}
      for i = 1, 12 do list[i] = 0.04 * normal() end
      sum = sum + versus.paired(list, {}).detectable / 300
    end
    local found = of_pairs(22, math.log(1 + sum), {sd = 0.04}, 500).found
    assert.is_true(found > 0.7 and found < 0.9, ("%.4f found %.3f"):format(sum, found))
  end)
end)

describe("a verdict", function()
  it("needs an interval without 1, and more than the threshold", function()
    assert.equal("slower", versus.verdict(1.05, 1.03, 1.07, 0.02))
    assert.equal("faster", versus.verdict(0.9, 0.85, 0.95, 0.02))
    assert.equal("same", versus.verdict(1.005, 0.99, 1.015, 0.02))
    assert.equal("same", versus.verdict(1.01, 1.005, 1.015, 0.02))
    assert.equal("undecided", versus.verdict(1.015, 1.005, 1.025, 0.02))
    assert.equal("undecided", versus.verdict(1.05, 0.99, 1.11, 0.02))
    assert.equal("slower", versus.verdict(1.015, 1.005, 1.025, 0.01))
  end)

  it("of all points together takes what they share for one", function()
    local normal = generator(31)
    local o = {rounds = 4, sample = 0.01}
    local share = simulate(0, 200, function()
      local points, shared = {}, {}
      for which = 1, 2 do
        shared[which] = {0.01 * normal()}
        for round = 2, 5 do shared[which][round] = 0.02 * normal() end
      end
      for i = 1, 6 do
        local sides = {}
        for which = 1, 2 do
          local rounds = {}
          for round = 1, o.rounds do
            rounds[round] = round_of(normal, i + shared[which][1] + shared[which][round + 1], o)
          end
          sides[which] = versus.side{rounds}
        end
        points[i] = {a = sides[1], b = sides[2]}
      end
      return versus.together(points, {})
    end)
    assert.is_true(share.covered >= 0.94 and share.wrong <= 0.05, ("covered %.3f"):format(share.covered))
  end)

  it("of trimmed numbers leaves a fifth at either end out", function()
    local centre, squared, df = versus.trimmed {1, 2, 3, 4, 5, 6, 7, 8, 9, 1000}
    assert.equal(5.5, centre)
    assert.equal(5, df)
    -- Winsorised: 3 3 3 4 5 6 7 8 8 8
    assert.is_true(math.abs(squared - stats.variance {3, 3, 3, 4, 5, 6, 7, 8, 8, 8} * 9 / 30) < 1e-12)
    centre, squared, df = versus.trimmed {1, 2, 6}
    assert.equal(3, centre)
    assert.equal(2, df)
    assert.is_true(math.abs(squared - 7 / 3) < 1e-12)
  end)
end)
