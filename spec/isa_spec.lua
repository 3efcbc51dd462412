-- isa_spec.lua - instruction sets by name: pah.device "cpu:avx2" and PAH_ISA; and both ways of multiplying bf16 where
-- there are two (PAH_BF16). That the kernels of each set are right is what cases_spec.lua checks; those of a processor
-- that is not here are pending.
local ffi = require "ffi"

local function output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local refused = require "spec.support.refused"

-- The parent of the shell is this program.
local program = output("readlink /proc/$PPID/exe"):gsub("%s+$", "")
local isa_of_cpu = ([['%s' -e 'print(pah.device("cpu"):info().isa)']]):format(program)

local names = {}
while ffi.C.pah_isa_name(#names) ~= nil do names[#names + 1] = ffi.string(ffi.C.pah_isa_name(#names)) end

-- Those cases of one operation or all, with an environment.
local function passes(environment, cases, least)
  local command = "PAH_CASES_EVERY=1 %s '%s' test --filter='%s' spec/cases_spec.lua"
  local text = output(command:format(environment, program, cases))
  local passed, failed, errors = text:match "(%d+) successes / (%d+) failures? / (%d+) errors?"
  assert.is_truthy(passed, text)
  assert.is_true(tonumber(passed) >= least and failed == "0" and errors == "0", text)
end

describe("instruction sets", function()
  for _, name in ipairs(names) do
    if ffi.C.pah_isa_usable(name) == 0 then
      pending(name .. " does not run on this processor")
      it(name .. " is refused where it does not run", function()
        refused("device: cpu: this processor has no " .. name, pah.device, "cpu:" .. name)
        local text = output(("PAH_ISA=%s "):format(name) .. isa_of_cpu)
        assert.is_truthy(text:find("PAH_ISA: this processor has no", 1, true), text)
      end)
    else
      it(name .. " is chosen by the device's name and by PAH_ISA", function()
        local device = pah.device("cpu:" .. name)
        assert.same({name, "cpu:" .. name, true}, {device:info().isa, device.name, device:info().host_memory})
        assert.equal(name .. "\n", output(("PAH_ISA=%s "):format(name) .. isa_of_cpu))
      end)
    end
  end

  it("are devices of their own: tensors of two do not mix, copies do", function()
    local generic = pah.device "cpu:generic"
    local block_table, seqused_k = pah.block_table{seqlens = {5}, block_size = 2, device = "cpu"}
    local args = {
      q = pah.randn({1, 2, 1, 8}, {device = "cpu"}), k_blocks = pah.randn({3, 2, 1, 8}, {device = "cpu"}),
      v_blocks = pah.randn({3, 2, 1, 8}, {device = "cpu"}), block_table = block_table, seqused_k = seqused_k,
    }
    local want = pah.decode(args)
    local q = args.q
    args.q = q:to(generic)
    refused("cpu:generic", pah.decode, args)
    for name, tensor in pairs(args) do args[name] = tensor:to(generic) end
    local out = pah.decode(args)
    assert.equal("cpu:generic", out.device.name)
    assert.is_true(pah.allclose(out:to "cpu", want, {rtol = 1e-5, atol = 1e-6}))
  end)

  it("are named by pah info, the generic one with what it is compiled to", function()
    local text = output(("'%s' info"):format(program))
    for _, name in ipairs(names) do assert.is_truthy(text:find(name, 1, true), name) end
    local generic = {x64 = "SSE2", arm64 = "NEON"}
    assert.is_truthy(text:match("generic +%l+ %(" .. generic[jit.arch] .. "%)"), text)
  end)

  it("that are none are refused", function()
    refused('device: cpu: "mmx" is not an instruction set of this build', pah.device, "cpu:mmx")
    local text = output("PAH_ISA=mmx " .. isa_of_cpu)
    assert.is_truthy(text:find('PAH_ISA: "mmx" is not an instruction set of this build', 1, true), text)
  end)
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
