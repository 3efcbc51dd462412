-- init.lua - the tensor of Lua: a struct pah_array (view and reference on its memory) with methods.
-- Promises: views share memory, which is freed with the last of them; every wrong argument is an error at the script's
-- line.
-- Read next: create.lua (zeros, from, ...), views.lua (shape and strides), index.lua (t[...]), print.lua (tostring).
local ffi = require "ffi"
local errors = require "pah.errors"
local binding = require "pah.ffi"
local devices = require "pah.device"
local C, check = binding.C, binding.check
local raisef = errors.raisef

local M = {methods = {}, properties = {}, metamethods = {}}
local methods, properties = M.methods, M.properties
local Array = ffi.typeof("struct pah_array")
local PAH_MAX_DIMS = C.PAH_MAX_DIMS

--- Whether x is a tensor.
function M.is_tensor(x) return ffi.istype(Array, x) end

--- Raises unless x is a tensor that has not been freed; `what` names the argument. Returns x.
function M.want(what, x)
  if not M.is_tensor(x) then raisef("%s: is a %s, must be a tensor", what, type(x)) end
  if x.raw.dtype == 0 then raisef("%s: the tensor was freed", what) end
  return x
end

--- Raises unless x is a whole number; returns it.
function M.whole(what, x)
  if type(x) ~= "number" or x % 1 ~= 0 then raisef("%s: is %s, must be a whole number", what, tostring(x)) end
  return x
end

-- What other libraries call the dtypes.
local aliases = {
  float32 = "f32", float = "f32", single = "f32", fp32 = "f32", float64 = "f64", double = "f64", fp64 = "f64",
  float16 = "f16", half = "f16", fp16 = "f16", bfloat16 = "bf16", float8_e4m3fn = "fp8_e4m3", float8_e4m3 = "fp8_e4m3",
  e4m3 = "fp8_e4m3", fp8 = "fp8_e4m3", float8_e5m2 = "fp8_e5m2", e5m2 = "fp8_e5m2", int32 = "i32", int = "i32",
  int64 = "i64", long = "i64", uint8 = "u8", byte = "u8", bool = "u8",
}

--- Which dtype is meant by a name that is none: `, did you mean "f32"?` for float32, or nothing.
function M.dtype_hint(name)
  local alias = type(name) == "string" and aliases[name:lower():gsub("^torch%.", "")]
  if alias then return (', did you mean "%s"?'):format(alias) end
  local known = {}
  for d = 1, C.PAH_DTYPE_COUNT - 1 do known[ffi.string(C.pah_dtype_name(d))] = true end
  return errors.hint(name, known)
end

--- The number of a dtype's name; raises for others.
function M.dtype(what, name)
  local dtype = type(name) == "string" and C.pah_dtype_from_name(name) or 0
  if dtype == 0 then
    local names = {}
    for d = 1, C.PAH_DTYPE_COUNT - 1 do names[d] = ffi.string(C.pah_dtype_name(d)) end
    local is = type(name) == "string" and ('"%s"'):format(name) or type(name) == "table" and "a table" or tostring(name)
    raisef("%s: is %s, must be one of %s%s", what, is, table.concat(names, ", "), M.dtype_hint(name))
  end
  return dtype
end

--- A shape from a table of sizes (or one number): checked, copied; also the number of elements.
function M.shape(what, shape)
  if type(shape) == "number" then shape = {shape} end
  if type(shape) ~= "table" then raisef("%s: shape is a %s, must be a table of sizes", what, type(shape)) end
  if #shape > PAH_MAX_DIMS then raisef("%s: shape has %d dimensions, must have at most %d", what, #shape,
    PAH_MAX_DIMS) end
  for key in pairs(shape) do
    if type(key) ~= "number" or key < 1 or key > #shape then
      raisef("%s: shape has the key %s, must be a list of sizes (options come in a second table)", what,
        tostring(key))
    end
  end
  local numel, reach = 1, 1
  local copy = {}
  for i = 1, #shape do
    local n = shape[i]
    if type(n) ~= "number" or n % 1 ~= 0 or n < 0 then
      raisef("%s: shape[%d] is %s, must be a whole number >= 0", what, i, tostring(n))
    end
    copy[i] = n
    numel = numel * n
    reach = reach * math.max(n, 1) -- strides must fit too where another size is 0
  end
  if reach >= 2 ^ 53 then raisef("%s: shape has %.3g elements, more than 2^53", what, reach) end
  return copy, numel
