-- experiment_spec.lua - pah.experiment from outside: its flags and help, what is wrong with them, the table, the
-- results file, and `pah results` that prints and copies it.
local child = require "spec.support.child"

local folder = child.folder()
teardown(function() os.execute("rm -r " .. folder) end)
local format = require("pah.results.sqlite").usable() and "db" or "jsonl"

child.write(folder .. "/e.lua", [[
-- e: an experiment that measures nothing
local log = ""
local rows = pah.experiment{
  name = "e", options = {batch = {"sequences", 2}, factor = {"of values", 0.5, type = "number"}},
  axes = {
    {name = "block_size", about = "tokens of a block", values = {16, 32}},
    {name = "dtype", values = {"f32", "bf16"}, choices = {"f32", "bf16", "f16"}},
  },
  where = function(p) return not (p.block_size == 8 and p.dtype == "f32") end,
  setup = function(opt) log = log .. "setup " return {batch = opt.batch} end,
  check = function(p, context, opt)
    log = log .. "check "
    return {max_error = p.block_size * context.batch * opt.factor}
  end,
  run = function(p, context)
    log = log .. "run "
    if p.dtype == "f16" then error "no f16 here" end
    local r = {median = p.block_size / 1000, low = p.block_size / 1100, high = p.block_size / 900, n = 3,
      samples = {p.block_size / 1000}, bytes_per_second = 2e9, flops_per_second = 3e12, fraction = 0.5}
    return {bench = r, batch = context.batch}
  end,
}
if os.getenv "LOG" then print(log) end
return rows]])

local function run(words, before) return child.run(folder, "run e.lua " .. words, before) end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

