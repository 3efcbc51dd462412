-- invariants.lua - changes that must not change a bit of the result, asked of pah.judge by name: `repeat` (the same
-- call again), `batch` (a sequence without the others), `blocks` (another permutation of the physical blocks),
-- `block_size` (the same tokens in blocks of another size), `splits` (other numbers of splits in decode).
-- Promises: each compares one run of the kernel with another run of it, so that no rounding of any oracle takes part.
-- Read next: init.lua, problem.lua.
local budget = require "pah.judge.budget"
local cases = require "pah.judge.cases"
local create = require("pah.tensor").exports
local place = require "pah.judge.place"
local problems = require "pah.judge.problem"

jit.off(true, true) -- see init.lua

local M = {names = {"repeat", "batch", "blocks", "block_size", "splits"}}

local function same(x, y) return x == y or (x ~= x and y ~= y) end

-- Elements in which two tensors of one shape differ: how many, and the first (row-major, from 0).
local function differing(a, b)
  local x, n, keep_x = budget.values(a)
  local y, _, keep_y = budget.values(b)
  local count, first = 0, nil
  for i = 0, n - 1 do
    if not same(x[i], y[i]) then count, first = count + 1, first or i end
  end
  return count, first, keep_x, keep_y
end

jit.on(differing)
jit.on(same)

local function copies(results)
  local list = {}
  for name, t in pairs(results) do list[name] = t:clone() end
  return list
end

-- Gradients of a pool as rows of tokens, sequence after sequence: [tokens, Hkv, width], or nil where sequences share.
local function by_token(problem, blocks)
  local case, total = problem.case, 0
  for _, len in ipairs(case.len_k) do total = total + len end
  local host, row = blocks:to("f64"):to("cpu"), 0
  local rows = create.zeros({total, host.shape[3], host.shape[4]}, {dtype = "f64", device = "cpu"})
  for b, len in ipairs(case.len_k) do
    for key = 0, len - 1 do
      local id = problem.plan.table[b][math.floor(key / case.block_size) + 1]
      row = row + 1
      rows[row]:copy(host[id + 1][key % case.block_size + 1])
    end
  end
  return rows
end

-- Results that can be compared with those of a problem whose blocks lie elsewhere.
local function comparable(problem, results)
  local list = {}
  for name, t in pairs(results) do
    if not name:match "_blocks$" then
      list[name] = t
    elseif not problem.case.shared_blocks then
      list[name] = by_token(problem, t)
    end
  end
  return list
end

-- A complaint where two sets of results differ, or nothing. `where_of`: places of the first one's elements.
local function compare(what, problem, first, second)
  for _, name in ipairs(budget.names) do
    if first[name] and second[name] then
      local count, at = differing(first[name], second[name])
      if count > 0 then
        local where = problem.results[name] and first[name]:numel() == problem.results[name]:numel()
          and place.of(problem, name, at) or {}
        return {what = ("%s: %d of %d elements of %s differ in their bits"):format(what, count,
          first[name]:numel(), name), where = where}
      end
    end
  end
end

-- ---- One sequence alone -----------------------------------------------------------------------------------------

local function prefix(case, b)
  local first = 0
  for i = 1, b - 1 do first = first + case.len_q[i] end
  return first
end

-- The rows of sequence b (from 1) of a tensor shaped as q, lse (`is_lse`) or tree_mask.
local function rows_of(case, t, b, is_lse)
  if case.ragged then return t:narrow(is_lse and 2 or 1, prefix(case, b) + 1, case.len_q[b]) end
  return t:narrow(1, b, 1)
end

-- The problem of sequence b alone: the pool is that of all. Results of a ragged one are new, others views.
local function alone(problem, b)
  local case, args = problem.case, problem.args_without()
  for _, name in ipairs {"q", "dout", "out", "lse", "tree_mask"} do
    if args[name] then args[name] = rows_of(case, args[name], b, name == "lse") end
  end
  if args.lse and case.ragged then args.lse = args.lse:contiguous() end
  for _, name in ipairs {"block_table", "seqused_k"} do args[name] = args[name]:narrow(1, b, 1) end
  for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do
    if type(args[name]) == "cdata" and args[name]:dim() == 2 then args[name] = args[name]:narrow(1, b, 1) end
  end
  if case.ragged then
    args.cu_seqlens_q = create.tensor({0, case.len_q[b]}, {dtype = "i32", device = args.q.device})
    if args.tree_mask then -- as wide as its own queries need
      args.tree_mask = args.tree_mask:narrow(2, 1, math.ceil(case.len_q[b] / 32)):contiguous()
    end
  end
  local results = {}
  for name, t in pairs(problem.results) do
    if name:match "_blocks$" or name == "dsinks" then
      results[name] = t:clone()
    else
      results[name] = rows_of(case, t, b, name == "lse")
      if case.ragged then results[name] = results[name]:contiguous():clone() end
    end
  end
  local one = cases.merged(case, {len_k = {case.len_k[b]}, len_q = case.ragged and {case.len_q[b]} or case.len_q})
  return {case = one, args = args, results = results}