end

--- A new object over `raw` (copied) that takes over one reference on `buffer` (NULL: borrowed memory).
function M.adopt(buffer, raw)
  local t = Array()
  t.raw = raw
  t.buffer = buffer
  if buffer ~= nil then ffi.gc(t, M.release) end
  return t
end

function M.release(t)
  C.pah_buffer_release(t.buffer)
  t.buffer = nil
end

--- A new object over `raw` that shares `buffer` with others.
function M.wrap(buffer, raw)
  if buffer ~= nil then C.pah_buffer_retain(buffer) end
  return M.adopt(buffer, raw)
end

M.owners = setmetatable({}, {__mode = "k"}) -- tensor -> what keeps its borrowed memory alive

--- A view of t: a new object over `raw` that keeps t's memory alive, borrowed or not.
function M.view_of(t, raw)
  local view = M.wrap(t.buffer, raw)
  if t.buffer == nil then M.owners[view] = M.owners[t] end
  return view
end

-- Sets shape and strides of packed row-major elements.
function M.set_contiguous(raw, shape)
  local stride = 1
  for i = #shape, 1, -1 do
    raw.shape[i - 1] = shape[i]
    raw.stride[i - 1] = stride
    stride = stride * math.max(shape[i], 1)
  end
  raw.ndim = #shape
end

local new_buffer = ffi.new("struct pah_buffer *[1]")

-- Lua's collector sees a tensor as a few bytes and would let dropped ones fill the memory. So count what is allocated,
-- and collect when as much was allocated since the last time as was alive then, and at least SLACK bytes.
local SLACK = 256 * 2 ^ 20
local since, limit = 0, SLACK
local account = ffi.new("struct pah_memory")

local function collect_when_due(handle, bytes)
  since = since + bytes
  if since < limit then return end
  collectgarbage()
  C.pah_device_get_memory(handle, account)
  since, limit = bytes, math.max(SLACK, tonumber(account.bytes))
end

--- Uninitialised tensor of a shape (table), dtype (name) and device (object).
function M.new(shape, dtype, device)
  local numel
  shape, numel = M.shape("tensor", shape)
  local raw = ffi.new("struct pah_tensor")
  raw.dtype = M.dtype("dtype", dtype)
  raw.device = device.handle
  M.set_contiguous(raw, shape)
  local bytes = numel * tonumber(C.pah_dtype_size(raw.dtype))
  collect_when_due(device.handle, bytes)
  local status = C.pah_buffer_new(device.handle, bytes, new_buffer)
  if status == C.PAH_ENOMEM then -- garbage may hold memory that Lua does not know the size of
    collectgarbage()
    collectgarbage()
    status = C.pah_buffer_new(device.handle, bytes, new_buffer)
  end
  check(status)
  raw.data = C.pah_buffer_data(new_buffer[0])
  return M.adopt(new_buffer[0], raw)
end

-- ---- Properties -------------------------------------------------------------------------------------------

local function list(values, n)
  local t = {}
  for i = 1, n do t[i] = tonumber(values[i - 1]) end
  return t
end

function properties.shape(t) return list(t.raw.shape, t.raw.ndim) end
function properties.strides(t) return list(t.raw.stride, t.raw.ndim) end
function properties.dtype(t) return ffi.string(C.pah_dtype_name(t.raw.dtype)) end
function properties.device(t) return devices.of(t.raw.device) end
function properties.nbytes(t) return methods.numel(t) * tonumber(C.pah_dtype_size(t.raw.dtype)) end

--- Number of dimensions.
function methods.dim(t) return t.raw.ndim end

