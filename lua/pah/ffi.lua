-- ffi.lua - the ffi.cdef of pah: the text of src/pah.h and src/host/results_file.h, put into the program at build time.
-- Offers C (cache the namespace, never a function) and check(status), which raises pah's error line at the script's
-- line.
local ffi = require "ffi"
local host = require "pah.host"
local errors = require "pah.errors"

ffi.cdef(host.cdef)

local C = ffi.C
local M = {C = C}

--- Raises the error line of the failed call at the caller's line when `status` is not 0; returns nothing.
function M.check(status)
  if status ~= 0 then errors.raise(ffi.string(C.pah_error())) end
end

return M
