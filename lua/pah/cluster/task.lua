-- task.lua - the shell script that measures shards: what the tasks of a Slurm job array and the processes of
-- `pah submit --local` have in common. Promises: every word of it is quoted; a process that was killed is started again
-- and resumes its shard; one that failed, or was asked to stop, is not. Read next: slurm.lua, processes.lua.
local host = require "pah.host"
local quoted = require("pah.util.safe_text").shell
local whole_file = require "pah.util.whole_file"

local M = {}

-- Variables that tasks need as they are here: a cluster may not hand down the environment of who submits. Those of
-- CUDA are the scheduler's.
local function variables(device)
  local lines = {("export PAH_DEVICE=%s"):format(quoted(device))}
  for name, value in (whole_file.read "/proc/self/environ" or ""):gmatch "([^=%z]+)=([^%z]*)" do
    local ours = name:match "^PAH_[A-Z_]+$" or name:match "^OMP_[A-Z_]+$"
    if ours and name ~= "PAH_DEVICE" and name ~= "PAH_LOCK_WAIT" then
      lines[#lines + 1] = ("export %s=%s"):format(name, quoted(value))
    end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

local run_shard = [[
cd CWD || exit 1
VARIABLES
# A run that another process still holds, on a node that is lost and does not know it, is waited for.
export PAH_LOCK_WAIT="${PAH_LOCK_WAIT-900}"

# Measures shard $1. A process that was killed, as for want of memory, is started again, twice at most: it resumes.
run_shard() {
  try=1
  while :; do
    $bind WORDS --shard "$1/JOBS" -o FOLDER/"shard-$1.jsonl" --quiet
    code=$?
    { [ "$code" -gt 128 ] && [ "$code" -ne 130 ] && [ "$code" -ne 143 ] && [ "$try" -lt 3 ]; } || return "$code"
    try=$((try + 1))
    echo "shard $1/JOBS: ended by signal $((code - 128)), resumed" >&2
  done
}
]]

--- The command of the shell that runs a submission's script with its words (submission.lua).
function M.command(submission)
  local words = {quoted(host.exe), "run", quoted(submission.script)}
  for _, word in ipairs(submission.words) do words[#words + 1] = quoted(word) end
  return table.concat(words, " ")
end

--- Text of the shell with the words CWD, VARIABLES, WORDS, JOBS and FOLDER of a submission filled in.
function M.filled(text, submission)
  return (text:gsub("%f[%u]%u+%f[^%u_]", {CWD = quoted(submission.cwd), VARIABLES = variables(submission.device),
    WORDS = M.command(submission), JOBS = ("%d"):format(submission.jobs), FOLDER = quoted(submission.folder)}))
end

--- The environment and the function run_shard of the script for a submission; $bind stands before the program.
function M.text(submission) return M.filled(run_shard, submission) end

return M
