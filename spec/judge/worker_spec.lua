-- worker_spec.lua - pah.worker: a process that serves calls. One that serves badly is an error that says how, and
-- nothing of it is left; a NumPy kernel is judged and timed as any other. Read next: worker.lua, broken_worker.py.
local child = require "spec.support.child"
local ffi = require "ffi"
local refused = require "spec.support.refused"
local workers = require "spec.judge.worker"

local function arguments()
  return {q = pah.randn({2, 3, 1, 8}, {seed = 1}), out = pah.zeros {2, 3, 1, 8}, lse = pah.zeros {2, 3, 1}}
end

-- Children of this process, zombies among them, and open descriptors of shared memory.
local function left()
  local pid = ffi.string(ffi.C.pah_shared_name(pah.worker_probe.shared)):match "^/proc/(%d+)/"
  local children = #child.lines("ps -o pid= --ppid " .. pid .. " | grep -v \"^ *$$\\$\"")
  return children, #child.lines("ls -l /proc/" .. pid .. "/fd | grep memfd:pah")
end

local function collect()
  for _ = 1, 3 do collectgarbage() end
end

describe("a worker", function()
  setup(function()
    local handle = ffi.new "struct pah_shared *[1]"
    assert.equal(0, ffi.C.pah_shared_new(pah.device("cpu").handle, 1, handle))
    pah.worker_probe = {shared = handle[0]}
  end)
  teardown(function()
    ffi.C.pah_shared_free(pah.worker_probe.shared)
    pah.worker_probe = nil
  end)

  it("that cannot be started, or ends at once, is an error", function()
    refused("command must be a list of words", pah.worker, {command = "python3 x.py"})
    refused('unknown option "comand"', pah.worker, {comand = {"x"}})
    refused("must be called with a table", pah.worker, "python3")
    refused("timeout is 0, must be a number of seconds above 0", pah.worker, {command = {"x"}, timeout = 0})
    refused("no program is named no_such_program", pah.worker, {command = {"no_such_program"}})
    refused("it ended before it was ready (exit code 3)", pah.worker, {command = {"sh", "-c", "exit 3"}})
    refused("no answer in 0.2 s before it was ready; it was ended", pah.worker,
      {command = {"sleep", "60"}, start_timeout = 0.2})
    refused("nonsense in the place of a message before it was ready", pah.worker,
      {command = workers.command("nonsense", true)})
    refused("speaks protocol nil, must speak 1", pah.worker, {command = workers.command("neither", true)})
  end)

  for way, words in pairs {
    hangs = "no answer in 0.3 s in a call of decode; it was ended", dies = "it ended in a call of decode (exit code 7)",
    killed = "it ended in a call of decode (signal 9)",
    nonsense = 'nonsense in the place of a message in a call of decode: "this is no message"',
    neither = "neither ok, pending nor an error", list = "neither ok, pending nor an error",
    fails = "it does not feel like it",
  } do
    it(("that %s says so, and nothing of it is left"):format(way), function()
      collect()
      local children, memory = left()
      local worker = pah.worker{command = workers.command(way), timeout = 0.3, name = "bad"}
      local run = worker.run "decode"
      refused("worker bad: ", run, arguments())
      refused(words, run, arguments()) -- started anew, and the same again
      worker:close()
      collect()
      assert.same({children, memory}, {left()})
    end)
  end

  it("that is let go ends, as does one that is closed", function()
    collect()
    local children, memory = left()
    local worker = pah.worker{command = workers.command "answers"}
    worker.run "decode"(arguments())
    assert.same({children + 1, memory + 1}, {left()})
    worker = nil -- luacheck: ignore
    collect()
    assert.same({children, memory}, {left()})
  end)

  it("takes tensors of the cpu only where there is no GPU", function()
    if require("spec.support.gpu.sim").why then return pending(require("spec.support.gpu.sim").why) end
    local worker = pah.worker{command = workers.command "answers"}
    refused("a tensor is on sim, must be on cpu or cuda", worker.run "decode", {q = pah.zeros({2}, {device = "sim"})})
    refused("the arguments hold no tensor", worker.run "decode", {})
    worker:close()
  end)
end)