describe("pah.experiment", function()
  it("prints a table in the order of the grid", function()
    local out, err, code = run ""
    assert.equal(0, code, err)
    assert.same({
      "block_size  dtype      time      95 %  GB/s  GFLOP/s  of limit  batch  max_error",
      "        16  f32    16.00 ms  +-11.1 %     2     3000    50.0 %      2         16",
      "        16  bf16   16.00 ms  +-11.1 %     2     3000    50.0 %      2         16",
      "        32  f32    32.00 ms  +-11.1 %     2     3000    50.0 %      2         32",
      "        32  bf16   32.00 ms  +-11.1 %     2     3000    50.0 %      2         32",
    }, lines_of(out))
    assert.equal("", err)
  end)

  it("has flags for its options, its axes and those of all", function()
    local words = "--block-size 8:32*2 --dtype f32,f16 --batch 10 --factor=0.1 --rounds 2"
    local out, err, code = run(words, "COLUMNS=100")
    assert.equal(0, code)
    local lines = lines_of(out)
    assert.equal(7, #lines) -- 8 x f32 is left out by where
    assert.is_truthy(lines[2]:find "^ +8  f16 .* 1$", out)
    assert.is_truthy(lines[7]:find "^error 1 %(3 points%): e%.lua:%d+: no f16 here$", out) -- once for all
    assert.is_truthy(lines[3]:find "^ +16  f32 .* 10 +16$", out)
    assert.is_truthy(err:find "block_size=%d+ dtype=f16: e.lua:", err)
    assert.equal(1, select(2, err:gsub("no f16 here", "")), err)
    assert.is_truthy(err:find("\npah: and 5 alike\n", 1, true), err)
    assert.is_truthy(err:find("e: 6 of 10 rows are errors", 1, true), err)
    assert.truthy(run(words, "COLUMNS=80"):find("\n        16  f32\n    16.00 ms  +-11.1 %     2     3000  50.0 %"
      .. "     10         16\n        16  f16    1\n", 1, true))
    assert.equal("", (run "--quiet"))
    out = run("--rounds 2 --block-size 16 --dtype bf16", "LOG=1")
    assert.is_truthy(out:find("\nsetup check run run \n", 1, true), out)
  end)

  it("lists its points without measuring them", function()
    local out, _, code = run("--list --block-size 8,16", "LOG=1")
    assert.same({"2\tblock_size=8 dtype=bf16", "3\tblock_size=16 dtype=f32", "4\tblock_size=16 dtype=bf16"},
      lines_of(out))
    assert.equal(0, code)
  end)

  it("has a help of all flags", function()
    local out, _, code = run "--help"
    assert.equal(0, code)
    assert.is_truthy(out:find("usage: pah e.lua [options]\nan experiment that measures nothing.\n", 1, true), out)
    out = out:gsub("%s+", " ") -- lines are wrapped at 80 columns
    for _, text in ipairs {"--block-size TEXT tokens of a block; axis: 1,2 or 1:8 or 1:9+2 or 1:64*2 [16,32]",
      "axis of f32,bf16,f16 [f32,bf16]", "--batch N ", "--factor NUMBER ", "--fresh ", "--rounds N ", "--seed N ",
      "--quiet ", "--list ", "--limits ", "--shard TEXT ", "-o, --out TEXT "} do
      assert.is_truthy(out:find(text, 1, true), text .. out)
    end
  end)

  it("says what is wrong with its flags, with code 2", function()
    local function wrong(words, message)
      local out, err, code = run(words)
      assert.equal(2, code, err)
      assert.equal("", out)
      assert.is_truthy(err:find(message, 1, true), err)
    end
    wrong("--block-size x", '--block-size: "x" is not a number, nor A:B, A:B+STEP or A:B*FACTOR')
    wrong("--dtype f61", '--dtype: "f61" is not one of f32, bf16, f16; did you mean "f16"?')
    wrong("--block-sice 1", 'unknown option "--block-sice"; did you mean "--block-size"?')
    wrong("--rounds 0", "--rounds: must be at least 1")
    wrong("--rounds x", '--rounds: "x" is not a whole number')
    wrong("more", '"more" is one word too many')
  end)

  it("stores its rows, goes on, refuses other options and begins anew", function()
    local file = "x." .. format
    local _, out, err, code
    out, err, code = run("-o " .. file .. " --dtype f32", "LOG=1")
    assert.equal(0, code, err)
    assert.is_truthy(out:find "setup")
    assert.is_truthy(err:find("2 rows of run ", 1, true), err)
    out, err = run("--out=" .. file .. " --dtype f32", "LOG=1")
    assert.is_falsy(out:find "setup", out .. err)
    assert.is_truthy(out:find "32.00 ms")
    out, err, code = run("-o " .. file .. " --dtype f32 --batch 3")
    assert.equal(1, code)
    assert.is_truthy(err:find('options was {"batch":2,"factor":0.5} and is {"batch":3,"factor":0.5}', 1, true), err)
    assert.equal("", out)
    child.write(folder .. "/changed.lua", child.read(folder .. "/e.lua") .. "\n")
    _, err, code = child.run(folder, "changed.lua -o " .. file .. " --dtype f32")
    assert.equal(1, code)
    assert.is_truthy(err:find("the script has changed", 1, true), err)
    assert.is_falsy(err:find("axis", 1, true), err)
    _, err, code = run("-o " .. file .. " --fresh --dtype f32 --batch 3 --quiet")
    assert.same({"", 0}, {err, code})
    local runs = pah.results.read(folder .. "/" .. file).runs
    assert.equal(2, #runs)
    assert.same({batch = 3, factor = 0.5}, runs[2].header.options)
    assert.equal("e.lua", runs[2].header.script)
    assert.equal(64, #runs[2].header.script_sha256)
    local values = runs[2].rows[1].values
    assert.equal(runs[2].rows[1].axes.block_size * 1.5, values.max_error)
  end)

  it("measures limits when a run begins, and not when one is resumed", function()
    child.write(folder .. "/limits.lua", [[
      require("pah.measure.peaks").collect = function() print "collected" return {here = 1} end
      pah.experiment{name = "l", axes = {a = {1}}, run = function() end, report = function() end}]])
    local function limits(words)
      local out, err, code = child.run(folder, "limits.lua --limits " .. words)
      assert.equal(0, code, err)
      return out
    end
    for _, ending in ipairs {"jsonl", format} do
      local file = "limits." .. ending
      assert.equal("collected\n", limits("-o " .. file))
      assert.equal("", limits("-o " .. file))
      assert.equal("collected\n", limits("--fresh -o " .. file))
      assert.equal("", limits("--rounds 2 -o " .. file))
      local runs = pah.results.read(folder .. "/" .. file).runs
      assert.equal(2, #runs)
      for _, this in ipairs(runs) do assert.same({here = 1}, this.header.limits) end
      os.remove(folder .. "/" .. file)
    end
    assert.equal("collected\n", limits "")
  end)

  it("is an error if all of its rows are, and if its setup is", function()
    local _, err, code = run "--dtype f16"
    assert.equal(1, code)
    assert.is_truthy(err:find("all 2 rows are errors; the first: e.lua:", 1, true), err)
    child.write(folder .. "/s.lua", [[pah.experiment{name = "s", axes = {a = {1}}, run = function() end,
      setup = function() error "no memory for it" end}]])
    _, err, code = child.run(folder, "s.lua -o s.jsonl")
    assert.equal(1, code)
    assert.is_truthy(err:find("s.lua:2: no memory for it", 1, true), err)
    assert.equal(0, #pah.results.read(folder .. "/s.jsonl").runs[1].rows)
  end)

  it("hands its rows to a report of its own", function()
    child.write(folder .. "/r.lua", [[return pah.experiment{name = "r", axes = {a = {1, 2}}, options = {n = {"n", 7}},
      run = function(p) return p.a, {b = 3} end, check = function() return {c = 4} end,
      report = function(rows, opt)
        local v = rows[2].values
        print(#rows, v.value, v.b, v.c, opt.n)
      end}]])
    assert.equal("2\t2\t3\t4\t8\n", (child.run(folder, "r.lua --n 8")))
  end)

  it("works without a command line", function() -- as at the prompt, and here
    local said = {}
    local rows = pah.experiment{name = "p", axes = {a = {1, 2}}, run = function(p) return p.a end,
      report = function(r) said = r end}
    assert.equal(2, #rows)
    assert.equal(rows, said)
  end)

  it("names what is wrong with its table", function()
    local function refused(message, spec)
      local ok, why = pcall(pah.experiment, spec)
      assert.is_false(ok)
      assert.is_truthy(tostring(why):find(message, 1, true), tostring(why))
    end
    local function nothing() end
    refused("experiment: name is missing, must be a string", {axes = {a = {1}}, run = nothing})
    refused("experiment: run is a number, must be a function", {name = "x", axes = {a = {1}}, run = 1})
    refused('unknown option "ckeck", did you mean "check"?', {name = "x", axes = {a = {1}}, run = nothing, ckeck = 1})
    refused("the axis seed is also the name of a flag", {name = "x", axes = {seed = {1}}, run = nothing})
    refused("-o of the option old is also that of a flag of every experiment, the flag out",
      {name = "x", axes = {a = {1}}, options = {old = {"", "", short = "o"}}, run = nothing})
    refused("the axis a is also the name of", {name = "x", axes = {a = {1}}, options = {a = {"", 1}}, run = nothing})
  end)
end)

describe("pah results", function()
  it("prints and copies a file", function()
    local file = "y." .. format
    local other = format == "db" and "z.jsonl" or "w.jsonl"
    run("-o " .. file .. " --dtype f32,f16 --quiet")
    local _, out, err, code
    out, err, code = child.run(folder, "results " .. file)
    assert.equal(0, code, err)
    assert.is_truthy(out:find "^e, run %S+: 4 rows on cpu, " and out:find "\n +32  f32\n +32.00 ms ", out)
    out = child.run(folder, "results --format md " .. file)
    assert.is_truthy(out:find("\n| 32 | f32 | 32.00 ms |", 1, true), out)
    local lines = lines_of((child.run(folder, "results --format csv " .. file)))
    assert.equal(5, #lines)
    assert.is_truthy(lines[1]:find "^run,name,machine,device,index,round,key,status,measured_at,seconds,block_size,dty")
    _, err, code = child.run(folder, ("results %s -o %s"):format(file, other))
    assert.equal(0, code, err)
    assert.equal((child.run(folder, "results --format json " .. file)),
      (child.run(folder, "results --format json " .. other)))
    _, err, code = child.run(folder, ("results %s -o %s"):format(file, other))
    assert.equal(1, code)
    assert.is_truthy(err:find "has run %S+ already", err)
    _, err, code = child.run(folder, "results none.jsonl")
    assert.equal(1, code)
    assert.is_truthy(err:find("none.jsonl: No such file", 1, true), err)
    _, err, code = child.run(folder, "results --run nobody " .. file)
    assert.same({1, true}, {code, err:find('has no run "nobody"', 1, true) ~= nil})
    _, _, code = child.run(folder, "results")
    assert.equal(2, code)
  end)
end)
