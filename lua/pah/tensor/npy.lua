-- npy.lua - NumPy's .npy files: format 1.0 to 3.0 read, 1.0 written. Promises: a truncated, oversized or inconsistent
-- file is an error that names it; nothing is read outside of it; a new file replaces the old one when it is whole.
-- bf16 and fp8 have no NumPy dtype: they are refused by name (use safetensors, or :to("f32")).
local ffi = require "ffi"
local errors = require "pah.errors"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local files = require "pah.util.whole_file"
local small_integers = require "pah.tensor.small_integers"
local raisef = errors.raisef

local M = {}

local descr_of = {f32 = "<f4", f64 = "<f8", f16 = "<f2", i32 = "<i4", i64 = "<i8", u8 = "|u1"}
local dtype_of = {f2 = "f16", f4 = "f32", f8 = "f64", i4 = "i32", i8 = "i64", u1 = "u8", b1 = "u8"}
local CHUNK = 2 ^ 24 -- bytes read at a time: a Lua string cannot hold a large tensor

--- Writes tensor t to path.
function M.save(t, path)
  local descr = descr_of[t.dtype]
  if not descr then raisef('save: %s has no NumPy dtype; use pah.safetensors.save, or t:to("f32")', t.dtype) end
  local shape = table.concat(t.shape, ", ")
  if #t.shape == 1 then shape = shape .. "," end
  local header = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"):format(descr, shape)
  header = header .. (" "):rep(-(10 + #header + 1) % 64) .. "\n"
  local host = t:to(devices.get "cpu"):contiguous()
  files.write(path, function(put)
    put("\147NUMPY\1\0" .. string.char(#header % 256, math.floor(#header / 256)) .. header)
    put(host.raw.data, host.nbytes)
  end, "save")
end

-- The values of the header, a Python dictionary literal of three known keys: its quotes may be single or double.
local function header_fields(path, header)
  local _, _, descr = header:match "(['\"])descr%1%s*:%s*(['\"])([^'\"]*)%2"
  local _, order = header:match "(['\"])fortran_order%1%s*:%s*(%a+)"
  local _, shape = header:match "(['\"])shape%1%s*:%s*%(([%d%s,L]*)%)"
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

local function swap_bytes(p, numel, size)
  for i = 0, numel - 1 do
    for j = 0, size / 2 - 1 do
      local a, b = i * size + j, i * size + size - 1 - j
      p[a], p[b] = p[b], p[a]
    end
  end
end

-- The header's text and how many bytes of data follow it; the file stands at the first of them.
local function read_header(path, file)
  local total = file:seek "end"
  if not total or not file:seek("set", 0) then raisef("%s: cannot be read", path) end
  local start = file:read(10)
  if not start then raisef(total == 0 and "%s: not a .npy file" or "%s: cannot be read", path) end
  if start:sub(1, 6) ~= "\147NUMPY" or #start < 10 then raisef("%s: not a .npy file", path) end
  local major, minor, low, high = start:byte(7, 10)
  if major < 1 or major > 3 then raisef("%s: format %d.%d is not known", path, major, minor) end
  local length, read = low + 256 * high, 10
  if major > 1 then
    local more = file:read(2)
    if not more or #more < 2 then raisef("%s: truncated in the header", path) end
    length, read = length + 2 ^ 16 * more:byte(1) + 2 ^ 24 * more:byte(2), 12
  end
  if read + length > total then raisef("%s: truncated: the header says %d bytes", path, length) end
  return file:read(length) or "", total - read - length
end

-- NumPy's kind ("f4"), bytes of an element, whether they are swapped, whether in Fortran order, shape and number of
-- elements.
local function layout_of(path, header)
  local descr, fortran, sizes = header_fields(path, header)
  local order, kind = descr:match "^([<>|=]?)(%a%d+)$"
  if not kind or not (dtype_of[kind] or small_integers.wider(kind)) then
    raisef("%s: dtype '%s' has no equal here (f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 b1 are read)", path, descr)
  end
  local shape, numel = tensor.shape(path, sizes)
  return kind, tonumber(kind:sub(2)), order == ">", fortran, shape, numel
end

local function reverse(list)
  local reversed = {}
  for i = 1, #list do reversed[i] = list[#list + 1 - i] end
  return reversed
end

local function load_open(path, file)
  local header, data = read_header(path, file)
  local kind, size, swapped, fortran, shape, numel = layout_of(path, header)
  if data ~= numel * size then
    raisef("%s: holds %d bytes of data, its shape and dtype need %.0f", path, data, numel * size)
  end
  -- Fortran order: the reversed shape in C order, then reversed.
  local stored, dtype = fortran and reverse(shape) or shape, dtype_of[kind]
  local t = tensor.new(dtype and stored or {data}, dtype or "u8", devices.get "cpu")
  local bytes = ffi.cast("uint8_t *", t.raw.data)
  local at = 0
  while at < data do
    local chunk = file:read(math.min(CHUNK, data - at))
    if not chunk then raisef("%s: truncated while it was read", path) end
    ffi.copy(bytes + at, chunk, #chunk)
    at = at + #chunk
  end
  if swapped and size > 1 then swap_bytes(bytes, numel, size) end
  if not dtype then t = small_integers.read(kind, t.raw.data, stored) end
  if fortran and #shape > 1 then
    local order = {}
    for i = 1, #shape do order[i] = i end
    t = t:permute(reverse(order))
  end
  return t
end

--- The tensor in a .npy file; opts: device.
function M.load(path, opts)
  local device = opts and opts.device and devices.get(opts.device)
  local file, why = io.open(path, "rb")
  if not file then raisef("%s", why) end
  local ok, t = pcall(load_open, path, file)
  file:close()
  if not ok then error(t, 0) end
  return device and t:to(device) or t
end

return M
