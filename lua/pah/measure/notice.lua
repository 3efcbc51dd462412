-- notice.lua - a line on the terminal while something takes seconds (src/notice.c); none where a bar shows how far a
-- run is. Promises: nothing is written where stderr is no terminal.
local C = require("pah.ffi").C

local M = {}

local held = 0

--- While a bar is shown, begin says nothing; hold(false) ends that.
function M.hold(on) held = math.max(0, held + (on and 1 or -1)) end

--- Shows a text until finish. An error may leave it there: whatever is written next begins with finish.
function M.begin(text)
  if held == 0 then C.pah_notice(text) end
end

function M.finish()
  if held == 0 then C.pah_notice(nil) end
end

return M
