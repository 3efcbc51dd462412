-- init.lua - pah.worker: a process of its own that serves attention calls, so that a kernel in Python (NumPy, PyTorch,
-- Triton, ...) is judged and timed as any other. Messages are lines of JSON over a socket, the worker's file 3; tensors
-- lie in memory that both have open (arena.lua). The protocol is written down in doc/judging.md.
-- Promises: a worker that hangs, dies, writes nonsense or prints to stdout is an error that says so, and nothing of it
-- is left behind; the next call starts it anew. Read next: arena.lua, pah_worker.py.
local arenas = require "pah.worker.arena"
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local host = require "pah.host"
local json = require "pah.util.json"
local readable = require("pah.util.whole_file").readable
local tensor = require "pah.tensor"
local timer = require "pah.measure.timer"

local M = {}
local Worker = classes.name("Worker", {})
Worker.__index = Worker

local PROTOCOL = 1

local defaults = {command = false, name = false, timeout = 60, start_timeout = 120}

-- ---- Starting and ending --------------------------------------------------------------------------------------------

-- A word of a command: a file beside the running script where there is none of that name here.
local function found(word)
  local beside = rawget(_G, "arg") and type(arg[0]) == "string" and arg[0]:match "^(.*/)" or ""
  if word:match "^/" or beside == "" or readable(word) or not readable(beside .. word) then return word end
  return beside .. word
end

