-- devices.lua - definitions for editors, made by scripts/manual from lua/pah/manual.
---@meta

---where tensors live and kernels run: `cpu`, `sim` (a simulated GPU) or `cuda`
---@class pah.Device
---@field name string # as opened: `"cpu"`
local Device = {}

---`"cpu"`, `"cpu:avx2"` (the kernels of that instruction set, one that `pah info` lists as usable, so that two can be
---compared in one run; its tensors are host memory too, but belong to that device), `"sim"`, `"sim:sm_90a"`,
---`"cuda"`, `"cuda:1"`, `"cuda:sm_90a"` (no GPU: compiles only); without a name `$PAH_DEVICE`, else cuda if it is
---usable, else cpu. Raises the reason when it is not usable
---```lua
---local dev = pah.device "cpu"
---print(dev.name, dev:info().threads)
---```
---@param name? pah.device
---@return pah.Device
function pah.device(name) end

---list of `{name=, usable=, why=}`
---```lua
---for _, d in ipairs(pah.devices()) do print(d.name, d.usable, d.why) end
---```
---@return table[]
function pah.devices() end

---`name`, `model`, `arch`, `isa`, `pci` (of a GPU: its place on the bus), `threads`, `sms`, `bytes`, `cache_bytes`,
---`clock_hz`, `host_memory`
---```lua
---pah.device("cpu"):info().model
---```
---@return table
function Device:info() end

---`bytes` and `buffers` allocated now, `peak_bytes`, and beside them `scratch_bytes`, which the cpu kernels hold for
---the next call
---```lua
---pah.device("cpu"):memory().bytes
---```
---@return table
function Device:memory() end

---waits until everything called so far is done
---```lua
---pah.device("cpu"):synchronize()
---```
function Device:synchronize() end

---a moment in the order of the device's work
---```lua
---local dev = pah.device "cpu"
---local before = dev:event()
---print(dev:event():since(before))
---```
---@return pah.Event
function Device:event() end

---cuda: the launches that `fn()` makes, recorded; `fn` is called twice, and nothing but launches may be in it: see
---[cuda.md](cuda.md#graphs)
---```lua
---local dev = pah.device "cpu"
---print(pcall(dev.graph, dev, function() end)) -- only cuda has graphs
---```
---@param fn function
---@return pah.Graph
function Device:graph(fn) end

---settings until they are set again; see [cuda.md](cuda.md) and [sim.md](sim.md)
---```lua
---pah.device("sim"):set{schedule = "random", seed = 3}
---```
---@param args pah.DeviceSettings
function Device:set(args) end

---settings of a device
---@class pah.DeviceSettings
---@field schedule? "order"|"reverse"|"random" # sim: the order of threads, in launches that do not say otherwise
---@field seed? integer # sim: of the random schedule
---@field limit? number # sim, cuda: seconds until a launch is stopped
---@field counters? boolean # sim: whether launches of modules are counted
---@field processors? integer # sim: that run the thread blocks of a launch of more than 10 ms; default: all
---@field tensor_kernels? boolean # sim: work on tensors is simulated too (default false)
---cuda: a kernel checks block tables, lengths and slots before they are used (default true); false leaves that out,
---for timing
---@field check? boolean

---launches that are recorded, to be started together
---@class pah.Graph
---@field launches integer # how many
local Graph = {}

---starts them again, in their order, at little cost for the host
---```lua
---local dev = pah.device "cpu"
---local ok, g = pcall(dev.graph, dev, function() end)
---if ok then g:launch() end
---```
function Graph:launch() end

---a moment in the order of a device's work
---@class pah.Event
local Event = {}

---waits for both; the seconds between them, by the GPU's own clock on cuda, the host's elsewhere
---```lua
---local a = pah.device("cpu"):event()
---print(pah.device("cpu"):event():since(a))
---```
---@param earlier pah.Event
---@return number
function Event:since(earlier) end
