-- safetensors.lua - reading (mapped, without a copy) and writing .safetensors files.
-- The file: 8 bytes little-endian length, a JSON header {name: {dtype, shape, data_offsets}}, the data.
-- Promises: every inconsistency in a file is an error that names the file and the tensor; nothing is read outside of
-- the data; tensors whose dtype pah cannot read are left out with a note, and the others are there.
local ffi = require "ffi"
local errors = require "pah.errors"
local json = require "pah.util.json"
local safe = require "pah.util.safe_text"
local tensor = require "pah.tensor"
local devices = require "pah.device"
local files = require "pah.util.whole_file"
local small_integers = require "pah.tensor.small_integers"
local binding = require "pah.ffi"
local C, check = binding.C, binding.check
local raisef = errors.raisef

local M = {}

local MAX_HEADER = 100e6 -- the format's own limit
local dtypes = {F32 = "f32", F64 = "f64", F16 = "f16", BF16 = "bf16", F8_E4M3 = "fp8_e4m3", F8_E5M2 = "fp8_e5m2",
  I32 = "i32", I64 = "i64", U8 = "u8", BOOL = "u8"}
local small = {I8 = "i1", I16 = "i2", U16 = "u2", U32 = "u4"} -- read as wider integers
local names = {}
for name, dtype in pairs(dtypes) do
  if name ~= "BOOL" then names[dtype] = name end
end

local function is_array(value) return type(value) == "table" and value ~= json.null and not json.is_object(value) end

local function whole(value) return type(value) == "number" and value % 1 == 0 and value >= 0 and value < 2 ^ 53 end

-- The header of a mapped file: the decoded object and where the data starts.
local function header_of(path, buffer)
  local bytes = tonumber(C.pah_buffer_bytes(buffer))
  local base = ffi.cast("const uint8_t *", C.pah_buffer_data(buffer))
  if bytes < 8 then raisef("%s: %d bytes are too few for a safetensors file", path, bytes) end
  local length = 0
  for i = 7, 0, -1 do length = length * 256 + base[i] end
  if length > MAX_HEADER then raisef("%s: its header claims %.0f bytes, more than the %.0f allowed", path, length,
    MAX_HEADER) end
  if 8 + length > bytes then raisef("%s: its header claims %.0f bytes, the file has %d", path, length, bytes) end
  local header, why = json.try_decode(ffi.string(base + 8, length), path .. " (header)")
  if why then raisef("%s", why) end
  if not json.is_object(header) then raisef("%s: its header is not a JSON object", path) end
  return header, 8 + length
end

-- The checked entry of a tensor: {name, dtype, shape, begin, stop}, offsets relative to the data.
local function entry_of(path, name, e, data)
  local function lie(format, ...) raisef("%s: tensor %q: " .. format, path, name, ...) end
  if not json.is_object(e) then lie("is not an object") end
  if type(e.dtype) ~= "string" then lie("dtype %s is not a name", tostring(e.dtype)) end
  local dtype, kind = dtypes[e.dtype], small[e.dtype]
  local size = dtype and tonumber(C.pah_dtype_size(C.pah_dtype_from_name(dtype))) or kind and tonumber(kind:sub(2))
  if not is_array(e.shape) or not is_array(e.data_offsets) then lie("has no shape or no data_offsets") end
  local need, extent = size or 1, 1 -- extent: the product without zeros, which the strides must hold
  for i, n in ipairs(e.shape) do
    if not whole(n) then lie("shape[%d] is %s, must be a whole number >= 0", i, tostring(n)) end
    need, extent = need * n, extent * math.max(n, 1)
  end
  if extent >= 2 ^ 53 then lie("shape [%s] is too large", table.concat(e.shape, ", ")) end
  if #e.shape > C.PAH_MAX_DIMS then lie("has %d dimensions, at most %d are possible", #e.shape, C.PAH_MAX_DIMS) end
  local begin, stop = e.data_offsets[1], e.data_offsets[2]
  if #e.data_offsets ~= 2 or not whole(begin) or not whole(stop) then lie("data_offsets are not two whole numbers") end
  if begin > stop or stop > data then
    lie("data_offsets [%.0f, %.0f] are outside the %.0f bytes of data", begin, stop, data)
  end
  if size and need ~= stop - begin then lie("its shape and dtype need %.0f bytes, its data_offsets hold %.0f", need,
    stop - begin) end
  return {name = name, dtype = dtype, kind = kind, stored = e.dtype, size = size, shape = e.shape, begin = begin,
    stop = stop}
end

