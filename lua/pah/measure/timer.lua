-- timer.lua - the time of calls on a device: by the host's clock on the cpu, by the GPU's own events on cuda; the cost
-- of an empty measurement; caches made cold. sim has no time (init.lua counts its work instead).
-- Read next: init.lua, src/cpu/measure.c.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local ffi = require "ffi"
local gpu_clock = require "pah.measure.gpu_clock"
local i64 = require("pah.module").exports.i64
local tensor = require "pah.tensor"

local C, check = binding.C, binding.check

local M = {}

--- Functions that run elsewhere and take their time there: run -> f(args, calls, cold, device), which returns what a
--- function of M.of does. Set by pah.worker, used by pah.bench_attention.
M.foreign = setmetatable({}, {__mode = "k"})

-- ---- One measurement ----------------------------------------------------------------------------------------------

local function time_on_host(fn, calls)
  local faults = C.pah_page_faults()
  local cpu = C.pah_cpu_clock()
  local start = C.pah_clock()
  for _ = 1, calls do fn() end
  local stop = C.pah_clock()
  cpu = C.pah_cpu_clock() - cpu
  faults = tonumber(C.pah_page_faults() - faults)
  return (stop - start) / calls, (stop - start) / calls, cpu / calls, faults / calls
end

--- Seconds that a GPU is held up before a sample: longer than a host takes to launch most calls, so that the GPU does
--- not wait for the host between the events.
M.HOLD = 2e-4

-- The events enclose the calls in the order of the device's work, queued behind a pause of M.HOLD; the host's clock
-- encloses all that and a wait for the whole device, less the pause, so that work which the events do not see shows
-- as a wall time far above theirs. The stamps of the multiprocessors' clock stand outside of both.
local function time_on_cuda(device)
  local clock = gpu_clock.of(device)
  return function(fn, calls)
    local faults = C.pah_page_faults()
    if clock then clock.start() end
    device:synchronize()
    local cpu = C.pah_cpu_clock()
    local start = C.pah_clock()
    if clock then clock.hold(M.HOLD) end
    local from = device:event()
    for _ = 1, calls do fn() end
    local to = device:event()
    device:synchronize()
    local stop = C.pah_clock()
    cpu = C.pah_cpu_clock() - cpu
    local hz = clock and clock.stop()
    faults = tonumber(C.pah_page_faults() - faults)
    local seconds = to:since(from)
    return seconds / calls, math.max(seconds, stop - start - (clock and M.HOLD or 0)) / calls, cpu / calls,
      faults / calls, hz
  end
end

--- A function(fn, calls) that calls fn that often and returns of one call: seconds by the device's clock, by the
--- host's, and of the processors (all threads of this process); pages of the host touched for the first time; on cuda
--- the rate of the multiprocessors' clock meanwhile, in Hz (nil: not known).
function M.of(device)
  local kind = device.name:match "^%a+"
  if kind == "sim" then errors.raise "timer: sim has no time, must be cpu or cuda" end
  return kind == "cuda" and time_on_cuda(device) or time_on_host
end

local function nothing() end

--- Seconds of a measurement of an empty call, the median of 101: the overhead in a sample.
function M.overhead(device)
  local time, list = M.of(device), {}
  for i = 1, 101 do list[i] = time(nothing, 1) end
  table.sort(list)
  return list[51]
end

-- ---- Cold caches ------------------------------------------------------------------------------------------------

local readers = {} -- device, bytes and block size -> struct pah_reader, for as long as the program runs

local function new_reader(device, bytes, block_bytes)
  local handle = ffi.new "struct pah_reader *[1]"
  check(C.pah_reader_new(device.handle, bytes, block_bytes or 0, handle))
  return ffi.gc(handle[0], C.pah_reader_free)
end

--- Memory of `bytes` that all threads of the cpu read: a struct pah_reader (src/pah_measure.h), the same for the same
--- device and sizes.
function M.reader(device, bytes, block_bytes)
  local key = ("%s %d %d"):format(device.name, bytes, block_bytes or 0)
  readers[key] = readers[key] or new_reader(device, bytes, block_bytes)
  return readers[key]
end

--- What use(reader) returns, with a reader that is freed right after: it may be a gigabyte.
function M.with_reader(device, bytes, block_bytes, use)
  local reader = new_reader(device, bytes, block_bytes)
  local result = use(reader)
  C.pah_reader_free(ffi.gc(reader, nil))
  return result
end

--- Bytes that a flush of the device's caches writes and reads: a little over twice the last-level cache, and 64 MiB at
--- least (where it is not known: 256 MiB).
function M.flush_bytes(device)
  local cache = device:info().cache_bytes
  return cache > 0 and math.max(2 ^ 26, math.ceil(2.25 * cache / 2 ^ 20) * 2 ^ 20) or 2 ^ 28
end

local flush_text = [[
extern "C" __global__ void flush(float4 *data, long long count, float *sums) {
  long long step = (long long)gridDim.x * blockDim.x, i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  for (long long k = i; k < count; k += step) data[k] = make_float4(k, 1, 2, 3);
}
extern "C" __global__ void sweep(float4 *data, long long count, float *sums) {
  long long step = (long long)gridDim.x * blockDim.x, i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  float sum = 0;
  for (long long k = i; k < count; k += step) sum += data[k].x + data[k].y + data[k].z + data[k].w;
  if (sum == 1.25f) sums[0] = sum;
}
]]

local function flush_of_cuda(device, bytes)
  local module = device:compile{text = flush_text}
  local data = tensor.exports.empty({bytes / 4}, {device = device})
  local sums = tensor.exports.empty({1}, {device = device})
  local shape = {grid = {8 * math.max(1, device:info().sms)}, block = {256}}
  return function()
    module:launch("flush", shape, data, i64(bytes / 16), sums)
    module:launch("sweep", shape, data, i64(bytes / 16), sums)
    device:synchronize()
  end
end

--- A function that makes the device's caches cold: it writes M.flush_bytes and then reads them, so that no dirty line
--- is left to be written back during the next call.
function M.flusher(device)
  local bytes = M.flush_bytes(device)
  if device.name:match "^cuda" then return flush_of_cuda(device, bytes), bytes end
  local reader = M.reader(device, bytes)
  return function() C.pah_reader_flush(reader) end, bytes
end

return M
