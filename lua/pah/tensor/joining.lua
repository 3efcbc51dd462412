-- joining.lua - tensors put together: pah.cat along a dimension that they have, pah.stack along a new one.
-- Promises: any device, for they are copies; dtypes meet as in arithmetic.lua.
local errors = require "pah.errors"
local promotion = require "pah.tensor.promotion"
local raisef = errors.raisef

return function(M)
  local methods, properties, exports = M.methods, M.properties, M.exports

  -- A list of tensors of one device that may be put together; their dtype.
  local function want_list(what, list)
    if type(list) ~= "table" or #list == 0 then
      raisef("%s: is a %s, must be a list of tensors", what, M.is_tensor(list) and "tensor" or type(list))
    end
    local dtype
    for i, t in ipairs(list) do
      M.want(("%s: item %d"):format(what, i), t)
      if t.raw.device ~= list[1].raw.device then
        raisef("%s: item %d is on %s, must be on %s as the first", what, i, properties.device(t).name,
          properties.device(list[1]).name)
      end
      dtype = dtype and promotion.joined(dtype, properties.dtype(t)) or properties.dtype(t)
    end
    return dtype
  end

  --- Tensors one behind another along dimension d (1): the other sizes must be equal.
  function exports.cat(list, d)
    local dtype, first = want_list("cat", list), list[1]
    if first.raw.ndim == 0 then raisef "cat: item 1 has no dimension, use stack" end
    d = M.dimension("cat", first, d or 1)
    local shape, total = properties.shape(first), 0
    for i, t in ipairs(list) do
      local other = properties.shape(t)
      if other[d] then total, other[d] = total + other[d], shape[d] end
      if table.concat(other, ",") ~= table.concat(shape, ",") then
        raisef("cat: item %d has shape [%s], must have [%s] but for dimension %d", i,
          table.concat(properties.shape(t), ", "), table.concat(shape, ", "), d)
      end
    end
    shape[d] = total
    local out, at = M.new(shape, dtype, properties.device(first)), 1
    for _, t in ipairs(list) do
      local size = properties.shape(t)[d]
      methods.copy(methods.narrow(out, d, at, size), t)
      at = at + size
    end
    return out
  end

  --- Tensors of one shape along a new dimension d (1).
  function exports.stack(list, d)
    want_list("stack", list)
    local shape, views = properties.shape(list[1]), {}
    d = d or 1
    if type(d) ~= "number" or d % 1 ~= 0 or d < 1 or d > #shape + 1 then
      raisef("stack: dimension is %s, must be 1 to %d", tostring(d), #shape + 1)
    end
    for i, t in ipairs(list) do
      local other = properties.shape(t)
      if table.concat(other, ",") ~= table.concat(shape, ",") then
        raisef("stack: item %d has shape [%s], must have [%s]", i, table.concat(other, ", "), table.concat(shape, ", "))
      end
      table.insert(other, d, 1)
      views[i] = methods.reshape(t, other)
    end
    return exports.cat(views, d)
  end
end
