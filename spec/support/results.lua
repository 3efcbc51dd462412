-- results.lua - runs as pah.results.read returns them, made up but like real ones: a decode over block sizes, lengths
-- and dtypes on a machine of 30 GB/s and 300 GFLOP/s. Deterministic; every number follows from the axes.
local M = {}

local stats = require "pah.measure.stats"

local BANDWIDTH, PEAK = 30e9, 300e9

-- A number in [0, 1) from whole numbers.
local function noise(...)
  local x = 17
  for _, n in ipairs {...} do x = (x * 1103 + n * 12345 + 7) % 65521 end
  return x / 65521
end

--- A result like that of pah.bench for so many bytes and flops, `share` of the limit.
function M.result(name, bytes, flops, share, seed, count)
  local floor = math.max(bytes / BANDWIDTH, flops / PEAK)
  local samples = {}
  for i = 1, count or 30 do samples[i] = floor / share * (1 + 0.05 * noise(seed, i) ^ 3) end
  local r = stats.summary(samples)
  r.name, r.device, r.cold, r.samples, r.calls, r.stopped, r.notes = name, "cpu", false, samples, 1, "precise", {}
  r.overhead, r.wall, r.cpu, r.warmup = 6e-8, r.median, 2 * r.median, {calls = 5, seconds = 0.1, stable = true}
  r.bytes, r.flops, r.bytes_per_second, r.flops_per_second = bytes, flops, bytes / r.median, flops / r.median
  r.limit = {seconds = floor, by = bytes / BANDWIDTH > flops / PEAK and "bytes" or "flops",
    read_bytes_per_second = BANDWIDTH, flops_per_second = PEAK}
  r.fraction = floor / r.median
  return r
end

--- A header; fields of `changes` replace those that it has.
function M.header(changes)
  local header = {
    schema = 1, run = "20261125T204005-1a2b3c4d", name = "decode by block size", started = "2026-11-25T20:40:05Z",
    argv = {"pah", "run", "block_size.lua"}, script = "block_size.lua", script_sha256 = ("ab"):rep(32),
    pah = {version = "0.1.0", git = "0123456789abcdef", dirty = false}, luajit = "LuaJIT 2.1", compiler = "gcc 12.2.0",
    host = {name = "bench", kernel = "Linux 6.1", cpu = "A processor @ 2.0 GHz", isa = "avx512", threads = 2,
      cache_bytes = 2 ^ 25, memory_bytes = 2 ^ 34, governor = "performance", mhz = 2000, huge_pages = "madvise",
      numa_nodes = 1, load = 0.12},
    device = "cpu", env = {OMP_NUM_THREADS = "2"}, seed = 0,
    axes = {{name = "block_size", values = {8, 16, 32, 64, 128}}, {name = "dtype", values = {"f32", "bf16"}}},
    limits = {device = "cpu", threads = 2, memory_bytes = 2 ^ 30, block_bytes = 32768,
      read_bytes_per_second = BANDWIDTH, shuffled_read_bytes_per_second = 0.9 * BANDWIDTH,
      fma_flops_per_second = {f32 = PEAK},
      caches = {{bytes = 2 ^ 14, read_bytes_per_second = 4 * BANDWIDTH}}},
  }
  for key, value in pairs(changes or {}) do header[key] = value end
  return header
end

-- Calls fn(axes, place) for every point of a header's axes, the first axis slowest.
local function each_point(axes, fn)
  local place = 0
  local function walk(i, chosen)
    if i > #axes then
      place = place + 1
      local copy = {}
      for key, value in pairs(chosen) do copy[key] = value end
      return fn(copy, place)
    end
    for _, value in ipairs(axes[i].values) do
      chosen[axes[i].name] = value
      walk(i + 1, chosen)
    end
  end
  walk(1, {})
end

local function key_of(axes, chosen)
  local words = {}
  for i, axis in ipairs(axes) do words[i] = axis.name .. "=" .. tostring(chosen[axis.name]) end
  return table.concat(words, " ")
end

--- A run whose rows fill the grid of its axes, `rounds` times. make(axes, index, round) -> fields of the row; without
--- it a result whose share of the limit grows with block_size.
function M.run(changes, make, rounds)
  local header = M.header(changes)
  local run = {id = header.run, header = header, rows = {}}
  for round = 1, rounds or 1 do
    each_point(header.axes, function(axes, index)
      local size = type(axes.block_size) == "number" and axes.block_size or 16
      local bytes = (axes.dtype == "bf16" and 1 or 2) * 2 ^ 24 * ((axes.seqlen or 1024) / 1024)
      local share = (axes.dtype == "bf16" and 0.2 or 0.3) + 0.09 * math.log(size) / math.log(2)
      local row = make and make(axes, index, round) or {
        result = M.result("decode", bytes, bytes * 1.9, math.min(0.95, share), 100 * round + index),
        values = {max_abs = 1e-3 * (1 + index), splits = 4},
      }
      row.index, row.round, row.axes, row.key = index, round, axes, key_of(header.axes, axes)
      row.status, row.values, row.seconds = row.error and "error" or "ok", row.values or {}, 1.5
      row.measured_at = "2026-11-25T20:41:00Z"
      run.rows[#run.rows + 1] = row
    end)
  end
  return run
end

--- A run of sim: counters and no time.
function M.counted()
  return M.run({name = "counted", device = "sim", limits = false, axes = {{name = "block_size", values = {8, 16, 32}}}},
    function(axes, index)
      return {result = {name = "decode", device = "sim", counted = true, launches = 1, thread_blocks = 8,
        threads = 1024, global_load_bytes = 2 ^ 20, global_store_bytes = 4096, global_sectors = 40000 - 1000 * index,
        global_sectors_ideal = 33000, global_unique_bytes = 2 ^ 20, shared_bytes = 2 ^ 18, shared_wavefronts = 5000,
        shared_wavefronts_ideal = 4096, atomics = 0, barriers = 64, warp_barriers = 0, shuffles = 12,
        mma_flops = 2 ^ 22, async_bytes = 0, bytes = 2 ^ 20}, values = {block_size_seen = axes.block_size}}
    end)
end

--- A name with everything that could break out of quotes, tags, lines or colours.
M.nasty = "a'b\"c\\ <i>&amp; $(touch X) `touch X` @m {x_2} %s \n\27[31m é\255\0 '; system('touch X')#"

--- Writes a run to a results file; its name there is `name`, else its own.
function M.write(path, run, name)
  local store = pah.results.open(path, {name = name or run.header.name, axes = run.header.axes})
  for _, row in ipairs(run.rows) do store:add(row) end
  store:close()
end

return M
