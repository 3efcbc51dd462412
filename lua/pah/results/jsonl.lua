-- jsonl.lua - results as JSON lines: a line with "schema" begins a run, a line with "index" is a row; each
-- names its run. Promises: a line is on the disk when add returns; several processes may write one file; a line that a
-- killed process left unfinished is reported, and mended by the next that writes. Read next: src/host/results_file.c.
local binding = require "pah.ffi"
local errors = require "pah.errors"
local ffi = require "ffi"
local schema = require "pah.results.schema"

local C, check = binding.C, binding.check

local M = {}

-- The whole file; its lines, and what stands behind the last newline.
local function read_lines(path)
  local file, why = io.open(path, "rb")
  local text
  if file then
    text, why = file:read "*a"
    file:close()
  end
  if not text then errors.raisef("results: %s", why:find(path, 1, true) and why or path .. ": " .. why) end
  local lines, from = {}, 1
  while true do
    local stop = text:find("\n", from, true)
    if not stop then break end
    lines[#lines + 1] = text:sub(from, stop - 1)
    from = stop + 1
  end
  return lines, text:sub(from)
end

-- A file that begins otherwise is not a results file and must not be written.
local function check_start(path, lines, tail)
  local first = lines[1] or tail
  local start = '{"schema":'
  if first:sub(1, #start) ~= start:sub(1, #first) then
    errors.raisef('results: %s is no results file of pah: it does not begin with {"schema":', path)
  end
end

-- Takes a decoded line into what was read so far; returns why it is left out, or nil.
local function take(path, value, into)
  if type(value) ~= "table" then return "it is no object" end
  if type(value.schema) == "number" then
    schema.check_version(path, value.schema)
    local header, why = schema.read_header(value)
    if not header then return why end
    if into.by_id[header.run] then return ("run %s has begun already"):format(header.run) end
    local run = {id = header.run, header = header, rows = {}}
    into.runs[#into.runs + 1], into.by_id[run.id], into.seen[run] = run, run, {}
    return
  end
  local run = into.by_id[value.run or 0]
  if not run then return "no header names its run, " .. tostring(value.run) end
  value.run = nil
  local row, why = schema.read_row(value, run.header)
  if not row then return why end
  local identity, seen = ("%d %d"):format(row.index, row.round), into.seen[run]
  if not seen[identity] then run.rows[#run.rows + 1] = row end
  seen[identity] = true
end

--- Runs by name and in order, and notes on what could not be read: see results.read.
function M.read(path)
  local lines, tail = read_lines(path)
  check_start(path, lines, tail)
  local into, notes = {runs = {}, by_id = {}, seen = {}}, {}
  local function note(...) notes[#notes + 1] = (...):format(select(2, ...)) end
  local function read(number, line)
    local value, why = schema.decode(line, "line " .. number)
    why = why or take(path, value, into)
    if why then note("line %d is left out: %s", number, why) end
  end
  for number, line in ipairs(lines) do
    if line ~= "" then read(number, line) end
  end
  if tail ~= "" then
    if schema.decode(tail) then
      read(#lines + 1, tail)
    else
      note("the last line is not finished and is left out (%d bytes): a process was killed while it wrote it, or is "
        .. "writing", #tail)
    end
  end
  return into.runs, notes
end

--- Always usable: nothing has to be installed.
function M.check() end

local Store = {}
Store.__index = Store

-- Appends a line; a torn one before it, which is cut off, is told on stderr.
local function append(path, line, create)
  local cut = ffi.new "int64_t[1]"
  check(C.pah_file_append(path, line, #line, create and 1 or 0, cut))
  if cut[0] > 0 then
    io.stderr:write(("pah: %s: %d bytes of an unfinished line, left by a killed process, were cut off\n"):format(path,
      tonumber(cut[0])))
  end
end

--- Begins a run: its header is in the file when this returns. Returns what init.lua makes a store of.
function M.begin(path, header)
  local file = io.open(path, "rb")
  if file then
    local first = file:read(4096)
    file:close()
    if first then check_start(path, {first:match "^[^\n]*"}, "") end
  end
  append(path, schema.encode(header, schema.header_order) .. "\n", true)
  return setmetatable({path = path, run = header.run}, Store)
end

--- Resumes a run that is in the file.
function M.continue(path, header)
  return setmetatable({path = path, run = header.run}, Store)
end

local function line_of(self, row)
  return schema.encode(row, schema.row_order):gsub("^{", function() return ('{"run":"%s",'):format(self.run) end, 1)
    .. "\n"
end

function Store:add(row) append(self.path, line_of(self, row), false) end

local CHUNK = 2 ^ 22 -- bytes, of which one string is made

--- Appends all rows, some thousands at a time.
function Store:add_all(rows)
  local lines, size = {}, 0
  for i, row in ipairs(rows) do
    lines[#lines + 1] = line_of(self, row)
    size = size + #lines[#lines]
    if size >= CHUNK or i == #rows then
      append(self.path, table.concat(lines), false)
      lines, size = {}, 0
    end
  end
end

function Store.close() end

return M
