-- sweep_spec.lua - pah.sweep: points, rounds, failing points, what a resume refuses, and sweeps that are killed at any
-- moment, which must end with exactly the rows of one that was not.
local child = require "spec.support.child"
local C = require("pah.ffi").C

local folder = child.folder()
teardown(function() os.execute("rm -r " .. folder) end)
local formats = {"jsonl"}
if require("pah.results.sqlite").usable() then formats[2] = "db" end

local refused = require "spec.support.refused"

local new_path = child.paths(folder)

-- A sweep that says nothing; the order of its points is in `log`.
local function sweep(opts, log)
  local o = {axes = {a = {1, 2, 3}, b = {"x", "y"}}, quiet = true}
  for key, value in pairs(opts) do o[key] = value end
  local run = o.run or function(p) return {twice = 2 * p.a} end
  o.run = function(p, at)
    if log then log[#log + 1] = at.round .. " " .. at.key end
    return run(p, at)
  end
  return pah.sweep(o)
end

local function keys(rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = row.index .. " " .. row.round .. " " .. row.key end
  return list
end

describe("pah.range and pah.powers", function()
  it("are lists of numbers", function()
    assert.same({1, 2, 3}, pah.range(1, 3))
    assert.same({0, 0.25, 0.5, 0.75, 1}, pah.range(0, 1, 0.25))
    assert.same({8, 5, 2}, pah.range(8, 1, -3))
    assert.same({}, pah.range(2, 1))
    assert.equal(11, #pah.range(0, 1, 0.1))
    assert.same({1, 2, 4, 8}, pah.powers(1, 15))
    assert.same({16, 64, 256}, pah.powers(16, 256, 4))
    refused("step is 0", pah.range, 1, 2, 0)
    refused("a is x, must be a number", pah.range, "x", 2)
    refused("base is 1, must be above 1", pah.powers, 1, 2, 1)
    refused("a is 0, must be above 0", pah.powers, 0, 2)
  end)
end)

describe("the axes of a command line", function()
  local parse = require("pah.experiment.axes").parse
  local numbers, words = {values = {1}}, {values = {"f32"}, choices = {"f32", "bf16"}}

  it("are lists, ranges and powers", function()
    assert.same({16, 32}, parse(numbers, "16,32"))
    assert.same({1, 2, 3, 8}, parse(numbers, "1:3, 8"))
    assert.same({1, 4, 7}, parse(numbers, "1:9+3"))
    assert.same({3, 2, 1}, parse(numbers, "3:1"))
    assert.same({1, 2, 4, 8, 16, 32, 64}, parse(numbers, "1:64*2"))
    assert.same({-1, 0.5}, parse(numbers, "-1,0.5"))
    assert.same({"bf16", "f32"}, parse(words, "bf16,f32"))
    assert.same({true, false}, parse({values = {false}}, "yes,false"))
  end)

  it("are refused with a reason", function()
    local function wrong(axis, text, message)
      local values, why = parse(axis, text)
      assert.is_nil(values)
      assert.is_truthy(why:find(message, 1, true), why)
    end
    wrong(numbers, "x", '"x" is not a number, nor A:B')
    wrong(numbers, "", '"" is not a number')
    wrong(numbers, "1:", '"1:" is not a number')
    wrong(numbers, "1:8*1", '"1:8*1" multiplies from above 0 by more than 1')
    wrong(numbers, "0:8*2", '"0:8*2" multiplies')
    wrong(numbers, "1:8+-1", '"1:8+-1" never arrives')
    wrong(numbers, "8:1*2", '"8:1*2" names no value')
    wrong(numbers, "1:3,2", "names 2 twice")
    wrong(words, "bf61", '"bf61" is not one of f32, bf16; did you mean "bf16"?')
    wrong({values = {true}}, "maybe", '"maybe" is not true or false')
  end)
end)

describe("pah.sweep", function()
  it("measures every point once a round, rounds one after another, in random order", function()
    local log, again = {}, {}
    local rows = sweep({rounds = 3, axes = {a = pah.range(1, 6), b = {"x", "y"}}}, log)
    assert.equal(36, #rows)
    assert.equal(36, #log)
    local orders = {}
    for round = 1, 3 do
      local seen, order = {}, {}
      for i = 12 * round - 11, 12 * round do
        local r, key = log[i]:match "^(%d+) (.*)$"
        assert.equal(round, tonumber(r))
        assert.is_nil(seen[key])
        seen[key], order[#order + 1] = true, key
      end
      orders[round] = table.concat(order, "\n")
    end
    assert.is_true(orders[1] ~= orders[2] and orders[2] ~= orders[3])
    sweep({rounds = 3, axes = {a = pah.range(1, 6), b = {"x", "y"}}}, again)
    assert.same(log, again)
    sweep({rounds = 1, seed = 2, axes = {a = pah.range(1, 6), b = {"x", "y"}}}, again)
    assert.are_not.equal(orders[1], table.concat(again, "\n", 37):gsub("1 a", "a"))
  end)

  it("numbers the points of the whole grid, the last axis fastest", function()
    assert.same({"1 1 a=1 b=x", "2 1 a=1 b=y", "3 1 a=2 b=x", "4 1 a=2 b=y", "5 1 a=3 b=x", "6 1 a=3 b=y"},
      keys(sweep {}))
    local where = function(p) return p.a ~= 2 end
    assert.same({"1 1 a=1 b=x", "2 1 a=1 b=y", "5 1 a=3 b=x", "6 1 a=3 b=y"}, keys(sweep {where = where}))
    local listed = {{name = "b", "x", "y"}, {name = "a", pah.range(1, 2)}}
    assert.same({"1 1 b=x a=1", "2 1 b=x a=2", "3 1 b=y a=1", "4 1 b=y a=2"}, keys(sweep {axes = listed}))
    local on = sweep {axes = {{name = "on", true, false}}, run = function() end}
    assert.same({"1 1 on=true", "2 1 on=false"}, keys(on))
  end)

  it("takes a result, values or both", function()
    local r = setmetatable({median = 1, samples = {1, 1, 1}}, {__tostring = function() return "r" end})
    local function row(value, more) return sweep({axes = {a = {1}}, run = function() return value, more end})[1] end
    assert.same({1, {}}, {row(r).result.median, row(r).values})
    assert.same({1, {err = 2}}, {row({bench = r, err = 2}).result.median, row({bench = r, err = 2}).values})
    assert.same({1, {err = 2}}, {row(r, {err = 2}).result.median, row(r, {err = 2}).values})
    assert.same({{value = 3}}, {row(3).values})
    assert.same({{n = 3}}, {row({n = 3LL}).values})
    assert.is_nil(row(nil).result)
    assert.is_truthy(row({a = r, b = r}).error:find "two results of pah.bench")
    assert.is_truthy(row({a = {}}).error:find "a is a table, must be a number, string, boolean or one result")
    assert.is_truthy(row(print).error:find "returned a function")
    assert.equal(2, row({counted = true, launches = 2}).result.launches)
  end)

  it("keeps a failing point as a row and goes on", function()
    for _, format in ipairs(formats) do
      local path = new_path(format)
      local function run(p)
        if p.a == 2 then error "two is not to be had" end
        return {n = p.a}
      end
      local rows = sweep {run = run, store = path}
      assert.same({6, 2}, {#rows, rows.failed})
      assert.is_truthy(rows[3].error:find "^[^\n]*sweep_spec.lua:%d+: two is not to be had\nstack traceback:\n")
      assert.is_falsy(rows[3].error:find "sweep.lua:", rows[3].error)
      assert.same({"error", "ok"}, {rows[3].status, rows[5].status})
      assert.same(keys(rows), keys(sweep {run = run, store = path}))
      local other = new_path(format)
      refused("a=2 b=", sweep, {run = run, on_error = "stop", store = other})
      local stopped = pah.results.read(other).runs[1].rows
      assert.equal("error", stopped[#stopped].status)
    end
  end)

  it("measures only what is missing, or all anew", function()
    for _, format in ipairs(formats) do
      local path, log = new_path(format), {}
      local left = 3
      local run = function(p)
        left = left - 1
        if left < 0 then error "stop" end
        return {n = p.a}
      end
      refused("stop", sweep, {store = path, on_error = "stop", run = run}, log)
      left = 100
      local rows = sweep({store = path, run = run}, log)
      assert.equal(6, #rows) -- three, the failed one and the rest
      assert.equal(1, rows.failed)
      assert.equal(6, #log)
      assert.equal(6, #sweep({store = path, run = run}, log))
      assert.equal(6, #log)
      assert.equal(12, #sweep({store = path, run = run, rounds = 2}, log))
      assert.equal(12, #log)
      assert.equal(12, #sweep({store = path, run = run}, log)) -- a smaller number of rounds takes nothing away
      local fresh = sweep({store = path, run = run, fresh = true}, log)
      assert.same({6, 18}, {#fresh, #log})
      assert.are_not.equal(rows.run, fresh.run)
      assert.equal(2, #pah.results.read(path).runs)
    end
  end)

  it("refuses to go on with another grid", function()
    for _, format in ipairs(formats) do
      local path = new_path(format)
      local twos = function(p) return p.a ~= 2 end
      sweep {store = path, where = function(p) return p.a ~= 3 end}
      refused("axis a was [1,2,3] and is [1,2]", sweep, {store = path, axes = {a = {1, 2}, b = {"x", "y"}}})
      refused("seed was 1 and is 2", sweep, {store = path, seed = 2})
      refused("options was nil and is", sweep, {store = path, options = {n = 1}})
      refused("of the stored run was a=2 b=", sweep, {store = path, where = twos})
      refused(" and is left out by where", sweep, {store = path, where = twos})
      child.write(folder .. "/k.cu", "one")
      sweep {store = path, name = "files", files = {folder .. "/k.cu"}}
      sweep {store = path, name = "files", files = {folder .. "/k.cu"}}
      child.write(folder .. "/k.cu", "two")
      refused("files was", sweep, {store = path, name = "files", files = {folder .. "/k.cu"}})
      refused("cannot be read", sweep, {files = {folder .. "/none.cu"}})
    end
  end)

  it("tells errors alike once, and gives up where the first five are", function()
    local function fails(p) error(("no luck with %d"):format(p.n)) end
    local grid = {n = pah.range(1, 12)}
    local calls = 0
    refused("sweep: the first 5 points fail alike, 7 are not measured", pah.sweep, {axes = grid, quiet = true,
      run = function(p)
        calls = calls + 1
        fails(p)
      end})
    assert.equal(5, calls)
    assert.equal(12, pah.sweep({axes = grid, quiet = true, run = fails, on_error = "row"}).failed)
    -- five points are all there are; one of the first is measured; two kinds of errors
    assert.equal(5, pah.sweep({axes = {n = pah.range(1, 5)}, quiet = true, run = fails}).failed)
    local count = 0
    assert.equal(11, pah.sweep({axes = grid, quiet = true, run = function(p)
      count = count + 1
      if count ~= 3 then fails(p) end
    end}).failed)
    assert.equal(12, pah.sweep({axes = grid, quiet = true, run = function(p)
      count = count + 1
      if count % 2 == 0 then error "another one" end
      fails(p)
    end}).failed)
  end)

  it("names what is wrong with its arguments", function()
    refused("axes is missing, must be a table", pah.sweep, {})
    refused("run is missing", pah.sweep, {axes = {a = {1}}})
    refused('unknown option "axis", did you mean "axes"?', pah.sweep, {axis = {}})
    refused("axis a has no values", sweep, {axes = {a = {}}})
    refused("axis a has 1 twice", sweep, {axes = {a = {1, 1}}})
    refused("value 2 of axis a is a string, must be a number as the first", sweep, {axes = {a = {1, "x"}}})
    refused("value 1 of axis a is a table", sweep, {axes = {a = {{}}}})
    refused("an axis is named 1a", sweep, {axes = {["1a"] = {1}}})
    refused("axis a stands twice", sweep, {axes = {{name = "a", 1}, {name = "a", 2}}})
    refused('axis a: unknown option "valus"', sweep, {axes = {{name = "a", valus = {2}}}})
    refused("where leaves none of 6 points", sweep, {where = function() return false end})
    refused("rounds is 0, must be a whole number from 1", sweep, {rounds = 0})
    refused('on_error is "x", must be "row" or "stop"', sweep, {on_error = "x"})
    local rows = sweep {run = function(p) return p.aa end, on_error = "row"}
    assert.is_truthy(rows[1].error:find 'no axis is named aa, did you mean "a"?')
  end)
end)

-- ---- Killed -------------------------------------------------------------------------------------------------------

-- A sweep of points with many samples, so that most of its time goes into storing them.
local script = [[
local samples = {}
for i = 1, 1500 do samples[i] = i / 7 end
local rows = pah.sweep{name = "killed", axes = {{name = "a", pah.range(1, COUNT)}, {name = "b", "x", "y"}},
  rounds = 2, store = arg[1], quiet = true,
  run = function(p)
    if p.a == 3 then error "three" end
    return {err = p.a / 3, b = p.b, bench = {median = p.a / 7, samples = samples}}
  end}
print(#rows)]]

-- What must be in the file, whatever happened: each identity once, and what its point gives.
local function check_rows(path, total)
  local file = pah.results.read(path)
  assert.same({}, file.notes)
  assert.equal(1, #file.runs)
  local seen, rows = {}, file.runs[1].rows
  assert.equal(4 * total, #rows)
  for _, row in ipairs(rows) do
    local identity = row.index .. " " .. row.round
    assert.is_nil(seen[identity])
    seen[identity] = true
    local a, b = math.ceil(row.index / 2), row.index % 2 == 1 and "x" or "y"
    assert.equal(("a=%d b=%s"):format(a, b), row.key)
    if a == 3 then
      assert.equal("error", row.status)
    else
      assert.is_true(row.values.err == a / 3 and row.values.b == b and row.result.median == a / 7)
      assert.is_true(#row.result.samples == 1500 and row.result.samples[1500] == 1500 / 7)
    end
  end
  if path:match "jsonl$" then -- nothing but the header and the rows, no line twice
    local _, lines = child.read(path):gsub("\n", "")
    assert.equal(4 * total + 1, lines)
  end
end

-- Kills the sweep at random moments until it has been killed `kills` times, then lets it end.
local function kill_and_check(format, kills, total)
  local path, killed, random = new_path(format), 0, C.pah_clock() * 1e6 % 2147483647
  child.write(folder .. "/killed.lua", (script:gsub("COUNT", tostring(total))))
  while killed < kills do
    random = random * 16807 % 2147483647
    local _, err, code = child.run(folder, "killed.lua " .. path,
      ("timeout -s KILL %.4f"):format(0.02 + 0.2 * random / 2147483647))
    assert.is_true(code == 137 or code == 0, ("%d %s"):format(code, err))
    if code == 0 then -- it was too fast: what it has must be right, and the next begins anew
      check_rows(path, total)
      path = new_path(format)
    else
      killed = killed + 1
    end
  end
  local out, err, code = child.run(folder, "killed.lua " .. path)
  assert.equal(0, code, err)
  assert.equal(tostring(4 * total), out:match "%d+")
  check_rows(path, total)
end

describe("a sweep that is killed", function()
  for _, format in ipairs(formats) do
    it("ends with the rows of one that was not: " .. format, function() kill_and_check(format, 4, 6) end)

    it("50 times ends with the rows of one that was not: " .. format .. " #slow", function()
      kill_and_check(format, 50, 250)
    end)

    it("ends cleanly at Ctrl-C and goes on: " .. format, function()
      local path = new_path(format)
      child.write(folder .. "/ctrl_c.lua", [[
        jit.off() -- a compiled loop that calls nothing does not look for Ctrl-C
        require("ffi").cdef "int raise(int);"
        local stop = arg[2] == "stop"
        local n = 0
        local rows = pah.sweep{name = "c", axes = {a = pah.range(1, 8)}, store = arg[1], run = function(p)
          n = n + 1
          if stop and n == 4 then
            require("ffi").C.raise(2)
            while true do local x = tostring(n) end
          end
          return {a = p.a}
        end}
        print(#rows, n)]])
      local _, err, code = child.run(folder, ("ctrl_c.lua %s stop"):format(path), "timeout 120")
      assert.equal(130, code, err)
      assert.is_truthy(err:find("interrupted: 3 of 8 rows are in " .. path, 1, true), err)
      assert.equal(3, #pah.results.read(path).runs[1].rows)
      local out = child.run(folder, "ctrl_c.lua " .. path)
      assert.equal("8\t5\n", out)
    end)
  end

  it("shows its progress on a terminal only, and nothing that is quiet", function()
    child.write(folder .. "/bar.lua", [[
      pah.sweep{name = "bar", axes = {a = {1, 2, 3}}, quiet = arg[1] == "quiet", run = function(p)
        if p.a == 2 then error "no" end
      end}]])
    local program = child.quoted(require("pah.host").exe)
    local function on_terminal(words, environment)
      local command = ("env TERM=xterm %s %s bar.lua %s"):format(environment or "", program, words or "")
      local pipe = io.popen(("cd %s && script -qec %s /dev/null </dev/null"):format(folder, child.quoted(command)))
      local text = pipe:read "*a"
      pipe:close()
      return text
    end
    if os.execute "command -v script >/dev/null" ~= 0 then return pending "script(1) is not installed" end
    local text = on_terminal()
    assert.is_truthy(text:find("left ?", 1, true) and text:find "%] 2/3[^\r]*left %d+:%d%d", text)
    assert.is_truthy(text:find("1 of 3 rows are errors", 1, true), text)
    assert.is_falsy(on_terminal("", "NO_COLOR=1"):find("\27", 1, true))
    assert.equal("", on_terminal "quiet")
    local _, err = child.run(folder, "bar.lua")
    assert.is_falsy(err:find("2/3", 1, true), err)
  end)
end)
