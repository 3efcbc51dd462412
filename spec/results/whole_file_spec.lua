-- whole_file_spec.lua - contents of files and what commands print, and where there are none.
local files = require "pah.util.whole_file"
local shell = require "pah.util.shell"

local path = os.tmpname()
teardown(function() os.remove(path) end)

describe("whole_file", function()
  it("reads a file, or the beginning of one", function()
    local text = "a\r\n\0b\n"
    files.write(path, text, "spec")
    assert.equal(text, files.read(path))
    assert.equal("a\r", files.read(path, 2))
    files.write(path, "", "spec")
    assert.equal("", files.read(path))
    assert.is_truthy(files.read "/proc/self/status":find "^Name:")
  end)

  it("says why there is nothing to read", function()
    local text, why = files.read(path .. ".none")
    assert.is_nil(text)
    assert.is_truthy(why:find(path .. ".none", 1, true))
    text, why = files.read "/"
    assert.is_nil(text)
    assert.is_truthy(why)
  end)
end)

describe("shell", function()
  it("gives what a command prints, and nothing of one that does not", function()
    assert.equal("a b\n", shell.output "echo 'a b'; echo c >/dev/null")
    assert.equal("", shell.output "true")
    assert.equal("", shell.output "exit 3")
  end)
end)
