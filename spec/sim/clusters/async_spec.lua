-- async_spec.lua - copies, stores and reductions between thread blocks of a cluster on sim: right in every
-- schedule with no finding, and found with each mistake. What threads do themselves is in cluster_spec.lua.
local describe = require("spec.support.gpu.sim").needed(describe, pending)
local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

describe("between thread blocks of a cluster", function()
  local hopper = pah.device "sim:sm_90a"
  local mod
  setup(function() mod = hopper:compile{source = "spec/kernels/clusters/cluster_async.cu"} end)

  local function zeros(n, dtype) return pah.zeros({n}, {dtype = dtype or "i32", device = hopper}) end
  local function launch(name, s, ...)
    local options = {grid = 2, block = 64, cluster = 2, on_finding = "report", schedule = s[1], seed = s[2]}
    return mod:launch(name, options, ...)
  end

  local x = pah.arange(1024, {dtype = "i32", device = hopper})
  local matrix = pah.arange(512, {dtype = "f32", device = hopper}):view(32, 16)
  local map = pah.tensor_map(matrix, {box = {16, 16}})

  -- {name, arguments before `out`, elements of out, dtype, out[i], codes that each mistake must have one of}
  local function both(f) return function(i) return f(i % 64, math.floor(i / 64)) end end
  local cases = {
    {"multicast", {x}, 128, "i32", both(function(t, rank) return t + rank end), "cluster-start", "async-pending",
      "bad-operand"},
    {"halves", {map}, 1024, "f32", function(i) return i % 512 end,
      "race cluster-exited uninitialised async-pending deadlock"},
    {"pushed", {}, 128, "i32", both(function(t, rank) return 100 * (1 - rank) + 63 - t end), "async-pending",
      "bad-operand", "cluster-exited"},
    {"copied", {}, 64, "i32", function(i) return 3 * i end, "missing-proxy-fence", "race async-source-changed",
      "async-unfinished"},
    {"reduced", {}, 1, "i32", function() return 127 * 64 end, "race"},
    {"ring", {x, 8}, 128, "i32", both(function(t) return 8 * t + 64 * 28 end), "race async-overwrite async-pending",
      "deadlock"},
  }
  for _, c in ipairs(cases) do
    local name, given, count, dtype, expected = unpack(c, 1, 5)
    it(name .. " is right, and found with each mistake", function()
      for _, s in ipairs(schedules) do
        local arguments, out = {unpack(given)}, zeros(count, dtype)
        arguments[#arguments + 1] = out
        local report = launch(name .. "<0>", s, unpack(arguments))
        assert.equal(0, #report.findings, s[1] .. ": " .. report:text())
        for i = 0, count - 1 do assert.equal(expected(i), out:get(i + 1)) end
        for bug = 1, #c - 5 do
          report = launch(("%s<%d>"):format(name, bug), s, unpack(arguments))
          local found
          for _, f in ipairs(report.findings) do
            found = found or (" " .. c[5 + bug] .. " "):find(" " .. f.code .. " ", 1, true)
          end
          assert.is_truthy(found, ("%s %d: %s"):format(s[1], bug, report:text()))
        end
      end
    end)
  end

  it("goes by instructions of PTX as well", function()
    for _, s in ipairs(schedules) do
      local out = zeros(128)
      local report = launch("by_ptx", s, out)
      assert.equal(0, #report.findings, s[1] .. ": " .. report:text())
      for i = 0, 127 do
        local t, rank = i % 64, math.floor(i / 64)
        assert.equal((1 - rank) * 1000 + t + 10000 * (1 - rank) + 100000 + 1000000 * (5 * t + 8), out:get(i + 1))
      end
    end
  end)
end)
