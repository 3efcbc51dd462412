-- plot_extremes_spec.lua - pictures of results that do not fit together or cannot be drawn: experiments with different
-- axes in one file, numbers that are infinite, NaN or at the ends of their range, in any place.
local child = require "spec.support.child"
local choice = require "pah.plot.choice"
local pah_results = require "pah.results"
local plot = require "pah.plot"
local results = require "spec.support.results"
local terminal = require "pah.plot.terminal"

local kinds = {"curve", "heat", "roofline", "bars", "samples"}

-- Points that a picture shows.
local function drawn(picture)
  local n = picture.bars and #picture.bars or 0
  for _, series in ipairs(picture.series) do n = n + #series.points end
  for _, row in pairs(picture.heat and picture.heat.cells or {}) do
    for _ in pairs(row) do n = n + 1 end
  end
  return n
end

-- Draws every kind of picture, that of no kind too: something is drawn, or plot says why not.
local function draw_all(source, what)
  local pictures = 0
  for i = 0, #kinds do
    local ok, picture = pcall(plot.picture, {source, kind = kinds[i]})
    if ok then
      assert.is_true(drawn(picture) > 0, what)
      assert.is_true(#terminal.draw(picture, {width = 80, colour = false}) > 100, what)
      pictures = pictures + 1
    else
      assert.is_truthy(tostring(picture):find "plot: ", what .. ": " .. tostring(picture))
      assert.is_nil(tostring(picture):find("lua/pah/", 1, true), what .. ": " .. tostring(picture))
    end
  end
  return pictures
end

local other = results.run{name = "another", run = "20261125T204006-1a2b3c4e",
  axes = {{name = "seqlen", values = {1024, 2048, 4096, 8192, 16384, 32768}}, {name = "mode", values = {"x", "y"}}}}
local third = results.run{name = "third", run = "20261125T204006-1a2b3c4f",
  axes = {{name = "seqlen", values = {1024, 2048}}, {name = "heads", values = {1, 2, 4}}}}

describe("a picture of several experiments", function()
  it("shows the points that have its axes, and says how many have not", function()
    local plan = choice.choose({results.run(), other}, {})
    assert.same({"curve", "seqlen", 12}, {plan.kind, plan.x.name, #plan.points})
    assert.same({"10 points without seqlen not shown"}, plan.fixed)
    for _, point in ipairs(plan.points) do assert.is_truthy(point.axes.seqlen) end
    plan = choice.choose({results.run(), other}, {x = "block_size"})
    assert.same({"block_size", 10}, {plan.x.name, #plan.points})
  end)

  it("keeps runs that have not an axis that others hold fixed", function()
    local plan = choice.choose({other, third}, {x = "seqlen", by = {"run"}})
    assert.same({"mode x (of x, y)", "heads 1 (of 1, 2, 4)"}, plan.fixed)
    local runs = {}
    for _, point in ipairs(plan.points) do runs[point.axes.run] = (runs[point.axes.run] or 0) + 1 end
    assert.same({another = 6, third = 2}, runs)
  end)

  it("is a heat map over axes of one point, or says that there is none", function()
    local plan = choice.choose({results.run(), other}, {kind = "heat"})
    assert.same({"seqlen", "mode"}, {plan.x.name, plan.y.name})
    local ok, why = pcall(choice.choose, {results.run(), other}, {kind = "heat", x = "block_size", y = "mode"})
    assert.is_false(ok)
    assert.is_truthy(tostring(why):find("no point has both axes, block_size and mode", 1, true), tostring(why))
  end)

  it("is one of every kind", function()
    assert.equal(6, draw_all({results.run(), other, third}, "three experiments"))
    assert.equal(6, draw_all({other, third}, "two experiments"))
  end)

  it("is drawn from a file by the command", function()
    local folder = child.folder()
    for _, run in ipairs {results.run(), other} do
      local store = pah_results.open(folder .. "/r.jsonl", run.header)
      for _, row in ipairs(run.rows) do store:add(row) end
      store:close()
    end
    local out, err, code = child.run(folder, "plot r.jsonl#all", "timeout 60")
    os.execute("rm -r " .. folder)
    assert.equal(0, code, err)
    assert.is_truthy(out:find "Bandwidth by seqlen.*10 points without seqlen not shown.*●", out)
  end)
end)

describe("a number that cannot be drawn", function()
  local fields = {"median", "low", "high", "flops", "bytes", "bytes_per_second", "fraction"}

  for _, bad in ipairs {1 / 0, -1 / 0, 0 / 0, 1e308, 5e-324, 0, -1} do
    it(("(%g) leaves the others to be seen, whatever field has it"):format(bad), function()
      for _, field in ipairs(fields) do
        local run = results.run()
        run.rows[3].result[field] = bad
        assert.is_true(draw_all({run}, field) >= 5, field)
      end
      local run = results.run()
      run.rows[1].result.samples[2] = bad
      assert.equal(6, draw_all({run}, "a sample"))
      run = results.run()
      run.header.limits.read_bytes_per_second = bad
      assert.equal(6, draw_all({run}, "a limit"))
      run = results.run{axes = {{name = "block_size", values = {8, bad, 32}}, {name = "dtype", values = {"f32"}}}}
      assert.is_true(draw_all({run}, "an axis") >= 4)
      run = results.run{axes = {}}
      local r = run.rows[1].result
      for i = 3, #r.samples do r.samples[i] = bad end
      r.low, r.high = bad, bad
      assert.is_true(draw_all({run}, "nearly all") >= 2)
    end)
  end

  it("is counted among the samples", function()
    local run = results.run{axes = {}}
    run.rows[1].result.samples[2], run.rows[1].result.samples[5] = 1 / 0, 0 / 0
    local picture = plot.picture{run, kind = "samples"}
    assert.equal(28, #picture.series[1].points)
    assert.is_truthy(table.concat(picture.notes, "; "):find("2 samples that are no numbers to draw are not shown", 1,
      true))
  end)
end)