--- A dimension (1-based; negative counts from the last) checked; `what` names the method.
function M.dimension(what, t, d)
  local n = t.raw.ndim
  M.whole(what .. ": dimension", d)
  if d < 0 then d = n + 1 + d end
  if d < 1 or d > n then raisef("%s: dimension is %d, must be 1 to %d", what, d, n) end
  return d
end

--- Size of dimension d; without d the shape.
function methods.size(t, d)
  if d == nil then return properties.shape(t) end
  return tonumber(t.raw.shape[M.dimension("size", t, d) - 1])
end

--- Number of elements.
function methods.numel(t) return tonumber(C.pah_tensor_numel(t.raw)) end

--- Whether the elements lie one behind another in row-major order.
function methods.is_contiguous(t) return C.pah_tensor_is_contiguous(t.raw) == 1 end

-- ---- Contents ---------------------------------------------------------------------------------------------

--- Copies src (a tensor of the same shape; any dtype and device) into t; returns t.
function methods.copy(t, src)
  M.want("copy: src", src)
  local a, b = properties.shape(t), properties.shape(src)
  if table.concat(a, ",") ~= table.concat(b, ",") then
    raisef("copy: src has shape [%s], must have [%s]", table.concat(b, ", "), table.concat(a, ", "))
  end
  check(C.pah_tensor_copy(t.raw, src.raw))
  return t
end

--- Sets every element to the number v (an int64 cdata stays exact in i64); returns t.
function methods.fill(t, v)
  if type(v) == "cdata" and not M.is_tensor(v) and tonumber(v) then
    local one = M.new({}, "i64", properties.device(t))
    check(C.pah_tensor_set_i64(one.raw, v))
    return methods.copy(t, methods.expand(one, properties.shape(t)))
  end
  if type(v) ~= "number" then raisef("fill: value is a %s, must be a number", type(v)) end
  check(C.pah_tensor_fill(t.raw, v))
  return t
end

--- Sets every element to 0; returns t.
function methods.zero(t) return methods.fill(t, 0) end

--- A packed copy in new memory.
function methods.clone(t)
  return methods.copy(M.new(properties.shape(t), properties.dtype(t), properties.device(t)), t)
end

--- 64 bits of hash of the values' bits, as 16 hexadecimal digits: the same for the same bits on every device.
function methods.hash(t)
  local packed, hash = methods.contiguous(t), ffi.new "uint64_t[1]"
  check(C.pah_tensor_hash(packed.raw, hash))
  return bit.tohex(tonumber(hash[0] / 2 ^ 32)) .. bit.tohex(tonumber(hash[0] % 2 ^ 32))
end

--- t itself if it is contiguous, else a packed copy.
function methods.contiguous(t) return methods.is_contiguous(t) and t or methods.clone(t) end

--- t with another dtype (a name), device (a name or an object) or both ({dtype =, device =}); t itself if nothing
--- changes.
function methods.to(t, what)
  local dtype, device = nil, nil
  if type(what) == "string" and C.pah_dtype_from_name(what) ~= 0 then
    dtype = what
  elseif type(what) == "table" and what.handle == nil then
    errors.check_keys("to", what, {dtype = true, device = true})
    dtype, device = what.dtype, what.device
  elseif what ~= nil then
    device = what
  else
    raisef("to: needs a dtype or a device")
  end
  if type(device) == "string" and aliases[device] then M.dtype("to: dtype", device) end
  if dtype ~= nil then M.dtype("to: dtype", dtype) end
  device = device == nil and properties.device(t) or devices.get(device)
  dtype = dtype or properties.dtype(t)
  if dtype == properties.dtype(t) and device.handle == t.raw.device then return t end
  return methods.copy(M.new(properties.shape(t), dtype, device), t)
end

local number = ffi.new("double[1]")
local integer = ffi.new("int64_t[1]")

--- The number that a struct pah_tensor of one element holds; an i64 beyond 2^53 comes as int64 cdata.
function M.read(raw)
  if raw.dtype == C.PAH_I64 then
    check(C.pah_tensor_get_i64(raw, integer))
    local x = tonumber(integer[0])
    return math.abs(x) < 2 ^ 53 and x or integer[0]
  end
  check(C.pah_tensor_get(raw, number))
  return number[0]
