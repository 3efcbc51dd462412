-- parts_spec.lua - runs that go on on another machine, and `pah results merge`: one run of several, each row once and
-- of its machine. What is shown of them: machines_spec.lua.
local axes_of = require "pah.experiment.axes"
local child = require "spec.support.child"
local files = require "spec.support.results_file"
local refused = require "spec.support.refused"
local sharded = require "spec.support.sharded"
local sweep_of = require "pah.experiment.sweep"

local axes, identities, sweep = sharded.axes, sharded.identities, sharded.sweep
local folder, new_path, formats = files.folder, files.new_path, files.formats
teardown(function() os.execute("rm -rf " .. child.quoted(folder)) end)

local function has(text, part) assert.is_truthy(text:find(part, 1, true), text) end

-- ---- Several machines -----------------------------------------------------------------------------------------------

local here = require("pah.results.header").complete{}

-- A header of the run that sweep() makes, measured on another machine.
local function header_of(machine, changes)
  local host = {}
  for key, value in pairs(here.host) do host[key] = value end
  host.name = machine
  local header = {name = "s", axes = axes, seed = 1, rounds = 1, host = host}
  for key, value in pairs(changes or {}) do header[key] = value end
  return header
end

local function shard_header(machine, index, changes)
  local header = header_of(machine, changes)
  header.shard = {index = index, count = 2, points = 8, of = 16}
  return header
end

-- Stores the first rows of a shard of sweep(), as measured on that machine.
local function begin(path, machine, index, count, changes)
  local points = sweep_of.shard_points(axes_of.points("spec", axes), axes, {index = index, count = 2}, 1)
  local store = pah.results.open(path, shard_header(machine, index, changes))
  for i = 1, count do
    local point = points[i]
    store:add{index = point.index, key = point.key, axes = {a = point.axes.a, kernel = point.axes.kernel},
      values = {v = point.axes.a}}
  end
  store:close()
  return store.run
end

