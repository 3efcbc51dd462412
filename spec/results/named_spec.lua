-- named_spec.lua - FILE, FILE#RUN, FILE#all and --run: which runs of a file every command reads.
local child = require "spec.support.child"
local named = require "pah.results.named"
local pah_results = require "pah.results"
local results = require "spec.support.results"

local folder = child.folder()
teardown(function() os.execute("rm -r " .. child.quoted(folder)) end)

local ids = {"20261125T204005-1a2b3c4d", "20261126T204005-1a2bffff", "20261127T204005-99999999"}
local file, odd = folder .. "/r.jsonl", folder .. "/a#b.jsonl"

setup(function()
  for i, id in ipairs(ids) do
    local run = results.run{run = id, name = i < 3 and "early" or "late", started = ("2026-11-2%dT00:00:00Z"):format(i)}
    for _, path in ipairs {file, i == 1 and odd or nil} do
      local store = pah_results.open(path, run.header)
      store:add_all(run.rows)
      store:close()
    end
  end
end)

local function read(name)
  local list = {}
  for i, run in ipairs((named.read("spec", name))) do list[i] = run.id end
  return list
end

describe("the name of runs", function()
  it("is the last run without a word, and says so", function()
    local runs = named.read("spec", file)
    assert.same({ids[3], 3, 1}, {runs[1].id, runs[1].last_of, #runs})
    assert.equal(("run %s, the last of 3"):format(ids[3]), named.sentence(runs[1]))
    assert.is_nil(named.read("spec", odd)[1].last_of)
  end)

  it("takes ids, parts of them, names, last and all", function()
    for which, wanted in pairs {[ids[1]] = {ids[1]}, ["20261126"] = {ids[2]}, ["9999"] = {ids[3]}, late = {ids[3]},
      early = {ids[1], ids[2]}, all = ids, last = {ids[3]}} do
      assert.same(wanted, read(file .. "#" .. which))
    end
    assert.same({ids[1]}, read(odd)) -- the file's own #
    assert.same({ids[1]}, read(odd .. "#all"))
  end)

  it("says what is wrong", function()
    for name, words in pairs {[file .. "#1a2b"] = 'has more than one run "1a2b"; the last ones are ' .. ids[1],
      [file .. "#x"] = 'has no run "x"; the last ones are', [folder .. "/gone.db"] = "gone.db: No such file"} do
      local ok, why = pcall(named.read, "spec", name)
      assert.is_false(ok)
      assert.truthy(why:find(words, 1, true), why)
    end
  end)

  it("may be said by --run, for files without #", function()
    assert.same({"a", "b#1", odd}, named.with({"a", "b#1", odd}, "last"))
    assert.same({"a#all", "b#1", odd .. "#all"}, named.with({"a", "b#1", odd}, "all"))
  end)
end)

describe("the commands", function()
  it("take the same names", function()
    local out = child.run(folder, "results r.jsonl --format csv --run early")
    assert.equal(21, select(2, out:gsub("\n", "")))
    local text, err = child.run(folder, "results r.jsonl#all --format csv")
    assert.same({31, ""}, {select(2, text:gsub("\n", "")), err})
    text, err = child.run(folder, "results r.jsonl --format csv")
    assert.equal(11, select(2, text:gsub("\n", "")))
    assert.truthy(err:find(ids[3] .. ", the last of 3; #all means all of them", 1, true), err)
    assert.truthy((child.run(folder, "results r.jsonl")):find(ids[3] .. ", the last of 3: ", 1, true))
    out = child.run(folder, "plot r.jsonl")
    assert.truthy(out:find(ids[3] .. ", the last of 3", 1, true), out)
    out = child.run(folder, "plot r.jsonl --run 1a2bffff")
    assert.truthy(out:find("run " .. ids[2], 1, true), out)
    out = child.run(folder, "plot r.jsonl a#b.jsonl")
    assert.truthy(out:find("the last runs of their files", 1, true), out)
    out = child.run(folder, "compare r.jsonl#1a2b3c4d r.jsonl")
    assert.truthy(out:find("A: r.jsonl#1a2b3c4d, run " .. ids[1] .. ",", 1, true), out)
    assert.truthy(out:find("B: r.jsonl, run " .. ids[3] .. ", the last of 3,", 1, true), out)
  end)
end)