-- All entries, which must cover the data without overlap or hole.
local function entries_of(path, header, data)
  local list = {}
  for name, e in json.pairs(header) do
    if name ~= "__metadata__" then list[#list + 1] = entry_of(path, name, e, data) end
  end
  local order = {}
  for i, e in ipairs(list) do order[i] = e end
  table.sort(order, function(a, b) return a.begin < b.begin or (a.begin == b.begin and a.stop < b.stop) end)
  local covered = 0
  for _, e in ipairs(order) do
    if e.begin < covered then raisef("%s: tensor %q overlaps another one", path, e.name) end
    if e.begin > covered then raisef("%s: there is a hole of %.0f bytes before tensor %q", path, e.begin - covered,
      e.name) end
    covered = e.stop
  end
  if covered ~= data then raisef("%s: %.0f bytes follow the last tensor", path, data - covered) end
  return list
end

local function tensor_of(e, buffer, data_start, device)
  local address = ffi.cast("char *", C.pah_buffer_data(buffer)) + data_start + e.begin
  if e.kind then return small_integers.read(e.kind, address, e.shape) end
  local t = tensor.new({0}, e.dtype, device)
  local raw = ffi.new("struct pah_tensor")
  ffi.copy(raw, t.raw, ffi.sizeof(raw))
  local stride = 1
  raw.ndim = #e.shape
  for i = #e.shape, 1, -1 do
    raw.shape[i - 1], raw.stride[i - 1] = e.shape[i], stride
    stride = stride * math.max(e.shape[i], 1)
  end
  if (data_start + e.begin) % e.size == 0 then
    raw.data = address
    return tensor.wrap(buffer, raw)
  end
  local copy = tensor.new(e.shape, e.dtype, device) -- misaligned in the file: a copy
  ffi.copy(copy.raw.data, address, e.stop - e.begin)
  return copy
end

--- The tensors of a file by name, its metadata ({string = string} or nil), and what was left out ({name = dtype})
--- because pah has no dtype for it, which is told on stderr too. They share the mapped file, privately: writing to them
--- does not change it. i8, i16 and u16 become i32, u32 becomes i64, in memory of their own.
function M.load(path, opts)
  errors.check_keys("safetensors.load", opts, {device = true})
  if type(path) ~= "string" then raisef("safetensors.load: path is a %s, must be a string", type(path)) end
  local host = devices.get "cpu"
  local holder = ffi.new("struct pah_buffer *[1]")
  check(C.pah_buffer_map(host.handle, path, holder))
  local buffer = ffi.gc(holder[0], C.pah_buffer_release)
  local header, start = header_of(path, buffer)
  local data = tonumber(C.pah_buffer_bytes(buffer)) - start
  local result, left_out = {}, {}
  for _, e in ipairs(entries_of(path, header, data)) do
    if e.size then
      local t = tensor_of(e, buffer, start, host)
      result[e.name] = opts and opts.device and t:to(devices.get(opts.device)) or t
    else
      left_out[e.name] = e.stored
      io.stderr:write(("pah: %s: tensor %s is left out: pah cannot read its dtype, %s\n"):format(safe.line(path),
        safe.line(e.name), safe.line(e.stored)))
    end
  end
  return result, header.__metadata__, left_out
end

--- Writes {name = tensor} to path: beside it first, then renamed, so that no reader sees half a file.
--- metadata: optional {string = string}.
function M.save(path, tensors, metadata)
  if type(path) ~= "string" then raisef("safetensors.save: path is a %s, must be a string", type(path)) end
  if path:match "%.npy$" then raisef("safetensors.save: path is %s, must not end in .npy: use t:save", path) end
  if type(tensors) ~= "table" then raisef("safetensors.save: tensors is a %s, must be a table", type(tensors)) end
  local header, order, at = {}, {}, 0
  for name in pairs(tensors) do
    if type(name) ~= "string" then raisef("safetensors.save: name %s is not a string", tostring(name)) end
    if name == "__metadata__" then raisef("safetensors.save: a tensor cannot be named %s", name) end
    order[#order + 1] = name
  end
  table.sort(order, function(a, b) -- large elements first keeps all aligned, as the format's own writers do
    local x, y = tensor.want(a, tensors[a]), tensor.want(b, tensors[b])
    local sx, sy = C.pah_dtype_size(x.raw.dtype), C.pah_dtype_size(y.raw.dtype)
    if sx ~= sy then return sx > sy end
    return a < b
  end)
  if metadata ~= nil and type(metadata) ~= "table" then
    raisef("safetensors.save: metadata is a %s, must be a table", type(metadata))
  end
  for key, value in pairs(metadata or {}) do
    if type(key) ~= "string" or type(value) ~= "string" then
      raisef("safetensors.save: metadata %s is a %s, must be a string", tostring(key), type(value))
    end
  end
  if metadata and next(metadata) then header.__metadata__ = metadata end
  for _, name in ipairs(order) do
    local t = tensor.want(name, tensors[name])
    header[name] = {dtype = names[t.dtype], shape = t.shape, data_offsets = {at, at + t.nbytes}}
    at = at + t.nbytes
  end
  local text = next(header) and json.encode(header) or "{}"
  text = text .. (" "):rep(-#text % 8)
  local length = {}
  for i = 1, 8 do length[i] = string.char(math.floor(#text / 256 ^ (i - 1)) % 256) end
  files.write(path, function(put)
    put(table.concat(length) .. text)
    for _, name in ipairs(order) do
      local host = tensors[name]:to(devices.get "cpu"):contiguous()
      put(host.raw.data, host.nbytes)
    end
  end, "safetensors.save")
end

M.exports = {safetensors = {load = M.load, save = M.save}}

return M
