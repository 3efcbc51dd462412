-- parts_spec.lua - shards of a sweep, runs that go on on another machine, `pah results merge`, and what of several
-- machines is shown: tables, comparisons, pictures, reports.
local axes_of = require "pah.experiment.axes"
local child = require "spec.support.child"
local data = require "pah.plot.data"
local files = require "spec.support.results_file"
local made = require "spec.support.results"
local refused = require "spec.support.refused"
local shards = require "pah.experiment.shards"
local sweep_of = require "pah.experiment.sweep"

local folder, new_path, formats = files.folder, files.new_path, files.formats
teardown(function() os.execute("rm -rf " .. child.quoted(folder)) end)

local function has(text, part) assert.is_truthy(text:find(part, 1, true), text) end

local axes = {{name = "a", values = pah.range(1, 8)}, {name = "kernel", values = {"base", "new"}}}

local function sweep(options)
  local o = {name = "s", axes = axes, quiet = true, run = function(p) return {v = p.a} end}
  for key, value in pairs(options or {}) do o[key] = value end
  return pah.sweep(o)
end

-- What must be the same for two rows of one point and round.
local function identities(rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = ("%d %d %s"):format(row.index, row.round, row.key) end
  table.sort(list)
  return list
end

-- ---- Shards ---------------------------------------------------------------------------------------------------------

describe("shards", function()
  local points = axes_of.points("spec", axes)

  local function deal(count, together, seed, of)
    local list = {}
    for i = 1, count do
      list[i] = sweep_of.shard_points(of or points, axes, {index = i, count = count, together = together}, seed or 1)
    end
    return list
  end

  it("have every point once, as many each as can be", function()
    for count = 1, 20 do
      local seen, total, least, most = {}, 0, math.huge, 0
      for _, shard in ipairs(deal(count)) do
        least, most = math.min(least, #shard), math.max(most, #shard)
        for _, point in ipairs(shard) do
          assert.is_nil(seen[point.index])
          seen[point.index], total = true, total + 1
        end
      end
      assert.equal(16, total)
      assert.is_true(most - least <= 1)
    end
  end)

  it("are dealt anew by another seed, and alike by the same", function()
    assert.same(deal(3, nil, 5), deal(3, nil, 5))
    assert.are_not.same(identities{}, deal(3, nil, 5)[1])
    local function keys(shard)
      local list = {}
      for i, point in ipairs(shard) do list[i] = point.key end
      return list
    end
    assert.are_not.same(keys(deal(3, nil, 5)[1]), keys(deal(3, nil, 6)[1]))
  end)

  it("are fair samples of the grid: no shard has one end of an axis", function()
    local many = {{name = "n", values = pah.range(1, 1000)}}
    local list = axes_of.points("spec", many)
    for i = 1, 4 do
      local sum, shard = 0, sweep_of.shard_points(list, many, {index = i, count = 4}, 1)
      for _, point in ipairs(shard) do sum = sum + point.axes.n end
      assert.equal(250, #shard)
      assert.is_true(math.abs(sum / 250 - 500.5) < 60, sum / 250) -- 3.3 standard errors
    end
  end)

  it("keep together what differs in axes of `together` alone", function()
    for count = 1, 8 do
      for _, shard in ipairs(deal(count, {"kernel"})) do
        local per = {}
        for _, point in ipairs(shard) do per[point.axes.a] = (per[point.axes.a] or 0) + 1 end
        for _, n in pairs(per) do assert.equal(2, n) end
      end
    end
    -- Groups that `where` makes unequal: no shard has more than the largest group above another.
    local uneven = axes_of.points("spec", axes, function(p) return p.a <= 3 or p.kernel == "new" end)
    local sizes = {}
    for i, shard in ipairs(deal(3, {"kernel"}, 1, uneven)) do sizes[i] = #shard end
    assert.equal(11, sizes[1] + sizes[2] + sizes[3])
    assert.is_true(math.max(unpack(sizes)) - math.min(unpack(sizes)) <= 2)
  end)

  it("are named I/N", function()
    assert.same({2, 8}, {shards.parse "2/8"})
    for _, text in ipairs {"0/2", "3/2", "a/2", "1", "1/2/3", "-1/2", "1.5/2", "1/0"} do
      assert.is_nil((shards.parse(text)), text)
    end
    refused('shard: "3/2" is no I/N with I from 1 to N', sweep, {shard = "3/2"})
    refused('together names kernl, must be axes, did you mean "kernel"?', sweep, {together = {"kernl"}})
  end)

  it("measure their part of the rounds, resume it, and several may write one file", function()
    for _, format in ipairs(formats) do
      local path, all = new_path(format), {}
      for i = 1, 3 do
        local log, left = {}, 4
        local o = {shard = i .. "/3", store = path, rounds = 2, together = {"kernel"}, on_error = "stop",
          run = function(p)
            left = left - 1
            if left < 0 then error "stop" end
            log[#log + 1] = p.a
            return {v = p.a}
          end}
        refused("stop", sweep, o)
        left = 1000
        local rows = sweep(o)
        assert.equal(1, rows.failed)
        assert.equal(#rows - 1, #log)
        assert.equal(i, rows.header.shard.index)
        for _, row in ipairs(rows) do all[#all + 1] = row end
      end
      assert.same(identities(sweep {rounds = 2}), identities(all))
      assert.equal(3, #pah.results.read(path).runs)
      refused('shard was {"count":3', sweep, {shard = "1/3", store = path, rounds = 2})
      assert.equal(16, #sweep {store = path}) -- without a shard it is another run
    end
  end)

  it("may be empty", function()
    local rows = sweep {shard = "17/17", store = new_path "jsonl"}
    assert.same({0, 0}, {#rows, rows.failed})
  end)
end)

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
    os.execute(("cd %s && { sleep 3; touch go; } &"):format(folder))
    out, err, code = child.run(folder, "slow.lua", "PAH_LOCK_WAIT=30")
    assert.equal(0, code, err)
    assert.equal("4\n", out)
    has(err, "waiting for another process, which measures run ")
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

-- ---- What is shown --------------------------------------------------------------------------------------------------

-- Fills a file with parts of one run: machines = {{name=, kind=, indices=, rounds=, factor=}, ...}.
local function parts_file(path, machines)
  local run = made.run({axes = {{name = "block_size", values = {8, 16, 32, 64}}}}, nil, 3)
  for i, m in ipairs(machines) do
    local host = made.header().host
    host.name, host.cpu, host.load = m.name, m.kind or host.cpu, m.load
    local header = {name = "d", axes = run.header.axes, host = host, device = "cpu", env = {}, seed = 1,
      pah = {version = "1"}, run = ("20261125T204005-0000000%d"):format(i), part_of = "20261125T204005-0000000f",
      started = "2026-11-25T20:40:05Z", limits = made.header().limits}
    local store = pah.results.open(path, header)
    for _, row in ipairs(run.rows) do
      local mine = false
      for _, index in ipairs(m.indices) do mine = mine or index == row.index end
      for _, round in ipairs(m.rounds or {1, 2, 3}) do
        if mine and round == row.round then
          store:add{index = row.index, round = round, axes = row.axes, result = made.result("decode", 2 ^ 24, 2 ^ 25,
            0.5 / (m.factor or 1), 10 * round + row.index)}
        end
      end
    end
    store:close()
  end
  return path
end

local function alike(path, factor, swapped)
  return parts_file(path, {{name = swapped and "node2" or "node1", indices = {1, 2}, factor = factor},
    {name = swapped and "node1" or "node2", indices = {3, 4}, factor = factor}})
end

describe("rows of several machines", function()
  it("are told apart by pah results", function()
    local path = parts_file(new_path "jsonl", {{name = "node1", indices = {1, 2, 3}, rounds = {1}},
      {name = "node2", indices = {3, 4}, rounds = {2, 3}}})
    local out = child.run(folder, "results " .. path)
    has(out, "d, run 20261125T204005-0000000f: rows of 2 machines: node1 (3), node2 (4); pah 1")
    local _, lines = out:gsub("\n *32 [^\n]* node[12]", "")
    assert.equal(2, lines, out) -- the point that both measured is a line for each
    out = child.run(folder, ("results %s --format csv"):format(path))
    has(out, "run,name,machine,device,")
    local _, count = out:gsub("\n20261125T204005%-0000000f,d,node1,cpu,", "")
    assert.equal(3, count)
  end)

  it("are compared machine by machine, and it is said where that cannot be", function()
    local a, b = alike(new_path "jsonl"), alike(new_path "jsonl", 1.5)
    local out, err, code = child.run(folder, ("compare %s %s"):format(a, b))
    assert.equal(1, code, err)
    has(out, "A has rows of 2 machines: node1 (6), node2 (6)")
    has(out, "\n2 on node1 ")
    has(out, "\n2 on node2 ")
    assert.is_falsy(out:find("different machines", 1, true), out)
    assert.is_falsy(out:find("host.name", 1, true), out)
    out = child.run(folder, ("compare %s %s"):format(a, alike(new_path "jsonl", 1, true)))
    has(out, "A and B measured on different machines (4): block_size=8; ")
    has(out, "\n2 on node1 / node2 ")
    -- Rounds of one point on two machines count as two runs: their difference widens the interval, and it is said.
    local mixed = parts_file(new_path "jsonl", {{name = "node1", indices = {1}, rounds = {1, 2}},
      {name = "node2", indices = {1}, rounds = {3}, factor = 1.5}})
    local whole = parts_file(new_path "jsonl", {{name = "node1", indices = {1}}, {name = "node2", indices = {2}}})
    local c = pah.compare(whole, mixed)
    has(tostring(c), "rounds of several machines, whose differences are in the interval (1): block_size=8")
    assert.is_true(c.points[1].high / c.points[1].low > 1.2, tostring(c))
    assert.is_true(c.points[1].verdict == "undecided")
  end)

  it("are noted in pictures, kinds of machines apart", function()
    local runs = data.runs(alike(new_path "jsonl"), "spec")
    local picture = require("pah.plot").picture{runs}
    has(table.concat(picture.notes, "\n"), "rows of 2 machines: node1 (6), node2 (6)")
    assert.equal(1, #picture.series)
    picture = require("pah.plot").picture{runs, by = "machine"}
    assert.same({"node1", "node2"}, {picture.series[1].name, picture.series[2].name})
    runs = data.runs(parts_file(new_path "jsonl", {{name = "node1", indices = {1, 2, 3, 4}, rounds = {1, 2}},
      {name = "node2", kind = "B processor", indices = {1, 2, 3, 4}, rounds = {3}, factor = 2}}), "spec")
    picture = require("pah.plot").picture{runs}
    assert.equal(2, #picture.series)
    assert.same({4, 4}, {#picture.series[1].points, #picture.series[2].points})
    has(picture.series[1].name .. picture.series[2].name, "B processor")
    has(table.concat(picture.notes, "\n"), "4 points were measured on more than one, drawn once for each")
    local points = data.points(runs, "median")
    assert.equal(8, #points)
    for _, point in ipairs(points) do assert.is_true(point.high / point.low < 1.5) end
    picture = require("pah.plot").picture{runs, kind = "roofline"}
    has(table.concat(picture.notes, "\n"), "limits of the fastest machine")
  end)

  it("have their machines in a report, and a doubt where they are mixed", function()
    local path = parts_file(new_path "jsonl", {{name = "node<1>", indices = {1, 2}, load = 1.9},
      {name = "node2", kind = "B processor", indices = {2, 3, 4}, rounds = {3}},
      {name = "node3", indices = {3}, rounds = {2}}})
    local runs, notes = data.runs(path, "spec")
    local page = require("pah.report").page(runs, nil, notes)
    has(page, "rows of 3 machines: node&lt;1&gt; (6), node2 (2), node3 (1)")
    has(page, "<summary>Machine node&lt;1&gt;</summary>")
    has(page, "<dt>processor</dt><dd>B processor</dd>")
    has(page, "The machines are of 2 kinds, whose times are not alike")
    has(page, "1 point has rounds of more than one machine")
    has(page, "Node&lt;1&gt; was busy when the run began: load 1.90 on 2 threads")
    has(page, "<th scope=\"col\">machine</th>")
    has(page, "1 rows of run 20261125T204005-0000000f stand in two of its parts; the first are taken")
  end)
end)
