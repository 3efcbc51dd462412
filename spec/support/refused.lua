-- refused.lua - refused(message, f, ...): that f(...) raises an error that holds this text.
local assert = require "luassert"

return function(message, f, ...)
  local ok, why = pcall(f, ...)
  assert.is_false(ok, ("is not refused, should be by: %s"):format(message))
  assert.is_truthy(tostring(why):find(message, 1, true), tostring(why))
end
