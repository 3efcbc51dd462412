-- sim.lua - whether the device sim is usable here: it needs a C++ compiler. Specs that need it are pending without one.
local M = {}

for _, d in ipairs(pah.devices()) do
  if d.name == "sim" and not d.usable then M.why = d.why end -- nil where it is usable
end

--- busted's describe for specs that need sim. The words of busted are known in spec files only, hence the arguments.
function M.needed(describe, pending)
  if not M.why then return describe end
  return function(name)
    describe(name, function() pending(M.why) end)
  end
end

return M
