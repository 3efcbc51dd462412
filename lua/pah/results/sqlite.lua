-- sqlite.lua - Debian's SQLite through the FFI: databases, statements, transactions. Errors say the file and SQLite's
-- own words. The library is opened at the first use and stays so until the program ends; nothing here has a finalizer,
-- so a database must be closed. Read next: store_sqlite.lua.
local errors = require "pah.errors"
local ffi = require "ffi"

ffi.cdef [[
typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
int sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs);
int sqlite3_close(sqlite3 *db);
int sqlite3_busy_timeout(sqlite3 *db, int milliseconds);
int sqlite3_extended_errcode(sqlite3 *db);
int sqlite3_system_errno(sqlite3 *db);
const char *sqlite3_errmsg(sqlite3 *db);
int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int bytes, sqlite3_stmt **statement, const char **tail);
int sqlite3_step(sqlite3_stmt *statement);
int sqlite3_reset(sqlite3_stmt *statement);
int sqlite3_finalize(sqlite3_stmt *statement);
int sqlite3_bind_null(sqlite3_stmt *statement, int i);
int sqlite3_bind_double(sqlite3_stmt *statement, int i, double value);
int sqlite3_bind_int64(sqlite3_stmt *statement, int i, int64_t value);
int sqlite3_bind_text(sqlite3_stmt *statement, int i, const char *text, int bytes, void *destructor);
int sqlite3_bind_blob(sqlite3_stmt *statement, int i, const void *data, int bytes, void *destructor);
int sqlite3_column_count(sqlite3_stmt *statement);
int sqlite3_column_type(sqlite3_stmt *statement, int i);
int64_t sqlite3_column_int64(sqlite3_stmt *statement, int i);
double sqlite3_column_double(sqlite3_stmt *statement, int i);
const void *sqlite3_column_blob(sqlite3_stmt *statement, int i);
int sqlite3_column_bytes(sqlite3_stmt *statement, int i);
char *strerror(int number);
]]

local M = {}

local READONLY, READWRITE, CREATE = 1, 2, 4
local ROW, DONE = 100, 101
local INTEGER, FLOAT, NULL = 1, 2, 5
local copied = ffi.cast("void *", -1) -- SQLITE_TRANSIENT: SQLite copies what it is given

local library

--- The library; where it is not installed, raises how to get it.
function M.library()
  if library then return library end
  local asked = os.getenv "PAH_LIBSQLITE"
  for _, name in ipairs(asked and asked ~= "" and {asked} or {"libsqlite3.so.0", "libsqlite3.so"}) do
    local ok, found = pcall(ffi.load, name)
    if ok then
      library = found
      return library
    end
  end
  if asked then errors.raisef("results: PAH_LIBSQLITE is %s, which is no library that can be opened", asked) end
  errors.raise "results: SQLite is not installed: `apt install libsqlite3-0`, or name the file .jsonl"
end

--- Whether the library is there.
function M.usable() return (pcall(M.library)) end

local Database = {}
Database.__index = Database

-- Clearer words for some of SQLite's codes; for the others its own are enough.
local explained = {
  [5] = "another process has been writing for 30 s",
  [8] = "it or its folder cannot be written",
  [13] = "the disk is full",
  [14] = "the file or its folder cannot be opened",
  [776] = "a process was killed while it wrote, and the file or its folder cannot be written to undo that",
  [26] = "it is no SQLite database",
}

local function text_of(lib, db, code)
  local words = ffi.string(lib.sqlite3_errmsg(db))
  local number = lib.sqlite3_system_errno(db)
  local meaning = explained[lib.sqlite3_extended_errcode(db)] or explained[code % 256]
  local of_system = code % 256 == 10 or code % 256 == 14
  local system = of_system and number ~= 0 and ffi.string(ffi.C.strerror(number)) or nil
  return (meaning and meaning .. " (" .. words .. ")" or words) .. (system and ": " .. system or "")
end

-- Raises SQLite's error; the database keeps what it held.
local function fail(self, code)
  errors.raise(("results: %s: %s"):format(self.path, text_of(self.lib, self.handle, code)))
