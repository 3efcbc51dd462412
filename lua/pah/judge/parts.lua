-- parts.lua - the operations around attention, judged as attention is: merge (two partial results into one) and
-- kv_append (new tokens into the cache). Their cases, the problems made of them, and what a result must be.
-- Promises: parts with no key hold NaN, the cache is NaN but for the new tokens, slots are permuted, -1 among them.
-- Read next: problem.lua (the same for attention), init.lua.
local budget = require "pah.judge.budget"
local cases = require "pah.judge.cases"
local create = require("pah.tensor").exports
local place = require "pah.judge.place"
local plain = require "pah.attention.plain"
local problems = require "pah.judge.problem"
local random = require("pah.tensor.random").exports
local reference = require("pah.attention.reference").exports.reference

local M = {ops = {merge = true, kv_append = true}}

local INF, NAN = math.huge, 0 / 0

-- ---- Cases ----------------------------------------------------------------------------------------------------------

local PLAIN = {
  merge = {dtype = "f32", H = 4, D = 64, len_q = 5, B = 3},
  kv_append = {dtype = "f32", Hkv = 2, D = 64, block_size = 16, tokens = 21},
}
local CHANGES = {
  merge = {
    {}, {D = 8}, {D = 72}, {D = 128}, {D = 576}, {H = 1}, {flat = true}, {ragged = true, len_q = {3, 0, 7}},
    {empty = "a"}, {empty = "b"}, {empty = "both"}, {empty = "some"}, {far = true}, {len_q = 0}, {B = 1, len_q = 1},
  },
  kv_append = {
    {}, {D = 8}, {D = 72}, {D = 128}, {D = 576}, {Dv = 32}, {Hkv = 1}, {Hkv = 8}, {block_size = 1}, {block_size = 3},
    {block_size = 64}, {tokens = 1}, {tokens = 0}, {skipped = "some"}, {skipped = "all"}, {layout = "HND"},
    {slots = "i64"}, {k_descale = 0.5, v_descale = 2}, {k_descale = 0.37, v_descale = 1.7},
  },
}
local DTYPES = {
  merge = {{dtype = "f32"}, {dtype = "f16"}, {dtype = "bf16"}},
  kv_append = {
    {dtype = "f32"}, {dtype = "f16"}, {dtype = "bf16"}, {dtype = "bf16", cache_dtype = "fp8_e4m3"},
    {dtype = "f16", cache_dtype = "fp8_e5m2"}, {dtype = "f32", cache_dtype = "fp8_e4m3"},
  },
}

--- The plain case of an operation with some fields changed.
function M.plain(op, change)
  local case = cases.merged(PLAIN[op], {op = op, seed = 1}, change or {})
  case.name = cases.name_of(case, change or {})
  return case
end

