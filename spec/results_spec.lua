-- results_spec.lua - results files: the same content in both formats, two writers, unfinished lines, full disks, files
-- that are none. Sweeps that are killed stand in sweep_spec.lua.
local child = require "spec.support.child"
local schema = require "pah.results_schema"

local folder = child.folder()
local formats = {"jsonl"}
if require("pah.sqlite").usable() then formats[2] = "db" end

local refused = require "spec.support.refused"

local new_path = child.paths(folder)

local axes = {{name = "size", values = {16, 32, 0.1}}, {name = "dtype", values = {"f32", "bf16"}}}

local function header() return {name = "spec", axes = axes, seed = 7, options = {batch = 3}} end

local rows = {
  {index = 1, round = 1, axes = {size = 16, dtype = "f32"}, seconds = 0.1, measured_at = "2026-11-25T20:40:05Z",
    result = {median = 1 / 3, low = 0.3, high = 0.4, n = 3, samples = {1 / 3, 5e-324, 1.7976931348623157e308},
      notes = {"a", "b"}, cold = false, work = {pairs = 10}, bytes_per_second = 2 ^ 60},
    values = {err = 1e-9, ok = true, text = 'quote " and \\ and \n and \1 and \xc3\xa9', big = 2 ^ 53, minus = -0.5,
      even = 2 ^ 53 + 2, most = 2 ^ 63, least = -2 ^ 63, beyond = 2 ^ 64 + 4096}},
  {index = 2, round = 2, axes = {size = 16, dtype = "bf16"}, error = "line 1\nline 2",
    measured_at = "2026-11-25T20:40:06Z"},
  {index = 6, round = 1, axes = {size = 0.1, dtype = "bf16"}, measured_at = "2026-11-25T20:40:07Z",
    values = {none = 0 / 0, plus = math.huge, minus = -math.huge, zero = -0.0}},
}

local function fill(path)
  local store = pah.results.open(path, header())
  for _, row in ipairs(rows) do store:add(row) end
  store:close()
  return store.run
end

