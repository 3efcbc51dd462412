-- svg.lua - gnuplot's SVG prepared for a page: colours become variables of the page's style sheet,
-- identifiers are unique in the page, the font is the page's, what draws nothing is removed.
-- Promises: names pass as gnuplot escaped them. Read next: theme.lua, report/init.lua.
local html = require("pah.util.safe_text").html
local theme = require "pah.plot.theme"

local M = {}

local function colour(red, green, blue)
  local variable = theme.variables[("%d %d %d"):format(red, green, blue)]
  return variable and ("var(%s)"):format(variable) or ("rgb(%d,%d,%d)"):format(red, green, blue)
end

local function hex(digits)
  return colour(tonumber(digits:sub(1, 2), 16), tonumber(digits:sub(3, 4), 16), tonumber(digits:sub(5, 6), 16))
end

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

--- The SVG of gnuplot for a page. `name` is unique in the page, `label` says what is seen, `class` is for its style.
function M.inline(svg, name, label, class)
  local width, height = svg:match 'viewBox="0 0 ([%d.]+) ([%d.]+)"'
  local defs = used_marks(svg)
  local body = svg:match "<svg.->(.*)</svg>"
  body = body:gsub("<defs>.-</defs>", function() return defs end):gsub("<title>[^<]*</title>", "")
    :gsub("<desc>[^<]*</desc>", "")
  body = in_tags(body, function(tag)
    tag = tag:gsub("rgb%(%s*(%d+),%s*(%d+),%s*(%d+)%s*%)", colour):gsub("#(%x%x%x%x%x%x)", hex)
    tag = tag:gsub(' font%-family="[^"]*"', ""):gsub("%.00%f[%D]", ""):gsub("%s+", " "):gsub(" ?= ?(['\"])", "=%1")
    tag = tag:gsub("xlink:href='#(%w+)'", function(id) return ("href='#%s-%s'"):format(name, id) end)
    tag = tag:gsub(" id=['\"]([%w_]+)['\"]", function(id)
      return id:match "^gpPt" and (" id='%s-%s'"):format(name, id) or ""
    end)
    return tag:gsub(' color="#FFFFFF"', ""):gsub(' color="black"', ""):gsub(' stroke%-linecap="round"', "")
      :gsub(' stroke%-linejoin="round"', ""):gsub(" '", "'"):gsub(" />", "/>")
  end)
  body = without_empty_groups(body:gsub(">%s+<", "><"))
  return ('<svg class="%s" viewBox="0 0 %s %s" role="img" aria-label="%s" fill="none" stroke-linecap="round" '
    .. 'stroke-linejoin="round">%s</svg>'):format(class, width, height, html(label), body)
end

return M
