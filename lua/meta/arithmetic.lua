-- arithmetic.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---@class pah.Tensor
local Tensor = {}

---e to the power of each element
---```lua
---pah.arange(3):exp()
---```
---@return pah.Tensor
function Tensor:exp() end

---natural logarithm
---```lua
---pah.ones({3}):log()
---```
---@return pah.Tensor
function Tensor:log() end

---square root
---```lua
---pah.arange(3):sqrt()
---```
---@return pah.Tensor
function Tensor:sqrt() end

---hyperbolic tangent
---```lua
---pah.arange(3):tanh()
---```
---@return pah.Tensor
function Tensor:tanh() end

---magnitude
---```lua
---(-pah.arange(3)):abs()
---```
---@return pah.Tensor
function Tensor:abs() end

---1 where a == b and 0 elsewhere, u8
---```lua
---pah.arange(3):eq(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:eq(b) end

---1 where a ~= b and 0 elsewhere, u8
---```lua
---pah.arange(3):ne(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:ne(b) end

---1 where a < b and 0 elsewhere, u8
---```lua
---pah.arange(3):lt(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:lt(b) end

---1 where a <= b and 0 elsewhere, u8
---```lua
---pah.arange(3):le(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:le(b) end

---1 where a > b and 0 elsewhere, u8
---```lua
---pah.arange(3):gt(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:gt(b) end

---1 where a >= b and 0 elsewhere, u8
---```lua
---pah.arange(3):ge(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:ge(b) end

---the larger of each two elements; NaN if either is
---```lua
---pah.arange(3):maximum(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:maximum(b) end

---the smaller of each two elements; NaN if either is
---```lua
---pah.arange(3):minimum(1)
---```
---@param b pah.Tensor|number
---@return pah.Tensor
function Tensor:minimum(b) end

---along dimension d a tensor without it (keep: with size 1); without d a number of all elements. Added in float64; of
---integers an i64
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:sum(), m:sum(1), m:sum(2, true))
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|number
function Tensor:sum(d, keep) end

---the same of the mean; of integers an f32
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:mean(2))
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|number
function Tensor:mean(d, keep) end

---the largest; NaN if there is one
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:max(), m:max(1))
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|number
function Tensor:max(d, keep) end

---the smallest; NaN if there is one
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:min(2))
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|number
function Tensor:min(d, keep) end

---along d an i64 tensor of 0-based places, as all values inside tensors are; without d the indices of the largest,
---1-based, as `t:get` takes them
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:argmax(2), m:get(m:argmax()))
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|integer
function Tensor:argmax(d, keep) end

---whether any element is not 0; along d a u8 tensor
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:gt(4):any())
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|boolean
function Tensor:any(d, keep) end

---whether all elements are not 0; along d a u8 tensor
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:ge(0):all(1))
---```
---@param d? integer
---@param keep? boolean
---@return pah.Tensor|boolean
function Tensor:all(d, keep) end

---`[..., m, k]` by `[..., k, n]`, leading dimensions broadcast; a vector is a row on the left and a column on the
---right; sums in float64, rounded once. For references, not for speed
---```lua
---local m = pah.arange(6):view(2, 3)
---print(m:matmul(m:transpose(1, 2)))
---```
---@param b pah.Tensor
---@return pah.Tensor
function Tensor:matmul(b) end

---the elements of a where condition is not 0, else those of b
---```lua
---local m = pah.arange(6):view(2, 3)
---print(pah.where(m:gt(2), m, -1))
---```
---@param condition pah.Tensor
---@param a pah.Tensor|number
---@param b pah.Tensor|number
---@return pah.Tensor
function pah.where(condition, a, b) end

---tensors one behind another along dimension d (1)
---```lua
---local m = pah.arange(6):view(2, 3)
---print(pah.cat({m, m}, 2))
---```
---@param list pah.Tensor[]
---@param d? integer
---@return pah.Tensor
function pah.cat(list, d) end

---tensors of one shape along a new dimension d (1)
---```lua
---local m = pah.arange(6):view(2, 3)
---print(pah.stack({m, m}).shape)
---```
---@param list pah.Tensor[]
---@param d? integer
---@return pah.Tensor
function pah.stack(list, d) end

---how tensors are printed, in the words of PyTorch
---@class pah.PrintOptions
---@field precision? integer # most digits after the point; default 4
---@field threshold? integer # elements that are printed in full; default 1000
---@field edgeitems? integer # items kept at each end of what is not; default 3
---@field linewidth? integer # columns of a line; default 75
---@field sci_mode? boolean # scientific form always, or never; default: where numbers lie far apart
---@field profile? "default"|"short"|"full" # what the others are where they are not given

---returns the options as they were before
---```lua
---local before = pah.set_printoptions{precision = 8}
---print(pah.rand({3}))
---pah.set_printoptions(before)
---```
---@param opts? pah.PrintOptions
---@return pah.PrintOptions
function pah.set_printoptions(opts) end
