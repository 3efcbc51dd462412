-- cases_spec.lua - every case of support/cases.lua on every usable device with every kernel, against the oracle.
-- What a kernel refuses as unsupported shows as pending, so nothing can hide; the cpu may refuse nothing.
local cases = require "spec.support.cases"
local judge = require "spec.support.judge"
local problems = require "spec.support.problem"

local all = cases.all()

-- Kernels of a device by operation.
local function kernels_of(kind)
  local by_op = {}
  for _, kernel in ipairs(pah.kernels()) do
    if kernel.device == kind then
      by_op[kernel.op] = by_op[kernel.op] or {}
      table.insert(by_op[kernel.op], kernel.name)
    end
  end
  return by_op
end

local function run(case, device, kernel)
  local problem = problems.build(case, device)
  local ok, results = pcall(problem.run, kernel)
  local refusal = not ok and device.name ~= "cpu" and tostring(results):match "head_dim: the naive kernels .*$"
  if refusal then return pending(refusal) end
  assert.is_true(ok, tostring(results))
  assert.same({}, judge.judge(problem, results))
end

describe("the table of cases", function()
  it("has enough of every operation", function()
    local count = {}
    for _, case in ipairs(all) do count[case.op] = (count[case.op] or 0) + 1 end
    assert.is_true(#all >= 400, "only " .. #all)
    for _, op in ipairs {"fwd", "fwd_fp8", "bwd", "decode"} do assert.is_true(count[op] >= 80, op) end
  end)
end)

for _, entry in ipairs(pah.devices()) do
  describe("every case on " .. entry.name, function()
    if not entry.usable then
      pending(("is not run: %s"):format(entry.why or "the device is not usable"))
      return
    end
    local by_op = kernels_of(entry.name:match "^%w+")
    for _, case in ipairs(all) do
      for _, kernel in ipairs(by_op[case.op] or {}) do
        it(case.name .. " " .. kernel, function() run(case, pah.device(entry.name), kernel) end)
      end
    end
  end)
end
