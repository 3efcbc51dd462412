-- peer_spec.lua - kernels measured beside others: by turns, each judged first, ratios that are those of the work; rows
-- of `pah bench --peer` with a worker in NumPy in the place of a library, and `pah compare` of its rows.
-- Read next: lua/pah/measure/turns.lua, lua/pah/worker/beside.lua, lua/pah/worker/peers.lua.
local child = require "spec.support.child"
local host = require "pah.host"
local json = require "pah.util.json"
local refused = require "spec.support.refused"
local turns = require "pah.measure.turns"
local workers = require "spec.judge.worker"

local function problem()
  local table_, used = pah.block_table{seqlens = {40, 20}, block_size = 16, num_blocks = 12, seed = 1, device = "cpu"}
  local function randn(shape, seed) return pah.randn(shape, {seed = seed, device = "cpu"}) end
  return {q = randn({2, 4, 1, 32}, 1), k_blocks = randn({12, 16, 2, 32}, 2), v_blocks = randn({12, 16, 2, 32}, 3),
    block_table = table_, seqused_k = used}
end

local short = {min_time = 0.005, max_time = 0.05, min_samples = 8, warmup = 0.01, limits = false}

local function against(list)
  local options = {against = list}
  for name, value in pairs(short) do options[name] = value end
  return pah.bench_attention("decode", problem(), options)
end

-- pah's own call and n microseconds more.
local function slowed(n)
  return function(a)
    pah.decode(a)
    local stop = pah.clock() + n * 1e-6
    while pah.clock() < stop do end -- luacheck: ignore 542
  end
end

