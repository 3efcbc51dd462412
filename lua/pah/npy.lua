-- npy.lua - NumPy's .npy files (format 1.0 to 3.0 read, 1.0 written): t:save(path) and pah.load(path).
-- Promises: a truncated, oversized or lying file is an error that names the file; nothing is read outside of it.
-- bf16 and fp8 have no NumPy dtype: they are refused by name (use safetensors, or :to("f32")).
local ffi = require "ffi"
local errors = require "pah.errors"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local raisef = errors.raisef

local M = {}

local descr_of = {f32 = "<f4", f64 = "<f8", f16 = "<f2", i32 = "<i4", i64 = "<i8", u8 = "|u1"}
local dtype_of = {f2 = "f16", f4 = "f32", f8 = "f64", i4 = "i32", i8 = "i64", u1 = "u8", b1 = "u8"}

--- Writes tensor t to path.
function M.save(t, path)
  tensor.want("save: tensor", t)
  if type(path) ~= "string" then raisef("save: path is a %s, must be a string", type(path)) end
  local descr = descr_of[t.dtype]
  if not descr then raisef('save: %s has no NumPy dtype; use pah.safetensors.save, or t:to("f32")', t.dtype) end
  local shape = table.concat(t.shape, ", ")
  if #t.shape == 1 then shape = shape .. "," end
  local header = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"):format(descr, shape)
  header = header .. (" "):rep(-(10 + #header + 1) % 64) .. "\n"
  local host = t:to(devices.get "cpu"):contiguous()
  local file, why = io.open(path, "wb")
  if not file then raisef("save: %s", why) end
  local ok = file:write("\147NUMPY\1\0", string.char(#header % 256, math.floor(#header / 256)), header)
    and file:write(ffi.string(host:data(), t.nbytes))
  local closed = file:close()
  if not (ok and closed) then raisef("save: %s could not be written in full", path) end
end

-- The value of a key of the header, a Python dictionary literal of three known keys.
local function header_fields(path, header)
  local descr = header:match "'descr'%s*:%s*'([^']*)'"
  local order = header:match "'fortran_order'%s*:%s*(%a+)"
  local shape = header:match "'shape'%s*:%s*%(([%d%s,L]*)%)"
  if not (header:match "^%s*{" and descr and shape and (order == "True" or order == "False")) then
    raisef("%s: not a header of a plain array (descr, fortran_order and shape are needed)", path)
  end
  local sizes = {}
  for digits in shape:gmatch "%d+" do
    sizes[#sizes + 1] = tonumber(digits)
    if #digits > 15 then raisef("%s: shape has a size of %s", path, digits) end
  end
  return descr, order == "True", sizes
end

local function read_all(path)
  local file, why = io.open(path, "rb")
  if not file then raisef("%s", why) end
  local text = file:read "*a"
  file:close()
  if not text then raisef("%s: cannot be read", path) end
  return text
end

local function swap_bytes(p, numel, size)
  for i = 0, numel - 1 do
    for j = 0, size / 2 - 1 do
      local a, b = i * size + j, i * size + size - 1 - j
      p[a], p[b] = p[b], p[a]
    end
  end
end

--- The tensor in a .npy file; opts: device.
function M.load(path, opts)
  errors.check_keys("load", opts, {device = true})
  if type(path) ~= "string" then raisef("load: path is a %s, must be a string", type(path)) end
  local text = read_all(path)
  local major = text:byte(7)
  if text:sub(1, 6) ~= "\147NUMPY" or #text < 10 then raisef("%s: not a .npy file", path) end
  if major < 1 or major > 3 then raisef("%s: format %d.%d is not known", path, major, text:byte(8)) end
  local length_bytes = major == 1 and 2 or 4
  local start = 9 + length_bytes
  if #text < start - 1 then raisef("%s: truncated in the header", path) end
  local length = 0
  for i = length_bytes, 1, -1 do length = length * 256 + text:byte(8 + i) end
  if start - 1 + length > #text then raisef("%s: truncated: the header says %d bytes", path, length) end
  local descr, fortran, sizes = header_fields(path, text:sub(start, start - 1 + length))
  local order, kind = descr:match "^([<>|=]?)(%a%d+)$"
  local dtype = kind and dtype_of[kind]
  if not dtype then raisef("%s: dtype '%s' has no equal here (f2 f4 f8 i4 i8 u1 b1 are read)", path, descr) end
  local shape, numel = tensor.shape(path, sizes)
  local size = tonumber(kind:sub(2))
  local data = #text - (start - 1) - length
  if data ~= numel * size then
    raisef("%s: holds %d bytes of data, its shape and dtype need %.0f", path, data, numel * size)
  end
  if fortran then -- the reversed shape in C order, then turned round
    local reversed = {}
    for i = 1, #shape do reversed[i] = shape[#shape + 1 - i] end
    shape = reversed
  end
  local t = tensor.new(shape, dtype, devices.get "cpu")
  local bytes = ffi.cast("uint8_t *", t.raw.data)
  ffi.copy(bytes, ffi.cast("const char *", text) + start - 1 + length, data)
  if order == ">" and size > 1 then swap_bytes(bytes, numel, size) end
  if fortran and #shape > 1 then
    local back = {}
    for i = 1, #shape do back[i] = #shape + 1 - i end
    t = t:permute(back)
  end
  return opts and opts.device and t:to(devices.get(opts.device)) or t
end

M.exports = {load = M.load}

return M
