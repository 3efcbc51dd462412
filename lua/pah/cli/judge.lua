-- judge.lua - the command `pah judge FILE`: FILE returns the table that pah.judge takes, or a list of such tables; each
-- is judged and its verdict printed. Exit code 0 all passed, 1 something failed, 2 wrong usage.
-- Read next: judge/init.lua, doc/judging.md.
local host = require "pah.host"
local json = require "pah.util.json"
local judge = require "pah.judge"
local misused = require("pah.options").misused
local readable = require("pah.util.whole_file").readable
local safe = require "pah.util.safe_text"
local traceback = require "pah.traceback"
local verdicts = require "pah.judge.verdict"

local function complain(message) return misused("judge", message) end

-- What FILE returns; nil and an exit code where it fails.
local function loaded(path)
  local chunk, why = loadfile(path)
  if not chunk then return nil, complain(why) end
  arg = {[0] = path}
  local ok, value = xpcall(chunk, traceback)
  if host.interrupted() then error(value, 0) end
  if not ok then
    io.stderr:write("pah: ", tostring(value), "\n")
    return nil, 1
  end
  return value
end

-- The tables of what FILE returned; nil and what it is instead.
local function specifications(value)
  if type(value) ~= "table" then return nil, "a " .. type(value) end
  if value.op ~= nil or value.run ~= nil then return {value} end
  if #value == 0 then return nil, "a table without op and run" end
  for i, spec in ipairs(value) do
    if type(spec) ~= "table" then return nil, ("a list whose item %d is a %s"):format(i, type(spec)) end
  end
  return value
end

local function quoted(word) return word:match "^[%w_./-]+$" and word or safe.shell(word) end

-- A copy of a table as the options of the command line change it.
local function adjusted(spec, path, opt)
  local copy = {}
  for name, value in pairs(spec) do copy[name] = value end
  if opt.quick then copy.cases = "quick" end
  if opt.case then copy.cases = opt.case end
  copy.line = function(case) return ("pah judge %s --case %s"):format(quoted(path), safe.shell(case.name)) end
  if not opt.json and host.isatty(2) then
    copy.progress = function(n, count, case)
      io.stderr:write(("\r\27[K%d/%d %s"):format(n, count, safe.cut(safe.line(case.name), 60)), n == count and "\r\27[K"
        or "")
    end
  end
  return copy
end

-- Verdicts of all tables; nil and what is wrong with one. With --case a table none of whose cases is meant is left out.
local function judged(list, path, opt)
  local out, none = {}, nil
  for _, spec in ipairs(list) do
    local ok, verdict = pcall(judge.judge, adjusted(spec, path, opt))
    if host.interrupted() then error(verdict, 0) end
    if ok then
      out[#out + 1] = verdict
    elseif opt.case and tostring(verdict):find("no case of", 1, true) then
      none = tostring(verdict)
    else
      return nil, tostring(verdict)
    end
  end
  if #out == 0 then return nil, none end
  return out
end

-- Names of the files that ship.
local function examples()
  local names = {}
  for _, file in ipairs(host.list(host.datadir .. "/lua/examples/judge") or {}) do
    names[#names + 1] = file:match "^(.+)%.lua$"
  end
  table.sort(names)
  return names
end

local function run(opt)
  local path = opt[1]
  if not path then return complain "no file is named" end
  if opt.quick and opt.case then return complain "--quick and --case are both given" end
  local shipped = ("%s/lua/examples/judge/%s.lua"):format(host.datadir, path)
  if not readable(path) and not path:find "/" and readable(shipped) then path = shipped end
  if not readable(path) then
    return complain(('no file is named "%s"; those that ship: %s'):format(path, table.concat(examples(), ", ")))
  end
  local value, code = loaded(path)
  if code then return code end
  local list, what = specifications(value)
  if not list then
    return complain(("%s returns %s, must return the table that pah.judge takes, or a list of them"):format(path, what))
  end
  local verdicts_, why = judged(list, path, opt)
  if not verdicts_ then return complain((why:gsub("^judge: ", ""))) end
  local ok, plain = true, {}
  for i, v in ipairs(verdicts_) do
    ok, plain[i] = ok and v.ok, verdicts.plain(v)
    if not opt.json then print(v) end
  end
  if opt.json then print(json.encode{ok = ok, verdicts = plain}) end
  return ok and 0 or 1
end

return {
  usage = "FILE [--case TEXT] [--quick] [--json]",
  about = "hold a kernel of your own to the table of cases that pah's own kernels pass",
  text = [[
FILE is Lua and returns {op =, device =, run = function(a, case) ... end, supports = {...}}: run fills a.out and a.lse.
The names of files that ship: c_function, numpy, own_kernel, shipped (pah's own kernels). Every case is compared with
the float64 oracle; a failure is told with its place, its likely cause and the line that runs just that case. What the
kernel does not support is pending and counted. Exit code 1: something failed.
doc/judging.md shows how to write FILE.]],
  options = {
    case = {"only cases with this text, or Lua pattern, in their names"}, quick = {"a part of the cases", false},
    json = {"print JSON", false},
  },
  words = 1,
  run = run,
}
