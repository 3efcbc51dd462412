-- supports.lua - what a kernel says of itself: `supports` of pah.judge, a table of options or a function of a case.
-- Promises: an option that is not named is taken to be supported, so that nothing is left out by being forgotten; a
-- misspelt one is an error. Read next: init.lua, cases.lua.
local errors = require "pah.errors"

jit.off(true, true) -- see init.lua

local M = {}

-- Option -> what it is where a case does not say: false (not in use), or a function of the case.
local options = {
  dtype = false, cache_dtype = function(case) return case.dtype end, H = false, Hkv = false, D = false,
  Dv = function(case) return case.D end, block_size = false, causal = false, window = false, softcap = false,
  softmax_scale = false, q_scale = false, layout = false, layout_q = false, shared_blocks = false, num_splits = false,
  flat = false, ragged = false, sinks = false, tree = false, mla = false, q_descale = false, k_descale = false,
  v_descale = false, o_scale = false, len_q = false, len_k = false, slots = false,
  B = false, tokens = false, empty = false, far = false, skipped = false,
  out_dtype = function(case) return case.op ~= "fwd_fp8" and false or case.dtype end,
  gqa = function(case) return case.Hkv ~= nil and case.H ~= case.Hkv end,
}
M.options = options

-- Options whose `true` is one way of several: the others must be listed.
local plain_true = {causal = true}

local function value_of(case, name)
  local value = case[name]
  if name == "gqa" or value == nil then
    local default = options[name]
    return type(default) == "function" and default(case) or default or false
  end
  return value
end

local function among(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

local function word(value)
  return type(value) == "table" and "{" .. table.concat(value, ",") .. "}" or tostring(value)
end

-- Whether `supported` (true, false, a value, a list of values, a function) takes the value of an option.
local function takes(supported, name, value, case)
  if name == "Dv" and supported == false then return value == case.D end -- no width of its own
  if supported == true then return value ~= "top-left" or not plain_true[name] end
  if type(supported) == "function" then return supported(value, case) and true or false end
  if type(supported) == "table" then return value == false or among(supported, value) end
  return value == false or value == supported
end

-- Options that every case has: a list of them says all that is taken.
local always = {dtype = true, cache_dtype = true, D = true, H = true, Hkv = true, block_size = true}

local function check(supports)
  for name, value in pairs(supports) do
    if options[name] == nil then
      errors.raisef("judge: supports: unknown option %s%s", tostring(name), errors.hint(tostring(name), options))
    end
    if always[name] and type(value) == "boolean" then
      errors.raisef("judge: supports: %s is %s, must be a value, a list of values or a function", name,
        tostring(value))
    end
  end
end

--- A function(case) -> true, or false and why, of what a script gives: nil, a table or a function.
function M.of(supports)
  if supports == nil then return function() return true end end
  if type(supports) == "function" then
    return function(case)
      local ok, why = supports(case)
      if ok then return true end
      return false, why and tostring(why) or "supports says no"
    end
  end
  if type(supports) ~= "table" then
    errors.raisef("judge: supports is a %s, must be a table or a function", type(supports))
  end
  check(supports)
  local names = {}
  for name in pairs(supports) do names[#names + 1] = name end
  table.sort(names, function(a, b) -- dtypes first: they say most
    local x, y = a:match "dtype$" and 0 or 1, b:match "dtype$" and 0 or 1
    return x < y or x == y and a < b
  end)
  return function(case)
    for _, name in ipairs(names) do
      local value = value_of(case, name)
      if not takes(supports[name], name, value, case) then return false, ("%s = %s"):format(name, word(value)) end
    end
    return true
  end
end

return M
