-- repl_spec.lua - the prompt: from standard input that is no terminal, and on a terminal of tmux; what Tab completes.
local child = require "spec.support.child"
local complete = require("pah.prompt.complete").complete
local host = require "pah.host"
local inspect = require("pah.util.inspect").inspect

-- What `pah repl` prints, errors among it, for these lines.
local function types(...)
  local script = os.tmpname()
  child.write(script, table.concat({...}, "\n") .. "\n")
  local text, code = child.shell(("env -u LUA_INIT %s repl <%s"):format(host.exe, script))
  os.remove(script)
  return ("%s%d\n"):format(text, code)
end

describe("the prompt", function()
  it("prints all results of an expression", function()
    assert.equal("2\n0\n", types "1 + 1")
    assert.equal("1\ta\tnil\n0\n", types "1, 'a', nil")
    assert.equal("3\n0\n", types "= 3")
    assert.equal("nil\n0\n", types "nil")
    assert.equal("0\n", types "local x = 1")
    assert.equal("5\n0\n", types "print(5)")
  end)

  it("keeps the last result in _", function() assert.equal("4\n8\n0\n", types("2 + 2", "_ * 2")) end)

  it("waits for the end of a chunk", function()
    assert.equal("1\n2\n0\n", types("for i = 1, 2 do", "print(i)", "", "end"))
    assert.equal("{1, 2}\n0\n", types("= {1,", "2}"))
    assert.equal("stdin:1: 'end' expected near '<eof>'\n0\n", types "if true then")
  end)

  it("prints tables and tensors readably", function()
    assert.equal("{1, {a = 2}}\n0\n", types "{1, {a = 2}}")
    assert.truthy(types("pah.zeros({2})"):find("[f32 cpu 2, 8 B]", 1, true))
  end)

  it("reports errors and goes on", function()
    assert.equal("stdin:1: boo\n1\n0\n", types("error 'boo'", "1"))
    assert.equal("stdin:1: '=' expected near 'bar'\n1\n0\n", types("foo bar", "1"))
    assert.equal("(error object is a nil value)\n0\n", types "error()")
    assert.equal('stdin:1: zeros: unknown option "dtyp", did you mean "dtype"?\n0\n',
      types "pah.zeros({1}, {dtyp = 1})")
    assert.equal("stdin:1: deep\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in function 'f'\n"
      .. "\tstdin:1: in main chunk\n0\n", types "local function f() error 'deep' end f()")
  end)
end)

describe("locals of the prompt", function()
  it("outlive their line, functions too", function()
    assert.equal("3\n0\n", types("local a, b = 1, 2", "a + b"))
    assert.equal("120\n0\n", types("local function f(n) return n < 2 and 1 or n * f(n - 1) end", "f(5)"))
    assert.equal("7\n0\n", types("local n = 3", "local function add(m) return n + m end", "n = 5", "add(2)"))
    assert.equal("nil\t1\n0\n", types("x = 1", "local x", "x, _G.x"))
  end)

  it("are seen by no module: one named table does not break the library", function()
    assert.equal("5\n[f32 cpu 1, 4 B]\nnil\n0\n",
      (types("local table = {n = 5}", "table.n", "tostring(pah.zeros({1})):match '[^\\n]*$'", "rawget(_G, 'n')")))
    assert.equal("nil\tfunction\n0\n", types("local print = nil", "print, type(_G.print)"))
  end)

  it("in a block stay in the block", function()
    assert.equal("1\nnil\n0\n", types("do local inner = 1 print(inner) end", "inner"))
    assert.equal("nil\n0\n", types("for i = 1, 2 do local inside = i end", "inside"))
    assert.equal("nil\n0\n", types("if true then local a = 1 else local a = 2 end", "a"))
    assert.equal("nil\n0\n", types("repeat local a = 1 until a == 1", "a"))
  end)

  it("keep the lines of messages, and words in strings and comments are no locals", function()
    assert.equal("stdin:2: boo\n0\n", types("do local z", "end local a = 1 error 'boo'"))
    assert.equal("local x\n0\n", types("s = 'local x' -- local y", "s"))
    assert.equal("a\nlocal b\n0\n", types("s = [[a", "local b]]", "s"))
  end)

  local lift = require("pah.prompt.locals").lift
  it("are lifted out of the text", function()
    local cases = {
      {"local x = 1", "      x = 1", "x"}, {"local x", "      x = nil", "x"},
      {"local a, b -- c", "      a, b = nil -- c", "a,b"}, {"a = b local c, d = f()", "a = b       c, d = f()", "c,d"},
      {"local function f() local x end", "      function f() local x end", "f"},
      {"x = function() local y = 1 end local z = 2", "x = function() local y = 1 end       z = 2", "z"},
      {'x = "local" local y = "end" local z', 'x = "local"       y = "end"       z = nil', "y,z"},
      {"if a then local b elseif c then local d end", "if a then local b elseif c then local d end", ""},
      {"while 1 do local a end local b = 0x1p-3", "while 1 do local a end       b = 0x1p-3", "b"},
    }
    for _, case in ipairs(cases) do
      local text, names = lift(case[1])
      assert.same({case[2], case[3]}, {text, table.concat(names, ",")})
    end
  end)
end)