end

local function tried(case)
  local list = {}
  for b = 1, #case.len_k do
    if not case.ragged or case.len_q[b] > 0 then list[#list + 1] = b end
  end
  return #list > 2 and {list[1], list[#list]} or list
end

local checks = {}

checks["repeat"] = function(run, problem, first)
  return compare("repeat: the same call again", problem, first, run(problem))
end

checks.batch = function(run, problem, first)
  if #problem.case.len_k < 2 then return nil end
  for _, b in ipairs(tried(problem.case)) do
    local one = alone(problem, b)
    local results = run(one)
    for _, name in ipairs {"out", "lse", "dq"} do
      if results[name] then
        local count = differing(rows_of(problem.case, first[name], b, name == "lse"), results[name])
        if count > 0 then
          return {what = ("batch: sequence %d alone: %d elements of its %s differ in their bits"):format(b - 1, count,
            name), where = {sequence = b - 1}}
        end
      end
    end
  end
end

-- ---- Other blocks ---------------------------------------------------------------------------------------------------

-- What backward is given must be what it was.
local function same_forward(problem, other)
  if problem.case.op ~= "bwd" then return end
  other.args.out, other.args.lse = problem.args.out, problem.args.lse
end

checks.blocks = function(run, problem, first, spec)
  local other = problems.build(cases.merged(problem.case, {permutation = problem.case.seed + 104729}), spec.device,
    spec)
  same_forward(problem, other)
  return compare("blocks: another permutation of the blocks", problem, comparable(problem, first),
    comparable(other, run(other)))
end

-- Tokens of problem `from` put where those of `to` lie.
local function move_tokens(from, to)
  local sizes = {from.case.block_size, to.case.block_size}
  for b, len in ipairs(from.case.len_k) do
    for key = 0, len - 1 do
      local old = from.plan.table[b][math.floor(key / sizes[1]) + 1]
      local new = to.plan.table[b][math.floor(key / sizes[2]) + 1]
      for _, name in ipairs(from.case.mla and {"k_blocks"} or {"k_blocks", "v_blocks"}) do
        to.args[name][new + 1][key % sizes[2] + 1]:copy(from.args[name][old + 1][key % sizes[1] + 1])
      end
    end
  end
end

checks.block_size = function(run, problem, first, spec, supports)
  for _, size in ipairs {16, 32, 64, 128, 8, 1} do
    local case = cases.merged(problem.case, {block_size = size})
    case.shared_blocks = nil
    if size ~= problem.case.block_size and supports(case) then
      local other = problems.build(case, spec.device, spec)
      move_tokens(problem, other)
      same_forward(problem, other)
      return compare(("block_size: blocks of %d tokens"):format(size), problem, comparable(problem, first),
        comparable(other, run(other)))
    end
  end
end

checks.splits = function(run, problem, first, _, supports)
  for _, n in ipairs {1, 2, 5} do
    local case = cases.merged(problem.case, {num_splits = n})
    if n ~= problem.case.num_splits and supports(case) then
      local other = {}
      for name, value in pairs(problem) do other[name] = value end
      other.case = case
      local found = compare(("splits: num_splits = %d"):format(n), problem, first, run(other))
      if found then return found end
    end
  end
end

--- What the named invariants of a problem complain about, a list of {what=, where=}. run(problem) -> results, freshly
--- poisoned; results: those of the first run; supports(case): whether the kernel takes a changed case.
function M.check(names, run, problem, results, spec, supports)
  local first, found = copies(results), {}
  for _, name in ipairs(names) do found[#found + 1] = checks[name](run, problem, first, spec, supports) end
  return found
end

return M
