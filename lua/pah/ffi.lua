-- ffi.lua - the ffi.cdef of pah: the text of the interface headers (src/pah.h, ...), put into the program at build
-- time. Offers C (cache the namespace, never a function); check(status), which raises pah's error line at the script's
-- line; fields(struct), so that no list of names is written a second time.
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

--- Names of the fields of a struct of the interface, in the order of its header; with `before`, of those before it.
function M.fields(struct, before)
  local names, i, row = {}, 0, C.pah_layout_at(0)
  while row ~= nil do
    local field = ffi.string(row.field)
    if ffi.string(row.type) == struct and field ~= "" then
      if field == before then break end
      names[#names + 1] = field
    end
    i = i + 1
    row = C.pah_layout_at(i)
  end
  return names
end

return M
