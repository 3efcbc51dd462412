-- init.lua - pah.results: files of measurements. A file holds runs, a run is a header and rows; .db and .sqlite
-- are SQLite, .jsonl is JSON lines, and both hold the same. Promises: a row is on the disk when store:add returns, and
-- a run has one writer at a time, whatever machines its parts are from. Schema: doc/results.md. Read next: header.lua,
-- schema.lua, parts.lua, experiment/sweep.lua.
local binding = require "pah.ffi"
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local ffi = require "ffi"
local parts_of = require "pah.results.parts"
local schema = require "pah.results.schema"
local run_header = require "pah.results.header"
local readable = require("pah.util.whole_file").readable

local C = binding.C

local M = {}

local backends = {sqlite = require "pah.results.store_sqlite", jsonl = require "pah.results.jsonl"}
local endings = {db = "sqlite", sqlite = "sqlite", jsonl = "jsonl"}

-- The first bytes of a file; nil if there is none (or it is a folder).
local function first_bytes(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read(16)
  file:close()
  return bytes
end

-- "sqlite" or "jsonl", by what the file holds, else by its name.
local function format_of(path)
  if type(path) ~= "string" then errors.raisef("results: path is a %s, must be a string", type(path)) end
  local bytes = first_bytes(path) or ""
  if bytes == "SQLite format 3\0" then return "sqlite" end
  local format = endings[path:match "%.(%w+)$" or ""]
  if not format then errors.raisef("results: path is %s, must end in .db, .sqlite or .jsonl", path) end
  if format == "sqlite" and bytes ~= "" then
    if bytes:sub(1, 10) == '{"schema":' then return "jsonl" end
    errors.raisef("results: %s is no SQLite database", path)
  end
  return format
end

local function is_folder(path)
  local file = io.open(path, "rb")
  local _, why = nil, nil
  if file then
    _, why = file:read(1)
    file:close()
  end
  return why and why:find "directory" ~= nil
end

-- The same, raising if it is a folder.
local function file_format(path)
  local format = format_of(path)
  if is_folder(path) then errors.raisef("results: %s is a folder, must be a file", path) end
  return format
end

--- Reads a results file as it is stored: {path=, format="sqlite"|"jsonl", runs={{id=, header={...}, rows={{...}, ...}},
--- ...}, notes={...}}. Runs are in order of their start, rows in that of their storing; notes say what could not be
--- read.
function M.read_parts(path)
  local format = file_format(path)
  local runs, notes = backends[format].read(path)
  local place = {}
  for i, run in ipairs(runs) do place[run] = i end
  table.sort(runs, function(a, b)
    local x, y = a.header.started or "", b.header.started or ""
    return x < y or x == y and place[a] < place[b]
  end)
  return {path = path, format = format, runs = runs, notes = notes}
end

--- The same with runs that were measured in parts put together (parts.lua): header.machines says where, and
--- row.machine which of them.
function M.read(path)
  local file = M.read_parts(path)
  file.runs = parts_of.fold(file.runs, file.notes)
  return file
end

-- ---- Writing ----------------------------------------------------------------------------------------------------

local Store = classes.name("Store", {})
Store.__index = Store

--- Stores a row; it is on the disk when this returns. Returns the row as it is stored.
function Store:add(row)
  if not self.backend then errors.raisef("results: %s is closed", self.path) end
  row = schema.row(row, self.header)
  self.backend:add(row)
  return row
end

--- Stores all rows of a list, in fewer steps; they are on the disk when this returns.
function Store:add_all(rows)
  if not self.backend then errors.raisef("results: %s is closed", self.path) end
  local stored = {}
  for i, row in ipairs(rows) do stored[i] = schema.row(row, self.header) end
  self.backend:add_all(stored)
end

--- Ends the writing; a second call is no error.
function Store:close()
  if self.backend then self.backend:close() end
  C.pah_file_unlock(self.lock)
  self.backend, self.lock = nil, -1
end

-- A lock of the file, which ends with the process, by key; tries so often, 0.2 seconds apart, else nil. waits() is
-- called once when that takes longer than two seconds.
local function lock_key(path, key, create, tries, waits)
  local fd = ffi.new "int[1]"
  for try = 1, tries do
    local status = C.pah_file_lock(path, key, create and 1 or 0, fd)
    if status == 0 then return fd[0] end
    if status ~= C.PAH_EINVAL then errors.raise(ffi.string(C.pah_error())) end
    if try == 10 and tries > 10 then waits() end
    if try < tries then os.execute "sleep 0.2" end
  end
end

local function tell(path, what)
  io.stderr:write(("pah: %s: waiting for another process, which %s\n"):format(path, what))
end

local function key_of(run) return tonumber(run:match "%x+$" or "0", 16) % 2 ^ 32 end

-- The lock of a run; waits a moment for one that is just ending, or $PAH_LOCK_WAIT seconds: of a node that has failed,
-- the others hear late.
local function lock(path, run)
  local seconds = tonumber(os.getenv "PAH_LOCK_WAIT") or 0
  return lock_key(path, key_of(run), false, math.max(10, math.ceil(5 * seconds)), function()
      tell(path, ("measures run %s"):format(run))
    end) or errors.raisef("results: run %s in %s is being measured by another process", run, path)
end

--- Whether some process is measuring that run.
function M.busy(path, run)
  local fd = lock_key(path, key_of(run), false, 1)
  if fd then C.pah_file_unlock(fd) end
  return not fd
end

local BEGIN = 2 ^ 32 -- the key of whoever looks whether a run has begun, and begins it; those of runs are below

-- Calls f() while no other process begins a run in the file, which is made if need be. If f writes nothing into a new
-- file, it is gone again.
local function alone(path, f)
  local new = not readable(path)
  local fd = lock_key(path, BEGIN, true, 600, function() tell(path, "begins a run") end)
    or errors.raisef("results: another process has been beginning a run in %s for two minutes", path)
  local ok, a, b = pcall(f)
  if new and first_bytes(path) == nil then os.remove(path) end
  C.pah_file_unlock(fd)
  if not ok then error(a, 0) end
  return a, b
end

local function store(path, header)
  return setmetatable({path = path, run = parts_of.whole(header), header = header, lock = -1}, Store)
end

-- Calls f(); if it fails, closes the store.
local function guarded(s, f)
  local ok, why = pcall(f)
  if ok then return s end
  s:close()
  error(why, 0)
end

--- Raises what M.open would raise for this path, and changes nothing.
function M.check(path)
  local format = file_format(path)
  backends[format].check()
  alone(path, function()
    if first_bytes(path) then M.read(path) end
  end)
end

-- The header of a run, with everything that `given` has not.
local function new_header(what, given)
  errors.check_keys(what, given, run_header.known)
  local why = given and schema.header_problem{run = given.run} -- a header with a run's id is taken as it is
  local header = not why and schema.plain(run_header.complete(given or {}), "header") or {}
  header.schema = header.schema or schema.version
  why = why or schema.header_problem(header)
  if why then errors.raisef("%s: %s", what, why) end
  return header
end

-- The store of a new run, or of a new part of one, whose lock is taken before anybody can know of it.
local function begin(path, format, header)
  local s = store(path, header)
  return guarded(s, function()
    s.lock = lock(path, s.run)
    s.backend = backends[format].begin(path, header)
  end)
end

--- Begins a run in a results file, which is made if need be: store:add(row), store:close(); store.run is its id,
--- store.header its header. Fields of the header that are not given are filled in (header.lua).
function M.open(path, header)
  local format = file_format(path)
  local copied = header and header.run
  header = new_header("results.open", header)
  return alone(path, function()
    if copied and first_bytes(path) then
      for _, run in ipairs(M.read_parts(path).runs) do
        if run.id == copied then errors.raisef("results: %s has run %s already", path, copied) end
      end
    end
    return begin(path, format, header)
  end)
end

-- The last run of that name in a file, and of the same shard, or nil.
local function last_run(path, header)
  if not first_bytes(path) then return nil end
  local runs = M.read(path).runs
  local function shard(h) return h.shard and ("%d/%d"):format(h.shard.index, h.shard.count) or "" end
  for i = #runs, 1, -1 do
    local h = runs[i].header
    if h.name == header.name and h.merged then
      errors.raisef("results: run %s in %s is merged from others and cannot be resumed: measure what is missing in "
        .. "their files and merge again, begin a new run (fresh) or name another file", runs[i].id, path)
    end
    if h.name == header.name and shard(h) == shard(header) then return runs[i] end
  end
end

-- The part of a run that this machine has measured, which is the whole if there is only one; nil if it is new to it.
local function part_here(run, header)
  local found
  for _, part in ipairs(run.parts or {run}) do
    if run_header.machine_identity(part.header) == run_header.machine_identity(header) then found = part end
  end
  return found
end

-- The store of a run that is in the file, and its rows. On another machine than before it is a new part of the run.
local function continue(path, run, header)
  local changed = run_header.differences((run.parts or {run})[1].header, header)
  if #changed > 0 then
    errors.raisef("results: run %s in %s cannot be resumed: %s; begin a new run (fresh) or name another file",
      run.id, path, table.concat(changed, "; "))
  end
  local format, part = format_of(path), part_here(run, header)
  if not part then header.part_of = run.id end
  local s = store(path, part and part.header or header)
  local rows
  guarded(s, function()
    s.lock = lock(path, run.id)
    s.backend = backends[format][part and "continue" or "begin"](path, s.header)
    for _, again in ipairs(M.read(path).runs) do
      if again.id == run.id then rows = again.rows end
    end
  end)
  return s, rows
end

--- Resumes the last run of header.name (and of header.shard) in a results file: returns the store and the rows that it
--- has, those of other machines too. If there is none, begins one, whose header begins(header) may add to first. Raises
--- if anything that its rows depend on has changed, or if another process is at it.
function M.resume(path, header, begins)
  local format = file_format(path)
  if begins ~= nil and type(begins) ~= "function" then
    errors.raisef("results.resume: begins is a %s, must be a function", type(begins))
  end
  header = new_header("results.resume", header)
  return alone(path, function()
    local run = last_run(path, header)
    if run then return continue(path, run, header) end
    if begins then begins(header) end
    return begin(path, format, header), {}
  end)
end

M.exports = {results = {read = M.read, open = M.open, resume = M.resume}}

return M
