-- cluster_spec.lua - clusters of thread blocks on sim: where everybody is, shared memory of the others, the barrier; a
-- kernel with each mistake is found in every schedule, its twin without it is right and not accused. What is
-- asynchronous between thread blocks is in async_spec.lua.
local describe = require("spec.support.gpu.sim").needed(describe, pending)
local refused = require "spec.support.refused"
local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

describe("a cluster on sim", function()
  local hopper = pah.device "sim:sm_90a"
  local mod
  setup(function() mod = hopper:compile{source = "spec/kernels/clusters/cluster.cu"} end)

  local function zeros(n) return pah.zeros({n}, {dtype = "i32", device = hopper}) end

  -- Launches with a list of findings' codes, "code code", each once and sorted.
  local function codes(name, options, schedule, ...)
    local o = {block = 64, on_finding = "report", schedule = schedule[1], seed = schedule[2]}
    for k, v in pairs(options) do o[k] = v end
    local report, seen, list = mod:launch(name, o, ...), {}, {}
    for _, f in ipairs(report.findings) do
      if not seen[f.code] then list[#list + 1] = f.code end
      seen[f.code] = true
    end
    table.sort(list)
    return table.concat(list, " "), report
  end

  it("says where everybody is, by functions and by registers", function()
    local out = zeros(8 * 12)
    mod:launch("places", {grid = {4, 2}, block = 64, cluster = {2, 2}}, out)
    for y = 0, 1 do
      for x = 0, 3 do
        local row, at = {}, (y * 4 + x) * 12
        for i = 1, 12 do row[i] = out:get(at + i) end
        local rank = x % 2 + 2 * y
        assert.same({rank, x % 2, y, 4, rank * 64 + 3, 256, math.floor(x / 2), 0, 2, 2, rank, 4}, row)
      end
    end
  end)

  it("has one thread block where the launch asks for none", function()
    local out = zeros(12)
    mod:launch("places", {block = 64}, out)
    assert.same({0, 0, 0, 1, 3, 64, 0, 0, 1, 1, 0, 1}, out:totable())
  end)

  it("counts in the shared memory of all its thread blocks; what lacks a barrier is found", function()
    local values, expected = {}, {}
    for i = 1, 128 do expected[i] = 0 end
    for i = 1, 1000 do
      values[i] = i * i * 7 % 997
      expected[values[i] % 128 + 1] = expected[values[i] % 128 + 1] + 1
    end
    local x = pah.tensor(values, {dtype = "i32", device = hopper})
    for _, s in ipairs(schedules) do
      local bins, options = zeros(128), {grid = 4, shared = 256}
      local found, report = codes("histogram<0>", options, s, x, 1000, bins)
      assert.equal("", found, report:text())
      assert.same(expected, bins:totable())
      for bug, must in ipairs{"cluster-start", "race"} do
        found, report = codes(("histogram<%d>"):format(bug), options, s, x, 1000, zeros(128))
        assert.is_truthy(found:find(must, 1, true), s[1] .. ": " .. report:text())
      end
    end
  end)

  it("runs in one process, however many the launch allows", function()
    local report = mod:launch("silent", {grid = 32, block = 64, processors = 4}, zeros(1))
    assert.same({1, 32}, {report.processors, report.thread_blocks})
  end)

  local mistakes = {
    {"neighbour", {grid = 4, cluster = 2}, "cluster-exited", "race", "cluster-start race uninitialised", "race"},
    {"handed_over", {grid = 2, cluster = 2}, "cluster-exited race", "cluster-exited", "cluster-exited race"},
  }
  for _, m in ipairs(mistakes) do
    local name, options = m[1], m[2]
    it(name .. " is right, and found with each mistake", function()
      for _, s in ipairs(schedules) do
        local out = zeros(256)
        local found, report = codes(name .. "<0>", options, s, out)
        assert.equal("", found, s[1] .. ": " .. report:text())
        assert.equal(name == "neighbour" and 1100 or 189, out:get(1))
        for bug = 1, #m - 2 do
          found, report = codes(("%s<%d>"):format(name, bug), options, s, zeros(256))
          assert.equal(m[2 + bug], found, s[1] .. " " .. bug .. ": " .. report:text())
        end
      end
    end)
  end

  it("tells who waits where when a thread block does not come to the barrier", function()
    for _, s in ipairs(schedules) do
      local found, report = codes("stuck", {grid = 2, cluster = 2}, s, zeros(64))
      assert.equal("deadlock", found)
      for _, text in ipairs{"64 threads of thread block 0 (first 0) in the barrier of the cluster (line ",
        "32 threads of thread block 1 (first 0) in a named barrier",
        "32 threads of thread block 1 (first 32) in the barrier of the cluster"} do
        assert.is_truthy(report:text():find(text, 1, true), report:text())
      end
    end
  end)

  it("does not wait for threads that have ended, and refuses arrivals that do not fit", function()
    for _, s in ipairs(schedules) do
      local out = zeros(64)
      local options = {grid = 2, cluster = 2}
      local found, report = codes("some_end", options, s, out)
      assert.equal("", found, report:text())
      assert.same({5, 5}, {out:get(1), out:get(2)})
      local others = {twice = "cluster-barrier", never_arrived = "cluster-barrier", no_such_rank = "bad-operand",
        beyond = "out-of-bounds"}
      for name, code in pairs(others) do
        assert.equal(code, (codes(name, options, s, out)), name)
      end
    end
  end)

  it("must suit the architecture, the grid and the kernel", function()
    local out = zeros(256)
    local function launch(options)
      options.block = 64
      return function() mod:launch("neighbour<0>", options, out) end
    end
    refused("cluster: x is 3, must divide the grid's, 4", launch{grid = 4, cluster = 3})
    refused("cluster: has 32 thread blocks, must have at most 16", launch{grid = 32, cluster = 32})
    refused("histogram<0>: cluster: is {4, 1, 1}, must be the {2, 1, 1} of its __cluster_dims__", function()
      mod:launch("histogram<0>", {grid = 4, block = 64, cluster = 4}, out, 0, out)
    end)
    refused("histogram<0>: cluster: x is 2, must divide the grid's, 3", function()
      mod:launch("histogram<0>", {grid = 3, block = 64}, out, 0, out)
    end)
    local sim = pah.device "sim"
    refused("cluster: sm_80 has no clusters", function()
      sim:compile{text = 'extern "C" __global__ void f(int n) {}'}:launch("f", {grid = 2, cluster = 2}, 1)
    end)
    assert.equal(16, (mod:launch("some_end", {grid = 16, block = 64, cluster = 16}, out).global.store_bytes or 0) / 4)
  end)
end)
