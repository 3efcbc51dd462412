-- plot_spec.lua - pah.plot: what is chosen without options, what is said of what is left out, the pictures in the
-- terminal (golden), files by gnuplot, names that could break out. Rows: spec/support/results.lua.
local child = require "spec.support.child"
local choice = require "pah.plot.choice"
local data = require "pah.plot.data"
local gnuplot = require "pah.plot.run_gnuplot"
local host = require "pah.host"
local pictures = require "pah.plot.layout"
local plot = require "pah.plot"
local results = require "spec.support.results"
local safe = require "pah.util.safe_text"
local terminal = require "pah.plot.terminal"
local units = require "pah.util.units"

local folder, read = child.folder(), child.contents
teardown(function() os.execute("rm -r " .. safe.shell(folder)) end)

local function drawn(options, width)
  return terminal.draw(plot.picture(options), {width = width or 80, colour = false})
end

local sizes = {name = "block_size", values = {8, 16, 32, 64, 128}}
local lengths = {name = "seqlen", values = {1024, 2048, 4096, 8192, 16384, 32768}}
local dtypes = {name = "dtype", values = {"f32", "bf16", "f16"}}

describe("units", function()
  it("fit, and have four digits", function()
    assert.same({"1.235 ms", "12.30 us", "999.9 ns", "1.000 s"}, {units.text("s", 1.2346e-3), units.text("s", 1.23e-5),
      units.text("s", 9.999e-7), units.text("s", 1)})
    assert.same({"27.71 GB/s", "1.500 TFLOP/s", "12.3 %", "2 MiB", "7.813 KiB"}, {units.text("B/s", 27.71e9),
      units.text("FLOP/s", 1.5e12), units.text("%", 0.1234, 3), units.text("B", 2 ^ 21), units.text("B", 8000)})
    assert.same({"1024", "8k", "32k", "1M", "10000", "true", "0.5"}, {units.axis_value(1024), units.axis_value(8192),
      units.axis_value(32768), units.axis_value(2 ^ 20), units.axis_value(10000), units.axis_value(true),
      units.axis_value(0.5)})
  end)

  it("have ticks at round numbers, never more than asked", function()
    local function texts(ticks)
      local list = {}
      for i, tick in ipairs(ticks) do list[i] = tick.text end
      return list
    end
    assert.same({"0", "10", "20", "30"}, texts(units.linear_ticks(0, 33, 5)))
    assert.same({"1", "10", "100"}, texts(units.log_ticks(0.9, 120, 5)))
    assert.same({"1/2", "1", "2", "4"}, texts(units.binary_ticks(0.4, 4.5, 9)))
    for most = 2, 12 do
      for _, range in ipairs {{1, 1.01}, {0.003, 7}, {5, 5000000}, {20, 60}} do
        assert.is_true(#units.linear_ticks(range[1], range[2], most) <= most)
        assert.is_true(#units.log_ticks(range[1], range[2], most) <= most)
        assert.is_true(#units.binary_ticks(range[1], range[2], most) <= most)
      end
    end
  end)
end)

describe("names", function()
  it("come out as valid UTF-8 on one line", function()
    local line = safe.line(results.nasty)
    assert.is_nil(line:find "[%z\1-\31\127]")
    assert.truthy(line:find("é", 1, true))
    assert.equal("a? ?b", safe.line "a\255\9?b")
    assert.equal("??", safe.line "\192\128") -- an overlong form
    assert.equal("???", safe.line "\237\160\128") -- half of a surrogate pair
    assert.equal("a b", safe.line "a\226\128\174b") -- turns the line around
    assert.equal("é…", safe.cut("éèà", 2))
    assert.equal("a&lt;b&gt;&quot;&#39;&amp;", safe.html "a<b>\"'&")
    assert.equal([["it\047s \044x \140y\140 \134\060\056\065é"]], safe.gnuplot "it's $x `y` \\0.5é")
  end)
end)

describe("the plan of a picture", function()
  local run = results.run()

  it("is a curve over the numeric axis, a line for each dtype", function()
    local plan = choice.choose({run}, {})
    assert.same({"curve", "block_size", {"dtype"}}, {plan.kind, plan.x.name, plan.by})
    assert.equal("bytes_per_second", plan.metric.name) -- the dtypes have different work
    assert.equal(10, #plan.points)
  end)

  it("is time where all points have the same work", function()
    local same = results.run{axes = {sizes}}
    assert.equal("median", choice.choose({same}, {}).metric.name)
  end)

  it("is bars where no axis is a number, samples of a single row, counters of a counted one", function()
    assert.equal("bars", choice.choose({results.run{axes = {dtypes}}}, {}).kind)
    assert.equal("samples", choice.choose({results.run{axes = {}}}, {}).kind)
    local plan = choice.choose({results.counted()}, {})
    assert.same({"curve", "global_sectors"}, {plan.kind, plan.metric.name})
    assert.has_error(function() choice.choose({results.counted()}, {metric = "median"}) end)
  end)

  it("holds fixed what it cannot draw, and says so", function()
    local grid = results.run{axes = {sizes, lengths, dtypes}}
    local plan = choice.choose({grid}, {})
    assert.same({"seqlen", {"dtype"}, 18}, {plan.x.name, plan.by, #plan.points})
    assert.same({"block_size 8 (of 8, 16, 32, 64, 128)"}, plan.fixed)
    for _, point in ipairs(plan.points) do assert.equal(8, point.axes.block_size) end
    plan = choice.choose({grid}, {where = {block_size = "32", dtype = "f16"}})
    assert.same({6, {}}, {#plan.points, plan.fixed})
    plan = choice.choose({grid}, {x = "block_size", by = {"seqlen"}})
    assert.same({"block_size", {"seqlen"}, 30}, {plan.x.name, plan.by, #plan.points})
    plan = choice.choose({grid}, {kind = "heat"})
    assert.same({"seqlen", "block_size", 30}, {plan.x.name, plan.y.name, #plan.points})
  end)

  it("tells runs apart", function()
    local plan = choice.choose({run, results.run{run = "20261126T000000-ffffffff", name = "another"}}, {})
    assert.same({"run", "dtype"}, plan.by)
    assert.same({"decode by block size aaaa", "decode by block size bbbb"},
      data.run_names{results.run{run = "x-aaaa"}, results.run{run = "x-bbbb"}})
  end)

  it("puts rounds together: the median, and the widest interval", function()
    local times = {3, 1, 2}
    local rounds = results.run({axes = {{name = "n", values = {1}}}}, function(_, _, round)
      return {result = {median = times[round], low = times[round] - 0.5, high = times[round] + 0.25}}
    end, 3)
    local points = data.points({rounds}, "median")
    assert.same({1, 2, 0.5, 3.25, 3}, {#points, points[1].v, points[1].low, points[1].high, #points[1].rows})
  end)

  it("gives rates the interval of their time", function()
    local row = {status = "ok", result = {median = 2, low = 1, high = 4, bytes_per_second = 8, fraction = 0.5}}
    assert.same({8, 4, 16}, {data.value(row, "bytes_per_second")})
    assert.same({0.5, 0.25, 1}, {data.value(row, "fraction")})
    row.status = "error"
    assert.is_nil((data.value(row, "median")))
  end)

  it("takes bare results, rows and runs", function()
    local a, b = results.result("a", 1e6, 1e6, 0.5, 1), results.result("b", 2e6, 1e6, 0.5, 2)
    for _, source in ipairs {{a, b}, run.rows, run, {run}, {runs = {run}}, {rows = run.rows}} do
      assert.truthy(drawn{source}:find("\n", 1, true))
    end
    assert.truthy(drawn{{a, b}}:find("\na ███", 1, true))
    assert.truthy(drawn{a}:find "^Samples in the order")
  end)
end)

describe("a picture of too much", function()
  local values = {}
  for i = 1, 1500 do values[i] = i end
  local many = results.run({axes = {{name = "n", values = values}, {name = "m", values = {1, 2}}}}, function(axes)
    return {result = {median = 1e-3 * axes.n, low = 1e-3 * axes.n, high = 1e-3 * axes.n}}
  end)

  it("shows a part and says so", function()
    for _, case in ipairs {{{}, "every 3rd point is drawn"}, {{kind = "bars"}, "the first 40 of 3000 points"},
      {{x = "m", by = "n"}, "the first 16 of 1500 lines"}, {{kind = "heat"}, "the first 48 of 1500 values of n"}} do
      case[1][1] = many
      assert.truthy(drawn(case[1]):find(case[2], 1, true), case[2])
    end
  end)
end)

describe("the picture in the terminal", function()
  it("is what spec/golden/plot.txt holds", function()
    local grid = results.run{axes = {sizes, lengths, dtypes}}
    local failing = results.run({name = "with failures"}, function(axes, index)
      if index % 4 == 0 then return {error = "no memory"} end
      return {result = results.result("decode", 2 ^ 24, 2 ^ 25 * axes.block_size, 0.3 + 0.05 * index, index)}
    end)
    local texts = {
      drawn{results.run()}, drawn{results.run(), kind = "roofline"}, drawn{results.run{axes = {dtypes}}},
      drawn{results.run{axes = {}}}, drawn{grid, kind = "heat", metric = "fraction"}, drawn{results.counted()},
      drawn{grid, x = "block_size", metric = "time", where = {seqlen = 4096}, title = "A title"},
      drawn({failing}, 60), drawn({failing, kind = "bars", metric = "fraction"}, 60),
      drawn({results.run{name = results.nasty, axes = {{name = results.nasty, values = {1, 2, 4}}}}}, 60),
    }
    local text = table.concat(texts, "\n")
    if os.getenv "PAH_GOLDEN" == "write" then
      local file = assert(io.open("spec/golden/plot.txt", "w"))
      file:write(text)
      file:close()
    end
    assert.equal(read "spec/golden/plot.txt", text)
  end)

  it("is never wider than it may be, and clean", function()
    local nasty = results.run({name = results.nasty, axes = {{name = results.nasty, values = {1, results.nasty}},
      {name = "b", values = {results.nasty, "x"}}}})
    local grid = results.run{axes = {sizes, lengths, dtypes}}
    for _, width in ipairs {40, 61, 80, 133} do
      for _, kind in ipairs(choice.kinds) do
        for _, run in ipairs {nasty, grid} do
          local text = drawn({run, kind = kind}, width)
          for line in text:gmatch "[^\n]*" do
            assert.is_true(safe.width(line) <= width, ("%s %d: %s"):format(kind, width, line))
          end
          assert.is_nil(text:find "[%z\1-\9\11-\31\127]")
        end
      end
    end
  end)

  it("has colours where they are asked for", function()
    local picture = plot.picture{results.run()}
    assert.truthy(terminal.draw(picture, {width = 80, colour = true}):find("\27[34m", 1, true))
    assert.is_nil(terminal.draw(picture, {width = 80, colour = false}):find("\27", 1, true))
  end)
end)

describe("the order of points", function()
  it("is that of the grid, whatever was measured first", function()
    local run, turned = results.run(), results.run()
    local rows = turned.rows
    for i = 1, math.floor(#rows / 2) do rows[i], rows[#rows + 1 - i] = rows[#rows + 1 - i], rows[i] end
    for _, kind in ipairs {"bars", "curve", "roofline", "heat"} do
      assert.equal(drawn{run, kind = kind}, drawn{turned, kind = kind})
    end
  end)
end)

describe("wrong use of pah.plot", function()
  local run = results.run()
  for what, case in pairs {
    ["a kind"] = {{run, kind = "curves"},
      'kind is "curves", must be curve, heat, roofline, bars, samples; did you mean "curve"'},
    ["a metric"] = {{run, metric = "mediann"},
      'metric is "mediann", must be a number of the results; did you mean "median"'},
    ["an axis"] = {{run, x = "blocksize"},
      'x is "blocksize", must be an axis of the results; did you mean "block_size"'},
    ["a second axis"] = {{run, kind = "heat", x = "dtype", y = "dtyp"}, 'y is "dtyp", must be an axis'},
    ["an option"] = {{run, knid = "heat"}, 'unknown option "knid", did you mean "kind"'},
    ["an ending"] = {{run, out = "x.gif"}, 'out is "x.gif", must end in .svg, .png or .pdf'},
    ["a width"] = {{run, width = 3}, "width is 3, must be a number from 40 to 240"},
    ["a width of a terminal"] = {{run, width = 760}, "width is 760, must be a number from 40 to 240"},
    ["a width of a file"] = {{run, out = "x.svg", width = 80}, "width is 80, must be a number from 320 to 10000"},
    ["an axis that no picture of the kind needs"] = {{run, kind = "roofline", x = "blocksize"},
      'x is "blocksize", must be an axis of the results'},
    ["an axis of another kind"] = {{run, kind = "curve", y = "dtype"}, 'y is "dtype", but only a heat map has one'},
    ["an axis to choose by"] = {{run, where = {dtyp = "bf16"}}, 'where is "dtyp", must be an axis'},
    ["a value to choose by"] = {{run, where = {dtype = "f64"}}, "no row has what `where` asks for"},
    ["no results"] = {{kind = "heat"}, "results are missing"},
    ["results that are a number"] = {{7}, "results are a number, must be a path"},
    ["no rows"] = {{{runs = {}}}, "there is nothing to draw"},
    ["a heat map of one axis"] = {{results.run{axes = {sizes}}, kind = "heat"}, "a heat map needs two axes that vary"},
    ["a roofline without work"] = {{results.counted(), kind = "roofline"}, "no row has a time, flops and bytes"},
  } do
    it("is an error that says what is wrong: " .. what, function()
      local ok, why = pcall(pah.plot, case[1])
      assert.is_false(ok)
      assert.truthy(why:find(case[2], 1, true), why)
      assert.truthy(why:find("plot_spec.lua:", 1, true), why)
    end)
  end

  it("counts what failed when nothing is left", function()
    local failed = results.run({}, function() return {error = "no luck"} end)
    local _, why = pcall(pah.plot, {failed})
    assert.truthy(why:find("10 failed", 1, true), why)
  end)
end)

describe("the command plot", function()
  local file = folder .. "/run.jsonl"

  local function says(words, environment)
    local out, err, code = child.run(folder, words, environment)
    return code, out, err
  end

  setup(function()
    results.write(file, results.run())
  end)

  it("draws a file into the terminal, 80 wide when there is none", function()
    local code, out, err = says("plot run.jsonl", "env -u COLUMNS")
    assert.same({0, ""}, {code, err})
    assert.equal(drawn{file}, out)
    code, out = says("plot run.jsonl --x block_size --by dtype --metric GB/s --where dtype=bf16 --width 60")
    assert.equal(0, code)
    assert.equal(drawn({file, x = "block_size", by = "dtype", metric = "gbs", where = {dtype = "bf16"}}, 60), out)
  end)

  it("says what is wrong", function()
    local code, _, err = says "plot"
    assert.equal(2, code)
    assert.truthy(err:find("no results file is named", 1, true))
    code, _, err = says "plot run.jsonl --kind pie"
    assert.equal(2, code)
    assert.truthy(err:find('"pie" is not one of curve', 1, true))
    code, _, err = says "plot run.jsonl --where dtype"
    assert.equal(2, code)
    assert.truthy(err:find('"dtype" is not AXIS=VALUE', 1, true))
    code, _, err = says "plot gone.jsonl"
    assert.equal(1, code)
    assert.truthy(err:find("gone.jsonl", 1, true))
  end)

  it("names the package when gnuplot is not there, and needs none in the terminal", function()
    local code, _, err = says("plot run.jsonl -o x.svg", "PATH=/nowhere")
    assert.equal(1, code)
    assert.truthy(err:find("apt install gnuplot-nox", 1, true), err)
    assert.is_nil(read(folder .. "/x.svg"))
    assert.equal(0, (says("plot run.jsonl", "PATH=/nowhere")))
  end)
end)

describe("pictures by gnuplot", function()
  local function needs_gnuplot()
    if not gnuplot.usable() then pending "gnuplot is not installed" end
    return gnuplot.usable()
  end

  -- Whether the tags of a text of XML close each other.
  local function balanced(xml)
    local open = {}
    for closing, name, rest in xml:gsub("<%?.-%?>", ""):gmatch "<(/?)([%w:]+)([^>]*)>" do
      if closing == "/" then
        if table.remove(open) ~= name then return false end
      elseif not rest:find "/$" then
        open[#open + 1] = name
      end
    end
    return #open == 0
  end

  it("are written in each format", function()
    if not needs_gnuplot() then return end
    local first = {svg = "^<%?xml", png = "^\137PNG", pdf = "^%%PDF"}
    for format, start in pairs(first) do
      local path = ("%s/picture.%s"):format(folder, format)
      assert.equal(path, pah.plot{results.run(), out = path})
      assert.truthy(read(path):find(start), format)
    end
    local left = host.list(folder)
    for _, name in ipairs(left) do assert.is_nil(name:find "%.tmp$") end
  end)

  it("show what they should, in every kind", function()
    if not needs_gnuplot() then return end
    local jobs, grid = {}, results.run{axes = {sizes, lengths, dtypes}}
    local script, theme = require "pah.plot.gnuplot_script", require("pah.plot.theme").light
    for i, kind in ipairs(choice.kinds) do
      local picture = pictures.build(choice.choose({grid}, {kind = kind}))
      jobs[i] = script.job(picture, "svg", {title = picture.title, theme = theme, width = 700})
    end
    local drawings = gnuplot.draw(jobs, "spec")
    for i, words in ipairs {{">seqlen<", ">32k<", ">f16<", ">bandwidth (GB/s)<", "block_size 8 (of 8"},
      {">block_size<", ">128<"}, {"f32 multiply-adds 300 GFLOP/s", "memory reads 30.0 GB/s", "fastest cache 120 GB/s"},
      {">f32<", ">block_size 8 seqlen 1024<", "the first 40 of 90"}, {">median ", "one of 90 points"}} do
      for _, word in ipairs(words) do
        assert.truthy(drawings[i]:find(word, 1, true), choice.kinds[i] .. ": " .. word)
      end
      assert.is_true(balanced(drawings[i]), choice.kinds[i])
      assert.is_nil(drawings[i]:find "[Nn][Aa][Nn]%f[^%w]")
    end
  end)

  it("obey no name", function()
    if not needs_gnuplot() then return end
    local nasty = results.run({name = results.nasty, axes = {{name = results.nasty, values = {1, 2, results.nasty}},
      {name = "b", values = {results.nasty, "\\", "'", "''", "\"", "`", "$(touch X)", "\n!touch X\n"}}}})
    local path = folder .. "/na'sty $(touch X).svg"
    local before = os.execute "test ! -e X"
    for _, kind in ipairs(choice.kinds) do
      pah.plot{nasty, kind = kind, out = path}
      local svg = read(path)
      assert.is_true(balanced(svg), kind)
      assert.is_nil(svg:find("<i>", 1, true))
      os.remove(path)
    end
    assert.equal(before, os.execute "test ! -e X")
    assert.is_nil(read(folder .. "/X"))
  end)

  it("are errors where they cannot be written, and keep what was there", function()
    if not needs_gnuplot() then return end
    for _, path in ipairs {"/proc/x.svg", folder .. "/gone/x.svg"} do
      local ok, why = pcall(pah.plot, {results.run(), out = path})
      assert.is_false(ok)
      assert.truthy(why:find("plot: cannot write " .. path, 1, true), why)
    end
  end)
end)
