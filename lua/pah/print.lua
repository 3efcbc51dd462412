-- print.lua - tostring of a tensor, as NumPy prints an array: aligned columns, one format for all elements, elided
-- when large,
-- and a footer with dtype, device, shape and bytes.
-- Half a unit in the last place, relative: how many digits a dtype is worth.
local precision_of = {f64 = 0, f16 = 2.5e-4, bf16 = 2e-3, fp8_e4m3 = 3e-2, fp8_e5m2 = 6e-2}
local EDGE, LIMIT, WIDTH = 3, 1000, 75 -- items kept at each end; elements printed in full; columns of a line

-- A shape as text: 2x3, or scalar.
local function shape_text(shape) return #shape == 0 and "scalar" or table.concat(shape, "x") end

-- Bytes as people read them.
local function bytes_text(n)
  local units = {"B", "KiB", "MiB", "GiB", "TiB"}
  local u = 1
  while n >= 1024 and u < #units do n, u = n / 1024, u + 1 end
  return (n % 1 == 0 and "%d %s" or "%.1f %s"):format(n, units[u])
end

-- Fewest decimals (at most `most`) whose text stands for x within the precision of its dtype, as NumPy chooses them.
local function decimals_of(x, pattern, most, precision)
  for d = 0, most do
    local y = tonumber(("%." .. d .. pattern):format(x))
    if math.abs(y - x) <= math.abs(x) * precision or math.abs(y - x) < 10 ^ -(most + 1) and pattern == "f" then
      return d end
  end
  return most
end

-- One format for all numbers: a function from number to text, not yet padded.
local function float_format(numbers, precision)
  local small, large, decimals = math.huge, 0, 0
  for _, x in ipairs(numbers) do
    local a = math.abs(x)
    if a < math.huge and a > 0 then small, large = math.min(small, a), math.max(large, a) end
  end
  local scientific = large >= 1e8 or (large > 0 and (small < 1e-4 or large / small > 1e3 and small < 1e-3))
  local pattern = scientific and "e" or "f"
  for _, x in ipairs(numbers) do
    if math.abs(x) < math.huge and x ~= 0 then decimals = math.max(decimals, decimals_of(x, pattern, 8, precision)) end
  end
  return function(x)
    if x ~= x then return "nan" end
    if x == math.huge then return "inf" end
    if x == -math.huge then return "-inf" end
    local text = ("%." .. decimals .. pattern):format(x)
    return decimals > 0 and text or (text:gsub("^(-?%d+)", "%1."))
  end
end

-- NumPy keeps columns equal by padding the fraction with blanks: here each number keeps its own digits, padded on the
-- right.
local function pad_fractions(texts)
  local left, right = 0, 0
  local parts = {}
  for i, text in ipairs(texts) do
    local whole, fraction = text:match "^(-?%d+)(%..*)$"
    if not whole then whole, fraction = text, "" end
    fraction = fraction:gsub("0+$", "")
    parts[i] = {whole, fraction}
    right = math.max(right, #fraction)
  end
  for _, part in ipairs(parts) do
    if part[2] ~= "" then left = math.max(left, #part[1]) end
  end
  local width = 0
  for _, part in ipairs(parts) do
    width = math.max(width, part[2] == "" and #part[1] or left + right)
  end
  for i, part in ipairs(parts) do
    local body = part[2] == "" and part[1] or part[1] .. part[2] .. (" "):rep(right - #part[2])
    texts[i] = (" "):rep(width - #body) .. body
  end
end

-- Right-aligned in a common width.
local function pad_left(texts)
  local width = 0
  for _, text in ipairs(texts) do width = math.max(width, #text) end
  for i, text in ipairs(texts) do texts[i] = (" "):rep(width - #text) .. text end
end

-- The indices of a dimension of size n that are printed; nil stands for the gap.
local function kept(n, elide)
  local list = {}
  for i = 1, n do
    if not elide or n <= 2 * EDGE or i <= EDGE or i > n - EDGE then
      list[#list + 1] = i
    elseif i == EDGE + 1 then
      list[#list + 1] = false
    end
  end
  return list
end

local function collect(t, d, elide, out)
  if d > t.raw.ndim then
    out[#out + 1] = t:item()
    return
  end
  for _, i in ipairs(kept(t:size(1), elide)) do
    if i then
      if t.raw.ndim == 1 then out[#out + 1] = t:get(i) else collect(t:select(1, i), d, elide, out) end
    end
  end
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
        if line ~= "" and #indent + 1 + #line + 1 + #text >= WIDTH then
          lines[#lines + 1] = line
          line = text
        else
          line = line == "" and text or line .. " " .. text
        end
      end
      lines[#lines + 1] = line
      return "[" .. table.concat(lines, "\n" .. indent .. " ") .. "]"
    end
    local parts = {}
    for _, i in ipairs(kept(shape[d], elide)) do parts[#parts + 1] = i and row(d + 1, indent .. " ") or "..." end
    return "[" .. table.concat(parts, ("\n"):rep(#shape - d) .. indent .. " ") .. "]"
  end
  return row(1, "")
end

return function(M)
  --- The text of a tensor: elements like NumPy, then [dtype device shape, bytes].
  function M.tostring(t)
    if t.raw.dtype == 0 then return "[freed tensor]" end
    local shape, numel = t.shape, t:numel()
    local elide = numel > LIMIT
    local body
    if numel == 0 then
      body = "[]"
    else
      -- Elements to be shown, brought together in one copy where the tensor is small.
      local source = elide and t or (t.raw.dtype == 8 and t or t:to("f64"):contiguous())
      local numbers, texts = {}, {}
      collect(source, 1, elide, numbers)
      local is_float = t.dtype:match "f" ~= nil
      if is_float then
        local format = float_format(numbers, precision_of[t.dtype] or 3e-8)
        for i, x in ipairs(numbers) do texts[i] = format(x) end
        if texts[1]:find("e", 1, true) then pad_left(texts) else pad_fractions(texts) end
      else
        for i, x in ipairs(numbers) do texts[i] = type(x) == "cdata" and tostring(x):gsub("LL$", "")
          or ("%d"):format(x) end
        pad_left(texts)
      end
      body = #shape == 0 and texts[1] or layout(shape, texts, elide)
    end
    return ("%s\n[%s %s %s, %s]"):format(body, t.dtype, t.device.name, shape_text(shape), bytes_text(t.nbytes))
  end
end
