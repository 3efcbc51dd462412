-- init.lua - pah.bench: the time of a function, with an interval that says how far to trust it.
-- Promises: warm before the first sample, samples until the interval of the median is narrow enough, all of them kept,
-- doubts about them noted, and never a time from sim. Definitions: doc/measuring.md. Read next: timer.lua.
local binding = require "pah.ffi"
local classes = require "pah.util.classes"
local devices = require "pah.device"
local errors = require "pah.errors"
local ffi = require "ffi"
local gpu_clock = require "pah.measure.gpu_clock"
local neighbours = require "pah.measure.neighbours"
local peaks = require "pah.measure.peaks"
local notice = require "pah.measure.notice"
local read_file = require("pah.util.whole_file").read
local stats = require "pah.measure.stats"
local timer = require "pah.measure.timer"
local units = require "pah.util.units"

local C, check = binding.C, binding.check

local M = {}

-- Option -> its default; false: none.
local defaults = {
  name = "call", device = false, cold = false, bytes = false, flops = false, dtype = "f32", limits = true,
  min_time = 0.5, max_time = 10, min_samples = 10, max_samples = 2000, precision = 0.01, warmup = 2, pin = false,
  setup = false, after = false, graph = false, time = false, turn = false,
}

M.defaults = defaults

local function read_options(opts)
  errors.check_keys("bench", opts, defaults)
  local o = {}
  for key, value in pairs(defaults) do
    o[key] = value
    if opts and opts[key] ~= nil then o[key] = opts[key] end
  end
  for _, key in ipairs {"min_time", "max_time", "min_samples", "max_samples", "precision", "warmup", "bytes",
    "flops"} do
    local value = o[key]
    if value and (type(value) ~= "number" or value < 0 or value ~= value) then
      errors.raisef("bench: %s is %s, must be a number >= 0", key, tostring(value))
    end
  end
  if o.min_samples < 3 then errors.raisef("bench: min_samples is %s, must be at least 3", o.min_samples) end
  if o.max_samples < o.min_samples then
    errors.raisef("bench: max_samples is %s, must be at least min_samples, %s", o.max_samples, o.min_samples)
  end
  for _, key in ipairs {"setup", "after", "time", "turn"} do
    if o[key] and type(o[key]) ~= "function" then
      errors.raisef("bench: %s is a %s, must be a function", key, type(o[key]))
    end
  end
  if o.graph == true then o.graph = 1 end
  if o.graph and (type(o.graph) ~= "number" or o.graph < 1 or o.graph % 1 ~= 0) then
    errors.raisef("bench: graph is %s, must be true or how many graphs take turns", tostring(o.graph))
  end
  o.device = devices.get(o.device or nil)
  return o
end

-- ---- Warm-up and samples ----------------------------------------------------------------------------------------

