-- results.lua - `pah results FILE`: what a results file holds, as tables for people, Markdown, CSV or JSON, or
-- copied to a file of the other format. Read next: results/init.lua, results/table.lua.
local columns = require "pah.util.columns"
local results = require "pah.results"
local results_table = require "pah.results.table"
local schema = require "pah.results.schema"

local function text(value)
  if value == nil then return "" end
  return type(value) == "number" and schema.encode(value):gsub('"', "") or tostring(value)
end

-- Rows in full precision.
local function csv(runs)
  local all = {}
  for _, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do all[#all + 1] = row end
  end
  local axes, values = results_table.names(all, "axes"), results_table.names(all, "values")
  local head = {}
  local function add_head(list, kind, others)
    for _, name in ipairs(list) do head[#head + 1] = kind and schema.column(kind, name, others) or name end
  end
  add_head(schema.row_columns)
  add_head(axes, "axes", values)
  add_head(schema.result_columns)
  add_head(values, "values", axes)
  add_head {"error"}
  local rows = {head}
  for _, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do
      local line = {}
      local function add(list, from)
        for _, name in ipairs(list) do line[#line + 1] = text(from[name]) end
      end
      local about = {run = run.id, name = run.header.name, device = run.header.device}
      add(schema.row_columns, setmetatable(about, {__index = row}))
      add(axes, row.axes)
      add(schema.result_columns, row.result or {})
      add(values, row.values)
      add({"error"}, {error = row.error and row.error:match "^[^\n]*"})
      rows[#rows + 1] = line
    end
  end
  return columns.csv(rows)
end

-- A heading and a table for each run.
local function tables(runs, markdown)
  local parts = {}
  for i, run in ipairs(runs) do
    local h = run.header
    local host, pah_ = h.host or {}, h.pah or {}
    local line = ("%s, run %s: %d rows on %s, %s, %s threads; pah %s%s"):format(h.name, run.id, #run.rows, h.device,
      host.cpu or "a processor that is not known", host.threads or "?", pah_.version or "?",
      pah_.git and (" at " .. pah_.git:sub(1, 12) .. (pah_.dirty and ", changed" or "")) or "")
    parts[#parts + 1] = (i > 1 and "\n" or "") .. (markdown and "**" .. line .. "**\n\n" or line .. "\n")
    if #run.rows > 0 then
      parts[#parts + 1] = (markdown and columns.markdown or columns.plain)(results_table.cells(run.rows, h.axes))
    end
  end
  return table.concat(parts)
end

local writers = {
  text = function(runs) return tables(runs, false) end,
  md = function(runs) return tables(runs, true) end,
  csv = csv,
  json = function(runs) return schema.encode(runs) .. "\n" end,
}

-- Copies runs to a results file; returns how many there are.
local function copy(runs, path)
  for _, run in ipairs(runs) do
    local store = results.open(path, run.header)
    for _, row in ipairs(run.rows) do store:add(row) end
    store:close()
  end
end

local function complain(message)
  io.stderr:write("pah: ", message, "\n")
  return 1
end

local function run(opt)
  if not opt[1] then
    io.stderr:write("pah: results: no file is named\nhint: `pah help results` shows the usage\n")
    return 2
  end
  local ok, file = pcall(results.read, opt[1])
  if not ok then return complain(file) end
  for _, note in ipairs(file.notes) do io.stderr:write("pah: ", opt[1], ": ", note, "\n") end
  local runs = {}
  for _, this in ipairs(file.runs) do
    if not opt.run or this.id:find(opt.run, 1, true) or this.header.name == opt.run then runs[#runs + 1] = this end
  end
  if opt.run and #runs == 0 then return complain(("results: no run of %s is %s"):format(opt[1], opt.run)) end
  if not opt.out then
    io.stdout:write(writers[opt.format](runs))
    return 0
  end
  local copied, why = pcall(copy, runs, opt.out)
  if not copied then return complain(why) end
  io.stderr:write(("pah: %s has now %d more run%s\n"):format(opt.out, #runs, #runs == 1 and "" or "s"))
  return 0
end

return {
  usage = "FILE [--run ID] [--format FORMAT] [-o FILE]",
  about = "what a results file holds: runs, their points, times and errors; or copy it to the other format",
  options = {
    format = {"how it is printed", "text", choices = {"text", "md", "csv", "json"}},
    out = {"copy the runs to this file, .db or .jsonl, instead of printing", nil, type = "string", short = "o"},
    run = {"only runs with this name, or with this in their id", nil, type = "string"},
  },
  words = 1,
  text = "FILE is one that an experiment has written with -o.",
  run = run,
}
