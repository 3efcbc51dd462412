-- aa_test.lua - how often pah compare is wrong on this machine: the same thing against itself, and against 1.05 of it.
-- Prints a line for every comparison and what share was called different, was found, and had the truth in its interval.
-- Run it with `pah scripts/studies/aa_test.lua`; doc/comparing.md has results.
local host = require "pah.host"

local opt = pah.options{
  times = {"comparisons of the same thing", 20}, planted = {"comparisons with 21 calls instead of 20", 10},
  mode = {"how: turns, files, both", "both", choices = {"turns", "files", "both"}},
  pairs = {"pairs of processes", 10}, time = {"seconds of turns", 3, type = "number"},
  rounds = {"rounds of a run in a file", 3},
}

local folder = arg[0]:match "^(.*)/[^/]*$" or "."
local file = os.tmpname()
local kinds = {"decode", "prefill", "copy"}

local function quoted(word) return "'" .. word .. "'" end

-- The comparison as a table.
local function compare(words)
  local pipe = assert(io.popen(quoted(host.exe) .. " compare --json --quiet " .. words .. " 2>&1"))
  local output = pipe:read "*a"
  pipe:close()
  return assert(pah.json.decode(output, output))
end

local function interleaved(i, count)
  local side = ("'%s/aa_work.lua --kind %s --count %%d'"):format(folder, kinds[i % #kinds + 1])
  return compare(("--interleave %s %s --pairs %d --time %g"):format(side:format(20), side:format(count), opt.pairs,
    opt.time))
end

local function by_files(_, count)
  local paths = {}
  for which, n in ipairs {20, count} do
    paths[which] = ("%s.%d.jsonl"):format(file, which)
    os.remove(paths[which])
    assert(os.execute(("%s %s/aa_work.lua --store %s --count %d --rounds %d"):format(quoted(host.exe), folder,
      paths[which], n, opt.rounds)) == 0)
  end
  return compare(paths[1] .. " " .. paths[2])
end

local function try(name, how, times, count)
  local truth, called, found, covered, points, wrong, halves = count / 20, 0, 0, 0, 0, 0, {}
  for i = 1, times do
    local c = how(i, count)
    local all = c.all
    local hit = all.verdict == "slower" or all.verdict == "faster"
    if hit then called = called + 1 end
    if all.verdict == "slower" then found = found + 1 end
    if all.low <= truth and truth <= all.high then covered = covered + 1 end
    halves[i] = all.half
    for _, point in ipairs(c.points) do
      points = points + 1
      if point.low > truth or point.high < truth then wrong = wrong + 1 end
    end
    print(("%s %d: %.3f [%.3f, %.3f] %s"):format(name, i, all.ratio, all.low, all.high, all.verdict))
    io.stdout:flush()
  end
  if times == 0 then return end
  table.sort(halves)
  local what = count == 20 and ("%d called different"):format(called) or ("%d found slower"):format(found)
  print(("%s: %d comparisons, %s, truth in the interval %d times, of points %d in %d; half an interval %.1f %%"):format(
    name, times, what, covered, points - wrong, points, 100 * halves[math.ceil(#halves / 2)]))
end

for _, mode in ipairs {"turns", "files"} do
  if opt.mode == mode or opt.mode == "both" then
    local how = mode == "turns" and interleaved or by_files
    try("same, " .. mode, how, opt.times, 20)
    try("1.05, " .. mode, how, opt.planted, 21)
  end
end
for which = 1, 2 do os.remove(("%s.%d.jsonl"):format(file, which)) end
os.remove(file)
