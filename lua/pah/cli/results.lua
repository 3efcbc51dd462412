-- results.lua - `pah results FILE`: what a results file holds, as tables for people, Markdown, CSV or JSON, or
-- copied to a file of the other format; `pah results merge`: runs of one experiment as one. Read next:
-- results/init.lua, results/table.lua, results/merge.lua.
local columns = require "pah.util.columns"
local merge = require("pah.results.merge").merge
local misused = require("pah.options").misused
local named = require "pah.results.named"
local parts_of = require "pah.results.parts"
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
    local machines = parts_of.machines(run)
    for _, row in ipairs(run.rows) do
      local line = {}
      local function add(list, from)
        for _, name in ipairs(list) do line[#line + 1] = text(from[name]) end
      end
      local machine = machines[row.machine or 1]
      local about = {run = run.id, name = run.header.name, device = machine.device, machine = machine.name}
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

-- Where a run was measured: its device, processor and threads, or its machines.
local function where_of(run)
  local h = run.header
  local host = h.host or {}
  local shard = h.shard and ("shard %d/%d, "):format(h.shard.index, h.shard.count) or ""
  local several = parts_of.sentence(run)
  if several then return shard .. several end
  return ("%s%d rows on %s, %s, %s threads"):format(shard, #run.rows, h.device,
    host.cpu or "a processor that is not known", host.threads or "?")
end

-- A heading and a table for each run.
local function tables(runs, markdown)
  local parts = {}
  for i, run in ipairs(runs) do
    local h = run.header
    local pah_ = h.pah or {}
    local line = ("%s, %s: %s; pah %s%s"):format(h.name, named.sentence(run), where_of(run), pah_.version or "?",
      pah_.git and (" at " .. pah_.git:sub(1, 12) .. (pah_.dirty and ", changed" or "")) or "")
    parts[#parts + 1] = (i > 1 and "\n" or "") .. (markdown and "**" .. line .. "**" or columns.folded(line)) .. "\n"
      .. (markdown and "\n" or "")
    if #run.rows > 0 then
      local machines = parts_of.machines(run)
      parts[#parts + 1] = markdown and columns.markdown(results_table.cells(run.rows, h.axes, machines))
        or results_table.text(run.rows, h.axes, machines)
    end
  end
  return table.concat(parts)
end

local writers = {
  text = function(runs) return tables(runs, false) end,
  md = function(runs) return tables(runs, true) end,
  csv = csv,
  json = function(runs)
    local list = {}
    for i, run in ipairs(runs) do list[i] = {id = run.id, header = run.header, rows = run.rows} end
    return schema.encode(list) .. "\n"
  end,
}

-- Copies runs, as they are stored, to a results file.
local function copy(runs, path)
  for _, run in ipairs(runs) do
    for _, part in ipairs(run.parts or {run}) do
      local store = results.open(path, part.header)
      store:add_all(part.rows)
      store:close()
    end
  end
end

local function complain(message)
  io.stderr:write("pah: ", message, "\n")
  return 1
end


-- `pah results merge A B ... -o ALL`
local function run_merge(opt)
  local paths = {unpack(opt, 2)}
  if #paths == 0 then return misused("results", "merge: no file is named") end
  if not opt.out then return misused("results", "merge: -o names the new file") end
  local ok, merged = pcall(merge, paths, opt.out, {replace = opt.replace})
  if not ok then return complain(merged) end
  for _, note in ipairs(merged.notes) do io.stderr:write("pah: ", note, "\n") end
  for _, run in ipairs(merged.runs) do
    io.stderr:write(("pah: %s: run %s of %s, %d rows of %d runs; %s\n"):format(opt.out, run.id, run.header.name,
      #run.rows, #run.parts, parts_of.sentence(run) or "one machine, " .. parts_of.machines(run)[1].name))
  end
  return 0
end

local function run(opt)
  if not opt[1] then return misused("results", "no file is named") end
  if opt[1] == "merge" then return run_merge(opt) end
  if opt[2] then return misused("results", ('"%s" is one word too many'):format(opt[2])) end
  if opt.replace then return misused("results", "--replace goes with merge") end
  local ok, runs, notes = pcall(named.read, "results", named.with({opt[1]}, opt.run)[1])
  if not ok then return complain(runs) end
  for _, note in ipairs(notes) do io.stderr:write("pah: ", opt[1], ": ", note, "\n") end
  if runs[1].last_of and (opt.out or opt.format ~= "text") then -- as text the heading says it
    io.stderr:write(("pah: %s: %s; #all means all of them\n"):format(opt[1], named.sentence(runs[1])))
  end
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
  usage = "FILE[#RUN] [options]   or   results merge FILE ... -o FILE",
  about = "what a results file holds: runs, their points, times and errors; or copy it, or merge several",
  options = {
    format = {"how it is printed", "text", choices = {"text", "md", "csv", "json"}},
    out = {"copy the runs to this file, .db or .jsonl, instead of printing", nil, type = "string", short = "o"},
    run = named.option,
    replace = {"merge: the file of -o may be there already, and is replaced", false},
  },
  words = 1 / 0,
  text = [[
FILE is one that an experiment has written with -o: its last run, FILE#RUN another one, FILE#all all of them. merge
unites runs of one experiment, such as shards measured on several machines, as one run of a new file: the same program,
script, options and seed, every row once.]],
  run = run,
}
