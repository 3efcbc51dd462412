-- views.lua - methods that change shape and strides and share the memory: view, transpose, narrow, ...
-- Promises: none of them copies, except reshape where no view is possible. Dimensions are 1-based, negative ones from
-- the last.
local ffi = require "ffi"
local errors = require "pah.errors"
local raisef = errors.raisef

return function(M)
  local methods = M.methods

  -- A copy of t's raw to be changed into a view's.
  local function raw_of(t)
    local raw = ffi.new("struct pah_tensor")
    ffi.copy(raw, t.raw, ffi.sizeof(raw))
    return raw
  end

  local function advance(raw, elements)
    raw.data = ffi.cast("char *", raw.data) + elements * tonumber(ffi.C.pah_dtype_size(raw.dtype))
  end

  -- Numbers given as (a, b, ...) or as one table, as a list of its own.
  local function list_of(what, ...)
    local list, n = {...}, select("#", ...)
    if n == 1 and type(list[1]) == "table" then list, n = list[1], #list[1] end
    local copy = {}
    for i = 1, n do copy[i] = M.whole(("%s: number %d"):format(what, i), list[i]) end
    return copy
  end

  -- Sizes, with at most one -1, for numel elements.
  local function sizes_of(what, numel, ...)
    local sizes = list_of(what, ...)
    local known, free = 1, nil
    for i = 1, #sizes do
      if sizes[i] == -1 then
        if free then raisef("%s: sizes %d and %d are both -1, only one may be", what, free, i) end
        free = i
      else
        M.shape(what, {sizes[i]})
        known = known * sizes[i]
      end
    end
    if free then
      if known > 0 and numel % known ~= 0 then
        raisef("%s: %d elements are no multiple of the %d that the sizes beside -1 make", what, numel, known)
      end
      sizes[free] = known > 0 and numel / known or 0
    end
    local shape, total = M.shape(what, sizes)
    if total ~= numel then
      raisef("%s: [%s] has %d elements, the tensor has %d", what, table.concat(shape, ", "), total, numel)
    end
    return shape
  end

  -- Strides for `shape` over t's memory without a copy, or nil: each group of new dimensions must lie in dimensions of
  -- t that are contiguous among themselves.
  local function view_strides(t, shape)
    local raw, strides = t.raw, {}
    if methods.numel(t) == 0 then
      for i = 1, #shape do strides[i] = 1 end
      return strides
    end
    local d = raw.ndim - 1
    local i = #shape
    while d >= 0 or i >= 1 do
      while d >= 0 and raw.shape[d] == 1 do d = d - 1 end
      if d < 0 then
        for j = 1, i do strides[j] = 1 end
        return strides
      end
      local base = tonumber(raw.stride[d])
      local chunk = tonumber(raw.shape[d])
      while d > 0 and (raw.shape[d - 1] == 1 or tonumber(raw.stride[d - 1]) == base * chunk) do
        d = d - 1
        chunk = chunk * tonumber(raw.shape[d])
      end
      local filled = 1
      while i >= 1 and (filled < chunk or shape[i] == 1) do
        strides[i] = base * filled
        filled = filled * shape[i]
        i = i - 1
      end
      if filled ~= chunk then return nil end
      d = d - 1
    end
    return strides
  end

  local function with_shape(t, shape, strides)
    local raw = raw_of(t)
    raw.ndim = #shape
    for i = 1, #shape do raw.shape[i - 1], raw.stride[i - 1] = shape[i], strides[i] end
    return M.view_of(t, raw)
  end

  --- The same elements in another shape, sizes as numbers or a table, one may be -1. An error where that needs a copy.
  function methods.view(t, ...)
    local shape = sizes_of("view", methods.numel(t), ...)
    local strides = view_strides(t, shape)
    if not strides then raisef("view: needs a copy for these strides, use reshape") end
    return with_shape(t, shape, strides)
  end

  --- A view where possible, else a packed copy in that shape.
  function methods.reshape(t, ...)
    local shape = sizes_of("reshape", methods.numel(t), ...)
    local strides = view_strides(t, shape)
    if strides then return with_shape(t, shape, strides) end
    return methods.view(methods.clone(t), shape)
  end

  --- Dimensions a and b exchanged.
  function methods.transpose(t, a, b)
    a, b = M.dimension("transpose", t, a), M.dimension("transpose", t, b)
    local raw = raw_of(t)
    raw.shape[a - 1], raw.shape[b - 1] = t.raw.shape[b - 1], t.raw.shape[a - 1]
    raw.stride[a - 1], raw.stride[b - 1] = t.raw.stride[b - 1], t.raw.stride[a - 1]
    return M.view_of(t, raw)
  end

  --- Dimension i of the result is dimension order[i] of t; order as numbers or a table.
  function methods.permute(t, ...)
    local order = list_of("permute", ...)
    local n = t.raw.ndim
    if #order ~= n then raisef("permute: names %d dimensions, must name all %d", #order, n) end
    local raw, seen = raw_of(t), {}
    for i = 1, n do
      local d = M.dimension("permute", t, order[i])
      if seen[d] then raisef("permute: dimension %d is named twice", d) end
      seen[d] = true
      raw.shape[i - 1], raw.stride[i - 1] = t.raw.shape[d - 1], t.raw.stride[d - 1]
    end
    return M.view_of(t, raw)
  end

  --- `length` elements of dimension d from `start` (1-based).
  function methods.narrow(t, d, start, length)
    d = M.dimension("narrow", t, d)
    local size = tonumber(t.raw.shape[d - 1])
    M.whole("narrow: start", start)
    M.whole("narrow: length", length)
    if start < 1 or length < 0 or start + length - 1 > size then
      raisef("narrow: elements %d to %d of dimension %d are outside 1 to %d", start, start + length - 1, d, size)
    end
    local raw = raw_of(t)
    raw.shape[d - 1] = length
    if length > 0 then advance(raw, (start - 1) * tonumber(raw.stride[d - 1])) end
    return M.view_of(t, raw)
  end

  --- Element i of dimension d, one dimension less; negative i counts from the last.
  function methods.select(t, d, i)
    d = M.dimension("select", t, d)
    local size = tonumber(t.raw.shape[d - 1])
    M.whole("select: index", i)
    local at = i < 0 and size + 1 + i or i
    if at < 1 or at > size then raisef("select: index %d of dimension %d is outside 1 to %d", i, d, size) end
    local raw = raw_of(t)
    advance(raw, (at - 1) * tonumber(raw.stride[d - 1]))
    for k = d, raw.ndim - 1 do raw.shape[k - 1], raw.stride[k - 1] = raw.shape[k], raw.stride[k] end
    raw.ndim = raw.ndim - 1
    return M.view_of(t, raw)
  end

  --- Sizes of 1 repeated without a copy (stride 0); new dimensions may be put in front; -1 keeps a size.
  function methods.expand(t, ...)
    local sizes = list_of("expand", ...)
    local n, ndim = #sizes, t.raw.ndim
    if n < ndim then raisef("expand: names %d sizes, must name at least %d", n, ndim) end
    local raw = raw_of(t)
    for i = 1, n do
      local d = i - (n - ndim)
      local size = d >= 1 and tonumber(t.raw.shape[d - 1]) or 1
      if sizes[i] == -1 and d >= 1 then sizes[i] = size end
      local repeated = size == 1 and sizes[i] ~= 1
      if sizes[i] ~= size and not repeated then
        raisef("expand: size %d is %s, must be %d or that size must be 1", i, tostring(sizes[i]), size)
      end
    end
    local shape = M.shape("expand", sizes)
    raw.ndim = n
    for i = 1, n do
      local d = i - (n - ndim)
      local size = d >= 1 and tonumber(t.raw.shape[d - 1]) or 1
      raw.shape[i - 1] = shape[i]
      raw.stride[i - 1] = (d < 1 or (size == 1 and shape[i] ~= 1)) and 0 or t.raw.stride[d - 1]
    end
    return M.view_of(t, raw)
  end
end
