-- status.lua - how far the shards of a submission are: rows done of all, who is at them, what failed. Promises: it
-- reads the results files, so that it tells what is stored and not what is hoped for; it writes nothing. Read next:
-- submission.lua, slurm.lua.
local columns = require "pah.util.columns"
local parts_of = require "pah.results.parts"
local results = require "pah.results"
local screen = require "pah.util.screen"
local slurm = require "pah.cluster.slurm"
local submissions = require "pah.cluster.submission"
local time_text = require("pah.experiment.progress").time_text
local whole_file = require "pah.util.whole_file"

local M = {}

-- The last run of every name in a shard's file; none if there is no file yet.
local function runs_of(path)
  if not whole_file.readable(path) then return {} end
  local ok, file = pcall(results.read, path)
  if not ok then return {}, tostring(file) end
  local place, list = {}, {}
  for _, run in ipairs(file.runs) do
    local name = tostring(run.header.name)
    place[name] = place[name] or #list + 1
    list[place[name]] = run
  end
  return list
end

-- Adds what a run has to the state of its shard.
local function add_run(shard, run, path)
  local h = run.header
  shard.rows = shard.rows + #run.rows
  shard.of = (shard.of or 0) + (h.shard and h.shard.points or 0) * (h.rounds or 1)
  shard.busy = shard.busy or results.busy(path, run.id)
  for _, machine in ipairs(parts_of.machines(run)) do shard.machines[#shard.machines + 1] = machine.name end
  for _, row in ipairs(run.rows) do
    shard.errors = shard.errors + (row.status == "error" and 1 or 0)
    shard.seconds = shard.seconds + (row.seconds or 0)
  end
end

-- done, running, stopped, waiting, or Slurm's word for a task that is not at work.
local function state_of(shard, queued)
  if shard.busy then return "running" end
  if shard.of and shard.rows >= shard.of then return "done" end
  if queued then return queued.state end
  return shard.of and "stopped" or "waiting"
end

local function shard_of(submission, index, queued)
  local path = submissions.shard_path(submission, index)
  local shard = {index = index, rows = 0, errors = 0, seconds = 0, machines = {}}
  local runs, why = runs_of(path)
  for _, run in ipairs(runs) do add_run(shard, run, path) end
  shard.state = why and "unreadable" or state_of(shard, queued)
  shard.why, shard.node, shard.job = why, queued and queued.node, queued and queued.job
  return shard
end

--- The state of a submission: {shards={{index=, rows=, of= (nil before it has begun), errors=, state=,
--- machines={names}, node=, job=}, ...}, rows=, of= (nil if not known), errors=, done= (shards), complete=,
--- left= (seconds, or nil)}.
function M.of(submission)
  local queue = slurm.queue(submission)
  local s = {folder = submission.folder, shards = {}, rows = 0, errors = 0, done = 0, complete = false}
  local seconds, of, rounds, running = 0, 0, nil, 0
  for i = 1, submission.jobs do
    local shard = shard_of(submission, i, queue[i])
    s.shards[i] = shard
    s.rows, s.errors, seconds = s.rows + shard.rows, s.errors + shard.errors, seconds + shard.seconds
    s.done = s.done + (shard.state == "done" and 1 or 0)
    running = running + (shard.busy and 1 or 0)
    if of and shard.of then of = of + shard.of else of = nil end
    shard.seconds, shard.busy = nil, nil
  end
  for _, run in ipairs(runs_of(submissions.shard_path(submission, 1))) do rounds = run.header.rounds end
  s.of = of or submission.points and rounds and submission.points * rounds or nil
  s.complete = s.done == submission.jobs
  if s.of and s.rows > 0 and running > 0 then s.left = seconds / s.rows * (s.of - s.rows) / running end
  return s
end

--- The shards of a state that are not whole, a list of numbers.
function M.missing(state)
  local list = {}
  for _, shard in ipairs(state.shards) do
    if shard.state ~= "done" then list[#list + 1] = shard.index end
  end
  return list
end

--- The state as lines for people.
function M.text(state)
  local rows, right = {{"shard", "rows", "of", "errors", "state", "where"}}, {true, true, true, true}
  for i, shard in ipairs(state.shards) do
    local where = table.concat(shard.machines, ", ")
    if shard.node and shard.node ~= "" then where = ("job %s on %s"):format(shard.job, shard.node) end
    rows[i + 1] = {tostring(shard.index), tostring(shard.rows), shard.of and tostring(shard.of) or "?",
      tostring(shard.errors), shard.state, shard.why or where}
  end
  local left = state.left and (", about %s left"):format(time_text(state.left)) or ""
  return columns.plain(rows, right, screen.width())
    .. ("%d of %s rows, %d error%s; %d of %d shards are done%s\n"):format(state.rows,
      state.of and tostring(state.of) or "?", state.errors, state.errors == 1 and "" or "s", state.done, #state.shards,
      left)
end

return M
