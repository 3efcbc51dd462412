-- processes.lua - shards as processes of this machine: one for each GPU at the same time, or one after the other on
-- the cpu. Promises: two processes at one time have different GPUs and different processors; the script that does it
-- stands in the submission's folder. Read next: task.lua.
local quoted = require("pah.util.safe_text").shell
local submissions = require "pah.cluster.submission"
local task = require "pah.cluster.task"
local whole_file = require "pah.util.whole_file"

local M = {}

-- The processors that this process may use.
local function processors()
  local text = (whole_file.read "/proc/self/status" or ""):match "Cpus_allowed_list:%s*([%d,-]+)" or "0"
  local list = {}
  for part in text:gmatch "[^,]+" do
    local first, last = part:match "^(%d+)-?(%d*)$"
    for i = tonumber(first), tonumber(last) or tonumber(first) do list[#list + 1] = i end
  end
  return list
end

--- The processes {gpu=, processors=, shards=} that measure the shards of the list: by GPU and equal parts of the
--- processors where the device is cuda, else one with all of them. gpus, cpus: those of the machine.
function M.workers(submission, list, gpus, cpus)
  if not submission.device:match "^cuda" then return {{shards = list}} end
  local count = math.max(1, math.min(#gpus, #cpus, #list))
  local workers = {}
  for i = 1, count do
    local from, to = math.floor((i - 1) * #cpus / count) + 1, math.floor(i * #cpus / count)
    workers[i] = {gpu = gpus[i], shards = {}, processors = table.concat(cpus, ",", from, to)}
  end
  for i, shard in ipairs(list) do table.insert(workers[(i - 1) % count + 1].shards, shard) end
  return workers
end

local function worker_text(worker)
  local lines = {"("}
  if worker.gpu then
    lines[#lines + 1] = ("  export CUDA_VISIBLE_DEVICES=%s"):format(quoted(worker.gpu))
    lines[#lines + 1] = ("  bind='taskset -c %s'"):format(worker.processors)
  end
  lines[#lines + 1] = ("  measure %s\n)"):format(table.concat(worker.shards, " "))
  return table.concat(lines, "\n")
end

local measure = [[

# Measures its shards one after the other; what they print goes to their logs.
measure() {
  failed=0
  for shard; do
    run_shard "$shard" >>FOLDER/"shard-$shard.log" 2>&1
    code=$?
    [ "$code" -ne 130 ] || exit 130
    [ "$code" -eq 0 ] || failed=1
    echo "pah: shard $shard/JOBS: $([ "$code" -eq 0 ] && echo done || echo "failed, see shard-$shard.log")" >&2
  done
  exit "$failed"
}

bind='' failed=0 pids=''
]]

--- The shell script that measures the shards of the list.
function M.script(submission, list)
  local workers = M.workers(submission, list, submissions.gpus(), processors())
  local parts = {"#!/bin/sh\n# The shards of an experiment on one machine: made by `pah submit --local`, "
    .. "see doc/many-machines.md.\n", task.text(submission), task.filled(measure, submission)}
  if #workers == 1 then return table.concat(parts) .. worker_text(workers[1]) .. "\n" end
  for _, worker in ipairs(workers) do parts[#parts + 1] = worker_text(worker) .. " &\npids=\"$pids $!\"\n" end
  parts[#parts + 1] = "for pid in $pids; do\n  wait \"$pid\" || failed=1\ndone\nexit \"$failed\"\n"
  return table.concat(parts)
end

--- Runs the script at path; returns its exit code.
function M.run(path)
  local status = os.execute("sh " .. quoted(path))
  return status >= 256 and math.floor(status / 256) or status
end

return M
