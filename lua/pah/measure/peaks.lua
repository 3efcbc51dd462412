-- peaks.lua - the most that a device can do, measured by loops in this run: multiply-adds, reads of memory
-- in order and by shuffled blocks, reads that stay in the caches. Promises: nothing comes from a table of products.
-- Read next: src/cpu/measure.c, kernels/measure/peaks.cu, init.lua.
local C, check = require("pah.ffi").C, require("pah.ffi").check
local devices = require "pah.device"
local ffi = require "ffi"
local host = require "pah.host"
local i64 = require("pah.module").exports.i64
local json = require "pah.util.json"
local notice = require "pah.measure.notice"
local tensor = require "pah.tensor"
local timer = require "pah.measure.timer"
local units = require "pah.util.units"

local M = {}

--- How far above a peak a result may be before it is called impossible: a peak is a measurement too.
M.tolerance = 0.15

--- How far a peak may move during a run before it is worth a note, and seconds of work after which it is measured
--- again.
M.moves, M.long = 0.1, 20

-- "device threads" -> {fma = {dtype or loop -> flops/s}, read = {bytes -> bytes/s}}
local known = {}

local function memory_bytes(device)
  if device.name:match "^cuda" then return 2 ^ 30 end
  return math.min(2 ^ 30, math.max(2 ^ 28, 4 * device:info().cache_bytes))
end

local function of(device)
  local key = device.name .. " " .. C.pah_get_threads()
  known[key] = known[key] or {read = {}, fma = {}, loops = {}}
  return known[key]
end

--- Forgets what has been measured, so that it is measured again.
function M.forget() known = {} end

-- ---- The cpu ------------------------------------------------------------------------------------------------------

-- Bytes per second of passes over `bytes`, the best of `tries` times a few passes: the best is what is possible. Memory
-- is read a page at a time and eight pages interleaved: which is faster depends on the processor.
local function read_rate(device, bytes, block_bytes, tries)
  local passes = math.max(1, math.floor(2 ^ 26 / bytes))
  return timer.with_reader(device, bytes, block_bytes, function(reader)
    local best, ways = 0, bytes < 2 ^ 26 and 1 or 2
    C.pah_reader_pass(reader, 1)
    for try = 1, ways * tries do
      C.pah_reader_apart(reader, ways == 2 and try % 2 or 0)
      best = math.max(best, passes * bytes / C.pah_reader_pass(reader, passes))
    end
    return best
  end)
end

local cpu = {}

local loops = {f32 = C.pah_measure_fma_flops, dots = C.pah_measure_dots_flops}

--- Flops per second of all threads with a cpu device's instruction set over `seconds`: of multiply-adds ("f32") or of
--- products of bf16 by vdpbf16ps or the tile unit ("dots"; 0 without).
function M.flops(device, name, seconds)
  local flops = ffi.new "double[1]"
  check(loops[name](device.handle, seconds, flops))
  return flops[0]
end

-- The most of a loop, measured once: dtypes that are multiplied in the same way share a peak.
local function loop(device, all, name)
  if not all.loops[name] then
    local best = 0
    for _ = 1, 3 do best = math.max(best, M.flops(device, name, 0.05)) end
    all.loops[name] = best
  end
  return all.loops[name]
end

-- f32 and f16 are multiplied in f32. bf16, and fp8, which bf16 holds exactly, may also go by vdpbf16ps, where there is
-- such an instruction and it is faster.
function cpu.fma(device, dtype, all)
  local dots = dtype == "bf16" or dtype:match "^fp8"
  local f32 = loop(device, all, "f32")
  return dots and math.max(f32, loop(device, all, "dots")) or f32
end

function cpu.read(device, bytes, block_bytes)
  return read_rate(device, bytes, block_bytes, bytes < 2 ^ 26 and 15 or 5)
end

-- ---- cuda ---------------------------------------------------------------------------------------------------------

local cuda = {}
local modules = {} -- device name -> module

