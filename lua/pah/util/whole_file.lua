-- whole_file.lua - whether a file can be read, and its contents; writes one in one step: beside it first, then renamed,
-- so that no reader sees half of one.
-- Promises: a failure leaves what was there and is an error that names the file and says why; devices are written to,
-- never replaced; of a link, the file that it leads to is written.
local ffi = require "ffi"
local errors = require "pah.errors"
local safe = require "pah.util.safe_text"
local shell = require "pah.util.shell"

local M = {}

local CHUNK = 2 ^ 24 -- bytes of memory written at a time: a Lua string cannot hold a large tensor

-- Writes all pieces of content; returns true, or nil and why not. Errors of content pass through.
local function write(path, content)
  local file, why = io.open(path, "wb")
  if not file then return nil, why end
  local failed = {} -- what put raises
  local function put_text(text)
    local ok, failure = file:write(text)
    if ok then return end
    failed.why = failure
    error(failed, 0)
  end
  local function put(piece, bytes)
    if not bytes then return put_text(piece) end
    local data = ffi.cast("const char *", piece)
    for at = 0, bytes - 1, CHUNK do put_text(ffi.string(data + at, math.min(CHUNK, bytes - at))) end
  end
  local ok, raised = pcall(type(content) == "string" and put or content, type(content) == "string" and content or put)
  local closed, late = file:close()
  if ok and closed then return true end
  if not ok and raised ~= failed then return nil, nil, raised end
  return nil, failed.why or late
end

--- Whether there is something at path that can be opened for reading.
function M.readable(path)
  local file = path and io.open(path)
  if file then file:close() end
  return file ~= nil
end

--- The contents of the file at path, or its first `bytes`; nil and why if it cannot be read (a folder cannot).
function M.read(path, bytes)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text, failure = file:read(bytes or "*a")
  file:close()
  return text, failure
end

-- The path to write beside, of a link the file that it leads to; nil for what must not be replaced: folders, devices.
local function replaceable(path)
  local told = shell.output(([[p=%s; case "$p" in /dev/*|/proc/*) printf no; exit;; esac
    if [ -L "$p" ]; then r=$(readlink -f -- "$p"; printf x); r=${r%%?x}; [ -f "$r" ] && printf '=%%s' "$r" || printf no
    elif [ -e "$p" ] && [ ! -f "$p" ]; then printf no; fi]]):format(safe.shell(path)))
  if told == "no" then return nil end
  return told ~= "" and told:sub(2) or path
end

-- As write, but the file is there only when it is whole.
local function replace(path, content)
  -- The address of a new table differs between processes, so that two of them do not share a name.
  local temporary = ("%s.%s.tmp"):format(path, tostring({}):match "0x(%x+)" or "0")
  local ok, why, raised = write(temporary, content)
  if ok then ok, why = os.rename(temporary, path) end
  if not ok then os.remove(temporary) end
  return ok, why and why:gsub(temporary:gsub("%p", "%%%0"), (path:gsub("%%", "%%%%"))), raised
end

--- Writes content to path; `what` is the call, for the error. content is a string, or a function(put) that calls
--- put(string) and put(address, bytes) for one piece after the other; an error in it leaves what was there, too.
function M.write(path, content, what)
  local target = replaceable(path)
  local ok, why, raised = (target and replace or write)(target or path, content)
  if ok then return end
  if raised ~= nil then error(raised, 0) end
  why = why or "no reason is given"
  errors.raisef("%s: cannot write %s", what, safe.line(why:find(path, 1, true) and why or path .. ": " .. why))
end

return M
