-- problem.lua - a case of cases.lua made into tensors, as unfriendly as the contract allows: permuted blocks in a pool
-- three times what is needed, NaN in every block and slot that is not in use, a huge id in every table entry past the
-- end, results pre-filled with NaN inside larger buffers whose ends are watched. Read next: budget.lua.
local create = require("pah.tensor").exports
local mask = require("pah.attention.mask").exports.mask
local operations = require("pah.attention").exports
local random = require("pah.tensor.random").exports
local reference = require("pah.attention.reference").exports.reference

jit.off(true, true) -- see init.lua

local M = {}

local NAN, HUGE_ID, CANARY, GUARD = 0 / 0, 2147483647, 64, 64

local FP8 = {fp8_e4m3 = true, fp8_e5m2 = true}

local function product(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return n
end

local function ceil_div(a, b) return math.floor((a + b - 1) / b) end

--- A tensor of NaN in the middle of a larger buffer, and a function that says whether the rest is untouched.
-- `permutation` (optional) permutes the dimensions of the memory, `shape`, into those of the result.
function M.guarded(shape, dtype, device, permutation)
  local n = product(shape)
  local whole = create.full({n + 2 * GUARD}, CANARY, {dtype = dtype, device = device})
  local inside = whole:narrow(1, GUARD + 1, n)
  inside:fill(NAN)
  local view = inside:view(unpack(shape))
  if permutation then view = view:permute(unpack(permutation)) end
  return view, function()
    for _, part in ipairs {whole:narrow(1, 1, GUARD), whole:narrow(1, GUARD + n + 1, GUARD)} do
      for _, value in ipairs(part:to("f32"):totable()) do
        if value ~= CANARY then return false end
      end
    end
    return true
  end
end

--- Which physical block holds which tokens: {table =, used = {{id, tokens, first}...}, num_blocks =, tokens =}.
-- The first `shared_blocks` blocks of every sequence are those of the first. In a case that is `finite` the entries
-- past the end are blocks that nobody uses.
function M.plan(case)
  local bs, needed, widest = case.block_size, 0, 0
  for _, len in ipairs(case.len_k) do
    local blocks = ceil_div(len, bs)
    needed, widest = needed + blocks, math.max(widest, blocks)
  end
  local plan = {num_blocks = 3 * needed + 2, width = widest + 2, table = {}, used = {}, tokens = 0}
  local ids = random.randperm(plan.num_blocks, {
    seed = case.permutation or case.seed, dtype = "i32", device = "cpu",
  }):totable()
  local by_id, next_id = {}, 1
  for b, len in ipairs(case.len_k) do
    local row = {}
    for i = 1, plan.width do row[i] = case.finite and ids[plan.num_blocks - (b + i) % (needed + 1)] or HUGE_ID end
    for i = 1, ceil_div(len, bs) do
      local tokens = math.min(bs, len - (i - 1) * bs)
      local shared = b > 1 and i <= (case.shared_blocks or 0) and i <= ceil_div(case.len_k[1], bs)
      if shared then
        row[i] = plan.table[1][i]
        local block = by_id[row[i]]
        block.tokens = math.max(block.tokens, tokens)
      else
        row[i], next_id = ids[next_id], next_id + 1
        by_id[row[i]] = {id = row[i], tokens = tokens, first = plan.tokens}
        plan.used[#plan.used + 1] = by_id[row[i]]
        plan.tokens = plan.tokens + bs
      end
    end
    plan.table[b] = row
  end
  return plan
end

-- The shape in memory of a pool of K or V of that width, and what permutes it to [num_blocks, block_size, Hkv, width].
local function pool_shape(case, plan, width)
  if case.layout == "HND" then return {plan.num_blocks, case.Hkv, case.block_size, width}, {1, 3, 2, 4} end
  return {plan.num_blocks, case.block_size, case.Hkv, width}
end

--- The pool of K or V: NaN but for the slots in use, which are rows of `tokens` [plan.tokens, Hkv, D or Dv]. In a case
-- that is `finite`, random numbers of that seed in the place of NaN.
function M.pool(case, plan, tokens, device)
  local shape, permutation = pool_shape(case, plan, tokens.shape[3])
  local blocks = create.empty(shape, {dtype = tokens.dtype, device = device})
  if case.finite then
    blocks = random.randn(shape, {seed = 7919 * case.finite + 13 * case.seed, dtype = tokens.dtype, device = device})
  end
  if permutation then blocks = blocks:permute(unpack(permutation)) end
  if not case.finite then blocks:fill(NAN) end
  for _, block in ipairs(plan.used) do
    blocks[block.id + 1]:narrow(1, 1, block.tokens):copy(tokens:narrow(1, block.first + 1, block.tokens))
  end
  return blocks
end

--- The sum of a list of lengths.
function M.total(list)
  local sum = 0
  for _, n in ipairs(list) do sum = sum + n end
  return sum
end

local total = M.total

local function prefix_sums(list)
  local sums = {0}
  for i, n in ipairs(list) do sums[i + 1] = sums[i] + n end
  return sums
end

-- Shape of q, of out (width Dv) and of what is shaped like them, and of lse.
local function query_shape(case, width)
  local B = #case.len_k
  if case.ragged then return {total(case.len_q), case.H, width}, {case.H, total(case.len_q)} end
  if case.flat then return {B, case.H, width}, {B, case.H, 1} end
  return {B, case.H, case.len_q, width}, {B, case.H, case.len_q}
end

-- A query-shaped tensor: contiguous, or [B, Sq, H, D] in memory.
local function query_layout(case, shape)
  if case.layout_q == "BSHD" and #shape == 4 then
    return {shape[1], shape[3], shape[2], shape[4]}, {1, 3, 2, 4}
  end
  return shape
end

local function random_queries(case, shape, seed, device, scale)
  local memory, permutation = query_layout(case, shape)
  local t = random.randn(memory, {seed = seed, dtype = case.dtype, device = device, scale = scale or 1})
  return permutation and t:permute(unpack(permutation)) or t
end

-- A number; "scalar": one of its own for q, k and v; "heads": [B, Hkv]. Never 1.
local function descale(case, kind, which, device)
  if kind == nil or type(kind) == "number" then return kind end
  if kind == "scalar" then return 0.25 + 0.5 * which end
  local rows = {}
  for b = 1, #case.len_k do
    rows[b] = {}
    for g = 1, case.Hkv do rows[b][g] = 0.6 + 0.25 * ((3 * b + 2 * g + which) % 7) end
  end
  if #rows == 0 then return create.empty({0, case.Hkv}, {device = device}) end
  return create.tensor(rows, {dtype = "f32", device = device})
end

local function i32(list, shape, device)
  if product(shape) == 0 then return create.empty(shape, {dtype = "i32", device = device}) end
  return create.tensor(list, {dtype = "i32", device = device})
end

-- f32 [H]: scores of the size of others; "infinite": the first is minus, the last plus infinity.
local function sinks(case, device)
  if not case.sinks then return nil end
  local t = random.randn({case.H}, {seed = case.seed + 5, device = "cpu", scale = 2})
  if case.sinks == "infinite" then
    t:set(-math.huge, 1)
    if case.H > 1 then t:set(math.huge, case.H) end
  end
  return t:to(device)
end

-- Parents of n queries: each a number below its own, by a fixed sequence.
local function random_parents(n, seed)
  local list, draws = {}, random.rand({n + 1}, {seed = seed, device = "cpu"}):totable()
  for i = 1, n do list[i] = math.floor(draws[i] * i) end
  return list
end

-- Sets the bits of no query: those from bit `n` on of a row.
local function spoil_bits(row, words, n)
  for j = n, 32 * words - 1 do row[math.floor(j / 32)] = bit.bor(row[math.floor(j / 32)], bit.lshift(1, j % 32)) end
end

-- tree_mask: as many bits as the longest sequence has queries; bits of queries that there are not are set.
local function tree_mask(case, device)
  if not case.tree then return nil end
  local B, most, host = #case.len_k, 0, {device = "cpu"}
  for b = 1, B do most = math.max(most, case.ragged and case.len_q[b] or case.len_q) end
  local words, trees, whole = math.ceil(most / 32), {}
  if case.tree == "bits" then
    whole = mask.from_bool(random.randint(0, 2, {B, most, most}, {seed = case.seed + 6, device = "cpu"}), host)
  else
    for b = 1, B do
      trees[b] = type(case.tree) == "table" and case.tree or random_parents(most, case.seed + 6 + b)
      for i = 1, case.tree == "chain" and most or 0 do trees[b][i] = i - 1 end
    end
    whole = mask.from_parents(trees, host)
  end
  local count, at = case.ragged and total(case.len_q) or B * most, 0
  local rows = create.zeros({count, words}, {dtype = "i32", device = "cpu"})
  for b = 1, B do
    local n = case.ragged and case.len_q[b] or most
    for i = 1, n do
      rows[at + i]:copy(whole[b][i])
      spoil_bits(rows:data() + (at + i - 1) * words, words, n)
    end
    at = at + n
  end
  return (case.ragged and rows or rows:view(B, most, words)):to(device)
end

-- What every operation takes.
local function inputs(case, plan, device)
  local B, Dv = #case.len_k, case.Dv or case.D
  local function pool(seed, width)
    local options = {seed = seed, dtype = case.cache_dtype or case.dtype, device = device}
    return M.pool(case, plan, random.randn({plan.tokens, case.Hkv, width}, options), device)
  end
  local k_blocks = pool(case.seed + 2, case.D)
  local args = {
    q = random_queries(case, (query_shape(case, case.D)), case.seed + 1, device, case.q_scale), k_blocks = k_blocks,
    v_blocks = case.mla and k_blocks:narrow(4, 1, Dv) or pool(case.seed + 3, Dv), sinks = sinks(case, device),
    tree_mask = tree_mask(case, device),
    block_table = i32(plan.table, {B, plan.width}, device),
    seqused_k = i32(case.len_k, {B}, device),
    k_descale = descale(case, case.k_descale, 1, device), v_descale = descale(case, case.v_descale, 2, device),
    q_descale = descale(case, case.q_descale, 3, device),
    softmax_scale = case.softmax_scale, softcap = case.softcap, causal = case.causal, window = case.window,
    o_scale = case.o_scale, out_dtype = case.out_dtype,
  }
  if case.ragged then args.cu_seqlens_q = i32(prefix_sums(case.len_q), {B + 1}, device) end
  return args
end

--- Adds a watched result of that name to the problem.
function M.add_result(problem, name, shape, dtype, device, permutation)
  problem.results[name], problem.intact[name] = M.guarded(shape, dtype, device, permutation)
end

local add_result = M.add_result

local function add_gradients(problem, case, plan, device)
  local args, Dv = problem.args, case.Dv or case.D
  args.dout = random_queries(case, (query_shape(case, Dv)), case.seed + 4, device)
  local forward = problem.args_without("dout")
  forward.score, forward.mask = problem.score, problem.mask
  local out, lse = reference.fwd(forward)
  args.out, args.lse = out:to(case.dtype):to(device), lse:to("f32"):to(device)
  local memory, permutation = query_layout(case, (query_shape(case, case.D)))
  add_result(problem, "dq", memory, case.dtype, device, permutation)
  for name, width in pairs {dk_blocks = case.D, dv_blocks = Dv} do
    memory, permutation = pool_shape(case, plan, width)
    add_result(problem, name, memory, case.dtype, device, permutation)
  end
  if case.sinks then add_result(problem, "dsinks", {case.H}, "f32", device) end
end

--- The arguments of a call: inputs, options and the results to be written.
function M.call_args(problem)
  local args = {}
  for _, list in ipairs {problem.args, problem.results} do
    for name, value in pairs(list) do args[name] = value end
  end
  args.num_splits = problem.case.num_splits
  return args
end

--- Results as they are before a call: NaN.
function M.poison(problem)
  for _, t in pairs(problem.results) do t:fill(NAN) end
end

--- The problem of a case on a device (an object or a name): args (inputs), results (tensors to be written, NaN), and
-- run(kernel, num_splits) -> results, with `kernel` kept, the name that was asked for; reference(changes, intermediate)
-- -> the oracle's results by the same names.
-- functions: score and mask of the oracle, see pah.reference.
function M.build(case, device, functions)
  local plan = M.plan(case)
  local problem = {case = case, plan = plan, results = {}, intact = {}}
  if functions then problem.score, problem.mask = functions.score, functions.mask end
  problem.args = inputs(case, plan, device)

  function problem.args_without(...)
    local copy = {}
    for name, value in pairs(problem.args) do copy[name] = value end
    for _, name in ipairs {...} do copy[name] = nil end
    return copy
  end

  if case.op == "bwd" then
    add_gradients(problem, case, plan, device)
  else
    local shape, lse_shape = query_shape(case, case.Dv or case.D)
    local memory, permutation = query_layout(case, shape)
    local out_dtype = case.op == "fwd_fp8" and (case.out_dtype or case.dtype) or case.dtype
    add_result(problem, "out", memory, out_dtype, device, permutation)
    add_result(problem, "lse", lse_shape, "f32", device)
  end

  function problem.run(kernel, num_splits)
    local args = M.call_args(problem)
    problem.kernel, args.kernel, args.num_splits = kernel, kernel, num_splits or case.num_splits
    operations[case.op](args)
    return problem.results
  end

  function problem.reference(changes, intermediate)
    local args = problem.args_without("out", "lse")
    args.score, args.mask = problem.score, problem.mask
    for name, value in pairs(changes or {}) do args[name] = value end
    args.intermediate = intermediate
    local a, b, c, d = reference[case.op](args)
    if case.op == "bwd" then return {dq = a, dk_blocks = b, dv_blocks = c, dsinks = d} end
    return {out = a, lse = b}
  end

  return problem
end

M.is_fp8 = function(dtype) return FP8[dtype] or false end

return M