describe("measurements by turns", function()
  it("go round, forth and back, and end together once all would", function()
    local order = {}
    local function job(name, enough)
      return function(turn)
        local n = 0
        repeat
          n = n + 1
          order[#order + 1] = name
        until turn(n >= enough and "enough" or nil)
        return n
      end
    end
    local answers = turns.take{job("a", 2), job("b", 4), function() error("no", 0) end}
    assert.same({{result = 4}, {result = 4}, {error = "no"}}, answers)
    assert.same("ba ab ba ab", (table.concat(order):gsub("(%a%a)", "%1 "):gsub(" $", "")))
  end)

  it("give the ratio of neighbours, whatever slows both", function()
    local a, b = {}, {}
    for i = 1, 60 do
      a[i] = 1 + i % 7 + 0.001 * (i * 17 % 5)
      b[i] = 2 * (1 + i % 7) + 0.001 * (i * 13 % 5)
    end
    local r = turns.ratio(a, b)
    assert.is_true(r.low <= 2 and 2 <= r.high + 1e-3 and r.high / r.low < 1.01, r.low .. " " .. r.high)
    assert.is_true(turns.ratio({1, 1, 1, 1}, {3, 3, 3.1, 3}).ratio > 2.9)
  end)
end)

describe("pah.bench_attention against others", function()
  it("times them by turns and gives the ratio", function()
    local r, others = against{{name = "slow", run = slowed(3000)}, {name = "no lse", lse = false, run = function(a)
      local out = pah.decode{q = a.q, k_blocks = a.k_blocks, v_blocks = a.v_blocks, block_table = a.block_table,
        seqused_k = a.seqused_k}
      a.out:copy(out)
    end}}
    assert.equal(r.n, others[1].result.n)
    assert.equal(r.n, others[2].result.n)
    assert.is_truthy(r.by_turns and r.by_turns == others[1].result.by_turns)
    assert.is_true(others[1].ratio.ratio > 3 and others[1].ratio.low > 1, tostring(others[1].ratio.ratio))
    assert.is_true(others[2].result.verified and others[1].result.median > 3e-3)
  end)

  it("judges each before its time counts, and goes on without it", function()
    local calls = 0
    local r, others = against{
      {name = "wrong", run = function(a)
        pah.decode(a)
        a.out:fill(0)
      end},
      {name = "forgets lse", run = function(a)
        pah.decode(a)
        a.lse:fill(0 / 0)
      end},
      {name = "not now", run = function() return false, "it has no such case" end},
      {name = "breaks later", run = function(a)
        calls = calls + 1
        if calls > 4 then error("it broke", 0) end
        pah.decode(a)
      end},
    }
    assert.is_true(r.verified and others[1].result == nil)
    assert.is_truthy(others[1].error:find("wrong is wrong: an element of out", 1, true), others[1].error)
    assert.is_truthy(others[2].error:find("unwritten", 1, true), others[2].error)
    assert.equal("it has no such case", others[3].pending)
    assert.equal("it broke", others[4].error)
  end)

  it("refuses what is no such list", function()
    refused("against is a number, must be a list", against, 3)
    refused("against: item 1 must be {name = a string, run = a function}", against, {{name = "x"}})
    refused('unknown option "rum"', against, {{name = "x", run = print, rum = 1}})
    refused("does not do this call: no", pah.bench_attention, "decode", problem(),
      {run = function() return false, "no" end})
  end)
end)

describe("a worker that makes ready", function()
  local python, why = workers.python()
  if not python then return pending(why) end
  local worker
  setup(function() worker = pah.worker{command = {python, "spec/judge/broken_worker.py"}, timeout = 30} end)
  teardown(function() worker:close() end)

  it("is timed in its call alone, whose result counts", function()
    local a = {q = pah.randn({2, 3, 1, 8}, {seed = 1}), out = pah.zeros {2, 3, 1, 8}, lse = pah.zeros {2, 3, 1}}
    local run = worker.run "prepares"
    run(a, {})
    assert.equal(2 * a.q:get(2, 3, 1, 5), a.out:get(2, 3, 1, 5))
    local seconds = require("pah.measure.timer").foreign[run](a, 1, false, pah.device "cpu")
    assert.is_true(seconds < 0.04, tostring(seconds)) -- it sleeps for 50 ms before
    assert.equal(2 * a.q:get(2, 3, 1, 5), a.out:get(2, 3, 1, 5))
    worker.run "prepares_all"(a, {})
    require("pah.measure.timer").foreign[worker.run "prepares_all"](a, 1, false, pah.device "cpu")
    assert.is_true(a.out:get(1, 1, 1, 1) ~= a.out:get(1, 1, 1, 1)) -- what was written before the call is gone
  end)

  it("says that it does not do a call: the case is pending, no failure", function()
    local a = {q = pah.randn({2, 3, 1, 8}, {seed = 1}), out = pah.zeros {2, 3, 1, 8}, lse = pah.zeros {2, 3, 1}}
    assert.same({false, "not on a Monday"}, {worker.run "does_not"(a, {})})
    refused("does not do this call of does_not: not on a Monday",
      require("pah.measure.timer").foreign[worker.run "does_not"], a, 1, false, pah.device "cpu")
  end)
end)

describe("pah bench --peer", function()
  local function run(words)
    local path = os.tmpname()
    local out, code = child.shell(("PYTHON=%s %s %s 2>%s"):format(workers.python() or "python3", host.exe, words, path))
    local err = child.contents(path)
    os.remove(path)
    return out, code, err
  end

  it("says what is no peer, and what cannot be had", function()
    local _, code, err = run "bench --peer no_such.py --quick"
    assert.equal(2, code)
    assert.is_truthy(err:find("none of torch, flashinfer, cudnn, nor a worker file", 1, true), err)
    _, code, err = run "bench --device sim --peer torch"
    assert.is_true(code == 2 and err:find("sim has no time", 1, true) ~= nil or err:find "sim" ~= nil, err)
    local folder = child.folder()
    local path = folder .. "/refused.py"
    child.write(path, "import pah_worker\npah_worker.refuse('no such library: pip install it')\n")
    if workers.python() then
      _, code, err = run("bench --quick --peer " .. path)
      assert.equal(2, code)
      assert.is_truthy(err:find("no such library: pip install it", 1, true), err)
    end
    os.execute("rm -r " .. folder)
  end)

  it("gives rows of both, which pah compare sets against each other", function()
    if not workers.python() then return pending((select(2, workers.python()))) end
    local folder = child.folder()
    local path = folder .. "/rows.jsonl"
    local out, code, err = run("bench --device cpu --quick --quiet --json --peer lua/examples/judge/numpy_kernel.py "
      .. "--batch 2q1s64 --heads 2 --kv-heads 1 --head-dim 32 -o " .. path)
    assert.equal(0, code, err)
    local rows = json.decode(out).rows
    assert.equal(2, #rows)
    assert.equal("pah", rows[1].axes.peer)
    assert.equal("numpy_kernel", rows[2].axes.peer)
    assert.equal(rows[1].result.by_turns, rows[2].result.by_turns)
    local values = rows[2].values
    assert.is_true(values.times_pah_low <= values.times_pah and values.times_pah <= values.times_pah_high)
    assert.is_true(values.times_pah > 2) -- Python
    out, code = run(("compare %s@peer=numpy_kernel %s@peer=pah"):format(path, path))
    assert.equal(0, code, out)
    assert.is_truthy(out:find("taken by turns", 1, true) and out:find("faster", 1, true), out)
    assert.is_nil(out:find("peer=pah |", 1, true))
    local _, wrong, words = run(("compare %s@peer=x %s@peer=pah"):format(path, path))
    assert.equal(3, wrong)
    assert.is_truthy(words:find("no row has peer = x, the first has pah", 1, true), words)
    os.execute("rm -r " .. folder)
  end)
end)