local function best_time(device, launch)
  local time = timer.of(device)
  launch()
  local best = math.huge
  for _ = 1, 10 do best = math.min(best, (time(launch, 3))) end
  return best
end

local function module_of(device)
  modules[device.name] = modules[device.name]
    or device:compile{source = host.datadir .. "/kernels/measure/peaks.cu"}
  return modules[device.name]
end

-- Flops of one round of a thread block of 256 threads: two warpgroups x four of 64 x 256 x 16 with wgmma, eight warps
-- x 32 of 16 x 8 x 16 with mma.sync; with fp8 x 32 instead of x 16.
local function tensor_flops(hopper, fp8)
  return (fp8 and 2 or 1) * (hopper and 2 * 4 * 2 * 64 * 256 * 16 or 8 * 32 * 2 * 16 * 8 * 16)
end

function cuda.fma(device, dtype)
  local module, info = module_of(device), device:info()
  local sums = tensor.exports.empty({256}, {device = device})
  local blocks, rounds = 4 * math.max(1, info.sms), 2000
  if dtype == "f32" then
    local seconds = best_time(device, function()
      module:launch("multiply_add", {grid = {2 * blocks}, block = {256}}, sums, 0.5, rounds)
    end)
    return 2 * blocks * 256 * rounds * 16 * 2 / seconds
  end
  -- Without instructions for fp8 (before sm_89) it is widened, and the peak is that of f16.
  local fp8 = dtype:match "^fp8" ~= nil and tonumber(info.arch:match "%d+") >= 89
  local seconds = best_time(device, function()
    module:launch(fp8 and "peak_fp8" or "peak", {grid = {blocks}, block = {256}}, sums, rounds)
  end)
  return blocks * rounds * tensor_flops(info.arch:match "^sm_9" ~= nil, fp8) / seconds
end

function cuda.read(device, bytes, block_bytes)
  local module = module_of(device)
  local data = tensor.exports.zeros({bytes / 4}, {device = device})
  local sums = tensor.exports.empty({256}, {device = device})
  local grid = {8 * math.max(1, device:info().sms)}
  local passes = block_bytes and 1 or math.max(1, math.floor(2 ^ 30 / bytes))
  local seconds = best_time(device, function()
    if block_bytes then
      module:launch("read_blocks", {grid = grid, block = {256}}, sums, data, i64(bytes / block_bytes),
        i64(block_bytes / 16))
    else
      module:launch("read", {grid = grid, block = {256}}, sums, data, i64(bytes / 16), passes)
    end
  end)
  return passes * bytes / seconds
end

-- ---- For all ------------------------------------------------------------------------------------------------------

local function maker(device) return device.name:match "^cuda" and cuda or cpu end

-- Sets of bytes that are read over and over: 16 KiB and fours of it, and then memory.
local function next_set(device, size) return math.min(size * 4, memory_bytes(device)) end

-- The largest of the sets that is not above `bytes`.
local function working_set(device, bytes)
  local size = 2 ^ 14
  while size < memory_bytes(device) and next_set(device, size) <= bytes do size = next_set(device, size) end
  return size
end

--- Flops per second of multiply-adds on operands of a dtype, measured once per device and number of threads.
function M.fma(device, dtype)
  local all = of(device)
  dtype = dtype or "f32"
  if not all.fma[dtype] then
    notice.begin(("measuring multiply-adds of %s"):format(device.name))
    all.fma[dtype] = maker(device).fma(device, dtype, all)
    notice.finish()
  end
  return all.fma[dtype]
end

--- Bytes per second of reading as many bytes as `bytes` over and over (nil: memory), measured once.
function M.read(device, bytes, block_bytes)
  local all = of(device)
  local size = bytes and working_set(device, bytes) or memory_bytes(device)
  local key = ("%d %d"):format(size, block_bytes or 0)
  if not all.read[key] then
    notice.begin(("measuring reads of %s by %s"):format(units.text("B", size), device.name))
    all.read[key] = maker(device).read(device, size, block_bytes)
    notice.finish()
  end
  return all.read[key]
