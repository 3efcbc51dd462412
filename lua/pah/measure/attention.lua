-- attention.lua - pah.bench_attention: an attention kernel timed so that only real work can give a good
-- number. Every timed call gets rotated queries and blocks that have moved in the pool; outputs are poisoned before
-- and compared after; inputs are hashed; some rows and keys are compared with the float64 oracle.
-- Read next: shuffle.lua, oracle.lua, init.lua, attention/work.lua.
local args_of = require "pah.attention.args"
local attention = require "pah.attention"
local C = require("pah.ffi").C
local bench = require "pah.measure"
local bench_oracle = require "pah.measure.oracle"
local bench_order = require "pah.measure.shuffle"
local closeness = require("pah.tensor.closeness").exports
local errors = require "pah.errors"
local ffi = require "ffi"
local host = require "pah.host"
local random = require("pah.tensor.random").exports
local tensor = require "pah.tensor"
local timer = require "pah.measure.timer"
local turns = require "pah.measure.turns"
local work = require "pah.attention.work"

local M = {}

-- How far a correct element may be from the expected one: this part of the root mean square of the result, and of the
-- element.
local tolerance = {f32 = 1e-3, f64 = 1e-3, f16 = 2e-2, bf16 = 8e-2, fp8_e4m3 = 0.5, fp8_e5m2 = 0.8}

-- What a call reads besides K, V and the tables, if it is given, and what it writes.
local forward = {inputs = {"q", "sinks", "tree_mask"}, outputs = {"out", "lse"}}
local backward = {inputs = {"q", "sinks", "dout", "out", "lse"}, outputs = {"dq", "dk_blocks", "dv_blocks"}}
local ops = {fwd = forward, fwd_fp8 = forward, decode = forward, bwd = backward}