describe("a worker in Python", function()
  local python, why = workers.python()
  if not python then return pending(why) end
  local worker
  setup(function() worker = pah.worker{command = {python, "spec/judge/broken_worker.py"}, timeout = 5} end)
  teardown(function() worker:close() end)

  it("says what it is", function()
    assert.equal("1.0", worker.info.versions.broken)
    assert.is_truthy(worker.info.versions.numpy)
  end)

  it("gets tensors with their strides and gives them back", function()
    local a = arguments()
    a.q = pah.randn({1, 3, 2, 8}, {seed = 1}):permute(3, 2, 1, 4)
    worker.run "right"(a, {x = 1, y = 2})
    for b = 1, 2 do assert.equal(2 * a.q:get(b, 3, 1, 5), a.out:get(b, 3, 1, 5)) end
    assert.equal(2, a.lse:get(1, 1, 1))
  end)

  it("may not print to stdout; stderr is its own", function()
    refused("it printed to stdout, which must stay empty (print to stderr): 'hello'", worker.run "prints", arguments())
    worker.run "prints_to_stderr"(arguments(), {})
    worker.run "right"(arguments(), {})
  end)

  it("tells the error of its kernel with the line, and serves on", function()
    refused("ValueError: no such option (broken_worker.py:", worker.run "raises", arguments())
    refused("serves dies, does_not, prepares, ", worker.run "unknown", arguments())
    worker.run "right"(arguments(), {})
  end)

  it("that dies or sleeps is told, and started anew", function()
    refused("it ended in a call of dies (exit code 9)", worker.run "dies", arguments())
    worker.run "right"(arguments(), {})
    worker.timeout = 0.2
    refused("no answer in 0.2 s in a call of sleeps", worker.run "sleeps", arguments())
    worker.timeout = 5
    worker.run "right"(arguments(), {})
  end)

  it("that writes beside a tensor is caught", function()
    refused("out: memory around it was written", worker.run "writes_beside", arguments())
  end)

  it("takes its own time", function()
    local timer = require "pah.measure.timer"
    local a = arguments()
    worker.timeout = 60 -- the first flush touches its memory for the first time
    for _, cold in ipairs {false, true} do
      local seconds, wall, cpu = timer.foreign[worker.run "takes_long"](a, 2, cold, pah.device "cpu")
      assert.is_true(seconds >= 0.02 and seconds < 0.2, tostring(seconds))
      assert.is_true(wall == seconds and cpu < seconds)
    end
  end)
end)

describe("a kernel in NumPy", function()
  local python, why = workers.python()
  if not python then return pending(why) end

  it("is judged by the command, from the file that ships", function()
    local output, code = child.shell(("PYTHON=%s %s judge numpy --quick"):format(python,
      require("pah.host").exe))
    assert.equal(0, code, output)
    local ops = 0
    for passed in output:gmatch "on cpu: (%d+) passed, 0 failed, 0 pending" do
      ops = ops + 1
      assert.is_true(tonumber(passed) > 100)
    end
    assert.equal(2, ops, output)
  end)

  it("is timed by pah.bench_attention, and its results are checked", function()
    local worker = pah.worker{command = {python, "lua/examples/judge/numpy_kernel.py"}}
    local table_, used = pah.block_table{seqlens = {40, 20}, block_size = 16, num_blocks = 12, seed = 1}
    local pool = {12, 16, 2, 32}
    local args = {q = pah.randn({2, 4, 1, 32}, {seed = 1}), k_blocks = pah.randn(pool, {seed = 2}),
      v_blocks = pah.randn(pool, {seed = 3}), block_table = table_, seqused_k = used}
    local options = {run = worker.run "decode", min_time = 0.01, max_time = 0.5, warmup = 0.05, limits = false}
    for _, cold in ipairs {false, true} do
      options.cold = cold
      local r = pah.bench_attention("decode", args, options)
      assert.is_true(r.verified and r.n >= 3 and r.median > 1e-6)
    end
    options.run = function(a)
      worker.run "decode"(a)
      a.out:fill(0)
    end
    refused("is wrong", pah.bench_attention, "decode", args, options)
    worker:close()
  end)
end)
