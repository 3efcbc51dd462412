-- attention_bench.lua - pah.bench_attention: an attention kernel timed so that a number cannot come from anything but
-- the work. Every timed call gets rotated queries and blocks that have moved in the pool; outputs are poisoned before
-- and compared after; inputs are hashed; some rows are compared with the float64 oracle.
-- Read next: bench.lua, work.lua.
local attention = require "pah.attention"
local bench = require "pah.bench"
local errors = require "pah.errors"
local ffi = require "ffi"
local reference = require "pah.reference"
local tensor = require "pah.tensor"
local work = require "pah.work"

local M = {}

-- How far a correct element may be from the expected one, in root mean squares of the result.
local tolerance = {f32 = 1e-3, f64 = 1e-3, f16 = 2e-2, bf16 = 8e-2, fp8_e4m3 = 0.5, fp8_e5m2 = 0.8}

local own_keys = {run = true, verify = true, seed = true}

local function fail(name, ...) errors.raise(("bench_attention: %s "):format(name) .. (...):format(select(2, ...))) end

-- ---- Problems that are the same but for their order -----------------------------------------------------------------

local function copy_rotated(to, from, dim, by)
  local n = from:size(dim)
  by = by % n
  to:narrow(dim, 1, n - by):copy(from:narrow(dim, by + 1, n - by))
  if by > 0 then to:narrow(dim, n - by + 1, by):copy(from:narrow(dim, 1, by)) end
end

-- A query-shaped tensor with its heads apart: dimension 2 becomes K/V heads, 3 the heads of a group.
local function grouped(t, group)
  local shape = {t.shape[1], t.shape[2] / group, group}
  for i = 3, #t.shape do shape[#shape + 1] = t.shape[i] end
  return t:view(shape)
end

-- `to` becomes `from` with its sequences rotated by `sequences` and the heads within each group by `heads`.
local function rotate(to, from, state, sequences, heads)
  local between = state.scratch[to] or to:clone()
  state.scratch[to] = between
  copy_rotated(between, from, 1, sequences)
  copy_rotated(grouped(to, state.group), grouped(between, state.group), 3, heads)
end

-- Two blocks of the pool change places, and every entry of the block table that names one names the other.
local function swap_blocks(state, a, b)
  for _, pool in ipairs {state.args.k_blocks, state.args.v_blocks} do
    local held = pool:narrow(1, a + 1, 1):clone()
    pool:narrow(1, a + 1, 1):copy(pool:narrow(1, b + 1, 1))
    pool:narrow(1, b + 1, 1):copy(held)
  end
  local p = state.table:data()
  for i = 0, state.table:numel() - 1 do
    if p[i] == a then p[i] = b elseif p[i] == b then p[i] = a end
  end
end

-- ---- Inputs stay as they are ----------------------------------------------------------------------------------------

local changed = "changes its inputs: %s is not what it was before the call"

local function hash_small(args)
  return args.q:hash() .. args.block_table:hash() .. (args.seqused_k and args.seqused_k:hash() or "")
end

-- The pool is too large to be hashed around every call: once around the first ones, once around them all.
local function hash_pool(args) return {k_blocks = args.k_blocks:hash(), v_blocks = args.v_blocks:hash()} end

local function check_pool(state, before)
  local now = hash_pool(state.args)
  for name, hash in pairs(before) do
    if now[name] ~= hash then fail(state.name, changed, name) end
  end
end

-- ---- One call ---------------------------------------------------------------------------------------------------