describe("a results file", function()
  local content = {}

  for _, format in ipairs(formats) do
    it("holds what was put in: " .. format, function()
      local path = new_path(format)
      local id = fill(path)
      local file = pah.results.read(path)
      assert.equal(format == "db" and "sqlite" or "jsonl", file.format)
      assert.same({}, file.notes)
      assert.equal(1, #file.runs)
      local run = file.runs[1]
      assert.equal(id, run.id)
      assert.is_truthy(id:match "^%d%d%d%d%d%d%d%dT%d%d%d%d%d%d%-%x%x%x%x%x%x%x%x$")
      assert.equal(3, #run.rows)
      assert.same(rows[1].result, run.rows[1].result)
      assert.same(rows[1].values, run.rows[1].values)
      assert.equal("size=16 dtype=f32", run.rows[1].key)
      assert.equal("size=0.1 dtype=bf16", run.rows[3].key)
      assert.equal("error", run.rows[2].status)
      assert.equal("line 1\nline 2", run.rows[2].error)
      assert.is_nil(run.rows[2].result)
      local v = run.rows[3].values
      assert.is_true(v.none ~= v.none and v.plus == math.huge and v.minus == -math.huge)
      assert.equal(-math.huge, 1 / v.zero)
      for name, value in pairs(run.rows[1].values) do assert.equal(type(rows[1].values[name]), type(value), name) end
      local h = run.header
      assert.same({schema.version, id, "spec", "cpu", 7}, {h.schema, h.run, h.name, h.device, h.seed})
      assert.same({batch = 3}, h.options)
      assert.same(axes, h.axes)
      assert.is_truthy(h.started:match "^%d+%-%d+%-%d+T%d+:%d+:%d+Z$")
      assert.is_truthy(h.host.cpu ~= "" and h.host.threads >= 1 and h.host.kernel and h.host.name)
      assert.is_truthy(h.pah.version == pah.version and #h.pah.program_sha256 == 64 and h.compiler:match "^%a+ ?%d*")
      h.run, h.started, h.host.load, h.host.mhz = nil, nil, nil, nil
      run.rows[3].values = nil -- NaN is not the same as itself
      content[format] = {header = h, rows = run.rows}
    end)
  end

  it("holds the same in both formats", function()
    if #formats == 1 then return pending "SQLite is not installed" end
    assert.same(content.jsonl, content.db)
  end)

  for _, format in ipairs(formats) do
    it("holds several runs, in order of their start: " .. format, function()
      local path = new_path(format)
      local first = fill(path)
      local late = header()
      late.started = "2000-01-01T00:00:00Z"
      pah.results.open(path, late):close()
      local runs = pah.results.read(path).runs
      assert.equal(2, #runs)
      assert.equal(first, runs[2].id)
      assert.equal(0, #runs[1].rows)
    end)

    it("is written by two processes at once: " .. format, function()
      local path = new_path(format)
      child.write(folder .. "/writer.lua", [[
        local store = pah.results.open(arg[1], {name = arg[2]})
        for i = 1, 60 do store:add{index = i, values = {text = (arg[2]):rep(3000)}} end
        store:close()]])
      local words = "writer.lua %s a & pid=$!; %s writer.lua %s b; one=$?; wait $pid && exit $one"
      local _, err, code = child.run(folder, words:format(path, child.quoted(require("pah.host").exe), path))
      assert.equal(0, code, err)
      local file = pah.results.read(path)
      assert.same({}, file.notes)
      assert.equal(2, #file.runs)
      for _, run in ipairs(file.runs) do
        assert.equal(60, #run.rows)
        for i, row in ipairs(run.rows) do
          assert.is_true(row.index == i and row.values.text == run.header.name:rep(3000))
        end
      end
    end)

    it("goes on with a run, which has one writer at a time: " .. format, function()
      local path = new_path(format)
      local store, had = pah.results.resume(path, header())
      assert.same({}, had)
      store:add(rows[1])
      refused("is being measured by another process", pah.results.resume, path, header())
      store:close()
      store:close()
      refused("is closed", store.add, store, rows[2])
      local again, have = pah.results.resume(path, header())
      assert.equal(store.run, again.run)
      assert.equal(1, #have)
      assert.same(rows[1].result, have[1].result)
      again:add(rows[2])
      again:close()
      assert.equal(2, #pah.results.read(path).runs[1].rows)
    end)

    it("names what has changed since: " .. format, function()
      local path = new_path(format)
      fill(path)
      local function change(field, value, message)
        local h = header()
        h[field] = value
        refused(message, pah.results.resume, path, h)
      end
      change("seed", 8, "seed was 7 and is 8")
      change("options", {batch = 4}, 'options was {"batch":3} and is {"batch":4}')
      change("axes", {axes[2], axes[1]}, "the axes stand in another order")
      change("axes", {axes[1]}, "axis dtype is gone")
      change("axes", {axes[1], axes[2], {name = "x", values = {1}}}, "axis x is new")
      change("axes", {{name = "size", values = {16}}, axes[2]}, "axis size was [16,32,0.1] and is [16]")
      change("script_sha256", "ff", "the script has changed")
      local stored = pah.results.read(path).runs[1].header.pah
      stored.program_sha256 = "ff"
      change("pah", stored, "the program pah has changed")
      local other = header()
      other.name = "another"
      local store, had = pah.results.resume(path, other)
      store:close()
      assert.same({}, had)
    end)

    it("refuses a newer schema and what is no results file: " .. format, function()
      local path = new_path(format)
      child.write(path, "some text\n")
      local before = child.read(path)
      refused("is no", pah.results.read, path)
      refused("is no", pah.results.open, path, header())
      assert.equal(before, child.read(path))
      assert(os.execute(("mkdir %s/d%s.%s"):format(folder, format, format)) == 0)
      refused("is a folder", pah.results.open, ("%s/d%s.%s"):format(folder, format, format), header())
      refused("is a folder", pah.results.read, ("%s/d%s.%s"):format(folder, format, format))
      refused("No such file", pah.results.read, ("%s/none.%s"):format(folder, format))
      refused("No such file", pah.results.open, ("%s/none/x.%s"):format(folder, format), header())
      refused("ermission denied", pah.results.open, "/sys/x." .. format, header()) -- for root too
      if format == "jsonl" then
        child.write(path, '{"schema":2,"run":"x"}\n')
      else
        os.remove(path)
        fill(path)
        local db = require("pah.sqlite").open(path, "write")
        db:run "PRAGMA user_version = 2"
        db:close()
      end
      refused("has schema 2, written by a newer pah; this one knows 1", pah.results.read, path)
      refused("has schema 2", pah.results.resume, path, header())
    end)

    it("keeps what it held when the disk is full: " .. format, function()
      local path = new_path(format)
      child.write(folder .. "/full.lua", [[
        local store = pah.results.open(arg[1], {name = "full"})
        for i = 1, 100 do store:add{index = i, values = {text = ("x"):rep(3000)}} end]])
      local _, err, code = child.run(folder, "full.lua " .. path, "trap '' XFSZ; ulimit -f 100;")
      assert.equal(1, code)
      assert.is_truthy(err:find(path, 1, true) and err:find "File too large" or err:find "disk", err)
      assert.is_truthy(err:find "full.lua:2", err)
      local file = pah.results.read(path)
      local n = #file.runs[1].rows
      assert.is_true(n >= 3 and n < 100, tostring(n))
      assert.same({}, file.notes)
      for i, row in ipairs(file.runs[1].rows) do assert.is_true(row.index == i and #row.values.text == 3000) end
    end)

    it("checks a row before it is written: " .. format, function()
      local path = new_path(format)
      local store = pah.results.open(path, header())
      refused("a row is a number", store.add, store, 3)
      refused('unknown option "indx", did you mean "index"?', store.add, store, {indx = 3})
      refused("index is 0, must be a whole number from 1", store.add, store, {index = 0})
      refused("values.f is a function", store.add, store, {index = 1, values = {f = print}})
      refused("values.t is a table, must be a number, string or boolean", store.add, store,
        {index = 1, values = {t = {}}})
      refused("result has the key", store.add, store, {index = 1, result = {[3] = 1, [1] = 2}})
      refused("status is bad", store.add, store, {index = 1, status = "bad"})
      store:close()
      assert.equal(0, #pah.results.read(path).runs[1].rows)
      refused('unknown option "nme", did you mean "name"?', pah.results.open, path, {nme = "x"})
      refused("must end in .db, .sqlite or .jsonl", pah.results.open, folder .. "/x.txt", header())
    end)
  end
end)

describe("JSON lines", function()
  -- A file of three rows, cut so that its last line lacks `missing` bytes.
  local function torn(missing)
    local path = new_path "jsonl"
    fill(path)
    local text = child.read(path)
    child.write(path, text:sub(1, #text - missing))
    return path, text
  end

  it("report an unfinished last line, and mend it when they are gone on with", function()
    for _, missing in ipairs {2, 30, 100} do
      local path = torn(missing)
      local file = pah.results.read(path)
      assert.equal(2, #file.runs[1].rows)
      assert.is_truthy(file.notes[1]:find("the last line is not finished", 1, true))
      child.write(folder .. "/mend.lua", [[
        local axes = {{name = "size", values = {16, 32, 0.1}}, {name = "dtype", values = {"f32", "bf16"}}}
        local run = pah.results.read(arg[1]).runs[1]
        local store = pah.results.open(arg[1], {name = "next"})
        store:close()]])
      local _, err, code = child.run(folder, "mend.lua " .. path)
      assert.equal(0, code, err)
      assert.is_truthy(err:find "%d+ bytes of an unfinished line, left by a killed process, were cut off", err)
      file = pah.results.read(path)
      assert.same({}, file.notes)
      assert.equal(2, #file.runs[1].rows)
      assert.equal(2, #file.runs)
    end
  end)

  it("keep a last row that lacks nothing but its newline", function()
    local path, text = torn(1)
    assert.equal(3, #pah.results.read(path).runs[1].rows)
    pah.results.open(path, {name = "next"}):close()
    assert.equal(text, child.read(path):sub(1, #text))
    local file = pah.results.read(path)
    assert.same({}, file.notes)
    assert.equal(2, #file.runs)
  end)

  it("are begun anew over an unfinished header", function()
    local path = new_path "jsonl"
    child.write(path, '{"schema":1,"run":"2026')
    assert.same({}, pah.results.read(path).runs)
    pah.results.open(path, header()):close()
    assert.equal(1, #pah.results.read(path).runs)
  end)

  it("leave out what cannot be read and say so", function()
    local path = new_path "jsonl"
    fill(path)
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = line end
    lines[3] = lines[3]:sub(1, 40)
    lines[5] = '{"run":"other","index":1,"round":1}'
    lines[6] = lines[2]
    child.write(path, table.concat(lines, "\n") .. "\n")
    local file = pah.results.read(path)
    assert.equal(2, #file.runs[1].rows) -- the second of two rows of a point is not counted either
    assert.equal(2, #file.notes)
    assert.is_truthy(file.notes[1]:find "line 3 is left out" and file.notes[2]:find "no header names its run, other")
  end)
end)

describe("lines that are JSON but no rows", function()
  it("are left out with a note, and harm nothing else", function()
    local path = new_path "jsonl"
    local id = fill(path)
    local odd = {
      {'{"schema":1}', "a header without the id of its run"},
      {'{"schema":1,"run":7}', "a header without the id of its run"},
      {'{"schema":"x","run":"y"}', "no header names its run, y"},
      {'{"schema":1,"run":"y","axes":7}', "axes is no list"},
      {'{"schema":1,"run":"y","axes":[{"name":"a"}]}', "an axis has no name or values"},
      {'{"schema":1,"run":"y","started":5}', "started is no string"},
      {'{"schema":1,"run":"y","host":5}', "host is no table"},
      {'{"schema":1,"run":"ID"}', "has begun already"},
      {'{"run":"ID"}', "index is nil, must be a whole number from 1"},
      {'{"run":"ID","index":"1","round":1}', "index is 1, must be a whole number from 1"},
      {'{"run":"ID","index":9,"round":0}', "round is 0, must be"},
      {'{"run":"ID","index":9,"axes":5}', "axes is 5, must be a table"},
      {'{"run":"ID","index":9,"axes":{"a":[]}}', "axes.a is a table, must be a number, string or boolean"},
      {'{"run":"ID","index":9,"key":5}', "key is 5, must be a string"},
      {'{"run":"ID","index":9,"error":{}}', "must be a string"},
      {'{"run":"ID","index":9,"result":{"samples":[1,"x"]}}', "result.samples is"},
      {'{"run":["x"],"index":9}', "no header names its run, table"},
      {"[1,2]", "no header names its run, nil"}, {"7", "it is no object"}, {"null", "it is no object"},
    }
    local lines = {}
    for i, line in ipairs(odd) do lines[i] = line[1]:gsub("ID", id) end
    child.write(path, child.read(path) .. table.concat(lines, "\n") .. "\n" -- and one that has all that is needed
      .. ('{"run":"%s","index":5,"more":[1],"axes":{"size":32,"dtype":"f32"}}\n'):format(id))
    local file = pah.results.read(path)
    assert.equal(1, #file.runs)
    assert.equal(#odd, #file.notes)
    for i, line in ipairs(odd) do
      assert.is_truthy(file.notes[i]:find(("^line %d is left out: "):format(4 + i)), file.notes[i])
      assert.is_truthy(file.notes[i]:find(line[2], 1, true), file.notes[i])
    end
    local last = file.runs[1].rows[4]
    assert.same({5, 1, "ok", "size=32 dtype=f32", {1}}, {last.index, last.round, last.status, last.key, last.more})
    assert.is_nil(last.measured_at)
    assert.equal(4, #file.runs[1].rows)
    for _, words in ipairs {"results %s", "results --format csv %s", "compare %s %s --quiet"} do
      local out, err, code = child.run(folder, (words:gsub("%%s", path)))
      assert.is_truthy(code == 0 or words:find "compare", out .. err)
      assert.is_falsy(err:find("attempt to", 1, true), err)
    end
  end)

  it("are left out of an SQLite file too", function()
    if #formats == 1 then return pending "SQLite is not installed" end
    local path = new_path "db"
    fill(path)
    pah.results.open(path, {name = "second"}):close()
    local db = require("pah.sqlite").open(path, "write")
    db:run "UPDATE rows SET axes = '5' WHERE point = 1"
    db:run "UPDATE rows SET samples = x'00', result = NULL WHERE point = 6"
    db:run "UPDATE runs SET header = '{\"axes\":[]}' WHERE name = 'second'"
    db:close()
    local file = pah.results.read(path)
    assert.same({2, 6}, {file.runs[1].rows[1].index, file.runs[1].rows[2].index})
    assert.equal(1, #file.runs)
    assert.equal(2, #file.notes)
    assert.is_truthy(file.notes[1]:find("axes is 5, must be a table", 1, true), file.notes[1])
    assert.is_truthy(file.notes[2]:find("a header without the id of its run", 1, true), file.notes[2])
  end)
end)

describe("an SQLite file", function()
  if #formats == 1 then return end

  it("is read by SQL", function()
    local path = new_path "db"
    fill(path)
    local db = require("pah.sqlite").open(path, "read")
    local found = db:run [[SELECT name, key, median, gb_per_second, json_extract(extras, '$.err') FROM results
      WHERE status = 'ok' AND json_extract(extras, '$.err') IS NOT NULL]]
    assert.same({{n = 5, "spec", "size=16 dtype=f32", 1 / 3, 2 ^ 60 / 1e9, 1e-9}}, found)
    assert.same({{n = 2, "format", "pah results"}, {n = 2, "version", schema.version}}, db:run "SELECT * FROM schema")
    assert.equal("ok", db:run("PRAGMA integrity_check")[1][1])
    assert.equal(24, db:run("SELECT length(samples) FROM rows WHERE samples IS NOT NULL")[1][1])
    db:close()
    refused("is closed", db.run, db, "SELECT 1")
  end)

  it("is read after a process was killed in the middle of a transaction", function()
    local path = new_path "db"
    fill(path)
    child.write(folder .. "/hot.lua", [[
      require("ffi").cdef "int raise(int);"
      local db = require("pah.sqlite").open(arg[1], "write")
      db:run "PRAGMA cache_size = 1"
      db:run "BEGIN IMMEDIATE"
      for i = 1, 200 do db:run("INSERT INTO schema VALUES (?, ?)", {"key " .. i, ("x"):rep(5000)}, 2) end
      require("ffi").C.raise(9)]])
    local _, _, code = child.run(folder, "hot.lua " .. path)
    assert.equal(137, code)
    assert.is_true(#child.read(path .. "-journal") > 0) -- what the reader has to undo
    assert.equal(3, #pah.results.read(path).runs[1].rows)
    local db = require("pah.sqlite").open(path, "read")
    assert.equal(2, db:run("SELECT count(*) FROM schema")[1][1])
    db:close()
  end)

  it("takes a row once", function()
    local store = pah.results.open(new_path "db", header())
    store:add(rows[1])
    refused("UNIQUE constraint failed", store.add, store, rows[1])
    store:add(rows[2])
    store:close()
  end)

  it("says how to get the library", function()
    child.write(folder .. "/none.lua", [[
      local load = require("ffi").load
      require("ffi").load = function(name) return load("no-" .. name) end
      print(pcall(pah.results.open, "x.db", {}))]])
    assert.is_truthy(child.run(folder, "none.lua"):find "SQLite is not installed: `apt install libsqlite3%-0`")
    assert.is_truthy(child.run(folder, "none.lua", "PAH_LIBSQLITE=/nowhere/lib.so"):find "PAH_LIBSQLITE is /nowhere")
  end)

  it("refuses a database of others", function()
    local path = new_path "db"
    local db = require("pah.sqlite").open(path, "create")
    db:run "CREATE TABLE t (x)"
    db:close()
    refused("is an SQLite database, but not one of pah", pah.results.read, path)
    refused("is an SQLite database, but not one of pah", pah.results.open, path, header())
  end)
end)

describe("the state of the source tree", function()
  it("is part of what rows depend on", function()
    assert(os.execute(("mkdir -p %s/tree/bin"):format(folder)) == 0)
    child.write(folder .. "/tree/bin/git", ([[#!/bin/sh
case "$*" in
*rev-parse*) echo c0ffee ;;
*status*) sed 's/.*/ M x/' %s/tree/changes ;;
*diff*) cat %s/tree/changes ;;
esac
]]):format(folder, folder))
    assert(os.execute(("chmod +x %s/tree/bin/git"):format(folder)) == 0)
    child.write(folder .. "/tree.lua", [[
      local store = pah.results.resume(arg[1], {name = "tree"})
      store:close()
      print(store.run, store.header.pah.dirty, store.header.pah.diff)]])
    local function resume(changes, file)
      child.write(folder .. "/tree/changes", changes)
      return child.run(folder, "tree.lua " .. file, ("PATH=%s/tree/bin:$PATH"):format(folder))
    end
    local first, err = resume("one change\n", "tree.jsonl")
    assert.is_truthy(first:find "true\t%x+\n$", err)
    assert.equal(first, (resume("one change\n", "tree.jsonl")))
    local _, why, code = resume("another\n", "tree.jsonl")
    assert.equal(1, code)
    assert.is_truthy(why:find("what is changed in pah's source tree since its commit has changed", 1, true), why)
    _, why, code = resume("", "tree.jsonl")
    assert.equal(1, code, why)
    assert.equal("false\tnil\n", (resume("", "clean.jsonl")):match "\t(.*)$")
    assert.equal("false\tnil\n", (resume("", "clean.jsonl")):match "\t(.*)$")
  end)

  it("is asked for without taking git's lock, which a killed run would leave behind", function()
    assert(os.execute(("mkdir %s/bin"):format(folder)) == 0)
    child.write(folder .. "/bin/git", ('#!/bin/sh\necho "$@" >>%s/git.log\necho M x\n'):format(folder))
    assert(os.execute(("chmod +x %s/bin/git"):format(folder)) == 0)
    child.write(folder .. "/git.lua", [[
      local store = pah.results.open("git.jsonl", {name = "git"})
      store:close()
      print(store.header.pah.git, store.header.pah.dirty)]])
    local out, err = child.run(folder, "git.lua", ("PATH=%s/bin:$PATH"):format(folder))
    assert.equal("M x\ttrue\n", out, err)
    for _, word in ipairs {"status", "diff"} do
      local asked = child.read(folder .. "/git.log"):match("[^\n]*" .. word .. "[^\n]*")
      assert.is_truthy(asked:find("--no-optional-locks", 1, true), asked)
    end
  end)
end)

describe("the hash of a script", function()
  it("is SHA-256", function()
    local C, ffi = require("pah.ffi").C, require "ffi"
    local known = { -- of FIPS 180-4's examples, and by sha256sum
      [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq =
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      [("a"):rep(1000000)] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    }
    for text, want in pairs(known) do
      local hex = ffi.new "char[65]"
      C.pah_sha256(text, #text, hex)
      assert.equal(want, ffi.string(hex))
    end
  end)
end)
