-- schema.lua - what a results file holds, whatever its format: the header of a run and its rows, checked and
-- made plain data before they are written, and their text as JSON. Documented in doc/results.md.
-- Read next: init.lua, jsonl.lua, store_sqlite.lua.
local errors = require "pah.errors"
local ffi = require "ffi"
local json = require "pah.util.json"

local M = {}

--- The version of the schema; a file with a higher one was written by a newer pah and is refused.
M.version = 1

--- Order of the fields of a header and of a row in JSON lines.
M.header_order = {"schema", "run", "name", "started", "part_of", "device", "script", "script_sha256", "argv", "options",
  "seed", "rounds", "axes", "shard", "files", "pah", "luajit", "compiler", "host", "gpu", "env", "limits"}
M.row_order = {"index", "round", "key", "axes", "status", "error", "measured_at", "seconds", "values", "result"}

-- ---- Names of columns --------------------------------------------------------------------------------------------

--- Columns of a row and of its result in CSV, where axes stand between them and values behind.
M.row_columns = {"run", "name", "machine", "device", "index", "round", "key", "status", "measured_at", "seconds"}
M.result_columns = {"median", "low", "high", "q1", "q3", "min", "max", "n", "bytes", "flops", "bytes_per_second",
  "flops_per_second", "fraction"}

-- What pah itself calls columns in any output: CSV, SQL, tables for people, reports.
local own = {}
for _, list in ipairs {M.row_columns, M.result_columns, {"error", "point", "extras", "result", "samples", "axes",
  "values", "gb_per_second", "tflop_per_second", "time", "95 %", "GB/s", "GFLOP/s", "of limit", "launches",
  "global bytes", "sectors", "ideal", "bandwidth", "throughput", "of the limit", "notes", "thread blocks",
  "global read", "global written", "global sectors", "shared wavefronts", "of the ideal", "mma flops", "barriers",
  "atomics"}} do
  for _, name in ipairs(list) do own[name] = true end
end

--- What the column of an axis or a value (kind "axes" or "values") is called in every output: its name, or "axes.NAME"
--- where pah has a column of that name or `others`, the names of the other kind, have it too.
function M.column(kind, name, others)
  local taken = own[name] or name:find "^axes%." or name:find "^values%."
  for _, other in ipairs(others or {}) do taken = taken or other == name end
  return taken and kind .. "." .. name or name
end

-- ---- Plain data -----------------------------------------------------------------------------------------------

local scalar = {number = true, string = true, boolean = true}

