-- merge.lua - pah.results.merge: the runs of one experiment, in several files, as one run of a new file. Promises: runs
-- that are not of one experiment are refused, with what differs; every row is there once; each run stays a part with
-- the header of its machine; the file is there only when it is whole. Read next: parts.lua, doc/many-machines.md.
local errors = require "pah.errors"
local results = require "pah.results"
local run_header = require "pah.results.header"
local schema = require "pah.results.schema"
local readable = require("pah.util.whole_file").readable

local M = {}

-- The last run of every name and shard in a file.
local function last_runs(path)
  local file = results.read(path)
  local place, list = {}, {}
  for _, run in ipairs(file.runs) do
    local key = tostring(run.header.name) .. " " .. schema.encode(run.header.shard or {})
    place[key] = place[key] or #list + 1
    list[place[key]] = {run = run, path = path}
  end
  if #list == 0 then errors.raisef("results.merge: %s has no run", path) end
  return list, file.notes
end

-- The runs of all files by their names.
local function groups_of(paths, notes)
  local groups, by_name = {}, {}
  for _, path in ipairs(paths) do
    local list, said = last_runs(path)
    for _, note in ipairs(said) do notes[#notes + 1] = path .. ": " .. note end
    for _, item in ipairs(list) do
      local name = tostring(item.run.header.name)
      if not by_name[name] then
        by_name[name] = {name = name}
        groups[#groups + 1] = by_name[name]
      end
      table.insert(by_name[name], item)
    end
  end
  return groups
end

-- Raises unless all runs of a group are of one experiment, and one index is one point.
local function check(group)
  local first, keys = group[1], {}
  for _, item in ipairs(group) do
    local list = run_header.experiment_differences(first.run.header, item.run.header)
    if #list > 0 then
      errors.raisef("results.merge: %s (run %s) and %s (run %s) are not of one experiment: %s", first.path,
        first.run.id, item.path, item.run.id, table.concat(list, "; "))
    end
    for _, row in ipairs(item.run.rows) do
      if (keys[row.index] or row.key) ~= row.key then
        errors.raisef("results.merge: point %d is %s before and %s in %s: their `where` differs", row.index,
          keys[row.index], row.key, item.path)
      end
      keys[row.index] = row.key
    end
  end
end

-- The parts of a group {header=, rows=}, each row once; how many rows were measured twice.
local function parts_of(group)
  local parts, by_id, from, twice = {}, {}, {}, 0
  for _, item in ipairs(group) do
    for _, run in ipairs(item.run.parts or {item.run}) do
      if not by_id[run.id] then
        by_id[run.id] = {id = run.id, header = run.header, rows = {}}
        parts[#parts + 1] = by_id[run.id]
      end
      for _, row in ipairs(run.rows) do
        local identity = row.index .. " " .. row.round
        if not from[identity] then
          from[identity] = run.id
          table.insert(by_id[run.id].rows, row)
        elseif from[identity] ~= run.id then
          twice = twice + 1
        end
      end
    end
  end
  return parts, twice
end

-- A note on shards that are not there, or not whole.
local function missing(parts, notes, name)
  local rows, sizes, count = {}, {}, nil
  for _, part in ipairs(parts) do
    local shard = part.header.shard
    if not shard or count and count ~= shard.count then return end
    count = shard.count
    rows[shard.index] = (rows[shard.index] or 0) + #part.rows
    sizes[shard.index] = math.max(sizes[shard.index] or 0, shard.points * (part.header.rounds or 1))
  end
  for i = 1, count do
    if not rows[i] then
      notes[#notes + 1] = ("%s: shard %d/%d is missing"):format(name, i, count)
    elseif rows[i] < sizes[i] then
      notes[#notes + 1] = ("%s: shard %d/%d has %d of its %d rows"):format(name, i, count, rows[i], sizes[i])
    end
  end
end

-- Writes the groups' parts to a file, as parts of one run each; returns the ids.
local function write(path, groups)
  local ids = {}
  for i, group in ipairs(groups) do
    ids[i] = run_header.new_id()
    for _, part in ipairs(group.parts) do
      local header = {}
      for key, value in pairs(part.header) do header[key] = value end
      header.part_of = ids[i]
      local store = results.open(path, header)
      store:add_all(part.rows)
      store:close()
    end
  end
  return ids
end

--- Merges results files into the new file `out`: of every name and shard the last run of each file, shards or not.
--- options.replace: `out` may be there already, and is replaced. Returns {runs = the merged runs as results.read gives
--- them, notes = list of what is missing, stands twice or could not be read}.
function M.merge(paths, out, options)
  errors.check_keys("results.merge", options, {replace = true})
  if type(paths) ~= "table" or #paths == 0 then errors.raise "results.merge: no file is named" end
  if type(out) ~= "string" or not out:match "%.%w+$" then
    errors.raisef("results.merge: out is %s, must be a file that ends in .db, .sqlite or .jsonl", tostring(out))
  end
  if readable(out) and not (options and options.replace) then
    errors.raisef("results.merge: %s is there already, must be a new file (or replace)", out)
  end
  local notes = {}
  local groups = groups_of(paths, notes)
  for _, group in ipairs(groups) do
    check(group)
    local twice
    group.parts, twice = parts_of(group)
    if twice > 0 then
      notes[#notes + 1] = ("%s: %d rows were measured twice, in several runs; those of the run named first are kept")
        :format(group.name, twice)
    end
    missing(group.parts, notes, group.name)
  end
  local temporary = out:gsub("(%.%w+)$", ".merging%1")
  os.remove(temporary)
  local ok, ids = pcall(write, temporary, groups)
  if ok then ok, ids = os.rename(temporary, out) end
  if not ok then
    os.remove(temporary)
    errors.raisef("results.merge: %s", (tostring(ids):gsub("^results: ", "")))
  end
  return {runs = results.read(out).runs, notes = notes}
end

results.exports.results.merge = M.merge -- beside read, open and resume

return M
