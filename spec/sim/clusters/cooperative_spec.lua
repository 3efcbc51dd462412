-- cooperative_spec.lua - cooperative launches on sim: all thread blocks are alive together, so that barriers of the
-- grid work, those of cooperative_groups and those made by hand; what lacks one is found in every schedule.
local describe = require("spec.support.gpu.sim").needed(describe, pending)
local refused = require "spec.support.refused"
local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

describe("a cooperative launch on sim", function()
  local sim = pah.device "sim"
  local mod
  setup(function() mod = sim:compile{source = "spec/kernels/clusters/cooperative.cu"} end)

  local function zeros(n) return pah.zeros({n}, {dtype = "i32", device = sim}) end
  local function launch(name, options, s, ...)
    local o = {grid = 6, block = 64, cooperative = true, on_finding = "report", schedule = s[1], seed = s[2]}
    for k, v in pairs(options) do o[k] = v end
    return mod:launch(name, o, ...)
  end
  local function codes(report)
    local list = {}
    for i, f in ipairs(report.findings) do list[i] = f.code end
    return table.concat(list, " ")
  end

  it("has a barrier of the grid; without it a race is found", function()
    local x = pah.arange(1000, {dtype = "i32", device = sim})
    for _, s in ipairs(schedules) do
      local sum = zeros(1)
      local report = launch("total<0>", {}, s, x, 1000, zeros(6), sum)
      assert.equal("", codes(report), report:text())
      assert.equal(1499500, sum:get(1))
      report = launch("total<1>", {}, s, x, 1000, zeros(6), zeros(1))
      assert.is_truthy(codes(report):find "race", s[1] .. ": " .. report:text())
    end
  end)

  it("goes on step by step, in halves of the barrier", function()
    for _, s in ipairs(schedules) do
      local a, b = pah.arange(384, {dtype = "i32", device = sim}), zeros(384)
      local report = launch("steps<0>", {}, s, a, b, 6)
      assert.equal("", codes(report), report:text())
      for i = 0, 383 do assert.equal((i + 6) % 384 + 6, a:get(i + 1)) end
      report = launch("steps<1>", {}, s, a, b, 2)
      assert.is_truthy(codes(report):find "race", s[1] .. ": " .. report:text())
    end
  end)

  it("lets barriers made by hand work, which wait for ever in any other launch", function()
    for _, s in ipairs(schedules) do
      local x, out = zeros(384), zeros(384)
      local report = launch("by_hand<0>", {}, s, x, zeros(1), out)
      assert.equal("", codes(report), report:text())
      for i = 0, 383 do assert.equal((math.floor(i / 64) + 1) % 6 + 1, out:get(i + 1)) end
      report = launch("by_hand<1>", {}, s, x, zeros(1), out)
      assert.is_truthy(codes(report):find "race", s[1] .. ": " .. report:text())
    end
    local alone = {cooperative = false, grid = 2}
    assert.equal("livelock", codes(launch("by_hand<0>", alone, {"order"}, zeros(384), zeros(1), zeros(384))))
  end)

  it("tells of threads that end, of who waits where, and of a launch that is not cooperative", function()
    for _, s in ipairs(schedules) do
      assert.equal("barrier-exited", codes(launch("some_end", {}, s, zeros(6))))
      assert.equal("cluster-barrier", codes(launch("stuck", {}, s, zeros(6))))
      assert.equal("grid-sync", codes(launch("some_end", {cooperative = false}, s, zeros(6))))
      local report = launch("several", {}, s, zeros(6))
      assert.equal("unsupported", codes(report))
      assert.is_truthy(report:text():find("multi_grid", 1, true), report:text())
    end
  end)

  it("must fit on the chip", function()
    refused("grid: has 3457 thread blocks, must have at most 3456 in a cooperative launch: 32 of 64 threads fit on a "
      .. "multiprocessor, sm_80 has 108", launch, "some_end", {grid = 3457}, {"order"}, zeros(1))
    refused("at most 216", launch, "some_end", {grid = 217, block = 1024}, {"order"}, zeros(1))
    refused("cooperative: is a number, must be true or false", launch, "some_end", {cooperative = 1}, {"order"},
      zeros(1))
    local report = launch("some_end", {grid = 108, block = 4}, {"order"}, zeros(108))
    assert.equal("barrier-exited", codes(report))
  end)

  it("has tiles of several warps, in any launch", function()
    local x = pah.arange(256, {dtype = "i32", device = sim})
    local options = {grid = 1, block = 256, cooperative = false}
    for _, s in ipairs(schedules) do
      local out = zeros(1024)
      local report = launch("tiles<0>", options, s, x, out)
      assert.equal("", codes(report), report:text())
      for i = 0, 255 do
        local large, small = math.floor(i / 128), math.floor(i / 64)
        assert.equal(large * 128 * 128 + 8128 + 100000 * large, out:get(i + 1))
        local n = i % 64 + 1
        assert.equal((small * 64 * n + n * (n - 1) / 2) * 1000 + i % 128, out:get(257 + i))
        assert.equal(small * 64 + 63 + 1000 * large + (small > 0 and 10000 or 0), out:get(513 + i))
        assert.equal(large * 128 + 127 - i % 128 + 128 + i % 64, out:get(769 + i))
      end
      assert.is_truthy(codes(launch("tiles<1>", options, s, x, out)):find "race", s[1])
      report = launch("some_end_in_a_tile", {grid = 1, cooperative = false}, s, out)
      assert.is_truthy(codes(report):find "barrier%-exited", report:text())
    end
  end)
end)
