-- results_spec.lua - results files: the same content in both formats, two writers, full disks, files that are none,
-- what a resume refuses. Unfinished and broken lines, SQLite: results_formats_spec.lua; killed sweeps: sweep_spec.lua.
local child = require "spec.support.child"
local schema = require "pah.results.schema"
local made = require "spec.support.results_file"
local refused = require "spec.support.refused"

local folder, formats, new_path = made.folder, made.formats, made.new_path
local axes, header, rows, fill = made.axes, made.header, made.rows, made.fill
teardown(function() os.execute("rm -rf " .. folder) end)

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
        local db = require("pah.results.sqlite").open(path, "write")
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
