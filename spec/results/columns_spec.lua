-- columns_spec.lua - tables of text: names that come from files and scripts cannot move the terminal's cursor or break
-- a row.
local columns = require "pah.util.columns"

describe("a table", function()
  local rows = {{"name", "time"}, {"two\nlines\27[2J", "1"}, {"é", "10"}}

  it("has one line for each row and nothing that a terminal obeys", function()
    local text = columns.plain(rows, {nil, true})
    assert.is_nil(text:find("\27", 1, true))
    local lines = {}
    for line in text:gmatch "(.-)\n" do lines[#lines + 1] = line end
    assert.equal(3, #lines)
    assert.equal("10", lines[3]:match "%S+$")
    assert.equal(#lines[1], #lines[3] - 1) -- é has two bytes
  end)

  it("is Markdown in which a bar is text", function()
    local text = columns.markdown{{"a"}, {"x | y\nz"}}
    assert.truthy(text:find("x \\| y z", 1, true), text)
  end)
end)
