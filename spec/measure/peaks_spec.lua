-- peaks_spec.lua - the limits of a cpu device (lua/pah/measure/peaks.lua) and the memory that is read for them.
local child = require "spec.support.child"
local ffi = require "ffi"
local peaks = require "pah.measure.peaks"
local refused = require "spec.support.refused"
local sim = require "spec.support.gpu.sim"
local timer = require "pah.measure.timer"

describe("memory that is read", function()
  local cpu = pah.device "cpu"

  it("belongs to the flush for as long as there is one, whatever is measured meanwhile", function()
    local flush = timer.flusher(cpu)
    flush()
    peaks.forget()
    peaks.read(cpu, 2 ^ 14)
    local others = {} -- in the place of what was freed
    for i = 1, 8 do others[i] = pah.full({2 ^ 20}, 1, {device = cpu}) end
    flush()
    for i = 1, 8 do assert.is_true(pah.allclose(others[i], pah.ones({2 ^ 20}, {device = cpu}))) end
  end)

  it("is the same for the same sizes, and freed when it was for one use", function()
    assert.equal(timer.reader(cpu, 2 ^ 16), timer.reader(cpu, 2 ^ 16))
    assert.not_equal(timer.reader(cpu, 2 ^ 16), timer.reader(cpu, 2 ^ 16, 4096))
    local seen
    assert.equal(7, timer.with_reader(cpu, 2 ^ 16, nil, function(reader)
      seen = reader
      return 7
    end))
    assert.not_equal(seen, timer.reader(cpu, 2 ^ 16))
  end)
end)

describe("the limits of a device", function()
  it("are those of its instruction set, whatever PAH_ISA says", function()
    local program = child.shell("readlink /proc/$PPID/exe"):gsub("%s+$", "")
    -- Products of bf16 tell the sets apart without a look at how fast the machine is just now: only some have any.
    local dots = ffi.C.pah_isa_usable "avx512bf16" ~= 0 and "avx512bf16" or "generic"
    local text = child.shell(([[PAH_ISA=%s '%s' - <<'END'
      local peaks = require "pah.measure.peaks"
      pah.threads(1)
      print("dots of generic", peaks.flops(pah.device "cpu:generic", "dots", 0.01))
      print("dots of the other", peaks.flops(pah.device "cpu:%s", "dots", 0.01) > 0)
END]]):format("generic", program, dots))
    assert.is_truthy(text:find "dots of generic%s+0\n", text)
    assert.is_truthy(text:find("dots of the other%s+" .. tostring(dots ~= "generic")), text)
  end)

  it("are refused for a device that is no cpu", function()
    if sim.why then return pending(sim.why) end
    refused("device: is sim, must be a cpu", peaks.flops, pah.device "sim", "f32", 0.01)
    refused("device: is sim, must be a cpu", timer.reader, pah.device "sim", 2 ^ 16)
  end)
end)

describe("the way of multiplying bf16", function()
  it("is the same in every process", function()
    if ffi.C.pah_isa_usable "avx512bf16" == 0 then return pending "this processor has no products of bf16" end
    local program = child.shell("readlink /proc/$PPID/exe"):gsub("%s+$", "")
    local script = [[local t = pah.block_table{seqlens = {64}, block_size = 16, device = "cpu"}
      local k = pah.randn({4, 16, 2, 64}, {seed = 1, dtype = "bf16", device = "cpu:avx512bf16"})
      local q = pah.randn({1, 2, 64, 64}, {seed = 2, dtype = "bf16", device = "cpu:avx512bf16"})
      print(pah.fwd{q = q, k_blocks = k, v_blocks = k, block_table = t:to "cpu:avx512bf16"}:hash())]]
    local function hash(environment)
      return child.shell(("%s '%s' -e '%s'"):format(environment, program, script))
    end
    local amd = child.shell("grep -c -m1 AuthenticAMD /proc/cpuinfo"):match "^1"
    local want = hash(amd and "PAH_BF16=dots" or "PAH_BF16=fma")
    assert.not_equal(want, hash(amd and "PAH_BF16=fma" or "PAH_BF16=dots"))
    for _ = 1, 3 do assert.equal(want, hash "") end
  end)
end)
