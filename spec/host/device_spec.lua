-- device_spec.lua - pah.device, pah.devices, pah.threads and pah.clock: one object per name, figures that make sense,
local refused = require "spec.support.refused"

describe("devices", function()
  it("are one object for one name", function()
    local cpu = pah.device "cpu"
    assert.equal(cpu, pah.device "cpu")
    assert.equal(cpu, pah.device(cpu))
    assert.equal("cpu", cpu.name)
    assert.equal('pah.device "cpu"', tostring(cpu))
    assert.equal(cpu, pah.zeros({1}, {device = cpu}).device)
    cpu:synchronize()
  end)

  it("that are none are refused with the name that was meant, where one is near", function()
    for wrong, meant in pairs {cude = "cuda", smi = "sim", CPU = "cpu", sim9 = "sim", ["cpu:avx51"] = "cpu:avx512",
      ["sim:sm_9a"] = "sim:sm_90a", ["sim:sm80"] = "sim:sm_80", ["cuda:x"] = "cuda"} do
      refused(('did you mean "%s"?'):format(meant), pah.device, wrong)
      refused(wrong:match "[^:]+$", pah.device, wrong)
    end
    local said = select(2, pcall(pah.device, "a_tpu_of_v4"))
    assert.truthy(said:find('"a_tpu_of_v4" is not a device, must be cpu[:ISA], cuda[:N] or sim[:ARCH]', 1, true), said)
    assert.is_nil(said:find("did you mean", 1, true), said)
    refused('did you mean "sim"?', pah.zeros, {1}, {device = "sum"})
    refused("must be sm_80, sm_86, sm_89, sm_90 or sm_90a", pah.device, "sim:x")
    refused("must be generic, avx2,", pah.device, "cpu:mmx")
  end)

  it("know what they are", function()
    local info = pah.device("cpu"):info()
    assert.same({"cpu", 0, true}, {info.name, info.sms, info.host_memory})
    assert.is_true(info.bytes > 2 ^ 27 and info.threads >= 1 and #info.model > 0 and #info.arch > 0)
    assert.equal(pah.threads(), info.threads)
    assert.is_true(require("ffi").C.pah_isa_usable(info.isa) ~= 0, info.isa)
  end)

  it("take the settings that they have, and name them", function()
    local cpu = pah.device "cpu"
    refused("schedule: is not a setting of cpu", cpu.set, cpu, {schedule = "random"})
    refused("check: is 0, but cpu always checks", cpu.set, cpu, {check = false})
    refused("called with a string", cpu.set, cpu, "check")
    cpu:set{check = true}
    for _, d in ipairs(pah.devices()) do
      if d.name == "sim" and not d.usable then return pending(d.why) end
    end
    local sim = pah.device "sim"
    local touch = sim:compile{text = "__global__ void touch(int *x) { x[threadIdx.x] = 1; }"}
    local x = pah.zeros({32}, {dtype = "i32", device = sim})
    local function report(options)
      options.grid, options.block = 1, 32
      return touch:launch("touch", options, x)
    end
    assert.same({"order", true}, {report{}.schedule, report{}.counted})
    sim:set{schedule = "random", seed = 3, counters = false, limit = 20}
    assert.same({"random", 3, false}, {report{}.schedule, report{}.seed, report{}.counted})
    local other = report{schedule = "reverse", counters = true}
    assert.same({"reverse", true}, {other.schedule, other.counted})
    refused('schedule: is "x", must be order, reverse or random', sim.set, sim, {schedule = "x"})
    refused('seed: is "1.5", must be a whole number', sim.set, sim, {seed = 1.5})
    refused('limit: is "0", must be a number of seconds', sim.set, sim, {limit = 0})
    refused('processors: is "65", must be a whole number, 1 to 64', sim.set, sim, {processors = 65})
    refused("processors: is 65, must be 1 to 64", report, {processors = 65})
    refused("colour: is not a setting of sim, must be schedule, seed, limit, counters, processors or tensor_kernels",
      sim.set, sim, {colour = 1})
    sim:set{schedule = "order", counters = true, limit = 300}
  end)

  it("have events to time work by", function()
    for _, d in ipairs(pah.devices()) do
      if d.usable then
        local dev = pah.device(d.name)
        local a = dev:event()
        pah.zeros({1000}, {device = dev}):fill(1)
        local b = dev:event()
        assert.is_true(b:since(a) >= 0 and b:since(a) < 60, d.name)
        refused("since: is a number, must be an event", a.since, a, 1)
      end
    end
  end)

  it("are listed, each usable or with the reason", function()
    local names = {}
    for _, d in ipairs(pah.devices()) do
      names[d.name] = true
      if d.usable then
        assert.is_nil(d.why)
        assert.equal(d.name, pah.device(d.name).name)
      else
        assert.is_true(#d.why > 10, d.name)
        refused(d.why, pah.device, d.name)
      end
    end
    assert.same({cpu = true, cuda = true, sim = true}, names)
    assert.is_true(pah.devices()[1].usable)
  end)

  it("that are none are refused", function()
    refused('"gpu" is not a device', pah.device, "gpu")
    refused("device: is a number, must be a name or a device", pah.device, 1)
    refused("device: is a table, must be a name or a device", pah.device, {})
    refused("is not", pah.device, "")
    refused("is not", pah.device, "cpu:1")
  end)
end)

describe("threads", function()
  it("are set and read, and refused outside of 1 to 1024", function()
    local before = pah.threads()
    assert.equal(3, pah.threads(3))
    assert.equal(3, pah.device("cpu"):info().threads)
    for _, n in ipairs {0, -1, 1025, 1e300, 1.5, "2"} do
      assert.is_false(pcall(pah.threads, n), tostring(n))
    end
    refused("threads", pah.threads, 0)
    assert.equal(3, pah.threads())
    assert.equal(before, pah.threads(before))
  end)
end)

describe("the clock", function()
  it("counts seconds and never goes back", function()
    local start, wall = pah.clock(), os.time()
    local last = start
    repeat
      local now = pah.clock()
      assert.is_true(now >= last)
      last = now
    until last - start > 0.05
    assert.is_true(math.abs(os.time() - wall - (pah.clock() - start)) <= 2)
  end)
end)
