-- shell.lua - what a command of the shell prints. Promises: one that cannot be run, or prints nothing, gives "". Words
-- in the command are quoted by safe_text.shell. Read next: safe_text.lua, plot/run_gnuplot.lua.
local M = {}

--- Everything that `command` writes to stdout.
function M.output(command)
  local pipe = io.popen(command)
  local text = pipe and pipe:read "*a" or ""
  if pipe then pipe:close() end
  return text
end

return M
