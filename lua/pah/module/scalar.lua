-- scalar.lua - numbers for parameters of kernels: pah.i32(5), pah.f32(0.5), ... for those that a plain number does not
-- fit, and the cells that hold them. Read next: init.lua.
local errors = require "pah.errors"
local ffi = require "ffi"

local M = {}

local Scalar = {}
Scalar.__tostring = function(s) return ("pah.%s(%s)"):format(s.name, tostring(s.value[0])) end

local ctypes = {
  i8 = "int8_t", i16 = "int16_t", i32 = "int32_t", i64 = "int64_t", u8 = "uint8_t", u16 = "uint16_t", u32 = "uint32_t",
  u64 = "uint64_t", f32 = "float", f64 = "double",
}
local ranges = {
  i8 = {-2 ^ 7, 2 ^ 7 - 1}, i16 = {-2 ^ 15, 2 ^ 15 - 1}, i32 = {-2 ^ 31, 2 ^ 31 - 1}, i64 = {-2 ^ 63, 2 ^ 63},
  u8 = {0, 2 ^ 8 - 1}, u16 = {0, 2 ^ 16 - 1}, u32 = {0, 2 ^ 32 - 1}, u64 = {0, 2 ^ 64},
}

-- A cell of the C type `name` (see ctypes) that holds the number or 64-bit cdata `value`.
local function cell(name, value, what)
  local range = ranges[name]
  if type(value) == "number" and range and (value % 1 ~= 0 or value < range[1] or value > range[2]) then
    errors.raisef("%s: is %s, must be a whole number that fits into %s", what, tostring(value), name)
  elseif type(value) == "boolean" then
    value = value and 1 or 0
  elseif type(value) ~= "number" and not (ffi.istype("int64_t", value) or ffi.istype("uint64_t", value)) then
    errors.raisef("%s: is a %s, must be a number", what, type(value))
  end
  return ffi.new(ctypes[name] .. "[1]", ffi.cast(ctypes[name], value))
end

local exports = {}
for name in pairs(ctypes) do
  exports[name] = function(value) return setmetatable({name = name, value = cell(name, value, name)}, Scalar) end
end

M.Scalar, M.ctypes, M.cell, M.exports = Scalar, ctypes, cell, exports

return M
