-- tensors.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---a view of memory of a device: address, dtype, shape and strides. Views share memory; it is freed with the last of
---them. Indices are 1-based
---@class pah.Tensor
---@operator len: integer
---@operator add(pah.Tensor|number): pah.Tensor
---@operator sub(pah.Tensor|number): pah.Tensor
---@operator mul(pah.Tensor|number): pah.Tensor
---@operator div(pah.Tensor|number): pah.Tensor
---@operator pow(pah.Tensor|number): pah.Tensor
---@operator unm: pah.Tensor
---@field [integer] pah.Tensor|number
---@field [table] pah.Tensor|number
---@field shape integer[] # the sizes
---@field strides integer[] # steps between neighbours of each dimension, in elements
---@field dtype pah.dtype # the element type
---@field device pah.Device # where its memory is
---@field nbytes integer # bytes of its elements
local Tensor = {}

---options of a new tensor
---@class pah.TensorOptions
---@field dtype? pah.dtype # element type; default `"f32"`
---@field device? pah.device # default `pah.device()`

---uninitialised
---```lua
---pah.empty({2, 3})
---```
---@param shape integer[]
---@param opts? pah.TensorOptions
---@return pah.Tensor
function pah.empty(shape, opts) end

---filled with 0
---```lua
---pah.zeros({2, 3}, {dtype = "bf16"})
---```
---@param shape integer[]
---@param opts? pah.TensorOptions
---@return pah.Tensor
function pah.zeros(shape, opts) end

---filled with 1
---```lua
---pah.ones({4})
---```
---@param shape integer[]
---@param opts? pah.TensorOptions
---@return pah.Tensor
function pah.ones(shape, opts) end

---filled with a number
---```lua
---pah.full({2, 2}, 0.5)
---```
---@param shape integer[]
---@param value number
---@param opts? pah.TensorOptions
---@return pah.Tensor
function pah.full(shape, value, opts) end

---0 to n-1
---```lua
---pah.arange(6, {dtype = "i32"})
---```
---@param n integer
---@param opts? pah.TensorOptions
---@return pah.Tensor
function pah.arange(n, opts) end

---from nested tables or a number
---```lua
---pah.tensor({{1, 2, 3}, {4, 5, 6}}, {dtype = "f16"})
---```
---@param value number|table
---@param opts? pah.TensorOptions
---@return pah.Tensor
function pah.tensor(value, opts) end

---borrows memory at an FFI pointer or array, which is kept alive with the tensor and its views
---```lua
---local ffi = require "ffi"
---local array = ffi.new("float[6]", {1, 2, 3})
---print(pah.from(array, {2, 3}, {device = "cpu"}))
---```
---@param ptr ffi.cdata*
---@param shape integer[]
---@param opts? pah.FromOptions
---@return pah.Tensor
function pah.from(ptr, shape, opts) end

---options of `pah.from`
---@class pah.FromOptions
---@field dtype? pah.dtype # what lies there; default `"f32"`
---@field device? pah.device # whose memory it is; default `pah.device()`
---@field owner? any # kept alive as long as the tensor and its views

---options of `pah.randn`
---@class pah.RandnOptions
---@field seed? integer # 0 to 2^53; without it a counter that starts at `$PAH_SEED`, else 0
---@field mean? number # default 0
---@field scale? number # standard deviation; default 1
---@field dtype? pah.dtype # default `"f32"`
---@field device? pah.device # default `pah.device()`

---options of `pah.rand`
---@class pah.RandOptions
---@field seed? integer # as for `pah.randn`
---@field low? number # default 0
---@field high? number # default 1
---@field scale? number # factor of low and high; default 1
---@field dtype? pah.dtype # default `"f32"`
---@field device? pah.device # default `pah.device()`

---options of `pah.randint`
---@class pah.RandintOptions
---@field seed? integer # as for `pah.randn`
---@field low? integer # where it is not an argument; default 0
---@field high? integer # where it is not an argument
---@field dtype? pah.dtype # default `"i64"`
---@field device? pah.device # default `pah.device()`

---options of `pah.randperm`
---@class pah.SeedOptions
---@field seed? integer # as for `pah.randn`
---@field dtype? pah.dtype # default `"i64"`
---@field device? pah.device # default `pah.device()`

---normal numbers; the same bits on every device
---```lua
---pah.randn({2, 8, 1, 64}, {seed = 1, dtype = "bf16"})
---```
---@param shape integer[]
---@param opts? pah.RandnOptions
---@return pah.Tensor
function pah.randn(shape, opts) end

---uniform numbers in [low, high)
---```lua
---pah.rand({4}, {seed = 1})
---```
---@param shape integer[]
---@param opts? pah.RandOptions
---@return pah.Tensor
function pah.rand(shape, opts) end

---whole numbers, low <= x < high
---```lua
---pah.randint(0, 10, {5}, {seed = 1})
---```
---@param low integer
---@param high integer
---@param shape integer[]
---@param opts? pah.RandintOptions
---@return pah.Tensor
function pah.randint(low, high, shape, opts) end

---a permutation of 0 to n-1
---```lua
---pah.randperm(8, {seed = 1})
---```
---@param n integer
---@param opts? pah.SeedOptions
---@return pah.Tensor
function pah.randperm(n, opts) end

---whether x is a tensor
---```lua
---pah.is_tensor(5)
---```
---@param x any
---@return boolean
function pah.is_tensor(x) end

---tolerances
---@class pah.AllcloseOptions
---@field rtol? number # of the expected value's magnitude; default 1e-5
---@field atol? number # default 1e-8

---true or false, and a report that prints as a line; `|a-b| <= atol + rtol*|b|`, equal infinities are close, NaN
---never is
---```lua
---local ok, report = pah.allclose(pah.ones({4}), pah.ones({4}))
---assert(ok, tostring(report))
---```
---@param a pah.Tensor
---@param b pah.Tensor
---@param opts? pah.AllcloseOptions
---@return boolean ok
---@return pah.DiffReport report
function pah.allclose(a, b, opts) end

---how far two tensors are apart
---```lua
---pah.diff(pah.ones({4}), pah.zeros({4})).max_abs
---```
---@param a pah.Tensor
---@param b pah.Tensor
---@return pah.DiffReport
function pah.diff(a, b) end

---the differences of two tensors
---@class pah.DiffReport
---@field max_abs number # the largest difference, over elements finite in both, as those that follow
---@field max_rel number # the largest in relation to b
---@field mean_abs number # the mean difference
---@field rms number # root of the mean square difference
---@field rel_norm number # |a - b| / |b| in the 2-norm
---@field argmax integer[] # 1-based indices of max_abs; nil if there is none
---@field nan integer # elements that are NaN in either
---@field mismatched integer # elements that are not close; of `pah.diff`, that are not equal
---@field first_mismatch integer[] # indices of the first of them
---@field numel integer # elements compared
local DiffReport = {}
