-- svg.lua - gnuplot's SVG prepared for a page or for a file of its own: what draws nothing is removed. In a page
-- colours are variables of its style sheet, identifiers are unique, the font is the page's; in a file rules of its own
-- make it dark for those who prefer dark. Promises: names pass as gnuplot escaped them. Read next: theme.lua,
-- report/init.lua.
local html = require("pah.util.safe_text").html
local theme = require "pah.plot.theme"

local M = {}

-- How a colour is written: three numbers -> text.
local function variable(red, green, blue)
  local name = theme.variables[("%d %d %d"):format(red, green, blue)]
  return name and ("var(%s)"):format(name) or ("rgb(%d,%d,%d)"):format(red, green, blue)
end

local function digits(red, green, blue) return ("#%02x%02x%02x"):format(red, green, blue) end

-- Only what stands in tags is changed, never text: names may look like anything.
local function in_tags(svg, change) return (svg:gsub("<[^>]*>", change)) end

-- Groups that hold nothing, from the innermost out.
local function without_empty_groups(svg)
  local count
  repeat
    svg, count = svg:gsub("<g[^>]*>%s*</g>", "")
  until count == 0
  return svg
end

-- The marks of points that are used, or that those are made from.
local function used_marks(svg)
  local defs = svg:match "<defs>(.-)</defs>" or ""
  local body = svg:gsub("<defs>.-</defs>", "")
  local needed, added = {}, true
  for id in body:gmatch "href='#(gpPt%d+)'" do needed[id] = true end
  while added do
    added = false
    for tag in defs:gmatch "<%a[^>]*/>" do
      local id, from = tag:match " id='(%w+)'", tag:match "href='#(%w+)'"
      if id and needed[id] and from and not needed[from] then needed[from], added = true, true end
    end
  end
  local kept = {}
  for tag in defs:gmatch "<%a[^>]*/>" do
    if needed[tag:match " id='(%w+)'" or ""] then kept[#kept + 1] = tag end
  end
  return #kept > 0 and "<defs>" .. table.concat(kept) .. "</defs>" or ""
end

-- What gnuplot drew, without what draws nothing, its colours written by `written`. With `name`, identifiers are unique
-- in a page. Returns also its width and height.
local function cleaned(svg, written, name)
  local width, height = svg:match 'viewBox="0 0 ([%d.]+) ([%d.]+)"'
  local defs = used_marks(svg)
  local body = svg:match "<svg.->(.*)</svg>"
  body = body:gsub("<defs>.-</defs>", function() return defs end):gsub("<title>[^<]*</title>", "")
    :gsub("<desc>[^<]*</desc>", "")
  local function paint(red, green, blue) return written(tonumber(red), tonumber(green), tonumber(blue)) end
  body = in_tags(body, function(tag)
    tag = tag:gsub(' color="#FFFFFF"', ""):gsub("rgb%(%s*(%d+),%s*(%d+),%s*(%d+)%s*%)", paint)
    tag = tag:gsub("#(%x%x)(%x%x)(%x%x)", function(red, green, blue)
      return written(tonumber(red, 16), tonumber(green, 16), tonumber(blue, 16))
    end)
    tag = tag:gsub(' font%-family="[^"]*"', ""):gsub("%.00%f[%D]", ""):gsub("%s+", " "):gsub(" ?= ?(['\"])", "=%1")
    if name then
      tag = tag:gsub("xlink:href='#(%w+)'", function(id) return ("href='#%s-%s'"):format(name, id) end)
    end
    tag = tag:gsub(" id=['\"]([%w_]+)['\"]", function(id)
      return id:match "^gpPt" and (" id='%s%s'"):format(name and name .. "-" or "", id) or ""
    end)
    return tag:gsub(' color="black"', ""):gsub(' stroke%-linecap="round"', ""):gsub(' stroke%-linejoin="round"', "")
      :gsub(" '", "'"):gsub(" />", "/>")
  end)
  return without_empty_groups(body:gsub(">%s+<", "><")), width, height
end

--- The SVG of gnuplot for a page. `name` is unique in the page, `label` says what is seen, `class` is for its style.
function M.inline(svg, name, label, class)
  local body, width, height = cleaned(svg, variable, name)
  return ('<svg class="%s" viewBox="0 0 %s %s" role="img" aria-label="%s" fill="none" stroke-linecap="round" '
    .. 'stroke-linejoin="round">%s</svg>'):format(class, width, height, html(label), body)
end

--- The SVG of gnuplot as a file, drawn in the light theme; with `switching` a reader who prefers dark sees it dark.
--- What knows no style sheets sees it light.
function M.file(svg, label, switching)
  local used = {}
  local body, width, height = cleaned(svg, function(red, green, blue)
    local text = digits(red, green, blue)
    used[text] = true
    return text
  end)
  return ([[
<?xml version="1.0" encoding="utf-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="%s" height="%s"
 viewBox="0 0 %s %s" role="img" font-family="sans-serif" fill="none" stroke-linecap="round" stroke-linejoin="round">
<title>%s</title>%s%s
</svg>
]]):format(width, height, width, height, html(label), switching and "<style>" .. theme.switch(used) .. "</style>" or "",
    body:gsub("(</g>)(<g)", "%1\n%2"))
end

return M
