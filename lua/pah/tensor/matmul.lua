-- matmul.lua - t:matmul(u): products of matrices, of batches of them, of vectors. Read next: src/tensor/matmul.c.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local promotion = require "pah.tensor.promotion"
local C, check = binding.C, binding.check
local raisef = errors.raisef

return function(M)
  local methods, properties = M.methods, M.properties

  --- Matrices: [..., m, k] by [..., k, n]; leading dimensions as for +; a vector is a row on the left, a column on the
  --- right. Sums are float64, rounded once.
  function methods.matmul(a, b)
    M.want_host("matmul: a", a)
    M.want_host("matmul: b", b)
    local x, y = properties.shape(a), properties.shape(b)
    if #x == 0 or #y == 0 then raisef "matmul: a number is no matrix, use *" end
    local dtype = promotion.wide(promotion.joined(properties.dtype(a), properties.dtype(b)))
    if promotion.is_integer(dtype) then raisef("matmul: dtype is %s, must be a float: to(\"f32\")", dtype) end
    local row, column = #x == 1, #y == 1
    if row then a, x = methods.reshape(a, 1, x[1]), {1, x[1]} end
    if column then b, y = methods.reshape(b, y[1], 1), {y[1], 1} end
    if x[#x] ~= y[#y - 1] then
      raisef("matmul: shapes are [%s] and [%s], columns of a must be the rows of b", table.concat(properties.shape(a),
        ", "), table.concat(properties.shape(b), ", "))
    end
    local leading = M.joined_shape("matmul", {unpack(x, 1, #x - 2)}, {unpack(y, 1, #y - 2)})
    local function spread(t, shape)
      local full = {unpack(leading)}
      full[#full + 1], full[#full + 2] = shape[#shape - 1], shape[#shape]
      return methods.expand(t, full), full
    end
    if tonumber(b.raw.stride[#y - 1]) ~= 1 then b = methods.contiguous(b) end
    local left, shape = spread(a, x)
    shape[#shape] = y[#y]
    local out = M.new(shape, dtype, properties.device(a))
    check(C.pah_tensor_matmul(out.raw, left.raw, spread(b, y).raw))
    if row then out = methods.select(out, #shape - 1, 1) end
    return column and methods.select(out, -1, 1) or out
  end
end
