-- machines_spec.lua - what is shown of a run whose rows come from several machines: tables, comparisons, pictures,
-- reports tell them apart and never mix them in one interval silently. How such runs come to be: parts_spec.lua.
local child = require "spec.support.child"
local data = require "pah.plot.data"
local files = require "spec.support.results_file"
local made = require "spec.support.results"

local folder, new_path = files.folder, files.new_path
teardown(function() os.execute("rm -rf " .. child.quoted(folder)) end)

-- Lines that were folded are whole again.
local function has(text, part) assert.is_truthy(text:gsub("\n  (%S)", " %1"):find(part, 1, true), text) end

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
