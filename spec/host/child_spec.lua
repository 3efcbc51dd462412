-- child_spec.lua - children of the program (src/host/child.c): how the end of one is told.
local ffi = require "ffi"
local host = require "pah.host"

ffi.cdef "void (*signal(int number, void (*handler)(int)))(int);"
local SIGCHLD, IGNORE = 17, 1

describe("a child", function()
  it("ends with its code, or with a signal", function()
    assert.equal(3, host.spawn({"sh", "-c", "exit 3"}):finish())
    assert.same({nil, "signal 9"}, {host.spawn({"sh", "-c", "kill -9 $$"}):finish()})
    assert.same({nil, "signal 9"}, {host.spawn({"sleep", "60"}):finish(0.05)})
  end)

  it("that another has waited for has no known end", function()
    -- While the signal is ignored the system itself collects children.
    local before = ffi.C.signal(SIGCHLD, ffi.cast("void (*)(int)", IGNORE))
    local answers = {}
    for i = 1, 3 do answers[i] = {host.spawn({"sh", "-c", "exit 3"}):finish()} end
    ffi.C.signal(SIGCHLD, before)
    for i = 1, 3 do assert.same({nil, "No child processes"}, answers[i]) end
  end)
end)