end

--- The fastest that `bytes` can be read: memory in order or shuffled, and, unless caches are cold, every set of at
--- least that many bytes (a smaller one may be slow only because it does not occupy all threads).
function M.fastest_read(device, bytes, cold)
  local best = math.max(M.read(device), M.read(device, nil, 2 ^ 15))
  local size = cold and memory_bytes(device) or working_set(device, bytes)
  while size < memory_bytes(device) do
    best = math.max(best, M.read(device, size))
    size = next_set(device, size)
  end
  return best
end

--- The least time of `work` {bytes=, flops=, dtype=, cold=} -> {seconds=, by="bytes" or "flops", ...}; nil on sim.
function M.floor(device, work)
  if device.name:match "^sim" then return nil end
  local floor = {seconds = 0, by = "bytes"}
  if work.bytes and work.bytes > 0 then
    floor.read_bytes_per_second = M.fastest_read(device, work.bytes, work.cold)
    floor.seconds = work.bytes / floor.read_bytes_per_second
  end
  if work.flops and work.flops > 0 then
    floor.flops_per_second = M.fma(device, work.dtype)
    local seconds = work.flops / floor.flops_per_second
    if seconds > floor.seconds then floor.seconds, floor.by = seconds, "flops" end
  end
  return floor.seconds > 0 and floor or nil
end

--- All peaks of a device as a table that JSON can hold: fma_flops_per_second by dtype, read_bytes_per_second,
--- shuffled_read_bytes_per_second (blocks of block_bytes), caches {{bytes=, read_bytes_per_second=}}.
function M.collect(device)
  device = devices.get(device)
  local t = {
    device = device.name, threads = C.pah_get_threads(), memory_bytes = memory_bytes(device), block_bytes = 32768,
    read_bytes_per_second = M.read(device), caches = {}, fma_flops_per_second = {f32 = M.fma(device, "f32")},
  }
  t.shuffled_read_bytes_per_second = M.read(device, nil, t.block_bytes)
  for _, dtype in ipairs {"bf16", "fp8_e4m3"} do t.fma_flops_per_second[dtype] = M.fma(device, dtype) end
  local size = 2 ^ 14
  while size < t.memory_bytes do
    t.caches[#t.caches + 1] = {bytes = size, read_bytes_per_second = M.read(device, size)}
    size = next_set(device, size)
  end
  return t
end

-- The peaks in a table of M.collect as a list of {words, number}.
local function listed(t)
  local list = {{"reads of memory", t.read_bytes_per_second}, {"shuffled reads", t.shuffled_read_bytes_per_second}}
  for _, dtype in ipairs(json.keys(t.fma_flops_per_second)) do
    list[#list + 1] = {dtype .. " multiply-adds", t.fma_flops_per_second[dtype], "FLOP/s"}
  end
  for _, set in ipairs(t.caches) do
    list[#list + 1] = {("reads of %s"):format(units.text("B", set.bytes)), set.read_bytes_per_second}
  end
  return list
end

--- After `seconds` of work: measures the peaks again, if that was long, and returns them as M.collect does, and a
--- sentence about those that moved since `before` (of M.collect), or nil if none did.
function M.again(device, before, seconds)
  if seconds < M.long then return nil end
  M.forget()
  local after = M.collect(device)
  local old, moved = listed(before), {}
  for i, new in ipairs(listed(after)) do
    local was = old[i][2]
    if math.abs(new[2] / was - 1) > M.moves then
      local kind = new[3] or "B/s"
      moved[#moved + 1] = ("%s from %s to %s"):format(new[1], units.text(kind, was, 3), units.text(kind, new[2], 3))
    end
  end
  if #moved == 0 then return after end
  return after, ("limits moved by more than %d %% while the rows were measured: %s"):format(100 * M.moves,
    table.concat(moved, ", "))
end

return M
