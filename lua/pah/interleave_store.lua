-- interleave_store.lua - the samples of two scripts that took turns, as two runs of a results file.
-- Promises: a row for each point and pair of processes (its round), with all samples in order; `turns` of a result says
-- how many of them each turn took. Read next: interleave.lua, results.lua.
local results = require "pah.results"
local run_header = require "pah.run_header"
local stats = require "pah.stats"

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

--- Adds a run for each of the sides a and b (of interleave.parse) to the results file at `path`.
return function(path, points, a, b, started)
  local names, ids = {}, {}
  for i, point in ipairs(points) do names[i] = point.key end
  for which, side in ipairs {a, b} do
    local header = run_header.complete{name = side.text, script = side.path, started = started,
      device = points[1].about[which].device, axes = {{name = "name", values = names}}, rounds = #points[1].pairs}
    local store = results.open(path, header)
    ids[which] = store.run
    for index, point in ipairs(points) do
      for round = 1, #point.pairs do store:add(row(point, index, round, which)) end
    end
    store:close()
  end
  return ids
end
