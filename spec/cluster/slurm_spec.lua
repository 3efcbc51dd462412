-- slurm_spec.lua - `pah submit` against a real slurmctld and two slurmd: a job array with a GPU to a task, a task that
-- is killed, a node that fails, a slurmd that is lost while its task goes on; no row is lost or there twice.
local child = require "spec.support.child"
local slurm = require "spec.support.slurm"
local quoted = child.quoted

local why_not = slurm.why_not()
local folder, cluster = child.folder(), nil

child.write(folder .. "/e.lua", [[
-- e: an experiment that waits
return pah.experiment{
  name = "e", axes = {{name = "a", values = pah.range(1, 12)}, {name = "kernel", values = {"base", "new"}}},
  together = {"kernel"}, options = {ms = {"milliseconds of a point", 1}},
  run = function(p, _, opt)
    os.execute(("sleep %.3f"):format(opt.ms / 1000))
    return {v = p.a * (p.kernel == "new" and 2 or 1), gpu = os.getenv "CUDA_VISIBLE_DEVICES" or "none"}
  end,
}]])

-- Runs pah in the folder as one who submits to the cluster; returns both streams in one text, and the exit code.
local function pah_(words)
  return cluster:shell(("cd %s && PAH_DEVICE=cpu %s %s"):format(quoted(folder), quoted(require("pah.host").exe), words))
end

local function status(name)
  local text = pah_("status " .. name .. " --json")
  return require("pah.util.json").decode(text:match "^[^\n]*")
end

-- Shard -> {node=, job=} of the tasks that run.
local function running()
  local tasks = {}
  for shard, node, job in cluster:shell("squeue -h -r -t running -o '%K|%N|%A'"):gmatch "(%d+)|(%w+)|(%d+)" do
    tasks[tonumber(shard)] = {node = node, job = job}
  end
  return tasks
end

-- The processes whose words match the pattern, by their ids; the shell that looks for them does not.
local function pids(pattern)
  return child.lines(("pgrep -f -- %s"):format(quoted((pattern:gsub("^%g", "[%0]")))))
end

local function kill(list)
  for _, pid in ipairs(list) do os.execute(("kill -KILL %s 2>/dev/null"):format(pid)) end
  return #list
end

-- Ends all of a task of the first node at once, as a failure of power does: Slurm's own process, which would tell of
-- the end, the batch script and the program.
local function kill_task(job, program)
  local script = pids(("%s/n1/job0*%s/"):format(cluster.folder, job))
  assert.equal(1, #script)
  assert.equal(1, kill(child.lines("ps -o ppid= -p " .. script[1])))
  kill(script)
  assert.equal(1, kill(pids(program)))
end

local function process_of(name, shard)
  return ("pah run e.lua .*--shard %d/4 -o %s/%s/"):format(shard, folder, name)
end

describe("pah submit with Slurm", function()
  if why_not then
    it("needs a cluster", function() pending(why_not) end)
    return
  end

  setup(function() cluster = slurm.start() end)
  teardown(function()
    cluster:stop()
    os.execute("rm -rf " .. quoted(folder))
  end)

  it("loses no row when a task is killed and nodes fail, and has none twice", function()
    local out, code = pah_ "submit e.lua --rounds 2 --ms 150 --jobs 4 -o shards --gpus 1"
    assert.equal(0, code, out)
    assert.is_truthy(out:find "^job %d+: shards 1%-4 of 4, device cpu\npah status /", out)
    local tasks = cluster:wait("four tasks run", 15, function()
      local list = running()
      return list[1] and list[2] and list[3] and list[4] and list
    end)
    cluster:wait("every shard has a row", 15, function()
      local state = status "shards"
      for _, shard in ipairs(state.shards) do
        if shard.rows == 0 then return false end
      end
      return true
    end)
    out, code = pah_ "submit e.lua --rounds 2 --ms 150 --jobs 4 -o shards --gpus 1"
    assert.equal(2, code, out)
    assert.is_truthy(out:find("is still in the queue", 1, true), out)

    -- A task is killed on the second node; the first fails: of its two tasks one ends with it, the other goes on.
    local here, there = {}, nil
    for shard = 1, 4 do
      if tasks[shard].node == "n1" then here[#here + 1] = shard else there = there or shard end
    end
    assert.equal(2, #here)
    assert.equal(1, kill(pids(process_of("shards", there))))
    cluster:kill "n1"
    kill_task(tasks[here[1]].job, process_of("shards", here[1]))
    cluster:shell "scontrol update nodename=n1 state=down reason=failed"
    local state = cluster:wait("every shard is done", 40, function()
      for _, shard in ipairs(here) do -- at once, not in the two minutes that Slurm takes
        cluster:shell(("scontrol update jobid=%s starttime=now 2>/dev/null"):format(tasks[shard].job))
      end
      local now = status "shards"
      return now.complete and not next(running()) and now
    end)
    assert.same({48, 48, 0}, {state.rows, state.of, state.errors})

    for _, shard in ipairs(here) do
      local job = cluster:shell("scontrol -o show job " .. tasks[shard].job)
      assert.is_truthy(job:find("Restarts=1", 1, true), job)
    end
    local log = child.read(("%s/shards/shard-%d.log"):format(folder, there))
    assert.is_truthy(log:find(("shard %d/4: ended by signal 9, resumed"):format(there), 1, true), log)
  end)

  it("has given each task a GPU of its own, and one run comes of the shards", function()
    local out, code = pah_ "results merge shards/shard-*.jsonl -o all.jsonl"
    assert.equal(0, code, out)
    assert.is_truthy(out:find("^pah: all.jsonl: run %S+ of e, 48 rows of 4 runs; one machine, "), out)
    local run = pah.results.read(folder .. "/all.jsonl").runs[1]
    local seen, gpus = {}, {}
    for _, row in ipairs(run.rows) do
      local identity = row.index .. " " .. row.round
      assert.is_nil(seen[identity])
      seen[identity] = true
      assert.equal(row.axes.a * (row.axes.kernel == "new" and 2 or 1), row.values.v)
      gpus[row.values.gpu] = true
    end
    assert.equal(48, #run.rows)
    assert.same({["0"] = true, ["1"] = true}, gpus)
    out, code = pah_ "submit e.lua --rounds 2 --ms 150 --jobs 4 -o shards --gpus 1"
    assert.equal(0, code, out)
    assert.is_truthy(out:find "^every shard is done\npah results merge ", out)
  end)

  it("says what sbatch says, and passes its options on", function()
    local out, code = pah_ "submit e.lua --jobs 2 -o other -- --partition=none"
    assert.equal(2, code)
    assert.is_truthy(out:find("submit: sbatch failed: ", 1, true) and out:find("invalid partition", 1, true), out)
    out, code = pah_ "submit e.lua --jobs 2 -o other --share -- --partition=all --hold"
    assert.equal(0, code, out)
    local state = status "other"
    assert.same({"pending", "pending", false}, {state.shards[1].state, state.shards[2].state, state.complete})
  end)
end)
