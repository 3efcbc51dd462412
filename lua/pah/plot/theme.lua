-- theme.lua - the colours of pictures and of the report, in one place, for light and for dark.
-- A picture inside a page has marks, which svg.lua turns into variables of the page's style sheet; an SVG for a file
-- has the light ones and rules by which a dark reader sees the dark ones. Promises: in the light theme no two names
-- share a colour. Series differ by the shape of their points too, not by colour alone. Read next: svg.lua.
local M = {}

-- The series are Okabe and Ito's colours, which stay apart in every kind of colour blindness (plot_theme_spec.lua looks
-- at them as a deuteranope does). On white their yellow cannot be seen: brown stands there. `accent` is text in colour.
M.light = {
  surface = "#ffffff", ink = "#1d2126", muted = "#5a626d", grid = "#e4e7eb", limit = "#6b737e", band = "#dfe7f2",
  series = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7a3b00"},
  heat = {"#f1f5fa", "#dbe6f2", "#c1d5ea", "#a3c1df", "#82aad2", "#618fc2", "#4474ab", "#2e5a8f", "#1d416d"},
  accent = {"#2f66ad", "#c04f35", "#2a8562", "#a0741c"},
}

M.dark = {
  surface = "#16191d", ink = "#e6e9ed", muted = "#a2abb6", grid = "#2b3138", limit = "#98a1ac", band = "#223349",
  series = {"#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#0072b2", "#ffffff", "#f0e442"},
  heat = {"#1b2634", "#213750", "#28496c", "#325c88", "#3f70a2", "#5587b9", "#739fcb", "#98badc", "#c1d7ec"},
  accent = {"#7fb0ec", "#ef8d72", "#63c39b", "#dcb15a"},
}

-- Text on a cell of a heat map: whichever of ink and paper stands out.
local function luminance(colour)
  local sum = 0
  for i, weight in ipairs {0.2126, 0.7152, 0.0722} do
    local c = tonumber(colour:sub(2 * i, 2 * i + 1), 16) / 255
    sum = sum + weight * (c <= 0.03928 and c / 12.92 or ((c + 0.055) / 1.055) ^ 2.4)
  end
  return sum
end

--- Contrast of two colours as WCAG defines it, 1 to 21.
function M.contrast(a, b)
  local x, y = luminance(a), luminance(b)
  return (math.max(x, y) + 0.05) / (math.min(x, y) + 0.05)
end

for _, theme in ipairs {M.light, M.dark} do
  theme.heat_ink = {}
  for i, colour in ipairs(theme.heat) do -- the last digit tells them apart: each has a dark one of its own
    local dark, light = ("#10141%x"):format(i), ("#fffff%x"):format(15 - i)
    theme.heat_ink[i] = M.contrast(colour, dark) > M.contrast(colour, light) and dark or light
  end
end

-- Name of a colour -> its variable in a style sheet; lists have numbers behind.
local names = {"surface", "ink", "muted", "grid", "limit", "band", "series", "heat", "heat_ink", "accent"}

--- Marks in place of colours: the group's number in red, the place in a list in blue.
M.marks, M.variables = {}, {}
for group, name in ipairs(names) do
  if type(M.light[name]) == "table" then
    M.marks[name] = {}
    for i in ipairs(M.light[name]) do
      M.marks[name][i] = ("#%02x01%02x"):format(group, i)
      M.variables[("%d 1 %d"):format(group, i)] = ("--%s-%d"):format(name:gsub("_", "-"), i)
    end
  else
    M.marks[name] = ("#%02x0100"):format(group)
    M.variables[("%d 1 0"):format(group)] = "--" .. name
  end
end

--- The declarations of a theme: "--ink:#1d2126;...".
function M.css(theme)
  local parts = {}
  for _, name in ipairs(names) do
    local value = theme[name]
    for i, colour in ipairs(type(value) == "table" and value or {value}) do
      parts[#parts + 1] = ("--%s%s:%s;"):format(name:gsub("_", "-"), type(value) == "table" and "-" .. i or "", colour)
    end
  end
  return table.concat(parts)
end

-- Each colour of the light theme with that of the dark one: {light, dark}, in order.
local function both()
  local list = {}
  for _, name in ipairs(names) do
    local light, dark = M.light[name], M.dark[name]
    for i in ipairs(type(light) == "table" and light or {light}) do
      list[#list + 1] = type(light) == "table" and {light[i], dark[i]} or {light, dark}
    end
  end
  return list
end

--- Rules by which a picture with the light colours in its attributes has the dark ones for those who prefer dark:
--- rules of `colours` (a set; those that are used).
function M.switch(colours)
  local rules = {}
  for _, pair in ipairs(both()) do
    local changes = colours[pair[1]] and pair[1] ~= pair[2]
    for _, attribute in ipairs(changes and {"fill", "stroke", "color"} or {}) do
      rules[#rules + 1] = ('[%s="%s"]{%s:%s}'):format(attribute, pair[1], attribute, pair[2])
    end
  end
  return "@media (prefers-color-scheme:dark){" .. table.concat(rules) .. "}"
end

return M
