-- roofline.lua - the picture of flops per byte against flops per second, under the peaks that were measured in the
-- run: reads of memory and of the fastest cache as slopes, multiply-adds as ceilings. Read next: layout.lua.
local drawable = require("pah.plot.data").drawable
local machines_of = require("pah.results.parts").machines
local text = require "pah.util.safe_text"
local units = require "pah.util.units"

local M = {}

local function raise_to(t, key, value)
  if drawable(value) and value > 0 then t[key] = math.max(t[key] or 0, value) end
end

-- The limits that the machines of runs measured, a list of tables, and how many machines there are.
local function limits_of(runs)
  local list, count = {}, 0
  for _, run in ipairs(runs) do
    for _, machine in ipairs(machines_of(run)) do
      count = count + 1
      if type(machine.limits) == "table" then list[#list + 1] = machine.limits end
    end
  end
  return list, count
end

-- What the runs measured of their device: {memory=, cache= (bytes/s), peaks={dtype -> flops/s}}.
local function peaks_of(runs, points)
  local found = {peaks = {}}
  for _, peaks in ipairs((limits_of(runs))) do
    raise_to(found, "memory", peaks.read_bytes_per_second)
    raise_to(found, "memory", peaks.shuffled_read_bytes_per_second)
    for _, set in ipairs(peaks.caches or {}) do raise_to(found, "cache", set.read_bytes_per_second) end
    for dtype, value in pairs(peaks.fma_flops_per_second or {}) do raise_to(found.peaks, dtype, value) end
  end
  if not found.memory then -- then those that the rows were compared with
    for _, p in ipairs(points) do raise_to(found, "reads", (p.rows[1].result.limit or {}).read_bytes_per_second) end
  end
  if not next(found.peaks) then
    for _, p in ipairs(points) do
      raise_to(found.peaks, "", (p.rows[1].result.limit or {}).flops_per_second)
    end
  end
  if found.cache and found.memory and found.cache < 1.1 * found.memory then found.cache = nil end
  return found
end

-- The ceilings, the highest first: {names (dtypes), peak}. Dtypes that differ by less than one part in fifty share one.
local function ceilings(peaks)
  local names, list = {}, {}
  for name in pairs(peaks) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if peaks[a] ~= peaks[b] then return peaks[a] > peaks[b] end
    return a < b
  end)
  for _, name in ipairs(names) do
    local last = list[#list]
    if last and last.peak < 1.02 * peaks[name] then
      last.names = last.names .. ", " .. name
    else
      list[#list + 1] = {names = name, peak = peaks[name]}
    end
  end
  return list
end

-- The slopes and ceilings as lines with names, the highest roof first; rates of both in one unit each.
local function lines_of(found, x, unit)
  local lines, list, scale = {}, ceilings(found.peaks), unit[1]
  local top = list[1] and list[1].peak or 0
  local fastest = math.max(found.cache or 0, found.memory or 0, found.reads or 0)
  for i, ceiling in ipairs(list) do
    local peak = ceiling.peak
    local start = fastest > 0 and math.max(x.low, peak / fastest) or x.low
    lines[i] = {name = ("%s multiply-adds %s"):format(ceiling.names, units.of(unit, peak, 3)):gsub("^ ", ""),
      points = {{x = math.min(start, x.high), y = peak / scale}, {x = x.high, y = peak / scale}}}
  end
  local reads = units.scale("B/s", found.memory or found.reads or found.cache or 1)
  for _, slope in ipairs {{"cache", "fastest cache", true}, {"memory", "memory reads"}, {"reads", "reads"}} do
    local rate = found[slope[1]]
    local words = rate and units.of(reads, rate, 3)
    if rate then
      local stop = top > 0 and math.min(x.high, top / rate) or x.high
      if stop > x.low then
        lines[#lines + 1] = {name = slope[2] .. " " .. words, short = slope[1] .. " " .. words, dashed = slope[3],
          slope = true, points = {{x = x.low, y = rate * x.low / scale}, {x = stop, y = rate * stop / scale}}}
      end
    end
  end
  return lines
end

--- Fills `picture` from a plan whose points all have flops, bytes and a time; `split` are its points by line.
function M.build(plan, picture, split)
  local found = peaks_of(plan.runs, plan.points)
  local x = {label = "flops per byte", log = 2, low = math.huge, high = 0}
  local low, high = math.huge, 0
  for _, p in ipairs(plan.points) do
    local r = p.rows[1].result
    x.low, x.high = math.min(x.low, r.flops / r.bytes), math.max(x.high, r.flops / r.bytes)
    low, high = math.min(low, p.low), math.max(high, p.high)
  end
  for _, peak in pairs(found.peaks) do
    local ridge = peak / (found.memory or found.reads or math.huge)
    if ridge > 0 then x.low, x.high = math.min(x.low, ridge), math.max(x.high, ridge) end
    high = math.max(high, peak)
  end
  x.low, x.high = x.low / 2.2, x.high * 2.2
  local unit = units.scale("FLOP/s", high)
  local y = {label = ("flops per second (%s)"):format(unit[2]), log = 10, unit = unit, high = high * 1.6 / unit[1],
    low = low / 2 / unit[1]}
  if not next(found.peaks) and (found.memory or found.reads) then
    y.high = math.max(y.high, (found.memory or found.reads) * x.high / unit[1])
  end
  picture.lines = lines_of(found, x, unit)
  for _, line in ipairs(picture.lines) do -- a slope enters from below, not from outside the frame
    local a, b = line.points[1], line.points[2]
    if a.y < y.low and b.y > y.low then a.x, a.y = a.x * y.low / a.y, y.low end
    if b.y > y.high and a.y < y.high then b.x, b.y = b.x * y.high / b.y, y.high end
  end
  picture.x, picture.y = x, y
  for i, line in ipairs(split) do
    local series = {name = line.name, points = {}}
    for j, p in ipairs(line.points) do
      local r = p.rows[1].result
      series.points[j] = {x = r.flops / r.bytes, y = p.v / unit[1], low = p.low / unit[1], high = p.high / unit[1]}
    end
    picture.series[i] = series
  end
  local _, machines = limits_of(plan.runs)
  if #picture.lines == 0 then
    table.insert(picture.notes, "no limits were measured in these runs")
  elseif machines > #plan.runs then
    table.insert(picture.notes, "limits of the fastest machine")
  end
  picture.title = text.line "roofline"
end

return M
