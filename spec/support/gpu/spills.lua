-- spills.lua - kernels compiled without a GPU, and whether they spill registers. Needs NVRTC.
local assert = require "luassert"

local M = {}

--- Compiles for `arch` what the calls of run(zeros) launch, zeros(shape, dtype) makes their tensors; none of the
--- instances of the kernel `names`, one or a list, may spill or use a stack, but for `allowed` bytes. Returns how many
--- they are; nil and why if they cannot be compiled here.
function M.none(arch, names, run, allowed)
  local ok, device = pcall(pah.device, "cuda:" .. arch)
  if not ok then return nil, "needs NVRTC: " .. tostring(device) end
  local wanted = {}
  for _, name in ipairs(type(names) == "table" and names or {names}) do wanted[name] = true end
  local instances, before = require("pah.module").instances, {}
  for _, instance in ipairs(instances(device)) do before[instance.source] = true end -- of specs that ran earlier
  device:set{dry = true}
  run(function(shape, dtype) return pah.zeros(shape, {dtype = dtype or "bf16", device = device}) end)
  device:set{dry = false}
  local seen = 0
  for _, instance in ipairs(instances(device)) do
    if wanted[instance.kernel] and not before[instance.source] then
      seen = seen + 1
      assert.is_true(instance.spill_store_bytes + instance.local_bytes <= (allowed or 0), instance.source)
    end
  end
  return seen
end

return M
