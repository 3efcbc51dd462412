-- uncompiled.lua - Lua code of the user stays with LuaJIT's interpreter while somebody sits at the prompt: compiled
-- loops that call nothing do not see Ctrl-C. pah's own library is compiled as ever; `jit.on(f)` compiles a function.
-- Read next: repl.lua, src/host/interrupt.c.
local host = require "pah.host"

local M = {}

local installed = false
local library = host.datadir .. "/lua/"

-- A chunk, not to be compiled, nor the functions in it; what else a loader gives is returned as it is.
local function plain(chunk, ...)
  if type(chunk) == "function" then jit.off(chunk, true) end
  return chunk, ...
end

local function loader_of(load)
  return function(name)
    local chunk, more = load(name)
    local path = package.searchpath(name, package.path)
    if path and path:sub(1, #library) == library then return chunk, more end
    return plain(chunk, more)
  end
end

--- From now on chunks that are loaded, by require too, are not compiled.
function M.install()
  if installed then return end
  installed = true
  for _, name in ipairs {"load", "loadstring", "loadfile"} do
    local load = _G[name]
    _G[name] = function(...) return plain(load(...)) end
  end
  dofile = function(path) -- luacheck: ignore 121
    local chunk, why = loadfile(path)
    if not chunk then error(why, 2) end
    return chunk()
  end
  package.loaders[2] = loader_of(package.loaders[2])
end

return M
