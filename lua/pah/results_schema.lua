-- results_schema.lua - what a results file holds, whatever its format: the header of a run and its rows, checked and
-- made plain data before they are written, and their text as JSON. Documented in doc/results.md.
-- Read next: results.lua, results_jsonl.lua, results_sqlite.lua.
local errors = require "pah.errors"
local ffi = require "ffi"
local json = require "pah.json"

local M = {}

--- The version of the schema; a file with a higher one was written by a newer pah and is refused.
M.version = 1

--- Order of the fields of a header and of a row in JSON lines.
M.header_order = {"schema", "run", "name", "started", "device", "script", "script_sha256", "argv", "options", "seed",
  "rounds", "axes", "files", "pah", "luajit", "compiler", "host", "gpu", "env", "limits"}
M.row_order = {"index", "round", "key", "axes", "status", "error", "measured_at", "seconds", "values", "result"}

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

-- JSON has no NaN and no infinities: json.lua writes them as strings, which here become numbers again.
local words = {NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge}

local function restored(value)
  if type(value) == "string" then return words[value] or value end
  if value == json.null then return nil end
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

local function must(ok, row, field, what)
  if not ok then errors.raisef("results: %s is %s, must be %s", field, tostring(row[field]), what) end
end

local function whole(value) return type(value) == "number" and value % 1 == 0 and value >= 1 end

--- A row as it is stored: checked, plain, with key and time filled in. `run` is the header of its run.
function M.row(row, header)
  if type(row) ~= "table" then errors.raisef("results: a row is a %s, must be a table", type(row)) end
  local known = {samples = true}
  for _, field in ipairs(M.row_order) do known[field] = true end
  errors.check_keys("results: row", row, known)
  local copy = {}
  for key, value in pairs(row) do copy[key] = M.plain(value, key) end
  copy.round, copy.status = copy.round or 1, copy.status or copy.error and "error" or "ok"
  copy.axes, copy.values = copy.axes or {}, copy.values or {}
  must(whole(copy.index), copy, "index", "a whole number from 1")
  must(whole(copy.round), copy, "round", "a whole number from 1")
  must(copy.status == "ok" or copy.status == "error", copy, "status", '"ok" or "error"')
  must(copy.result == nil or type(copy.result) == "table", copy, "result", "a table")
  for _, field in ipairs {"axes", "values"} do
    must(type(copy[field]) == "table", copy, field, "a table")
    for name, value in pairs(copy[field]) do
      if not scalar[type(value)] or type(name) ~= "string" then
        errors.raisef("results: %s.%s is a %s, must be a number, string or boolean", field, tostring(name),
          type(value))
      end
    end
  end
  copy.key = copy.key or M.key(header.axes, copy.axes)
  copy.measured_at = copy.measured_at or M.now()
  return copy
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
