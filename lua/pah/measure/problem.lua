-- problem.lua - the arguments of an attention call for a batch: random tensors and a shuffled pool, as
-- `pah bench` measures them. Promises: the same batch and sizes give the same bits; what does not fit is refused before
-- it is allocated. Read next: attention/batch.lua, cli/bench.lua.
local attention = require "pah.attention"
local batches = require "pah.attention.batch"
local block_table = require("pah.attention.block_table").exports.block_table
local errors = require "pah.errors"
local mask = require("pah.attention.mask").exports.mask
local random = require("pah.tensor.random").exports
local tensor = require "pah.tensor"
local work = require "pah.attention.work"

local M = {}

local sizes = {f32 = 4, f16 = 2, bf16 = 2, fp8_e4m3 = 1, fp8_e5m2 = 1}

--- The operation that a batch asks for: decode if every sequence gets a few tokens behind others, else fwd.
function M.op_of(batch) return batch.kind == "decode" and "decode" or "fwd" end

-- Blocks of `batch`, by its lengths.
local function count_blocks(batch, block_size)
  local blocks = 0
  for _, length in ipairs(batch.seqlens) do blocks = blocks + math.ceil(length / block_size) end
  return blocks
end

local kept = {} -- the last K and V, because filling them takes longer than measuring many calls

-- K and V of the shape [blocks, block_size, kv_heads, head_dim], V of the width Dv.
local function pool_of(shape, Dv, dtype, device)
  local v_shape = {shape[1], shape[2], shape[3], Dv}
  local rows = shape[1] * shape[2] * shape[3]
  local key = ("%d %d %s %s"):format(rows * shape[4], rows * Dv, dtype, device.name)
  if kept.key ~= key then
    kept = {}
    collectgarbage()
    kept = {key = key, k = random.randn(shape, {dtype = dtype, device = device, seed = 2}),
      v = random.randn(v_shape, {dtype = dtype, device = device, seed = 3})}
  end
  return kept.k:view(shape), kept.v:view(v_shape)
end

--- Frees the memory that is kept for the next problem.
function M.forget() kept = {} end

local function check_size(batch, bytes, device)
  local has = device:info().bytes
  if has > 0 and bytes > 0.8 * has then
    errors.raisef("bench: batch %s needs %.1f GiB, %s has %.1f", batch.text, bytes / 2 ^ 30, device.name, has / 2 ^ 30)
  end
end

-- The dtype of q beside a cache of o.dtype.
local function q_dtype_of(op, o) return o.dtype:match "^fp8" and op == "decode" and "bf16" or o.dtype end

-- Raises the error of the operation itself for a dtype or sizes that it cannot do: calls it with no sequence.
local function check_sizes(op, o)
  local dtype = q_dtype_of(op, o)
  local function empty(shape, of) return tensor.exports.empty(shape, {dtype = of, device = "cpu"}) end
  local function cache(width) return empty({0, o.block_size, o.kv_heads, width}, o.dtype) end
  local function queries(width) return empty({0, o.heads, 1, width}, dtype) end
  local Dv = o.head_dim_v or o.head_dim
  local args = {q = queries(o.head_dim), k_blocks = cache(o.head_dim), v_blocks = cache(Dv),
    block_table = empty({0, 0}, "i32"), seqused_k = empty({0}, "i32")}
  if op == "bwd" then args.out, args.dout, args.lse = queries(Dv), queries(Dv), empty({0, o.heads, 1}, "f32") end
  work.work(op, args)
end

--- Raises what is wrong with a call before anything is allocated: see M.arguments.
function M.check(op, batch, o)
  if type(batch) == "string" then batch = batches.batch(batch, {device = "cpu"}) end
  if o.block_size < 1 then errors.raisef("bench: block_size is %d, must be at least 1", o.block_size) end
  if op == "decode" and batch.max_q > batches.MOST_DECODED then
    errors.raisef("bench: op is decode, but batch %s has a sequence with %d new tokens, must be at most %d", batch.text,
      batch.max_q, batches.MOST_DECODED)
  end
  if o.dtype:match "^fp8" and op ~= "decode" and op ~= "fwd_fp8" then
    errors.raisef("bench: op is %s, which has no dtype %s; decode and fwd_fp8 have", op, o.dtype)
  end
  check_sizes(op, o)
  if o.parents and not (batch.padded and batch.max_q == #o.parents) then
    errors.raisef("bench: parents are a tree of %d queries, batch %s must have as many in every sequence", #o.parents,
      batch.text)
  end
end

--- Arguments of `op` ("decode", "fwd", "fwd_fp8", "bwd") for a batch (text or pah.batch). o: dtype, heads, kv_heads,
--- head_dim, block_size, device; head_dim_v (of V, default head_dim), sinks (true: random ones), parents (a tree of the
--- queries of every sequence, see pah.mask). An fp8 dtype is that of the cache in decode (q is bf16), of q and cache in
--- fwd_fp8. All but a decode of one query each and trees are causal; q is ragged where its lengths differ.
function M.arguments(op, batch, o)
  if type(batch) == "string" then batch = batches.batch(batch, {device = o.device}) end
  M.check(op, batch, o)
  local q_dtype = q_dtype_of(op, o)
  local blocks = count_blocks(batch, o.block_size)
  local Dv = o.head_dim_v or o.head_dim
  local pool = blocks * o.block_size * o.kv_heads * (o.head_dim + Dv) * sizes[o.dtype]
  local rows = batch.total_q * o.heads * math.max(o.head_dim, Dv) * sizes[q_dtype]
  check_size(batch, op == "bwd" and 5 * pool + 14 * rows or pool + 8 * rows, o.device)
  local shape = batch.padded and {#batch.requests, o.heads, batch.max_q, o.head_dim}
    or {batch.total_q, o.heads, o.head_dim}
  local args = {q = random.randn(shape, {dtype = q_dtype, device = o.device, seed = 1})}
  args.k_blocks, args.v_blocks = pool_of({blocks, o.block_size, o.kv_heads, o.head_dim}, Dv, o.dtype, o.device)
  args.block_table, args.seqused_k = block_table{seqlens = batch.seqlens, block_size = o.block_size,
    num_blocks = blocks, seed = 4, device = o.device}
  if not batch.padded then args.cu_seqlens_q = batch.cu_seqlens_q end
  if o.sinks then args.sinks = random.randn({o.heads}, {device = o.device, seed = 6}) end
  if o.parents then
    args.tree_mask = mask.from_parents(o.parents, {batch = #batch.requests, device = o.device})
  elseif op ~= "decode" or batch.max_q > 1 then
    args.causal = true
  end
  if op == "bwd" then
    args.out, args.lse = attention.fwd(args)
    args.dout = random.randn(args.out.shape, {dtype = q_dtype, device = o.device, seed = 5})
  end
  return args
end

return M
