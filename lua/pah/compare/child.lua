-- child.lua - a script that is measured interleaved with another: the child's side of `pah compare --interleave`.
-- Promises: the script runs as it always does, but where pah.bench would take its samples, it takes them when the
-- parent says so, one slice of time after the other. Read next: parent.lua, src/host/child.c, measure/init.lua.
local bench = require "pah.measure"
local binding = require "pah.ffi"
local host = require "pah.host"
local json = require "pah.util.json"
local run_header = require "pah.results.header"
local traceback = require "pah.traceback"

local C = binding.C

local M = {}

local link

-- The parent is gone, or this process is interrupted: nothing is left to do here.
local function leave() os.exit(130, false) end

local function tell(message)
  if not link:send(json.encode(message)) then leave() end
end

local function asked()
  local line = link:receive()
  if not line then leave() end
  return json.decode(line)
end

-- One slice. The first calls find the caches as the other script left them and are not counted.
local function slice(fn, o, time, calls, flush, seconds)
  local answer = {samples = {}, wall = {}, cpu = {}}
  local start, counted = C.pah_clock(), false
  while #answer.samples == 0 or C.pah_clock() - start < seconds do
    if o.setup then o.setup() end
    if flush then flush() end
    local sample, wall, cpu = time(fn, calls)
    if o.after then o.after() end
    if counted then
      local n = #answer.samples + 1
      answer.samples[n], answer.wall[n], answer.cpu[n] = sample, wall, cpu
    end
    counted = counted or C.pah_clock() - start >= 0.1 * seconds
  end
  return answer
end

local function append(list, more)
  for i = 1, #more do list[#list + 1] = more[i] end
end

-- Replaces bench.take: reports what is to be measured, then answers with one slice after the other.
local function take(fn, o, time, calls, flush)
  local samples, wall, cpu = {}, {}, {}
  o.limits, o.back_to_back = false, false -- measured in each process they would take longer than the turns
  tell{event = "bench", name = o.name, calls = calls, device = o.device.name, cold = o.cold and true or false,
    bytes = o.bytes or nil, flops = o.flops or nil, threads = C.pah_get_threads()}
  while true do
    local message = asked()
    if message.finish then break end
    if message.conditions then
      tell(run_header.conditions(o.device))
    else
      calls = message.calls
      collectgarbage()
      collectgarbage "stop"
      local ok, answer = pcall(slice, fn, o, time, calls, flush, message.seconds)
      collectgarbage "restart"
      if not ok then error(answer, 0) end
      append(samples, answer.samples)
      append(wall, answer.wall)
      append(cpu, answer.cpu)
      tell(answer)
    end
  end
  if #samples == 0 then leave() end
  return {seconds = samples, wall = wall, cpu = cpu, faults = {}, hz = {}, throttled = 0, why = "precise",
    calls = calls}
end

-- A script may return what is to be measured: a function, or functions by name.
local function measure_returned(value)
  if type(value) == "function" then return bench.bench(value) end
  if type(value) ~= "table" then return end
  local names = {}
  for name, fn in pairs(value) do
    if type(name) == "string" and type(fn) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do bench.bench(value[name], {name = name}) end
end

--- Runs the script at `path` with the words that follow as its arguments, one turn whenever the parent asks; does
--- not return.
function M.serve(path, ...)
  link = host.parent()
  arg = {[0] = path, ...}
  bench.take = take
  local chunk, why = loadfile(path)
  local ok = chunk ~= nil
  if ok then
    ok, why = xpcall(function(...) measure_returned(chunk(...)) end, traceback, ...)
  end
  if ok then tell{event = "done"} else tell{event = "error", message = tostring(why)} end
  link:receive() -- until the parent has read it
  os.exit(ok and 0 or 1, true)
end

return M
