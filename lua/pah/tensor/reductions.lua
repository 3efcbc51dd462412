-- reductions.lua - t:sum(d), mean, max, min, argmax, any, all: along a dimension a tensor without it; of all elements a
-- number or a boolean of Lua. Read next: arithmetic.lua, src/tensor/reduce.c.
local errors = require "pah.errors"
local promotion = require "pah.tensor.promotion"
local binding = require "pah.ffi"
local C, check = binding.C, binding.check
local raisef = errors.raisef

return function(M)
  local methods, properties = M.methods, M.properties

  -- The dtype of the result of an operation.
  local function same(dtype) return promotion.wide(dtype) end
  local function total(dtype) return promotion.is_integer(dtype) and "i64" or promotion.wide(dtype) end
  local function mean(dtype) return promotion.is_integer(dtype) and "f32" or promotion.wide(dtype) end

  local function reduce(what, op, dtype_of, t, d, keep)
    M.want_host(what, t)
    d = M.dimension(what, t, d)
    local shape = properties.shape(t)
    if shape[d] == 0 and (what == "max" or what == "min" or what == "argmax") then
      raisef("%s: dimension %d has no elements, must have one at least", what, d)
    end
    table.remove(shape, d)
    local out = M.new(shape, dtype_of(properties.dtype(t)), properties.device(t))
    check(C.pah_tensor_reduce(op, out.raw, t.raw, d - 1))
    if not keep then return out end
    table.insert(shape, d, 1)
    return methods.view(out, shape)
  end

  -- Of all elements: a tensor of no dimension.
  local function reduce_all(what, op, dtype_of, t)
    M.want_host(what, t)
    return reduce(what, op, dtype_of, methods.reshape(t, methods.numel(t)), 1)
  end

  local function add(what, op, dtype_of)
    methods[what] = function(t, d, keep)
      if d == nil then return methods.item(reduce_all(what, op, dtype_of, t)) end
      return reduce(what, op, dtype_of, t, d, keep)
    end
  end

  add("sum", C.PAH_SUM, total)
  add("mean", C.PAH_MEAN, mean)
  add("max", C.PAH_MAX, same)
  add("min", C.PAH_MIN, same)

  for what, op in pairs {any = C.PAH_ANY, all = C.PAH_ALL} do
    local function truth() return "u8" end
    methods[what] = function(t, d, keep)
      if d == nil then return methods.item(reduce_all(what, op, truth, t)) ~= 0 end
      return reduce(what, op, truth, t, d, keep)
    end
  end

  --- The place of the largest element: along d an i64 tensor of 0-based places, as all values inside tensors are;
  --- without d its indices, 1-based, one result for each dimension, as t:get takes them.
  function methods.argmax(t, d, keep)
    local function place() return "i64" end
    if d ~= nil then return reduce("argmax", C.PAH_ARGMAX, place, t, d, keep) end
    local index, shape, at = methods.item(reduce_all("argmax", C.PAH_ARGMAX, place, t)), properties.shape(t), {}
    for k = #shape, 1, -1 do
      at[k] = index % shape[k] + 1
      index = math.floor(index / shape[k])
    end
    return unpack(at, 1, #shape)
  end
end
