-- print.lua - tostring of a tensor, as NumPy prints an array: aligned columns, for each number the fewest digits that
-- tell it from its neighbours in the dtype, at most four after the point (pah.set_printoptions), elided when large;
-- then a footer with dtype, device, shape and bytes.
-- Promises: the body is NumPy's own text for dtypes that NumPy has and the same precision (spec/tensor/print_spec.lua).
-- Read next: init.lua.
local ffi = require "ffi"
local errors = require "pah.errors"
local C = require("pah.ffi").C
local text_of = require("pah.util.units").text

-- Most digits after the point; elements printed in full; items kept at each end of what is elided; columns of a line;
-- whether numbers are scientific (nil: where they lie far apart).
local defaults = {precision = 4, threshold = 1000, edgeitems = 3, linewidth = 75}
local settings = {}
for name, value in pairs(defaults) do settings[name] = value end

-- dtype -> the number of that dtype nearest to x.
local round = {
  f64 = function(x) return x end,
  f32 = function(x) return tonumber(ffi.new("float", x)) end,
  f16 = function(x) return C.pah_f16_to_f32(C.pah_f64_to_f16(x)) end,
  bf16 = function(x) return C.pah_bf16_to_f32(C.pah_f64_to_bf16(x)) end,
  fp8_e4m3 = function(x) return C.pah_e4m3_to_f32(C.pah_f64_to_e4m3(x)) end,
  fp8_e5m2 = function(x) return C.pah_e5m2_to_f32(C.pah_f64_to_e5m2(x)) end,
}

-- From here on scientific, as NumPy has it; the dtypes that NumPy has not keep whole numbers whole.
local scientific_from = {f32 = 1e6, f16 = 1e3}

local function finite(x) return x - x == 0 end

-- A shape as text: 2x3, or scalar.
local function shape_text(shape) return #shape == 0 and "scalar" or table.concat(shape, "x") end

local function is_scientific(numbers, dtype)
  local small, large = math.huge, 0
  for _, x in ipairs(numbers) do
    local a = math.abs(x)
    if finite(x) and a > 0 then small, large = math.min(small, a), math.max(large, a) end
  end
  if settings.sci_mode ~= nil then return settings.sci_mode end
  if large == 0 then return false end
  local nearest = round[dtype]
  return large >= (scientific_from[dtype] or 1e8) or small < nearest(1e-4) or nearest(large / small) > 1000
end

-- x with d digits after the point, in positional ("f") or scientific form ("e"). A tie goes to the even digit, as in C
-- and NumPy; LuaJIT's format rounds it away from zero.
local function digits(x, d, pattern)
  local format = "%." .. d .. pattern
  local text = format:format(x)
  local decimals = d - (tonumber(text:match "e(.*)$") or 0)
  local scale = 10 ^ math.abs(decimals)
  local units = decimals >= 0 and math.abs(x) * scale or math.abs(x) / scale
  -- Half a unit exactly: x times 2^(decimals + 1) is odd, for a product may be rounded into looking like it.
  local exact = decimals < 0 and units * scale == math.abs(x) or math.abs(x) * 2 ^ (decimals + 1) % 2 == 1
  if units % 2 == 0.5 and exact then
    local down = decimals < 0 and (units - 0.5) * scale or (units - 0.5) / scale
    return format:format(x < 0 and -down or down)
  end
  return text
end

-- The parts of a text before the point, after it and in the exponent.
local function parts_of(text) return {text:match "^(-?%d+)%.?(%d*)(.*)$"} end

-- The fewest digits after the point that stand for x.
local function fewest(x, pattern, nearest)
  for d = 0, settings.precision - 1 do
    if nearest(tonumber(digits(x, d, pattern))) == x then return d end
  end
  return #parts_of(digits(x, settings.precision, pattern))[2]:gsub("0+$", "")
end

