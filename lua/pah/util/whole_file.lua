-- whole_file.lua - whether a file can be read, and its contents; writes one in one step: beside it first, then renamed,
-- so that no reader sees half of one.
-- Promises: a failure leaves what was there and is an error that names the file; devices and links are written to,
-- never replaced.
local errors = require "pah.errors"
local safe = require "pah.util.safe_text"

local M = {}

local function write(path, content)
  local file, why = io.open(path, "wb")
  if not file then return nil, why end
  local ok, failure = file:write(content)
  local closed, late = file:close()
  if not ok or not closed then return nil, failure or late end
  return true
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

-- What a path is that must not be replaced by a rename: a folder, a device, a link.
local function special(path)
  return os.execute(("p=%s; [ -L \"$p\" ] || { [ -e \"$p\" ] && [ ! -f \"$p\" ]; }"):format(safe.shell(path))) == 0
end

--- Writes content to path; `what` is the call, for the error.
function M.write(path, content, what)
  local ok, why
  if special(path) then
    ok, why = write(path, content)
  else
    -- The address of a new table differs between processes, so that two of them do not share a name.
    local temporary = ("%s.%s.tmp"):format(path, tostring({}):match "0x(%x+)" or "0")
    ok, why = write(temporary, content)
    if ok then ok, why = os.rename(temporary, path) end
    if not ok then os.remove(temporary) end
    if why then why = why:gsub(temporary:gsub("%p", "%%%0"), (path:gsub("%%", "%%%%"))) end
  end
  if not ok then errors.raisef("%s: cannot write %s", what, safe.line(why or path)) end
end

return M
