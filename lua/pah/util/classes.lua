-- classes.lua - the kinds of objects that pah makes, by name: help and completion know an object by its metatable.
-- Promises: a class is named where it is defined, once. Tensors are no tables: pah.tensor knows them.
local M = {}

local by_metatable, by_name = {}, {}

--- Names a class by the metatable of its objects, whose __index has the methods. Returns the metatable.
function M.name(name, metatable)
  assert(not by_name[name], name)
  by_metatable[metatable], by_name[name] = name, metatable
  return metatable
end

--- The name of the class of an object, or nil.
function M.of(object)
  local metatable = (type(object) == "table" or type(object) == "userdata") and debug.getmetatable(object)
  return metatable and by_metatable[metatable] or nil
end

--- The methods of a class, by name; nil for one that does not exist.
function M.methods(name) return by_name[name] and by_name[name].__index end

return M
