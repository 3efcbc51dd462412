-- results_formats_spec.lua - what each format has for itself: unfinished lines of JSON lines and lines that are no
-- rows; SQLite by its own words, killed within a transaction, not installed, of others. Read next: results_spec.lua.
local child = require "spec.support.child"
local schema = require "pah.results.schema"
local made = require "spec.support.results_file"
local refused = require "spec.support.refused"

local folder, formats, new_path = made.folder, made.formats, made.new_path
local header, rows, fill = made.header, made.rows, made.fill
teardown(function() os.execute("rm -rf " .. folder) end)

describe("JSON lines", function()
  -- A file of three rows, cut so that its last line lacks `missing` bytes.
  local function torn(missing)
    local path = new_path "jsonl"
    fill(path)
    local text = child.read(path)
    child.write(path, text:sub(1, #text - missing))
    return path, text
  end

  it("report an unfinished last line, and mend it when they are resumed", function()
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
    local broken = {
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
    for i, line in ipairs(broken) do lines[i] = line[1]:gsub("ID", id) end
    child.write(path, child.read(path) .. table.concat(lines, "\n") .. "\n" -- and one that has all that is needed
      .. ('{"run":"%s","index":5,"more":[1],"axes":{"size":32,"dtype":"f32"}}\n'):format(id))
    local file = pah.results.read(path)
    assert.equal(1, #file.runs)
    assert.equal(#broken, #file.notes)
    for i, line in ipairs(broken) do
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
    local db = require("pah.results.sqlite").open(path, "write")
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
    local db = require("pah.results.sqlite").open(path, "read")
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
      local db = require("pah.results.sqlite").open(arg[1], "write")
      db:run "PRAGMA cache_size = 1"
      db:run "BEGIN IMMEDIATE"
      for i = 1, 200 do db:run("INSERT INTO schema VALUES (?, ?)", {"key " .. i, ("x"):rep(5000)}, 2) end
      require("ffi").C.raise(9)]])
    local _, _, code = child.run(folder, "hot.lua " .. path)
    assert.equal(137, code)
    assert.is_true(#child.read(path .. "-journal") > 0) -- what the reader has to undo
    assert.equal(3, #pah.results.read(path).runs[1].rows)
    local db = require("pah.results.sqlite").open(path, "read")
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
    local db = require("pah.results.sqlite").open(path, "create")
    db:run "CREATE TABLE t (x)"
    db:close()
    refused("is an SQLite database, but not one of pah", pah.results.read, path)
    refused("is an SQLite database, but not one of pah", pah.results.open, path, header())
  end)
end)