-- Before a timed call: other queries, other places, poisoned outputs, inputs hashed.
local function prepare(state)
  local calls = state.calls
  state.calls = calls + 1
  state.which = calls % 2 + 1
  state.sequences, state.heads = state.random(state.B), state.random(state.group)
  if state.blocks > 1 then
    local swap = {state.random(state.blocks), state.random(state.blocks)}
    if swap[1] ~= swap[2] then
      swap_blocks(state, swap[1], swap[2])
      state.swaps[#state.swaps + 1] = swap
    end
  end
  local args = state.args
  rotate(args.q, state.queries[state.which], state, state.sequences, state.heads)
  copy_rotated(state.host_table, state.table, 1, state.sequences)
  args.block_table:copy(state.host_table)
  if args.seqused_k then copy_rotated(args.seqused_k, state.used, 1, state.sequences) end
  args.out:fill(0 / 0)
  args.lse:fill(0 / 0)
  state.hash = hash_small(args)
end

local function compare(state, what, got, want)
  local d = pah.diff(got, want)
  local unwritten = d.nan
  if unwritten > 0 then
    fail(state.name, "left %d of %d elements of %s unwritten (or wrote NaN) when it returned", unwritten, got:numel(),
      what)
  end
  local rms = math.max(state.rms[what], 1e-30)
  if d.max_abs > tolerance[state.args.q.dtype] * rms or d.max_abs ~= d.max_abs then
    fail(state.name, "gives another %s for the same problem in another order: an element differs by %.3g, the rms of "
      .. "the result is %.3g; what it computes does not depend on its inputs alone", what, d.max_abs, rms)
  end
end

-- After it: what it has written by now is what counts, and nothing else may have changed.
local function verify(state)
  local args = state.args
  local out, lse = args.out:clone(), args.lse:clone()
  if hash_small(args) ~= state.hash then fail(state.name, changed, "q, block_table or seqused_k") end
  rotate(state.expected_out, state.out[state.which], state, state.sequences, state.heads)
  compare(state, "out", out, state.expected_out)
  rotate(state.expected_lse, state.lse[state.which], state, state.sequences, state.heads)
  compare(state, "lse", lse, state.expected_lse)
end

-- ---- Before the first timed call --------------------------------------------------------------------------------

local function rms(t) return pah.diff(t, t:clone():zero()).rms end

-- Some sequences of the problem, each by itself and with its last queries only, against the oracle.
local function against_oracle(state, out)
  local args, op = state.args, state.op
  local cpu = {k_blocks = args.k_blocks:to "cpu", v_blocks = args.v_blocks:to "cpu"}
  for n = 1, math.min(3, state.B) do
    local b = n == 1 and 1 or n == 2 and state.B or state.random(state.B) + 1
    local one = {}
    for key, value in pairs(args) do one[key] = tensor.is_tensor(value) and (cpu[key] or value:to "cpu") or value end
    one.out, one.lse, one.kernel, one.num_splits = nil, nil, nil, nil
    one.block_table = one.block_table:narrow(1, b, 1)
    if one.seqused_k then one.seqused_k = one.seqused_k:narrow(1, b, 1) end
    local got = out:to "cpu"
    one.q, got = one.q:narrow(1, b, 1), got:narrow(1, b, 1)
    if #one.q.shape == 4 and args.causal ~= "top-left" then -- the last rows see the same keys without the others
      local rows = math.min(4, one.q.shape[3])
      local from = one.q.shape[3] - rows + 1
      one.q, got = one.q:narrow(3, from, rows), got:narrow(3, from, rows)
    end
    local want = reference.exports.reference[op](one)
    local d = pah.diff(got:to "f64", want)
    if d.nan > 0 or d.max_abs > tolerance[args.q.dtype] * rms(want) then
      fail(state.name, "is wrong: an element of sequence %d differs from the float64 oracle by %.3g%s", b, d.max_abs,
        d.nan > 0 and (", %d are NaN"):format(d.nan) or "")
    end
  end
end

-- Results of the two sets of queries as they are, which the timed calls must give again in another order.
local function baseline(state, check)
  local args = state.args
  for i = 1, 2 do
    args.q:copy(state.queries[i])
    args.out:fill(0 / 0)
    args.lse:fill(0 / 0)
    local before = hash_small(args)
    state.run(args)
    args.q.device:synchronize()
    if hash_small(args) ~= before then fail(state.name, changed, "q, block_table or seqused_k") end
    check_pool(state, state.pool)
    state.out[i], state.lse[i] = args.out:clone(), args.lse:clone()
    local unwritten = pah.diff(state.out[i], state.out[i]).nan
    if unwritten > 0 then
      fail(state.name, "left %d of %d elements of out unwritten (or wrote NaN)", unwritten, args.out:numel())
    end
    if check then against_oracle(state, state.out[i]) end
  end
  state.rms = {out = rms(state.out[1]), lse = math.max(1, rms(state.lse[1]))}
  state.expected_out, state.expected_lse = state.out[1]:clone(), state.lse[1]:clone()
end

local function check_arguments(op, args, opts)
  if op ~= "fwd" and op ~= "decode" then
    errors.raisef('bench_attention: op is %s, must be "fwd" or "decode"', tostring(op))
  end
  if opts.run and type(opts.run) ~= "function" then
    errors.raisef("bench_attention: run is a %s, must be a function of the arguments", type(opts.run))
  end
  if args.cu_seqlens_q then
    errors.raise "bench_attention: cu_seqlens_q is given, must be absent: q is [B, H, Sq, D] or [B, H, D]"
  end
  for _, name in ipairs {"k_blocks", "v_blocks"} do
    if not args[name]:is_contiguous() then errors.raisef("bench_attention: %s is not contiguous", name) end
  end
end

-- Numbers 0 to n - 1, by Knuth's MMIX generator: scripts' math.random is theirs.
local function generator(seed)
  local word = ffi.new("uint64_t", 2 * seed + 1)
  return function(n)
    word = word * 6364136223846793005ULL + 1442695040888963407ULL
    return tonumber(bit.rshift(word, 33) % n)
  end
end

local function new_state(op, args, opts)
  local q, B = args.q, args.block_table.shape[1]
  local own = {}
  for key, value in pairs(args) do own[key] = value end
  own.q, own.block_table = q:clone(), args.block_table:clone()
  own.seqused_k = args.seqused_k and args.seqused_k:clone()
  own.out = q:clone()
  own.lse = tensor.new({B, q.shape[2], #q.shape == 4 and q.shape[3] or 1}, "f32", q.device)
  local seed = opts.seed or 1
  return {
    op = op, args = own, name = opts.name or op, run = opts.run or attention.exports[op], calls = 0, swaps = {},
    random = generator(seed), B = B, group = q.shape[2] / args.k_blocks.shape[3], blocks = args.k_blocks.shape[1],
    table = args.block_table:to("cpu"):clone(), host_table = args.block_table:to("cpu"):clone(),
    used = own.seqused_k and own.seqused_k:clone(), out = {}, lse = {}, scratch = setmetatable({}, {__mode = "k"}),
    queries = {q:clone(), pah.randn(q.shape, {dtype = q.dtype, device = q.device, seed = seed + 1})},
  }
end

-- ---- pah.bench_attention ------------------------------------------------------------------------------------------

local function measure(state, opts)
  local options = {}
  for key, value in pairs(opts) do
    if not own_keys[key] then options[key] = value end
  end
  local w = work.work(state.op, state.args)
  options.name, options.bytes, options.flops, options.dtype = state.name, w.bytes, w.flops, w.dtype
  options.device = state.args.q.device
  options.setup = function() prepare(state) end
  options.after = function() verify(state) end
  baseline(state, opts.verify ~= false)
  local r = bench.bench(function() state.run(state.args) end, options)
  r.work, r.verified = w, opts.verify ~= false
  return r
end

--- Measures an attention call: pah.bench_attention("decode", {q=, k_blocks=, ...}[, opts]) -> the result of pah.bench,
--- with `work` (see pah.work). op is "fwd" or "decode", q padded. Options: those of pah.bench but bytes, flops, dtype,
--- device and setup; run (a function that takes the arguments and writes args.out and args.lse; default: pah's own);
--- verify (false: not against the oracle); seed.
-- Before each timed call sequences and heads of q change places, so do blocks of the pool, and out and lse are NaN;
-- after it they must be what they should, in the new order. An error names what the kernel did. k_blocks and v_blocks
-- are permuted meanwhile, and again as they were when it returns.
function M.bench_attention(op, args, opts)
  opts = opts or {}
  if type(args) ~= "table" then
    errors.raisef("bench_attention: arguments are a %s, must be a table of named arguments", type(args))
  end
  for _, key in ipairs {"bytes", "flops", "dtype", "device", "setup", "after"} do
    if opts[key] ~= nil then errors.raisef("bench_attention: %s is given, but follows from the arguments", key) end
  end
  work.work(op, args) -- checks the arguments
  check_arguments(op, args, opts)
  local state = new_state(op, args, opts)
  state.pool = hash_pool(args)
  local ok, r = pcall(measure, state, opts)
  for i = #state.swaps, 1, -1 do swap_blocks(state, unpack(state.swaps[i])) end
  if not ok then error(r, 0) end
  check_pool(state, state.pool)
  return r
end

M.exports = {bench_attention = M.bench_attention}

return M
