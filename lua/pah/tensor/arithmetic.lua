-- arithmetic.lua - calculating with tensors: + - * / ^, comparisons, exp and its like, where; broadcasting and the
-- dtypes of results, as PyTorch has them. Promises: operands are never changed; what is on a GPU is refused with a
-- word, not fetched. Not an autograd. Read next: reductions.lua, matmul.lua, joining.lua, src/tensor/elementwise.c.
local errors = require "pah.errors"
local binding = require "pah.ffi"
local promotion = require "pah.tensor.promotion"
local C, check = binding.C, binding.check
local raisef = errors.raisef

return function(M)
  local methods, properties, exports = M.methods, M.properties, M.exports

  -- Whether x can stand for an element: a number or a 64-bit cdata.
  local function is_scalar(x)
    return type(x) == "number" or type(x) == "cdata" and not M.is_tensor(x) and tonumber(x) ~= nil
  end

  --- The shape that shapes a and b have together: sizes are equal or one of them is 1, the shorter gets 1s in front.
  local function joined_shape(what, a, b)
    local shape, n = {}, math.max(#a, #b)
    for i = 1, n do
      local x, y = a[i - n + #a] or 1, b[i - n + #b] or 1
      if x ~= y and x ~= 1 and y ~= 1 then
        raisef("%s: shapes are [%s] and [%s], sizes must be equal or 1", what, table.concat(a, ", "),
          table.concat(b, ", "))
      end
      shape[i] = x == 1 and y or x
    end
    return shape
  end
  M.joined_shape = joined_shape

  -- A scalar as a tensor of no dimension. In arithmetic it is f64, or i64 where that is exact; in comparisons of the
  -- dtype that it is compared in: the f32 nearest to 0.1 is 0.1 there.
  local function lifted(x, dtype, device, compares)
    return exports.full({}, x, {dtype = (compares or dtype == "i64") and dtype or "f64", device = device})
  end

  local sees_memory = {} -- device -> whether the host can read it

  --- Refuses what has no arithmetic: devices whose memory the host does not see.
  local function want_host(what, t)
    M.want(what, t)
    local device = properties.device(t)
    if sees_memory[device] == nil then sees_memory[device] = device:info().host_memory end
    if not sees_memory[device] then
      raisef('%s: is on %s, which has no arithmetic on tensors; must be on the cpu: t:to("cpu")', what, device.name)
    end
    return t
  end
  M.want_host = want_host

  -- Two operands, one of them a tensor, as tensors of one shape; also shape, the dtype that they have together, device.
  local function operands(what, a, b, compares)
    if not M.is_tensor(a) and not is_scalar(a) or not M.is_tensor(b) and not is_scalar(b) then
      raisef("%s: is of a %s and a %s, must be of tensors and numbers", what, M.is_tensor(a) and "tensor" or type(a),
        M.is_tensor(b) and "tensor" or type(b))
    end
    local one = want_host(what, M.is_tensor(a) and a or b)
    local device, dtype = properties.device(one), properties.dtype(one)
    if not M.is_tensor(a) then
      dtype = promotion.with_number(a, dtype)
      a = lifted(a, promotion.wide(dtype), device, compares)
    elseif not M.is_tensor(b) then
      dtype = promotion.with_number(b, dtype)
      b = lifted(b, promotion.wide(dtype), device, compares)
    else
      want_host(what, b)
      if b.raw.device ~= a.raw.device then
        raisef("%s: is of tensors on %s and %s, must be on one device", what, device.name, properties.device(b).name)
      end
      dtype = promotion.joined(dtype, properties.dtype(b))
    end
    local shape = joined_shape(what, properties.shape(a), properties.shape(b))
    return methods.expand(a, shape), methods.expand(b, shape), shape, promotion.wide(dtype), device
  end

  local function binary(what, op, a, b, dtype_of)
    local x, y, shape, dtype, device = operands(what, a, b, op >= C.PAH_EQ)
    local out = M.new(shape, dtype_of and dtype_of(dtype) or dtype, device)
    -- Operands of i64 and of narrower integers meet in i64, where everything is exact.
    if dtype == "i64" then x, y = methods.to(x, "i64"), methods.to(y, "i64") end
    check(C.pah_tensor_binary(op, out.raw, x.raw, y.raw))
    return out
  end

  local function floating(dtype) return promotion.is_integer(dtype) and "f32" or dtype end
  local function truth() return "u8" end

  local meta = M.metamethods
  function meta.__add(a, b) return binary("+", C.PAH_ADD, a, b) end
  function meta.__sub(a, b) return binary("-", C.PAH_SUB, a, b) end
  function meta.__mul(a, b) return binary("*", C.PAH_MUL, a, b) end
  function meta.__div(a, b) return binary("/", C.PAH_DIV, a, b, floating) end
  function meta.__pow(a, b) return binary("^", C.PAH_POW, a, b, floating) end

  -- Lua makes one truth of what these return.
  local function no_order() raisef "comparison: < and <= of tensors cannot give a tensor, use a:lt(b), a:le(b), ..." end
  meta.__lt, meta.__le = no_order, no_order

  --- Element by element, 1 where it holds and 0 elsewhere, u8.
  function methods.eq(a, b) return binary("eq", C.PAH_EQ, a, b, truth) end
  function methods.ne(a, b) return binary("ne", C.PAH_NE, a, b, truth) end
  function methods.lt(a, b) return binary("lt", C.PAH_LT, a, b, truth) end
  function methods.le(a, b) return binary("le", C.PAH_LE, a, b, truth) end
  function methods.gt(a, b) return binary("gt", C.PAH_GT, a, b, truth) end
  function methods.ge(a, b) return binary("ge", C.PAH_GE, a, b, truth) end

  --- The larger and the smaller of each two elements; NaN if either is.
  function methods.maximum(a, b) return binary("maximum", C.PAH_MAXIMUM, a, b) end
  function methods.minimum(a, b) return binary("minimum", C.PAH_MINIMUM, a, b) end

  local function unary(what, op, t, dtype_of)
    want_host(what, t)
    local dtype = promotion.wide(properties.dtype(t))
    local out = M.new(properties.shape(t), dtype_of and dtype_of(dtype) or dtype, properties.device(t))
    check(C.pah_tensor_unary(op, out.raw, t.raw))
    return out
  end

  function methods.exp(t) return unary("exp", C.PAH_EXP, t, floating) end
  function methods.log(t) return unary("log", C.PAH_LOG, t, floating) end
  function methods.sqrt(t) return unary("sqrt", C.PAH_SQRT, t, floating) end
  function methods.tanh(t) return unary("tanh", C.PAH_TANH, t, floating) end

  -- Integers by the exact way of two operands.
  function methods.abs(t)
    if promotion.is_integer(properties.dtype(t)) then return methods.maximum(t, meta.__unm(t)) end
    return unary("abs", C.PAH_ABS, t)
  end

  function meta.__unm(t)
    if promotion.is_integer(properties.dtype(M.want("-", t))) then return binary("-", C.PAH_SUB, 0, t) end
    return unary("-", C.PAH_NEG, t)
  end

  --- The elements of a where condition is not 0, else those of b; numbers and shapes as for +.
  function exports.where(condition, a, b)
    want_host("where: condition", condition)
    local shape, device = properties.shape(condition), properties.device(condition)
    if is_scalar(a) and is_scalar(b) then -- f32, or i64 where one is exact
      a = exports.full({}, a, {dtype = type(a) == "cdata" and "i64" or "f32", device = device})
    end
    local x, y, inner, dtype = operands("where", a, b)
    if x.raw.device ~= condition.raw.device then
      raisef("where: is of tensors on %s and %s, must be on one device", device.name, properties.device(x).name)
    end
    shape = joined_shape("where", shape, inner)
    local out = M.new(shape, dtype, device)
    x, y = methods.expand(methods.to(x, dtype), shape), methods.expand(methods.to(y, dtype), shape)
    check(C.pah_tensor_where(out.raw, methods.expand(condition, shape).raw, x.raw, y.raw))
    return out
  end
end
