-- scripts.lua - the scripts that a command line can name: files, and the examples that ship. Read next: init.lua,
-- submit.lua.
local errors = require "pah.errors"
local host = require "pah.host"
local options = require "pah.options"
local readable = require("pah.util.whole_file").readable

local M = {}

--- The examples that ship, {name=, path=, about=} each, by name.
function M.examples()
  local list = {}
  local folder = host.datadir .. "/lua/examples"
  for _, file in ipairs(host.list(folder) or {}) do
    local name = file:match "^(.+)%.lua$"
    if name then
      local path = folder .. "/" .. file
      list[#list + 1] = {name = name, path = path, about = options.about(path) or ""}
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- The path that NAME of `pah run NAME` means: a file, else an installed example; nil and the nearest example's name.
function M.find(name)
  if name == "-" or readable(name) then return name end
  local known = {}
  for _, example in ipairs(M.examples()) do
    if example.name == name then return example.path end
    known[example.name] = true
  end
  return nil, not name:find "/" and errors.nearest(name, known) or nil
end

return M
