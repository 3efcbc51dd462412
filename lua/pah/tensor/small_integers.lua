-- small_integers.lua - integers of files for which pah has no dtype, read as wider ones that hold every value: i8, i16
-- and u16 as i32, u32 as i64. Promises: memory at any address will do. Read next: npy.lua, safetensors.lua.
local ffi = require "ffi"
local devices = require "pah.device"
local tensor = require "pah.tensor"

local M = {}

local element = ffi.typeof [[union {
  int8_t i1; int16_t i2; uint16_t u2; uint32_t u4; uint8_t bytes[4];
}]]
local wider = {i1 = "i32", i2 = "i32", u2 = "i32", u4 = "i64"}

--- The dtype that holds the integers of `kind` (NumPy's name: "i1", "i2", "u2", "u4"); nil for other kinds.
function M.wider(kind) return wider[kind] end

--- A new tensor of M.wider(kind) on the cpu with the values of packed elements at an address.
function M.read(kind, address, shape)
  local t = tensor.new(shape, wider[kind], devices.get "cpu")
  local from, to, size, one = ffi.cast("const uint8_t *", address), t:data(), tonumber(kind:sub(2)), element()
  for i = 0, t:numel() - 1 do
    ffi.copy(one.bytes, from + i * size, size)
    to[i] = one[kind]
  end
  return t
end

return M