-- The same of a call with these arguments; lse = false: of a kernel that gives none.
local function op_of(name, args, lse)
  local op = {inputs = {}, outputs = {unpack(ops[name].outputs)}, backward = ops[name] == backward}
  if lse == false and not op.backward then op.outputs = {"out"} end
  for _, input in ipairs(ops[name].inputs) do
    if args[input] then op.inputs[#op.inputs + 1] = input end
  end
  if op.backward and args.sinks then op.outputs[#op.outputs + 1] = "dsinks" end
  return op
end

local own_keys = {run = true, verify = true, seed = true, against = true}

local function fail(name, ...) errors.raise(("bench_attention: %s "):format(name) .. (...):format(select(2, ...))) end

-- ---- Inputs stay as they are ----------------------------------------------------------------------------------------

local changed = "changes its inputs: %s is not what it was before the call"

-- All inputs but the pool, which is too large to be hashed around every call.
local function hash_small(state)
  local hashes = {}
  for _, name in ipairs(state.small) do hashes[name] = state.args[name]:hash() end
  return hashes
end

-- The pool: once around the first calls, once around them all.
local function hash_pool(args) return {k_blocks = args.k_blocks:hash(), v_blocks = args.v_blocks:hash()} end

local function check_unchanged(state, before, now)
  for name, hash in pairs(before) do
    if now[name] ~= hash then fail(state.name, changed, name) end
  end
end

-- ---- One call ---------------------------------------------------------------------------------------------------

local function poison(state)
  for _, name in ipairs(state.op.outputs) do state.args[name]:fill(0 / 0) end
end

-- Before a timed call: other queries, other places, poisoned outputs, inputs hashed.
local function prepare(state)
  state.calls = state.calls + 1
  state.which = state.calls % 2 + 1
  state.order:shuffle(state.args)
  for name, values in pairs(state.sets[state.which]) do state.order:rotate(name, state.args[name], values) end
  poison(state)
  state.hash = hash_small(state)
end

local function check_written(state, name, t)
  local unwritten = closeness.diff(t, t).nan
  if unwritten > 0 then
    fail(state.name, "left %d of %d elements of %s unwritten (or wrote NaN) when it returned", unwritten, t:numel(),
      name)
  end
end

-- Whether `got` is `want` within the tolerance, `size` being the root mean square; and the report of pah.allclose.
local function close(state, got, want, size)
  return closeness.allclose(got, want, {atol = state.tolerance * size, rtol = size > 0 and state.tolerance or 0})
end

local function compare(state, name, got, want)
  check_written(state, name, got)
  local rms = state.rms[name]
  local ok, d = close(state, got, want, rms)
  if not ok then
    fail(state.name, "gives another %s for the same problem in another order: an element differs by %.3g, the rms of "
      .. "the result is %.3g; what it computes does not depend on its inputs alone", name, d.max_abs, rms)
  end
end

-- After it: only what it has written by now counts, and nothing else may have changed.
local function verify(state)
  local got = {}
  for i, name in ipairs(state.op.outputs) do got[i] = state.args[name]:clone() end
  check_unchanged(state, state.hash, hash_small(state))
  for i, name in ipairs(state.op.outputs) do
    local want = state.results[state.which][name] -- of the pool: its blocks have moved with the others
    if bench_order.kinds[name] ~= "pool" then
      state.order:rotate(name, state.expected[name], want)
      want = state.expected[name]
    end
    compare(state, name, got[i], want)
  end
end

-- ---- Before the first timed call --------------------------------------------------------------------------------

local function rms(t) return closeness.diff(t, t:clone():zero()).rms end

-- Some rows, and backward some keys, against the oracle; the arguments are in their own order.
local function against_oracle(state, results)
  local problem = bench_oracle.problem(state.op_name, state.args, state.random)
  local sizes = {lse = 1}
  for _, name in ipairs(state.op.outputs) do sizes[name] = math.max(sizes[name] or 0, rms(results[name])) end
  local function judge(name, got, want, where, exact)
    local ok, d = close(state, got, want, exact and 0 or math.max(sizes[name], rms(want)))
    if not ok then
      fail(state.name, "is wrong: an element of %s (%s) differs from the float64 oracle by %.3g%s", name, where,
        d.max_abs, d.nan > 0 and (", %d are NaN"):format(d.nan) or "")
    end
  end
  bench_oracle.rows(problem, results, judge)
  if state.op.backward then bench_oracle.keys(problem, results, judge) end
  if results.dsinks then bench_oracle.sinks(problem, results, judge) end
end

-- Results of the two sets of queries as they are, which the timed calls must give again in another order. Returns why
-- the kernel does not do such a call, if it returned false.
local function baseline(state, check)
  local args = state.args
  for i, set in ipairs(state.sets) do
    for name, values in pairs(set) do args[name]:copy(values) end
    poison(state)
    local before, results = hash_small(state), {}
    local done, why = state.run(args)
    if done == false then return why or "run returned false" end
    args.q.device:synchronize()
    check_unchanged(state, before, hash_small(state))
    check_unchanged(state, state.pool, hash_pool(args))
    for _, name in ipairs(state.op.outputs) do
      check_written(state, name, args[name])
      results[name] = args[name]:clone()
      if bench_order.kinds[name] == "pool" then state.order:follow(results[name]) end
    end
    if check then against_oracle(state, results) end
    state.results[i] = results
  end
  for _, name in ipairs(state.op.outputs) do
    state.rms[name] = math.max(name == "lse" and 1 or 0, rms(state.results[1][name]))
    if bench_order.kinds[name] ~= "pool" then state.expected[name] = state.results[1][name]:clone() end
  end
end

-- ---- The state of a measurement -----------------------------------------------------------------------------------

local function check_arguments(op, args, opts)
  if not ops[op] then
    errors.raisef('bench_attention: op is %s, must be "fwd", "fwd_fp8", "decode" or "bwd"', tostring(op))
  end
  if opts.run and type(opts.run) ~= "function" then
    errors.raisef("bench_attention: run is a %s, must be a function of the arguments", type(opts.run))
  end
  work.work(op, args) -- checks the arguments
  if args.block_table.shape[1] == 0 then errors.raise "bench_attention: there are 0 sequences, must be at least 1" end
  for _, name in ipairs {"k_blocks", not work.v_in_k(args) and "v_blocks" or nil} do
    if not args[name]:is_contiguous() then errors.raisef("bench_attention: %s is not contiguous", name) end
  end
end

-- Numbers 0 to n - 1, by Knuth's MMIX generator: math.random belongs to the script.
local function generator(seed)
  local word = ffi.new("uint64_t", 2 * seed + 1)
  return function(n)
    word = word * 6364136223846793005ULL + 1442695040888963407ULL
    return tonumber(bit.rshift(word, 33) % n)
  end
end

-- Another set of queries for the same keys; backward, what the forward gives for them and a gradient of it. Its seeds
-- are unlikely to be those of the script's keys: queries that equal keys would be a special case.
local function second_set(op, args, seed)
  local q = args.q
  seed = 2 ^ 40 + 2 * seed
  local set = {q = random.randn(q.shape, {dtype = q.dtype, device = q.device, seed = seed})}
  for _, name in ipairs {"sinks", "tree_mask"} do set[name] = args[name] and args[name]:clone() end
  if op.backward then
    local call = {q = set.q}
    for _, name in ipairs {"k_blocks", "v_blocks", "block_table", "seqused_k", "cu_seqlens_q", "seqlen_k", "causal",
      "window", "softcap", "softmax_scale", "sinks"} do
      call[name] = args[name]
    end
    set.out, set.lse = attention.fwd(call)
    set.dout = random.randn(args.dout.shape, {dtype = q.dtype, device = q.device, seed = seed + 1})
  end
  return set
end

-- Copies of the arguments, and results, that the timed calls get: only the pool is the script's own.
local function own_arguments(op_name, op, args, out_dtype)
  local own, q, k, v = {}, args.q, args.k_blocks, args.v_blocks
  for key, value in pairs(args) do own[key] = value end
  for _, name in ipairs {"out", "lse", "dq", "dk_blocks", "dv_blocks", "dsinks"} do own[name] = nil end
  for _, name in ipairs {"block_table", "seqused_k", "cu_seqlens_q", "q_descale", "k_descale", "v_descale",
    unpack(op.inputs)} do
    if tensor.is_tensor(args[name]) then own[name] = args[name]:clone() end
  end
  if op.backward then
    own.dq = tensor.new(q.shape, q.dtype, q.device)
    own.dk_blocks, own.dv_blocks = tensor.new(k.shape, k.dtype, q.device), tensor.new(v.shape, v.dtype, q.device)
    own.dsinks = args.sinks and tensor.new(args.sinks.shape, "f32", q.device)
  else
    local a = args_of.fill("bench_attention", op_name, args)
    own.out = tensor.new(attention.out_shape(a), out_dtype, q.device)
    own.lse = tensor.new(attention.lse_shape(a), "f32", q.device)
  end
  return own
end

local function new_state(op_name, args, opts)
  local op, q, seed = op_of(op_name, args), args.q, opts.seed or 1
  local out_dtype = op_name == "fwd_fp8" and (args.out and args.out.dtype or args.out_dtype) or q.dtype
  local own, draw = own_arguments(op_name, op, args, out_dtype), generator(seed)
  local first, small, other = {}, {}, {k_blocks = true, v_blocks = true}
  for _, name in ipairs(op.inputs) do first[name] = args[name]:clone() end
  for _, name in ipairs(op.outputs) do other[name] = true end
  for name, value in pairs(own) do
    if tensor.is_tensor(value) and not other[name] then small[#small + 1] = name end
  end
  return {
    op = op, op_name = op_name, args = own, name = opts.name or op_name, run = opts.run or attention.exports[op_name],
    calls = 0, random = draw, order = bench_order.new(own, draw), small = small, results = {}, expected = {},
    rms = {}, sets = {first, second_set(op, args, seed)}, tolerance = math.max(tolerance[q.dtype],
      tolerance[out_dtype]),
  }
end

-- ---- pah.bench_attention ------------------------------------------------------------------------------------------

-- Samples of one kernel, whose results are known to be right; `turn` as in pah.bench.
local function time(state, opts, turn, of)
  local options = {turn = turn}
  for key, value in pairs(opts) do
    if not own_keys[key] then options[key] = value end
  end
  for _, key in ipairs(of > 1 and {"min_time", "max_time"} or {}) do -- while others have their turns, time passes too
    local seconds = opts[key] or bench.defaults[key]
    options[key] = type(seconds) == "number" and seconds * of or seconds
  end
  local w = work.work(state.op_name, state.args)
  options.name, options.bytes, options.flops, options.dtype = state.name, w.bytes, w.flops, w.dtype
  options.device = state.args.q.device
  options.setup = function() prepare(state) end
  options.after = function() verify(state) end
  local foreign = timer.foreign[state.run]
  if foreign then
    options.time = function(_, calls) return foreign(state.args, calls, opts.cold, state.args.q.device) end
  end
  local r = bench.bench(function() state.run(state.args) end, options)
  r.work, r.verified = w, opts.verify ~= false
  return r
end

-- The state of another kernel for the same problem: the order of the pool is one for all.
local function state_of(state, other, args)
  return setmetatable({name = other.name, run = other.run, op = op_of(state.op_name, args, other.lse), calls = 0,
    results = {}, expected = {}, rms = {}}, {__index = state})
end

-- All kernels by turns; first each is judged. Returns the result of the first, and of the others what became of them.
local function measure(state, opts, args)
  local check = opts.verify ~= false
  local why = baseline(state, check)
  if why then fail(state.name, "does not do this call: %s", why) end
  local others, states, places = {}, {state}, {}
  for i, other in ipairs(opts.against or {}) do
    local its = state_of(state, other, args)
    local ok, pending = pcall(baseline, its, check)
    others[i] = {name = other.name, pending = ok and pending or nil, error = not ok and pending or nil}
    if ok and not pending then
      states[#states + 1] = its
      places[#states] = i
    end
  end
  local device, jobs = args.q.device, {}
  state.rechecks = device.name:match "^cuda" and not device.unchecked and os.getenv "PAH_CUDA_CHECK" ~= "0"
  if state.rechecks then device:set{check = false} end -- the tables have been looked at; the check waits for the host
  if #states == 1 then return time(state, opts, nil, 1), others end
  for k, its in ipairs(states) do
    jobs[k] = function(turn) return time(its, opts, turn, #states) end
  end
  local answers, by_turns = turns.take(jobs), ("%.6f"):format(C.pah_clock())
  if answers[1].error then error(answers[1].error, 0) end
  local r = answers[1].result
  r.by_turns = by_turns
  for k = 2, #jobs do
    local other = others[places[k]]
    other.result, other.error = answers[k].result, answers[k].error
    if other.result then
      other.result.by_turns, other.ratio = by_turns, turns.ratio(r.samples, other.result.samples)
    end
  end
  return r, others
end

local function check_against(list, device)
  if list == nil then return end
  if type(list) ~= "table" then
    errors.raisef("bench_attention: against is a %s, must be a list of {name=, run=}", type(list))
  end
  if device.name:match "^sim" then errors.raise "bench_attention: against is given, but sim has no time" end
  for i, other in ipairs(list) do
    if type(other) ~= "table" or type(other.run) ~= "function" or type(other.name) ~= "string" then
      errors.raisef("bench_attention: against: item %d must be {name = a string, run = a function}", i)
    end
    errors.check_keys("bench_attention: against", other, {name = true, run = true, lse = true})
  end
end

--- Measures an attention call: pah.bench_attention("decode", {q=, k_blocks=, ...}[, opts]) -> the result of pah.bench,
--- with `work` (see pah.work). op is "fwd", "fwd_fp8", "decode" or "bwd"; q padded or ragged. Options: those of
--- pah.bench but bytes, flops, dtype, device and setup; run (a function that takes the arguments and writes args.out
--- and args.lse, or dq, dk_blocks and dv_blocks; default: pah's own); verify (false: not against the oracle); seed;
--- against (a list of {name=, run=[, lse = false: it writes none]}: other kernels for the same call, judged the same
--- way and timed by turns with it). Then a list comes second, of {name=, result=, ratio = {ratio=, low=, high=}: its
--- time over that of the first}, or {name=, pending= or error= (why)}.
-- Before each timed call sequences and heads of q change places, so do blocks of the pool, and the results are NaN;
-- after it they must be what they should, in the new order. An error names what the kernel did. k_blocks and v_blocks
-- are permuted meanwhile, and again as they were when it returns.
function M.bench_attention(op, args, opts)
  if opts ~= nil and type(opts) ~= "table" then
    errors.raisef("bench_attention: options are a %s, must be a table", type(opts))
  end
  opts = opts or {}
  if opts.seed ~= nil then tensor.whole("bench_attention: seed", opts.seed) end
  if type(args) ~= "table" then
    errors.raisef("bench_attention: arguments are a %s, must be a table of named arguments", type(args))
  end
  for _, key in ipairs {"bytes", "flops", "dtype", "device", "setup", "after", "time", "turn"} do
    if opts[key] ~= nil then errors.raisef("bench_attention: %s is given, but follows from the arguments", key) end
  end
  check_arguments(op, args, opts)
  check_against(opts.against, args.q.device)
  local state = new_state(op, args, opts)
  state.pool = hash_pool(args)
  local ok, r, others = pcall(measure, state, opts, args)
  C.pah_interrupt(0) -- the pool is put back after Ctrl-C too
  state.order:restore()
  if state.rechecks then args.q.device:set{check = true} end
  if host.interrupted() then C.pah_interrupt(1) end
  if not ok then error(r, 0) end
  check_unchanged(state, state.pool, hash_pool(args))
  return r, opts.against and others
end

M.exports = {bench_attention = M.bench_attention}

return M
