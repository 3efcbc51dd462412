-- columns_spec.lua - tables of text: names that come from files and scripts cannot move the terminal's cursor or break
-- a row.
local columns = require "pah.util.columns"
local results_table = require "pah.results.table"

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

  it("keeps to a width: words go on below, and columns that have no room", function()
    local words = ("a word "):rep(12)
    assert.equal("x  a word a word a word a word\n   a word a word a word a word\n   a word a word a word a word\n",
      columns.plain({{"x", words}}, nil, 31))
    local wide = {{"op", "kernel", "limits", "what it is"}, {"fwd", "naive", ("l"):rep(40), words:sub(1, 20)},
      {"bwd", "simt", "", "short"}}
    assert.equal("op   kernel\n    limits; what it is\nfwd  naive\n    " .. ("l"):rep(40) .. ";\n    a word a word a "
      .. "word\nbwd  simt\n    short\n", columns.plain(wide, nil, 44))
    for line in columns.plain(wide):gmatch "[^\n]+" do assert.is_nil(line:find "^ ") end
  end)

  it("that is too wide has headings of two lines, or figures below what names them", function()
    local calls = {{"call", "thread blocks", "bytes / fewest"}, {"decode", "8", "3.01"}, {"fwd q64", "12", "1.00"}}
    local right = {false, true, true}
    assert.equal("         thread  bytes /\ncall     blocks   fewest\ndecode        8     3.01\n"
      .. "fwd q64      12     1.00\n", columns.plain(calls, right, 30, 1))
    assert.equal("call\n    thread  bytes /\n    blocks   fewest\ndecode\n         8     3.01\nfwd q64\n        12     "
      .. "1.00\n", columns.plain(calls, right, 23, 1))
    assert.same({false, false, true}, {columns.fits(calls, 23, true), columns.fits(calls, 30),
      columns.fits(calls, 30, true)})
    local longest = columns.plain({{"x"}, {("a word "):rep(9)}}, {true}, 20, 1)
    assert.equal("x\na word a word a word\na word a word a word\na word a word a word\n", longest)
  end)

  it("is never wider than asked, and loses no cell", function()
    local random = 1
    local function draw(n)
      random = random * 16807 % (2 ^ 31 - 1)
      return random % n
    end
    for _ = 1, 300 do
      local made, right, words, width = {}, {}, {}, 40 + draw(80)
      for n = 1, 2 + draw(4) do
        made[n] = {}
        for i = 1, n == 1 and 1 + draw(12) or #made[1] - draw(2) do
          local parts = {}
          for k = 1, 1 + draw(4) do
            parts[k] = ("%s%d"):format(("é"):rep(draw(20)), #words)
            words[#words + 1] = parts[k]
          end
          made[n][i], right[i] = table.concat(parts, " "), draw(2) == 1
        end
      end
      local names = draw(3)
      local text = columns.plain(made, right, width, names > 0 and names or nil)
      for line in text:gmatch "[^\n]+" do
        assert.is_true(#line:gsub("[\128-\191]", "") <= width, ("%d: %s\n%s"):format(width, line, text))
      end
      for _, word in ipairs(words) do assert.truthy(text:find(word, 1, true), word .. "\n" .. text) end
    end
  end)

  it("of results says once what is the same in all rows, where it would be too wide", function()
    local axes, made = {{name = "size", values = {1, 2}}}, {}
    for i = 1, 8 do axes[i + 1] = {name = "an_axis_" .. i, values = {0}} end
    for n = 1, 2 do
      made[n] = {index = n, round = 1, axes = {size = n}, status = "ok", values = {seen = n}}
      for i = 1, 8 do made[n].axes["an_axis_" .. i] = i end
    end
    local text = results_table.text(made, axes)
    assert.truthy(text:find("an_axis_1 1, an_axis_2 2, .* in all rows\nsize  seen\n +1 +1\n +2 +2\n$"), text)
    assert.equal("size  seen\n   1     1\n   2     2\n", results_table.text(made, {axes[1]}))
  end)

  it("is Markdown in which a bar is text", function()
    local text = columns.markdown{{"a"}, {"x | y\nz"}}
    assert.truthy(text:find("x \\| y z", 1, true), text)
  end)
end)