local function longest(parts, i)
  local n = 0
  for _, part in pairs(parts) do n = math.max(n, #part[i]) end
  return n
end

-- Texts of one width for floats: points below each other, scientific ones all with the same digits.
local function float_texts(numbers, dtype)
  local pattern, most = is_scientific(numbers, dtype) and "e" or "f", 0
  local decimals, parts, texts, width = {}, {}, {}, 0
  for i, x in ipairs(numbers) do
    if finite(x) then
      decimals[i] = fewest(x, pattern, round[dtype])
      most = math.max(most, decimals[i])
    else
      texts[i] = x ~= x and "nan" or x > 0 and "inf" or "-inf"
      width = math.max(width, #texts[i])
    end
  end
  for i, d in pairs(decimals) do parts[i] = parts_of(digits(numbers[i], pattern == "e" and most or d, pattern)) end
  local exponent = longest(parts, 3)
  if next(parts) then width = math.max(width, longest(parts, 1) + 1 + most + exponent) end
  for i, part in pairs(parts) do
    local whole, fraction, power = unpack(part)
    power = power:gsub("^(e.)", "%1" .. ("0"):rep(exponent - #power))
    texts[i] = whole .. "." .. fraction .. (" "):rep(most - #fraction) .. power
  end
  for i, text in ipairs(texts) do texts[i] = (" "):rep(width - #text) .. text end
  return texts
end

-- Texts of one width for integers (numbers, or int64 cdata).
local function integer_texts(numbers)
  local texts, width = {}, 0
  for i, x in ipairs(numbers) do
    texts[i] = type(x) == "cdata" and tostring(x):gsub("LL$", "") or ("%d"):format(x)
    width = math.max(width, #texts[i])
  end
  for i, text in ipairs(texts) do texts[i] = (" "):rep(width - #text) .. text end
  return texts
end

-- The indices of a dimension of size n that are printed; false stands for the gap.
local function kept(n, elide)
  local list = {}
  if elide and n > 2 * settings.edgeitems then
    for i = 1, settings.edgeitems do list[i], list[settings.edgeitems + 1 + i] = i, n - settings.edgeitems + i end
    list[settings.edgeitems + 1] = false
  else
    for i = 1, n do list[i] = i end
  end
  return list
end

local function collect(t, elide, out)
  if t.raw.ndim == 0 then
    out[#out + 1] = t:item()
    return out
  end
  for _, i in ipairs(kept(t:size(1), elide)) do
    if i then
      if t.raw.ndim == 1 then out[#out + 1] = t:get(i) else collect(t:select(1, i), elide, out) end
    end
  end
  return out
end

-- Lays the texts out in brackets; `shape` is the tensor's, texts hold the kept elements in order.
local function layout(shape, texts, elide)
  local at = 0
  local function row(d, indent)
    if d == #shape then
      local lines, line = {}, ""
      for _, i in ipairs(kept(shape[d], elide)) do
        if i then at = at + 1 end
        local text = i and texts[at] or "..."
        if line ~= "" and #indent + 1 + #line + 1 + #text > settings.linewidth - #shape then
          lines[#lines + 1] = line:gsub(" +$", "")
          line = text
        else
          line = line == "" and text or line .. " " .. text
        end
      end
      lines[#lines + 1] = line
      return "[" .. table.concat(lines, "\n" .. indent .. " ") .. "]"
    end
    local rows = {}
    for _, i in ipairs(kept(shape[d], elide)) do rows[#rows + 1] = i and row(d + 1, indent .. " ") or "..." end
    return "[" .. table.concat(rows, ("\n"):rep(#shape - d) .. indent .. " ") .. "]"
  end
  return row(1, "")
end

-- pah.set_printoptions, in the words of PyTorch.
local function set_printoptions(opts)
  errors.check_keys("set_printoptions", opts, {precision = 1, threshold = 1, edgeitems = 1, linewidth = 1, sci_mode = 1,
    profile = 1})
  local before, profile = {}, opts and opts.profile
  for name, value in pairs(settings) do before[name] = value end
  local profiles = {default = defaults, short = {precision = 2, threshold = 1000, edgeitems = 2, linewidth = 75},
    full = {precision = 4, threshold = math.huge, edgeitems = 3, linewidth = 75}}
  if profile ~= nil and not profiles[profile] then
    errors.raisef("set_printoptions: profile is %s, must be default, short or full", tostring(profile))
  end
  local new = profile and {} or before
  local set = {sci_mode = new.sci_mode}
  for name, default in pairs(defaults) do
    local value = opts and opts[name] or profile and profiles[profile][name] or new[name] or default
    local least = name == "linewidth" and 10 or name == "edgeitems" and 1 or 0
    if type(value) ~= "number" or value ~= math.huge and value % 1 ~= 0 or value < least or name == "precision"
      and value > 17 then
      errors.raisef("set_printoptions: %s is %s, must be a whole number >= %d%s", name, tostring(value), least,
        name == "precision" and " and <= 17" or "")
    end
    set[name] = value
  end
  if opts and opts.sci_mode ~= nil then
    if type(opts.sci_mode) ~= "boolean" then
      errors.raisef("set_printoptions: sci_mode is a %s, must be true or false", type(opts.sci_mode))
    end
    set.sci_mode = opts.sci_mode
  end
  settings = set
  before.profile = "default" -- so that giving it back also takes away what was not set
  return before
end

return function(M)
  M.exports.set_printoptions = set_printoptions

  --- The text of a tensor: elements like NumPy, then [dtype device shape, bytes].
  function M.tostring(t)
    if t.raw.dtype == 0 then return "[freed tensor]" end
    local shape, dtype, numel = t.shape, t.dtype, t:numel()
    local elide = numel > settings.threshold
    local body = "[]"
    if numel > 0 then
      local numbers = collect(t, elide, {})
      local texts = round[dtype] and float_texts(numbers, dtype) or integer_texts(numbers)
      body = #shape == 0 and texts[1] or layout(shape, texts, elide)
    end
    return ("%s\n[%s %s %s, %s]"):format(body, dtype, t.device.name, shape_text(shape), text_of("B", t.nbytes))
  end
end