local function words_of(self)
  local path, old = host.datadir .. "/lua/pah/worker", os.getenv "PYTHONPATH"
  local words = {"/usr/bin/env", "PYTHONPATH=" .. path .. (old and old ~= "" and ":" .. old or ""),
    "PYTHONDONTWRITEBYTECODE=1", "PAH_WORKER=1"}
  for i, word in ipairs(self.command) do words[#words + 1] = i > 1 and found(word) or word end
  return words
end

-- Ends the process; what is known of its end, in words.
local function stop(self, seconds)
  local child = self.child
  self.child = nil
  if not child then return "it has ended" end
  local code, signal = child:finish(seconds or 0)
  if code == 127 then return ("exit code 127: no program is named %s"):format(self.command[1]) end
  return code and "exit code " .. code or tostring(signal)
end

local function fail(self, what, ...) errors.raise(("worker %s: "):format(self.name) .. what:format(...)) end

-- The next message as a table; raises, with the process ended, if there is none or it is none.
local function receive(self, seconds, doing)
  local line, why = self.child:receive(seconds)
  if not line then
    if why == "no answer in time" then
      stop(self)
      fail(self, "no answer in %g s %s; it was ended", seconds, doing)
    elseif why == "interrupted" then
      stop(self)
      errors.raise "interrupted!"
    end
    fail(self, "it ended %s (%s)", doing, stop(self, 2))
  end
  local ok, message = pcall(json.decode, line)
  if not ok or type(message) ~= "table" then
    stop(self)
    fail(self, "nonsense in the place of a message %s: %q; it was ended", doing, line:sub(1, 80))
  end
  if message.error ~= nil then
    local text = tostring(message.error)
    if message.fatal then stop(self) end
    fail(self, "%s", text)
  end
  return message
end

local function start(self)
  local child, why = host.spawn(words_of(self))
  if not child then fail(self, "cannot be started: %s", why) end
  self.child = child
  local ready = receive(self, self.start_timeout, "before it was ready")
  if ready.ready ~= PROTOCOL then
    stop(self)
    fail(self, "speaks protocol %s, must speak %d", tostring(ready.ready), PROTOCOL)
  end
  self.info = ready
end

--- Ends the worker and frees what it shared. It may be used again: the next call starts it.
function Worker:close()
  local words
  if self.child then
    self.child:send '{"end": true}'
    words = stop(self, 5)
  end
  for _, arena in pairs(self.arenas) do arena:close() end
  return words
end

-- ---- Calls ----------------------------------------------------------------------------------------------------------

local function description(item)
  local t = item.tensor
  return {offset = item.offset, dtype = t.dtype, shape = t.shape, strides = item.strides}
end

-- Tensors and plain values of a call's arguments; functions and the like stay here.
local function sorted(args)
  local tensors, values, device = {}, {}, nil
  for name, value in pairs(args) do
    if tensor.is_tensor(value) then
      tensors[name], device = value, device or value.device
    elseif type(value) == "number" or type(value) == "string" or type(value) == "boolean" or type(value) == "table" then
      values[name] = value
    end
  end
  if not device then errors.raise "worker: the arguments hold no tensor" end
  return tensors, values, device
end

-- One call: the tensors go over, the worker runs, they come back. how: {calls=, cold=, flush_bytes=} to be timed.
local function call(self, op, args, case, how)
  local tensors, values, device = sorted(args)
  local q = tensors.q
  if q and q:dim() > 0 then values.softmax_scale = values.softmax_scale or q.shape[#q.shape] ^ -0.5 end
  if not self.child then start(self) end
  local arena = self.arenas[device.name] or arenas.new(device)
  self.arenas[device.name] = arena
  local items, described = arena:place(tensors), {}
  for _, item in ipairs(items) do described[item.name] = description(item) end
  arena:fill(items)
  local sent = self.child:send(json.encode{call = op, memory = arena:description(), tensors = described,
    values = values, case = case, time = how})
  if not sent then fail(self, "it ended before a call of %s (%s)", op, stop(self, 2)) end
  local answer = receive(self, self.timeout + (how and how.calls or 0), ("in a call of %s"):format(op))
  if type(answer.pending) == "string" then return answer end
  if answer.ok ~= true then
    stop(self)
    fail(self, "an answer that is neither ok, pending nor an error in a call of %s; it was ended", op)
  end
  local spoilt = arenas.fetch(items)
  if spoilt then fail(self, "%s: memory around it was written", spoilt) end
  self.refused = arena.refused
  return answer
end

--- A function run(a, case) that has the worker compute `op`, as pah.judge, pah.bench_attention and pah.probe take it;
--- false and why of a call that the worker does not do. Timed by pah.bench_attention, the time is taken in the worker:
--- by events of the GPU, else by its clock; what the call launched is w.kernels then.
local function runner(self, op)
  if type(op) ~= "string" then errors.raisef("worker: op is a %s, must be the name of an operation", type(op)) end
  local function run(a, case)
    local answer = call(self, op, a, case)
    if answer.pending then return false, answer.pending end
  end
  timer.foreign[run] = function(args, calls, cold, device)
    local answer = call(self, op, args, nil, {calls = calls, cold = cold and true or false,
      flush_bytes = timer.flush_bytes(device)})
    if answer.pending then fail(self, "does not do this call of %s: %s", op, answer.pending) end
    if type(answer.seconds) ~= "number" or answer.seconds < 0 then
      fail(self, "gave no time of a call of %s", op)
    end
    self.kernels, self.late = answer.kernels, answer.late
    return answer.seconds, answer.seconds, type(answer.cpu) == "number" and answer.cpu or answer.seconds, 0
  end
  return run
end

-- ---- pah.worker -----------------------------------------------------------------------------------------------------

local function check(spec)
  if type(spec) ~= "table" then
    errors.raisef("worker: is called with a %s, must be called with a table {command=}", type(spec))
  end
  errors.check_keys("worker", spec, defaults)
  local command = spec.command
  if type(command) ~= "table" or #command == 0 then
    errors.raise 'worker: command must be a list of words: {"python3", "my_kernel.py"}'
  end
  for i, word in ipairs(command) do
    if type(word) ~= "string" then
      errors.raisef("worker: command: item %d is a %s, must be a string", i, type(word))
    end
  end
  for _, key in ipairs {"timeout", "start_timeout"} do
    local value = spec[key]
    if value ~= nil and not (type(value) == "number" and value > 0) then
      errors.raisef("worker: %s is %s, must be a number of seconds above 0", key, tostring(value))
    end
  end
end

--- Starts a worker: pah.worker{command = {"python3", "my_kernel.py"}[, name=, timeout=, start_timeout=]} -> w, with
--- w.run(op) -> run(a, case); w:close(); w.info (what it says of itself).
function M.worker(spec)
  check(spec)
  local self = setmetatable({command = spec.command, name = spec.name or found(spec.command[#spec.command]),
    timeout = spec.timeout or defaults.timeout, start_timeout = spec.start_timeout or defaults.start_timeout,
    arenas = {}}, Worker)
  self.run = function(op) return runner(self, op) end
  start(self)
  return self
end

M.exports = {worker = M.worker}

return M
