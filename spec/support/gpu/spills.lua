-- spills.lua - kernels compiled without a GPU, and whether they spill registers: what the specs of the fast kernels ask
-- for every size that is launched. Needs NVRTC. What `pah kernels --arch` compiles is in nvrtc_spec.lua.
local assert = require "luassert"
local sample = require "spec.support.sample"

local M = {}

--- Compiles for `arch` what a list of calls launches, each an instance that no other has: run(zeros, add), in which
--- add(call) adds a function to the list and zeros(shape, dtype) makes tensors for it. None of the instances of the
--- kernel `names`, one or a list, may spill or use a stack, but for allowed(source) bytes. Returns how many calls were
--- made (sample.lua), none of which may be without an instance; nil and why if they cannot be compiled here.
function M.none(arch, names, run, allowed)
  local ok, device = pcall(pah.device, "cuda:" .. arch)
  if not ok then return nil, "needs NVRTC: " .. tostring(device) end
  local wanted = {}
  for _, name in ipairs(type(names) == "table" and names or {names}) do wanted[name] = true end
  local instances, before = require("pah.module").instances, {}
  for _, instance in ipairs(instances(device)) do before[instance.source] = true end -- of specs that ran earlier
  device:set{dry = true}
  local calls = {}
  run(function(shape, dtype) return pah.zeros(shape, {dtype = dtype or "bf16", device = device}) end,
    function(call) calls[#calls + 1] = call end)
  calls = sample(calls)
  for _, call in ipairs(calls) do call() end
  device:set{dry = false}
  local seen = 0
  for _, instance in ipairs(instances(device)) do
    if wanted[instance.kernel] and not before[instance.source] then
      seen = seen + 1
      local bytes = instance.spill_store_bytes + instance.local_bytes
      assert.is_true(bytes <= (allowed and allowed(instance.source) or 0), ("%d of %s"):format(bytes, instance.source))
    end
  end
  assert.is_true(seen >= #calls, ("%d instances of %d calls"):format(seen, #calls))
  return #calls
end

return M
