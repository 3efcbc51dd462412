-- slurm.lua - shards as the tasks of a Slurm job array: the batch script, sbatch, and what squeue knows. Promises: a
-- task has one GPU of its own, which Slurm binds, or a node of its own; a task whose node fails is queued again and
-- resumes its shard. Read next: task.lua, doc/many-machines.md.
local errors = require "pah.errors"
local quoted = require("pah.util.safe_text").shell
local schema = require "pah.results.schema"
local shell = require "pah.util.shell"
local submissions = require "pah.cluster.submission"
local task = require "pah.cluster.task"

local M = {}

--- Numbers in order as "1,3,7-9".
function M.ranges(list)
  local parts, i = {}, 1
  while i <= #list do
    local j = i
    while list[j + 1] == list[j] + 1 do j = j + 1 end
    parts[#parts + 1] = j > i and ("%d-%d"):format(list[i], list[j]) or ("%d"):format(list[i])
    i = j + 1
  end
  return table.concat(parts, ",")
end

--- The batch script for the shards of the list; options.gpus: GPUs of a task; options.share: other jobs may run on its
--- node.
function M.script(submission, list, options)
  local lines = {"#!/bin/sh",
    "# The shards of an experiment, one to a task: made by `pah submit`, see doc/many-machines.md.",
    "#SBATCH --job-name=pah-" .. submission.name:gsub("[^%w_.-]", "_"), "#SBATCH --array=" .. M.ranges(list),
    "#SBATCH --nodes=1", "#SBATCH --ntasks=1", "#SBATCH --requeue", "#SBATCH --open-mode=append",
    ('#SBATCH --output="%s/shard-%%a.log"'):format(submission.folder)}
  if options.gpus > 0 then lines[#lines + 1] = ("#SBATCH --gres=gpu:%d"):format(options.gpus) end
  if not options.share then lines[#lines + 1] = "#SBATCH --exclusive" end
  return table.concat(lines, "\n") .. "\n\nbind=''\n" .. task.text(submission) .. '\nrun_shard "$SLURM_ARRAY_TASK_ID"\n'
end

--- The command that submits the batch script at path, with more options of sbatch.
function M.command(path, more)
  local words = {"sbatch", "--parsable"}
  for _, word in ipairs(more) do words[#words + 1] = word:match "^[%w_./:=,@%%+-]+$" or quoted(word) end
  words[#words + 1] = path:match "^[%w_./:=,@+-]+$" or quoted(path)
  return table.concat(words, " ")
end

--- Submits the batch script; returns the job's id. Raises what sbatch says if it fails.
function M.submit(path, more)
  local text = shell.output(("{ %s; } 2>&1; echo \"exit $?\""):format(M.command(path, more)))
  local said, code = text:match "^(.*)exit (%d+)\n$"
  local id = code == "0" and ("\n" .. said):match "\n(%d+)[;%w_-]*\n"
  if not id then
    errors.raisef("submit: sbatch failed: %s%s", (said or ""):match "^%s*(.-)%s*$", code == "127"
      and "; is Slurm installed here (apt install slurm-client)? --local needs none" or "")
  end
  return id
end

--- What squeue knows of the submission's jobs that have not ended: shard -> {state=, node=, job=}.
function M.queue(submission)
  local ids, states = {}, {}
  for _, job in ipairs(submission.submitted) do ids[#ids + 1] = job.id end
  if #ids == 0 then return states end
  local said = shell.output(("squeue -h -r -j %s -o '%%K|%%T|%%N|%%F' 2>/dev/null"):format(table.concat(ids, ",")))
  for shard, state, node, id in said:gmatch "(%d+)|([%u_]+)|([^|\n]*)|(%d+)" do
    states[tonumber(shard)] = {state = state:lower(), node = node, job = id}
  end
  return states
end

--- Notes that the shards of the list went off as job `id`, in the submission and its folder.
function M.note(submission, list, id)
  table.insert(submission.submitted, {id = id, array = M.ranges(list), at = schema.now()})
  submissions.save(submission)
end

return M
