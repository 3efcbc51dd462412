-- isas.lua - the instruction sets of the cpu kernels by name, worst first: all that this build has, and those that can
-- be used here, emulated ones among them.
local ffi = require "ffi"

local M = {all = {}, usable = {}}

while ffi.C.pah_isa_name(#M.all) ~= nil do
  local name = ffi.string(ffi.C.pah_isa_name(#M.all))
  M.all[#M.all + 1] = name
  if ffi.C.pah_isa_usable(name) ~= 0 then M.usable[#M.usable + 1] = name end
end

return M
