-- init.lua - pah.results: files of measurements. A file holds runs, a run is a header and rows; .db and .sqlite
-- are SQLite, .jsonl is JSON lines, and both hold the same. Promises: a row is on the disk when store:add returns, and
-- a run has one writer at a time. Schema: doc/results.md. Read next: header.lua, schema.lua, experiment/sweep.lua.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local ffi = require "ffi"
local schema = require "pah.results.schema"
local run_header = require "pah.results.header"

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

--- Reads a results file: {path=, format="sqlite"|"jsonl", runs={{id=, header={...}, rows={{...}, ...}}, ...},
--- notes={...}}. Runs are in order of their start, rows in that of their storing; notes say what could not be read.
function M.read(path)
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

-- ---- Writing ----------------------------------------------------------------------------------------------------

local Store = {}
Store.__index = Store

--- Stores a row; it is on the disk when this returns. Returns the row as it is stored.
function Store:add(row)
  if not self.backend then errors.raisef("results: %s is closed", self.path) end
  row = schema.row(row, self.header)
  self.backend:add(row)
  return row
end

--- Ends the writing; a second call is no error.
function Store:close()
  if self.backend then self.backend:close() end
  C.pah_file_unlock(self.lock)
  self.backend, self.lock = nil, -1
end

-- The lock of a run, which ends with the process; waits a moment for one that is just ending.
local function lock(path, run)
  local fd, key = ffi.new "int[1]", tonumber(run:match "%x+$" or "0", 16)
  for try = 1, 10 do
    local status = C.pah_file_lock(path, key, fd)
    if status == 0 then return fd[0] end
    if status ~= C.PAH_EINVAL then errors.raise(ffi.string(C.pah_error())) end
    if try < 10 then os.execute "sleep 0.2" end
  end
  errors.raisef("results: run %s in %s is being measured by another process", run, path)
end

local function store(path, header, backend)
  return setmetatable({path = path, run = header.run, header = header, backend = backend, lock = -1}, Store)
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
  local file = io.open(path, "rb")
  local new = not file
  if file then file:close() end
  if first_bytes(path) then M.read(path) end
  local why
  file, why = io.open(path, "ab")
  if not file then errors.raise("results: " .. why) end
  file:close()
  if new then os.remove(path) end
end

-- The header of a run, with everything that `given` has not.
local function new_header(what, given)
  errors.check_keys(what, given, run_header.known)
  local header = schema.plain(run_header.complete(given or {}), "header")
  header.schema = header.schema or schema.version
  local why = schema.header_problem(header)
  if why then errors.raisef("%s: %s", what, why) end
  return header
end

--- Begins a run in a results file, which is made if need be: store:add(row), store:close(); store.run is its id,
--- store.header its header. Fields of the header that are not given are filled in (header.lua).
function M.open(path, header)
  local format = file_format(path)
  local copied = header and header.run
  header = new_header("results.open", header)
  if copied and first_bytes(path) then
    for _, run in ipairs(M.read(path).runs) do
      if run.id == copied then errors.raisef("results: %s has run %s already", path, copied) end
    end
  end
  local s = store(path, header, backends[format].begin(path, header))
  return guarded(s, function() s.lock = lock(path, header.run) end)
end

-- The last run of that name in a file, or nil.
local function last_run(path, name)
  local bytes = first_bytes(path)
  if not bytes then return nil end
  local runs = M.read(path).runs
  for i = #runs, 1, -1 do
    if runs[i].header.name == name then return runs[i] end
  end
end

--- Resumes the last run of header.name in a results file: returns the store and the rows that it has. If there is
--- none, begins one, whose header begins(header) may add to first. Raises if anything that its rows depend on has
--- changed, or if another process is writing it.
function M.resume(path, header, begins)
  file_format(path)
  if begins ~= nil and type(begins) ~= "function" then
    errors.raisef("results.resume: begins is a %s, must be a function", type(begins))
  end
  header = new_header("results.resume", header)
  local run = last_run(path, header.name)
  if not run then
    if begins then begins(header) end
    return M.open(path, header), {}
  end
  local changed = run_header.differences(run.header, header)
  if #changed > 0 then
    errors.raisef("results: run %s in %s cannot be resumed: %s; begin a new run (fresh) or name another file",
      run.id, path, table.concat(changed, "; "))
  end
  local s = store(path, run.header)
  local rows
  guarded(s, function()
    s.lock = lock(path, run.id)
    s.backend = backends[format_of(path)].continue(path, run.header)
    for _, again in ipairs(M.read(path).runs) do
      if again.id == run.id then rows = again.rows end
    end
  end)
  return s, rows
end

M.exports = {results = {read = M.read, open = M.open, resume = M.resume}}

return M