-- Calls until the medians of two windows of calls next to each other agree within 2 %, or o.warmup seconds are over.
-- Returns what was done.
local function warm_up(fn, o, time)
  local start, window, before = C.pah_clock(), {}, nil
  local done = {calls = 0, stable = false, compared = false}
  local window_start = start
  repeat
    if o.setup then o.setup() end
    window[#window + 1] = time(fn, 1)
    if o.after then o.after() end
    done.calls = done.calls + 1
    local now = C.pah_clock()
    if #window >= 3 and now - window_start > math.min(0.05, o.warmup / 4) then
      local median = stats.median(window)
      done.compared = before ~= nil
      done.stable = done.compared and math.abs(median - before) <= 0.02 * before
      before, window, window_start = median, {}, now
    end
  until done.stable or now - start >= o.warmup and done.calls >= 2
  done.seconds = C.pah_clock() - start
  return done
end

-- Calls per sample: enough that reading the clock is below 0.1 % of it; one where something happens between calls.
local function calls_per_sample(fn, o, time, overhead)
  local calls = 1
  if o.cold or o.setup or o.after then return calls end
  local function sample() return math.min((time(fn, calls)), (time(fn, calls)), (time(fn, calls))) * calls end
  while sample() < 1000 * overhead and calls < 2 ^ 24 do calls = calls * 2 end
  return calls
end

local function narrow_enough(samples, precision)
  local sorted = stats.sorted(samples)
  local low, high = stats.interval_of_median(sorted, stats.effective_size(samples))
  return (high - low) / 2 <= precision * stats.quantile(sorted, 0.5)
end

--- Samples until enough is known; garbage is collected between samples only. compare/child.lua replaces
--- it. With o.turn, which is called after every sample with why it would end or nil, that says whether it ends.
--- A sample that a GPU took at a throttled clock is thrown away, after a pause, while there is time (gpu_clock.lua).
function M.take(fn, o, time, calls, flush)
  local lists = {seconds = {}, wall = {}, cpu = {}, faults = {}, hz = {}}
  local samples, wall, hz, taken = lists.seconds, lists.wall, lists.hz, {throttled = 0}
  for name, list in pairs(lists) do taken[name] = list end
  local start, look, since = C.pah_clock(), o.min_samples, 0
  local why
  collectgarbage()
  collectgarbage "stop"
  local ok, failure = pcall(function()
    repeat
      if o.setup then o.setup() end
      if flush then flush() end
      local n = #samples + 1
      samples[n], wall[n], lists.cpu[n], lists.faults[n], hz[n] = time(fn, calls)
      if o.after then o.after() end
      since = since + wall[n] * calls
      if gpu_clock.throttled(o.device, hz[n]) then
        taken.throttled = taken.throttled + 1
        if C.pah_clock() - start < o.max_time then
          for _, list in pairs(lists) do list[n] = nil end
          n = n - 1
          gpu_clock.pause(taken.throttled, o.max_time - (C.pah_clock() - start))
        else
          taken.kept = true
        end
      end
      if since > 0.02 then
        collectgarbage()
        since = 0
      end
      local now = C.pah_clock() - start
      taken.elapsed = now
      if n >= look and now >= o.min_time or n >= o.max_samples or n >= o.min_samples and now >= o.max_time then
        look = math.ceil(n * 1.2)
        if narrow_enough(samples, o.precision) then why = "precise" end
      end
      if not why and n >= o.max_samples then why = "max_samples" end
      if not why and n >= 3 and now >= o.max_time then why = "max_time" end
    until o.turn and o.turn(why) or not o.turn and why
  end)
  collectgarbage "restart"
  if not ok then error(failure, 0) end
  taken.why, taken.calls = why, calls
  return taken
end

-- ---- What came of it ----------------------------------------------------------------------------------------------

-- elapsed: seconds in which the samples were taken; busy: a line about other programs meanwhile, or nil.
local function notes_of(r, o, elapsed, busy)
  local notes = {busy}
  local function note(...) notes[#notes + 1] = (...):format(select(2, ...)) end
  if not r.warmup.compared then -- nothing was seen to settle; samples that drift say that it had not
    if math.abs(r.drift) > 0.02 then
      note("a warm-up of %d calls in %.1f s does not show whether they are stable", r.warmup.calls, r.warmup.seconds)
    end
  elseif not r.warmup.stable then
    note("not stable after %.1f s of warm-up", r.warmup.seconds)
  end
  if r.stopped ~= "precise" and (r.high - r.low) / 2 <= o.precision * r.median then
    note("only %d samples in %.1f s, asked for %d", r.n, elapsed, o.min_samples)
  elseif r.stopped ~= "precise" then
    note("stopped at %s with the interval at +-%.1f %%, asked for +-%.1f %%", r.stopped,
      50 * (r.high - r.low) / r.median, 100 * o.precision)
  end
  if r.outliers > math.max(1, 0.05 * r.n) then note("%d of %d samples are outliers", r.outliers, r.n) end
  if math.abs(r.drift) > math.max(0.02, 2 * (r.high - r.low) / r.median) then
    note("drifts by %+.1f %% from the first to the last sample", 100 * r.drift)
  end
  if r.effective_n < r.n / 10 then
    note("neighbouring samples depend on each other: %d are worth %.0f", r.n, r.effective_n)
  end
  if r.calls == 1 and r.overhead > 0.01 * r.median then
    note("reading the clock takes %.1f %% of a sample", 100 * r.overhead / r.median)
  end
  if r.throttled and r.throttled > 0 then
    note("%d samples were made at less than 75 %% of the highest clock seen, %.0f MHz; %s", r.throttled,
      gpu_clock.highest(o.device) / 1e6, r.throttled_kept and "some were kept, as time was over" or "thrown away")
  end
  local clock = o.device:info().clock_hz
  if r.clock_hz and clock > 0 and r.clock_hz < 0.75 * clock then
    note("the clock is %.0f MHz, %.0f %% of the highest that the GPU has", r.clock_hz / 1e6, 100 * r.clock_hz / clock)
  end
  if r.page_faults and r.page_faults >= 1 then
    note("%.4g pages a call are touched for the first time: the system's work on them is part of the time",
      r.page_faults)
  end
  if r.wall > 1.5 * r.median + 2e-4 then
    note("the host waited %.3g s for calls of %.3g s: work that the events do not see, or a busy host", r.wall,
      r.median)
  end
  return notes
end

-- Rates, and their fraction of what the device can do; a result that is faster than possible is an error.
local function rate(r, o)
  r.bytes, r.flops = o.bytes or nil, o.flops or nil
  if r.bytes then r.bytes_per_second = r.bytes / r.median end
  if r.flops then r.flops_per_second = r.flops / r.median end
  if not o.limits or not (r.bytes or r.flops) then return end
  for try = 1, 2 do -- a limit that was measured while the machine was busy is measured again before anything is refused
    r.limit = peaks.floor(o.device, {bytes = r.bytes, flops = r.flops, dtype = o.dtype, cold = o.cold})
    if not r.limit then return end
    r.fraction = r.limit.seconds / r.median
    if r.fraction <= 1 + peaks.tolerance then break end
    if try == 1 then peaks.forget() end
  end
  if r.fraction > 1 + peaks.tolerance then
    errors.raisef("bench: %s takes %.3g s, but its %s need %.3g s at the limit measured here: impossible (%.0f %% of "
      .. "the limit); bytes and flops must be those of the work that is done", o.name, r.median, r.limit.by,
      r.limit.seconds, 100 * r.fraction)
  end
end

local Result = classes.name("BenchResult", {})
Result.__index = Result

-- Those that can be summed over launches.
local counted_fields = binding.fields("pah_counters", "shared_static_bytes")

local function counted_text(r)
  local least = r.bytes and (", fewest possible %d"):format(r.bytes) or ""
  return ("%s: counted on %s, not timed: %d launches of %d thread blocks\n"
    .. "  global: %d bytes read, %d written%s; %d sectors, ideal %d\n"
    .. "  shared: %d bytes, %d wavefronts, ideal %d; mma: %d flops; %d barriers, %d atomics"):format(r.name, r.device,
    r.launches, r.thread_blocks, r.global_load_bytes, r.global_store_bytes, least, r.global_sectors,
    r.global_sectors_ideal, r.shared_bytes, r.shared_wavefronts, r.shared_wavefronts_ideal, r.mma_flops, r.barriers,
    r.atomics)
end

local function seconds_text(seconds) return units.text("s", seconds) end

function Result:__tostring()
  if self.counted then return counted_text(self) end
  local text = seconds_text
  local lines = {("%s: %s  [%s, %s] 95 %%, iqr %s, min %s, %d samples%s, %s %s"):format(self.name, text(self.median),
    text(self.low), text(self.high), text(self.iqr), text(self.min), self.n,
    self.calls > 1 and (" of %d calls"):format(self.calls) or "", self.device, self.cold and "cold" or "hot")}
  local rates = {}
  if self.bytes_per_second then rates[#rates + 1] = ("%.4g GB/s"):format(self.bytes_per_second / 1e9) end
  if self.flops_per_second then rates[#rates + 1] = ("%.4g GFLOP/s"):format(self.flops_per_second / 1e9) end
  if self.fraction then
    rates[#rates + 1] = ("%.1f %% of the limit (%s)"):format(100 * self.fraction, self.limit.by)
  end
  if self.back_to_back then rates[#rates + 1] = "back to back " .. text(self.back_to_back) end
  if self.cycles then rates[#rates + 1] = ("%.4g cycles at %.0f MHz"):format(self.cycles, self.clock_hz / 1e6) end
  if #rates > 0 then lines[#lines + 1] = "  " .. table.concat(rates, ", ") end
  for _, note in ipairs(self.notes) do lines[#lines + 1] = "  note: " .. note end
  return table.concat(lines, "\n")
end

-- Replays of o.graph graphs by turns, the i-th recorded from fn(i).
local function replays(fn, o)
  local graphs, turn = {}, 0
  for i = 1, o.graph do
    graphs[i] = o.device:graph(function() fn(i) end)
  end
  return function()
    turn = turn % o.graph + 1
    graphs[turn]:launch()
  end
end

-- ---- pah.bench ----------------------------------------------------------------------------------------------------

local function contents(path) return read_file(path) or "" end

-- The state of the system, which times on the host depend on: huge pages (the setting, and how much of this process's
-- memory lies in them now), resident memory, the governor of the clock.
local function add_host_state(r)
  local rollup = contents "/proc/self/smaps_rollup"
  r.huge_pages = contents("/sys/kernel/mm/transparent_hugepage/enabled"):match "%[(%a+)%]" or "unknown"
  r.huge_bytes = (tonumber(rollup:match "AnonHugePages:%s*(%d+)") or 0) * 1024
  r.resident_bytes = (tonumber(rollup:match "Rss:%s*(%d+)") or 0) * 1024
  r.governor = contents("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"):match "%S+" or "unknown"
end

-- Cycles and clock of a GPU's multiprocessors, where they were sampled.
local function add_clock(r, taken)
  local cycles, clocks = {}, {}
  for i, seconds in ipairs(taken.seconds) do
    if taken.hz[i] then
      clocks[#clocks + 1] = taken.hz[i]
      cycles[#cycles + 1] = seconds * taken.hz[i]
    end
  end
  if #clocks == 0 then return end
  r.clock_hz, r.cycles, r.clocks = stats.median(clocks), stats.median(cycles), clocks
  r.throttled, r.throttled_kept = taken.throttled, taken.kept
end

local function measure(fn, o)
  if o.graph then fn = replays(fn, o) end
  notice.begin(("measuring %s, up to %g s"):format(o.name, o.warmup + o.max_time))
  local time = o.time or timer.of(o.device)
  local overhead = timer.overhead(o.device)
  local warmup = warm_up(fn, o, time)
  local calls = calls_per_sample(fn, o, time, overhead)
  local flush, flush_bytes
  if o.cold and not o.time then flush, flush_bytes = timer.flusher(o.device) end
  local others = neighbours.watch()
  local taken = M.take(fn, o, time, calls, flush)
  local used, processors = others()
  notice.finish()
  local r = stats.summary(taken.seconds)
  r.name, r.device, r.cold, r.samples, r.calls = o.name, o.device.name, o.cold, taken.seconds, taken.calls
  r.overhead, r.warmup, r.flush_bytes, r.stopped = overhead, warmup, flush_bytes, taken.why
  r.wall, r.cpu, r.page_faults = stats.median(taken.wall), stats.median(taken.cpu), stats.median(taken.faults)
  r.threads, r.pinned = C.pah_get_threads(), o.pin
  add_host_state(r)
  add_clock(r, taken)
  if o.device.name:match "^cuda" and o.back_to_back ~= false and not (o.cold or o.setup or o.after) then
    r.back_to_back = time(fn, math.max(1, math.min(1000, math.ceil(0.1 / math.max(r.median, 1e-7)))))
  end
  rate(r, o)
  r.notes = notes_of(r, o, taken.elapsed, neighbours.note(used, processors, taken.elapsed))
  return setmetatable(r, Result)
end

-- On sim: the counters of the launches of one call, as a table of counters, `launches` among them.
local function count(fn, o)
  if o.setup then o.setup() end
  local sum, launches = ffi.new "struct pah_counters", ffi.new "int64_t[1]"
  check(C.pah_device_tally(o.device.handle, 1, nil, nil))
  local ok, why = pcall(fn)
  check(C.pah_device_tally(o.device.handle, 0, sum, launches))
  if not ok then error(why, 0) end
  if o.after then o.after() end
  local r = {name = o.name, device = o.device.name, counted = true, launches = tonumber(launches[0]), bytes = o.bytes,
    flops = o.flops}
  for _, field in ipairs(counted_fields) do r[field] = tonumber(sum[field]) end
  return setmetatable(r, Result)
end

--- Measures fn() -> result. Options: name; device; cold (caches flushed before every sample; default: hot); setup,
--- after (called before and after every sample, not timed); bytes, flops (of a call, for rates and the limit; dtype
--- says which peak); min_time, max_time (seconds of samples, 0.5 and 10), min_samples, max_samples (10 and 2000),
--- precision (half the interval over the median, 0.01), warmup (seconds at most, 2), pin (each thread on its own
--- processor), limits (false: none), graph (on cuda: what is timed is the replay of a graph that dev:graph has recorded
--- from fn; a number n: of n graphs by turns, the i-th of fn(i), so that the inputs can differ).
-- The result has median, low, high (95 % interval), q1, q3, iqr, min, max, mean (seconds of a call), samples (all, in
-- order), n, effective_n, calls (per sample), overhead, wall, cpu, outliers, drift, notes, warmup, stopped,
-- page_faults, huge_bytes, resident_bytes, governor, on cuda cycles, clock_hz, clocks and throttled; bytes_per_second,
-- flops_per_second, limit, fraction; tostring is for people. Errors of fn pass through. On sim, which
-- has no time, fn is called once and the result has `counted` and the counters of its launches (doc/sim.md) instead.
function M.bench(fn, opts)
  if type(fn) ~= "function" then errors.raisef("bench: is called with a %s, must be a function", type(fn)) end
  local o = read_options(opts)
  if o.device.name:match "^sim" then return count(fn, o) end
  if not o.pin then return measure(fn, o) end
  check(C.pah_pin_threads(1))
  local ok, r = pcall(measure, fn, o)
  C.pah_pin_threads(0)
  if not ok then error(r, 0) end
  return r
end

M.exports = {bench = M.bench}

return M
