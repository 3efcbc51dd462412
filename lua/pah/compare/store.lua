-- store.lua - the samples of two scripts that took turns, as two runs of a results file.
-- Promises: a row for each point and pair of processes (its round), stored when the pair has ended, with all samples in
-- order; `turns` of a result says how many of them each turn took. Read next: parent.lua, results/init.lua.
local results = require "pah.results"
local stats = require "pah.measure.stats"

local function join(answers, name)
  local list, counts = {}, {}
  for i, answer in ipairs(answers) do
    for _, value in ipairs(answer[name]) do list[#list + 1] = value end
    counts[i] = #answer[name]
  end
  return list, counts
end

local function row(point, index, round, which)
  local answers, about = point.pairs[round][which], point.about[which]
  local samples, counts = join(answers, "samples")
  local r = stats.summary(samples)
  r.samples, r.turns, r.calls, r.name, r.device, r.cold = samples, counts, point.calls, about.name, about.device,
    about.cold
  r.cpu, r.wall = stats.median((join(answers, "cpu"))), stats.median((join(answers, "wall")))
  r.bytes, r.flops, r.threads, r.notes, r.stopped = about.bytes, about.flops, about.threads, {}, "turns"
  return {index = index, round = round, key = "name=" .. point.key, axes = {name = point.key}, result = r, values = {}}
end

local Store = {}
Store.__index = Store

-- A run for each side, under the conditions of its own process.
local function begin(self, points)
  local names, stores = {}, {}
  for i, point in ipairs(points) do names[i] = point.key end
  for which, side in ipairs {self.a, self.b} do
    local header = {name = side.text, script = side.path, started = self.started, rounds = self.rounds,
      axes = {{name = "name", values = names}}}
    for key, value in pairs(points[1].about[which].conditions) do header[key] = value end
    stores[which] = results.open(self.path, header)
  end
  return stores
end

--- Stores what the pair of processes `round` has measured; it is on the disk when this returns.
function Store:add(points, round)
  self.stores = self.stores or begin(self, points)
  for which, store in ipairs(self.stores) do
    for index, point in ipairs(points) do store:add(row(point, index, round, which)) end
  end
end

function Store:close()
  for _, store in ipairs(self.stores or {}) do store:close() end
end

--- A store for the sides a and b (of interleave.parse) in the results file at `path`, which is looked at now: what it
--- is refused for is known before anything is measured. Points need `conditions` of interleave.measure.
return function(path, a, b, started, rounds)
  results.check(path)
  return setmetatable({path = path, a = a, b = b, started = started, rounds = rounds}, Store)
end
