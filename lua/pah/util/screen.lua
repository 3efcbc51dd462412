-- screen.lua - how wide what is printed for people may be: as the terminal, as $COLUMNS says, or 80 columns, so that a
-- table that goes to a file has the width that mail, logs and pull requests show. Read next: columns.lua.
local host = require "pah.host"
local output_of = require("pah.util.shell").output

local M = {}

-- A number of columns, or nil where the text is none or the terminal does not know (0).
local function columns_of(text)
  local n = tonumber(text or "")
  return n and n >= 1 and n < 1e6 and math.floor(n) or nil
end

--- Columns of what is written to stdout, or with 2 to stderr; 40 at least.
function M.width(stream)
  local terminal = host.isatty(stream or 1) and output_of("stty size </dev/tty 2>/dev/null"):match "%d+ (%d+)"
  return math.max(40, columns_of(terminal) or columns_of(os.getenv "COLUMNS") or 80)
end

return M
