-- isa_spec.lua - every fifth case of cases_spec.lua again for each instruction set that this processor has, in a
-- child process, because the set is chosen once when the device is opened (PAH_ISA).
local ffi = require "ffi"

local function output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- The parent of the shell is this program.
local program = output("readlink /proc/$PPID/exe"):gsub("%s+$", "")

local names = {}
while ffi.C.pah_isa_name(#names) ~= nil do names[#names + 1] = ffi.string(ffi.C.pah_isa_name(#names)) end

describe("the cpu kernels compiled for", function()
  for _, name in ipairs(names) do
    if ffi.C.pah_isa_usable(name) == 0 then
      pending(name .. " do not run on this processor")
    else
      it(name .. " pass the cases", function()
        local command = "PAH_ISA=%s '%s' test --filter='cpu %%d%%d[05] ' spec/cases_spec.lua"
        local text = output(command:format(name, program))
        local passed, failed, errors = text:match "(%d+) successes / (%d+) failures? / (%d+) errors?"
        assert.is_truthy(passed, text)
        assert.is_true(tonumber(passed) >= 60 and failed == "0" and errors == "0", text)
      end)
    end
  end
end)
