-- create.lua - new tensors: pah.empty, zeros, ones, full, arange, tensor (of nested tables), from (borrowed memory).
-- Promises: shapes, options and the kind of every argument are checked before anything is allocated or read.
-- Read next: random.lua, which fills them with numbers.
local ffi = require "ffi"
local errors = require "pah.errors"
local devices = require "pah.device"
local program = require "pah.host"
local C = require("pah.ffi").C
local raisef = errors.raisef
local CHUNK = 2 ^ 22 -- numbers of arange between two looks for Ctrl-C

return function(M)
  local methods, exports = M.methods, M.exports
  local option_keys = {dtype = true, device = true}

  --- A new tensor from a constructor's shape and options; extra: further option names that are known.
  function M.construct(what, shape, opts, extra)
    errors.check_keys(what, opts, extra or option_keys)
    opts = opts or {}
    shape = M.shape(what, shape)
    M.dtype(what .. ": dtype", opts.dtype == nil and "f32" or opts.dtype)
    return M.new(shape, opts.dtype or "f32", devices.get(opts.device))
  end

  --- Uninitialised tensor.
  function exports.empty(shape, opts) return M.construct("empty", shape, opts) end
  function exports.zeros(shape, opts) return methods.fill(M.construct("zeros", shape, opts), 0) end
  function exports.ones(shape, opts) return methods.fill(M.construct("ones", shape, opts), 1) end

  -- Whether v can be an element: a number, or an int64 (any cdata that converts to a number).
  local function is_number(v)
    return type(v) == "number" or type(v) == "cdata" and not M.is_tensor(v) and tonumber(v) ~= nil
  end

  --- Tensor filled with a number (or int64 cdata).
  function exports.full(shape, value, opts)
    if not is_number(value) then
      raisef("full: value is a %s, must be a number", M.is_tensor(value) and "tensor" or type(value))
    end
    return methods.fill(M.construct("full", shape, opts), value)
  end

  --- [0, 1, ..., n-1].
  function exports.arange(n, opts)
    M.whole("arange: n", n)
    local t = M.construct("arange", {n}, opts)
    local numbers = M.new({n}, "f64", devices.get "cpu")
    local p = methods.data(numbers)
    for from = 0, n - 1, CHUNK do
      for i = from, math.min(from + CHUNK, n) - 1 do p[i] = i end
      if from + CHUNK < n and program.interrupted() then raisef("arange: interrupted") end
    end
    return methods.copy(t, numbers)
  end

  -- The shape of nested tables by their first elements.
  local function nested_shape(value)
    local shape = {}
    while type(value) == "table" do
      if #shape == C.PAH_MAX_DIMS then raisef("tensor: tables nest deeper than %d dimensions", #shape) end
      shape[#shape + 1] = #value
      value = value[1]
    end
    return shape
  end

  -- v as an int64: truncated toward zero, saturated, NaN 0, as pah_tensor_copy does it.
  local function to_int64(v)
    if type(v) == "cdata" then return v end
    if v ~= v then return 0 end
    if v >= 2 ^ 63 then return 0x7fffffffffffffffLL end
    if v < -2 ^ 63 then return -0x7fffffffffffffffLL - 1 end
    return v
  end

  -- Writes the elements of nested tables of `shape` to p in row-major order.
  local function read_nested(value, shape, p, exact)
    local at, index = 0, {} -- index: where it is, for errors

    local function place(d)
      local text = "tensor: element"
      for i = 1, d do text = ("%s[%d]"):format(text, index[i]) end
      return text
    end

    local function read(v, d)
      if d > #shape then
        if not is_number(v) then
          raisef("%s is a %s, must be a number", place(d - 1), M.is_tensor(v) and "tensor" or type(v))
        end
        p[at] = exact and to_int64(v) or v
        at = at + 1
        return
      end
      if type(v) ~= "table" then
        raisef("%s is a %s, must be a table of %d elements like the first", place(d - 1), type(v), shape[d])
      elseif #v ~= shape[d] then
        raisef("%s has %d, must have %d elements like the first", place(d - 1), #v, shape[d])
      end
      for i = 1, shape[d] do
        index[d] = i
        read(v[i], d + 1)
      end
    end
    read(value, 1)
  end

  --- Tensor from a number or from nested tables of numbers, all of one shape.
  function exports.tensor(value, opts)
    if type(value) ~= "table" and not is_number(value) then
      raisef("tensor: value is a %s, must be a number or nested tables of numbers",
        M.is_tensor(value) and "tensor" or type(value))
    end
    local shape = nested_shape(value)
    local t = M.construct("tensor", shape, opts)
    local exact = t.raw.dtype == C.PAH_I64
    local host = M.new(shape, exact and "i64" or "f64", devices.get "cpu")
    read_nested(value, shape, methods.data(host), exact)
    return methods.copy(t, host)
  end

  --- Tensor over memory at an FFI pointer or array, contiguous and borrowed: an array must be large enough; the
  --- caller guarantees a pointer's size. ptr and opts.owner are kept alive with this tensor and its views.
  function exports.from(ptr, shape, opts)
    errors.check_keys("from", opts, {dtype = true, device = true, owner = true})
    opts = opts or {}
    local c_type = type(ptr) == "cdata" and tostring(ffi.typeof(ptr)) or ""
    local is_array = c_type:find("%[[%d?]*%]>$") ~= nil
    if not is_array and not c_type:find "%*>$" then
      raisef("from: ptr is a %s, must be an FFI pointer or array", M.is_tensor(ptr) and "tensor"
        or c_type ~= "" and c_type or type(ptr))
    end
    local numel
    shape, numel = M.shape("from", shape)
    local raw = ffi.new("struct pah_tensor")
    raw.dtype = M.dtype("from: dtype", opts.dtype == nil and "f32" or opts.dtype)
    raw.device = devices.get(opts.device).handle
    raw.data = ffi.cast("void *", ptr)
    if raw.data == nil then raisef("from: ptr is NULL") end
    local bytes = numel * tonumber(C.pah_dtype_size(raw.dtype))
    if is_array and bytes > ffi.sizeof(ptr) then
      raisef("from: ptr holds %d bytes, the shape needs %.0f", ffi.sizeof(ptr), bytes)
    end
    M.set_contiguous(raw, shape)
    local t = M.adopt(nil, raw)
    M.owners[t] = {opts.owner, ptr}
    return t
  end
end