--- A copy of a value without metatables; int64 becomes a number, nulls are left out. Raises on what JSON cannot hold.
function M.plain(value, where, depth)
  depth = depth or 0
  if scalar[type(value)] then return value end
  if type(value) == "cdata" and tonumber(value) then return tonumber(value) end
  if type(value) ~= "table" or depth > 20 or depth > 0 and getmetatable(value) ~= nil then
    errors.raisef("results: %s is a %s, must be a number, string, boolean or plain table", where,
      depth > 20 and "table in itself" or type(value))
  end
  local copy = {}
  for key, item in pairs(value) do
    if type(key) ~= "string" and (type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #value) then
      errors.raisef("results: %s has the key %s, must have strings, or numbers from 1 without holes", where,
        tostring(key))
    end
    if type(key) == "string" and #value > 0 then
      errors.raisef('results: %s has the key "%s" beside numbers', where, key)
    end
    if item ~= json.null then copy[key] = M.plain(item, where .. "." .. tostring(key), depth + 1) end
  end
  return copy
end

-- JSON has no NaN and no infinities: util/json.lua writes them as strings, which here become numbers again. Whole
-- numbers beyond 2^53, which util/json.lua reads as int64, were doubles when they were written and become so again.
local words = {NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge}

local function restored(value)
  if type(value) == "string" then return words[value] or value end
  if value == json.null then return nil end
  if type(value) == "cdata" then return tonumber(value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = restored(item) end
  return copy
end

--- The value of a JSON text as plain data, or nil and what is wrong.
function M.decode(text, name)
  local value, why = json.try_decode(text, name)
  if value == nil then return nil, why end
  return restored(value)
end

-- An empty table is an empty array, except of these fields.
local objects = {values = true, env = true, options = true, files = true}

--- JSON text of a table of names, an empty one too.
function M.encode_object(value) return next(value) == nil and "{}" or json.encode(value) end

--- JSON text of plain data; fields named in `order` come first, in that order.
function M.encode(value, order)
  if not order then return json.encode(value) end
  local parts, known = {}, {}
  local function add(key)
    known[key] = true
    if value[key] == nil then return end
    local text = (objects[key] and M.encode_object or json.encode)(value[key])
    parts[#parts + 1] = json.encode(key) .. ":" .. text
  end
  for _, key in ipairs(order) do add(key) end
  for _, key in ipairs(json.keys(value)) do
    if not known[key] then add(key) end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- A list of numbers as little-endian doubles, and back.
function M.pack(list) return ffi.string(ffi.new("double[?]", #list, list), 8 * #list) end

function M.unpack(text)
  local data, list = ffi.new("double[?]", #text / 8), {}
  ffi.copy(data, text, #text)
  for i = 1, #text / 8 do list[i] = data[i - 1] end
  return list
end

-- ---- Axes and rows ----------------------------------------------------------------------------------------------

--- "block_size=16 dtype=bf16": the values of a point by the order of the axes {{name=, ...}, ...}.
function M.key(axes, point)
  local parts = {}
  for i, axis in ipairs(axes) do
    local value = point[axis.name]
    parts[i] = axis.name .. "=" .. (type(value) == "number" and ("%.15g"):format(value) or tostring(value))
  end
  return table.concat(parts, " ")
end

local function whole(value) return type(value) == "number" and value % 1 == 0 and value >= 1 end

local function is_table(value) return type(value) == "table" end

local function optional(kind) return function(value) return value == nil or type(value) == kind end end

local function list_of(kind, value)
  if type(value) ~= "table" then return false end
  for _, item in ipairs(value) do
    if type(item) ~= kind then return false end
  end
  return true
end

-- Whether a field of a row may be what it is, and in words what it must be.
local row_checks = {
  {"index", whole, "a whole number from 1"}, {"round", whole, "a whole number from 1"},
  {"status", function(value) return value == "ok" or value == "error" end, '"ok" or "error"'},
  {"error", optional "string", "a string"}, {"key", optional "string", "a string"},
  {"measured_at", optional "string", "a string"}, {"seconds", optional "number", "a number"},
  {"axes", is_table, "a table"}, {"values", is_table, "a table"},
  {"result", optional "table", "a table"},
}

-- Fills in what a row may lack and raises on what it must not be.
local function complete(row, header)
  row.round, row.status = row.round or 1, row.status or row.error and "error" or "ok"
  row.axes, row.values = row.axes or {}, row.values or {}
  for _, check in ipairs(row_checks) do
    local field, allowed, what = unpack(check)
    if not allowed(row[field]) then
      errors.raisef("results: %s is %s, must be %s", field, tostring(row[field]), what)
    end
  end
  local samples = row.result and row.result.samples
  if samples ~= nil and not list_of("number", samples) then
    errors.raisef("results: result.samples is %s, must be a list of numbers", tostring(samples))
  end
  for _, field in ipairs {"axes", "values"} do
    for name, value in pairs(row[field]) do
      if not scalar[type(value)] or type(name) ~= "string" then
        errors.raisef("results: %s.%s is a %s, must be a number, string or boolean", field, tostring(name),
          type(value))
      end
    end
  end
  row.key = row.key or M.key(header.axes, row.axes)
  return row
end

--- A row as it is stored: checked, plain, with key and time filled in. `run` is the header of its run.
function M.row(row, header)
  if type(row) ~= "table" then errors.raisef("results: a row is a %s, must be a table", type(row)) end
  local known = {samples = true, machine = true} -- the machine is what its run's header says: it is not stored again
  for _, field in ipairs(M.row_order) do known[field] = true end
  errors.check_keys("results: row", row, known)
  local copy = {}
  for key, value in pairs(row) do
    if key ~= "machine" then copy[key] = M.plain(value, key) end
  end
  complete(copy, header)
  copy.measured_at = copy.measured_at or M.now()
  return copy
end

local function message_of(why) return (tostring(why):gsub("^.-results: ", "")) end

--- A row that was read from a file of `header`'s run, or nil and why it is none. Fields that this pah does not know are
--- left in it.
function M.read_row(row, header)
  local ok, value = pcall(complete, row, header)
  if ok then return value end
  return nil, message_of(value)
end

--- What is wrong with the fields that a header has, or nil.
function M.header_problem(header)
  for _, field in ipairs {"pah", "host", "gpu", "env", "options", "files", "limits", "shard"} do
    if not optional "table"(header[field]) then return field .. " is no table" end
  end
  for _, field in ipairs {"run", "name", "started", "part_of", "device", "script", "script_sha256"} do
    if not optional "string"(header[field]) then return field .. " is no string" end
  end
  if header.axes ~= nil and not list_of("table", header.axes) then return "axes is no list" end
  for _, axis in ipairs(header.axes or {}) do
    if type(axis.name) ~= "string" or type(axis.values) ~= "table" then return "an axis has no name or values" end
  end
end

--- A header that was read, or nil and why it is none.
function M.read_header(header)
  if type(header.run) ~= "string" then return nil, "a header without the id of its run" end
  header.axes = header.axes or {}
  local why = M.header_problem(header)
  return not why and header or nil, why
end

--- The time as "2026-11-25T20:40:05Z".
function M.now() return (os.date "!%Y-%m-%dT%H:%M:%SZ") end

--- Raises unless the file's schema is one that this pah knows.
function M.check_version(path, version)
  if type(version) ~= "number" then errors.raisef("results: %s is no results file of pah", path) end
  if version > M.version then
    errors.raisef("results: %s has schema %g, written by a newer pah; this one knows %d", path, version, M.version)
  end
end

return M
