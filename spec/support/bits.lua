-- bits.lua - the bytes of a tensor, for specs in which results are the same to the last bit.
local ffi = require "ffi"

local M = {}

--- The elements of a tensor, row-major, as a string.
function M.of(t)
  local host = t:to("cpu"):contiguous()
  return ffi.string(host:data(), host.nbytes)
end

--- Whether two tensors have the same elements, bit for bit.
function M.same(a, b) return M.of(a) == M.of(b) end

return M
