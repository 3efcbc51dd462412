-- init.lua - pah.experiment: a sweep as a script: its options and axes become flags of the command
-- line with --help, its rows go to a results file, and a table is printed at the end. Works in a script, at the prompt
-- and in a spec. Read next: sweep.lua, options.lua, results/table.lua.
local axes_of = require "pah.experiment.axes"
local errors = require "pah.errors"
local options = require "pah.options"
local peaks = require "pah.measure.peaks"
local results_table = require "pah.results.table"
local shards = require "pah.experiment.shards"
local sweep = require "pah.experiment.sweep"

local M = {}

local known = {
  name = "string", about = "string", options = "table", axes = "table", where = "function", setup = "function",
  run = "function", check = "function", report = "function", files = "table", on_error = "string", together = "table",
}

-- Flags that every experiment has.
local standard = {
  out = {"results file, .db or .jsonl; a run in it that was stopped is resumed", nil, type = "string",
    short = "o"},
  fresh = {"begin a new run in the file", false},
  rounds = {"how often every point is measured", 1},
  seed = {"of the order of the points", 1},
  quiet = {"no progress, no table", false},
  list = {"print the points and measure none", false},
  shard = {"measure only part I of N of the points, as I/N; `pah results merge` puts the parts together", nil,
    type = "string"},
  limits = {"measure the device's limits when a run begins and keep them with it; takes seconds", false},
}

-- One table for pah.options, of the experiment's options, its axes and the flags of all.
local function flags_of(spec, axes)
  local flags, owner = {}, {}
  local function add(name, entry, whose)
    local plain = name:gsub("-", "_")
    if owner[plain] then errors.raisef("experiment: %s %s is also %s", whose, name, owner[plain]) end
    flags[name], owner[plain] = entry, "the name of " .. whose:gsub("^the ", "")
    local short = type(entry) == "table" and entry.short
    if short and owner["-" .. short] then
      errors.raisef("experiment: -%s of %s %s is also that of %s", short, whose, name, owner["-" .. short])
    end
    if short then owner["-" .. short] = whose .. " " .. name end
  end
  for name, entry in pairs(standard) do add(name, entry, "a flag of every experiment, the flag") end
  for name, entry in pairs(spec.options or {}) do add(tostring(name), entry, "the option") end
  for _, axis in ipairs(axes) do
    local about = axis.about and axis.about .. "; " or ""
    local kind = "axis: a,b"
    if type(axis.values[1]) == "number" then kind = "axis: 1,2 or 1:8 or 1:9+2 or 1:64*2" end
    if axis.choices then kind = "axis of " .. axes_of.text(axis.choices) end
    add(axis.name, {about .. kind, axes_of.text(axis.values), type = "string"}, "the axis")
  end
  return flags
end

-- The axes with the values of the command line.
local function chosen(axes, opt)
  local list = {}
  for i, axis in ipairs(axes) do
    local text = opt[axis.name]
    local values, why = axis.values, nil
    if text ~= axes_of.text(axis.values) then values, why = axes_of.parse(axis, text) end
    if not values then options.refuse(("--%s: %s"):format(axis.name:gsub("_", "-"), why)) end
    list[i] = {name = axis.name, values = values, about = axis.about}
  end
  return list
end

-- What the experiment's functions see: its own options and the flags of all; the axes are in the point.
local function seen_options(spec, opt)
  local own, stored = {}, {}
  for name in pairs(spec.options or {}) do
    local key = name:gsub("-", "_")
    own[key], stored[key] = opt[key], opt[key]
  end
  for name in pairs(standard) do own[name] = opt[name] end
  return own, next(stored) and stored or nil
end

local function print_points(points, axes, opt, together)
  if opt.shard then
    local index, count = shards.parse(opt.shard)
    points = sweep.shard_points(points, axes, {index = index, count = count, together = together}, opt.seed)
  end
  for _, point in ipairs(points) do print(("%d\t%s"):format(point.index, point.key)) end
end

--- Runs an experiment and returns its rows (see pah.sweep): {name=, about=, options={...as pah.options}, axes={{name=,
--- values=, about=, choices=}, ...}, where=function(p), setup=function(opt) -> context, run=function(p, context, opt),
--- check=function(p, context, opt) -> values (errors against the oracle; before the first round's run of a point),
--- report=function(rows, opt) (instead of the table), files={paths that the numbers depend on}, on_error=,
--- together={axes whose points stay in one shard: a baseline and what is compared with it}}.
-- Flags: one for every option and axis, and -o, --fresh, --rounds, --seed, --quiet, --list, --limits, --shard. If every
-- row is an error, so is the experiment.
function M.experiment(spec)
  sweep.check_options("experiment", spec, known, {"name", "axes", "run"})
  local declared = axes_of.list("experiment", spec.axes)
  local function about(script) return spec.about or options.about(script) end
  local opt = options.of_script(flags_of(spec, declared), about)
  if opt[1] then options.refuse(('"%s" is one word too many'):format(opt[1])) end
  local axes = chosen(declared, opt)
  if opt.rounds < 1 then options.refuse "--rounds: must be at least 1" end
  shards.check("experiment", spec.together, axes)
  if opt.shard then
    local index, why = shards.parse(opt.shard)
    if not index then options.refuse("--shard: " .. why) end
  end
  if opt.list then
    print_points(axes_of.points("experiment", axes, spec.where), axes, opt, spec.together)
    return {failed = 0}
  end
  local own, stored = seen_options(spec, opt)
  local context
  local rows = sweep.sweep{
    name = spec.name, axes = axes, where = spec.where, store = opt.out, fresh = opt.fresh,
    rounds = opt.rounds, seed = opt.seed, quiet = opt.quiet, options = stored, files = spec.files,
    on_error = spec.on_error, shard = opt.shard, together = spec.together, limits = opt.limits and peaks.collect or nil,
    setup = function() context = spec.setup and spec.setup(own) end,
    run = function(p, at)
      local values = at.round == 1 and spec.check and spec.check(p, context, own) or nil
      local first, second = spec.run(p, context, own)
      return first, second, values
    end,
  }
  if spec.report then
    spec.report(rows, own)
  elseif not opt.quiet then
    io.stdout:write(results_table.text(rows, axes))
  end
  if opt.out and not opt.quiet then
    io.stderr:write(("pah: %d rows of run %s in %s\n"):format(#rows, rows.run, opt.out))
  end
  if #rows > 0 and rows.failed == #rows then
    error(("experiment: all %d rows are errors; the first: %s"):format(#rows, rows[1].error:match "^[^\n]*"), 0)
  end
  return rows
end

M.exports = {experiment = M.experiment}

return M
