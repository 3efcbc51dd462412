-- standard_table.lua - the standard table of `pah bench`: which calls are measured on which device, in three lengths,
-- and the table of results for people. Read next: cli/bench.lua, problem.lua.
local columns = require "pah.util.columns"
local units = require "pah.util.units"

local M = {}

--- The axes of a point, in the order of columns.
M.axes = {"op", "batch", "dtype", "block_size", "caches"}

--- The same of a point that may have a peer (`pah bench --peer`).
function M.axes_of(point)
  if not rawget(point, "peer") then return M.axes end -- points of pah.sweep refuse names that are no axis
  local axes = {unpack(M.axes)}
  axes[#axes + 1] = "peer"
  return axes
end

-- op, batch, dtype, block_size, caches, in which tables (q: --quick, s: standard, f: --full).
-- Decode of 2 MiB to 1 GiB of K and V (with M.sizes), prefill, new tokens after others, a mixed batch and backward.
local timed = {
  {"decode", "32q1s1k", "bf16", 16, "hot", "qsf"}, {"decode", "32q1s1k", "bf16", 16, "cold", "sf"},
  {"decode", "32q1s1k", "bf16", 64, "hot", "sf"}, {"decode", "32q1s1k", "bf16", 1, "hot", "f"},
  {"decode", "32q1s1k", "f16", 16, "hot", "sf"}, {"decode", "32q1s1k", "f32", 16, "hot", "f"},
  {"decode", "32q1s1k", "fp8_e4m3", 16, "hot", "qsf"}, {"decode", "32q1s1k", "fp8_e5m2", 16, "hot", "f"},
  {"decode", "q1s16k", "bf16", 16, "hot", "sf"}, {"decode", "4q1s128", "bf16", 16, "hot", "sf"},
  {"decode", "8q1s8k", "bf16", 16, "hot", "sf"}, {"decode", "8q4s8k", "bf16", 16, "hot", "sf"},
  {"decode", "64q1s4k", "bf16", 16, "hot", "f"},
  {"fwd", "q2k", "f32", 16, "hot", "sf"}, {"fwd", "q2k", "bf16", 16, "hot", "sf"},
  {"fwd", "q512", "bf16", 16, "hot", "qf"}, {"fwd", "q4k", "bf16", 16, "hot", "sf"},
  {"fwd", "q4k", "f32", 16, "hot", "f"}, {"fwd", "q2k", "f16", 16, "hot", "f"}, {"fwd", "q2k", "bf16", 64, "hot", "f"},
  {"fwd", "q512s4k", "bf16", 16, "hot", "sf"}, {"fwd", "q512s4k", "f32", 16, "hot", "f"},
  {"fwd", "2q512_30q1s1k", "bf16", 16, "hot", "qsf"}, {"fwd", "2q2k_32q1s1k", "bf16", 16, "hot", "f"},
  {"fwd_fp8", "q1k", "fp8_e4m3", 16, "hot", "sf"},
  {"bwd", "q1k", "f32", 16, "hot", "sf"}, {"bwd", "q1k", "bf16", 16, "hot", "qsf"},
  {"bwd", "q2k", "bf16", 16, "hot", "f"}, {"bwd", "q512s2k", "bf16", 16, "hot", "f"},
  {"bwd", "q512_q256_2q128", "bf16", 16, "hot", "f"},
}

-- On sim a call takes a thousand times as long, and is counted, not timed.
local counted = {
  {"decode", "2q1s128", "f32", 16, "hot", "qsf"}, {"decode", "2q1s128", "bf16", 16, "hot", "sf"},
  {"decode", "2q1s128", "bf16", 64, "hot", "f"}, {"decode", "2q4s128", "bf16", 16, "hot", "f"},
  {"decode", "2q1s128", "fp8_e4m3", 16, "hot", "sf"},
  {"fwd", "q64", "f32", 16, "hot", "qsf"}, {"fwd", "q64", "bf16", 16, "hot", "sf"},
  {"fwd", "q16s96", "bf16", 16, "hot", "sf"}, {"fwd", "q32_4q1s40", "bf16", 16, "hot", "f"},
  {"bwd", "q32", "f32", 16, "hot", "sf"}, {"bwd", "q32", "bf16", 16, "hot", "f"},
}

--- Sizes where none are asked for.
function M.sizes(device)
  if device.name:match "^sim" then return {heads = 4, kv_heads = 2, head_dim = 64} end
  return {heads = 32, kv_heads = 8, head_dim = 128}
end

--- The points of the table of a device as {op=, batch=, dtype=, block_size=, caches=}; length: "quick", "standard",
--- "full".
function M.points(device, length)
  local list = {}
  for _, row in ipairs(device.name:match "^sim" and counted or timed) do
    if row[6]:find(length:sub(1, 1), 1, true) then
      local point = {}
      for i, name in ipairs(M.axes) do point[name] = row[i] end
      list[#list + 1] = point
    end
  end
  return list
end

-- ---- For people -----------------------------------------------------------------------------------------------

local function of_ideal(count, ideal)
  return ideal and ideal > 0 and ("%.2f"):format(count / ideal) or "-"
end

-- A part of the median in percent, with a digit behind the point where it is small.
local function percent(part)
  return ((100 * part < 9.95) and "%.1f" or "%.0f"):format(100 * part)
end

local timed_columns = {
  {"median", function(r) return units.text("s", r.median) end},
  {"95 % interval", function(r)
    return ("-%s +%s %%"):format(percent(1 - r.low / r.median), percent(r.high / r.median - 1))
  end},
  {"GB/s", function(r) return ("%.1f"):format(r.bytes_per_second / 1e9) end},
  {"GFLOP/s", function(r) return ("%.1f"):format(r.flops_per_second / 1e9) end},
  {"of the limit", function(r) return r.fraction and ("%.2f %s"):format(r.fraction, r.limit.by) or "-" end},
  {"notes", function(r) return #r.notes > 0 and tostring(#r.notes) or "" end},
}

local counted_columns = {
  {"launches", function(r) return tostring(r.launches) end},
  {"thread blocks", function(r) return tostring(r.thread_blocks) end},
  {"bytes / fewest", function(r) return of_ideal(r.global_load_bytes + r.global_store_bytes, r.bytes) end},
  {"sectors / ideal", function(r) return of_ideal(r.global_sectors, r.global_sectors_ideal) end},
  {"wavefronts / ideal", function(r) return of_ideal(r.shared_wavefronts, r.shared_wavefronts_ideal) end},
  {"mma Mflop", function(r) return ("%.3g"):format(r.mma_flops / 1e6) end},
}

-- Beside a peer: its time over pah's, with the interval.
local function times_pah(v)
  return v.times_pah and ("%.3f [%.3f, %.3f]"):format(v.times_pah, v.times_pah_low, v.times_pah_high) or ""
end

-- Rows of `pah.sweep` as lines of words, a heading first; a row with an error has no figures.
local function lines_of(rows, device)
  local figures = device.name:match "^sim" and counted_columns or timed_columns
  local lines = {{"op", "batch", "dtype", "block", "caches"}}
  local axes = M.axes_of(rows[1].axes)
  if axes[6] then table.insert(lines[1], axes[6]) end
  for _, column in ipairs(figures) do table.insert(lines[1], column[1]) end
  if axes[6] then table.insert(lines[1], "x pah's time") end
  for _, row in ipairs(rows) do
    local line, values = {}, row.values or {}
    for i, name in ipairs(axes) do line[i] = tostring(row.axes[name]) end
    if row.error then
      line[#line + 1] = "error"
    elseif not row.result then
      line[#line + 1] = "-"
    else
      for _, column in ipairs(figures) do line[#line + 1] = column[2](row.result) end
      if axes[6] then line[#line + 1] = times_pah(values) end
    end
    lines[#lines + 1] = line
  end
  return lines
end

-- Without the columns for which drop(i) is true.
local function without(lines, drop)
  local kept = {}
  for n, line in ipairs(lines) do
    kept[n] = {}
    for i, cell in ipairs(line) do
      if not drop(i) then table.insert(kept[n], cell) end
    end
  end
  return kept
end

-- Without the axes after the first two that are the same in all lines; these as words.
local function without_constants(lines)
  local same, constant = {}, {}
  for i = 3, #M.axes do
    constant[i] = true
    for n = 3, #lines do constant[i] = constant[i] and lines[n][i] == lines[2][i] end
    if constant[i] then same[#same + 1] = lines[1][i] .. " " .. lines[2][i] end
  end
  return without(lines, function(i) return constant[i] end), same
end

--- Rows of `pah.sweep` as a table of `width` columns. Figures stand to the right of what names the point, or below it
--- where there is no room. What can be spared first is how many notes a row has: `pah bench` tells them all below.
function M.text(rows, device, width)
  local lines, same = without_constants(lines_of(rows, device))
  local text = #same > 0 and columns.folded(table.concat(same, ", ") .. " in all rows") .. "\n" or ""
  local spared = without(lines, function(i) return lines[1][i] == "notes" end)
  if not columns.fits(lines, width, true) and columns.fits(spared, width, true) then lines = spared end
  local names, right = #M.axes_of(rows[1].axes) - #same, {}
  for i = names + 1, #lines[1] do right[i] = true end
  return text .. columns.plain(lines, right, width, names)
end

return M
