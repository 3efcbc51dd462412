-- plot_style_spec.lua - what makes a picture fit to be published: colours that a colour-blind reader tells apart, light
-- and dark in one SVG, names at the ends of lines, one unit, small print, the script's own words at the axes.
local child = require "spec.support.child"
local choice = require "pah.plot.choice"
local gnuplot = require "pah.plot.run_gnuplot"
local plot = require "pah.plot"
local results = require "spec.support.results"
local safe = require "pah.util.safe_text"
local script = require "pah.plot.gnuplot_script"
local svg = require "pah.plot.svg"
local terminal = require "pah.plot.terminal"
local theme = require "pah.plot.theme"

local sizes = {name = "block_size", values = {8, 16, 32, 64, 128}, about = "tokens in a block"}
local dtypes = {name = "dtype", values = {"f32", "bf16"}}

local function picture(options, o)
  options.axes = options.axes or {sizes, dtypes}
  o = o or {}
  o[1] = results.run(options)
  return plot.picture(o)
end

local function job(p, o)
  return script.job(p, "svg", {title = p.title, theme = o and o.theme or theme.light, width = o and o.width}).script
end

-- ---- Colours ------------------------------------------------------------------------------------------------------

local function linear(c) return c <= 0.04045 and c / 12.92 or ((c + 0.055) / 1.055) ^ 2.4 end

-- Machado, Oliveira and Fernandes (2009): what remains of linear red, green and blue, severity 1.
local sights = {
  everybody = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
  deuteranopia = {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
  protanopia = {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
}

-- CIELAB of a colour as somebody sees it.
local function seen(colour, sight)
  local rgb, left = {}, {}
  for i = 1, 3 do rgb[i] = linear(tonumber(colour:sub(2 * i, 2 * i + 1), 16) / 255) end
  for i, row in ipairs(sight) do
    left[i] = math.max(0, math.min(1, row[1] * rgb[1] + row[2] * rgb[2] + row[3] * rgb[3]))
  end
  local function f(t) return t > 0.008856 and t ^ (1 / 3) or 7.787 * t + 16 / 116 end
  local x = f((0.4124 * left[1] + 0.3576 * left[2] + 0.1805 * left[3]) / 0.95047)
  local y = f(0.2126 * left[1] + 0.7152 * left[2] + 0.0722 * left[3])
  local z = f((0.0193 * left[1] + 0.1192 * left[2] + 0.9505 * left[3]) / 1.08883)
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)}
end

describe("colours of series", function()
  for name, colours in pairs {light = theme.light, dark = theme.dark} do
    it("stay apart for every reader: " .. name, function()
      for who, sight in pairs(sights) do
        for i = 1, #colours.series do
          for j = i + 1, #colours.series do
            local a, b, sum = seen(colours.series[i], sight), seen(colours.series[j], sight), 0
            for k = 1, 3 do sum = sum + (a[k] - b[k]) ^ 2 end
            assert.is_true(math.sqrt(sum) > 16, ("%s: %d and %d differ by %.0f"):format(who, i, j, math.sqrt(sum)))
          end
        end
      end
    end)
  end

  it("have names that no other colour of the light theme has", function()
    local used = {}
    for _, value in pairs(theme.light) do
      for _, colour in ipairs(type(value) == "table" and value or {value}) do
        assert.is_nil(used[colour], colour)
        used[colour] = true
      end
    end
  end)
end)

