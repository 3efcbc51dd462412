-- report_html_spec.lua - pah.report: what stands on the page, that it is well formed and needs nothing else, that its
-- colours are declared for light and dark and can be told apart, and what Chromium makes of it at a phone's width.
local child = require "spec.support.child"
local findings = require "pah.report.findings"
local gnuplot = require "pah.plot.run_gnuplot"
local host = require "pah.host"
local results = require "spec.support.results"
local safe = require "pah.util.safe_text"
local theme = require "pah.plot.theme"

local folder, read = child.folder(), child.contents
teardown(function() os.execute("rm -r " .. safe.shell(folder)) end)

local function page_of(source)
  local path = folder .. "/page.html"
  pah.report{source, out = path}
  return read(path)
end

local function plain(page, words) return page:find(words, 1, true) ~= nil end
local function count(page, pattern) return select(2, page:gsub(pattern, "")) end

-- What is wrong with a page: tags that do not close, identifiers that stand twice or lead nowhere, what is outside.
local function mistakes(page)
  local found, open, ids = {}, {}, {}
  local void = {meta = true, br = true}
  local body = page:gsub("<style>.-</style>", ""):gsub("^<!DOCTYPE html>\n", "")
  for closing, name, rest in body:gmatch "<(/?)([%w]+)([^>]*)>" do
    if closing == "/" then
      local last = table.remove(open)
      if last ~= name then found[#found + 1] = ("</%s> closes <%s>"):format(name, tostring(last)) end
    elseif not void[name] and not rest:find "/$" then
      open[#open + 1] = name
    end
    local id = rest:match " id=['\"]([^'\"]*)"
    if id and ids[id] then found[#found + 1] = "id " .. id .. " stands twice" end
    if id then ids[id] = true end
    if rest:find " src%s*=" or name == "script" or name == "link" or rest:find " on%a+=" then
      found[#found + 1] = name .. rest
    end
  end
  for _, name in ipairs(open) do found[#found + 1] = "<" .. name .. "> stays open" end
  for target in body:gmatch "href=['\"]([^'\"]*)" do
    if not ids[target:match "^#(.*)" or ""] then found[#found + 1] = "href " .. target .. " leads nowhere" end
  end
  for _, words in ipairs {"http:", "https:", "url(", "@import", "//"} do
    if plain(page, words) then found[#found + 1] = words end
  end
  local sheet, seen = page:match "<style>(.-)</style>", {["--part"] = true}
  for name in page:gmatch "var%((%-%-[%w-]+)%)" do
    if not seen[name] and count(sheet, name:gsub("%p", "%%%0") .. ":") ~= 2 then
      found[#found + 1] = name .. " is not declared for light and dark"
    end
    seen[name] = true
  end
  if page:find "[%z\1-\9\11-\31]" then found[#found + 1] = "a control character" end
  return found
end

local function needs_gnuplot()
  if not gnuplot.usable() then pending "gnuplot is not installed" end
  return gnuplot.usable()
end

-- A grid with failures, notes, results near and above their limits.
local function grid()
  return results.run({name = "prefill grid", run = "20261126T214005-99999999", axes = {
    {name = "block_size", values = {8, 16, 32}}, {name = "seqlen", values = {1024, 4096, 16384}},
    {name = "dtype", values = {"f32", "bf16"}}}},
    function(axes, index)
      if index % 7 == 0 then
        return {error = ("cuda: no memory for %d bytes\nstack traceback:\n\tin function 'run'"):format(index)}
      end
      local bytes = 2 ^ 20 * axes.seqlen / 1024
      local r = results.result("prefill", bytes, 4 * bytes * axes.block_size, 0.3 + 0.041 * index, index)
      if index % 5 == 0 then r.notes = {("not stable after %.1f s of warm-up"):format(index / 2)} end
      return {result = r, values = {max_abs = 1e-3 * index, ok = true}}
    end)
end

describe("the report of a run", function()
  it("has its environment, what stands out, tables and pictures", function()
    if not needs_gnuplot() then return end
    local page = page_of{grid()}
    assert.same({}, mistakes(page))
    for _, words in ipairs {
      "<h1>prefill grid</h1>", "A processor @ 2.0 GHz", "Linux 6.1", "commit 0123456789ab",
      "block_size.lua (sha256 abababababab",
      "30.00 GB/s in order, 27.00 GB/s by shuffled blocks", "OMP_NUM_THREADS", "pah run block_size.lua",
      "2 of 18 rows failed", "cuda: no memory for 7 bytes",
      "Not stable after 2.5 s of warm-up, and alike in 2 more rows",
      "Above the limit that was measured, up to 10", "90 % of the limit or more", "<summary>traceback</summary>",
      "16 rows", "2 failed rows", "How to read this", "Made by pah " .. pah.version, "prefers-color-scheme:dark",
      'name="viewport" content="width=device-width', ">Roofline", "f32 multiply-adds 300 GFLOP/s",
      "2 failed rows are not shown",
    } do assert.is_true(plain(page, words), words) end
    -- Curves over two axes, a heat map, a roofline; each for desk and phone.
    assert.same({4, 4, 4}, {count(page, "<figure>"), count(page, '<svg class="wide"'),
      count(page, '<svg class="narrow"')})
    assert.equal(18 + 2, count(page, "<tr>")) -- a row each, and two heads
  end)

  it("keeps one unit in a column, and the interval beside the median", function()
    if not needs_gnuplot() then return end
    local page = page_of{results.run()}
    assert.truthy(plain(page, 'median <small>us</small>') or plain(page, 'median <small>ms</small>'))
    local rows = page:match "<tbody>(.-)</tbody>"
    assert.equal(10, count(rows, "<small>[%d.]+ – [%d.]+</small>"))
    assert.is_nil(rows:find "%d [mu]s")
    assert.truthy(plain(rows, '<td class="n">8</td><td>f32</td>'))
  end)

  it("orders rows by the grid, with rounds where there are some", function()
    if not needs_gnuplot() then return end
    local run = results.run({axes = {{name = "n", values = {3, 1, 2}}}}, nil, 2)
    for i = 1, 3 do run.rows[i], run.rows[7 - i] = run.rows[7 - i], run.rows[i] end
    local order = {}
    local body = page_of{run}:match "<tbody>(.-)</tbody>"
    for n, round in body:gmatch '<tr><td class="n">(%d)</td><td class="n">(%d)</td>' do
      order[#order + 1] = n .. "." .. round
    end
    assert.same({"3.1", "3.2", "1.1", "1.2", "2.1", "2.2"}, order)
  end)

  it("shows counted results as counts, never as times", function()
    if not needs_gnuplot() then return end
    local page = page_of{results.counted()}
    assert.same({}, mistakes(page))
    for _, words in ipairs {"counted on a simulated GPU and not timed", "Global sectors by block_size", "1.18",
      "39000"} do
      assert.is_true(plain(page, words), words)
    end
    local before = page:match "^(.-)<h2>How to read this"
    assert.is_nil(before:find "%f[%w][nmu]?s</small>")
    assert.is_nil(before:find("median", 1, true))
    assert.equal(1, count(page, "<figure>"))
  end)

  it("works for one row, for none, for errors only, for rows that were not timed", function()
    if not needs_gnuplot() then return end
    local page = page_of{results.run{axes = {}}}
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "Samples in the order in which they were taken"))
    local empty = results.run()
    empty.rows = {}
    page = page_of{empty}
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "it was stopped before its first point was measured"))
    page = page_of{results.run({}, function(_, index) return {error = "no luck " .. index} end)}
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "10 of 10 rows failed"))
    page = page_of{results.run({}, function(_, index) return {values = {blocks = index}} end)}
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "10 rows that were not timed"))
    page = page_of{runs = {}}
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "There are no runs"))
  end)

  it("tells several runs apart and says what could not be read", function()
    if not needs_gnuplot() then return end
    local other = results.run{run = "20261127T000000-eeeeeeee", name = "another"}
    local page = page_of{{runs = {results.run(), other}, notes = {"line 7 of x.jsonl is cut off"}}}
    assert.same({}, mistakes(page))
    for _, words in ipairs {"<h1>2 runs</h1>", 'href="#run-2">another</a>', "<h2>All runs</h2>", ">another, bf16<",
      "Line 7 of x.jsonl is cut off"} do
      assert.truthy(plain(page, words) or plain(page, words:gsub("^L", "l")), words)
    end
    assert.equal(1 + 3 + 3, count(page, "<figure>"))
  end)

  it("says how much of a long table it shows", function()
    if not needs_gnuplot() then return end
    local values = {}
    for i = 1, 700 do values[i] = i end
    local run = results.run({axes = {{name = "n", values = values}}}, function(_, index)
      return index % 7 == 0 and {error = "no luck"} or {result = results.result("r", 1e6, 1e6, 0.5, index, 4)}
    end)
    local page = page_of{run}
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "The first 500 of 600 rows"))
    assert.truthy(plain(page, "The first 50 of 100 failed rows"))
    assert.equal(500 + 50 + 2, count(page, "<tr>"))
    assert.truthy(plain(page, "100 of 700 rows failed"))
    local limited = results.run({axes = {{name = "n", values = values}, {name = "m", values = {1, 2}}}})
    assert.truthy(plain(page_of{limited}, "every 2nd point is drawn"))
  end)

  it("is hurt by no name", function()
    if not needs_gnuplot() then return end
    local function nasty(n) return n .. results.nasty .. "</style></title><script>alert(1)</script>" end
    local run = results.run({name = nasty "a", axes = {{name = nasty "b", values = {1, 2, nasty "c"}},
      {name = "second", values = {nasty "d", "x"}}}, env = {[nasty "e"] = nasty "f"}, argv = {nasty "g"},
      script = nasty "h",
      host = {cpu = nasty "i", governor = nasty "j"}},
      function(_, index)
        if index == 2 then return {error = nasty "k"} end
        local r = results.result(nasty "l", 1e6, 1e6, 0.5, index)
        r.notes, r.limit.by = {nasty "m"}, nasty "n"
        return {result = r, values = {[nasty "o"] = nasty "p"}}
      end)
    local wrong = mistakes(page_of{run})
    for i = #wrong, 1, -1 do
      if wrong[i] == "//" then table.remove(wrong, i) end
    end
    assert.same({}, wrong)
    assert.is_nil(read "X")
  end)
