-- compare_spec.lua - pah compare of results files from outside, and pah.compare: verdicts and exit codes of files made
-- by hand, what is told of points that cannot be compared, wrong input. Interleaved scripts: interleave_spec.lua.
local support = require "spec.support.compare"

local compare, folder, has, result, write = support.compare, support.folder, support.has, support.result, support.write
teardown(support.clean)

local _

-- A file with a run: points = {n = median or {error = message}}, rounds of them; o: fields of header and result.
local function store(name, points, o)
  o = o or {}
  local header = {name = "made", axes = {{name = "n", values = {1, 2, 3, 4}}}, device = "cpu", started = o.started,
    host = {name = "one", cpu = "some", threads = 2}, pah = {version = "0", git = o.git}}
  for key, value in pairs(o.header or {}) do header[key] = value end
  local s = pah.results.open(folder .. "/" .. name, header)
  local index = 0
  for n = 1, 4 do
    local point = points[n]
    if point then
      index = index + 1
      for round = 1, o.rounds or 5 do
        local row = {index = index, round = round, axes = {n = n}, key = "n=" .. n}
        if type(point) == "table" then
          row.status, row.error = "error", point.error
        else
          row.result = result(point * (1 + 0.001 * ((round * 7 + n) % 5)), round + 10 * n, o.result)
        end
        s:add(row)
      end
    end
  end
  s:close()
  return s.run
end

