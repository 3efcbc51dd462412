-- submit.lua - `pah submit`: an experiment in shards, as a Slurm job array or as processes of this machine. Read next:
-- cluster/submission.lua, cluster/slurm.lua, cluster/processes.lua.
local errors = require "pah.errors"
local options = require "pah.options"
local processes = require "pah.cluster.processes"
local scripts = require "pah.cli.scripts"
local slurm = require "pah.cluster.slurm"
local status = require "pah.cluster.status"
local submissions = require "pah.cluster.submission"

local spec = {
  jobs = {"how many shards; with --local as many as there are GPUs, or 1, if it is not given", nil, type = "whole"},
  out = {"folder of the results files and logs [NAME-shards]", nil, type = "string", short = "o"},
  dry_run = {"print what would be submitted and write nothing", false},
  ["local"] = {"run the shards here: one process for each GPU, or one at a time on the cpu", false},
  gpus = {"GPUs of a task: 1 if the device is cuda, else 0", nil, type = "whole"},
  share = {"a task without a GPU does not need a node of its own", false},
  check = {"ask the script for its points first", true},
}

-- Words for pah submit, words for the script and, behind --, words for sbatch.
local function split(words)
  local mine, script, sbatch = {}, {}, {}
  local i = 2
  while i <= #words do
    local word = words[i]
    if word == "--" then
      sbatch = {unpack(words, i + 1)}
      break
    end
    local name = (word:match "^%-%-([^=]+)" or word == "-o" and "out" or ""):gsub("-", "_")
    local entry = spec[name] or spec[name:match "^no_(.*)$" or ""]
    local list = entry and mine or script
    list[#list + 1] = word
    if entry and entry.type and not word:find "=" and words[i + 1] then -- its value
      i = i + 1
      list[#list + 1] = words[i]
    end
    i = i + 1
  end
  return mine, script, sbatch
end

local function read(words)
  local name = words[1]
  if not name or name:match "^%-" then return nil, "submit: no script is named, must be `pah submit SCRIPT ...`" end
  local path, nearest = scripts.find(name)
  if not path then
    return nil, ('submit: no file and no example is named "%s"%s'):format(name, nearest
      and ('; did you mean "%s"?'):format(nearest) or "")
  end
  local mine, script, sbatch = split(words)
  local opt, why = options.parse(spec, mine)
  if not opt then return nil, "submit: " .. why end
  if opt["local"] and #sbatch > 0 then return nil, "submit: options of sbatch do not go with --local" end
  if opt["local"] and opt.gpus then return nil, "submit: --gpus does not go with --local, which takes all" end
  return opt, path, script, sbatch
end

-- A task gets its GPU from Slurm, which shows it that one alone.
local function settle_gpus(opt, submission)
  local device = submission.device
  if device:match "^cuda:%d" then
    errors.raisef("submit: device is %s, must be cuda: each task sees its own GPUs only", device)
  end
  opt.gpus = opt.gpus or (device:match "^cuda" and 1 or 0)
  if opt.gpus < 0 then errors.raisef("submit: gpus is %d, must not be below 0", opt.gpus) end
  opt.share = opt.share or opt.gpus > 0
end

local function tell_merge(submission)
  io.stdout:write(("pah results merge %s/shard-*.jsonl -o %s.db\n"):format(submission.folder, submission.name))
end

local function run_here(submission, list)
  local path = submissions.write(submission, "local.sh", processes.script(submission, list))
  local code = processes.run(path)
  local state = status.of(submission)
  io.stdout:write(status.text(state))
  if state.complete then tell_merge(submission) end
  return code ~= 0 and code or state.complete and 0 or 1
end

local function send_off(submission, list, opt, sbatch)
  local path = submissions.write(submission, "job.sh", slurm.script(submission, list, opt))
  local id = slurm.submit(path, sbatch)
  slurm.note(submission, list, id)
  io.stdout:write(("job %s: shard%s %s of %d, device %s\npah status %s\n"):format(id, #list == 1 and "" or "s",
    slurm.ranges(list), submission.jobs, submission.device, submission.folder))
  return 0
end

-- The shards that are to be measured: all, or of a folder that is known those that are not whole.
local function shards_left(submission, known)
  local list = {}
  if not known then
    for i = 1, submission.jobs do list[i] = i end
    return list
  end
  local state = status.of(known)
  for _, shard in ipairs(state.shards) do
    if shard.job then
      errors.raisef("submit: job %s of %s is still in the queue; `pah status` shows it, `scancel` ends it", shard.job,
        known.folder)
    end
  end
  return status.missing(state)
end

local function run(words)
  local opt, path, script, sbatch = read(words)
  if not opt then return options.misused("submit", path) end
  local ok, code = pcall(function()
    if opt["local"] and not opt.jobs then opt.jobs = math.max(1, #submissions.gpus()) end
    local submission = submissions.new(path, script, {jobs = opt.jobs, folder = opt.out, check = opt.check})
    if not opt["local"] then settle_gpus(opt, submission) end
    local known = submissions.known(submission)
    local list = shards_left(submission, known)
    submission = known or submission
    if opt.dry_run then
      io.stdout:write(opt["local"] and processes.script(submission, list) or slurm.script(submission, list, opt))
      if not opt["local"] then io.stdout:write("\n# ", slurm.command(submission.folder .. "/job.sh", sbatch), "\n") end
      return 0
    end
    if #list == 0 then
      io.stdout:write("every shard is done\n")
      tell_merge(submission)
      return 0
    end
    submissions.save(submission)
    return opt["local"] and run_here(submission, list) or send_off(submission, list, opt, sbatch)
  end)
  if not ok then return options.misused("submit", code) end
  return code
end

return {
  usage = "SCRIPT [options of the script] --jobs N [-o FOLDER] [--local | -- options of sbatch]",
  about = "an experiment in N shards: as a Slurm job array, or as processes of this machine",
  text = [[
Each task measures one shard (--shard I/N) into FOLDER/shard-I.jsonl, on one GPU if the device is cuda ($PAH_DEVICE or
the script's --device), else on a node of its own. A task whose node fails is queued again and resumes its shard; the
same command again submits the shards that are not done. `pah status FOLDER` tells how far they are,
`pah results merge FOLDER/shard-*.jsonl -o ALL.db` makes one run of them.]],
  options = spec, raw = true, run = run,
}
