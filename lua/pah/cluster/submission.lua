-- submission.lua - an experiment that is measured in shards: its script and words, how many shards, and the folder with
-- submission.json, a results file and a log for each. Promises: what is wrong with script, words or number of shards is
-- said before anything is written; the folder of another submission is refused. Read next: task.lua, status.lua.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local host = require "pah.host"
local json = require "pah.util.json"
local quoted = require("pah.util.safe_text").shell
local run_header = require "pah.results.header"
local shell = require "pah.util.shell"
local task = require "pah.cluster.task"
local whole_file = require "pah.util.whole_file"

local M = {}

local MOST_JOBS = 100000

-- Flags of an experiment that are the submission's to give.
local taken = {["--shard"] = "the shards are dealt by --jobs", ["--list"] = "`pah run` lists the points",
  ["--fresh"] = "name another folder (-o) to begin anew"}

local function check_words(words)
  for _, word in ipairs(words) do
    local why = taken[word:match "^[^=]*"]
    if why then errors.raisef("submit: %s: is not for tasks: %s", word:match "^[^=]*", why) end
  end
end

-- ---- The device -----------------------------------------------------------------------------------------------------

local function usable(name) return binding.C.pah_device_usable(name) == 0 end

-- The device that the words or the environment name, else the one that pah.device() would take here.
local function device_of(words)
  for i, word in ipairs(words) do
    local value = word:match "^%-%-device=(.*)$" or word == "--device" and words[i + 1]
    if value then return value end
  end
  local given = os.getenv "PAH_DEVICE"
  if given and given ~= "" then return given end
  return usable "cuda" and "cuda" or "cpu"
end

--- The GPUs of this machine as CUDA_VISIBLE_DEVICES names them, a list.
function M.gpus()
  local visible, list = os.getenv "CUDA_VISIBLE_DEVICES", {}
  local names = {}
  for name in (visible or ""):gmatch "[^,]+" do names[#names + 1] = name end
  while usable("cuda:" .. #list) do list[#list + 1] = names[#list + 1] or tostring(#list) end
  return list
end

-- ---- The points -----------------------------------------------------------------------------------------------------

-- The points that the script lists with these words, raising what it says if it fails.
local function count_points(submission, more)
  local text = shell.output(("cd %s && PAH_DEVICE=%s %s --list %s 2>&1; echo \"exit $?\""):format(
    quoted(submission.cwd), quoted(submission.device), task.command(submission), more))
  local said, code = text:match "^(.*)exit (%d+)\n$"
  if code ~= "0" then
    errors.raisef("submit: %s cannot list its points here (--no-check submits it all the same): %s", submission.script,
      said and said:match "^%s*([^\n]*)" or "it did not start")
  end
  local count = 0
  for _ in ("\n" .. said):gmatch "\n%d+\t" do count = count + 1 end
  return count
end

local function check_points(submission)
  local points = count_points(submission, "")
  if points == 0 then
    errors.raisef("submit: %s lists no points, must be an experiment (pah.experiment)", submission.script)
  end
  local last = count_points(submission, ("--shard %d/%d"):format(submission.jobs, submission.jobs))
  if last == 0 then
    errors.raisef("submit: jobs is %d, must be fewer: the %d points are not enough for a shard each", submission.jobs,
      points)
  end
  submission.points = points
end

-- ---- Submissions ----------------------------------------------------------------------------------------------------

local function absolute(cwd, path) return path:sub(1, 1) == "/" and path or cwd .. "/" .. path end

--- A submission of `script` with the words of its command line. options: jobs, folder (default: beside, by the script's
--- name), check (false: the script is not asked for its points).
function M.new(script, words, options)
  check_words(words)
  local cwd = shell.output("pwd -P"):gsub("\n$", "")
  local name = script:match "([^/]+)$":gsub("%.lua$", "")
  if type(options.jobs) ~= "number" or options.jobs % 1 ~= 0 or options.jobs < 1 or options.jobs > MOST_JOBS then
    errors.raisef("submit: jobs is %s, must be a whole number from 1 to %d (--jobs N)", tostring(options.jobs
      or "missing"), MOST_JOBS)
  end
  local folder = absolute(cwd, options.folder or name .. "-shards"):gsub("/+$", "")
  if folder:find '[%%"\\%c]' then
    errors.raisef("submit: the folder %s has a character that Slurm takes for something else", folder)
  end
  local s = {version = 1, name = name, script = script, words = words, jobs = options.jobs, folder = folder, cwd = cwd,
    device = device_of(words), program = host.exe, script_sha256 = run_header.sha256(script), submitted = {}}
  if options.check ~= false then check_points(s) end
  return s
end

local function json_path(folder) return folder .. "/submission.json" end

--- The submission of a folder; raises if there is none.
function M.open(folder)
  local text = whole_file.read(json_path(folder))
  if not text then errors.raisef("submission: %s is no folder of pah submit: it has no submission.json", folder) end
  local s, why = json.try_decode(text, json_path(folder))
  if type(s) ~= "table" or s.version ~= 1 then
    errors.raisef("submission: %s cannot be read: %s", json_path(folder), why or "it is of another version of pah")
  end
  return s
end

--- The submission that the folder of `new` has already, whose shards are resumed, or nil. Raises if it is another one.
function M.known(new)
  if not whole_file.readable(json_path(new.folder)) then return nil end
  local old = M.open(new.folder)
  for _, field in ipairs {"script", "jobs", "device", "script_sha256", "program"} do
    if old[field] ~= new[field] then
      errors.raisef("submit: %s has another submission, whose %s is %s, not %s; name another folder (-o)", new.folder,
        field, tostring(old[field]), tostring(new[field]))
    end
  end
  if table.concat(old.words, "\0") ~= table.concat(new.words, "\0") then
    errors.raisef("submit: %s has another submission, with the words \"%s\"; name another folder (-o)", new.folder,
      table.concat(old.words, " "))
  end
  return old
end

--- Writes a file of the submission's folder, which is made if need be; returns its path.
function M.write(submission, name, text)
  local path = submission.folder .. "/" .. name
  if os.execute("mkdir -p " .. quoted(submission.folder)) ~= 0 then
    errors.raisef("submit: the folder %s cannot be made", submission.folder)
  end
  whole_file.write(path, text, "submit")
  return path
end

--- Stores the submission in its folder.
function M.save(submission) M.write(submission, "submission.json", json.encode(submission, {indent = 2}) .. "\n") end

--- The results file of a shard.
function M.shard_path(submission, index) return ("%s/shard-%d.jsonl"):format(submission.folder, index) end

return M