--- All cases of an operation. Descales are of fp8 caches only.
function M.cases(op)
  local list = {}
  for _, dtypes in ipairs(DTYPES[op]) do
    for _, change in ipairs(CHANGES[op]) do
      if not change.k_descale or dtypes.cache_dtype then
        local case = M.plain(op, cases.merged(dtypes, change))
        case.seed = 10 * (#list + 1)
        case.name = ("%s%02d %s"):format(op == "merge" and "m" or "a", #list + 1, cases.name_of(case, change))
        list[#list + 1] = case
      end
    end
  end
  return list
end

-- ---- Merge ----------------------------------------------------------------------------------------------------------

local total = problems.total

local function merge_shapes(case)
  if case.ragged then return {total(case.len_q), case.H, case.D}, {case.H, total(case.len_q)} end
  if case.flat then return {case.B, case.H, case.D}, {case.B, case.H, 1} end
  return {case.B, case.H, case.len_q, case.D}, {case.B, case.H, case.len_q}
end

-- Row of lse for row r of out, both row-major from 0.
local function lse_row(case, r)
  if not case.ragged then return r end
  return (r % case.H) * total(case.len_q) + math.floor(r / case.H)
end

-- Makes rows of a part empty: lse -inf, and NaN in out, which nobody may read.
local function empty_rows(case, out, lse, every, from)
  local flat, rows = out:view({out:numel() / case.D, case.D}), lse:view({lse:numel()})
  for r = from, flat.shape[1] - 1, every do
    flat[r + 1]:fill(NAN)
    rows:set(-INF, lse_row(case, r) + 1)
  end
end

local function build_merge(case, device)
  local shape, lse_shape = merge_shapes(case)
  local host, args = {}, {}
  for n, part in ipairs {"a", "b"} do
    local out = random.randn(shape, {seed = case.seed + n, dtype = case.dtype, device = "cpu"})
    local lse = random.randn(lse_shape, {seed = case.seed + 2 + n, device = "cpu", scale = case.far and 40 or 3})
    local empty = case.empty
    if empty == part or empty == "both" then empty_rows(case, out, lse, 1, 0) end
    if empty == "some" then empty_rows(case, out, lse, n + 1, n - 1) end
    host["out_" .. part], host["lse_" .. part] = out, lse
    args["out_" .. part], args["lse_" .. part] = out:to(device), lse:to(device)
  end
  local problem = {case = case, args = args, results = {}, intact = {}}
  problems.add_result(problem, "out", shape, case.dtype, device)
  problems.add_result(problem, "lse", lse_shape, "f32", device)
  local want = {}
  want.out, want.lse = reference.merge(host.out_a, host.lse_a, host.out_b, host.lse_b)
  problem.want = want
  return problem
end

-- out with the weights rounded to the dtype, and the products.
local function low_precision(problem)
  local case, round = problem.case, plain.rounding(problem.case.dtype)
  local low = create.empty(problem.want.out.shape, {dtype = "f64", device = "cpu"})
  local a, _, keep_a = budget.values(problem.args.out_a)
  local b, _, keep_b = budget.values(problem.args.out_b)
  local la, _, keep_la = budget.values(problem.args.lse_a)
  local lb, _, keep_lb = budget.values(problem.args.lse_b)
  local lse, _, keep = budget.values(problem.want.lse)
  for r = 0, low:numel() / case.D - 1 do
    local at = lse_row(case, r)
    local wa, wb = round(math.exp(la[at] - lse[at])), round(math.exp(lb[at] - lse[at]))
    for d = r * case.D, (r + 1) * case.D - 1 do
      local x = (la[at] > -INF and round(wa * a[d]) or 0) + (lb[at] > -INF and round(wb * b[d]) or 0)
      low:data()[d] = round(x)
    end
  end
  return low, {keep_a, keep_b, keep_la, keep_lb, keep}
end

local function merge_details(problem, results)
  local list = {}
  local function add(name, why, at) list[#list + 1] = {name = name, why = why, at = at} end
  local why, at = budget.complaint(results.out, problem.want.out, (low_precision(problem)), budget.forward)
  if why then add("out", why, at) end
  why, at = budget.lse_complaint(results.lse, problem.want.lse)
  if why then add("lse", why, at) end
  return list
end

-- ---- kv_append ------------------------------------------------------------------------------------------------------

-- Slots of the tokens, none twice; -1 for those that are skipped.
local function slots_of(case, num_blocks)
  local order = random.randperm(num_blocks * case.block_size, {seed = case.seed, dtype = "i32", device = "cpu"})
  local list = {}
  for t = 1, case.tokens do
    local skip = case.skipped == "all" or case.skipped == "some" and t % 3 == 0
    list[t] = skip and -1 or order:get(t)
  end
  return list
end

local function build_append(case, device)
  local Dv, cache = case.Dv or case.D, case.cache_dtype or case.dtype
  local num_blocks = 3 * math.ceil(case.tokens / case.block_size) + 2
  local problem = {case = case, args = {}, results = {}, intact = {}, slots = slots_of(case, num_blocks)}
  local args, want = problem.args, {}
  for n, name in ipairs {"k", "v"} do
    local width, permutation = name == "k" and case.D or Dv, nil
    args[name] = random.randn({case.tokens, case.Hkv, width}, {seed = case.seed + n, dtype = case.dtype,
      device = device})
    local shape = {num_blocks, case.block_size, case.Hkv, width}
    if case.layout == "HND" then
      shape, permutation = {num_blocks, case.Hkv, case.block_size, width}, {1, 3, 2, 4}
    end
    problems.add_result(problem, name .. "_blocks", shape, cache, device, permutation)
    want[name .. "_blocks"] = create.full({num_blocks, case.block_size, case.Hkv, width}, NAN, {dtype = cache,
      device = "cpu"})
  end
  local options = {dtype = case.slots or "i32", device = device}
  args.slot_mapping = case.tokens > 0 and create.tensor(problem.slots, options) or create.empty({0}, options)
  args.k_descale, args.v_descale = case.k_descale, case.v_descale
  reference.kv_append{k = args.k:to "cpu", v = args.v:to "cpu", k_blocks = want.k_blocks, v_blocks = want.v_blocks,
    slot_mapping = args.slot_mapping:to "cpu", k_descale = case.k_descale, v_descale = case.v_descale}
  problem.want = want
  return problem
end

-- Where a division may be a product with the reciprocal: an element may be the neighbour of the right one.
local steps = {fp8_e4m3 = 2 ^ -3, fp8_e5m2 = 2 ^ -2}

local function append_details(problem, results)
  local list, case = {}, problem.case
  for _, name in ipairs {"k_blocks", "v_blocks"} do
    local x, n, keep_x = budget.values(results[name])
    local y, _, keep_y = budget.values(problem.want[name])
    local step = case.k_descale and steps[case.cache_dtype] or 0
    for i = 0, n - 1 do
      local both_nan = x[i] ~= x[i] and y[i] ~= y[i]
      if not (both_nan or math.abs(x[i] - y[i]) <= step * math.abs(y[i])) then
        list[#list + 1] = {name = name, at = i, keep = {keep_x, keep_y},
          why = ("element %d is %g, must be %s"):format(i, x[i], y[i] ~= y[i] and "left as it was"
            or ("%g"):format(y[i]))}
        break
      end
    end
  end
  return list
end

local function append_place(problem, name, at)
  local list = place.indices(problem.results[name].shape, at)
  local where = {block = list[1], slot = list[2], head = list[3], element = list[4]}
  for t, slot in ipairs(problem.slots) do
    if slot == where.block * problem.case.block_size + where.slot then where.token = t - 1 end
  end
  return where
end

-- ---- Both -----------------------------------------------------------------------------------------------------------

--- The problem of a case on a device: as problem.build gives one, with details(results) -> complaints.
function M.build(case, device)
  local is_merge = case.op == "merge"
  local problem = (is_merge and build_merge or build_append)(case, device)
  local details = is_merge and merge_details or append_details
  function problem.details(results)
    local list = details(problem, results)
    for name, intact in pairs(problem.intact) do
      if not intact() then list[#list + 1] = {name = name, why = "memory around it was written"} end
    end
    return list
  end
  if not is_merge then problem.place = function(name, at) return append_place(problem, name, at) end end
  return problem
end

return M
