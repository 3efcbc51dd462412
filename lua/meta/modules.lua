-- modules.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---@class pah.Device
local Device = {}

---a compiled CUDA C++ source
---@class pah.Module
---@field device pah.Device # what it is compiled for
---what of the source was left out as the host's, or not found, and which instances of templates the host's code
---launches: [sim.md](sim.md#cuda-files-of-others)
---@field skipped string[]
---@field source string # its path, or `"text"`
local Module = {}

---what `dev:compile` takes
---@class pah.CompileArgs
---@field source? string # a path, looked for here and then beside the running script
---@field text? string # or the source itself
---@field defines? table # `{NAME = value}`
---@field include? string|string[] # folders, searched after that of the source
---@field kernels? string|string[] # instances of templates to compile at once
---@field std? "c++17"|"c++20" # the C++ of the source

---compiles a CUDA C++ source for sim or cuda. Errors are the compiler's words with file and line. Compiled code is
---cached on disk (`pah cache`); editing any file that goes in compiles anew
---```lua
---local dev = pah.device "sim"
---local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
---  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
---print(module)
---```
---@param args pah.CompileArgs
---@return pah.Module
function Device:compile(args) end

---what `dev:load` takes: one path, and types
---@class pah.LoadArgs
---@field cubin? string # compiled code of others (Triton, CUTLASS)
---@field ptx? string # or PTX
---@field fatbin? string # or a fatbin
---`{kernel = {"pointer", "i32", "f32", 64}}`: what a kernel takes (a number: the bytes of a struct); without it the
---driver's sizes count (CUDA 12.4), and numbers must be typed
---@field params? table

---loads compiled code of others: on a GPU, or PTX text on sim, which runs it under every check; a module as that of
---`dev:compile`
---@param args pah.LoadArgs
---@return pah.Module
function Device:load(args) end

---names compiled so far
---```lua
---local dev = pah.device "sim"
---local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
---  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
---print(module:kernels())
---```
---@return string[]
function Module:kernels() end

---how a kernel is launched
---@class pah.LaunchOptions
---@field grid? integer|integer[] # thread blocks: a number or `{x, y, z}`; default 1
---@field block? integer|integer[] # threads of a thread block; default 1
---@field shared? integer # bytes of dynamic shared memory
---@field cluster? integer|integer[] # thread blocks of a cluster (sm_90); default: the kernel's `__cluster_dims__`
---@field cooperative? boolean # all thread blocks run at the same time, as `grid.sync()` needs
---@field limit? number # seconds until the launch is stopped
---@field schedule? "order"|"reverse"|"random" # sim: the order of threads
---@field seed? integer # sim: of the random schedule
---@field counters? boolean # sim: default true
---@field processors? integer # sim: that run thread blocks side by side, from the start; default: the device's
---sim: `k_blocks`, `v_blocks`, `block_table`, ...: addresses in findings are told as sequence, token, head and block
---@field problem? table
---@field allow? string[] # sim: codes of findings that are meant, [sim.md](sim.md#findings-that-are-meant)
---@field on_finding? "error"|"report" # sim: default error

---runs a kernel. `name` as it stands in the source: `"decode"`, `"ns::f"`, `"f<128, float>"`. Arguments: tensors of
---the device for pointers, `nil` for a null pointer, numbers and booleans (checked against the type that the compiler
---gives the parameter), FFI structs by value
---```lua
---local dev = pah.device "sim"
---local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
---  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
---local x = pah.ones({1000}, {device = dev})
---local report = module:launch("scale", {grid = 4, block = 256}, x, 0.5, 1000)
---print(x:get(1))
---```
---@param name string
---@param opts pah.LaunchOptions
---@param ... any
---@return pah.LaunchReport
function Module:launch(name, opts, ...) end

---`registers`, `shared_bytes`, `local_bytes`, `constant_bytes`, `max_threads`, `max_shared_bytes`,
---`spill_store_bytes`, `spill_load_bytes`; registers and spills are 0 on sim, which knows none
---```lua
---local dev = pah.device "sim"
---local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
---  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
---print(module:resources("scale").max_threads)
---```
---@param name string
---@return table
function Module:resources(name) end

---sets a `__device__` or `__constant__` variable, `"x"` or `"ns::x"`, to the elements of a tensor of as many bytes
---@param name string
---@param value pah.Tensor
function Module:set(name, value) end

---fills a contiguous tensor of the cpu with such a variable; returns it
---@param name string
---@param value pah.Tensor
---@return pah.Tensor
function Module:get(name, value) end

---what sim saw in a launch; empty on cuda, where the launch is asynchronous
---@class pah.LaunchReport
---@field findings table[] # `{code=, message=, file=, line=, thread=, block=, count=}` each
---@field counted boolean # whether there are counters
---@field global table # `load_bytes`, `store_bytes`, `sectors`, `ideal`, `unique_bytes`
---@field shared table # `bytes`, `wavefronts`, `ideal`, `static_bytes`, `dynamic_bytes`
---@field mma table # `flops`
---@field async table # `bytes`
---@field thread_blocks integer # that ran
---@field threads integer # that ran
---@field barriers integer # of thread blocks
---@field warp_barriers integer # of warps
---@field shuffles integer # between lanes
---@field atomics integer # atomic operations
---@field occupancy number # share of the threads that a multiprocessor can hold
---@field blocks_per_sm integer # thread blocks that fit on a multiprocessor
---@field lines table[] # `{file=, line=, global=, shared=}` each, with `requests` besides
---@field kernel string # its name
---@field schedule string # the order of threads
---@field seed integer # of the random schedule
---@field processors integer # that ran its thread blocks
local LaunchReport = {}

---the findings for people
---```lua
---local dev = pah.device "sim"
---local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
---  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
---local x = pah.ones({1000}, {device = dev})
---local report = module:launch("scale", {grid = 4, block = 256}, x, 0.5, 1000)
---print(report:text())
---```
---@return string
function LaunchReport:text() end

---the counters for people
---```lua
---local dev = pah.device "sim"
---local module = dev:compile{text = "__global__ void scale(float *x, float f, int n) {\n"
---  .. "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  if (i < n) x[i] *= f;\n}"}
---local x = pah.ones({1000}, {device = dev})
---local report = module:launch("scale", {grid = 4, block = 256}, x, 0.5, 1000)
---print(report:counter_text())
---```
---@return string
function LaunchReport:counter_text() end

---options of `pah.tensor_map`
---@class pah.TensorMapOptions
---@field box integer[] # elements, one for each dimension
---@field swizzle? 0|32|64|128 # bytes; default 0

---a map of a tensor for the bulk tensor copies of sm_90 (TMA), passed to `launch` like a tensor; the parameter is
---`const __grid_constant__ ptx::tensor_map`
---```lua
---local t = pah.zeros({64, 64}, {device = "sim:sm_90a", dtype = "bf16"})
---print(pah.tensor_map(t, {box = {8, 64}, swizzle = 128}))
---```
---@param t pah.Tensor
---@param opts pah.TensorMapOptions
---@return ffi.cdata*
function pah.tensor_map(t, opts) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.i8(3))
---```
---@param value number
---@return any
function pah.i8(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.i16(3))
---```
---@param value number
---@return any
function pah.i16(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.i32(3))
---```
---@param value number
---@return any
function pah.i32(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.i64(3))
---```
---@param value number
---@return any
function pah.i64(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.u8(3))
---```
---@param value number
---@return any
function pah.u8(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.u16(3))
---```
---@param value number
---@return any
function pah.u16(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.u32(3))
---```
---@param value number
---@return any
function pah.u32(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.u64(3))
---```
---@param value number
---@return any
function pah.u64(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.f32(3))
---```
---@param value number
---@return any
function pah.f32(value) end

---a number of that type, for an argument of `launch`; a parameter of another type is an error
---```lua
---print(pah.f64(3))
---```
---@param value number
---@return any
function pah.f64(value) end
