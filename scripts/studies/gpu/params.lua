-- params.lua - the structs of kernels/params.h for the FFI, for whoever launches a kernel of kernels/ by itself: dofile
-- of this file declares them, once a process. The header is read without its preprocessor lines, from the root of the
-- sources. Used by forward.lua, backward_plan.lua and spec/support/gpu/sm80.lua.
local ffi = require "ffi"

if pcall(ffi.typeof, "struct pah_attn_params") then return end
local lines = {}
for line in io.lines "kernels/params.h" do
  if not line:match "^#" then lines[#lines + 1] = line end
end
ffi.cdef(table.concat(lines, "\n"))
