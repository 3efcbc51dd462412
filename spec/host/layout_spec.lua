-- layout_spec.lua - the C compiler (src/host/layout.c) and LuaJIT agree on the size of every struct of the interface
-- and on the offset and size of every field; the headers are read here by other means than scripts/layout.awk, so that
-- a field missing from the table fails.
local ffi = require "ffi"
local binding = require "pah.ffi"
local headers = require "spec.support.interface"
local C = binding.C

-- struct -> list of its fields, by the text of the headers.
local structs = {}
for _, path in ipairs(headers) do
  local f = assert(io.open(path))
  local text = f:read("*a"):gsub("/%*.-%*/", "")
  f:close()
  for name, body in text:gmatch "struct ([%w_]+)%s*(%b{})" do
    local fields = {}
    for declaration in body:sub(2, -2):gmatch "[^;]+" do
      for declarator in declaration:gsub("%b[]", ""):gmatch "[^,]+" do
        fields[#fields + 1] = declarator:match "([%w_]+)%s*$"
      end
    end
    structs[name] = fields
  end
end

-- struct -> field ("" is the struct itself) -> {offset, size}, by the C compiler.
local compiled, i = {}, 0
while C.pah_layout_at(i) ~= nil do
  local row = C.pah_layout_at(i)
  local name = ffi.string(row.type)
  compiled[name] = compiled[name] or {}
  compiled[name][ffi.string(row.field)] = {tonumber(row.offset), tonumber(row.size)}
  i = i + 1
end

describe("the layout of", function()
  local count = 0
  for name, fields in pairs(structs) do
    count = count + 1
    it("struct " .. name .. " is the same in C and in LuaJIT", function()
      local struct = ffi.typeof("struct " .. name)
      assert.same(fields, binding.fields(name))
      local listed = assert(compiled[name], "src/host/layout.c does not list it")
      assert.equal(ffi.sizeof(struct), listed[""][2])
      local one = struct()
      for _, field in ipairs(fields) do
        assert.is_truthy(listed[field], "src/host/layout.c does not list " .. field)
        assert.equal(ffi.offsetof(struct, field), listed[field][1], field)
        local value = one[field]
        if type(value) == "cdata" and not tostring(ffi.typeof(value)):find("*", 1, true) and not tonumber(value) then
          assert.equal(ffi.sizeof(value), listed[field][2], field)
        end
        listed[field] = nil
      end
      listed[""] = nil
      assert.is_nil(next(listed))
    end)
  end

  it("every struct was compared", function()
    assert.is_true(count >= 20)
    for name in pairs(compiled) do assert.is_truthy(structs[name], name) end
  end)
end)
