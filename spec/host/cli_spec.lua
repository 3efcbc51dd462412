-- cli_spec.lua - the command line from outside: golden transcripts of help, wrong usage, errors and the interpreter's
-- options, in spec/golden/NAME.txt. PAH_GOLDEN=write rewrites them; look at what git diff shows then.
local child = require "spec.support.child"
local host = require "pah.host"

local folder, quoted = child.folder(), child.quoted

local function write(name, text) child.write(folder .. "/" .. name, text) end

-- Runs "pah WORDS" by the shell in the test's folder; returns stdout, stderr and the exit code.
local function pah_says(words, environment)
  local program = ("env -u LUA_INIT -u PAH_DEVICE %s %s"):format(environment or "", quoted(host.exe))
  local status = os.execute(("cd %s && exec >out 2>err; %s %s"):format(quoted(folder), program, words))
  return child.read(folder .. "/out"), child.read(folder .. "/err"), math.floor(status / 256)
end

-- What differs between machines and versions, replaced by its name.
local function normal(text)
  local function plain(s) return (s:gsub("%p", "%%%0")) end
  text = text:gsub(plain(host.exe), "pah"):gsub(plain(host.datadir), "DATA"):gsub(plain(folder), "FOLDER")
  text = text:gsub(plain(jit.version), "LUAJIT"):gsub(plain(host.version), "VERSION")
  return (text:gsub("0x%x+", "ADDRESS"))
end

local function transcript(commands)
  local parts = {}
  for _, words in ipairs(commands) do
    local environment
    if type(words) == "table" then words, environment = words[1], words[2] end
    local out, err, code = pah_says(words, environment)
    parts[#parts + 1] = ("$ %spah %s\n%s%s[%d]\n"):format(environment and environment .. " " or "", words, out,
      err:gsub("[^\n]+", "! %0"), code)
  end
  return normal(table.concat(parts, "\n"))
end

-- The transcript of `commands` is what spec/golden/NAME.txt holds.
local function golden(name, commands)
  local path, text = ("spec/golden/%s.txt"):format(name), transcript(commands)
  if os.getenv "PAH_GOLDEN" == "write" then
    child.write(path, text)
  end
  assert.equal(child.read(path), text)
end

teardown(function() os.execute("rm -r " .. quoted(folder)) end)

