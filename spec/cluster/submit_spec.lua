-- submit_spec.lua - `pah submit` and `pah status` without a cluster: the batch script that is printed, shards as
-- processes of this machine, one that is killed, and what is wrong with a command line.
local child = require "spec.support.child"
local json = require "pah.util.json"
local processes = require "pah.cluster.processes"
local slurm = require "pah.cluster.slurm"
local submissions = require "pah.cluster.submission"

local folder = child.folder()
teardown(function() os.execute("rm -rf " .. child.quoted(folder)) end)

child.write(folder .. "/e.lua", [[
-- e: an experiment that may kill itself
return pah.experiment{
  name = "e", axes = {{name = "a", values = pah.range(1, 6)}, {name = "kernel", values = {"base", "new"}}},
  together = {"kernel"}, options = {kill = {"a point whose process is killed, once", 0}},
  run = function(p, _, opt)
    if p.a == opt.kill and p.kernel == "new" and os.rename("armed", "fired") then
      os.execute "kill -KILL $PPID"
    end
    return {v = p.a, text = "it's", gpu = os.getenv "CUDA_VISIBLE_DEVICES" or "none",
      processors = io.open "/proc/self/status":read "*a":match "Cpus_allowed_list:%s*(%S+)"}
  end,
}]])
child.write(folder .. "/none.lua", "print 'no experiment'")

local function pah_(words, before) return child.run(folder, words, before) end

local function has(text, part) assert.is_truthy(text:find(part, 1, true), text) end

describe("pah submit --dry-run", function()
  it("prints the batch script and the command, and writes nothing", function()
    local out, err, code = pah_("submit e.lua --kill 0 --jobs 3 --dry-run -- --partition=gpu --mail-user='a b'",
      "PAH_DEVICE=cuda PAH_CUDA_LIMIT=\"it's\"")
    assert.equal(0, code, err)
    for _, line in ipairs {"#SBATCH --array=1-3\n", "#SBATCH --requeue\n", "#SBATCH --open-mode=append\n",
      "#SBATCH --gres=gpu:1\n", ('#SBATCH --output="%s/e-shards/shard-%%a.log"\n'):format(folder),
      "export PAH_DEVICE='cuda'\n", "export PAH_CUDA_LIMIT='it'\\''s'\n", " run 'e.lua' '--kill' '0' --shard \"$1/3\" ",
      'run_shard "$SLURM_ARRAY_TASK_ID"\n',
      ("# sbatch --parsable --partition=gpu '--mail-user=a b' %s/e-shards/job.sh\n"):format(folder)} do
      has(out, line)
    end
    assert.is_falsy(out:find("--exclusive", 1, true), out)
    assert.is_nil(child.contents(folder .. "/e-shards/submission.json"))
  end)

  it("gives a task of the cpu a node of its own, unless it is told otherwise", function()
    local out = pah_ "submit e.lua --jobs 3 --dry-run"
    has(out, "#SBATCH --exclusive\n")
    assert.is_falsy(out:find("--gres", 1, true), out)
    out = pah_ "submit e.lua --jobs=3 --dry-run --share"
    assert.is_falsy(out:find("--exclusive", 1, true), out)
    out = pah_ "submit e.lua --jobs 3 --dry-run --gpus 2"
    has(out, "#SBATCH --gres=gpu:2\n")
  end)

  it("is a script that the shell can read", function()
    for _, words in ipairs {"", "--local"} do
      local out = pah_("submit e.lua --jobs 3 --dry-run " .. words)
      child.write(folder .. "/check.sh", out)
      local said, code = child.shell("sh -n " .. folder .. "/check.sh")
      assert.equal(0, code, said)
    end
  end)

  it("names what is wrong, with code 2", function()
    local function wrong(words, message, before)
      local out, err, code = pah_("submit " .. words, before)
      assert.same({2, ""}, {code, out}, err)
      has(err, message)
    end
    wrong("", "submit: no script is named")
    wrong("x.lua --jobs 2", 'no file and no example is named "x.lua"')
    wrong("helo --jobs 2", 'did you mean "hello"?')
    wrong("e.lua", "jobs is missing, must be a whole number from 1")
    wrong("e.lua --jobs 0", "jobs is 0, must be a whole number from 1")
    wrong("e.lua --jobs x", '--jobs: "x" is not a whole number')
    wrong("e.lua --jobs 7", "jobs is 7, must be fewer: the 12 points are not enough for a shard each")
    wrong("e.lua --jobs 2 --kil 3", 'cannot list its points here (--no-check submits it all the same): e.lua: unknown')
    wrong("none.lua --jobs 2", "none.lua lists no points, must be an experiment (pah.experiment)")
    wrong("e.lua --jobs 2 --shard 1/2", "--shard: is not for tasks: the shards are dealt by --jobs")
    wrong("e.lua --jobs 2 --fresh", "--fresh: is not for tasks: name another folder (-o) to begin anew")
    wrong("e.lua --jobs 2 --local -- -p x", "options of sbatch do not go with --local")
    wrong("e.lua --jobs 2 --local --gpus 1", "--gpus does not go with --local")
    wrong("e.lua --jobs 2 -o 'a%b'", "has a character that Slurm takes for something else")
    wrong("e.lua --jobs 2", "device is cuda:1, must be cuda: each task sees its own GPUs only", "PAH_DEVICE=cuda:1")
    local _, err, code = pah_ "status"
    assert.equal(2, code)
    has(err, "status: no folder is named")
    _, err, code = pah_ "status nothing"
    assert.equal(2, code)
    has(err, "nothing is no folder of pah submit: it has no submission.json")
  end)
end)

