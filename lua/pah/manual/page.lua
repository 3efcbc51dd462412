-- page.lua - the tables of doc/lua-api.md: what stands between `<!-- manual: WHAT -->` and `<!-- end -->` is made from
-- the manual. WHAT is a group ("devices"), a class ("Tensor") or a record ("TensorOptions"); several are one table.
-- scripts/manual writes the page, spec/tree/manual_spec.lua compares. Read next: init.lua.
local manual = require "pah.manual"

local M = {}

local objects = {Device = "dev", Tensor = "t", Event = "event", Graph = "g", Cache = "cache", Sequence = "seq",
  Module = "module",
  LaunchReport = "report", BenchResult = "r", DiffReport = "d", Batch = "batch", Comparison = "c", Store = "store",
  ServingReplay = "replay", ServingStep = "step"}

local function row(left, right) return ("| %s | %s |"):format(left, (right:gsub("|", "\\|"))) end

local function entry_row(e)
  local returned = manual.returned(e)
  return row("`" .. manual.call(e, objects[e.owner]) .. "`" .. (returned and " -> " .. returned or ""), e.about)
end

-- Types as words of the page; those of arguments in records.
local function field_row(f)
  local kind = f.type:find "[\"']" and f.type:gsub("|", ", ") or f.type
  return row("`" .. f.name .. "`" .. (f.optional and "" or " *"), kind .. ": " .. f.about)
end

-- The rows of a name.
local function rows_of(what)
  local rows = {}
  if manual.records[what] then
    for _, f in ipairs(manual.records[what].fields) do rows[#rows + 1] = field_row(f) end
  else
    local list = manual.in_group[what] or manual.by_owner[what]
    if not list then error(("manual: %s is no group, class or record"):format(what)) end
    for _, e in ipairs(list) do
      if e.name then rows[#rows + 1] = entry_row(e) end
    end
  end
  return rows
end

local function table_of(names)
  local head, lines = "of", {}
  for what in names:gmatch "%S+" do
    if manual.records[what] then head = "named" end
    for _, line in ipairs(rows_of(what)) do lines[#lines + 1] = line end
  end
  local first = head == "named" and "| argument (*: needed) | |" or "| | |"
  return first .. "\n|---|---|\n" .. table.concat(lines, "\n") .. "\n"
end

--- The text of a page with its tables made anew.
function M.fill(text)
  return (text:gsub("(<!%-%- manual: ([%w _]+) %-%->\n).-(<!%-%- end %-%->)", function(first, names, last)
    return first .. table_of(names) .. last
  end))
end

return M
