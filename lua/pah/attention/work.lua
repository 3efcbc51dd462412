-- work.lua - the work of an attention call, whatever the kernel: pah.work(op, args) counts its unmasked pairs, flops
-- and the fewest bytes from the tables themselves. Shared blocks count once, masked keys not at all.
-- Formulas: doc/measuring.md. Read next: src/attention/attn.h (the mask), measure/attention.lua.
local args_of = require "pah.attention.args"
local binding = require "pah.ffi"
local errors = require "pah.errors"

local C, check = binding.C, binding.check

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

-- Pairs (query, key) that the mask leaves in a sequence, and the first and last key that any query sees.
local function visible(args, len)
  local pairs_, first_of_all, last_of_all = 0, len.k, -1
  for i = 0, len.q - 1 do
    local first, last = M.keys_of(args, len, i)
    if first <= last then
      pairs_ = pairs_ + last - first + 1
      first_of_all, last_of_all = math.min(first_of_all, first), math.max(last_of_all, last)
    end
  end
  return pairs_, first_of_all, last_of_all
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

-- Unmasked pairs, different blocks and tokens of the pool that are read, entries of the block table that are.
local function walk(args)
  local table_, block_size = values(args.block_table), args.k_blocks.shape[2]
  local used, pairs_, entries = {}, 0, 0
  for b, len in ipairs(M.lengths(args)) do
    local seen, first, last = visible(args, len)
    pairs_ = pairs_ + seen
    if first <= last then
      for j = math.floor(first / block_size), math.floor(last / block_size) do
        local id = table_[b][j + 1]
        used[id] = used[id] or {}
        table.insert(used[id], {math.max(first - j * block_size, 0), math.min(last - j * block_size, block_size - 1)})
        entries = entries + 1
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

--- What `op` ("fwd", "fwd_fp8", "decode", "bwd") has to do with the arguments of that call: pairs (unmasked, of one
--- head), flops, bytes (the fewest that must move), blocks and tokens (different ones that are read), entries (of the
--- block table), dtype (of the operands, for the limit). The arguments are checked as the call checks them.
-- flops: 4 D for each pair and head (two products), 10 D backward (five). bytes: K and V of every different token once,
-- q, out and lse once, the entries of the tables; backward reads dout and out too, writes dq and all of dk and dv.
function M.work(op, args)
  if not args_of.ops[op] then errors.raisef("work: op is %s, must be fwd, fwd_fp8, decode or bwd", tostring(op)) end
  local a = args_of.fill("work", op, args)
  check(C.pah_attn_check_inputs(args_of.ops[op], a, 0))
  local pairs_, blocks, tokens, entries = walk(args)
  local q, k = args.q, args.k_blocks
  local H, D, Hkv = q.shape[2], q.shape[#q.shape], k.shape[3]
  local out_dtype = op == "fwd_fp8" and (args.out and args.out.dtype or args.out_dtype or q.dtype) or q.dtype
  local rows = q:numel() / D
  local cache_row = Hkv * D * (size_of(k.dtype) + size_of(args.v_blocks.dtype))
  local bytes = tokens * cache_row + q.nbytes + rows * D * size_of(out_dtype) + 4 * rows + 4 * entries
    + 4 * args.block_table.shape[1]
  if op == "bwd" then bytes = bytes + 2 * q.nbytes + k.shape[1] * k.shape[2] * cache_row end
  return {
    op = op, pairs = pairs_, flops = (op == "bwd" and 10 or 4) * pairs_ * H * D, bytes = bytes, blocks = blocks,
    tokens = tokens, entries = entries, dtype = op == "fwd_fp8" and q.dtype or k.dtype:match "^fp8" and q.dtype
      or k.dtype,
  }
end

M.exports = {work = M.work}

return M
