-- theme.lua - the colours of pictures and of the report, in one place, for light and for dark.
-- A picture for a file has the light ones; one inside a page has marks, which svg.lua turns into variables of
-- the page's style sheet. Series differ by the shape of their points too, not by colour alone.
local M = {}

M.light = {
  surface = "#ffffff", ink = "#1d2126", muted = "#5a626d", grid = "#e4e7eb", limit = "#6b737e", band = "#dfe7f2",
  series = {"#2f66ad", "#c04f35", "#2a8562", "#8a5aa6", "#a0741c", "#2d8699", "#b8557f", "#6a6f76"},
  heat = {"#f1f5fa", "#dbe6f2", "#c1d5ea", "#a3c1df", "#82aad2", "#618fc2", "#4474ab", "#2e5a8f", "#1d416d"},
}

M.dark = {
  surface = "#16191d", ink = "#e6e9ed", muted = "#a2abb6", grid = "#2b3138", limit = "#98a1ac", band = "#223349",
  series = {"#7fb0ec", "#ef8d72", "#63c39b", "#c49fe0", "#dcb15a", "#74cbdc", "#ec9dc0", "#a9afb7"},
  heat = {"#1b2634", "#213750", "#28496c", "#325c88", "#3f70a2", "#5587b9", "#739fcb", "#98badc", "#c1d7ec"},
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
  for i, colour in ipairs(theme.heat) do
    theme.heat_ink[i] = M.contrast(colour, "#10141a") > M.contrast(colour, "#ffffff") and "#10141a" or "#ffffff"
  end
end

-- Name of a colour -> its variable in a style sheet; lists have numbers behind.
local names = {"surface", "ink", "muted", "grid", "limit", "band", "series", "heat", "heat_ink"}

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

return M
