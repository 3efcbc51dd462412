-- work.lua - the work of an attention call, whatever the kernel: pah.work(op, args) counts its unmasked pairs, flops
-- and the fewest bytes from the tables themselves. Shared blocks count once, masked keys not at all.
-- Formulas: doc/measuring.md. Read next: src/attention/attn.h (the mask), measure/attention.lua.
local args_of = require "pah.attention.args"
local binding = require "pah.ffi"
local errors = require "pah.errors"

local C, check, ffi = binding.C, binding.check, require "ffi"

local M = {}

-- The host's copy of a tensor as nested tables, or nil.
local function values(t) return t and t:to("cpu"):totable() end

--- Length of q and of k of every sequence of a call's arguments, a list of {q=, k=}.
function M.lengths(args)
  local q, used, cu = args.q, values(args.seqused_k), values(args.cu_seqlens_q)
  local reach = args.seqlen_k or args.block_table.shape[2] * args.k_blocks.shape[2]
  local list = {}
  for b = 1, args.block_table.shape[1] do
    list[b] = {q = cu and cu[b + 1] - cu[b] or #q.shape == 4 and q.shape[3] or 1, k = used and used[b] or reach}
  end
  return list
end

local no_window = {-1, -1}

--- The first and the last key that query i of a sequence of lengths `len` sees (all 0-based; first > last: none).
function M.keys_of(args, len, i)
  local offset = args.causal == "top-left" and 0 or len.k - len.q
  local window = args.window or no_window
  local first, last = 0, len.k - 1
  if args.causal then last = math.min(last, i + offset) end
  if window[2] >= 0 then last = math.min(last, i + offset + window[2]) end
  if window[1] >= 0 then first = math.max(first, i + offset - window[1]) end
  return first, last
end

--- sees(i, j) of sequence b (1-based) under args.tree_mask: whether its query i sees the key of its query j; i and j
--- count from 0, every key before those is visible. nil without a tree_mask.
function M.tree_of(args, b)
  if not args.tree_mask then return nil end
  local mask = args.tree_mask:to("cpu"):contiguous()
  local words, cu = mask.shape[#mask.shape], args.cu_seqlens_q
  local at = cu and cu:to("cpu"):get(b) or (b - 1) * mask.shape[2]
  return function(i, j)
    local row = mask:data() + (at + i) * words
    return bit.band(bit.rshift(row[math.floor(j / 32)], j % 32), 1) == 1
  end
end

-- Pairs (query, key) that the mask leaves in a sequence, and intervals {first, last} of the keys that any
-- query sees.
local function visible(args, b, len)
  local pairs_, all = 0, {len.k, -1}
  for i = 0, len.q - 1 do
    local first, last = M.keys_of(args, len, i)
    if first <= last then
      pairs_ = pairs_ + last - first + 1
      all = {math.min(all[1], first), math.max(all[2], last)}
    end
  end
  local sees = M.tree_of(args, b)
  if not sees or len.q == 0 then return pairs_, all[1] <= all[2] and {all} or {} end
  local past, list = math.max(0, len.k - len.q), {}
  if past > 0 then list[1] = {0, past - 1} end
  pairs_ = past * len.q
  for j = 0, len.q - 1 do
    local count = 0
    for i = 0, len.q - 1 do count = count + (sees(i, j) and 1 or 0) end
    pairs_ = pairs_ + count
    if count > 0 then list[#list + 1] = {past + j, past + j} end
  end
  return pairs_, list
end

-- Slots in the union of intervals {first, last}.
local function covered(intervals)
  table.sort(intervals, function(a, b) return a[1] < b[1] end)
  local total, reached = 0, -1
  for _, interval in ipairs(intervals) do
    total = total + math.max(0, interval[2] - math.max(interval[1], reached + 1) + 1)
    reached = math.max(reached, interval[2])
  end
  return total
end

-- The ids in a block table, id(b, j) of sequence b and its 0-based block j, and whether each row is one id over and
-- over (an expanded table). Only the columns that these sequences use are read: a table may be far wider.
local function block_ids(table_, lengths, block_size)
  local columns, one_id = 0, table_.strides[2] == 0
  for _, len in ipairs(lengths) do columns = math.max(columns, math.ceil(len.k / block_size)) end
  if one_id then columns = math.min(columns, 1) end
  local host = table_:narrow(2, 1, columns):to("cpu"):contiguous()
  local ids = {host = host, data = host:data()} -- the pointer is good while the tensor is held
  return function(b, j) return ids.data[(b - 1) * columns + (one_id and 0 or j)] end, one_id
end

-- Unmasked pairs, different blocks and tokens of the pool that are read, entries of the block table that are.
local function walk(args)
  local block_size, lengths = args.k_blocks.shape[2], M.lengths(args)
  local id_at, one_id = block_ids(args.block_table, lengths, block_size)
  local used, pairs_, entries = {}, 0, 0
  for b, len in ipairs(lengths) do
    local seen, intervals = visible(args, b, len)
    local previous = -1
    pairs_ = pairs_ + seen
    for _, interval in ipairs(intervals) do
      local first, last = unpack(interval)
      local j, final = math.floor(first / block_size), math.floor(last / block_size)
      local all_between = one_id and j + 1 -- which read the same whole block
      entries = entries + math.max(final - math.max(j, previous + 1) + 1, 0)
      previous = final
      while j <= final do
        local id, begin = id_at(b, j), j * block_size
        used[id] = used[id] or {}
        table.insert(used[id], {math.max(first - begin, 0), math.min(last - begin, block_size - 1)})
        j = j == all_between and math.max(final, j + 1) or j + 1
      end
    end
  end
  local blocks, tokens = 0, 0
  for _, intervals in pairs(used) do
    blocks, tokens = blocks + 1, tokens + covered(intervals)
  end
  return pairs_, blocks, tokens, entries
end

local function size_of(dtype) return tonumber(C.pah_dtype_size(args_of.dtype("dtype", dtype))) end

--- Whether V is read where K lies (MLA): element 0 of v_blocks is one of a row of k_blocks, and rows are as far apart;
--- and which element it is.
function M.v_in_k(args)
  local k, v = args.k_blocks, args.v_blocks
  if k.dtype ~= v.dtype or v:numel() == 0 then return false end
  for i = 1, 3 do
    if k.shape[i] ~= v.shape[i] or (k.shape[i] > 1 and k.strides[i] ~= v.strides[i]) then return false end
  end
  local offset = ffi.cast("const char *", v.raw.data) - ffi.cast("const char *", k.raw.data)
  local element = tonumber(offset) / size_of(k.dtype)
  return element >= 0 and element < k.shape[4], element
end

-- Bytes of K and V of a token.
local function cache_bytes(args, D, Dv)
  local inside, first = M.v_in_k(args)
  return args.k_blocks.shape[3] * size_of(args.k_blocks.dtype) * (inside and math.max(D, first + Dv) or D + Dv)
end

--- What `op` ("fwd", "fwd_fp8", "decode", "bwd") has to do with the arguments of that call: pairs (unmasked, of one
--- head), flops, bytes (the fewest that must move), blocks and tokens (different ones that are read), entries (of the
--- block table), dtype (of the operands, for the limit). The arguments are checked as the call checks them.
-- flops: 2 D + 2 Dv for each pair and head (two products), 6 D + 4 Dv backward (five). bytes: K and V of every
-- different token once, however many queries see it (once for both where V is a view of K), q, out and lse once, the
-- entries of the tables, sinks and tree_mask; backward reads dout and out too, writes dq and all of dk and dv.
function M.work(op, args)
  if not args_of.ops[op] then errors.raisef("work: op is %s, must be fwd, fwd_fp8, decode or bwd", tostring(op)) end
  local a = args_of.fill("work", op, args)
  check(C.pah_attn_check_inputs(args_of.ops[op], a, 0))
  local pairs_, blocks, tokens, entries = walk(args)
  local q, k = args.q, args.k_blocks
  local H, D, Dv = q.shape[2], q.shape[#q.shape], args.v_blocks.shape[4]
  local out_dtype = op == "fwd_fp8" and (args.out and args.out.dtype or args.out_dtype or q.dtype) or q.dtype
  local rows, slots = q:numel() / D, k.shape[1] * k.shape[2] * k.shape[3]
  local out_bytes = rows * Dv * size_of(out_dtype)
  local bytes = tokens * cache_bytes(args, D, Dv) + q.nbytes + out_bytes + 4 * rows + 4 * entries
    + 4 * args.block_table.shape[1] + (args.sinks and args.sinks.nbytes or 0)
    + (args.tree_mask and args.tree_mask.nbytes or 0)
  if op == "bwd" then
    bytes = bytes + out_bytes + q.nbytes + slots * (D + Dv) * size_of(k.dtype) + (args.sinks and args.sinks.nbytes or 0)
  end
  return {
    op = op, pairs = pairs_, flops = pairs_ * H * (op == "bwd" and 6 * D + 4 * Dv or 2 * D + 2 * Dv), bytes = bytes,
    blocks = blocks, tokens = tokens, entries = entries,
    dtype = op == "fwd_fp8" and q.dtype or k.dtype:match "^fp8" and q.dtype or k.dtype,
  }
end

M.exports = {work = M.work}

return M
