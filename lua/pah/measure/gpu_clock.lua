-- gpu_clock.lua - the rate that a GPU's multiprocessors run at during a sample, from two stamps of its timer and of its
-- cycle counter, and whether it is throttled: below 75 % of the highest rate that this process has seen. Nothing is
-- set: a clock that is not known is nil. Read next: timer.lua, init.lua, kernels/measure/clock.cu.
local C = require("pah.ffi").C
local i64 = require("pah.module").exports.i64
local host = require "pah.host"
local tensor = require "pah.tensor"

local M = {}

--- A clock below this part of the highest one seen is throttled.
M.least = 0.75

local highest = {} -- device name -> Hz
local clocks = {} -- device name -> {start=, stop=, hold=}, or false: cannot be had

local function open(device)
  local module = device:compile{source = host.datadir .. "/kernels/measure/clock.cu"}
  local shape = {grid = {math.max(1, device:info().sms)}, block = {1}}
  local stamps = tensor.exports.zeros({4}, {dtype = "i64", device = device})
  local first, last = stamps:narrow(1, 1, 2), stamps:narrow(1, 3, 2)
  local clock = {}
  function clock.start() module:launch("stamp", shape, first) end
  --- Keeps the GPU busy for that many seconds: what is launched meanwhile is queued.
  function clock.hold(seconds) module:launch("hold", {grid = {1}, block = {1}}, i64(seconds * 1e9)) end
  --- Hz since start; nil if the timer has not moved.
  function clock.stop()
    module:launch("stamp", shape, last)
    local at = stamps:to("cpu"):data()
    return M.rate(tonumber(at[2] - at[0]), tonumber(at[3] - at[1]))
  end
  clock.start() -- the first launch of a kernel takes longer
  clock.hold(0)
  clock.stop()
  return clock
end

--- Hz of `cycles` in `nanoseconds`; nil if either is no time.
function M.rate(nanoseconds, cycles)
  if nanoseconds <= 0 or cycles <= 0 then return nil end
  return cycles / nanoseconds * 1e9
end

--- {start=, stop=, hold=} of a device's clock; nil where it cannot be had.
function M.of(device)
  if clocks[device.name] == nil then
    local ok, clock = pcall(open, device)
    clocks[device.name] = ok and clock or false
  end
  return clocks[device.name] or nil
end

--- Whether a sample at `hz` (nil: not known) was throttled; the highest rate is remembered.
function M.throttled(device, hz)
  if not hz then return false end
  highest[device.name] = math.max(highest[device.name] or 0, hz)
  return hz < M.least * highest[device.name]
end

--- The highest rate seen of a device, in Hz; nil: none.
function M.highest(device) return highest[device.name] end

--- Seconds in which the GPU may cool: 50 ms after the first throttled sample, longer after more of them, half a second
--- at most, and never beyond `left` seconds.
function M.rest(count, left) return math.max(0, math.min(left, 0.5, 0.05 * count)) end

--- Waits that long.
function M.pause(count, left)
  local stop = C.pah_clock() + M.rest(count, left)
  while C.pah_clock() < stop do end -- luacheck: ignore 542
end

--- Forgets the highest rates.
function M.forget() highest = {} end

return M
