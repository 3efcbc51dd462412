-- help.lua - the text of `pah --help` and of `pah help COMMAND`, from the table of commands in init.lua.
local columns = require "pah.util.columns"
local options = require "pah.options"

local interpreter_options = [[
as a Lua interpreter:
  SCRIPT [arguments]  run a file; the global `arg` holds the words
  -                   run standard input; `pah` alone does if it is no terminal
  -e CODE             run a line of Lua
  -l MODULE           require a module
  -i                  prompt after running the script
  -v, --version       print the version
  -j CMD, -O[LEVEL]   control the JIT compiler; -b saves bytecode, as in luajit
  -E                  ignore LUA_INIT and PAH_INIT
  --                  end of the options
]]

local environment = [[
environment:
  PAH_DEVICE          default device of scripts: cpu, sim, cuda
  PAH_ISA             instruction set of the cpu kernels: generic, avx2, avx512,
                      avx512bf16, avx512fp16, amx
  OMP_NUM_THREADS     threads of the cpu kernels
  PAH_CACHE_DIR       folder of compiled kernels
  PAH_CACHE_SIZE      what it may hold: 1G, 512M, none
  PAH_HISTORY         history file of the prompt
  PAH_INIT            Lua file that the prompt runs first
  PAH_DATADIR         folder that holds lua/
  LUA_INIT, LUA_PATH  as in luajit

exit codes: 0 done, 1 the script failed, 2 wrong usage, 130 stopped by Ctrl-C
]]

local function usage(name, definition)
  return columns.wrapped(("usage: pah %s "):format(name), definition.usage, 80):gsub("%s+$", "") .. "\n"
end

--- Help of the command `name`, or of the program when it is nil; `order` lists the names of `commands`.
return function(commands, order, name)
  if name then
    local this = commands[name]
    local text = usage(name, this) .. columns.wrapped("", this.about:gsub("^%l", string.upper) .. ".", 80) .. "\n"
    if this.text then text = text .. "\n" .. columns.wrapped("", this.text, 80) .. "\n" end
    if this.options and next(this.options) then text = text .. "\noptions:\n" .. options.help(this.options) end
    return text
  end
  local lines = {
    "usage: pah COMMAND [arguments]   or   pah [options] [SCRIPT [arguments]]",
    "An attention kernel lab: experiments are Lua scripts with the table `pah`.",
    "",
    "commands:",
  }
  for _, command in ipairs(order) do
    lines[#lines + 1] = columns.wrapped(("  %-18s  "):format(command), commands[command].about, 80)
  end
  lines[#lines + 1] = "\n" .. interpreter_options .. "\n" .. environment
  return table.concat(lines, "\n")
end
