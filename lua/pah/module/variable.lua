-- variable.lua - __device__ and __constant__ variables of a module: module:set(name, tensor), module:get(name, tensor).
-- Promises: a variable has as many bytes as the tensor, or nothing is written. Read next: init.lua.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local tensor = require "pah.tensor"

local C, check = binding.C, binding.check

local M = {}

local function check_arguments(name, value)
  if type(name) ~= "string" then errors.raisef("variable: is a %s, must be the name of a variable", type(name)) end
  if not tensor.is_tensor(value) then errors.raisef("variable: the value is a %s, must be a tensor", type(value)) end
end

local function bytes_of(value) return value:numel() * tonumber(C.pah_dtype_size(value.raw.dtype)) end

--- Sets a variable, "x" or "ns::x", to the tensor's elements.
function M.set(module, name, value)
  check_arguments(name, value)
  local packed = value:to("cpu"):contiguous()
  check(C.pah_module_set(module.handle, name, packed.raw.data, bytes_of(packed)))
end

--- Fills the tensor, on the cpu and contiguous, with a variable's bytes; returns it.
function M.get(module, name, value)
  check_arguments(name, value)
  if value.device.name ~= "cpu" or not value:is_contiguous() then
    errors.raise "variable: the tensor must be on the cpu and contiguous"
  end
  check(C.pah_module_get(module.handle, name, value.raw.data, bytes_of(value)))
  return value
end

return M
