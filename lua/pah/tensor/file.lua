-- file.lua - one tensor and a file: t:save(path) and pah.load(path). The ending says the format: .npy, which a name
-- without an ending is too, or .safetensors with a single tensor. Read next: npy.lua, safetensors.lua.
local errors = require "pah.errors"
local npy = require "pah.tensor.npy"
local safetensors = require "pah.tensor.safetensors"
local tensor = require "pah.tensor"

local M = {}

-- "npy" or "safetensors".
local function format_of(what, path)
  if type(path) ~= "string" then errors.raisef("%s: path is a %s, must be a string", what, type(path)) end
  local ending = path:match "[^/]%.(%w+)$"
  if ending and ending ~= "npy" and ending ~= "safetensors" then
    errors.raisef("%s: path is %s, must end in .npy or .safetensors", what, path)
  end
  return ending or "npy"
end

--- Writes t to path, as a .npy file or as the one tensor, named "tensor", of a .safetensors file.
local function save(t, path)
  tensor.want("save: tensor", t)
  if format_of("save", path) == "npy" then return npy.save(t, path) end
  safetensors.save(path, {tensor = t})
end

--- The tensor in a .npy file, or in a .safetensors file that holds one; opts: device.
local function load(path, opts)
  errors.check_keys("load", opts, {device = true})
  if format_of("load", path) == "npy" then return npy.load(path, opts) end
  local tensors = safetensors.load(path, opts)
  local name, t = next(tensors)
  if not t or next(tensors, name) then
    errors.raisef("load: %s must hold one tensor, %s; use pah.safetensors.load", path,
      t and "holds several" or "holds none that pah can read")
  end
  return t
end

tensor.add_method("save", save)
M.exports = {load = load}

return M
