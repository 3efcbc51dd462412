-- arena.lua - the memory that a worker sees: one piece that both processes have open, with a copy of every tensor of a
-- call in it, each between guards that tell whether something was written beside it. Host memory for tensors of the
-- cpu; memory of the GPU for those of cuda, or the host's where the driver gives no handle for another process.
-- Read next: init.lua, src/host/shared.c.
local binding = require "pah.ffi"
local devices = require "pah.device"
local errors = require "pah.errors"
local ffi = require "ffi"
local tensor = require "pah.tensor"

local C, check = binding.C, binding.check

local M = {}
local Arena = {}
Arena.__index = Arena

local ALIGN, GUARD, BYTE = 256, 256, 0x5a

--- An arena for tensors of a device; grows when it must.
function M.new(device)
  if device.name:match "^sim" then
    errors.raisef("worker: a tensor is on %s, must be on cpu or cuda: another process cannot reach sim", device.name)
  end
  return setmetatable({device = device, home = device, bytes = 0}, Arena)
end

local function open(self, device, bytes)
  local handle = ffi.new "struct pah_shared *[1]"
  local status = C.pah_shared_new(device.handle, bytes, handle)
  if status == C.PAH_EUNSUPPORTED and not device.name:match "^cpu" then
    self.refused = ffi.string(C.pah_error())
    return open(self, devices.get "cpu", bytes)
  end
  check(status)
  self.shared, self.home, self.bytes = ffi.gc(handle[0], C.pah_shared_free), device, bytes
end

local function reserve(self, bytes)
  if self.shared and bytes <= self.bytes then return end
  self:close()
  open(self, self.refused and devices.get "cpu" or self.device, math.ceil(bytes * 1.5 / 4096) * 4096)
end

--- Gives the memory back.
function Arena:close()
  if self.shared then C.pah_shared_free(ffi.gc(self.shared, nil)) end
  self.shared, self.bytes = nil, 0
end

-- A tensor on `device` over borrowed memory: shape and strides (in elements) from `like`, or n bytes.
local function view_at(device, data, dtype, shape, strides)
  local raw = ffi.new "struct pah_tensor"
  raw.data, raw.device, raw.dtype, raw.ndim = data, device.handle, dtype, #shape
  for i = 1, #shape do raw.shape[i - 1], raw.stride[i - 1] = shape[i], strides[i] end
  return tensor.adopt(nil, raw)
end

-- Strides for the copy of a tensor: its own, but for those that lay elements over each other; and elements from the
-- first to past the last.
local function strides_of(t)
  local shape, strides, span = t.shape, t.strides, 1
  for i = 1, #shape do
    if shape[i] > 1 and strides[i] == 0 then strides = nil break end
  end
  if not strides then
    strides = {}
    local stride = 1
    for i = #shape, 1, -1 do strides[i], stride = stride, stride * math.max(1, shape[i]) end
  end
  for i = 1, #shape do
    if shape[i] == 0 then return strides, 0 end
    span = span + (shape[i] - 1) * strides[i]
  end
  return strides, span
end

local function align(n) return math.ceil(n / ALIGN) * ALIGN end

--- Places copies of tensors (name -> tensor) into the arena: a list of {name=, tensor=, view=, offset=, guards=}.
function Arena:place(tensors)
  local names, items, at = {}, {}, GUARD
  for name in pairs(tensors) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local t = tensors[name]
    local strides, span = strides_of(t)
    local size = tonumber(C.pah_dtype_size(t.raw.dtype))
    items[i] = {name = name, tensor = t, offset = at, strides = strides, bytes = span * size}
    at = align(at + span * size) + GUARD
  end
  reserve(self, at)
  local base = ffi.cast("char *", C.pah_shared_data(self.shared))
  for _, item in ipairs(items) do
    item.view = view_at(self.home, base + item.offset, item.tensor.raw.dtype, item.tensor.shape, item.strides)
    local after = item.offset + item.bytes
    item.guards = {
      view_at(self.home, base + item.offset - GUARD, C.PAH_U8, {GUARD}, {1}),
      view_at(self.home, base + after, C.PAH_U8, {align(after) + GUARD - after}, {1}),
    }
  end
  return items
end

--- Copies tensors in and sets the guards.
function Arena:fill(items)
  for _, item in ipairs(items) do
    for _, guard in ipairs(item.guards) do guard:fill(BYTE) end
  end
  for _, item in ipairs(items) do
    if item.bytes > 0 then item.view:copy(item.tensor) end
  end
  self.home:synchronize()
end

local function intact(guard)
  local host = guard:to "cpu"
  local data = ffi.cast("const uint8_t *", host:data())
  for i = 0, host:numel() - 1 do
    if data[i] ~= BYTE then return false end
  end
  return true
end

--- Copies tensors back; the name of one beside which something was written, or nil.
function M.fetch(items)
  local spoilt
  for _, item in ipairs(items) do
    if not (intact(item.guards[1]) and intact(item.guards[2])) then spoilt = spoilt or item.name end
    if item.bytes > 0 then item.tensor:copy(item.view) end
  end
  return spoilt
end

--- What the worker opens: name, bytes, and kind ("host" or "cuda").
function Arena:description()
  return {name = ffi.string(C.pah_shared_name(self.shared)), bytes = self.bytes,
    kind = self.home.name:match "^cuda" and "cuda" or "host", gpu = self.device.name:match "^cuda" ~= nil}
end

return M
