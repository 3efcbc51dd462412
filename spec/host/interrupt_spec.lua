-- interrupt_spec.lua - one Ctrl-C stops whatever runs: long tensor operations return early, Lua code raises, and a call
-- that does neither ends the program. At the prompt: repl_spec.lua; attention: the specs of each operation.
local child = require "spec.support.child"
local C = require("pah.ffi").C

local folder = child.folder()
teardown(function() os.execute("rm -r " .. folder) end)

describe("a long operation on tensors", function()
  local n = 200000 -- several pieces (walk.c, diff.c, hash.c)
  local a, b = pah.zeros{n}, pah.zeros{n}
  local operations = {
    copy = function() a:copy(b) end,
    ["copy with conversion"] = function() a:to "bf16" end,
    ["copy between overlapping views"] = function() a:narrow(1, 1, n - 1):copy(a:narrow(1, 2, n - 1)) end,
    fill = function() a:fill(1) end,
    randn = function() pah.randn({n}, {seed = 1}) end,
    rand = function() pah.rand({n}, {seed = 1}) end,
    randint = function() pah.randint(0, 5, {n}, {seed = 1}) end,
    randperm = function() pah.randperm(n, {seed = 1}) end,
    diff = function() pah.diff(a, b) end,
    hash = function() a:hash() end,
    totable = function() a:totable() end,
  }

  for name, f in pairs(operations) do
    it("returns early when it is interrupted: " .. name, function()
      f()
      C.pah_interrupt(1)
      local ok, why = pcall(f)
      C.pah_interrupt(0)
      assert.is_false(ok)
      assert.matches("interrupted", why)
      f()
    end)
  end

  it("but a short one is done, as cleaning up needs it", function()
    local short = pah.zeros{100}
    C.pah_interrupt(1)
    local ok, why = pcall(function() return short:fill(2):clone():to("f64"):totable() end)
    C.pah_interrupt(0)
    assert.is_true(ok, why)
    assert.equal(2, why[100])
  end)

  it("leaves the pool as it was when a bench is interrupted", function()
    local q, k = pah.randn({3, 2, 1, 32}, {seed = 1}), pah.randn({600, 16, 1, 32}, {seed = 2})
    local table_, used = pah.block_table{seqlens = {3000, 500, 40}, block_size = 16, num_blocks = 600, seed = 3}
    local args = {q = q, k_blocks = k, v_blocks = k:clone(), block_table = table_, seqused_k = used}
    local before, calls = k:hash() .. args.v_blocks:hash(), 0
    local ok, why = pcall(pah.bench_attention, "decode", args, {limits = false, warmup = 0, min_time = 5,
      run = function(call)
        calls = calls + 1
        if calls == 20 then C.pah_interrupt(1) end
        pah.decode(call)
      end})
    C.pah_interrupt(0)
    assert.is_false(ok)
    assert.matches("interrupted", tostring(why))
    assert.equal(before, k:hash() .. args.v_blocks:hash())
  end)
end)

describe("one Ctrl-C", function()
  -- Runs code that Ctrl-C reaches half a second after it calls interrupt(). Unheard, it goes on until it is killed.
  local function stopped(code)
    child.write(folder .. "/code.lua", code)
    child.write(folder .. "/main.lua", [[
      function interrupt() os.execute "(sleep 0.5; kill -INT $PPID) >/dev/null 2>&1 &" end
      dofile "code.lua"
      print "went on"]])
    local out, err, exit = child.run(folder, "main.lua", "timeout -s KILL 60")
    assert.equal("", out)
    assert.equal(130, exit, err)
    assert.matches("interrupted", err)
    return err
  end

  it("stops Lua code, and names the place", function()
    assert.matches("code.lua:1: in main chunk", stopped "interrupt() jit.off(true) while true do end")
  end)

  it("stops compiled loops, also in coroutines and under pcall", function()
    stopped "interrupt() local x = 0 while true do x = x + 1 end"
    stopped "interrupt() coroutine.wrap(function() while true do end end)()"
    stopped "interrupt() while true do pcall(function() while true do end end) end"
  end)

  it("stops a library's loop", function() stopped [[interrupt() string.find(("a"):rep(60), ("a-"):rep(58) .. "b")]] end)

  it("stops arange between its chunks", function() stopped "interrupt() while true do pah.arange(2 ^ 25) end" end)

  it("stops a sweep whose points are compiled loops, and the rows before are there", function()
    local err = stopped [[pah.sweep{name = "s", store = "s.jsonl", quiet = true, axes = {{name = "a", values = {1, 2}}},
      run = function(p, at)
        if done then interrupt() while true do end end
        done = true
        return 1
      end}]]
    assert.matches("interrupted", err)
    local file = pah.results.read(folder .. "/s.jsonl")
    assert.equal(1, #file.runs[1].rows)
  end)
end)
