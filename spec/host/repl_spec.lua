-- repl_spec.lua - the prompt: from standard input that is no terminal, and on a terminal of tmux; what Tab completes.
local child = require "spec.support.child"
local complete = require("pah.cli.complete").complete
local host = require "pah.host"
local inspect = require("pah.cli.inspect").inspect

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
    for i = 1, 100 do many[i] = i end
    assert.truthy(inspect(many):find("... 40 more", 1, true))
    local loop = {}
    loop.me = loop
    assert.equal("{me = <the table around it>}", inspect(loop))
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

  it("knows files in strings", function()
    assert.equal('ns_spec.lua"', (complete 'dofile("spec/host/optio'))
    assert.equal("port/", (complete "dofile('spec/sup"))
    assert.same({""}, {complete 'dofile("no/such/folder'})
  end)
end)

-- A session on a terminal: text is sent as typed, and waited for.
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
    t.expect "\n42\n"
    t.send("half a line", "C-c", "7 * 7", "Enter")
    t.expect "\n49\n"
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
      t.expect "\n42\n"
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
end)
