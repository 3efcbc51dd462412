-- namespace_spec.lua - names of a script's axes and values that pah has for its own columns, or that are both: every
-- output tells them apart by one rule, axes.NAME and values.NAME. Rows: spec/support/results.lua.
local child = require "spec.support.child"
local columns = require "pah.util.columns"
local data = require "pah.plot.data"
local plot = require "pah.plot"
local report_table = require "pah.report.table"
local results = require "spec.support.results"
local results_table = require "pah.results.table"
local schema = require "pah.results.schema"

local folder = child.folder()
teardown(function() os.execute("rm -r " .. folder) end)

-- A run whose axes and values are called so.
local function run_with(axes, values)
  local list = {}
  for i, name in ipairs(axes) do list[i] = {name = name, values = i == 1 and {1, 2, 4} or {1}} end
  return results.run({axes = list}, function(_, index)
    local row = {result = results.result("decode", 1e6, 1e6, 0.5, index), values = {}}
    for _, name in ipairs(values) do row.values[name] = 100 + index end
    return row
  end)
end

local function save(run)
  local path = folder .. "/" .. run.id .. ".jsonl"
  local store = pah.results.open(path, run.header)
  for _, row in ipairs(run.rows) do store:add(row) end
  store:close()
  return path
end

local function csv_of(run)
  local out, err, code = child.run(folder, "results --format csv " .. save(run))
  os.remove(folder .. "/" .. run.id .. ".jsonl")
  assert.equal(0, code, err)
  local lines = {}
  for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
  local heads = {}
  for head in (lines[1] .. ","):gmatch "(.-)," do heads[#heads + 1] = head end
  return heads, lines
end

local function html_heads(run)
  local heads = {}
  for head in report_table.of(run):gmatch '<th scope="col"[^>]*>(.-)</th>' do
    heads[#heads + 1] = head:gsub(" <small>.*", "")
  end
  return heads
end

local function all_differ(heads, what)
  local seen = {}
  for _, head in ipairs(heads) do
    assert.is_nil(seen[head], ("%s: %s stands twice"):format(what, head))
    seen[head] = true
  end
  return seen
end

describe("a name that is pah's too", function()
  it("is axes.NAME or values.NAME in every output, others are as they are", function()
    local run = run_with({"median", "n", "run", "size"}, {"low", "fraction", "GB/s", "max_abs"})
    local heads, lines = csv_of(run)
    local seen = all_differ(heads, "csv")
    for _, name in ipairs {"axes.median", "axes.n", "axes.run", "size", "values.low", "values.fraction", "values.GB/s",
      "max_abs", "median", "low", "n", "run"} do
      assert.is_true(seen[name], name)
    end
    local _, commas = lines[2]:gsub(",", "")
    assert.equal(#heads - 1, commas)
    seen = all_differ(results_table.cells(run.rows, run.header.axes)[1], "table")
    assert.is_true(seen["axes.median"] and seen.size and seen["values.GB/s"] and seen.max_abs)
    assert.is_truthy(columns.markdown(results_table.cells(run.rows, run.header.axes)):find("| axes.median |", 1, true))
    seen = all_differ(html_heads(run), "report")
    assert.is_true(seen["axes.median"] and seen.median and seen["values.fraction"] and seen.max_abs)
  end)

  it("of an axis that is also a value's is told apart too", function()
    local run = run_with({"size"}, {"size", "axes.size"})
    for what, heads in pairs {csv = csv_of(run), table = results_table.cells(run.rows, run.header.axes)[1],
      report = html_heads(run)} do
      local seen = all_differ(heads, what)
      assert.is_true(seen["axes.size"] and seen["values.size"] and seen["values.axes.size"], what)
    end
  end)

  it("is found by pictures under that name", function()
    local run = run_with({"size"}, {"low", "max_abs"})
    local names = data.metrics{run}
    assert.is_true(names["values.low"] and names.low and names.max_abs)
    assert.equal(101, (data.value(run.rows[1], "values.low")))
    assert.is_true((data.value(run.rows[1], "low")) < 1)
    local two = {run_with({"run"}, {}), run_with({"run"}, {})}
    two[2].header.name = "another"
    local picture = plot.picture{two, kind = "curve"}
    assert.equal("axes.run", picture.x.label)
    assert.equal(2, #picture.series)
  end)

  it("is known of every column that pah has", function()
    local counted, failed = results.counted(), results.run(nil, function() return {error = "no"} end)
    local run = results.run(nil, nil, 2)
    run.rows[1].result.notes = {"a note"}
    counted.header.limits = nil
    local mine = {block_size = true, dtype = true, max_abs = true, splits = true, block_size_seen = true}
    local function check(heads, what)
      for _, head in ipairs(heads) do
        assert.is_true(mine[head] or schema.column("values", head) == "values." .. head, what .. ": " .. head)
      end
    end
    for what, this in pairs {timed = run, counted = counted, failed = failed} do
      check(csv_of(this), "csv of " .. what)
      check(results_table.cells(this.rows, this.header.axes)[1], "table of " .. what)
      check(html_heads(this), "report of " .. what)
    end
  end)
end)
