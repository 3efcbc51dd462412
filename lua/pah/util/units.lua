-- units.lua - numbers for people: a unit that fits, four digits, ticks of an axis at round numbers.
-- Promises: one axis and one column keep one unit. Read next: plot/layout.lua, report/table.lua.
local M = {}

-- Kind of quantity -> its units, the largest first.
local scales = {
  ["s"] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}},
  ["B/s"] = {{1e12, "TB/s"}, {1e9, "GB/s"}, {1e6, "MB/s"}, {1e3, "kB/s"}},
  ["FLOP/s"] = {{1e12, "TFLOP/s"}, {1e9, "GFLOP/s"}, {1e6, "MFLOP/s"}},
  ["B"] = {{2 ^ 40, "TiB"}, {2 ^ 30, "GiB"}, {2 ^ 20, "MiB"}, {2 ^ 10, "KiB"}, {1, "B"}},
  ["n"] = {{1e12, "x 10^12"}, {1e9, "x 10^9"}, {1e6, "million"}, {1, ""}},
  ["%"] = {{0.01, "%"}},
}

--- The unit {factor, name} in which `value` is at least one; of an unknown kind {1, kind}.
function M.scale(kind, value)
  local list = scales[kind]
  if not list then return {1, kind or ""} end
  for _, unit in ipairs(list) do
    if math.abs(value) >= unit[1] * 0.99995 then return unit end
  end
  return list[#list]
end

--- A number with `digits` significant digits (4), without an exponent where people can do without one.
function M.number(value, digits)
  digits = digits or 4
  if value ~= value or value == math.huge or value == -math.huge then return tostring(value) end
  local size = math.abs(value)
  if size == 0 then return "0" end
  if size >= 1e7 or size < 1e-4 then return (("%." .. digits - 1 .. "e"):format(value):gsub("%.?0*e", "e")) end
  local before = math.floor(math.log10(size)) + 1
  return ("%." .. math.max(0, digits - before) .. "f"):format(value)
end

--- The same without zeros at the end: for ticks and labels.
function M.short(value, digits)
  local text = M.number(value, digits)
  if text:find ".%." and not text:find "e" then text = text:gsub("0+$", ""):gsub("%.$", "") end
  return text
end

--- A value in the unit {factor, name}, with its name.
function M.of(unit, value, digits)
  local number = unit[2]:find "B$" and M.short or M.number -- bytes are exact
  return ((number(value / unit[1], digits) .. " " .. unit[2]):gsub(" $", ""))
end

--- A value with its unit: "1.234 ms", "87.1 %"; bytes, which are exact, without zeros at the end: "16 KiB".
function M.text(kind, value, digits)
  return M.of(M.scale(kind, value), value, digits)
end

--- A value of an axis: powers of two from 8192 on as "8k", "1M"; others as they are.
function M.axis_value(value)
  if type(value) ~= "number" then return tostring(value) end
  if value >= 2 ^ 20 and value % 2 ^ 20 == 0 then return ("%dM"):format(value / 2 ^ 20) end
  if value >= 8192 and value % 1024 == 0 then return ("%dk"):format(value / 1024) end
  return M.short(value, 6)
end

-- ---- Ticks --------------------------------------------------------------------------------------------------------

-- The round number (1, 2 or 5 times a power of ten) that is next above `step`.
local function round_step(step)
  local power = 10 ^ math.floor(math.log10(step))
  for _, digit in ipairs {1, 2, 5, 10} do
    if digit * power >= step * 0.999 then return digit * power end
  end
end

--- Ticks {at=, text=} of a linear axis from low to high, `most` of them at most.
function M.linear_ticks(low, high, most)
  local step = round_step((high - low) / math.max(1, most - 1))
  local ticks, first, last = {}, math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
  for i = 0, math.min(last - first, most) do -- not from first: beyond 2^53 a count of numbers does not end
    ticks[i + 1] = {at = (first + i) * step, text = M.short((first + i) * step, 6)}
  end
  return ticks
end

--- Ticks of a logarithmic axis: 1, 2 and 5 times powers of ten, or these alone, or every other; at least two.
function M.log_ticks(low, high, most)
  local first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
  for _, plan in ipairs {{{1, 2, 5}, 1}, {{1}, 1}, {{1}, 2}, {{1}, 3}, {{1}, 5}} do
    local ticks = {}
    for power = first, last do
      for _, digit in ipairs(power % plan[2] == 0 and plan[1] or {}) do
        local at = digit * 10 ^ power
        if at >= low * 0.9999 and at <= high * 1.0001 then ticks[#ticks + 1] = {at = at, text = M.short(at, 4)} end
      end
    end
    if #ticks <= most then return #ticks > 1 and ticks or M.linear_ticks(low, high, most) end
  end
  return M.linear_ticks(low, high, most)
end

--- Ticks at powers of two (of an axis in base 2).
function M.binary_ticks(low, high, most)
  local first, last = math.ceil(math.log(low) / math.log(2) - 1e-6), math.floor(math.log(high) / math.log(2) + 1e-6)
  local step = math.max(1, math.ceil((last - first + 1) / most))
  local ticks = {}
  for power = first, last, step do
    local at = 2 ^ power
    ticks[#ticks + 1] = {at = at, text = power < 0 and "1/" .. 2 ^ -power or M.axis_value(at)}
  end
  return ticks
end

return M
