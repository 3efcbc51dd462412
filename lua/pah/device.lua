-- device.lua - devices by name: pah.device, pah.devices, and the clock and threads of the host.
-- Promises: the same object for the same name; a device that is not usable is an error that gives the reason and the
-- cure.
local ffi = require "ffi"
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local binding = require "pah.ffi"
local C, check = binding.C, binding.check

local M = {}
local Device = classes.name("Device", {})
Device.__index = Device
M.class = Device -- module/init.lua adds compile
local open = {} -- name -> object; devices stay open until the program ends

local function numbers(struct, fields)
  local t = {}
  for _, name in ipairs(fields) do t[name] = tonumber(struct[name]) end
  return t
end

--- What the device is: name, model, arch, isa, pci (strings), threads, sms, bytes, cache_bytes, clock_hz (numbers),
--- host_memory (boolean).
function Device:info()
  local info = ffi.new("struct pah_device_info")
  check(C.pah_device_get_info(self.handle, info))
  local t = numbers(info, {"threads", "sms", "bytes", "cache_bytes", "clock_hz"})
  for _, name in ipairs {"name", "model", "arch", "isa", "pci"} do t[name] = ffi.string(info[name]) end
  t.host_memory = info.host_memory == 1
  return t
end

--- Its account: bytes and buffers allocated now, peak_bytes since it was opened; scratch_bytes, beside them, is working
--- memory that the kernels hold, in use or kept for the next call (of all cpu devices together).
function Device:memory()
  local memory = ffi.new("struct pah_memory")
  C.pah_device_get_memory(self.handle, memory)
  return numbers(memory, {"bytes", "peak_bytes", "buffers", "scratch_bytes"})
end

--- Waits until everything called so far is done.
function Device:synchronize() check(C.pah_device_synchronize(self.handle)) end

local Event = classes.name("Event", {})
Event.__index = Event

--- An event in the order of the device's work; later:since(earlier) is the seconds between two of them.
function Device:event()
  local handle = ffi.new "struct pah_event *[1]"
  check(C.pah_event_record(self.handle, handle))
  return setmetatable({handle = ffi.gc(handle[0], C.pah_event_free)}, Event)
end

function Event:since(earlier)
  if getmetatable(earlier) ~= Event then errors.raisef("since: is a %s, must be an event", type(earlier)) end
  local seconds = ffi.new "double[1]"
  check(C.pah_event_elapsed(earlier.handle, self.handle, seconds))
  return seconds[0]
end

local Graph = classes.name("Graph", {})
Graph.__index = Graph

--- Launches that fn makes, recorded to be repeated by :launch(). fn is called twice: once as it is, so that kernels are
--- compiled and working memory is there, then to record. What it calls must be launches alone: results are given
--- (out=, lse=), and an allocation, a copy to or from the host, a wait or an event inside is an error that names it. A
--- graph keeps fn; it repeats launches with the addresses that fn used, so their tensors must stay.
function Device:graph(fn)
  if type(fn) ~= "function" then errors.raisef("graph: is called with a %s, must be a function", type(fn)) end
  check(C.pah_graph_begin(self.handle)) -- says so at once where there are no graphs
  check(C.pah_graph_end(self.handle, nil))
  fn()
  check(C.pah_graph_begin(self.handle))
  local ok, why = pcall(fn)
  local handle = ffi.new "struct pah_graph *[1]"
  local status = C.pah_graph_end(self.handle, ok and handle or nil)
  if not ok then error(why, 0) end
  check(status)
  return setmetatable({handle = ffi.gc(handle[0], C.pah_graph_free), fn = fn,
    launches = tonumber(C.pah_graph_launches(handle[0]))}, Graph)
end

--- Starts all launches of the graph, in their order.
function Graph:launch() check(C.pah_graph_launch(self.handle)) end

function Graph:__tostring() return ("pah.graph of %d launches"):format(self.launches) end

local function setting(name, value)
  if type(value) == "boolean" then return value and "1" or "0" end
  if type(value) == "number" then return ("%.17g"):format(value) end
  if type(value) == "string" then return value end
  errors.raisef("%s: is a %s, must be a string, number or boolean", name, type(value))
end

--- Settings until they are set again: dev:set{schedule = "random", seed = 3}. See doc/lua-api.md.
function Device:set(settings)
  if type(settings) ~= "table" then
    errors.raisef("set: is called with a %s, must be called with a table of settings", type(settings))
  end
  for name, value in pairs(settings) do
    check(C.pah_device_set(self.handle, tostring(name), setting(tostring(name), value)))
    if name == "check" then self.unchecked = value == false or value == 0 end
  end
end

function Device:__tostring() return ("pah.device %q"):format(self.name) end

local best -- "cuda" or "cpu"; asked for once, since looking for a driver takes long

local function default_name()
  local asked = os.getenv "PAH_DEVICE"
  if asked and asked ~= "" then return asked end
  best = best or (C.pah_device_usable("cuda") == 0 and "cuda" or "cpu")
  return best
end

-- Names of devices as a set: the kinds, and what may follow the colon where that is known.
local function known_names()
  local known = {}
  for start, name in pairs {[""] = C.pah_device_kind, ["cpu:"] = C.pah_isa_name, ["sim:"] = C.pah_sim_arch_name} do
    local i = 0
    while name(i) ~= nil do
      known[start .. ffi.string(name(i))] = true
      i = i + 1
    end
  end
  return known
end

--- The device object for a name, an object (returned as it is) or nil (the default).
function M.get(device)
  if type(device) == "table" and getmetatable(device) == Device then return device end
  if device == nil then device = default_name() end
  if type(device) ~= "string" then errors.raisef("device: is a %s, must be a name or a device", type(device)) end
  if open[device] then return open[device] end
  local handle = ffi.new("struct pah_device *[1]")
  local status = C.pah_device_open(device, handle)
  if status == C.PAH_EINVAL then errors.raise(ffi.string(C.pah_error()) .. errors.hint(device, known_names())) end
  check(status)
  open[device] = setmetatable({name = device, handle = handle[0]}, Device)
  return open[device]
end

--- The device object of a struct pah_device *.
function M.of(handle)
  for _, device in pairs(open) do
    if device.handle == handle then return device end
  end
end

--- Waits for all devices that are open, in the order of their names; raises what went wrong on one of them.
function M.finish()
  local names = {}
  for name in pairs(open) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do open[name]:synchronize() end
end

--- List of {name =, usable =, why =} of every kind of device; why is nil where it is usable.
function M.devices()
  local list = {}
  local i = 0
  while C.pah_device_kind(i) ~= nil do
    local name = ffi.string(C.pah_device_kind(i))
    local usable = C.pah_device_usable(name) == 0
    list[i + 1] = {name = name, usable = usable, why = not usable and ffi.string(C.pah_error()) or nil}
    i = i + 1
  end
  return list
end

--- Threads of the cpu kernels; with n (1 to 1024), sets them first.
function M.threads(n)
  if n ~= nil then
    if type(n) ~= "number" or n % 1 ~= 0 then errors.raisef("threads: is %s, must be a whole number", tostring(n)) end
    check(C.pah_set_threads(math.max(-1, math.min(n, 2 ^ 30))))
  end
  return C.pah_get_threads()
end

M.exports = {
  device = M.get,
  devices = M.devices,
  threads = M.threads,
  clock = function() return C.pah_clock() end,
}

return M
