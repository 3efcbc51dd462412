-- sweep.lua - pah.sweep: a function measured at every point of a grid. Promises: points come in random order, all
-- of them once before any a second time; a row is stored as soon as it is measured; a killed sweep can be resumed; a
-- point that fails gives a row too. Read next: axes.lua, results/init.lua, init.lua.
local C = require("pah.ffi").C
local axes_of = require "pah.experiment.axes"
local errors = require "pah.errors"
local host = require "pah.host"
local progress = require "pah.experiment.progress"
local random = require("pah.tensor.random").exports
local results = require "pah.results"
local run_header = require "pah.results.header"
local schema = require "pah.results.schema"
local shards = require "pah.experiment.shards"
local traceback = require "pah.traceback"

local M = {}

-- Option -> the type it has.
local known = {
  name = "string", axes = "table", where = "function", run = "function", store = "string", seed = "number",
  rounds = "number", resume = "boolean", fresh = "boolean", on_error = "string", quiet = "boolean", options = "table",
  files = "table", limits = "any", device = "any", setup = "function", shard = "string", together = "table",
}
local needed = {"axes", "run"}
local MOST_ROUNDS = 2 ^ 16

--- Raises unless `opts` has all of `must_have` and every field has the type that `types` gives it.
function M.check_options(what, opts, types, must_have)
  errors.check_keys(what, opts or {}, types)
  for _, name in ipairs(must_have) do
    if not opts or opts[name] == nil then errors.raisef("%s: %s is missing, must be a %s", what, name, types[name]) end
  end
  for name, value in pairs(opts) do
    if types[name] ~= "any" and type(value) ~= types[name] then
      errors.raisef("%s: %s is a %s, must be a %s", what, name, type(value), types[name])
    end
  end
end

local function read_options(opts)
  M.check_options("sweep", opts, known, needed)
  local o = {rounds = 1, seed = 1, resume = true, on_error = "row"}
  for name, value in pairs(opts) do o[name] = value end
  o.gives_up = opts.on_error == nil
  if o.rounds % 1 ~= 0 or o.rounds < 1 or o.rounds > MOST_ROUNDS then
    errors.raisef("sweep: rounds is %s, must be a whole number from 1 to %d", o.rounds, MOST_ROUNDS)
  end
  if o.seed % 1 ~= 0 or math.abs(o.seed) >= 2 ^ 31 then
    errors.raisef("sweep: seed is %s, must be a whole number", o.seed)
  end
  if o.on_error ~= "row" and o.on_error ~= "stop" then
    errors.raisef('sweep: on_error is "%s", must be "row" or "stop"', o.on_error)
  end
  if o.limits ~= nil and type(o.limits) ~= "table" and type(o.limits) ~= "function" then
    errors.raisef("sweep: limits is a %s, must be a table, or a function that returns one", type(o.limits))
  end
  o.axes = axes_of.list("sweep", o.axes)
  shards.check("sweep", o.together, o.axes)
  if o.shard then
    local index, count = shards.parse(o.shard)
    if not index then errors.raisef("sweep: shard: %s", count) end
    o.shard = {index = index, count = count, together = o.together}
  end
  return o
end

-- ---- What a point's function gave -------------------------------------------------------------------------------

local function is_result(value)
  return type(value) == "table" and (value.counted == true or type(value.median) == "number"
    and type(value.samples) == "table")
end

local scalar = {number = true, string = true, boolean = true}

-- Puts what the function returned into `row`: a result of pah.bench, tables of values, a value alone.
local function take(row, value)
  if value == nil then return end
  if is_result(value) then
    if row.result then errors.raise "run: two results of pah.bench were returned, must be one" end
    row.result = {}
    for key, item in pairs(value) do row.result[key] = item end
  elseif type(value) == "table" and getmetatable(value) == nil then
    for name, item in pairs(value) do
      if is_result(item) then
        take(row, item)
      else
        if type(item) == "cdata" then item = tonumber(item) end
        if not scalar[type(item)] or type(name) ~= "string" then
          errors.raisef("run: %s is a %s, must be a number, string, boolean or one result of pah.bench", tostring(name),
            type(item))
        end
        row.values[name] = item
      end
    end
  elseif scalar[type(value)] then
    row.values.value = value
  else
    errors.raisef("run: returned a %s, must be a result of pah.bench, a table of values or a value", type(value))
  end
end

