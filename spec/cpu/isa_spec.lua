-- isa_spec.lua - instruction sets by name: pah.device "cpu:avx2" and PAH_ISA; and the ways of multiplying bf16 where
-- there are several (PAH_BF16). That the kernels of each set are right is what spec/attention/cases_spec.lua checks;
-- those of a processor that is not here are pending.
local child = require "spec.support.child"
local ffi = require "ffi"
local refused = require "spec.support.refused"

-- The parent of the shell is this program.
local program = child.shell("readlink /proc/$PPID/exe"):gsub("%s+$", "")
local isa_of_cpu = ([['%s' -e 'print(pah.device("cpu"):info().isa)']]):format(program)

local names = require("spec.support.isas").all

-- Those cases of one operation or all, with an environment.
local function passes(environment, cases, least)
  local command = "PAH_CASES_EVERY=1 %s '%s' test --filter='%s' spec/attention/cases_spec.lua"
  local text = child.shell(command:format(environment, program, cases))
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
        local text = child.shell(("PAH_ISA=%s "):format(name) .. isa_of_cpu)
        assert.is_truthy(text:find("PAH_ISA: this processor has no", 1, true), text)
      end)
    else
      it(name .. " is chosen by the device's name and by PAH_ISA", function()
        local device = pah.device("cpu:" .. name)
        assert.same({name, "cpu:" .. name, true}, {device:info().isa, device.name, device:info().host_memory})
        assert.equal(name .. "\n", child.shell(("PAH_ISA=%s "):format(name) .. isa_of_cpu))
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
    local text = child.shell(("'%s' info"):format(program))
    for _, name in ipairs(names) do assert.is_truthy(text:find(name, 1, true), name) end
    local generic = {x64 = "SSE2", arm64 = "NEON"}
    assert.is_truthy(text:match("generic +%l+ %(" .. generic[jit.arch] .. "%)"), text)
  end)

  it("that are none are refused", function()
    refused('device: cpu: "mmx" is not an instruction set of this build', pah.device, "cpu:mmx")
    local text = child.shell("PAH_ISA=mmx " .. isa_of_cpu)
    assert.is_truthy(text:find('PAH_ISA: "mmx" is not an instruction set of this build', 1, true), text)
  end)
end)

describe("products of bf16", function()
  -- Checksums of the bits of out and lse of a causal problem in bf16 whose lengths divide nothing, and of one in fp8.
  local script = [[
    local ffi, D = require "ffi", tonumber(os.getenv "D" or 64)
    local function sum(t)
      local words, h = ffi.cast("uint32_t *", t:contiguous():data()), 5381
      for i = 0, t.nbytes / 4 - 1 do h = (h * 33 + words[i]) % 4294967296 end
      return ("%x"):format(h)
    end
    local block_table, seqused_k = pah.block_table{seqlens = {301, 77}, block_size = 16, seed = 1}
    local function problem(dtype)
      local function random(shape, seed) return pah.randn(shape, {seed = seed}):to(dtype) end
      return {q = random({2, 4, 61, D}, 1), k_blocks = random({24, 16, 2, D}, 2), v_blocks = random({24, 16, 2, D}, 3),
        block_table = block_table, seqused_k = seqused_k, causal = true}
    end
    local out, lse = pah.fwd(problem "bf16")
    local p = problem "fp8_e4m3"
    p.out_dtype = "bf16"
    print(sum(out), sum(lse), sum((pah.fwd_fp8(p))))
  ]]
  local function run(environment)
    return child.shell(("%s PAH_DEVICE=cpu '%s' -e '%s'"):format(environment, program, script))
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

  if ffi.C.pah_isa_usable "amx" == 0 then
    pending("by amx need PAH_AMX=emulate or the tile unit")
  else
    it("by amx are another rounding than by f32, and the tile unit's own", function()
      local by_tiles = run "PAH_ISA=amx"
      assert.equal(by_tiles, run "PAH_ISA=amx PAH_BF16=amx")
      assert.are_not.equal(by_tiles, run "PAH_ISA=amx PAH_BF16=fma")
      assert.equal(run "PAH_ISA=avx512fp16 PAH_BF16=fma", run "PAH_ISA=amx PAH_BF16=fma")
      assert.equal(run "PAH_ISA=avx512fp16 PAH_BF16=dots", run "PAH_ISA=amx PAH_BF16=dots")
      -- heads of a size that tiles do not divide go by what there is without them
      assert.equal(run "D=48 PAH_ISA=avx512fp16", run "D=48 PAH_ISA=amx")
    end)
  end

  it("by amx are emulated to the bit", function()
    if ffi.C.pah_isa_usable "amx" ~= 1 then return pending "this processor has no tile unit to compare with" end
    for _, D in ipairs {32, 64, 128, 256} do
      local environment = ("D=%d PAH_ISA=amx "):format(D)
      assert.equal(run(environment), run(environment .. "PAH_AMX=emulate"))
    end
  end)

  it("refuse a way that there is not", function()
    assert.is_truthy(run("PAH_ISA=generic PAH_BF16=dots"):find('PAH_BF16: is "dots", must be fma: this instruction set '
      .. "has no products of bf16", 1, true))
    assert.is_truthy(run("PAH_ISA=generic PAH_BF16=both"):find('PAH_BF16: is "both", must be fma', 1, true))
    assert.is_truthy(run("PAH_ISA=generic PAH_BF16=fma"):match "^%x+\t%x+\t%x+\n$")
    if ffi.C.pah_isa_usable "avx512fp16" ~= 0 then
      assert.is_truthy(run("PAH_ISA=avx512fp16 PAH_BF16=amx"):find('PAH_BF16: is "amx", must be fma or dots', 1, true))
    end
  end)
end)