describe("a shard that goes on on another machine", function()
  it("is one run in two parts, each row of its machine", function()
    for _, format in ipairs(formats) do
      local path = new_path(format)
      local id = begin(path, "elsewhere", 1, 3)
      local rows = sweep {shard = "1/2", store = path}
      assert.same({8, id}, {#rows, rows.run})
      assert.equal(8, #sweep {shard = "1/2", store = path, run = error}) -- nothing is left
      local file = pah.results.read(path)
      local run = file.runs[1]
      assert.same({1, {}, id, 2}, {#file.runs, file.notes, run.id, #run.parts})
      local machines = run.header.machines
      assert.same({"elsewhere", 3, here.host.name, 5}, {machines[1].name, machines[1].rows, machines[2].name,
        machines[2].rows})
      local count = {0, 0}
      for _, row in ipairs(run.rows) do count[row.machine] = count[row.machine] + 1 end
      assert.same({3, 5}, count)
      assert.equal(here.host.cpu, run.header.host.cpu) -- what they have in common
      assert.is_nil(run.header.host.name)
      assert.same(identities(sweep {shard = "1/2"}), identities(run.rows))
    end
  end)

  it("may do so on one of another kind, which a run that is no shard may not", function()
    local path, host = new_path "jsonl", {}
    for key, value in pairs(here.host) do host[key] = value end
    host.name, host.cpu = "elsewhere", "another processor"
    begin(path, "elsewhere", 1, 3, {host = host})
    assert.equal(8, #sweep {shard = "1/2", store = path})
    pah.results.open(new_path "jsonl", header_of("elsewhere", {host = host})):close()
    path = new_path "jsonl"
    pah.results.open(path, header_of("elsewhere", {host = host})):close()
    refused("host.cpu was another processor and is ", sweep, {store = path})
    path = new_path "jsonl"
    pah.results.open(path, header_of "elsewhere"):close() -- of the same kind it goes on, as a part
    assert.equal(16, #sweep {store = path})
    assert.equal(1, #pah.results.read(path).runs)
  end)

  it("waits for the process that still measures it, if it is told to", function()
    local path = new_path "jsonl"
    child.write(folder .. "/slow.lua", ([[
      local rows = pah.sweep{name = "w", axes = {a = {1, 2, 3, 4}}, store = %q, quiet = true, shard = "1/1",
        run = function(p) os.execute "until [ -e go ]; do sleep 0.05; done" return {v = p.a} end}
      print(#rows)]]):format(path))
    os.execute(("cd %s && PAH_DEVICE=cpu %s slow.lua >first 2>&1 &"):format(folder, require("pah.host").exe))
    while not child.contents(path) do os.execute "sleep 0.05" end
    local out, err, code = child.run(folder, "slow.lua")
    assert.equal(1, code, out)
    has(err, "is being measured by another process")
    os.execute(("cd %s && { PAH_LOCK_WAIT=300 PAH_DEVICE=cpu %s slow.lua >second 2>err; echo $? >code; } &")
      :format(folder, require("pah.host").exe))
    local function told(name, words)
      while not (child.contents(folder .. "/" .. name) or ""):find(words) do os.execute "sleep 0.05" end
    end
    told("err", "waiting for another process, which measures run ")
    os.execute("touch " .. child.quoted(folder .. "/go"))
    told("code", "\n")
    assert.equal("0\n", child.read(folder .. "/code"))
    assert.equal("4\n", child.read(folder .. "/second"))
    assert.equal("4\n", child.read(folder .. "/first"))
    local _, lines = child.read(path):gsub("\n", "")
    assert.equal(5, lines) -- a header and four rows: none was measured twice
  end)
end)

-- ---- Merging --------------------------------------------------------------------------------------------------------

-- Files of the two shards, on two machines.
local function two_shards(format)
  local a, b = new_path(format), new_path(format)
  begin(a, "node1", 1, 8)
  begin(b, "node2", 2, 8)
  return a, b
end

local function merge(words) return child.run(folder, "results merge " .. words) end

describe("pah results merge", function()
  it("makes one run of shards, each row once, whatever the order and however often a file is named", function()
    for _, format in ipairs(formats) do
      local a, b = two_shards(format)
      for i, list in ipairs {{a, b}, {b, a, b, a}} do
        local path = new_path(format)
        local merged = pah.results.merge(list, path)
        assert.same({}, merged.notes)
        assert.equal(1, #merged.runs)
        local run = merged.runs[1]
        assert.same(identities(sweep()), identities(run.rows))
        assert.is_true(run.header.merged)
        local names = {run.header.machines[1].name, run.header.machines[2].name}
        table.sort(names)
        assert.same({"node1", "node2", 2}, {names[1], names[2], #run.header.machines})
        assert.same({"s", 1}, {run.header.name, run.header.seed})
        assert.is_nil(run.header.shard)
        refused("is merged from others and cannot be resumed", sweep, {store = path})
        local again = new_path(format) -- merged once more, and copied, it is the same
        assert.same(identities(run.rows), identities(pah.results.merge({path, a}, again).runs[1].rows))
        local _, err, code = child.run(folder, ("results %s -o copy%d.jsonl"):format(path, i))
        assert.equal(0, code, err)
        local copy = pah.results.read(("%s/copy%d.jsonl"):format(folder, i)).runs
        assert.same({1, run.id}, {#copy, copy[1].id})
        assert.same(run.header, copy[1].header)
        os.remove(("%s/copy%d.jsonl"):format(folder, i))
      end
    end
  end)

  it("takes GPUs of one host for machines of their own, and all for the device cuda", function()
    local list = {}
    for i, device in ipairs {"cuda", "cuda:1"} do
      list[i] = new_path "jsonl"
      begin(list[i], "node1", i, 8, {device = device, env = {}, gpu = {name = "G", pci = ("0000:%d7:00.0"):format(i)}})
    end
    local machines = pah.results.merge(list, new_path "jsonl").runs[1].header.machines
    assert.same({"node1 0000:17:00.0", "node1 0000:27:00.0"}, {machines[1].name, machines[2].name})
    assert.same({"G", "G"}, {machines[1].kind, machines[2].kind})
    list[3] = new_path "jsonl" -- the first GPU under another number
    begin(list[3], "node1", 1, 0, {device = "cuda:3", env = {}, gpu = {name = "G", pci = "0000:17:00.0"}})
    assert.equal(2, #pah.results.merge(list, new_path "jsonl").runs[1].header.machines)
  end)

  it("says what is missing and what was measured twice", function()
    local a, b = new_path "jsonl", new_path "jsonl"
    begin(a, "node1", 1, 5)
    local merged = pah.results.merge({a}, new_path "jsonl")
    assert.same({"s: shard 1/2 has 5 of its 8 rows", "s: shard 2/2 is missing"}, merged.notes)
    begin(b, "node2", 1, 7) -- the same shard, measured anew
    merged = pah.results.merge({a, b}, new_path "jsonl")
    assert.equal("s: 5 rows were measured twice, in several runs; those of the run named first are kept",
      merged.notes[1])
    local machines = merged.runs[1].header.machines
    assert.same({7, 5, 2}, {#merged.runs[1].rows, machines[1].rows, machines[2].rows})
  end)

  it("takes the last run of every name and shard of a file", function()
    local a = new_path "jsonl"
    begin(a, "node1", 1, 2, {started = "2026-01-01T00:00:00Z"})
    begin(a, "node1", 1, 8, {started = "2026-01-02T00:00:00Z"})
    begin(a, "node2", 2, 8, {started = "2026-01-01T00:00:00Z"})
    begin(a, "node2", 2, 3, {name = "other", started = "2026-01-01T00:00:00Z"})
    local merged = pah.results.merge({a}, new_path "jsonl")
    assert.same({2, 16, 3}, {#merged.runs, #merged.runs[1].rows, #merged.runs[2].rows})
  end)

  it("refuses runs that are not of one experiment, and says what differs", function()
    local a, path = (two_shards "jsonl"), new_path "jsonl"
    for message, changes in pairs {
      ["seed is 1 and 2"] = {seed = 2}, ['options is nil and {"n":1}'] = {options = {n = 1}},
      ["the script is another one"] = {script_sha256 = ("0"):rep(64)}, ["device is cpu and sim"] = {device = "sim"},
      ["the program pah is another one"] = {pah = {version = pah.version, program_sha256 = "0"}},
      ["only the first has the axis kernel"] = {axes = {axes[1]}},
      ["axis a is [1,2,3,4,5,6,7,8] and [1]"] = {axes = {{name = "a", values = {1}}, axes[2]}},
    } do
      local b = new_path "jsonl"
      begin(b, "node2", 2, 0, changes)
      refused("are not of one experiment: ", pah.results.merge, {a, b}, path)
      refused(message, pah.results.merge, {a, b}, path)
    end
    local b = new_path "jsonl"
    local store = pah.results.open(b, shard_header("node2", 2))
    store:add{index = 1, key = "a=9 kernel=base", axes = {a = 9, kernel = "base"}}
    store:close()
    local first = new_path "jsonl"
    store = pah.results.open(first, shard_header("node1", 1))
    store:add{index = 1, axes = {a = 1, kernel = "base"}}
    store:close()
    refused("point 1 is a=1 kernel=base before and a=9 kernel=base in " .. b, pah.results.merge, {first, b}, path)
    assert.is_nil(child.contents(path))
    refused("no file is named", pah.results.merge, {}, path)
    refused("out is x, must be a file that ends in", pah.results.merge, {a}, "x")
  end)

  it("is a command, which replaces a file only if it is told to", function()
    local a, b = two_shards "jsonl"
    local _
    local out, err, code = merge(("%s %s -o all.jsonl"):format(a, b))
    assert.same({0, ""}, {code, out}, err)
    assert.is_truthy(err:find "^pah: all.jsonl: run %S+ of s, 16 rows of 2 runs; rows of 2 machines: node1 %(8%)")
    _, err, code = merge(("%s -o all.jsonl"):format(a))
    assert.equal(1, code)
    has(err, "all.jsonl is there already, must be a new file (or replace)")
    _, err, code = merge(("%s -o all.jsonl --replace"):format(a))
    assert.equal(0, code, err)
    has(err, "pah: s: shard 2/2 is missing")
    _, err, code = merge "-o all.jsonl"
    assert.equal(2, code)
    has(err, "results: merge: no file is named")
    _, err, code = merge(a)
    assert.equal(2, code)
    has(err, "merge: -o names the new file")
    _, err, code = child.run(folder, ("results %s %s"):format(a, b))
    assert.equal(2, code)
    has(err, "is one word too many")
  end)
end)
