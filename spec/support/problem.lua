-- problem.lua - a case of cases.lua made into tensors, as unfriendly as the contract allows: permuted blocks in a pool
-- three times what is needed, NaN in every block and slot that is not in use, a huge id in every table entry past the
-- end, results pre-filled with NaN inside larger buffers whose ends are watched. Read next: judge.lua.
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
  local whole = pah.full({n + 2 * GUARD}, CANARY, {dtype = dtype, device = device})
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
-- The first `shared_blocks` blocks of every sequence are those of the first.
function M.plan(case)
  local bs, needed, widest = case.block_size, 0, 0
  for _, len in ipairs(case.len_k) do
    local blocks = ceil_div(len, bs)
    needed, widest = needed + blocks, math.max(widest, blocks)
  end
  local plan = {num_blocks = 3 * needed + 2, width = widest + 2, table = {}, used = {}, tokens = 0}
  local ids = pah.randperm(plan.num_blocks, {
    seed = case.permutation or case.seed, dtype = "i32", device = "cpu",
  }):totable()
  local by_id, next_id = {}, 1
  for b, len in ipairs(case.len_k) do
    local row = {}
    for i = 1, plan.width do row[i] = HUGE_ID end
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

--- The pool of K or V: NaN but for the slots in use, which are rows of `tokens` [plan.tokens, Hkv, D].
function M.pool(case, plan, tokens, device)
  local n, bs, g, d = plan.num_blocks, case.block_size, case.Hkv, case.D
  local options = {dtype = tokens.dtype, device = device}
  local blocks
  if case.layout == "HND" then
    blocks = pah.empty({n, g, bs, d}, options):permute(1, 3, 2, 4)
  else
    blocks = pah.empty({n, bs, g, d}, options)
  end
  blocks:fill(NAN)
  for _, block in ipairs(plan.used) do
    blocks[block.id + 1]:narrow(1, 1, block.tokens):copy(tokens:narrow(1, block.first + 1, block.tokens))
  end
  return blocks
end

local function total(list)
  local sum = 0
  for _, n in ipairs(list) do sum = sum + n end
  return sum
end

local function prefix_sums(list)
  local sums = {0}
  for i, n in ipairs(list) do sums[i + 1] = sums[i] + n end
  return sums
end

-- Shape of q and of what is shaped like it, and of lse.
local function query_shape(case)
  local B = #case.len_k
  if case.ragged then return {total(case.len_q), case.H, case.D}, {case.H, total(case.len_q)} end
  if case.op == "decode" and case.flat then return {B, case.H, case.D}, {B, case.H, 1} end
  local n = case.op == "decode" and 1 or case.len_q
  return {B, case.H, n, case.D}, {B, case.H, n}
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
  local t = pah.randn(memory, {seed = seed, dtype = case.dtype, device = device, scale = scale or 1})
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
  if #rows == 0 then return pah.empty({0, case.Hkv}, {device = device}) end
  return pah.tensor(rows, {dtype = "f32", device = device})
end

local function i32(list, shape, device)
  if product(shape) == 0 then return pah.empty(shape, {dtype = "i32", device = device}) end
  return pah.tensor(list, {dtype = "i32", device = device})
end

-- What every operation takes.
local function inputs(case, plan, device)
  local B, cache_dtype = #case.len_k, case.cache_dtype or case.dtype
  local function tokens(seed)
    return pah.randn({plan.tokens, case.Hkv, case.D}, {seed = seed, dtype = cache_dtype, device = device})
  end
  local args = {
    q = random_queries(case, (query_shape(case)), case.seed + 1, device, case.q_scale),
    k_blocks = M.pool(case, plan, tokens(case.seed + 2), device),
    v_blocks = M.pool(case, plan, tokens(case.seed + 3), device),
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

-- Adds a watched result of that name to the problem.
local function add_result(problem, name, shape, dtype, device, permutation)
  local tensor, intact = M.guarded(shape, dtype, device, permutation)
  problem.results[name], problem.intact[name] = tensor, intact
end

local function add_gradients(problem, case, plan, device)
  local args, shape = problem.args, query_shape(case)
  args.dout = random_queries(case, shape, case.seed + 4, device)
  local out, lse = pah.reference.fwd(problem.args_without("dout"))
  args.out, args.lse = out:to(case.dtype):to(device), lse:to("f32"):to(device)
  local memory, permutation = query_layout(case, shape)
  add_result(problem, "dq", memory, case.dtype, device, permutation)
  local n, bs, g, d = plan.num_blocks, case.block_size, case.Hkv, case.D
  for _, name in ipairs {"dk_blocks", "dv_blocks"} do
    if case.layout == "HND" then
      add_result(problem, name, {n, g, bs, d}, case.dtype, device, {1, 3, 2, 4})
    else
      add_result(problem, name, {n, bs, g, d}, case.dtype, device)
    end
  end
end

--- The problem of a case on a device (an object or a name): args (inputs), results (tensors to be written, NaN), and
-- run(kernel, num_splits) -> results; reference(changes, intermediate) -> the oracle's results by the same names.
function M.build(case, device)
  local plan = M.plan(case)
  local problem = {case = case, plan = plan, results = {}, intact = {}}
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
    local shape, lse_shape = query_shape(case)
    local memory, permutation = query_layout(case, shape)
    local out_dtype = case.op == "fwd_fp8" and (case.out_dtype or case.dtype) or case.dtype
    add_result(problem, "out", memory, out_dtype, device, permutation)
    add_result(problem, "lse", lse_shape, "f32", device)
  end

  function problem.run(kernel, num_splits)
    local args = problem.args_without()
    for name, tensor in pairs(problem.results) do args[name] = tensor end
    args.kernel, args.num_splits = kernel, num_splits or case.num_splits
    pah[case.op](args)
    return problem.results
  end

  function problem.reference(changes, intermediate)
    local args = problem.args_without("out", "lse")
    for name, value in pairs(changes or {}) do args[name] = value end
    args.intermediate = intermediate
    local a, b, c = pah.reference[case.op](args)
    if case.op == "bwd" then return {dq = a, dk_blocks = b, dv_blocks = c} end
    return {out = a, lse = b}
  end

  return problem
end

M.is_fp8 = function(dtype) return FP8[dtype] or false end

return M
