-- ptx_inline_spec.lua - asm statements on sim: their operands, what they do, and what is told of mistakes in them. The
-- assembly of kernels/ptx/ itself runs too: as on a GPU, with the functions' bodies for sim left out.
local describe = require("spec.support.gpu.sim").needed(describe, pending)

local hopper = pah.device "sim:sm_90a"
local module

local function codes(report)
  local list = {}
  for i, f in ipairs(report.findings) do list[i] = f.code .. ":" .. f.line end
  return list
end

describe("inline PTX on sim", function()
  setup(function() module = hopper:compile{source = "spec/kernels/ptx_inline.cu"} end)

  it("takes and gives every kind of operand", function()
    local out = pah.zeros({9}, {dtype = "i32", device = hopper})
    module:launch("operands", {}, out, 3, pah.u64(0x300000004ULL))
    assert.same({9, 70, 4, 3, 0x41000000, 0x3412, 2, 42, 10}, out:to "cpu":totable())
  end)

  it("copies, multiplies and waits", function()
    local words, out = {}, pah.zeros({32, 4}, {device = hopper})
    for i = 1, 128 do words[i] = 0x3f803f80 end -- pairs of 1 in bf16
    module:launch("matrices", {block = 32}, pah.tensor(words, {dtype = "i32", device = hopper}), out)
    local got = out:to "cpu":totable()
    for lane = 1, 32 do assert.same({9, 9, 9, 9}, got[lane]) end -- 8 products and what was there
    local report = module:launch("matrices", {block = 32, on_finding = "report"},
      pah.tensor(words, {dtype = "i32", device = hopper}), out)
    assert.equal(2 * 16 * 8 * 8, report.mma.flops)
  end)

  it("tells mistakes where they are, when they run", function()
    local source = {}
    for line in io.lines "spec/kernels/ptx_inline.cu" do source[#source + 1] = line end
    local first = #source - 4
    local out = pah.zeros({4}, {dtype = "i32", device = hopper})
    local function run(which) return module:launch("mistakes", {block = 2, on_finding = "report"}, which, out) end
    assert.same({}, codes(run(0)))
    local unknown, bad = run(1), run(2)
    assert.same({"unsupported:" .. first}, codes(unknown))
    assert.equal("the PTX instruction foo.bar.u32 cannot be simulated", unknown.findings[1].message)
    assert.same({"bad-ptx:" .. first + 1}, codes(bad))
    assert.matches('is "2", must be ";"', bad.findings[1].message, 1, true)
    assert.same({"race:" .. first + 2}, codes(run(3)))
    assert.same({"out-of-bounds:" .. first + 3}, codes(run(4)))
  end)

  it("is what the functions of kernels/ptx are on a GPU, with the same bits and findings #slow", function()
    local heads, s, d = 1, 64, 128
    local function run(prefix)
      local options = {dtype = "bf16", device = hopper}
      local inputs = {}
      for i = 1, 3 do
        options.seed = i
        inputs[i] = pah.randn({heads, s, d}, options)
      end
      local out = pah.zeros({heads, s, d}, {device = hopper})
      local attention = hopper:compile{text = prefix .. '#include "spec/kernels/ptx_attention.cu"\n', include = ".",
        defines = {BUG = 0}, kernels = {"attention"}}
      attention:launch("attention", {grid = {s / 64, heads}, block = 128, shared = 4 * 64 * d * 2}, inputs[1],
        inputs[2], inputs[3], out, s, s, pah.f32(1.4426950408889634 / math.sqrt(d)))
      return out:hash()
    end
    assert.equal(run "", run "#undef PAH_SIM\n")
  end)
end)
