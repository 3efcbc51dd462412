-- tensor_methods.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---@class pah.Tensor
local Tensor = {}

---how many dimensions
---```lua
---pah.zeros({2, 3}):dim()
---```
---@return integer
function Tensor:dim() end

---size of dimension d (negative: from the last); without d the shape
---```lua
---pah.zeros({2, 3}):size(-1)
---```
---@param d? integer
---@return integer
function Tensor:size(d) end

---how many elements
---```lua
---pah.zeros({2, 3}):numel()
---```
---@return integer
function Tensor:numel() end

---whether the elements lie one behind another in row-major order
---```lua
---pah.zeros({2, 3}):transpose(1, 2):is_contiguous()
---```
---@return boolean
function Tensor:is_contiguous() end

---the element at (i, j, ...), one index per dimension; an i64 beyond 2^53 as int64 cdata
---```lua
---pah.arange(6):view(2, 3):get(2, 1)
---```
---@param ... integer
---@return number
function Tensor:get(...) end

---sets the element at (i, j, ...); returns the tensor
---```lua
---pah.zeros({2, 2}):set(5, 1, 2)
---```
---@param value number
---@param ... integer
---@return pah.Tensor
function Tensor:set(value, ...) end

---the same elements in another shape, one size may be -1; never copies
---```lua
---pah.arange(6):view(2, -1)
---```
---@param ... integer
---@return pah.Tensor
function Tensor:view(...) end

---a view where possible, else a packed copy in that shape
---```lua
---pah.arange(6):view(2, 3):transpose(1, 2):reshape(6)
---```
---@param ... integer
---@return pah.Tensor
function Tensor:reshape(...) end

---a view with dimensions a and b exchanged
---```lua
---pah.arange(6):view(2, 3):transpose(1, 2)
---```
---@param a integer
---@param b integer
---@return pah.Tensor
function Tensor:transpose(a, b) end

---a view: dimension i of it is dimension order[i] of the tensor
---```lua
---pah.zeros({2, 3, 4}):permute(3, 1, 2).shape
---```
---@param ... integer
---@return pah.Tensor
function Tensor:permute(...) end

---a view of `length` elements of dimension d from `start`
---```lua
---pah.arange(6):narrow(1, 2, 3)
---```
---@param d integer
---@param start integer
---@param length integer
---@return pah.Tensor
function Tensor:narrow(d, start, length) end

---a view of element i of dimension d, one dimension less
---```lua
---pah.arange(6):view(2, 3):select(2, 1)
---```
---@param d integer
---@param i integer
---@return pah.Tensor
function Tensor:select(d, i) end

---a view with sizes of 1 repeated; new dimensions may be put in front; -1 keeps a size
---```lua
---pah.arange(3):view(1, 3):expand(2, 3)
---```
---@param ... integer
---@return pah.Tensor
function Tensor:expand(...) end

---with another dtype, device or both; itself if nothing changes
---```lua
---pah.arange(3):to("bf16")
---```
---@param what pah.dtype|pah.device|pah.TensorOptions
---@return pah.Tensor
function Tensor:to(what) end

---a packed copy in new memory
---```lua
---pah.arange(3):clone()
---```
---@return pah.Tensor
function Tensor:clone() end

---copies src, of the same shape and any dtype and device, into the tensor; returns it
---```lua
---pah.zeros({3}):copy(pah.arange(3))
---```
---@param src pah.Tensor
---@return pah.Tensor
function Tensor:copy(src) end

---sets every element; returns the tensor
---```lua
---pah.zeros({3}):fill(2)
---```
---@param value number
---@return pah.Tensor
function Tensor:fill(value) end

---sets every element to 0; returns the tensor
---```lua
---pah.ones({3}):zero()
---```
---@return pah.Tensor
function Tensor:zero() end

---itself if it is contiguous, else a packed copy
---```lua
---pah.zeros({2, 3}):transpose(1, 2):contiguous().strides
---```
---@return pah.Tensor
function Tensor:contiguous() end

---16 hexadecimal digits that depend on every bit of the values, the same on every device
---```lua
---pah.arange(3):hash()
---```
---@return string
function Tensor:hash() end

---the number in a tensor of one element
---```lua
---pah.full({1}, 7):item()
---```
---@return number
function Tensor:item() end

---nested tables of numbers
---```lua
---pah.arange(4):view(2, 2):totable()
---```
---@return table
function Tensor:totable() end

---FFI pointer to the first element, 0-based: `float`, `double`, `int32_t`, `int64_t`, `uint8_t`, or the bits of f16,
---bf16 and fp8. The tensor must stay referenced while it is used
---```lua
---pah.arange(3, {device = "cpu"}):data()[2]
---```
---@return ffi.cdata*
function Tensor:data() end

---writes a `.npy` file, or a `.safetensors` file with the one tensor, named `tensor`; beside the path, then renamed
---```lua
---pah.arange(3):save "three.npy"
---print(pah.load "three.npy")
---```
---@param path string
function Tensor:save(path) end

---releases this view's share of the memory now; using it afterwards is an error
---```lua
---pah.zeros({3}):free()
---```
function Tensor:free() end
