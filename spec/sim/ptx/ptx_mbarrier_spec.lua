-- ptx_mbarrier_spec.lua - mbarriers in inline PTX (spec/kernels/ptx/mbarriers.cu): threads that drop out, pending
-- counts, bytes reported by hand; findings name the mbarrier by its variable and say what it lacks, in any loop.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

describe("mbarriers of inline PTX", function()
  local device, module
  setup(function()
    device = pah.device "sim:sm_90a"
    local names = {}
    for _, name in ipairs{"dropping", "by_hand", "counts"} do
      for bug = 0, 1 do names[#names + 1] = ("%s<%d>"):format(name, bug) end
    end
    names[#names + 1], names[#names + 2] = "named<0>", "named<1>"
    for bug = 0, 2 do names[#names + 1] = ("handed<%d>"):format(bug) end
    for how = 0, 5 do names[#names + 1] = ("loops<%d>"):format(how) end
    module = device:compile{source = "spec/kernels/ptx/mbarriers.cu", kernels = names}
  end)

  -- Results, and "code: message" of the findings.
  local function run(name, block, schedule)
    local out = pah.zeros({8}, {dtype = "i32", device = device})
    local report = module:launch(name, {block = block, on_finding = "report", schedule = schedule[1],
      seed = schedule[2], limit = 60}, out)
    local told = {}
    for _, f in ipairs(report.findings) do told[#told + 1] = f.code .. ": " .. f.message end
    return out:to "cpu":totable(), table.concat(told, "\n")
  end

  -- The twin without the mistake gives these numbers and no finding, the other one waits for ever.
  local function waits(name, block, numbers, words)
    for _, schedule in ipairs(schedules) do
      local got, told = run(name .. "<0>", block, schedule)
      assert.same(numbers, {unpack(got, 1, #numbers)}, schedule[1])
      assert.equal("", told, schedule[1])
      assert.matches("^deadlock: .*" .. words, select(2, run(name .. "<1>", block, schedule)))
    end
  end

  it("lose the threads that drop out", function()
    waits("dropping", 40, {40 * 41 / 2}, "phase 1 of the mbarrier meet %(1 arrivals, 0 bytes missing%)")
  end)

  it("take bytes that are reported by mbarrier.complete_tx", function()
    waits("by_hand", 128, {10, 11}, "phase 0 of the mbarrier full%[1%] %(0 arrivals, 16 bytes missing%)")
  end)

  it("order what comes before an arrival and after a wait, unless that says .relaxed", function()
    for _, schedule in ipairs(schedules) do
      local got, told = run("handed<0>", 64, schedule)
      assert.same({7, ""}, {got[1], told})
      for bug = 1, 2 do
        told = select(2, run(("handed<%d>"):format(bug), 64, schedule))
        assert.is_truthy(told:find "^race: ")
      end
    end
  end)

  it("stand beside named barriers, where a warp of 8 threads counts as one of 32", function()
    for _, schedule in ipairs(schedules) do
      local got, told = run("named<0>", 40, schedule)
      assert.same({"", 7, 6, 5, 4, 3, 2, 1, 0}, {told, unpack(got)})
      assert.is_truthy(select(2, run("named<1>", 40, schedule)):find "race: ")
    end
  end)

  it("say how many arrivals were pending, and tell of an arrival that must not complete a phase and does", function()
    local got, told = run("counts<0>", 1, {"order"})
    assert.same({8, 5, 3, 0, 1, 6, 0, 0}, got)
    assert.equal("", told)
    told = select(2, run("counts<1>", 1, {"order"}))
    assert.equal("mbarrier-completed: mbarrier.arrive_drop.noComplete of 5 completes phase 0 of the mbarrier bar", told)
  end)

  -- Loops with nothing, a sleep, a flag in global memory, an atomic, a __syncwarp around the test.
  it("are named, with what they lack, when a loop around a test never ends", function()
    for how = 0, 5 do
      local name = how == 2 and "mbarrier at byte 1032 of storage" or "mbarrier empty[3]"
      for _, schedule in ipairs(schedules) do
        local told = select(2, run(("loops<%d>"):format(how), 40, schedule))
        assert.is_truthy(told:find "^deadlock: " or told:find "^livelock: ")
        assert.matches(("phase 0 of the %s (1 arrivals, 0 bytes missing)"):format(name), told, 1, true)
        assert.is_nil(told:find("\n", 1, true))
      end
    end
  end)
end)
