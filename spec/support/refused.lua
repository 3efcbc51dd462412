-- refused.lua - refused(message, f, ...): that f(...) raises an error that holds this text; it returns the whole text.
-- refused.here also wants the error to be raised at a line of the spec: a script's mistake is told at the script.
local assert = require "luassert"

local function refused(message, f, ...)
  local ok, why = pcall(f, ...)
  assert.is_false(ok, ("is not refused, should be by: %s"):format(message))
  why = tostring(why)
  assert.is_truthy(why:find(message, 1, true), why)
  return why
end

return setmetatable({
  here = function(message, f, ...)
    local why = refused(message, f, ...)
    -- Where f is a function of pah itself, the first caller outside of lua/pah is this file.
    local place = why:match "^[^\n]-([%w_]+%.lua):%d+: "
    assert.is_truthy(place and (place:match "_spec%.lua$" or place == "refused.lua"), why)
    return why
  end,
}, {__call = function(_, ...) return refused(...) end})