end

local function check(self, code)
  if code ~= 0 then fail(self, code) end
end

--- Opens a database: mode is "read", "write" (it must be there; a file that cannot be written is read) or "create".
function M.open(path, mode)
  local lib = M.library()
  local self = setmetatable({path = path, lib = lib, statements = {}}, Database)
  local flags = mode == "read" and READONLY or mode == "write" and READWRITE or READWRITE + CREATE
  local handle = ffi.new "sqlite3 *[1]"
  local code = lib.sqlite3_open_v2(path, handle, flags, nil)
  self.handle = handle[0]
  if code ~= 0 then
    local why = text_of(lib, self.handle, code)
    lib.sqlite3_close(self.handle)
    errors.raise(("results: %s: %s"):format(path, why))
  end
  lib.sqlite3_busy_timeout(self.handle, 30000)
  return self
end

--- Closes the database; a second call is no error.
function Database:close()
  if not self.handle then return end
  for _, statement in pairs(self.statements) do self.lib.sqlite3_finalize(statement) end
  self.statements = {}
  self.lib.sqlite3_close(self.handle)
  self.handle = nil
end

-- A statement is prepared once and kept until the database is closed.
local function prepared(self, sql)
  if not self.handle then errors.raisef("results: %s is closed", self.path) end
  local known = self.statements[sql]
  if known then
    self.lib.sqlite3_reset(known) -- an interrupt may have left it in the middle
    return known
  end
  local statement = ffi.new "sqlite3_stmt *[1]"
  check(self, self.lib.sqlite3_prepare_v2(self.handle, sql, #sql, statement, nil))
  self.statements[sql] = statement[0]
  return statement[0]
end

local function bind(self, statement, i, value)
  local lib, kind = self.lib, type(value)
  if value == nil then return lib.sqlite3_bind_null(statement, i) end
  if kind == "table" then return lib.sqlite3_bind_blob(statement, i, value.blob, #value.blob, copied) end
  if kind == "string" then return lib.sqlite3_bind_text(statement, i, value, #value, copied) end
  if value % 1 == 0 and math.abs(value) < 2 ^ 53 then return lib.sqlite3_bind_int64(statement, i, value) end
  return lib.sqlite3_bind_double(statement, i, value)
end

-- A column as number, string (of a blob too) or nil.
local function column(lib, statement, i)
  local kind = lib.sqlite3_column_type(statement, i)
  if kind == NULL then return nil end
  if kind == INTEGER then return tonumber(lib.sqlite3_column_int64(statement, i)) end
  if kind == FLOAT then return lib.sqlite3_column_double(statement, i) end
  local data = lib.sqlite3_column_blob(statement, i)
  return data == nil and "" or ffi.string(data, lib.sqlite3_column_bytes(statement, i))
end

--- Runs one statement. count values (numbers, strings, nil, {blob = string}) are bound to its question marks; returns
--- the rows as lists, each with the number of its columns in `n`.
function Database:run(sql, values, count)
  local lib, statement = self.lib, prepared(self, sql)
  for i = 1, count or 0 do check(self, bind(self, statement, i, values[i])) end
  local rows, code = {} -- luacheck: ignore 221
  repeat
    code = lib.sqlite3_step(statement)
    if code == ROW then
      local row = {n = lib.sqlite3_column_count(statement)}
      for i = 1, row.n do row[i] = column(lib, statement, i - 1) end
      rows[#rows + 1] = row
    end
  until code ~= ROW
  if code ~= DONE then
    local why = text_of(lib, self.handle, code)
    lib.sqlite3_reset(statement)
    errors.raise(("results: %s: %s"):format(self.path, why))
  end
  lib.sqlite3_reset(statement)
  return rows
end

--- Calls f() in a transaction that keeps other writers out from its start; an error in it leaves nothing behind.
function Database:transaction(f)
  self:run "BEGIN IMMEDIATE"
  local ok, why = pcall(f)
  if ok then ok, why = pcall(self.run, self, "COMMIT") end
  if ok then return end
  pcall(self.run, self, "ROLLBACK")
  error(why, 0)
end

return M
