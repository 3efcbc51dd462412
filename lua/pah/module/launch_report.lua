-- launch_report.lua - the report of a launch on sim: report.findings, counters (.global, .shared, .mma, ...),
-- counters by source line; tostring(report) is for people. Codes and counters: doc/sim.md.
local binding = require "pah.ffi"
local classes = require "pah.util.classes"
local ffi = require "ffi"

local M = {}
local Report = classes.name("LaunchReport", {})
Report.__index = Report

local function triple(a) return {a[0], a[1], a[2]} end

local function finding(f)
  return {code = ffi.string(f.code), message = ffi.string(f.message), file = ffi.string(f.file), line = f.line,
    source = ffi.string(f.source), thread = triple(f.thread), block = triple(f.block), count = tonumber(f.count)}
end

local groups = {global = true, shared = true, mma = true, async = true}
local counters, line_counters = binding.fields "pah_counters", binding.fields "pah_line_counters"

-- The numbers of a struct of counters into table t: global_bytes becomes t.global.bytes, global_sectors_ideal
-- t.global.ideal, threads t.threads.
local function put_numbers(t, struct, fields)
  for _, field in ipairs(fields) do
    local group, name = field:match "^(%l+)_([%l_]+)$"
    local value = tonumber(struct[field])
    if groups[group] then
      t[group] = t[group] or {}
      t[group][name:match "_(ideal)$" or name] = value
    else
      t[field] = value
    end
  end
  return t
end

local function line(c)
  local l = put_numbers({}, c, line_counters)
  l.file = ffi.string(c.file)
  return l
end

--- The report of a struct pah_report as a table.
function M.new(report, kernel, options)
  local r = {
    kernel = kernel, findings = {}, lines = {}, counted = report.has_counters == 1,
    schedule = ({[0] = "order", "reverse", "random"})[report.schedule], seed = tonumber(report.seed),
    processors = report.processors, options = options,
  }
  put_numbers(r, report.counters, counters)
  for i = 0, tonumber(report.finding_count) - 1 do r.findings[i + 1] = finding(report.findings[i]) end
  for i = 0, tonumber(report.line_count) - 1 do r.lines[i + 1] = line(report.lines[i]) end
  table.sort(r.lines, function(a, b)
    if a.file ~= b.file then return a.file < b.file end
    return a.line < b.line
  end)
  return setmetatable(r, Report)
end

local function place(f)
  return f.line > 0 and ("%s:%d"):format(f.file, f.line) or "(no source line)"
end

--- The findings as text, one paragraph each; "no findings" when there are none.
function Report:text()
  if not self.checked then return ("%s: launched; only sim looks for mistakes"):format(self.kernel) end
  if #self.findings == 0 then return ("%s: no findings"):format(self.kernel) end
  local out = {}
  for i, f in ipairs(self.findings) do
    out[i] = ("%s: %s: %s\n  at %s, thread (%d, %d, %d) of thread block (%d, %d, %d)%s"):format(self.kernel, f.code,
      f.message, place(f), f.thread[1], f.thread[2], f.thread[3], f.block[1], f.block[2], f.block[3],
      f.count > 1 and (", seen %d times"):format(f.count) or "")
    if f.source ~= "" then out[i] = ("%s\n    %d | %s"):format(out[i], f.line, f.source) end
  end
  out[#out + 1] = ("%d finding%s; schedule %s%s"):format(#self.findings, #self.findings == 1 and "" or "s",
    self.schedule or "none", self.schedule == "random" and (", seed %d"):format(self.seed) or "")
  return table.concat(out, "\n")
end

local function ratio(a, b) return b > 0 and a / b or 1 end

--- Counters as text, the worst lines first.
function Report:counter_text()
  local g, s = self.global, self.shared
  local out = {
    ("%d thread blocks of %d threads, %d barriers, %d warp barriers, %d shuffles and votes, %d atomics"):format(
      self.thread_blocks, self.thread_blocks > 0 and self.threads / self.thread_blocks or 0, self.barriers,
      self.warp_barriers, self.shuffles, self.atomics),
    ("global: %d bytes read, %d written, %d different; %d sectors, %.2f x the ideal"):format(g.load_bytes,
      g.store_bytes, g.unique_bytes, g.sectors, ratio(g.sectors, g.ideal)),
    ("shared: %d bytes, %d wavefronts, %.2f x the ideal; %d + %d bytes allocated"):format(s.bytes, s.wavefronts,
      ratio(s.wavefronts, s.ideal), s.static_bytes, s.dynamic_bytes),
    ("mma: %d flops; async copies: %d bytes"):format(self.mma.flops, self.async.bytes),
    ("occupancy by shared memory and threads: %d thread blocks per multiprocessor, %.0f %%"):format(self.blocks_per_sm,
      100 * self.occupancy),
  }
  local worst = {}
  for _, l in ipairs(self.lines) do
    local lost = l.shared.wavefronts - l.shared.ideal + l.global.sectors - l.global.ideal
    if lost > 0 then worst[#worst + 1] = {lost = lost, l = l} end
  end
  table.sort(worst, function(a, b) return a.lost > b.lost end)
  for i = 1, math.min(#worst, 8) do
    local l = worst[i].l
    if l.global.sectors > l.global.ideal then
      out[#out + 1] = ("  %s: %d sectors, ideal %d (%.1f x)"):format(place(l), l.global.sectors, l.global.ideal,
        ratio(l.global.sectors, l.global.ideal))
    end
    if l.shared.wavefronts > l.shared.ideal then
      out[#out + 1] = ("  %s: %d wavefronts, ideal %d (%.1f x)"):format(place(l), l.shared.wavefronts, l.shared.ideal,
        ratio(l.shared.wavefronts, l.shared.ideal))
    end
  end
  return table.concat(out, "\n")
end

function Report:__tostring()
  return self.counted and self:text() .. "\n" .. self:counter_text() or self:text()
end

return M