describe("the command line", function()
  setup(function()
    write("kept.jsonl", "{}\n")
    write("words.lua", "#!/usr/bin/env pah\nprint(arg[0], #arg, ...)\nfor i = -3, -1 do print(i, arg[i]) end\n")
    write("fails.lua", "local function inner() error('no luck') end\nlocal function outer() inner() end\nouter()\n")
    write("object.lua", "error(setmetatable({}, {__tostring = function() return 'an object' end}))\n")
    write("field.lua", "local function f()\n  pah.zeros({2}, {dtyp = 'f32'})\nend\nf()\n")
    write("syntax.lua", "local = 1\n")
    write("quits.lua", "os.exit(7)\n")
    os.execute("mkdir " .. quoted(folder .. "/beside"))
    write("beside/own.lua", "print(require('neighbour').name, require('part').name, require('pah') == pah)\n")
    write("beside/neighbour.lua", "return {name = 'a neighbour'}\n")
    write("beside/pah.lua", "error 'pah itself comes first'\n")
    os.execute("mkdir " .. quoted(folder .. "/beside/part"))
    write("beside/part/init.lua", "return {name = 'a part'}\n")
    write("my_module.lua", "loaded = 'my_module is loaded'\nreturn {}\n")
    write("init.lua", "from_init = 'the file'\n")
  end)

  it("helps", function()
    local commands = {"--help", "help", "run --help", "help nonsense"}
    for _, name in ipairs {"run", "repl", "test", "info", "kernels", "examples", "compare", "results", "plot",
      "report", "submit", "status", "cache", "bench", "help"} do
      commands[#commands + 1] = "help " .. name
    end
    golden("help", commands)
  end)

  it("says what is wrong with its words, and how they go", function()
    golden("usage", {
      "--nonsense", "-e", "-Z", "tset", "gone.lua", "hello",
      "run", "run --batch 1 x.lua", "info word", "info --jsno", "kernels --json=1 x",
      "run no/such/file.lua", "run kept.jsonl", "help info kernels",
    })
  end)

  it("is a Lua interpreter", function()
    golden("interpreter", {
      "words.lua a 'b c'", "run words.lua --option 1", "-e 'x = 1' -e 'print(x)'", "-e 'print(1)' words.lua a",
      "-eprint'(2)'", "-l my_module -e 'print(loaded)'", "-lmy_module words.lua", "-v", "--version", "-v words.lua",
      "-- words.lua a", "-e 'for i = -3, 1 do print(i, arg[i]) end'", "-joff -e 'print((jit.status()))'",
      "-O0 -e 'print(1)'", "- a b <words.lua", "<my_module.lua", "quits.lua",
      {"-e 'print(from_init)'", "LUA_INIT='from_init = 1'"},
      {"-e 'print(from_init)'", "LUA_INIT=@init.lua"},
      {"-E -e 'print(from_init)'", "LUA_INIT=@init.lua"}, {"-e 'print(1)'", "LUA_INIT='error(0, 0)'"},
      "-i my_module.lua </dev/null", "-e 'io.stdout:setvbuf(\"full\") print(1)' >/dev/full",
    })
  end)

  it("reports errors of scripts with a traceback", function()
    golden("errors", {
      "fails.lua", "object.lua", "field.lua", "run field.lua", "syntax.lua", "-e 'error()'",
      "-e 'error(nil)' words.lua", "-e 'error({})'", "-e 'error(12)'", "-e 'x ='",
      "-l no_such_module_here 2>&1 | head -1",
      "-e 'local t = nil; t.x = 1'",
      "-e 'coroutine.wrap(function() error(\"inside\") end)()'",
    })
  end)

  it("reports a stack overflow with a traceback, or with the reason why there is none", function()
    for pad = 0, 6 do -- LuaJIT calls no handler at some alignments of frames
      local _, err, code = pah_says(("-e 'jit.off() local function f() local x, y, z = 1, 2, 3 return 1 + f() end "
        .. "local function g(...) local x = f() return x end g(%s)'"):format(("1,"):rep(pad) .. "1"))
      assert.equal(1, code)
      assert.truthy(err:find "^pah: [^\n]*stack overflow\nstack traceback:\n\t%S", err)
      assert.truthy(err:find "in main chunk\n$" or err:find "%(no stack was left to take it%)\n$", err)
    end
  end)

  it("runs a suite of busted", function()
    write("good_spec.lua", "it('works', function() assert.is_truthy(pah.version) end)\n")
    write("bad_spec.lua", "it('fails', function() assert.equal(1, 2) end)\n")
    local out, _, code = pah_says "test good_spec.lua -o TAP"
    assert.truthy(out:find("ok 1", 1, true))
    assert.equal(0, code)
    out, _, code = pah_says("test good_spec.lua -o TAP", "LUA_INIT='print(1) x = 1'")
    assert.truthy(out:find("ok 1", 1, true))
    assert.equal(0, code)
    out, _, code = pah_says "test bad_spec.lua -o TAP"
    assert.truthy(out:find("not ok 1", 1, true))
    assert.equal(1, code)
    local _, err, missing = pah_says("test", "LUA_PATH='" .. folder .. "/?.lua' LUA_CPATH=")
    assert.truthy(err:find("lua-busted", 1, true))
    assert.equal(2, missing)
  end)

  it("is what busted --lua takes", function()
    if os.execute "command -v busted >/dev/null" ~= 0 then pending "busted is not in the path" return end
    write("host_spec.lua", "it('is inside', function() assert.is_truthy(require('pah').version) end)\n")
    local status = os.execute(("cd %s && busted --lua=%s host_spec.lua >out 2>&1"):format(quoted(folder), host.exe))
    assert.equal(0, status)
  end)

  it("lists kernels, examples and facts as text and as JSON", function()
    local out, _, code = pah_says "kernels"
    assert.truthy(out:find "cpu%s+decode")
    assert.equal(0, code)
    for _, command in ipairs {"kernels", "examples"} do
      for line in (pah_says(command, "env -u COLUMNS")):gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
    end
    assert.truthy((pah_says("kernels", "env COLUMNS=1000")):find "\ncpu +decode +split%-kv [^\n]*heads of a KV head")
    for _, words in ipairs {"kernels --json", "examples --json", "info --json"} do
      local json = pah_says(words)
      assert.truthy(json:match "^[%[{].*[%]}]\n$", words)
    end
    out = pah_says "info"
    for _, word in ipairs {"pah ", "LuaJIT", "threads", "instruction sets", "chosen", "devices", "cuda", "memory"} do
      assert.truthy(out:find(word, 1, true), word)
    end
  end)

  it("runs an example by its name", function()
    local out = pah_says "examples"
    local name = out:match "^(%S+)"
    if not name then pending "no example is here" return end
    local help, _, code = pah_says(("run %s --help"):format(name))
    assert.equal(0, code)
    assert.truthy(help:find("usage:", 1, true))
    local _, err, wrong = pah_says(("run %sx"):format(name))
    assert.equal(2, wrong)
    assert.truthy(err:find(('did you mean "%s"'):format(name), 1, true))
  end)

  it("stops a script at Ctrl-C with code 130", function()
    write("waits.lua", 'jit.off(true) os.execute "(sleep 0.5; kill -INT $PPID) >/dev/null 2>&1 &" '
      .. "while true do end\n")
    local status = os.execute(("cd %s && timeout -s KILL 60 %s waits.lua 2>err; test $? = 130"):format(quoted(folder),
      quoted(host.exe)))
    assert.equal(0, status)
    local err = io.open(folder .. "/err"):read "*a"
    assert.truthy(err:find "interrupted\nstack traceback:\n.*waits.lua:1: in main chunk")
  end)
end)

describe("the man page", function()
  local file = assert(io.open "doc/pah.1")
  local page = file:read "*a"
  file:close()

  it("names every command and every option of --help", function()
    local missing = {}
    local text = pah_says "--help"
    local commands = text:match "commands:(\n.-)\n\n"
    for name in commands:gmatch "\n  (%a+)" do
      if not page:find("\n.It Cm " .. name, 1, true) then missing[#missing + 1] = name end
      text = text .. pah_says("help " .. name)
    end
    for option in text:gmatch "\n  %-%-?([%a-]+)" do
      if not page:find("Fl [%-\\]*" .. option:gsub("%-", "\\?%%-")) then missing[#missing + 1] = option end
    end
    for name in text:gmatch "\n  (%u[%u_]+_%u+)" do
      if not page:find(name, 1, true) then missing[#missing + 1] = name end
    end
    assert.same({}, missing)
  end)

  it("is clean to mandoc", function()
    if os.execute "command -v mandoc >/dev/null" ~= 0 then pending "mandoc is not installed" return end
    assert.equal("", (child.shell "mandoc -Tlint -Wwarning doc/pah.1"))
  end)

end)

describe("a script, from outside,", function()
  it("has its head printed for --help where it has no options", function()
    write("plain.lua", "#!/usr/bin/env pah\n-- plain.lua - does little\n--   indented\nprint 'run'\n")
    assert.equal("usage: pah plain.lua\nplain.lua - does little\n  indented\n", (pah_says "plain.lua --help"))
    assert.equal("run\n", (pah_says "plain.lua --other"))
    write("own.lua", "-- own\nprint(arg[1])\n")
    assert.equal("--help\n", (pah_says "own.lua --help"))
    write("varargs.lua", "-- own\nprint(...)\n")
    assert.equal("--help\n", (pah_says "run varargs.lua --help"))
  end)

  it("that ships refuses what it does not take", function()
    local _, err, code = pah_says "run hello --batch 3"
    assert.same({2, true}, {code, err:find('unknown option "--batch"', 1, true) ~= nil})
    _, err, code = pah_says "run prefill five"
    assert.same({2, true}, {code, err:find('"five" is one word too many', 1, true) ~= nil})
  end)

  it("and every command have help that fits into 80 columns", function()
    local pages = {"--help"}
    for _, name in ipairs {"run", "repl", "test", "info", "kernels", "examples", "compare", "results", "plot", "report",
      "cache", "bench", "help"} do
      pages[#pages + 1] = "help " .. name
    end
    for _, words in ipairs(pages) do
      for line in (pah_says(words)):gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
    end
  end)

  it("finds modules beside the script", function()
    for _, words in ipairs {"beside/own.lua", "run beside/own.lua"} do
      assert.equal("a neighbour\ta part\ttrue\n", (pah_says(words)))
    end
  end)

  it("says nothing of its own when busted ends a failing run", function()
    write("bad_spec.lua", "describe('x', function() it('fails', function() assert.equal(1, 2) end) end)\n")
    write("end_of_busted.lua", "require 'busted.runner'{standalone = false}\n")
    local out, err, code = pah_says "end_of_busted.lua bad_spec.lua"
    assert.truthy(out:find "1 failure")
    assert.same({"", 1}, {err, code})
  end)

  it("tells commit and compiler", function()
    local out = pah_says "info"
    assert.truthy(out:find "^pah +%d[%d.]*[^\n]*\ncompiler +%w+ ")
    local facts = pah.json.decode((pah_says "info --json"))
    assert.equal(host.compiler, facts.compiler)
    assert.equal(host.commit, facts.commit)
  end)
end)

describe("assert.allclose", function()
  it("compares tensors, and tells how far and where", function()
    assert.allclose(pah.ones({2}), pah.ones({2}, {dtype = "bf16"}))
    assert.allclose(pah.full({2}, 1.01), pah.ones({2}), {rtol = 0.1})
    assert.is_not.allclose(pah.zeros({2}), pah.ones({2}))
    local ok, why = pcall(assert.allclose, pah.zeros({2, 2}), pah.tensor({{0, 0}, {0, 3}}))
    assert.is_false(ok)
    why = type(why) == "table" and why.message or why
    assert.equal("Expected the tensors to be close.\n1 of 4 mismatched, first at [2, 2]; max abs 3, max rel 1, "
      .. "rms 1.5, largest at [2, 2]\nThere it is 0, expected 3.", tostring(why))
    ok, why = pcall(assert.allclose, pah.zeros({2}), pah.zeros({3}))
    assert.is_false(ok)
    why = tostring(type(why) == "table" and why.message or why)
    assert.truthy(why:find "allclose: a has shape %[2%], b has %[3%]")
  end)
end)