describe("help", function()
  local help = require "pah.manual.help"

  it("answers ?x, x? and help(x) for functions, objects and names", function()
    local decode = types "help(pah.decode)"
    assert.truthy(decode:find "^pah.decode{q=, k_blocks=, v_blocks=, block_table=, ...} %-> out, lse\n")
    for _, text in ipairs {"example:\n  local block_table", "\n  num_splits     integer, optional: "} do
      assert.truthy(decode:find(text, 1, true), text)
    end
    for _, line in ipairs {"?pah.decode", "pah.decode?", "? decode", 'help "decode"', "local f = pah.decode\n?f"} do
      assert.equal(decode, types(line))
    end
    assert.truthy(types("t = pah.zeros{1}", "t:view?"):find "^t:view%(%.%.%.%) %-> Tensor\n")
    assert.truthy(types("local t = pah.zeros{1}", "?t"):find "^Tensor: a view of memory")
    assert.truthy(types("?pah.json"):find "^pah.json:\n")
    assert.truthy(types("?"):find "^help%(x%) tells")
    assert.equal('The manual has nothing of "decoed"; did you mean "decode"?\n0\n', types "?decoed")
    assert.equal("A number; the manual knows the functions and objects of pah.\n0\n", types "help(5)")
  end)

  it("has lines of at most 79 columns but for examples and long calls", function()
    for _, e in ipairs(require("pah.manual").entries) do
      local text = e.name and help.text_of_name(e.name) or help.text_of_name(e.class or e.record)
      for line in text:gsub("\nexample:.*", ""):gsub("^[^\n]*", ""):gmatch "[^\n]+" do
        assert.is_true(#line <= 79 or not line:match "%s%S+%s+%S+$", line)
      end
    end
  end)

  it("is a global of the prompt only", function()
    assert.equal("nil\n", (child.shell(host.exe .. " -e 'print(help)'")))
  end)

  it("is what `pah help NAME` prints", function()
    assert.equal(help.text_of_name "pah.decode" .. "\n", (child.shell(host.exe .. " help pah.decode")))
    assert.equal(help.text_of_name "Tensor:view" .. "\n", (child.shell(host.exe .. " help Tensor:view")))
    assert.equal(help.text() .. "\n", (child.shell(host.exe .. " help pah")))
  end)
end)

describe("the experiment of README.md", function()
  it("may be typed in, line by line", function()
    local text = child.read("README.md"):match "\n```lua\n(.-)```"
    assert.truthy(text:find "pah.reference.decode")
    assert.truthy(types((text:gsub("\n$", ""))):find "^%d%.?%d*e?%-?%d*\n0\n$")
  end)
end)

describe("the init file", function()
  it("is run first, its locals too, unless -E or an empty PAH_INIT forbids it", function()
    local init, script = os.tmpname(), os.tmpname()
    child.write(init, "local mine = 6\nfunction twice(x) return 2 * x end\n")
    child.write(script, "twice and twice(mine)\n")
    local function says(environment, words)
      return (child.shell(("env -u LUA_INIT %s %s %s <%s"):format(environment, host.exe, words, script)))
    end
    assert.equal("12\n", says("PAH_INIT=" .. init, "repl"))
    assert.truthy(says("PAH_INIT=" .. init, "-i -e ''"):find "\n12\n$")
    assert.equal("nil\n", says("PAH_INIT=", "repl"))
    assert.truthy(says("PAH_INIT=" .. init, "-E -i -e ''"):find "\nnil\n$")
    child.write(init, "local =")
    assert.equal(init .. ":1: '<name>' expected near '='\nnil\n", says("PAH_INIT=" .. init, "repl"))
    os.remove(init)
    os.remove(script)
  end)
end)

describe("inspect", function()
  it("quotes strings in tables only", function()
    assert.equal("a", inspect "a")
    assert.equal('{"a", b = "c\\n"}', inspect{"a", b = "c\n"})
  end)

  it("breaks long tables, elides longer ones, and sees cycles", function()
    local long = {}
    for i = 1, 12 do long["key_number_" .. i] = i end
    assert.truthy(inspect(long):find("{\n  key_number_1 = 1,\n", 1, true))
    local many = {}
    for i = 1, 100 do many[i] = "word" .. i end
    assert.truthy(inspect(many):find("... 40 more", 1, true))
    local loop = {}
    loop.me = loop
    assert.equal("{me = <the table around it>}", inspect(loop))
  end)

  it("packs the numbers of a list into columns", function()
    local squares = {}
    for i = 1, 60 do squares[i] = i * i end
    local text = inspect(squares)
    assert.equal("{\n     1,    4,    9,", text:match "^{\n[^\n]-9,")
    for line in text:gmatch "[^\n]+" do assert.is_true(#line <= 100) end
    assert.equal(5, select(2, text:gsub("\n", "")))
    for i = 61, 300 do squares[i] = i end
    assert.truthy(inspect(squares):find("\n  ... 100 more\n}$"))
    assert.equal("{1, 2.5, -3}", inspect{1, 2.5, -3})
  end)

  it("is what print shows a table by, of which tostring knows only the address", function()
    assert.equal("{1, 2}\ttrue\tnil\n", (child.shell(host.exe .. " -e 'print({1, 2}, true, nil)'")))
    local own = "print(setmetatable({}, {__tostring = function() return [[mine]] end}))"
    assert.equal("mine\n", (child.shell(("%s -e '%s'"):format(host.exe, own))))
    assert.truthy(tostring({}):find "^table: 0x")
  end)

  it("shows a tensor in a table by its footer", function()
    assert.equal("{t = <[f32 cpu 2, 8 B]>}", inspect{t = pah.zeros{2}})
  end)
end)

describe("completion", function()
  it("knows globals, keywords and fields", function()
    assert.equal("ction", (complete "fun"))
    assert.equal("end", (complete "x = pah.kv_app"))
    assert.same({"", "rand      randint   randn     randperm"}, {complete "pah.rand"})
    assert.same({""}, {complete ""})
    assert.same({""}, {complete "no_such_table.x"})
  end)

  it("knows the methods of tensors and strings", function()
    _G.completed = pah.zeros{2}
    _G.text = "abc"
    assert.equal("ose", (complete "completed:transp"))
    assert.equal("pe", (complete "completed.dty"))
    assert.same({""}, {complete "completed:dty"})
    assert.equal("er", (complete "text:upp"))
    _G.completed, _G.text = nil, nil
  end)

  it("knows the members of every object, and no internals", function()
    _G.cpu, _G.pool = pah.device "cpu", pah.cache{num_blocks = 1, num_kv_heads = 1, head_dim = 8}
    local members = select(2, complete "cpu:"):gsub("%s+", " ")
    assert.equal("compile event graph info load memory set synchronize", members)
    assert.same({"", "block_table  sequence     stats"}, {complete "pool:"})
    assert.same({""}, {complete "cpu.hand"})
    assert.same({""}, {complete "pool.ref"})
    _G.cpu, _G.pool = nil, nil
  end)

  it("knows the keys of named arguments, those given left out", function()
    assert.equal("ock_table = ", (complete "pah.decode{q = 1, bl"))
    assert.equal("ock_table = ", (complete("bl", "pah.decode{ -- the kernel\n  q = x:view(1, 2),")))
    assert.same({""}, {complete "pah.decode{block_table = 1, bl"})
    assert.equal("pe = ", (complete "pah.zeros({2}, {dty"))
    assert.equal("lock_size = ", (complete "x = pah.block_table{seqlens = {1, 2}, b"))
    assert.truthy(select(2, complete "pah.decode{"):find("softmax_scale = ", 1, true))
    assert.equal("ros", (complete "pah.decode{q = pah.ze"))
  end)

  it("knows the words that an argument allows", function()
    assert.equal('f16"', (complete 'pah.zeros({2}, {dtype = "b'))
    assert.equal("huffled'", (complete "pah.block_table{order = 's"))
    assert.same({"", "cpu   cuda  sim"}, {complete 'pah.device "'})
    assert.same({"", "bottom-right  top-left"}, {complete 'pah.decode{causal = "'})
    _G.completed = pah.zeros{1}
    assert.equal("8_e", (complete 'completed:to("fp'))
    _G.completed = nil
    assert.same({""}, {complete "-- pah.zer"})
    assert.equal("", (complete "x = [[pah.zer"))
  end)

  it("knows files in strings", function()
    assert.equal('ns_spec.lua"', (complete 'dofile("spec/host/optio'))
    assert.equal("port/", (complete "dofile('spec/sup"))
    assert.same({""}, {complete 'dofile("no/such/folder'})
  end)
end)

-- A session on a terminal: text is sent as typed, and waited for. What is typed before the prompt is there may be lost.
local function session()
  local name = "pah-spec-" .. tostring(math.floor(pah.clock() * 1e6))
  local history, folder = os.tmpname(), os.tmpname()
  os.remove(folder)
  child.shell("mkdir " .. folder)
  local tmux = ("tmux -L %s -f /dev/null "):format(name)
  local program = ("PAH_HISTORY=%s PAH_SPIN=%s env -u LUA_INIT %s; echo left $?; sleep 60")
    :format(history, folder, host.exe)
  local started = os.execute(tmux .. "new-session -d -x 90 -y 30 " .. child.quoted(program) .. " 2>/dev/null")
  if started ~= 0 then return nil end
  local self = {history = history, folder = folder}
  function self.send(...)
    for _, keys in ipairs{...} do os.execute(tmux .. "send-keys " .. child.quoted(keys)) end
  end
  -- The text as the terminal pastes it, announced if the program asked for that.
  function self.paste(text)
    local file = os.tmpname()
    child.write(file, text)
    os.execute(tmux .. "load-buffer " .. file .. " && " .. tmux .. "paste-buffer -p")
    os.remove(file)
  end
  function self.screen()
    return (child.shell(tmux .. "capture-pane -p"))
  end
  -- Waits until the screen holds the pattern; an assertion fails after thirty seconds.
  function self.expect(pattern)
    local limit = pah.clock() + 30
    while not self.screen():find(pattern) do
      assert(pah.clock() < limit, ("no %q on the screen:\n%s"):format(pattern, self.screen()))
      os.execute "sleep 0.05"
    end
  end
  function self.close()
    os.execute(tmux .. "kill-server 2>/dev/null")
    os.remove(history)
    child.shell("rm -r " .. folder)
  end
  return self
end

describe("the prompt on a terminal", function()
  local function on_terminal(body)
    return function()
      if os.execute "command -v tmux >/dev/null" ~= 0 then pending "tmux is not installed" return end
      local terminal = session()
      if not terminal then pending "tmux does not start" return end
      local ok, why = pcall(body, terminal)
      terminal.close()
      if not ok then error(why, 0) end
    end
  end

  it("stops an endless loop at Ctrl-C and goes on", on_terminal(function(t)
    t.expect "\n>"
    t.send("print(6 * 6) while true do end", "Enter")
    t.expect "\n36\n"
    t.send "C-c"
    t.expect "interrupted\n>"
    t.send("6 * 7", "Enter")
    t.expect "\n42\n>"
    t.send "half a line"
    t.expect "> half a line"
    t.send "C-c"
    t.expect "> half a line[^\n]*\n>"
    t.send("7 * 7", "Enter")
    t.expect "\n49\n>"
    t.send "C-d"
    t.expect "left 0"
  end))

  for what, load in pairs{
    ["a module"] = "require 'pah_spin'", ["a file"] = "dofile(os.getenv 'PAH_SPIN' .. '/pah_spin.lua')",
    ["a string"] = "loadstring 'while true do end'",
  } do
    it("stops a loop that calls nothing in the code of " .. what .. " at one Ctrl-C", on_terminal(function(t)
      child.write(t.folder .. "/pah_spin.lua", "return function() while true do end end\n")
      t.expect "\n>"
      t.send("package.path = os.getenv 'PAH_SPIN' .. '/?.lua;' .. package.path", "Enter", "spin = " .. load, "Enter")
      t.send("print(6 * 6) spin()", "Enter")
      t.expect "\n36\n"
      os.execute "sleep 0.5" -- until it would be compiled
      t.send "C-c"
      t.expect "interrupted"
      t.send("6 * 7", "Enter")
      t.expect "\n42\n>"
      t.send "C-d"
      t.expect "left 0"
    end))
  end

  it("ends with code 130 at a second Ctrl-C that a library does not see", on_terminal(function(t)
    t.expect "\n>"
    t.send("print(6 * 6) print(('a'):rep(1e6):find(('a*'):rep(9) .. 'b'))", "Enter")
    t.expect "\n36\n"
    t.send "C-c"
    t.expect "this call does not hear Ctrl%-C; once more ends the session"
    t.send "C-c"
    t.expect "left 130"
  end))

  it("completes with Tab and remembers lines in its file", on_terminal(function(t)
    t.expect "\n>"
    t.send("pah.vers", "Tab", "Enter")
    t.expect("\n" .. pah.version:gsub("%.", "%%."))
    t.send("Up", " .. 'x'", "Enter")
    t.expect("\n" .. pah.version:gsub("%.", "%%.") .. "x")
    t.send("C-d")
    t.expect "left 0"
    local file = assert(io.open(t.history))
    assert.truthy(file:read("*a"):find("pah.version", 1, true))
    file:close()
  end))

  it("says what takes its time, and that is gone afterwards", on_terminal(function(t)
    t.expect "\n>"
    t.send("pah.bench(function() end, {name = 'waiting', warmup = 1, max_time = 1, device = 'cpu'}).name", "Enter")
    t.expect "measuring waiting, up to 2 s %.%.%."
    t.expect "\nwaiting\n>"
    assert.is_nil(t.screen():find "measuring waiting, up to")
  end))

  it("takes a paste as one chunk, and brings it back whole", on_terminal(function(t)
    t.expect "\n>"
    t.paste "local a = 20\nlocal b = a + 1\n\nprint(a +\n  b)\n"
    t.expect "\n  b%)"
    assert.is_nil(t.screen():find "\n41")
    t.send "Enter"
    t.expect "\n41\n>"
    t.send("for i = 1, 2 do", "Enter", "print(i, b) end", "Enter")
    t.expect "2\t?%s*21\n>"
    t.send("C-l", "Up")
    t.expect "for i = 1, 2 do\nprint%(i, b%) end"
    t.send("Up", "Enter")
    t.expect "\n41\n>"
    t.send "C-d"
    t.expect "left 0"
  end))
end)
