-- shards_spec.lua - shards of a sweep: how points are dealt out, `together`, resuming, several in one file.
local axes_of = require "pah.experiment.axes"
local child = require "spec.support.child"
local files = require "spec.support.results_file"
local refused = require "spec.support.refused"
local shards = require "pah.experiment.shards"
local sharded = require "spec.support.sharded"
local sweep_of = require "pah.experiment.sweep"

local axes, identities, sweep = sharded.axes, sharded.identities, sharded.sweep
local folder, new_path, formats = files.folder, files.new_path, files.formats
teardown(function() os.execute("rm -rf " .. child.quoted(folder)) end)

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