-- The message of an error and its traceback from there to the point's function, eight lines at most.
local function short_traceback(e)
  local text, lines = traceback(e, 3), {}
  for line in text:gmatch "[^\n]+" do
    if line:find("/pah/experiment/sweep.lua:", 1, true) or #lines == 8 then break end
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n")
end

-- Measures a point: its row, or an error that ends the sweep (Ctrl-C).
local function measure(o, point, round)
  local row = {index = point.index, round = round, key = point.key, axes = {}, values = {}}
  for _, axis in ipairs(o.axes) do row.axes[axis.name] = point.axes[axis.name] end
  local start = C.pah_clock()
  local ok, why = xpcall(function()
    local returned = {o.run(point.axes, {index = point.index, round = round, key = point.key})}
    for i = 1, 3 do take(row, returned[i]) end
  end, short_traceback)
  if host.interrupted() then error("interrupted", 0) end
  row.seconds, row.status = C.pah_clock() - start, ok and "ok" or "error"
  if not ok then row.error, row.result, row.values = why, nil, {} end
  collectgarbage() -- what the point held of a device's memory
  return row
end

-- ---- The order, and what is left ----------------------------------------------------------------------------------

-- The points in the order of a round: the same for the same seed.
local function shuffled(points, seed, round)
  local order = random.randperm(#points, {seed = (seed % 2 ^ 31) * 4096 + round, device = "cpu"}):totable()
  local list = {}
  for i, place in ipairs(order) do list[i] = points[place + 1] end
  return list
end

-- Rows by identity, checked against the grid: a stored row must be of the point that now has its index.
local function by_identity(rows, points)
  local keys, done = {}, {}
  for _, point in ipairs(points) do keys[point.index] = point.key end
  for _, row in ipairs(rows) do
    if keys[row.index] ~= row.key then
      errors.raisef("sweep: point %d of the stored run was %s and is %s; begin a new run (fresh) or name another file",
        row.index, row.key, keys[row.index] or "left out by where")
    end
    done[row.index .. " " .. row.round] = row
  end
  return done
end

--- The points of a shard {index=, count=, together=}, in the order of the grid.
function M.shard_points(points, axes, shard, seed)
  local mine = shards.deal(shuffled(points, seed, 1), axes, shard.together, shard.index, shard.count)
  table.sort(mine, function(a, b) return a.index < b.index end)
  return mine
end

-- The {point, round} that have no row yet, in the order of measuring.
local function missing(o, points, done)
  local list = {}
  for round = 1, o.rounds do
    for _, point in ipairs(shuffled(points, o.seed, round)) do
      if not done[point.index .. " " .. round] then list[#list + 1] = {point, round} end
    end
  end
  return list
end

local function header_of(o)
  local axes = {}
  for i, axis in ipairs(o.axes) do axes[i] = {name = axis.name, values = axis.values, about = axis.about} end
  local header = {name = o.name, axes = axes, seed = o.seed, rounds = o.rounds, options = o.options, device = o.device,
    limits = type(o.limits) == "table" and o.limits or nil, shard = o.shard}
  for _, path in ipairs(o.files or {}) do
    local hash = type(path) == "string" and run_header.sha256(path)
    if not hash then errors.raisef("sweep: files: %s cannot be read", tostring(path)) end
    header.files = header.files or {}
    header.files[path] = hash
  end
  return run_header.complete(header)
end

-- ---- pah.sweep ----------------------------------------------------------------------------------------------------

local FIRST = 5 -- points that fail alike at the start of a run: the mistake is not the point's

-- What is alike in errors of several points: the first line but for its numbers.
local function kind_of(message) return (message:match "^[^\n]*":gsub("%d+%.?%d*", "#")) end

-- Counts errors by kind: the first of a kind is told at once, how many more at the end.
local function new_tally(o, bar)
  local tally = {kinds = {}, order = {}}
  function tally.add(row)
    local kind = kind_of(row.error)
    if not tally.kinds[kind] then
      tally.kinds[kind], tally.order[#tally.order + 1] = 0, kind
      local text = ("pah: %s: %s"):format(row.key ~= "" and row.key or "the point", row.error:match "^[^\n]*")
      if not o.quiet then bar:line(text) end
    end
    tally.kinds[kind] = tally.kinds[kind] + 1
  end
  function tally.finish()
    for _, kind in ipairs(o.quiet and {} or tally.order) do
      local more = tally.kinds[kind] - 1
      if more > 0 then bar:line(("pah: and %d alike%s"):format(more, #tally.order > 1 and ": " .. kind or "")) end
    end
  end
  return tally
end

-- Raises if all of the rows, the first ones of the run, are errors of one kind, and more points would follow.
local function give_up(o, rows, left)
  if not o.gives_up or #rows < FIRST or left == 0 then return end
  local kind = rows[1].error and kind_of(rows[1].error)
  for _, row in ipairs(rows) do
    if not row.error or kind_of(row.error) ~= kind then return end
  end
  errors.raisef('sweep: the first %d points fail alike, %d are not measured (on_error = "row" measures all): %s', #rows,
    left, rows[#rows].error:match "^[^\n]*")
end

-- Measures what is in `todo`; each row goes to keep(row) at once, which puts it behind `rows`.
local function measure_all(o, todo, rows, bar, keep)
  if todo[1] and o.setup then o.setup() end
  local tally = new_tally(o, bar)
  local ok, why = pcall(function()
    for i, item in ipairs(todo) do
      local point, round = item[1], item[2]
      bar:draw(point.key)
      local row = keep(measure(o, point, round))
      bar:step(row.error)
      if row.error then
        tally.add(row)
        if o.on_error == "stop" then
          errors.raisef("sweep: %s failed: %s", point.key, row.error:match "^[^\n]*")
        end
        give_up(o, rows, #todo - i)
      end
    end
  end)
  tally.finish()
  if not ok then error(why, 0) end
end

local function tell_interrupted(o, count, total)
  if o.quiet then return end
  io.stderr:write(("pah: interrupted: %d of %d rows are %s\n"):format(count, total, o.store
    and ("in %s; the same command measures the rest"):format(o.store) or "measured, none is stored"))
end

--- Measures run(p) at every point p = {name = value} of the grid of `axes` for which where(p) holds, and returns the
--- rows (doc/results.md), in order of index and round, with `failed`, how many are errors, and `run`, the run's id.
--- Options: name; axes (a list of {name=, values=}, or {name = list}); where; run (returns a result of pah.bench, or a
--- table of values with one among them, or nothing); store (results file; without it nothing is kept); rounds (1); seed
--- (of the order, 1); resume (true: rows that the last run of this name has are not measured again); fresh (a new run);
--- on_error ("row", or "stop"); quiet; options, files (what else the numbers depend on: a change is refused); limits
--- (of peaks.collect, for the header, or a function that returns them, called when a run begins); device; setup (called
--- before the first point, unless all rows are there); shard ("I/N": only that part of the points), together (axes:
--- points that differ in these alone are in one shard).
function M.sweep(opts)
  local o = read_options(opts)
  local points = axes_of.points("sweep", o.axes, o.where)
  if o.shard then
    o.shard.of = #points
    points = M.shard_points(points, o.axes, o.shard, o.seed)
    o.shard.points = #points
  end
  local header = header_of(o)
  local store, rows
  o.name = header.name
  local function begins(h)
    if type(o.limits) == "function" then h.limits = schema.plain(o.limits(), "limits") end
  end
  if o.store and not o.fresh and o.resume then
    store, rows = results.resume(o.store, header, begins)
  else
    begins(header)
    store, rows = o.store and results.open(o.store, header), {}
  end
  local bar
  local ok, why = pcall(function()
    local todo = missing(o, points, by_identity(rows, points))
    bar = progress.new(#todo + #rows, #rows, o)
    measure_all(o, todo, rows, bar, function(row)
      row = store and store:add(row) or schema.row(row, header)
      rows[#rows + 1] = row
      return row
    end)
  end)
  if bar then bar:finish() end
  if store then store:close() end
  if not ok then
    if host.interrupted() then tell_interrupted(o, #rows, bar and bar.total or #rows) end
    error(why, 0)
  end
  table.sort(rows, function(a, b) return a.index < b.index or a.index == b.index and a.round < b.round end)
  rows.failed, rows.run, rows.header = 0, store and store.run or header.run, store and store.header or header
  for _, row in ipairs(rows) do rows.failed = rows.failed + (row.error and 1 or 0) end
  if rows.failed > 0 and not o.quiet then
    io.stderr:write(("pah: %s: %d of %d rows are errors\n"):format(o.name, rows.failed, #rows))
  end
  return rows
end

M.exports = {sweep = M.sweep}

return M