end

--- The number in a tensor of one element; an i64 beyond 2^53 comes as int64 cdata.
function methods.item(t) return M.read(t.raw) end

local c_types = {
  [C.PAH_F32] = ffi.typeof "float *", [C.PAH_F64] = ffi.typeof "double *", [C.PAH_I32] = ffi.typeof "int32_t *",
  [C.PAH_I64] = ffi.typeof "int64_t *", [C.PAH_U8] = ffi.typeof "uint8_t *", [C.PAH_F16] = ffi.typeof "uint16_t *",
  [C.PAH_BF16] = ffi.typeof "uint16_t *", [C.PAH_FP8_E4M3] = ffi.typeof "uint8_t *",
  [C.PAH_FP8_E5M2] = ffi.typeof "uint8_t *",
}

--- FFI pointer to the first element, 0-based: float, double, int32_t, int64_t, uint8_t, or the bits (uint16_t, uint8_t)
--- of f16, bf16 and fp8. The tensor must stay referenced while the pointer is used.
function methods.data(t) return ffi.cast(c_types[t.raw.dtype], t.raw.data) end

-- A contiguous host copy as doubles (or int64): what printing and tables read.
function M.values(t)
  local exact = t.raw.dtype == C.PAH_I64
  local host = M.new(properties.shape(t), exact and "i64" or "f64", devices.get "cpu")
  local values = methods.data(host)
  if exact then methods.copy(host, t) else check(C.pah_tensor_values(t.raw, values)) end
  return host, values
end

--- Nested tables of numbers; the number itself for a 0-D tensor.
function methods.totable(t)
  local host, values = M.values(t)
  local ndim, at = t.raw.ndim, 0
  local function build(d)
    if d == ndim then
      local x = tonumber(values[at])
      if host.raw.dtype == C.PAH_I64 and math.abs(x) >= 2 ^ 53 then x = values[at] end
      at = at + 1
      return x
    end
    local level = {}
    for i = 1, tonumber(t.raw.shape[d]) do level[i] = build(d + 1) end
    return level
  end
  return build(0)
end

--- Releases this view's share of the memory now; using it afterwards is an error.
function methods.free(t)
  ffi.gc(t, nil)
  if t.buffer ~= nil then M.release(t) end
  ffi.fill(t.raw, ffi.sizeof(t.raw))
end

M.exports = {is_tensor = M.is_tensor}

--- The names of all methods and properties, sorted: for completion and for the specs of the documents.
function M.names()
  local names = {}
  for name in pairs(methods) do names[#names + 1] = name end
  for name in pairs(properties) do names[#names + 1] = name end
  table.sort(names)
  return names
end

require("pah.tensor.create")(M)
require("pah.tensor.views")(M)
require("pah.tensor.arithmetic")(M)
require("pah.tensor.reductions")(M)
require("pah.tensor.matmul")(M)
require("pah.tensor.joining")(M)
require("pah.tensor.index")(M)
require("pah.tensor.print")(M)

-- Raises unless t is a tensor: t.numel() then is an error at the script's line.
local function check_self(name, t)
  if not ffi.istype(Array, t) then
    raisef("%s: called on a %s, must be a tensor: write t:%s(...), with a colon", name, type(t), name)
  end
  if t.raw.dtype == 0 and name ~= "free" then raisef("%s: the tensor was freed", name) end -- free twice is no error
end

local function checked(name, method)
  if debug.getinfo(method, "u").isvararg then
    return function(t, ...)
      check_self(name, t)
      return method(t, ...)
    end
  end
  return function(t, a, b, c) -- no "...", which LuaJIT compiles worse; no method has more arguments
    check_self(name, t)
    return method(t, a, b, c)
  end
end

--- Adds a method, which is called with a tensor that has not been freed.
function M.add_method(name, method) methods[name] = checked(name, method) end

for name, method in pairs(methods) do M.add_method(name, method) end

return M
