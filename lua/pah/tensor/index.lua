-- index.lua - what t[...] and #t mean, and single elements: t[i], t[{i, {a, b}, {}}], t:get, t:set.
-- Indices are 1-based, both ends of a range included, negative ones count from the last, as in Torch7.
local ffi = require "ffi"
local errors = require "pah.errors"
local binding = require "pah.ffi"
local C, check = binding.C, binding.check
local raisef = errors.raisef

return function(M)
  local methods, properties = M.methods, M.properties

  -- The view that a list of indices names: a number selects, {} keeps all, {a, b} a range, {a} one kept dimension.
  -- Errors name the tensor's dimension i, where select and narrow would name the shrunken view's.
  local function slice(t, spec)
    if #spec > t.raw.ndim then raisef("index: names %d dimensions, the tensor has %d", #spec, t.raw.ndim) end
    local view, d = t, 1
    for i = 1, #spec do
      local item = spec[i]
      local size = tonumber(view.raw.shape[d - 1])
      if type(item) == "number" then
        if item % 1 == 0 and (item == 0 or item > size or item < -size) then
          raisef("index: %d of dimension %d is outside 1 to %d", item, i, size)
        end
        view = methods.select(view, d, item)
      elseif type(item) == "table" and #item <= 2 then
        if #item > 0 then
          local first, last = M.whole("index", item[1]), M.whole("index", item[2] or item[1])
          first = first < 0 and size + 1 + first or first
          last = last < 0 and size + 1 + last or last
          if first < 1 or last > size then
            raisef("index: elements %d to %d of dimension %d are outside 1 to %d", first, last, i, size)
          end
          view = methods.narrow(view, d, first, math.max(last - first + 1, 0))
        end
        d = d + 1
      else
        raisef("index: item %d is %s, must be a number, {first, last} or {}", i,
          type(item) == "table" and "a table of " .. #item or tostring(item))
      end
    end
    return view
  end

  local function value_or_view(view)
    if view.raw.ndim == 0 then return methods.item(view) end
    return view
  end

  local element = ffi.new("struct pah_tensor") -- the one that get and set look at: they make no view

  -- Points `element` at the element of the indices, one per dimension.
  local function find(what, t, ...)
    local raw, n = t.raw, select("#", ...)
    if n ~= raw.ndim then raisef("%s: has %d indices, must have %d", what, n, raw.ndim) end
    local indices, offset = {...}, 0
    for d = 1, n do
      local i, size = indices[d], tonumber(raw.shape[d - 1])
      if type(i) ~= "number" or i % 1 ~= 0 then
        raisef("%s: index %d is %s, must be a whole number", what, d, type(i) == "number" and i or "a " .. type(i))
      end
      local at = i < 0 and size + i or i - 1
      if at < 0 or at >= size then raisef("index: %d of dimension %d is outside 1 to %d", i, d, size) end
      offset = offset + at * tonumber(raw.stride[d - 1])
    end
    element.data = ffi.cast("char *", raw.data) + offset * tonumber(C.pah_dtype_size(raw.dtype))
    element.device, element.dtype = raw.device, raw.dtype
  end

  local function assign(v)
    if type(v) == "number" then
      check(C.pah_tensor_fill(element, v))
    elseif type(v) == "cdata" and not M.is_tensor(v) and tonumber(v) then
      check(C.pah_tensor_set_i64(element, v))
    else
      raisef("set: value is a %s, must be a number", M.is_tensor(v) and "tensor" or type(v))
    end
  end

  --- The element at (i, j, ...), one index per dimension; an i64 beyond 2^53 as int64 cdata.
  function methods.get(t, ...)
    find("get", t, ...)
    return M.read(element)
  end

  --- Sets the element at (i, j, ...) to v, a number or int64 cdata; returns t.
  function methods.set(t, v, ...)
    find("set", t, ...)
    assign(v)
    return t
  end

  local mt = M.metamethods

  function mt.__index(t, key)
    local kind = type(key)
    if kind == "string" then
      local method = methods[key]
      if t.raw.dtype == 0 and key ~= "free" then raisef("%s: the tensor was freed", key) end
      if method then return method end
      local property = properties[key]
      if property then return property(t) end
      local known = {}
      for _, name in ipairs(M.names()) do known[name] = true end
      raisef('tensor: no method or property "%s"%s', key, errors.hint(key, known))
    end
    M.want("index", t)
    if kind == "number" then
      if t.raw.ndim == 0 then raisef("index: the tensor has no dimension, use t:item()") end
      if t.raw.ndim > 1 then return methods.select(t, 1, key) end
      find("index", t, key)
      return M.read(element)
    elseif kind == "table" then
      return value_or_view(slice(t, key))
    end
    raisef("index: is a %s, must be a number, a table or a name", kind)
  end

  function mt.__newindex(t, key, value)
    M.want("index", t)
    local view
    if type(key) == "number" then
      if t.raw.ndim == 0 then raisef("index: the tensor has no dimension, use t:fill(v)") end
      if t.raw.ndim == 1 and not M.is_tensor(value) then
        find("index", t, key)
        return assign(value)
      end
      view = methods.select(t, 1, key)
    elseif type(key) == "table" then
      view = slice(t, key)
    else
      raisef("index: is %s, must be a number or a table (a tensor has no fields to set)", tostring(key))
    end
    if M.is_tensor(value) then
      methods.copy(view, value)
    else
      methods.fill(view, value)
    end
  end

  function mt.__len(t)
    M.want("#", t)
    if t.raw.ndim == 0 then raisef("#: the tensor has no dimension") end
    return tonumber(t.raw.shape[0])
  end

  function mt.__tostring(t) return M.tostring(t) end

  ffi.metatype("struct pah_array", mt)
end
