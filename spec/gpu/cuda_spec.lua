-- cuda_spec.lua - the cuda device with no GPU: over a test driver (driver/*.c, built here) that keeps memory on sim,
-- hands launches to the simulator and fails any call on demand. The specs themselves are spec/driver/cuda_cases.lua
-- and fault_cases.lua, each in a process of its own; every 40th case of those to be run runs there too. What needs
-- neither driver nor GPU: nvrtc_spec.lua.
local host = require "pah.host"
local shell = require("spec.support.child").shell

local sim_why = require("spec.support.gpu.sim").why

local every = 40 * tonumber(os.getenv "PAH_CASES_EVERY" or 1)

local base = os.tmpname()
local library = base .. ".so"
local words, code = shell(("${CC:-cc} -std=gnu11 -shared -fPIC -Isrc -o %s spec/driver/*.c"):format(library))

-- The specs of a file in a process that has the test driver, as a list of {name=, result=, words=}.
local function run(arguments)
  local environment = ("env -u PAH_DEVICE PAH_PROGRAM=%s PAH_LIBCUDA=%s PAH_LIBNVRTC=%s PAH_CASES_EVERY=%d "
    .. "LSAN_OPTIONS=detect_leaks=0"):format(host.exe, library, library, every)
  local output = shell(("%s %s test -o TAP %s"):format(environment, host.exe, arguments))
  local list = {}
  for line in output:gmatch "[^\n]+" do
    local result, name = line:match "^(n?o?t? ?ok) %d+ %- (.*)$"
    if result then
      local skipped = name:match "^# SKIP (.*)$" -- the words; the name is in the lines that follow
      list[#list + 1] = {name = skipped and "is not run: " .. skipped or name, result = skipped and "skip" or result,
        words = skipped or ""}
    elseif #list > 0 then
      list[#list].words = list[#list].words .. line .. "\n"
    end
  end
  return list, output
end

local function report(title, arguments)
  describe(title, function()
    local list, output = run(arguments)
    it("runs", function() assert.is_true(#list > 5, output) end)
    for _, spec in ipairs(list) do
      it(spec.name, function()
        if spec.result == "skip" then return pending(spec.words) end
        assert.equal("ok", spec.result, spec.words)
      end)
    end
  end)
end

describe("cuda over the test driver", function()
  if sim_why then return pending(sim_why) end
  it("builds its driver", function() assert.equal(0, code, words) end)
  if code ~= 0 then return end
  report("has the device", "spec/driver/cuda_cases.lua")
  report("survives", "spec/driver/fault_cases.lua")
  report("has its checks", "spec/driver/check_cases.lua")
  report("records graphs", "spec/driver/graph_cases.lua")
  report("takes what others bring", "spec/driver/load_cases.lua")
  it("passes scripts/gpu-check's own part, sim and measuring aside", function()
    local results = os.tmpname()
    local command = "PAH_LIBCUDA=%s PAH_LIBNVRTC=%s %s scripts/studies/gpu/check.lua --no-bench --no-sim --output %s"
    local output, status = shell(command:format(library, library, host.exe, results))
    local lines = {}
    for line in io.lines(results) do lines[#lines + 1] = require("pah.util.json").decode(line) end
    os.remove(results)
    assert.equal(0, status, output)
    assert.is_truthy(output:find("ok +out%-of%-range block ids are refused"), output)
    assert.same({"header", "check", "check"}, {lines[1].kind, lines[2].kind, lines[3].kind})
    assert.is_true(lines[2].ok and lines[3].ok)
  end)
  report("has the cases", "--filter='on cuda' spec/attention/cases_spec.lua")
end)

describe("cuda without a driver", function()
  teardown(function()
    os.remove(base)
    os.remove(library)
  end)

  it("says what is missing", function()
    local output = shell(("PAH_LIBCUDA=/nowhere/libcuda.so %s -e \"pah.device 'cuda'\""):format(host.exe))
    assert.is_truthy(output:find("cuda is not usable because /nowhere/libcuda.so cannot be opened", 1, true), output)
    if code ~= 0 then return end
    output = shell(("PAH_LIBCUDA=%s PAH_LIBNVRTC=/nowhere/nvrtc.so %s -e \"pah.device 'cuda'\"")
      :format(library, host.exe))
    assert.is_truthy(output:find("NVRTC (/nowhere/nvrtc.so) cannot be opened", 1, true), output)
    assert.is_truthy(output:find("PAH_LIBNVRTC", 1, true), output)
  end)
end)
