-- oracle.lua - parts of an attention problem by float64: some queries of some sequences by pah.reference, and the
-- gradients of some keys by the formula itself, so that a large problem is judged in a moment. Promises: a part has
-- the values of the whole; only the choice of the part is random. Read next: attention.lua, src/reference/reference.c.
local devices = require "pah.device"
local reference = require "pah.attention.reference"
local tensor = require "pah.tensor"
local work = require "pah.attention.work"

local M = {}

local PART = 4 -- queries next to each other that are judged
local FREE = 64 -- blocks next to each other that are compared with 0 at once

-- ---- Queries ----------------------------------------------------------------------------------------------------

-- Whether `rows` queries from `from` on see the same keys, or each one key more than that before it: then the oracle is
-- asked for all at once.
local function alike(args, len, from, rows)
  if args.tree_mask then return false end
  local first, last = work.keys_of(args, len, from)
  local first_of_last, last_of_last = work.keys_of(args, len, from + rows - 1)
  return first == first_of_last and last >= first and (last == last_of_last or last_of_last - last == rows - 1)
end

-- Queries of a sequence that are judged, {first (0-based), how many}: the last, the first, and some between.
local function parts_of(args, len, random)
  local rows, list = math.min(PART, len.q), {}
  for _, from in ipairs(len.q > PART and {len.q - rows, 0, random(len.q - rows + 1)} or {0}) do
    local together = alike(args, len, from, rows) and rows or 1
    for i = from, from + rows - 1, together do list[#list + 1] = {i, together} end
  end
  return list
end

-- The keys or values of one sequence in the order of its table, a block each: [keys, 1, heads, D] on the cpu.
local function gather(pool, ids)
  local shape = pool.shape
  local small = tensor.new({math.max(1, #ids), shape[2], shape[3], shape[4]}, pool.dtype, devices.get "cpu")
  for i, id in ipairs(ids) do small:narrow(1, i, 1):copy(pool:narrow(1, id + 1, 1)) end
  return small:view({small.shape[1] * shape[2], 1, shape[3], shape[4]})
end

local function integers(list)
  local t = tensor.new({#list}, "i32", devices.get "cpu")
  for i, value in ipairs(list) do t:data()[i - 1] = value end
  return t
end

-- Of a tensor that is shaped as q, or of lse: `rows` queries of sequence b (1-based) from the query `from` on.
local function part_of(t, offsets, b, from, rows, lse)
  if offsets then return t:narrow(lse and 2 or 1, offsets[b] + from + 1, rows) end
  t = t:narrow(1, b, 1)
  return (lse or #t.shape == 4) and t:narrow(3, from + 1, rows) or t
end

local row_names = {q = true, dout = true}

-- What the oracle needs of sequence b whichever the queries are.
local function sequence_of(problem, b)
  local args, ids = problem.args, {}
  for j = 1, math.ceil(problem.lengths[b].k / args.k_blocks.shape[2]) do ids[j] = problem.table[b][j] end
  local one = {k_blocks = gather(args.k_blocks, ids), v_blocks = gather(args.v_blocks, ids)}
  local keys = one.k_blocks.shape[1]
  one.block_table = tensor.exports.arange(keys, {dtype = "i32", device = "cpu"}):view({1, keys})
  for _, name in ipairs {"softcap", "softmax_scale", "o_scale", "out_dtype", "sinks"} do one[name] = args[name] end
  for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do
    local value = args[name]
    if tensor.is_tensor(value) and value:dim() == 2 then value = value:narrow(1, b, 1) end
    one[name] = value
  end
  return one
end

-- Keys that query i of sequence b sees under a tree, of which the oracle is to know nothing.
local function keys_of_tree(args, b, len, i)
  local sees, keys, past = work.tree_of(args, b), {}, len.k - len.q
  for j = 0, len.k - 1 do
    if j < past or sees(i, j - past) then keys[#keys + 1] = j end
  end
  return keys
end

-- Adds those queries of sequence b to the arguments `one` of the oracle.
local function with_queries(problem, one, b, from, rows)
  if problem.args.cu_seqlens_q then one.cu_seqlens_q = integers {0, rows} end
  for name in pairs(row_names) do
    local t = problem.args[name]
    if t then one[name] = part_of(t, problem.offsets, b, from, rows):to "cpu" end
  end
  return one
end

-- The arguments of the oracle for a part of sequence b: the keys that its queries see and no others, so that no window
-- and no length is left to mask, at most keys behind the query.
local function part_args(problem, sequence, b, from, rows)
  local args, len, one = problem.args, problem.lengths[b], {}
  for name, value in pairs(sequence) do one[name] = value end
  if args.tree_mask then
    local keys = keys_of_tree(args, b, len, from)
    one.seqused_k, keys[1] = integers {#keys}, keys[1] or 0
    one.block_table = integers(keys):view({1, #keys})
    return with_queries(problem, one, b, from, rows)
  end
  local first, last_of_first = work.keys_of(args, len, from)
  local _, last = work.keys_of(args, len, from + rows - 1)
  local count = math.max(0, last - first + 1)
  for _, name in ipairs {"k_blocks", "v_blocks"} do
    if count > 0 then one[name] = one[name]:narrow(1, first + 1, count) end
  end
  one.block_table = one.block_table:narrow(2, 1, math.max(1, count))
  one.seqused_k, one.causal = integers {count}, last > last_of_first or nil
  return with_queries(problem, one, b, from, rows)
end

--- Compares queries of `results` (out and, if it is there, lse of a forward, dq backward) with pah.reference:
--- judge(name, got, want, where) is called for each. problem: of M.problem.
function M.rows(problem, results, judge)
  local B = #problem.lengths
  for n = 1, math.min(3, B) do
    local b = n == 1 and 1 or n == 2 and B or problem.random(B) + 1
    local len = problem.lengths[b]
    local sequence = len.q > 0 and sequence_of(problem, b)
    for _, part in ipairs(sequence and parts_of(problem.args, len, problem.random) or {}) do
      local from, rows = unpack(part)
      local first, lse = reference.exports.reference[problem.op](part_args(problem, sequence, b, from, rows))
      local where = ("sequence %d, queries %d to %d"):format(b, from, from + rows - 1)
      local function got(t, is_lse) return part_of(t, problem.offsets, b, from, rows, is_lse):to("cpu"):to "f64" end
      local name = problem.op == "bwd" and "dq" or "out"
      judge(name, got(results[name]), first, where)
      if name == "out" and results.lse then judge("lse", got(results.lse, true), lse, where) end
    end
  end
end

-- ---- Keys -------------------------------------------------------------------------------------------------------

-- Queries of a sequence and the heads of K/V head g of a tensor that is shaped as q or lse, as f64 on the cpu; returns
-- the tensor (which must be kept), its data and the strides of a query and of a head.
local function queries_of(problem, name, b, g)
  local t, group = problem.args[name], problem.group
  local lse, offsets, n = name == "lse", problem.offsets, problem.lengths[b].q
  if offsets then
    t = t:narrow(lse and 1 or 2, g * group + 1, group):narrow(lse and 2 or 1, offsets[b] + 1, n)
  else
    t = t:narrow(1, b, 1):narrow(2, g * group + 1, group):select(1, 1)
  end
  t = t:to("cpu"):to("f64"):contiguous()
  local strides = t.strides
  if offsets and not lse then return t, t:data(), strides[1], strides[2] end -- [n, group, D]
  return t, t:data(), strides[2], strides[1] -- [group, n, D] or [group, n]
end

local function dot(a, b, D)
  local sum = 0
  for d = 0, D - 1 do sum = sum + a[d] * b[d] end
  return sum
end

-- Rows of tensors of `names` by query and head: {q = f(i, h) -> pointer, ...}, and in `keep` what they
-- point into.
local function accessors(problem, names, b, g)
  local at = {keep = {}}
  for _, name in ipairs(names) do
    local t, data, query, head = queries_of(problem, name, b, g)
    at.keep[name] = t
    at[name] = function(i, h) return data + i * query + h * head end
  end
  return at
end

-- Adds what the queries of sequence b give to the gradients of its key j: p = exp(score - lse), dv += p dout,
-- dk += p (dout v - dout out) slope scale q.
local function add_sequence(problem, b, j, g, row)
  local args, len, D, Dv = problem.args, problem.lengths[b], row.D, row.Dv
  local scale, cap = args.softmax_scale or 1 / math.sqrt(D), args.softcap or 0
  local at = accessors(problem, {"q", "dout", "out", "lse"}, b, g)
  for i = 0, len.q - 1 do
    local first, last = work.keys_of(args, len, i)
    for h = 0, j >= first and j <= last and problem.group - 1 or -1 do
      local q, dout = at.q(i, h), at.dout(i, h)
      local score, slope = scale * dot(q, row.k, D), scale
      if cap > 0 then
        local t = math.tanh(score / cap)
        score, slope = cap * t, scale * (1 - t * t)
      end
      local p = math.exp(score - at.lse(i, h)[0])
      local ds = p * (dot(dout, row.v, Dv) - dot(dout, at.out(i, h), Dv)) * slope
      for d = 0, D - 1 do row.dk[d] = row.dk[d] + ds * q[d] end
      for d = 0, Dv - 1 do row.dv[d] = row.dv[d] + p * dout[d] end
    end
  end
  return at.keep
end

local function pool_row(pool, id, slot, g)
  return pool:narrow(1, id + 1, 1):narrow(2, slot + 1, 1):narrow(3, g + 1, 1):to("cpu"):to("f64"):contiguous()
end

-- Gradients of head g of a slot of the pool over all sequences whose tables name its block.
local function gradients_of(problem, id, slot, g)
  local args = problem.args
  local block_size = args.k_blocks.shape[2]
  local k, v = pool_row(args.k_blocks, id, slot, g), pool_row(args.v_blocks, id, slot, g)
  local dk, dv = k:clone():zero(), v:clone():zero()
  local row = {D = k.shape[4], Dv = v.shape[4], k = k:data(), v = v:data(), dk = dk:data(), dv = dv:data()}
  for b, len in ipairs(problem.lengths) do
    for logical = 1, math.ceil(len.k / block_size) do
      local j = (logical - 1) * block_size + slot
      if problem.table[b][logical] == id and j < len.k then add_sequence(problem, b, j, g, row) end
    end
  end
  return dk, dv
end

-- Parts of the pool that no sequence has a key in, each {first block, blocks, first slot (all 0-based), words}: blocks
-- that no table names, and slots of a block behind the last key that any sequence has there.
local function unused_parts(problem)
  local filled, shape = {}, problem.args.k_blocks.shape
  local blocks, block_size = shape[1], shape[2]
  for b, len in ipairs(problem.lengths) do
    for j = 1, math.ceil(len.k / block_size) do
      local id = problem.table[b][j]
      filled[id] = math.max(filled[id] or 0, math.min(block_size, len.k - (j - 1) * block_size))
    end
  end
  local list, id = {}, 0
  while id < blocks do
    local count = 0
    while id + count < blocks and not filled[id + count] and count < FREE do count = count + 1 end
    if count > 0 then
      list[#list + 1] = {id, count, 0, count == 1 and ("block %d, which no sequence uses"):format(id)
        or ("blocks %d to %d, which no sequence uses"):format(id, id + count - 1)}
    elseif filled[id] < block_size then
      list[#list + 1] = {id, 1, filled[id], ("block %d from slot %d on, which no sequence uses"):format(id, filled[id])}
    end
    id = id + math.max(1, count)
  end
  return list
end

--- Compares gradients of some keys with the formula: judge(name, got, want, where) for "dk_blocks" and "dv_blocks".
--- Where no sequence has a key they must be exactly 0: judge(..., true).
function M.keys(problem, results, judge)
  local block_size, Hkv = problem.args.k_blocks.shape[2], problem.args.k_blocks.shape[3]
  local B = #problem.lengths
  for n = 1, math.min(3, B) do
    local b = n == 1 and 1 or n == 2 and B or problem.random(B) + 1
    local keys = problem.lengths[b].k
    for try = 1, keys > 0 and 2 or 0 do
      local j, g = try == 1 and keys - 1 or problem.random(keys), problem.random(Hkv)
      local id, slot = problem.table[b][math.floor(j / block_size) + 1], j % block_size
      local dk, dv = gradients_of(problem, id, slot, g)
      local where = ("sequence %d, key %d, K/V head %d"):format(b, j, g)
      judge("dk_blocks", pool_row(results.dk_blocks, id, slot, g), dk, where)
      judge("dv_blocks", pool_row(results.dv_blocks, id, slot, g), dv, where)
    end
  end
  for _, part in ipairs(unused_parts(problem)) do
    local id, count, slot, where = unpack(part)
    for _, name in ipairs {"dk_blocks", "dv_blocks"} do
      local got = results[name]:narrow(1, id + 1, count):narrow(2, slot + 1, block_size - slot)
      judge(name, got, got:clone():zero(), where, true)
    end
  end
end

--- Compares all of dsinks with the formula, -sum of e^(sink - lse) (dout out) over the queries of a head.
function M.sinks(problem, results, judge)
  local args, group, Dv = problem.args, problem.group, problem.args.v_blocks.shape[4]
  local sinks, want = args.sinks:to("cpu"):totable(), results.dsinks:to("cpu"):to("f64"):clone():zero()
  for b, len in ipairs(problem.lengths) do
    for g = 0, len.q > 0 and args.k_blocks.shape[3] - 1 or -1 do
      local at = accessors(problem, {"dout", "out", "lse"}, b, g)
      for h = 0, group - 1 do
        local sink, sum = sinks[g * group + h + 1], 0
        for i = 0, math.abs(sink) < math.huge and len.q - 1 or -1 do
          sum = sum - math.exp(sink - at.lse(i, h)[0]) * dot(at.dout(i, h), at.out(i, h), Dv)
        end
        want:set(want:get(g * group + h + 1) + sum, g * group + h + 1)
      end
    end
  end
  judge("dsinks", results.dsinks:to("cpu"):to "f64", want, "all heads")
end

--- What M.rows, M.keys and M.sinks need to know of a call: `args` must be in the order of their own tables.
function M.problem(op, args, random)
  local problem = {
    op = op, args = args, lengths = work.lengths(args), table = args.block_table:to("cpu"):totable(), random = random,
    group = args.q.shape[2] / args.k_blocks.shape[3],
  }
  if args.cu_seqlens_q then problem.offsets = args.cu_seqlens_q:to("cpu"):totable() end
  return problem
end

return M
