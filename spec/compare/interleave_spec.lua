-- interleave_spec.lua - pah compare --interleave: two interleaved scripts, what goes wrong in them; and pah.bench
-- against a separate loop around the same C function.
local ffi = require "ffi"
local interleave = require "pah.compare.parent"
local support = require "spec.support.compare"

local compare, folder, has, write = support.compare, support.folder, support.has, support.write
teardown(support.clean)

local _

-- Scripts whose calls take a known time by a clock of their own: what is found does not hang on how busy the machine
-- is. Real clocks are in the specs of pah.bench.
local function waiting(microseconds, names)
  local calls = {}
  for _, name in ipairs(names or {}) do
    calls[#calls + 1] = ('pah.bench(wait, {name = "%s", device = "cpu", warmup = 0.01})'):format(name)
  end
  return ([[
local seconds, n = %g * 1e-6 * tonumber(arg[1] or 1) * tonumber(os.getenv "TIMES" or 1), 0
local C = require("pah.ffi").C
local function wait()
  local stop = C.pah_clock() + 5e-4
  while C.pah_clock() < stop do end
end
require("pah.measure.timer").of = function()
  return function(fn, calls)
    for _ = 1, calls do fn() end
    n = n + 1
    local this = fn == wait and seconds * (1 + 0.01 * (n * 7 %% 11) / 11) or 1e-7
    return this, this, this, 0
  end
end
print "this is not shown"
]]):format(microseconds) .. table.concat(calls, "\n") .. (names and "" or "\nreturn wait\n")
end

-- What is measured where nothing hangs on it.
local brief = "pah.bench(function() end, {name = 'x', device = 'cpu', warmup = 0.01})\n"

describe("pah compare --interleave", function()
  setup(function()
    write("a.lua", waiting(500, {"x", "y"}))
    write("b.lua", waiting(600, {"x", "z"}))
    write("returns.lua", waiting(500))
    write("table.lua", "return {one = function() end, two = function() end}\n")
    write("fails.lua", "error 'no luck'\n")
    write("nothing.lua", "print(1)\n")
    write("quits.lua", "os.exit(7)\n")
    write("more.lua", waiting(500, {"x", "y", "w"}))
    write("grows.lua", ([[
local path = "%s/grown"
local grown = io.open(path)
local count = grown and #grown:read "*a" or 0
local file = io.open(path, "a")
file:write "."
file:close()
for i = 1, count < 2 and 1 or 2 do %s end
]]):format(folder, brief))
  end)

  local quick = " --pairs 3 --time 0.3 --quiet "

  local function says(expected, words)
    local out, err, code = compare(words .. quick)
    has(out, expected)
    return out, err, code
  end

  it("finds what is slower, pairs the points of both, and stores all samples", function()
    local out, err, code = says("B is slower: 1.2", "--interleave a.lua b.lua -o turns.db")
    assert.equal("", err)
    has(out, "y | z")
    has(out, "3 pairs of processes")
    assert.is_nil(out:find("not shown", 1, true))
    assert.equal(1, code)
    local runs = pah.results.read(folder .. "/turns.db").runs
    assert.equal(2, #runs)
    for _, run in ipairs(runs) do
      assert.equal(6, #run.rows)
      for _, row in ipairs(run.rows) do
        local sum = 0
        for _, n in ipairs(row.result.turns) do sum = sum + n end
        assert.equal(sum, #row.result.samples)
      end
    end
    _, _, code = compare(("turns.db#%s turns.db#%s"):format(runs[1].id, runs[2].id))
    assert.equal(1, code)
  end)

  it("takes scripts that return what is to be measured, with words and environment of their own", function()
    local _, _, code = says("B is slower: 1.", "--interleave returns.lua 'returns.lua 1.5'")
    assert.equal(1, code)
    local out
    out, _, code = says('"verdict": "faster"\n}', "--interleave 'TIMES=2 returns.lua' returns.lua --json")
    assert.equal(0, code)
    local c = pah.json.decode(out)
    assert.is_true(c.all.low < 0.5 and 0.5 < c.all.high or math.abs(c.all.ratio - 0.5) < 0.05, out)
  end)

  it("stores each side under the conditions of its own process, and points of one name apart", function()
    write("twice.lua", brief .. brief)
    local out, err = compare("--interleave 'PAH_ISA=generic OMP_NUM_THREADS=1 twice.lua' twice.lua -o own.jsonl"
      .. quick)
    has(out, "x #2")
    local runs = pah.results.read(folder .. "/own.jsonl").runs
    assert.equal(2, #runs, err)
    assert.same({"generic", "generic", "1"}, {runs[1].header.host.isa, runs[1].header.env.PAH_ISA,
      runs[1].header.env.OMP_NUM_THREADS})
    assert.equal(1, runs[1].header.host.threads)
    local info = pah.device("cpu"):info()
    assert.equal(info.isa, runs[2].header.host.isa)
    assert.is_nil(runs[2].header.env.PAH_ISA)
    assert.equal("cpu", runs[2].header.device)
    for _, run in ipairs(runs) do
      assert.equal(6, #run.rows)
      assert.same({{name = "name", values = {"x", "x #2"}}}, run.header.axes)
      for i, row in ipairs(run.rows) do
        assert.same({1 + (i - 1) % 2, math.ceil(i / 2), i % 2 == 1 and "name=x" or "name=x #2"},
          {row.index, row.round, row.key})
      end
    end
  end)

  it("refuses a bad file or metric before it measures anything", function()
    write("marks.lua", ("io.open('%s/mark', 'w'):close()\n%s"):format(folder, brief))
    write("words.db", "some text\n")
    for words, message in pairs {
      ["-o x.txt"] = "must end in .db, .sqlite or .jsonl",
      ["-o gone/x.jsonl"] = "No such file",
      ["-o words.db"] = "is no SQLite database",
      ["--metric back_to_back"] = "metric is back_to_back, which turns do not have; must be median, mean, min, q1, q3, "
        .. "cpu, wall",
      ["--metric speed"] = "metric is speed, which turns do not have",
    } do
      local out, err, code = compare("--interleave marks.lua marks.lua " .. words .. quick)
      has(err, message)
      assert.same({"", 3}, {out, code})
      assert.is_nil(io.open(folder .. "/mark"), words)
    end
    compare("--interleave marks.lua marks.lua" .. quick)
    assert(io.open(folder .. "/mark")):close() -- as it does once it is run
    compare("--interleave nothing.lua nothing.lua -o fresh.jsonl" .. quick)
    assert.is_nil(io.open(folder .. "/fresh.jsonl"))
  end)

  it("stores a pair when it has ended", function()
    write("pair.lua", ([[
local path, count = "%s/pair.count", 0
local file = io.open(path)
if file then
  count = file:read "*n"
  file:close()
end
file = io.open(path, "w")
file:write(count + 1)
file:close()
if count == 4 then error "no third pair" end
%s]]):format(folder, brief))
    local _, err, code = compare("--interleave pair.lua pair.lua -o pairs.jsonl" .. quick)
    has(err, "no third pair")
    assert.equal(3, code)
    for _, run in ipairs(pah.results.read(folder .. "/pairs.jsonl").runs) do assert.equal(2, #run.rows) end
  end)

  it("tells beforehand what it will find, which is nothing below the threshold", function()
    local _, err = compare "--interleave returns.lua returns.lua --pairs 4 --time 0.2 --threshold 9%"
    local percent = tonumber(err:match "4 pairs will find a slow%-down of about ([%d.]+) %%")
    assert.is_true(percent and percent >= 9, err)
  end)

  it("reports scripts that fail, or do not measure the same", function()
    for words, message in pairs {
      ["fails.lua a.lua"] = "fails.lua failed: ",
      ["nothing.lua nothing.lua"] = "measured nothing",
      ["quits.lua a.lua"] = "quits.lua ended before it was measured (exit code 7)",
      ["a.lua more.lua"] = 'more.lua measures more than a.lua: "w"',
      ["grows.lua grows.lua"] = "1 points were measured in one pair of processes and 2 in another",
    } do
      local out, err, code = compare("--interleave " .. words .. quick)
      has(err, message)
      assert.equal("", out)
      assert.equal(3, code)
    end
  end)

  -- Two points, and a file with the beginning and end of every call, by a clock that is the same in all processes.
  local logging = [[
local C, ffi = require("pah.ffi").C, require "ffi"
ffi.cdef "int getpid(void);"
local log = {}
local function call()
  local from = C.pah_clock()
  while C.pah_clock() < from + 5e-4 do end
  log[#log + 1] = ("%.9f %.9f %d"):format(from, C.pah_clock(), ffi.C.getpid())
end
for point = 1, 2 do pah.bench(call, {name = "point " .. point, device = "cpu", warmup = 0.02}) end
local file = io.open(arg[1] .. arg[2], "a")
file:write(table.concat(log, "\n"), "\n")
file:close()
]]

  -- What such scripts, A and B, have logged in so many pairs: {side, from, to, process} in the order of time.
  local function logged(pairs_, seed)
    local path = folder .. "/calls."
    write("logging.lua", logging)
    local function side(name)
      os.remove(path .. name)
      return interleave.parse(("%s/logging.lua %s %s"):format(folder, path, name))
    end
    local points = interleave.measure(side "A", side "B", {pairs = pairs_, time = 0.02 * pairs_, seed = seed})
    assert.equal(2, #points)
    local calls = {}
    for _, name in ipairs {"A", "B"} do
      for line in io.lines(path .. name) do
        local from, to, process = line:match "^(%S+) (%S+) (%S+)$"
        calls[#calls + 1] = {name, tonumber(from), tonumber(to), process}
      end
    end
    table.sort(calls, function(a, b) return a[2] < b[2] end)
    return calls
  end

  it("never runs both at once, neither in turns nor between the points", function()
    local calls, changes = logged(2, 1), 0
    for i = 2, #calls do
      local before, this = calls[i - 1], calls[i]
      if before[1] ~= this[1] then
        changes = changes + 1
        assert.is_true(before[3] <= this[2], ("%s until %.6f, %s from %.6f"):format(before[1], before[3], this[1],
          this[2]))
      end
    end
    assert.is_true(changes >= 2 * 2 * 3, tostring(changes)) -- warm-up and turns of two points in two pairs
  end)

  it("begins equally often with either, and takes turns in the order A B B A", function()
    local calls, pairs_ = logged(4, 5), {}
    for _, call in ipairs(calls) do -- of each pair the sides in the order of their calls, each once while it lasts
      local pair = pairs_[#pairs_]
      if not pair or not pair.processes[call[4]] and pair.count == 2 then
        pair = {processes = {}, count = 0, order = ""}
        pairs_[#pairs_ + 1] = pair
      end
      if not pair.processes[call[4]] then pair.processes[call[4]], pair.count = true, pair.count + 1 end
      if pair.order:sub(-1) ~= call[1] then pair.order = pair.order .. call[1] end
    end
    assert.equal(4, #pairs_)
    for i, first in ipairs(interleave.beginners(4, 5)) do -- warm-ups, two turns, and again
      assert.equal(first == 1 and "ABABABABA" or "BABABABAB", pairs_[i].order)
    end
    local firsts, first_of_all = 0, 0
    for seed = 1, 400 do
      local list = interleave.beginners(21, seed)
      assert.equal(21, #list)
      for i = 2, 20, 2 do
        assert.equal(3, list[i - 1] + list[i])
        firsts = firsts + list[i - 1] - 1
      end
      first_of_all = first_of_all + list[1] - 1
      assert.same(list, interleave.beginners(21, seed))
    end
    assert.is_true(math.abs(firsts - 2000) < 150, tostring(firsts))
    assert.is_true(math.abs(first_of_all - 200) < 50, tostring(first_of_all))
  end)

  it("takes a script's environment and words, and a table of what it measures", function()
    local side = interleave.parse(folder .. "/table.lua")
    assert.equal(folder .. "/table.lua", side.path)
    local parsed = interleave.parse("A=1 B_2=x " .. folder .. "/table.lua --option 3")
    assert.same({"A=1", "B_2=x"}, parsed.environment)
    assert.same({"--option", "3"}, parsed.words)
    local points = interleave.measure(side, side, {pairs = 2, time = 0.05, seed = 4})
    assert.equal(2, #points)
    assert.equal("one", points[1].key)
    assert.equal(2, #points[1].pairs)
  end)
end)

describe("pah.bench", function()
  -- The same C call in a loop that shares nothing with lua/pah/measure/init.lua and lua/pah/measure/timer.lua, by its
  -- own clock.
  it("agrees with an independent timing of the same C function #slow", function()
    local C, librt = require("pah.ffi").C, ffi.C
    ffi.cdef "struct spec_timespec { long s, ns; }; int clock_gettime(int, struct spec_timespec *);"
    local a = pah.randn({2 ^ 16}, {device = "cpu", seed = 1})
    local d = ffi.new "struct pah_diff"
    local raw = a.raw
    local function call() C.pah_tensor_diff(raw, raw, 0, 0, d) end
    local from, to = ffi.new "struct spec_timespec", ffi.new "struct spec_timespec"
    local function by_hand()
      local list = {}
      for i = 1, 200 do
        librt.clock_gettime(4, from) -- CLOCK_MONOTONIC_RAW
        for _ = 1, 4 do C.pah_tensor_diff(raw, raw, 0, 0, d) end
        librt.clock_gettime(4, to)
        list[i] = (tonumber(to.s - from.s) + 1e-9 * tonumber(to.ns - from.ns)) / 4
      end
      table.sort(list)
      return list[1]
    end
    -- The shortest of many that take turns: other programs only make some of them longer, and a sample of four calls
    -- is short enough to be left alone now and then.
    local ours, by_hands = math.huge, math.huge
    for i = 1, 40 do
      local r = pah.bench(call, {device = "cpu", min_time = 0.02, max_time = 5, max_samples = 50, warmup = 0,
        precision = 1, limits = false, setup = function() end})
      ours, by_hands = math.min(ours, r.min), math.min(by_hands, by_hand())
      if i >= 10 and ours / by_hands > 0.9 and ours / by_hands < 1.1 then break end
    end
    local ratio = ours / by_hands
    assert.is_true(ratio > 0.8 and ratio < 1.25, tostring(ratio)) -- a clock wrong by a factor of 1.3 shows
  end)
end)
