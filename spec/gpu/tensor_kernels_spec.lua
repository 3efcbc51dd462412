-- tensor_kernels_spec.lua - tensor work by the kernels of kernels/tensor on sim: every bit is the cpu's, for every pair
-- of dtypes, all codes, strides, overlaps; and every access is checked. cuda_spec.lua runs the same over the driver.
local work = require "spec.support.gpu.tensor_work"

local support = require "spec.support.gpu.sim"

support.needed(describe, pending)("tensor kernels on sim", function()
  local sim, cpu
  setup(function()
    sim, cpu = pah.device "sim", pah.device "cpu"
    sim:set{tensor_kernels = true}
  end)
  teardown(function() sim:set{tensor_kernels = false, schedule = "order"} end)

  it("give the bits of the cpu", function()
    for _, case in ipairs(work) do
      local got, want = case.run(sim), case.run(cpu)
      assert.same({want.dtype, want.shape}, {got.dtype, got.shape}, case.name)
      assert.equal(want:hash(), got:to(cpu):hash(), case.name)
    end
  end)

  it("give them in every order of threads", function()
    for _, schedule in ipairs {"reverse", "random"} do
      sim:set{schedule = schedule, seed = 3}
      for i = 1, #work, 17 do
        assert.equal(work[i].run(cpu):hash(), work[i].run(sim):to(cpu):hash(), work[i].name)
      end
    end
    sim:set{schedule = "order"}
  end)

  it("hash as the cpu does", function()
    for _, n in ipairs {0, 1, 7, 31, 32, 33, 511, 513, 65535, 65536, 65537, 200003} do
      local x = pah.randint({n}, {dtype = "u8", low = 0, high = 256, seed = n})
      assert.equal(x:hash(), x:to(sim):hash(), n)
    end
    local x = pah.randn({5, 1001}, {dtype = "bf16"})
    assert.equal(x:select(1, 2):hash(), x:to(sim):select(1, 2):hash()) -- not aligned to a word
    assert.equal(x:transpose(1, 2):hash(), x:to(sim):transpose(1, 2):hash())
    local changed = x:clone()
    changed:set(changed:get(5, 1001) + 1, 5, 1001)
    assert.are_not.equal(x:hash(), changed:to(sim):hash())
  end)

  it("are launched, and find what nobody has written", function()
    local instances = require("pah.module").instances(sim)
    local files = {}
    for _, k in ipairs(instances) do files[k.source] = true end
    for _, name in ipairs {"copy", "convert", "turn", "random", "hash"} do
      assert.is_true(files["tensor/" .. name .. ".cu"], name)
    end
    local ok, why = pcall(function() return pah.empty({64}, {device = sim}):clone() end)
    assert.is_false(ok)
    assert.is_truthy(tostring(why):find("uninitialised", 1, true), tostring(why))
    sim:set{tensor_kernels = false}
    assert.equal(64, pah.empty({64}, {device = sim}):clone():numel()) -- the host does not mind
    sim:set{tensor_kernels = true}
  end)

  it("are a setting with two values", function()
    local ok, why = pcall(sim.set, sim, {tensor_kernels = 2})
    assert.is_false(ok)
    assert.is_truthy(tostring(why):find('tensor_kernels: is "2", must be 0 or 1', 1, true), tostring(why))
  end)
end)
