-- cli.lua - the command line. Stub, being written.
local host = require "pah.host"
pah = require "pah"
return function()
  local argv = host.argv
  local rest = {}
  local function traceback(e) return debug.traceback(tostring(e), 2) end
  local ok, err
  if argv[1] == "test" then
    arg = {[0] = "pah test"}
    for i = 2, #argv do arg[#arg + 1] = argv[i] end
    ok, err = xpcall(function() require "busted.runner"{standalone = false} end, traceback)
  else
    local first = argv[1] == "run" and 2 or 1
    arg = {[0] = argv[first]}
    for i = first + 1, #argv do arg[#arg + 1] = argv[i]; rest[#rest + 1] = argv[i] end
    local chunk
    if argv[1] == "-e" then chunk, err = loadstring(argv[2], "=(command line)") else chunk, err = loadfile(argv[first]) end
    if not chunk then io.stderr:write(err, "\n") os.exit(1, true) end
    ok, err = xpcall(chunk, traceback, unpack(rest))
  end
  if not ok then io.stderr:write(tostring(err), "\n") end
  os.exit(ok and 0 or 1, true)
end