end)

describe("what stands out", function()
  it("is grouped where only numbers differ", function()
    local rows = {}
    for i = 1, 9 do rows[i] = {result = {notes = {("%d of 30 samples are outliers"):format(i)}}} end
    rows[10] = {result = {notes = {"drifts by +3.0 % from the first to the last sample"}}}
    local groups = findings.notes{rows = rows}
    assert.same({2, 9, "a", 1, "b"}, {#groups, #groups[1].rows, groups[1].letter, #groups[2].rows, groups[2].letter})
    assert.equal("b", findings.letters(rows[10], groups))
  end)
end)

describe("the colours", function()
  for name, colours in pairs{light = theme.light, dark = theme.dark} do
    it("can be told from the paper: " .. name, function()
      assert.is_true(theme.contrast(colours.ink, colours.surface) >= 10)
      assert.is_true(theme.contrast(colours.muted, colours.surface) >= 4.5)
      assert.is_true(theme.contrast(colours.limit, colours.surface) >= 3)
      for i, colour in ipairs(colours.series) do -- points have shapes and names besides
        assert.is_true(theme.contrast(colour, colours.surface) >= (i <= 4 and 3 or 2.2), colour)
      end
      for _, colour in ipairs(colours.accent) do
        assert.is_true(theme.contrast(colour, colours.surface) >= 4, colour)
      end
      for i, colour in ipairs(colours.heat) do
        assert.is_true(theme.contrast(colours.heat_ink[i], colour) >= 4.5, colour)
      end
    end)
  end
end)

describe("writing the report", function()
  it("replaces nothing when it fails, and leaves nothing behind", function()
    if not needs_gnuplot() then return end
    for _, path in ipairs {"/proc/report.html", folder .. "/gone/report.html", folder} do
      local ok, why = pcall(pah.report, {results.run(), out = path})
      assert.is_false(ok)
      assert.truthy(why:find("report: cannot write " .. path, 1, true), why)
    end
    pah.report{results.run{axes = {}}, out = "/dev/null"}
    assert.equal(0, os.execute "test -c /dev/null")
    local target, link = folder .. "/target.html", folder .. "/link.html"
    assert.equal(0, os.execute(("touch %s && ln -s %s %s"):format(target, target, link)))
    pah.report{results.run{axes = {}}, out = link}
    assert.truthy(read(target):find("<h1>", 1, true))
    for _, name in ipairs(host.list(folder)) do assert.is_nil(name:find "%.tmp$") end
  end)

  it("is refused for wrong arguments", function()
    for _, case in ipairs {{{}, "results are missing"}, {{results.run()}, "out is nil"},
      {{results.run(), out = ""}, "out is"},
      {{results.run(), out = "x", titel = "y"}, 'did you mean "title"'}, {{5, out = "x"}, "results are a number"},
      {{results.run(), out = "x", title = 5}, "title is a number"}} do
      local ok, why = pcall(pah.report, case[1])
      assert.is_false(ok)
      assert.truthy(why:find(case[2], 1, true), why)
      assert.truthy(why:find("report_html_spec.lua:", 1, true), why)
    end
  end)
end)

describe("the command report", function()
  local function says(words, environment)
    local out, err, code = child.run(folder, words, environment)
    return code, out, err
  end

  setup(function()
    for _, name in ipairs {"a.jsonl", "b.jsonl"} do
      results.write(folder .. "/" .. name, grid(), "run of " .. name)
    end
  end)

  it("writes report.html, or what -o says, and names itself in it", function()
    if not needs_gnuplot() then return end
    assert.equal(0, (says "report a.jsonl"))
    local page = read(folder .. "/report.html")
    assert.truthy(plain(page, "<code>pah report a.jsonl</code>"))
    assert.truthy(plain(page, "<h1>run of a.jsonl</h1>"))
    local code, out, err = says "report a.jsonl b.jsonl -o 'two runs.html' --title 'Two & more'"
    assert.same({0, "", "pah: report: two runs.html\n"}, {code, out, err})
    page = read(folder .. "/two runs.html")
    assert.same({}, mistakes(page))
    assert.truthy(plain(page, "<title>Two &amp; more</title>"))
    assert.truthy(plain(page, "-o &#39;two runs.html&#39; --title &#39;Two &amp; more&#39;</code>"))
  end)

  it("says what is wrong", function()
    local code, _, err = says "report"
    assert.equal(2, code)
    assert.truthy(err:find("no results file is named", 1, true))
    code, _, err = says("report a.jsonl -o x.html", "PATH=/nowhere")
    assert.equal(1, code)
    assert.truthy(err:find("apt install gnuplot-nox", 1, true))
    assert.is_nil(read(folder .. "/x.html"))
  end)

  it("needs no gnuplot where there is nothing to draw", function()
    local store = pah.results.open(folder .. "/failed.jsonl", {name = "all failed"})
    store:add{index = 1, round = 1, key = "n=1", axes = {n = 1}, status = "error", error = "no luck"}
    store:close()
    assert.equal(0, (says("report failed.jsonl -o failed.html", "PATH=/nowhere")))
    assert.truthy(plain(read(folder .. "/failed.html"), "no luck"))
  end)
end)

describe("the report in Chromium", function()
  -- The page in a frame as wide as a phone tells its width by a message; the dump of the outer page has it.
  it("is no wider than a phone, complains of nothing, asks for nothing #slow", function()
    if not needs_gnuplot() then return end
    if os.execute "command -v chromium >/dev/null 2>&1" ~= 0 then return pending "chromium is not installed" end
    local probe = "<script>addEventListener('load',()=>{let r=document.documentElement;"
      .. "let shown=[...document.querySelectorAll('svg')].filter(s=>s.getBoundingClientRect().width>0).length;"
      .. "let outside=performance.getEntriesByType('resource').length;"
      .. "parent.postMessage([r.scrollWidth,r.clientWidth,shown,outside].join(' '),'*')})</script>"
    local page = page_of{grid()}
    local file = assert(io.open(folder .. "/probe.html", "w"))
    file:write((page:gsub("</head>", probe .. "</head>")))
    file:close()
    file = assert(io.open(folder .. "/frame.html", "w"))
    file:write "<!DOCTYPE html><title>-</title><script>onmessage=e=>document.body.dataset.said=e.data</script><body>"
    file:write "<iframe src=probe.html width=390 height=800 style=border:0></iframe></body>"
    file:close()
    local status = os.execute(("cd %s && timeout 100 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
      .. "--allow-file-access-from-files --user-data-dir=%s/profile --enable-logging=stderr --virtual-time-budget=4000 "
      .. "--dump-dom file://%s/frame.html >dom 2>chromium.log"):format(folder, folder, folder))
    assert.equal(0, status)
    assert.truthy(read(folder .. "/dom"):find('data%-said="390 390 4 0"'), read(folder .. "/dom"):sub(1, 400))
    assert.is_nil(read(folder .. "/chromium.log"):find("CONSOLE", 1, true))
  end)
end)
