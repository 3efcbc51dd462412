-- init.lua - the command line: commands by name, everything else as a Lua interpreter takes it (interpreter.lua).
-- Promises: exit code 0 done, 1 the script failed, 2 wrong usage with a hint, 130 after Ctrl-C; results on stdout,
-- everything else on stderr. Read next: interpreter.lua, options.lua, repl.lua.
local columns = require "pah.util.columns"
local devices = require "pah.device"
local errors = require "pah.errors"
local help = require "pah.cli.help"
local host = require "pah.host"
local library = require "pah"
local info = require "pah.cli.info"
local interpreter = require "pah.cli.interpreter"
local json = require "pah.util.json"
local kernel_table = require "pah.module.kernel_table"
local options = require "pah.options"
local screen = require "pah.util.screen"
local scripts = require "pah.cli.scripts"
local readable = require("pah.util.whole_file").readable

rawset(_G, "pah", library) -- the global that every script finds
rawset(_G, "print", require("pah.util.inspect").print)

local commands, order = {}, {}

-- The prompt and the manual are loaded when they are asked for: a script needs neither.
local function prompt(bare) return require("pah.prompt.repl").run(bare) end

-- A command: usage (after "pah NAME"), about (one line), options (as for pah.options; nil: words are not parsed), words
-- (how many may be given besides options), raw (it parses its words itself), wrong_usage (an exit code, 2), text (more
-- help) and run(opt or list of words) -> exit code.
local function command(name, definition)
  order[#order + 1] = name
  commands[name] = definition
end

local function complain(message, hint, code)
  io.stderr:write("pah: ", message, "\nhint: ", hint, "\n")
  return code or 2
end

local function print_json(value)
  print(json.encode(value))
  return 0
end

local function print_columns(rows) io.write(columns.plain(rows, nil, screen.width())) end

-- ---- Commands -------------------------------------------------------------------------------------------------

command("run", {
  usage = "SCRIPT [options] [-- arguments]",
  about = "run an experiment: a file, - for standard input, or the name of an example that ships",
  text = "Words after SCRIPT go to the script; most scripts list their options with `pah run SCRIPT --help`.",
  run = function(given)
    local name = given[1]
    if not name then return complain("run: no script is named", "`pah examples` lists those that ship") end
    if name:match "^%-." then
      return complain(('run: "%s" stands before the script'):format(name), "`pah help run` shows the usage")
    end
    local path, nearest = scripts.find(name)
    if not path then
      return complain(('run: no file and no example is named "%s"'):format(name),
        nearest and ('did you mean "%s"? `pah examples` lists what ships'):format(nearest)
          or "give the path of a file, or a name that `pah examples` lists")
    end
    if path:find "%.jsonl$" or path:find "%.db$" or path:find "%.sqlite$" then
      return complain(('run: %s holds results, must be a script'):format(path),
        "`pah results` prints such a file, `pah plot` draws it")
    end
    interpreter.set_arg(host.argv, 2)
    arg[0] = path
    local code = interpreter.init()
    return code == 0 and interpreter.file(path) or code
  end,
})

command("repl", {
  usage = "",
  about = "the interactive prompt, as `pah` alone on a terminal",
  options = {}, words = 0,
  text = [[
Expressions print their results, `_` is the last one. Tab completes names, fields, methods, the keys of named
arguments, dtypes, devices and file names. `?pah.decode`, `t:view?` and help(x) tell of a function or an object.
Locals of the top level outlive their line, and a paste is one chunk. Ctrl-C stops a running call, Ctrl-D leaves.
History: $PAH_HISTORY, else $XDG_STATE_HOME/pah/history, else ~/.local/state/pah/history. First of all the prompt
runs $PAH_INIT, else $XDG_CONFIG_HOME/pah/init.lua, else ~/.config/pah/init.lua.]],
  run = function()
    arg = {[0] = "pah"}
    local code = interpreter.init()
    return code == 0 and prompt() or code
  end,
})

command("test", {
  usage = "[busted arguments]",
  about = "run busted specs inside the program",
  text = "Takes what busted takes: spec files or folders (default: spec), --filter, --tags, -o TAP and so on.",
  run = function(given)
    arg = {[0] = "pah test", unpack(given)}
    local ok, why = pcall(require, "busted.runner")
    if not ok then
      if not why:find("module 'busted.runner' not found", 1, true) then io.stderr:write("pah: ", why, "\n") end
      return complain("test: busted is not installed",
        "on Debian `apt install lua-busted`, else `luarocks install busted`")
    end
    require "pah.assertions"
    -- With a chunk that is not a file busted ends the program itself instead of raising nil.
    return interpreter.call_plainly(loadstring("require 'busted.runner' {standalone = false}", "=pah test"))
  end,
})

command("info", {
  usage = "[--json] [--limits]",
  about = "version, devices (and why one is not usable), instruction sets, threads, caches, memory",
  options = {
    json = {"print JSON", false},
    limits = {"measure what this machine can reach; takes a few seconds", false},
  },
  words = 0,
  run = function(opt)
    local facts = info.collect(opt.limits)
    if opt.json then return print_json(facts) end
    info.print(facts)
    return 0
  end,
})

command("kernels", {
  usage = "[--arch sm_90a] [--json]",
  about = "every kernel and what it supports; with --arch, what the CUDA kernels need of a GPU",
  text = "--arch compiles every CUDA kernel with NVRTC; no GPU is needed.",
  options = {json = {"print JSON", false}, arch = {"compile for sm_80, sm_90a, ...", ""}}, words = 0,
  run = function(opt)
    if opt.arch ~= "" then
      local list = kernel_table.collect(opt.arch)
      if opt.json then return print_json(list) end
      print_columns(kernel_table.rows(list))
      return 0
    end
    local kernels = library.kernels()
    if opt.json then return print_json(kernels) end
    local rows = {{"device", "op", "kernel", "dtypes (q / cache)", "limits", "what it is"}}
    for _, k in ipairs(kernels) do rows[#rows + 1] = {k.device, k.op, k.name, k.dtypes, k.limits, k.about} end
    print_columns(rows)
    return 0
  end,
})

command("examples", {
  usage = "[--json]",
  about = "the experiments that ship, one line each",
  options = {json = {"print JSON", false}}, words = 0,
  run = function(opt)
    local list = scripts.examples()
    if opt.json then return print_json(list) end
    local rows = {}
    for i, example in ipairs(list) do rows[i] = {example.name, example.about} end
    print_columns(rows)
    return 0
  end,
})

command("help", {
  usage = "[COMMAND | NAME]",
  about = "this text, or the help of a command, or of a name of the Lua library",
  text = "NAME is pah.decode, Tensor:view, Tensor and so on; `pah help pah` lists all names.",
  options = {}, words = 1,
  run = function(opt)
    if opt[1] and not commands[opt[1]] then
      local manual = require "pah.manual.help"
      local text = opt[1] == "pah" and manual.text() or manual.text_of_name(opt[1])
      if text then return print(text) or 0 end
      return complain(('help: "%s" is neither a command nor a name of the library'):format(opt[1]),
        "`pah help` lists the commands, `pah help pah` the names")
    end
    io.stdout:write(help(commands, order, opt[1]))
    return 0
  end,
})

-- Commands with a file of their own, which returns the definition.
for _, name in ipairs {"bench", "judge", "results", "compare", "plot", "report", "submit", "status", "cache"} do
  command(name, require("pah.cli." .. name))
end

-- ---- The start ------------------------------------------------------------------------------------------------

local function run_command(name, given)
  local this = commands[name]
  local hint = ("`pah help %s` shows the usage"):format(name)
  if given[1] == "--help" or given[1] == "-h" then return commands.help.run{name} end
  if not this.options or this.raw then return this.run(given) end
  local opt, why = options.parse(this.options, given)
  if not opt then return complain(name .. ": " .. why, hint, this.wrong_usage) end
  if opt.help then return commands.help.run{name} end
  if opt[this.words + 1] then
    return complain(('%s: "%s" is one word too many'):format(name, opt[this.words + 1]), hint)
  end
  return this.run(opt)
end

local function main(argv)
  local first = argv[1]
  if first == "--help" or first == "-h" then return commands.help.run{} end
  if first == "__words" then
    local names = {}
    for i, example in ipairs(scripts.examples()) do names[i] = example.name end
    for _, word in ipairs(require("pah.cli.words").after({unpack(argv, 2)}, commands, order, names)) do print(word) end
    return 0
  end
  if first == "__man" then -- for scripts/manual
    local name = argv[2]
    io.write(name and require "pah.cli.man"(name, commands[name]) or table.concat(order, "\n") .. "\n")
    return 0
  end
  if first == "--version" then return interpreter.print_version() or 0 end
  if commands[first] then return run_command(first, {unpack(argv, 2)}) end
  if first and not first:match "^%-" and not readable(first) then
    local nearest = errors.nearest(first, commands)
    local hint = (nearest and ('did you mean "%s"? '):format(nearest) or "") .. "`pah --help` lists the commands"
    if scripts.find(first) then
      hint = ("it is an example: `pah run %s`"):format(first)
    elseif first:find "[./]" then
      hint = "give the path of a file; `pah --help` lists the commands"
    end
    return complain(('no command and no file is named "%s"'):format(first), hint)
  end
  local code, why = interpreter.main(argv, prompt)
  return code or complain(why, "`pah --help` lists the options")
end

--- Runs the command line; returns the exit code.
return function()
  local code = main(host.argv)
  if code == 0 and host.argv[1] ~= "test" then -- errors of what is asynchronous and was not waited for
    local ok, why = pcall(devices.finish)
    if not ok then
      io.stderr:write("pah: ", tostring(why), "\n")
      code = 1
    end
  end
  if not io.stdout:flush() and code == 0 then
    io.stderr:write("pah: standard output cannot be written\n")
    code = 1
  end
  return code
end
