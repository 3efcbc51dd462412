-- isa_spec.lua - every fifth case of cases_spec.lua again for each instruction set that this processor has, in a
-- child process, because the set is chosen once when the device is opened (PAH_ISA); and with both ways of multiplying
-- bf16 where there are two (PAH_BF16).
local ffi = require "ffi"

local function output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- The parent of the shell is this program.
local program = output("readlink /proc/$PPID/exe"):gsub("%s+$", "")

local names = {}
while ffi.C.pah_isa_name(#names) ~= nil do names[#names + 1] = ffi.string(ffi.C.pah_isa_name(#names)) end

-- Those cases of one operation or all, with an environment.
local function passes(environment, cases, least)
  local command = "%s '%s' test --filter='%s' spec/cases_spec.lua"
  local text = output(command:format(environment, program, cases))
  local passed, failed, errors = text:match "(%d+) successes / (%d+) failures? / (%d+) errors?"
  assert.is_truthy(passed, text)
  assert.is_true(tonumber(passed) >= least and failed == "0" and errors == "0", text)
end

describe("the cpu kernels compiled for", function()
  for _, name in ipairs(names) do
    if ffi.C.pah_isa_usable(name) == 0 then
      pending(name .. " do not run on this processor")
    else
      it(name .. " pass the cases", function() passes("PAH_ISA=" .. name, "cpu %d%d[05] ", 60) end)
    end
  end
end)

describe("products of bf16", function()
  local script = 'pah.fwd{q = pah.zeros({1, 1, 1, 64}, {dtype = "bf16"}), k_blocks = pah.zeros({1, 16, 1, 64}, '
    .. '{dtype = "bf16"}), v_blocks = pah.zeros({1, 16, 1, 64}, {dtype = "bf16"}), block_table = '
    .. 'pah.tensor({{0}}, {dtype = "i32"})}'
  local function run(environment)
    return output(("%s PAH_DEVICE=cpu '%s' -e '%s'"):format(environment, program, script))
  end

  for _, way in ipairs {"dots", "fma"} do
    if ffi.C.pah_isa_usable "avx512bf16" == 0 then
      pending("by " .. way .. " are not to choose from on this processor")
    else
      it("by " .. way .. " pass the cases of fwd and fwd_fp8", function()
        passes("PAH_ISA=avx512bf16 PAH_BF16=" .. way, "cpu %d%d[0257] fwd", 100)
      end)
      it("by " .. way .. " pass the cases of bwd", function()
        passes("PAH_ISA=avx512bf16 PAH_BF16=" .. way, "cpu %d%d%d bwd bf16", 20)
      end)
    end
  end

  it("refuse a way that there is not", function()
    assert.is_truthy(run("PAH_ISA=generic PAH_BF16=dots"):find('PAH_BF16: is "dots", must be fma: this instruction set '
      .. "has no products of bf16", 1, true))
    assert.is_truthy(run("PAH_ISA=generic PAH_BF16=both"):find('PAH_BF16: is "both", must be fma', 1, true))
    assert.equal("", run("PAH_ISA=generic PAH_BF16=fma"))
  end)
end)
