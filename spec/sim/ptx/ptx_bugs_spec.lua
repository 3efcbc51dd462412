-- ptx_bugs_spec.lua - every mistake planted in spec/kernels/ptx_bugs.cu and spec/kernels/ptx_pipeline.cu is found, in
-- every schedule, with the code given here; the same kernel without it is right and causes no finding.
local ptx = require "spec.support.gpu.ptx"
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

local codes_of = ptx.codes_of

local function names_of(codes)
  local list = {}
  for code in pairs(codes) do list[#list + 1] = code end
  table.sort(list)
  return table.concat(list, ", ")
end

describe("planted bugs in asynchronous kernels", function()
  local sim = pah.device "sim:sm_90a"

  local function input(n)
    local list = {}
    for i = 1, n do list[i] = i end
    return pah.tensor(list, {device = sim})
  end
  local function zeros(n) return pah.zeros({n}, {device = sim}) end

  -- Name; threads; bytes of dynamic shared memory; arguments of a bug; code of each bug (false: none), from bug 1 on.
  local kernels = {
    {"copy", 64, 0, function() return input(256), zeros(256) end,
      {"async-pending", "async-overwrite", "async-source-changed", "async-pending", "async-pending",
        "async-overwrite"}},
    {"stages", 64, 0, function() return input(1024), zeros(64), 4 end, {"async-pending", "race"}},
    {"ragged", 64, 0, function() return input(50), zeros(64), 50 end, {"out-of-bounds"}},
    {"reported", 64, 0, function() return input(256), zeros(256) end,
      {"mbarrier-uninitialised", "deadlock", "async-pending", "mbarrier-overwritten", "async-pending",
        "async-pending"}},
    {"counted", 64, 0, function() return input(256), zeros(256) end, {"deadlock", "async-pending"}},
    {"arrivals", 64, 0, function() return zeros(64) end, {"race", "mbarrier-initialised"}},
    {"rows", 32, 0, function() return zeros(32) end, {"race", "misaligned", "out-of-bounds", "warp-mask"}},
    {"bulk", 64, 1024, function() return input(256), zeros(256) end,
      {"deadlock", "misaligned", "async-source-changed", "async-pending", "missing-proxy-fence", "race",
        "async-source-changed", false, "race", false, "async-unfinished"}},
    {"product", 128, 4096, function() return zeros(512) end,
      {"missing-proxy-fence", "race", "wgmma-not-fenced", "wgmma-pending", "wgmma-pending", "race", "wgmma-pending",
        "wgmma-not-fenced"}},
    {"unmapped", 32, 1024, function(bug)
      local map = pah.tensor_map(pah.ones({8, 8}, {device = sim}), {box = {8, 8}})
      if bug == 1 then map.words[0] = 0 end
      return map, zeros(1)
    end, {"bad-tensor-map", "misaligned"}},
    {"named", 64, 0, function() return zeros(64) end, {"race", "deadlock"}},
  }
  local function name_of(kernel, bug) return ("%s<%d>"):format(kernel[1], bug) end

  local function launch(kernel, bug, schedule)
    local names = {}
    for _, k in ipairs(kernels) do
      for i = 0, #k[5] do names[#names + 1] = name_of(k, i) end
    end
    local module = ptx.compiled(sim, "ptx_bugs.cu", nil, names)
    local options = {grid = 1, block = kernel[2], shared = kernel[3], schedule = schedule[1], seed = schedule[2],
      on_finding = "report", limit = 120}
    return module:launch(name_of(kernel, bug), options, kernel[4](bug))
  end

  for _, kernel in ipairs(kernels) do
    for bug = 0, #kernel[5] do
      local code = kernel[5][bug]
      it(("%s is %s"):format(name_of(kernel, bug), code or "right"), function()
        for _, schedule in ipairs(schedules) do
          local report = launch(kernel, bug, schedule)
          local codes = codes_of(report)
          if code then
            assert.is_true(codes[code], ("%s %s: %s"):format(schedule[1], code, names_of(codes)))
          else
            assert.equal("", names_of(codes), schedule[1])
          end
        end
      end)
    end
  end
end)

describe("a pipeline of bulk copies and wgmma", function()
  local m, n, k = 128, 64, 320
  local a, b = pah.randn({m, k}, {dtype = "bf16", seed = 1}), pah.randn({n, k}, {dtype = "bf16", seed = 2})
  local box = {box = {64, 64}, swizzle = 128}

  local function launch(device, bug, schedule)
    local c = pah.zeros({m, n}, {device = device})
    local on_device = {a:to(device), b:to(device)}
    local report = ptx.compiled(device, "ptx_pipeline.cu", {BUG = bug}):launch("pipeline",
      {grid = {n / 64, m / 64}, block = 160, shared = 2 * 16384, schedule = schedule and schedule[1],
        seed = schedule and schedule[2], on_finding = "report", limit = 120},
      pah.tensor_map(on_device[1], box), pah.tensor_map(on_device[2], box), c, n, k)
    return report, c
  end

  it("is right, on every device", function()
    local plain_a, plain_b = a:to "f32":totable(), b:to "f32":totable()
    ptx.each_device(function(device)
      local report, c = launch(device, 0)
      assert.equal(0, #report.findings)
      local got = c:totable()
      for i = 1, m do
        for j = 1, n do
          local sum, row, column = 0, plain_a[i], plain_b[j]
          for l = 1, k do sum = sum + row[l] * column[l] end
          assert.is_true(math.abs(got[i][j] - sum) < 1e-4, ("%s: %d, %d"):format(device.name, i, j))
        end
      end
    end, true)
  end)

  -- Any of the codes; what is seen first may depend on the schedule.
  local bugs = {{"async-pending", "uninitialised"}, {"async-overwrite"}, {"race"}, {"wgmma-pending"},
    {"wgmma-not-fenced"},
    {"missing-proxy-fence"}, {"race", "mbarrier-uninitialised"}, {"mbarrier-over-arrival"}, {"deadlock"}}
  for bug = 0, #bugs do
    local wanted = bugs[bug] or {}
    it(("with mistake %d: %s"):format(bug, table.concat(wanted, " or ")), function()
      for _, schedule in ipairs(schedules) do
        local codes, found = codes_of(launch(pah.device "sim:sm_90a", bug, schedule)), bug == 0
        for _, code in ipairs(wanted) do found = found or codes[code] end
        assert.is_true(found, schedule[1] .. ": " .. names_of(codes))
        if bug == 0 then assert.equal("", names_of(codes), schedule[1]) end
      end
    end)
  end
end)