describe("pah submit --local", function()
  it("measures the shards one after the other, resumes one that is killed, and refuses another submission", function()
    child.write(folder .. "/armed", "")
    local out, err, code = pah_ "submit e.lua --kill 4 --jobs 3 --local -o here"
    assert.equal(0, code, err)
    has(out, "12 of 12 rows, 0 errors; 3 of 3 shards are done\n")
    has(out, ("pah results merge %s/here/shard-*.jsonl -o e.db\n"):format(folder))
    for shard = 1, 3 do has(err, ("pah: shard %d/3: done"):format(shard)) end
    local logs = child.shell("cat " .. folder .. "/here/*.log")
    has(logs, ": ended by signal 9, resumed")
    local rows = 0
    for shard = 1, 3 do
      local run = pah.results.read(("%s/here/shard-%d.jsonl"):format(folder, shard)).runs[1]
      assert.same({index = shard, count = 3, points = 4, of = 12, together = {"kernel"}}, run.header.shard)
      rows = rows + #run.rows
    end
    assert.equal(12, rows)
    out, err, code = pah_ "submit e.lua --kill 4 --jobs 3 --local -o here"
    assert.equal(0, code, err)
    has(out, "every shard is done\n")
    local _
    for words, why in pairs {["--kill 4 --jobs 2"] = "whose jobs is 3, not 2",
      ["--kill 5 --jobs 3"] = 'with the words "--kill 4"'} do
      _, err, code = pah_("submit e.lua --local -o here " .. words)
      assert.equal(2, code)
      has(err, "here has another submission, " .. why)
    end
  end)

  it("shows how far it is, and goes on with what is missing", function()
    local path = folder .. "/here/shard-2.jsonl"
    local lines = {}
    for line in child.read(path):gmatch "[^\n]+" do lines[#lines + 1] = line end
    child.write(path, table.concat(lines, "\n", 1, 3) .. "\n") -- the header and two rows
    os.remove(folder .. "/here/shard-3.jsonl")
    local out, _, code = pah_ "status here"
    assert.equal(1, code)
    has(out, "    2     2   4       0  stopped  ")
    has(out, "    3     0   ?       0  waiting\n")
    has(out, "6 of 12 rows, 0 errors; 1 of 3 shards are done\n")
    local state = json.decode((pah_ "status here/ --json"))
    assert.same({6, 12, 1, false}, {state.rows, state.of, state.done, state.complete})
    local err
    out, err, code = pah_ "submit e.lua --kill 4 --jobs 3 --local -o here"
    assert.equal(0, code, err)
    has(out, "12 of 12 rows")
    assert.is_falsy(err:find("shard 1/3", 1, true), err)
    _, _, code = pah_ "status here"
    assert.equal(0, code)
  end)

  it("gives each GPU a process with processors of its own", function()
    local cuda, list = {device = "cuda"}, {1, 2, 3, 4, 5}
    local function workers(gpus, cpus)
      local texts = {}
      for i, w in ipairs(processes.workers(cuda, list, gpus, cpus)) do
        texts[i] = ("%s: %s on %s"):format(w.gpu or "none", table.concat(w.shards, " "), w.processors)
      end
      return texts
    end
    assert.same({"0: 1 3 5 on 0,1,2,3", "1: 2 4 on 4,5,6,7"}, workers({"0", "1"}, {0, 1, 2, 3, 4, 5, 6, 7}))
    assert.same({"2: 1 4 on 0", "3: 2 5 on 4", "5: 3 on 5,9"}, workers({"2", "3", "5"}, {0, 4, 5, 9}))
    assert.same({"0: 1 3 5 on 0", "1: 2 4 on 1"}, workers({"0", "1", "2"}, {0, 1}))
    assert.same({"none: 1 2 3 4 5 on 0,1"}, workers({}, {0, 1}))
    assert.same({{shards = list}}, processes.workers({device = "cpu"}, list, {"0"}, {0, 1}))
  end)
end)

describe("the script of pah submit --local on two GPUs", function()
  it("runs a process on each at the same time, with processors of its own, and fails if one does", function()
    local gpus = submissions.gpus
    submissions.gpus = function() return {"5", "7"} end
    local s = {script = "e.lua", words = {}, jobs = 4, folder = folder .. "/two", cwd = folder, device = "cuda"}
    local text = processes.script(s, {1, 2, 3, 4})
    s.words = {"--kill", "x"}
    local failing = processes.script(s, {1, 2})
    submissions.gpus = gpus
    if select(2, text:gsub("taskset", "")) < 2 then return pending "there is one processor" end
    local function run(script) -- there is no GPU, so on the cpu
      local path = submissions.write(s, "local.sh", (script:gsub("PAH_DEVICE='cuda'", "PAH_DEVICE=cpu")))
      return child.shell("sh " .. path)
    end
    local out, code = run(text)
    assert.equal(0, code, out)
    local seen = {}
    for shard = 1, 4 do
      local rows = pah.results.read(("%s/two/shard-%d.jsonl"):format(folder, shard)).runs[1].rows
      local v = rows[1].values
      seen[shard] = v.gpu
      seen[v.gpu] = seen[v.gpu] or v.processors
      for _, row in ipairs(rows) do assert.same({v.gpu, seen[v.gpu]}, {row.values.gpu, row.values.processors}) end
    end
    assert.same({"5", "7", "5", "7"}, {seen[1], seen[2], seen[3], seen[4]})
    assert.are_not.equal(seen["5"], seen["7"])
    out, code = run(failing)
    assert.equal(1, code)
    has(out, "pah: shard 1/4: failed, see shard-1.log")
    has(child.read(folder .. "/two/shard-2.log"), '--kill: "x" is not a whole number')
  end)
end)

describe("ranges of shards", function()
  it("are as sbatch takes them", function()
    assert.equal("1-4", slurm.ranges{1, 2, 3, 4})
    assert.equal("1,3,7-9", slurm.ranges{1, 3, 7, 8, 9})
    assert.equal("5", slurm.ranges{5})
  end)
end)
