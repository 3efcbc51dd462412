-- tensor_map.lua - pah.tensor_map(tensor, {box=, swizzle=}): the argument of a kernel that copies boxes of the tensor
-- with the bulk tensor copies of sm_90 (TMA). The map keeps the tensor's memory alive. Read next: init.lua.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local ffi = require "ffi"
local tensor = require "pah.tensor"

local C, check = binding.C, binding.check

local M = {}

local swizzles = {[0] = C.PAH_SWIZZLE_NONE, [32] = C.PAH_SWIZZLE_32, [64] = C.PAH_SWIZZLE_64, [128] = C.PAH_SWIZZLE_128}
local keys = {box = true, swizzle = true}
local owners = setmetatable({}, {__mode = "k"})

--- A struct pah_tensor_map, for a parameter `const __grid_constant__ ptx::tensor_map`. box: elements of a box, in the
--- order of the tensor's dimensions; swizzle: 0, 32, 64 or 128 bytes.
local function tensor_map(t, options)
  tensor.want("tensor_map", t)
  if type(options) ~= "table" then errors.raise "tensor_map: options must be a table {box=, swizzle=}" end
  errors.check_keys("tensor_map", options, keys)
  local box, swizzle = options.box, options.swizzle or 0
  if type(box) ~= "table" or #box ~= t:dim() then
    errors.raisef("box: must be a table of %d numbers, one for each dimension of the tensor", t:dim())
  end
  if not swizzles[swizzle] then errors.raisef("swizzle: is %s, must be 0, 32, 64 or 128", tostring(swizzle)) end
  local c_box, map = ffi.new("int64_t[5]"), ffi.new "struct pah_tensor_map"
  for i = 1, math.min(#box, 5) do
    if type(box[i]) ~= "number" or box[i] % 1 ~= 0 then
      errors.raisef("box: item %d is %s, must be a whole number", i, tostring(box[i]))
    end
    c_box[i - 1] = box[i]
  end
  check(C.pah_tensor_map(t.raw, c_box, swizzles[swizzle], map))
  owners[map] = t
  return map
end

M.exports = {tensor_map = tensor_map}

return M
