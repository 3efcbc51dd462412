-- promotion.lua - the dtype of a result where two dtypes meet, as PyTorch has it: the wider one; a number does not
-- widen a float. Read next: arithmetic.lua.
local M = {}

-- The higher one is that of the result; two different ones of equal rank give f32.
local rank = {u8 = 1, i32 = 2, i64 = 3, fp8_e4m3 = 4, fp8_e5m2 = 4, f16 = 5, bf16 = 5, f32 = 6, f64 = 7}

function M.is_integer(dtype) return rank[dtype] <= 3 end

function M.joined(a, b)
  if a == b then return a end
  if rank[a] == rank[b] then return "f32" end
  return rank[a] > rank[b] and a or b
end

--- The dtype of a result: never fp8, which has no room for it.
function M.wide(dtype) return rank[dtype] == 4 and "f32" or dtype end

--- Where the number x (or a 64-bit cdata) meets a tensor of `dtype`: the tensor's, but for integers f32 if x has a
--- fraction and i64 if it does not fit.
function M.with_number(x, dtype)
  if not M.is_integer(dtype) then return dtype end
  if type(x) == "cdata" then return "i64" end
  if x % 1 ~= 0 then return "f32" end
  local low, high = dtype == "u8" and 0 or -2 ^ 31, dtype == "u8" and 255 or 2 ^ 31 - 1
  return (dtype == "i64" or x < low or x > high) and "i64" or dtype
end

return M
