-- assertions.lua - assert.allclose(actual, expected, {rtol=, atol=}) for busted: compared as pah.allclose does, shapes
-- and all, with a message that says how far they are apart and where. `pah test` has it without being asked; elsewhere
-- this module is required, or given to busted as its --helper.
local closeness = require("pah.tensor.closeness").exports
local tensor = require "pah.tensor"

local assert = require "luassert"
local say = require "say"

-- The element of t at a list of indices.
local function at(t, indices)
  local x = #indices == 0 and t:item() or t:get(unpack(indices))
  return type(x) == "number" and ("%.9g"):format(x) or tostring(x)
end

local function close(_, arguments)
  local a, b, opts = arguments[1], arguments[2], arguments[3]
  for name, value in pairs {actual = a or false, expected = b or false} do
    if not tensor.is_tensor(value) then
      error(("allclose: %s is a %s, must be a tensor"):format(name, type(value)), 0)
    end
  end
  local called, ok, report = pcall(closeness.allclose, a, b, opts)
  local place, text = called and report.first_mismatch, tostring(called and report or ok):gsub("^[^\n]-:%d+: ", "")
  if place then text = ("%s\nThere it is %s, expected %s."):format(text, at(a, place), at(b, place)) end
  arguments[1], arguments[2], arguments[3] = text, nil, nil
  arguments.n, arguments.nofmt = 1, {true}
  return called and ok
end

say:set("assertion.allclose.positive", "Expected the tensors to be close.\n%s")
say:set("assertion.allclose.negative", "Expected the tensors not to be close.\n%s")
assert:register("assertion", "allclose", close, "assertion.allclose.positive", "assertion.allclose.negative")

return assert