describe("pah compare of files", function()
  setup(function()
    store("a.jsonl", {1e-3, 2e-3, 5e-6}, {git = "aaaa"})
    store("same.db", {1e-3, 2e-3, 5e-6}, {git = "bbbb"})
    store("slower.jsonl", {1.05e-3, 2.1e-3, 5.25e-6})
    store("much.db", {1.3e-3, 2.6e-3, 6.5e-6})
    store("faster.db", {0.8e-3, 1.6e-3, 4e-6})
    store("one.jsonl", {1e-3})
    store("one_slower.db", {1.05e-3})
    store("single.jsonl", {1e-3}, {rounds = 1})
    store("single5.jsonl", {1.05e-3}, {rounds = 1})
    store("single30.jsonl", {1.3e-3}, {rounds = 1})
  end)

  it("says slower, faster and undecided, with their exit codes", function()
    local out, err, code = compare "a.jsonl slower.jsonl"
    has(out, "B is slower: 1.05")
    assert.equal("", err)
    assert.equal(1, code)
    out, _, code = compare "slower.jsonl a.jsonl"
    has(out, "B is faster: 0.95")
    assert.equal(0, code)
    out, _, code = compare "a.jsonl same.db"
    has(out, "undecided: B takes 1.000 times the time of A")
    has(out, "slow-down of")
    assert.equal(2, code)
    out, _, code = compare "a.jsonl same.db --threshold 10%"
    has(out, "A and B are the same within 10.0 %")
    assert.equal(0, code)
    _, _, code = compare "a.jsonl much.db --threshold 0.5"
    assert.equal(0, code)
    _, _, code = compare "a.jsonl faster.db"
    assert.equal(0, code)
  end)

  it("finds 5 % at one point, and 30 % but not 5 % in single rounds", function()
    local out, _, code = compare "one.jsonl one_slower.db"
    has(out, "slower")
    assert.equal(1, code)
    out, _, code = compare "single.jsonl single5.jsonl"
    has(out, "a single round")
    assert.equal(2, code)
    _, _, code = compare "single.jsonl single30.jsonl"
    assert.equal(1, code)
  end)

  it("writes Markdown and JSON", function()
    local out, _, code = compare "a.jsonl much.db --markdown"
    has(out, "**B is slower: 1.3")
    has(out, "| n=1 | 1.002 ms |")
    has(out, "| --- | ---: |")
    has(out, "**slower** |")
    assert.equal(1, code)
    out, _, code = compare "a.jsonl much.db --json"
    assert.equal(1, code)
    local c = pah.json.decode(out)
    assert.equal("slower", c.verdict)
    assert.equal(1, c.code)
    assert.equal(3, #c.points)
    assert.is_true(math.abs(c.all.ratio - 1.3) < 0.01 and c.all.low < 1.3 and c.all.high > 1.3)
    assert.equal("n=2", c.points[2].key)
    assert.is_true(c.points[2].detectable > 0.02 and c.points[2].detectable < 0.2)
  end)

  it("compares another metric", function()
    store("cpu_a.db", {1e-3}, {result = {cpu = 2e-3}})
    store("cpu_b.db", {1e-3}, {result = {cpu = 4e-3}})
    local out, _, code = compare "cpu_a.db cpu_b.db --metric cpu"
    has(out, "2.000")
    assert.equal(1, code)
    out, _, code = compare "cpu_a.db cpu_b.db" -- the same time, though with other processors at work
    has(out, "processors at work: n=1: A 2.00, B 3.99")
    assert.equal(2, code)
    out, _, code = compare "one.jsonl one_slower.db --metric min"
    has(out, "min of a call")
    assert.equal(1, code)
    local _, err
    _, err, code = compare "one.jsonl one.jsonl --metric speed"
    has(err, "metric is speed, must be median, mean, min")
    assert.equal(3, code)
  end)

  it("tells what is not compared, and what differs beside the times", function()
    store("left.jsonl", {1e-3, 2e-3, {error = "no memory\nstack"}}, {header = {pah = {git = "aaaa", dirty = false},
      options = {sizes = {1, 2}, same = {3}}, files = {["k.cu"] = ("ab"):rep(32), ["same.cu"] = "x"}}})
    store("right.db", {1e-3, {error = "wrong shape"}, 3e-3, 4e-3}, {
      header = {host = {name = "two", cpu = "some", threads = 4}, env = {OMP_NUM_THREADS = "4"},
        pah = {git = "bbbb", dirty = true},
        options = {sizes = {1, 3}, same = {3}}, files = {["k.cu"] = ("cd"):rep(32), ["same.cu"] = "x"}},
      result = {threads = 4, bytes = 100}})
    local out, _, code = compare "left.jsonl right.db --threshold 20%"
    has(out, "only in B (1): n=4")
    has(out, "error in A (1): n=3, 5 rounds: no memory")
    has(out, "error in B (1): n=2, 5 rounds: wrong shape")
    out = out:gsub("\n  ", " ") -- lines that were broken
    local conditions, rest = out:match "\nother conditions: ([^\n]*)\ndiffers: ([^\n]*)\n"
    has(conditions, "host.name: A one, B two; ")
    has(conditions, "host.threads: A 2, B 4; ")
    has(conditions, "env.OMP_NUM_THREADS: A unknown, B 4")
    has(rest, "pah.git: A aaaa, B bbbb; ")
    has(rest, "pah.dirty: A false, B true; ")
    has(rest, "options.sizes: A [1,2], B [1,3]; ")
    has(rest, "files.k.cu: A abababababab, B cdcdcdcdcdcd")
    assert.is_nil(out:find("options.same", 1, true) or out:find("same.cu", 1, true))
    has(out, "not the same work: n=1: threads: 2 and 4")
    has(out, "not the same work: n=1: bytes: nil and 100")
    assert.is_nil(out:find("stack", 1, true))
    assert.equal(0, code)
  end)

  it("takes a run by its id, the last one without, and all of them", function()
    local first = store("runs.db", {1e-3}, {started = "2026-01-01T00:00:00Z"})
    local last = store("runs.db", {2e-3}, {started = "2026-01-02T00:00:00Z"})
    local out, _, code = compare(("runs.db#%s runs.db"):format(first))
    has(out, "run " .. last)
    has(out, "B is slower: 2.000")
    assert.equal(1, code)
    _, _, code = compare(("runs.db#%s runs.db#%s"):format(last:sub(-8), first:sub(-8)))
    assert.equal(0, code)
    out, _, code = compare "runs.db runs.db"
    has(out, "A and B are the same run: its numbers are the same")
    assert.is_nil(out:find("undecided", 1, true), out)
    assert.equal(0, code)
    store("other.db", {1e-3}, {run = last}) -- the same id over other rows, as of a file that was edited
    out, _, code = compare "other.db runs.db"
    has(out, "B is slower: 2.000")
    assert.equal(1, code)
    for day = 1, 6 do
      for name, median in pairs {["all_a.db"] = 1e-3, ["all_b.db"] = 1.05e-3} do
        store(name, {median * (1 + 0.002 * (day % 3))}, {started = ("2026-01-0%dT00:00:00Z"):format(day)})
      end
    end
    out, _, code = compare "all_a.db#all all_b.db#all"
    has(out, "6 runs")
    has(out, "B is slower: 1.05")
    assert.equal(1, code)
  end)

  it("asks more of many points, unless each is for itself", function()
    store("mixed_a.db", {1e-3, 2e-3, 3e-3, 4e-3})
    store("mixed_b.db", {1e-3, 2e-3, 3e-3, 4.5e-3})
    local out, _, code = compare "mixed_a.db mixed_b.db"
    has(out, "for all 4 points together")
    assert.is_truthy(out:match "n=4[^\n]*slower\n")
    assert.equal(2, code)
    local wide = pah.compare(folder .. "/mixed_a.db", folder .. "/mixed_b.db").points[1]
    local each = pah.compare(folder .. "/mixed_a.db", folder .. "/mixed_b.db", {each = true}).points[1]
    assert.is_true(wide.half > 1.2 * each.half)
    _, _, code = compare "mixed_a.db mixed_b.db --any"
    assert.equal(1, code)
  end)

  it("says what is wrong with its words and files, with code 2", function()
    write("text.txt", "hello\n")
    write("broken.jsonl", "hello\n")
    write("empty.jsonl", "")
    store("other.db", {[4] = 1e-3})
    for words, message in pairs {
      [""] = "needs two runs, A and B",
      ["a.jsonl"] = "needs two runs, A and B",
      ["a.jsonl a.jsonl a.jsonl"] = "is one word too many",
      ["a.jsonl gone.db"] = "gone.db: No such file",
      ["a.jsonl a.jsonl#nonsense"] = 'has no run "nonsense"; the last ones are',
      ["a.jsonl text.txt"] = "must end in .db, .sqlite or .jsonl",
      ["a.jsonl broken.jsonl"] = "broken.jsonl is no results file",
      ["a.jsonl empty.jsonl"] = "has no run",
      ["one.jsonl other.db"] = "no point is in both and measured in both; only in A: 1, only in B: 1",
      ["a.jsonl a.jsonl --threshold much"] = '--threshold: "much" must be a part below 1',
      ["a.jsonl a.jsonl --threshold 5"] = "must be a part below 1, such as 2% or 0.02",
      ["a.jsonl a.jsonl --json --markdown"] = "exclude each other",
      ["a.jsonl a.jsonl -o x.db"] = "--out goes with --interleave",
      ["a.jsonl a.jsonl --metrc min"] = 'did you mean "--metric"',
      ["--interleave a.lua"] = "two scripts",
      ["--interleave gone.lua gone.lua"] = 'no script is named "gone.lua"',
      ["--interleave text.txt text.txt --pairs 2"] = "--pairs is 2, must be from 3 to 1000",
    } do
      local out, err, code = compare(words)
      has(err, message)
      assert.equal("", out)
      assert.equal(3, code)
    end
  end)

  it("compares counts of sim exactly, and only when they are asked for", function()
    local function counts(name, sectors)
      local s = pah.results.open(folder .. "/" .. name, {name = "sim", axes = {}, device = "cpu"})
      s:add{index = 1, round = 1, key = "", axes = {}, result = {counted = true, name = "x", device = "sim",
        global_sectors = sectors}}
      s:close()
    end
    counts("sim_a.db", 1000)
    counts("sim_b.db", 1500)
    local _, err, code = compare "sim_a.db sim_b.db"
    has(err, "counts of sim have none")
    assert.equal(3, code)
    local out
    out, _, code = compare "sim_a.db sim_b.db --metric global_sectors"
    has(out, "counts are exact")
    has(out, "1500")
    assert.equal(1, code)
  end)
end)

describe("pah.compare", function()
  it("prints within 80 columns, and once what the keys of all points have alike", function()
    local function run(factor, start)
      local rows, axes = {}, {{name = "op", values = {}}, {name = "batch", values = {}}, {name = "dtype", values = {}}}
      for i = 1, 6 do
        local key = (start .. "batch=2q512_30q%ds1k dtype=bf16"):format(i)
        rows[i] = {index = i, round = 1, axes = {}, key = key, status = "ok", result = result(i * factor, i)}
      end
      return {id = "one", rows = rows, header = {name = "made", axes = axes}}
    end
    local function said(start)
      local text = tostring(pah.compare(run(1e-3, start), run(0.5e-3, start)))
      for line in text:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
      return text
    end
    local text = said "op=fwd "
    has(text, "op=fwd, dtype=bf16 in all points")
    assert.truthy(text:find "\nbatch=2q512_30q1s1k +1%.%d+ ms +500%.%d us +0%.500 ", text)
    text = said "a key that is no list of axes, "
    assert.truthy(text:find "\na key that is no list of axes, batch=2q512_30q1s1k\n +1%.%d+ ms +500%.%d us ", text)
    local markdown = pah.compare(run(1e-3, "op=fwd "), run(1e-3, "op=fwd ")):markdown()
    assert.truthy(markdown:find("op=fwd batch=2q512\\_30q1s1k dtype", 1, true), markdown)
  end)

  it("takes results of pah.bench, several of one name as rounds", function()
    local a, b = {}, {}
    for i = 1, 5 do
      a[i], b[i] = result(1e-3, i), result(1.2e-3, i)
    end
    local c = pah.compare(a, b)
    assert.equal("slower", c.all.verdict)
    assert.equal(1, #c.points)
    assert.equal(5, c.points[1].rounds_a)
    assert.equal(1, c:code())
    has(tostring(c), "B is slower")
    has(c:markdown(), "\n| x | 1.00")
    has(c:markdown(), "| **slower** |\n")
    local nasty = "a|b_c <i>\27[2J\né"
    local n = pah.compare(result(1e-3, 1, {name = nasty}), result(2e-3, 1, {name = nasty, bytes = 1}))
    assert.is_nil((tostring(n) .. n:markdown()):find "\27")
    has(n:markdown(), "| a\\|b\\_c \\<i> [2J é |")
    has(n:markdown(), "- not the same work: a\\|b\\_c \\<i> [2J é: bytes: nil and 1")
    assert.equal("undecided", pah.compare(a[1], b[1], {threshold = 0.3}).all.verdict)
  end)

  it("says why what looks sure is not, where other programs held up the calls", function()
    local function rounds(name, median, factors)
      local list = {}
      for i, factor in ipairs(factors) do list[i] = result(median * factor, i, {name = name}) end
      return list
    end
    local wild, calm = {1, 1.5, 0.8, 1.3, 0.9}, {1, 1.001, 1.002, 0.999, 0.998}
    local c = pah.compare(rounds("x", 1e-3, wild), rounds("x", 1.9e-3, wild))
    assert.is_true(c.all.low > 1 and c.all.rough)
    assert.equal("undecided", c.all.verdict)
    local line = "rough (1): x: half the interval is above 10 %, as when other programs hold up the calls"
    has(tostring(c), line)
    has(c:markdown(), line)
    local a, b = rounds("x", 1e-3, wild), rounds("x", 1.9e-3, wild)
    for i, r in ipairs(rounds("y", 1e-3, calm)) do a[5 + i], b[5 + i] = r, r end
    c = pah.compare(a, b)
    has(tostring(c), "rough (2): all; x: ")
    assert.is_nil(tostring(pah.compare(rounds("y", 1e-3, calm), rounds("y", 2e-3, calm))):find "rough")
  end)

  it("names what is wrong with its arguments", function()
    for message, call in pairs {
      ["a is a number, must be"] = function() pah.compare(1, 2) end,
      ["without samples"] = function() pah.compare({{}}, {{}}) end,
      ['unknown option "metrics", did you mean "metric"?'] = function() pah.compare({}, {}, {metrics = "min"}) end,
      ["threshold is 2, must be a fraction"] = function() pah.compare({}, {}, {threshold = 2}) end,
    } do
      local ok, why = pcall(call)
      assert.is_false(ok)
      has(tostring(why), message)
    end
  end)
end)

