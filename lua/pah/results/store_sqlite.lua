-- store_sqlite.lua - results as an SQLite database: tables runs and rows, a view `results` for people, JSON where a
-- value has no column, samples as little-endian doubles. Promises: a row is on the disk when add returns (rollback
-- journal, synchronous = EXTRA); several processes may write one file. Read next: sqlite.lua, schema.lua.
local errors = require "pah.errors"
local schema = require "pah.results.schema"
local sqlite = require "pah.results.sqlite"

local M = {}

local APPLICATION = 0x70616872 -- "pahr", at byte 68 of the file

local tables = {
  [[CREATE TABLE schema (name TEXT PRIMARY KEY, value)]],
  [[CREATE TABLE runs (run TEXT PRIMARY KEY, name TEXT, started TEXT, device TEXT, script TEXT, script_sha256 TEXT,
    pah TEXT, host TEXT, cpu TEXT, header TEXT NOT NULL)]],
  [[CREATE TABLE rows (run TEXT NOT NULL REFERENCES runs, point INTEGER NOT NULL, round INTEGER NOT NULL,
    key TEXT NOT NULL, axes TEXT NOT NULL, status TEXT NOT NULL, error TEXT, measured_at TEXT, seconds REAL,
    median REAL, low REAL, high REAL, n INTEGER, bytes_per_second REAL, flops_per_second REAL, fraction REAL,
    extras TEXT NOT NULL, result TEXT, samples BLOB, PRIMARY KEY (run, point, round))]],
  [[CREATE VIEW results AS SELECT name, device, point, round, key, status, median, low, high, n,
    bytes_per_second / 1e9 AS gb_per_second, flops_per_second / 1e12 AS tflop_per_second, fraction, extras, error,
    measured_at, run FROM rows JOIN runs USING (run) ORDER BY started, run, point, round]],
}

-- The file's schema; 0 if it is empty. Raises on databases of others and of newer versions.
local function version_of(db)
  local version, id = db:run("PRAGMA user_version")[1][1], db:run("PRAGMA application_id")[1][1]
  if version == 0 and id == 0 and db:run("SELECT count(*) FROM sqlite_master")[1][1] == 0 then return 0 end
  if id ~= APPLICATION then errors.raisef("results: %s is an SQLite database, but not one of pah", db.path) end
  schema.check_version(db.path, version)
  return version
end

-- Opens the database, calls f(db) and closes it again if that fails.
local function with(path, mode, f)
  local db = sqlite.open(path, mode)
  local ok, why = pcall(f, db)
  if ok then return db end
  db:close()
  error(why, 0)
end

local function settings(db)
  db:run "PRAGMA journal_mode = DELETE"
  db:run "PRAGMA synchronous = EXTRA"
end

-- ---- Reading ----------------------------------------------------------------------------------------------------

local function read_row(r, header)
  local function json(text, field)
    if not text then return nil end
    local value, why = schema.decode(text, field)
    if value == nil then error(why, 0) end
    return value
  end
  local row = {index = r[1], round = r[2], key = r[3], axes = json(r[4], "axes"), status = r[5], error = r[6],
    measured_at = r[7], seconds = r[8], values = json(r[9], "extras"), result = json(r[10], "result")}
  if r[11] and row.result then row.result.samples = schema.unpack(r[11]) end
  local checked, why = schema.read_row(row, header)
  if not checked then error(why, 0) end
  return checked
end

local function read_run(db, r, notes)
  local header, why = schema.decode(r[2], "header")
  if type(header) == "table" then header, why = schema.read_header(header) end
  if type(header) ~= "table" then
    notes[#notes + 1] = ("run %s is left out: %s"):format(r[1], why or "its header is no object")
    return nil
  end
  local run = {id = r[1], header = header, rows = {}}
  local rows = db:run([[SELECT point, round, key, axes, status, error, measured_at, seconds, extras, result, samples
    FROM rows WHERE run = ? ORDER BY rowid]], {r[1]}, 1)
  for _, row in ipairs(rows) do
    local ok, value = pcall(read_row, row, header)
    if ok then
      run.rows[#run.rows + 1] = value
    else
      notes[#notes + 1] = ("point %s of round %s of run %s is left out: %s"):format(row[1], row[2], r[1], value)
    end
  end
  return run
end

--- Runs in order, and notes on what could not be read: see results.read.
function M.read(path)
  local runs, notes = {}, {}
  with(path, "write", function(db) -- what a killed process has left is undone by the next that opens it, a reader too
    if version_of(db) == 0 then return end
    db:run "BEGIN" -- one moment for both tables
    for _, r in ipairs(db:run "SELECT run, header FROM runs ORDER BY rowid") do
      runs[#runs + 1] = read_run(db, r, notes)
    end
    db:run "COMMIT"
  end):close()
  return runs, notes
end

--- Raises if SQLite is not installed.
M.check = sqlite.library

-- ---- Writing ----------------------------------------------------------------------------------------------------

local function insert(db, name, values, count)
  return db:run(("INSERT INTO %s VALUES (%s)"):format(name, ("?, "):rep(count - 1) .. "?"), values, count)
end

local function create(db)
  for _, sql in ipairs(tables) do db:run(sql) end
  insert(db, "schema", {"format", "pah results"}, 2)
  insert(db, "schema", {"version", schema.version}, 2)
  db:run(("PRAGMA application_id = %d"):format(APPLICATION))
  db:run(("PRAGMA user_version = %d"):format(schema.version))
end

local Store = {}
Store.__index = Store

--- Begins a run: its header is in the file when this returns. Returns what init.lua makes a store of.
function M.begin(path, header)
  local file, why = io.open(path, "ab") -- whose words are clearer than SQLite's when that cannot be
  if not file then errors.raise("results: " .. why) end
  file:close()
  local db = with(path, "create", function(db)
    version_of(db) -- before anything is changed
    settings(db)
    db:transaction(function()
      if version_of(db) == 0 then create(db) end
      insert(db, "runs", {header.run, header.name, header.started, header.device, header.script, header.script_sha256,
        header.pah and header.pah.version, header.host and header.host.name, header.host and header.host.cpu,
        schema.encode(header, schema.header_order)}, 10)
    end)
  end)
  return setmetatable({db = db, run = header.run}, Store)
end

--- Resumes a run that is in the file.
function M.continue(path, header)
  local db = with(path, "write", function(db)
    version_of(db)
    settings(db)
  end)
  return setmetatable({db = db, run = header.run}, Store)
end

function Store:add(row)
  local r, samples = row.result, nil
  if r and type(r.samples) == "table" then
    samples = {blob = schema.pack(r.samples)}
    r = {}
    for key, value in pairs(row.result) do
      if key ~= "samples" then r[key] = value end
    end
  end
  local from = r or {}
  insert(self.db, "rows", {self.run, row.index, row.round, row.key, schema.encode_object(row.axes), row.status,
    row.error, row.measured_at, row.seconds, from.median, from.low, from.high, from.n, from.bytes_per_second,
    from.flops_per_second, from.fraction, schema.encode_object(row.values), r and schema.encode(r), samples}, 19)
end

--- Adds all rows in one transaction.
function Store:add_all(rows)
  self.db:transaction(function()
    for _, row in ipairs(rows) do self:add(row) end
  end)
end

function Store:close() self.db:close() end

return M