describe("an SVG file", function()
  local drawing = [[<svg viewBox="0 0 10 20"><rect fill="#ffffff"/><path stroke='rgb(  0, 114, 178)' d='M0,0'/>]]
    .. [[<text>rgb(1,2,3) &lt; #123456</text></svg>]]

  it("has rules for dark readers, of the colours that it uses", function()
    local text = svg.file(drawing, "a <title>", true)
    assert.truthy(text:find("<title>a &lt;title&gt;</title>", 1, true))
    assert.truthy(text:find("@media (prefers-color-scheme:dark)", 1, true))
    assert.truthy(text:find('[stroke="#0072b2"]{stroke:#56b4e9}', 1, true))
    assert.truthy(text:find('[fill="#ffffff"]{fill:#16191d}', 1, true))
    assert.is_nil(text:find("#d55e00", 1, true))
    assert.truthy(text:find("<path stroke='#0072b2'", 1, true), text)
    assert.truthy(text:find(">rgb(1,2,3) &lt; #123456<", 1, true)) -- names are left alone
  end)

  it("has none where a theme is asked for", function()
    assert.is_nil(svg.file(drawing, "t", false):find("@media", 1, true))
  end)

  it("is drawn in the theme that is asked for", function()
    if not gnuplot.usable() then return pending "gnuplot is not installed" end
    local folder = child.folder()
    local paper = {light = "#ffffff", dark = "#16191d"}
    for _, name in ipairs {"light", "dark", "auto"} do
      local path = folder .. "/x.svg"
      plot.plot{results.run(), out = path, theme = name}
      local text = child.contents(path)
      assert.truthy(text:find(('fill="%s"'):format(paper[name] or paper.light), 1, true), name)
      assert.equal(name == "auto", text:find("prefers-color-scheme", 1, true) ~= nil)
    end
    os.execute("rm -r " .. folder)
  end)

  it("says what themes there are", function()
    for _, case in ipairs {{"x.svg", "blue", 'theme is "blue", must be light, dark or auto'},
      {"x.png", "auto", 'theme is "auto", which only an SVG can be; a png must be light or dark'}} do
      local ok, why = pcall(plot.plot, {results.run(), out = case[1], theme = case[2]})
      assert.is_false(ok)
      assert.truthy(why:find(case[3], 1, true), why)
    end
  end)
end)

-- ---- Names --------------------------------------------------------------------------------------------------------

-- Where words stand in a script of gnuplot: the height, 0 to 1 from below.
local function heights(text, names)
  local list = {}
  for i, name in ipairs(names) do
    list[i] = tonumber(text:match(("set label %%d+ %s at screen [%%d.]+,([%%d.]+)"):format(safe.gnuplot(name))))
  end
  return list
end

describe("names of lines", function()
  it("stand at their ends, apart, in place of a legend", function()
    local same = {axes = {sizes, {name = "seqlen", values = {1024, 2048, 4096}}}} -- three lines in one place
    local p = picture(same, {metric = "fraction", x = "block_size", by = "seqlen"})
    local text = job(p)
    local list = heights(text, {"seqlen 1024", "seqlen 2048", "seqlen 4096"})
    assert.equal(3, #list)
    table.sort(list, function(a, b) return a > b end)
    for i = 2, 3 do assert.is_true(list[i - 1] - list[i] > 14 / 500, table.concat(list, " ")) end
    assert.truthy(text:find("set rmargin at screen 0.[78]")) -- the frame makes room for them
  end)

  it("are a legend where they have no room", function()
    local axes = {sizes, {name = "kernel", values = {("long name "):rep(5), "another"}}}
    assert.truthy(job(picture{axes = axes}):find("set rmargin at screen 0.9", 1, true))
  end)

  it("run along the limits of a roofline, which no two share", function()
    local limits = results.header().limits
    limits.fma_flops_per_second = {f32 = 300e9, f16 = 600e9, bf16 = 601e9}
    local p = picture({limits = limits}, {kind = "roofline"})
    local names = {}
    for i, line in ipairs(p.lines) do names[i] = line.name end
    assert.same({"bf16, f16 multiply-adds 601 GFLOP/s", "f32 multiply-adds 300 GFLOP/s", "fastest cache 120 GB/s",
      "memory reads 30.0 GB/s"}, names)
    assert.truthy(job(p):find 'memory reads[^\n]*left rotate by [1-9]')
    local shown = terminal.draw(p, {width = 80, colour = false})
    for i, letter in ipairs {"a", "b", "c", "d"} do
      assert.truthy(shown:find(letter .. " " .. names[i]:gsub("%-", "%%-")), shown)
      assert.truthy(shown:find(letter .. "[\128-\255]"), shown)
    end
  end)

  it("are whole at a slope that soon meets the roof", function()
    local limits, level = results.header().limits, 0
    limits.fma_flops_per_second = {f32 = 300e9}
    for rate = 11, 14, 0.1 do
      limits.caches = {{bytes = 16384, read_bytes_per_second = 10 ^ rate}}
      local text = job(picture({limits = limits}, {kind = "roofline"}))
      assert.is_nil(text:find("…", 1, true), text)
      local label = text:match '"fastest cache[^\n]*' or text:match '"cache [^\n]*'
      if label and not label:find "rotate" then level = level + 1 end
    end
    assert.is_true(level > 0)
  end)

  it("are those of bars, which stand in groups; one axis needs no colours", function()
    local p = picture({}, {kind = "bars"})
    assert.same({"f32", "block_size 8", 1}, {p.bars[1].name, p.bars[1].group, p.bars[1].series})
    assert.same({"bf16", "block_size 8", 2}, {p.bars[2].name, p.bars[2].group, p.bars[2].series})
    assert.same({"f32", "block_size 16"}, {p.bars[3].name, p.bars[3].group})
    local run = results.run() -- one bar in every group: no groups
    for _, i in ipairs {10, 7, 6, 3, 2} do table.remove(run.rows, i) end
    p = plot.picture{run, kind = "bars", by = "dtype"}
    assert.same({"block_size 8 f32"}, {p.bars[1].name, p.bars[1].group})
    p = picture({axes = {dtypes}}, {kind = "bars"})
    assert.same({"f32", 1, "bf16", 1}, {p.bars[1].name, p.bars[1].series, p.bars[2].name, p.bars[2].series})
    assert.is_nil(p.bars[1].group)
  end)

  it("of an axis are the script's words", function()
    assert.equal("tokens in a block", picture({}).x.label)
    assert.equal("tokens in a block", picture({}, {kind = "heat", x = "block_size", y = "dtype"}).x.label)
    assert.equal("dtype", picture({}, {kind = "heat", x = "block_size", y = "dtype"}).y.label)
  end)
end)

-- ---- Numbers and small print ----------------------------------------------------------------------------------------

describe("numbers of a picture", function()
  it("have one unit", function()
    local run = results.run({axes = {{name = "n", values = {1, 2}}}}, function(axes)
      return {result = {median = axes.n == 1 and 2e-5 or 4e-3}}
    end)
    local p = plot.picture{run, kind = "bars"}
    assert.same({"0.02000 ms", "4.000 ms", "time per call (ms)"}, {p.bars[1].text, p.bars[2].text, p.x.label})
  end)

  it("are shares of the limit where flops bound some, the bandwidth where bytes bound all", function()
    assert.equal("bytes_per_second", choice.choose({results.run()}, {}).metric.name)
    local run = results.run()
    run.rows[3].result.limit.by = "flops"
    assert.equal("fraction", choice.choose({run}, {}).metric.name)
  end)
end)

describe("the small print", function()
  it("says where the numbers come from", function()
    local p = picture({})
    assert.same({"A processor @ 2.0 GHz, 2 threads", "pah 0.1.0 at 0123456789ab", "2026-11-25",
      "run 20261125T204005-1a2b3c4d"}, p.source)
    assert.equal("bars: 95 % interval of the median", p.interval)
    assert.truthy(job(p):find("font ',10'", 1, true))
  end)

  it("counts machines, versions and days of several runs", function()
    local b = results.run{run = "20261127T000000-ffffffff", name = "b", started = "2026-11-27T00:00:00Z",
      pah = {version = "0.2.0"}}
    local p = plot.picture{{results.run(), b}}
    assert.same({"A processor @ 2.0 GHz, 2 threads", "2 versions of pah", "2026-11-25 to 2026-11-27"}, p.source)
  end)

  it("is empty for results without a header", function()
    assert.same({}, plot.picture{results.run().rows}.source)
  end)

  it("names no machine where none matters", function()
    assert.equal("pah 0.1.0 at 0123456789ab", plot.picture{results.counted()}.source[1])
  end)
end)

describe("a file", function()
  it("has a page of PDF of the picture's size, and type as large as that of SVG", function()
    if not gnuplot.usable() then return pending "gnuplot is not installed" end
    local ffi = require "ffi"
    local found, zlib = pcall(ffi.load, "libz.so.1")
    if not found then return pending "there is no libz.so.1 to read a PDF with" end
    pcall(ffi.cdef, "int uncompress(char *dest, unsigned long *dest_len, const char *source, unsigned long length);")
    local base = os.tmpname()
    local path = base .. ".pdf"
    pah.plot{results.run(), out = path, width = 960}
    local pdf, text, room = child.contents(path), "", ffi.new("char[?]", 1000000)
    local across, down = pdf:match "/MediaBox %[ 0 0 ([%d.]+) ([%d.]+) %]"
    pah.plot{results.run(), out = base .. ".svg", width = 960}
    local drawn = child.contents(base .. ".svg")
    local width, height = drawn:match 'width="(%d+)" height="(%d+)"'
    assert.same({960, 720, math.ceil(0.75 * height)}, {tonumber(width), tonumber(across), tonumber(down)})
    for stream in pdf:gmatch "stream\r?\n(.-)endstream" do
      local length = ffi.new("unsigned long[1]", 1000000)
      if zlib.uncompress(room, length, stream, #stream) == 0 then text = text .. ffi.string(room, length[0]) end
    end
    local largest, seen_sizes = 0, {}
    for size in text:gmatch "([%d.]+) 0 0 %-[%d.]+ [%d.]+ [%d.]+ Tm" do
      seen_sizes[size], largest = true, math.max(largest, tonumber(size))
    end
    assert.truthy(seen_sizes["9.75"], "13 pixels are 9.75 points")
    local title = 0
    for size in drawn:gmatch 'font%-size="([%d.]+)"' do title = math.max(title, tonumber(size)) end
    for _, ending in ipairs {"", ".pdf", ".svg"} do os.remove(base .. ending) end
    assert.is_true(math.abs(largest - 0.75 * title) < 0.1, largest .. " " .. title)
  end)
end)
