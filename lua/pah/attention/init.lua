-- init.lua - pah.fwd, fwd_fp8, bwd, decode, merge, kv_append, and the lists of kernels and tile sizes.
-- Promises: results that the script does not give are allocated, once the arguments have been checked, and returned.
-- Read next: args.lua (named arguments), src/attention/attn_check.c (the rules). Shapes: doc/lua-api.md.
local args_of = require "pah.attention.args"
local errors = require "pah.errors"
local ffi = require "ffi"
local tensor = require "pah.tensor"

local C, check = require("pah.ffi").C, require("pah.ffi").check
local fill, ops, want = args_of.fill, args_of.ops, args_of.want_tensor

local M = {}

-- ---- The four operations ----------------------------------------------------------------------------------

--- Shape of lse for the checked problem `a`: [H, total_q] when ragged, else [B, H, Sq], where Sq of [B, H, D] is 1.
function M.lse_shape(a)
  local shape = a.q.shape
  if a.cu_seqlens_q.dtype ~= C.PAH_NONE then return {tonumber(shape[1]), tonumber(shape[0])} end
  return {tonumber(shape[0]), tonumber(shape[1]), a.q.ndim == 3 and 1 or tonumber(shape[2])}
end

--- Shape of out for the checked problem `a`: that of q with the head_dim of v_blocks.
function M.out_shape(a)
  local shape, last = {}, a.q.ndim
  for i = 1, last do shape[i] = tonumber(a.q.shape[i - 1]) end
  shape[last] = tonumber(a.v_blocks.shape[3])
  return shape
end

-- fwd, fwd_fp8 and decode: returns out, lse.
local function forward(op, args)
  local a, keep = fill(op, op, args)
  local out, lse = args.out, args.lse
  if not (out and lse) then
    check(C.pah_attn_check_inputs(ops[op], a, 0))
    local q = args.q
    if not out then
      out = tensor.new(M.out_shape(a), op == "fwd_fp8" and args.out_dtype or q.dtype, q.device)
      a.out = out.raw
    end
    if not lse then
      lse = tensor.new(M.lse_shape(a), "f32", q.device)
      a.lse = lse.raw
    end
  end
  check(C.pah_attention(ops[op], a))
  return out, lse, keep
end

-- Forward: out, lse = pah.fwd{q=, k_blocks=, v_blocks=, block_table=, [seqused_k=, cu_seqlens_q=, causal=, ...]};
-- q [B, H, Sq, D] or ragged [total_q, H, D]; f32, f16 or bf16; lse is f32, a natural logarithm.
-- fwd_fp8: as fwd, with q_descale, k_descale, v_descale (numbers or tensors), o_scale and out_dtype.
-- decode, up to 64 queries per sequence: [num_splits=]; q also [B, H, D], the cache may be fp8.
args_of.each_forward(M, forward)

--- Backward: dq, dk_blocks, dv_blocks[, dsinks] = pah.bwd{dout=, q=, k_blocks=, v_blocks=, out=, lse=, ...}.
-- Shapes and dtypes of q, k_blocks and v_blocks, with 0 in slots that no sequence uses; dsinks f32 [H] with sinks=.
function M.bwd(args)
  local a = fill("bwd", "bwd", args)
  local dq, dk, dv, dsinks = args.dq, args.dk_blocks, args.dv_blocks, args.dsinks
  if not (dq and dk and dv and (dsinks or not args.sinks)) then
    check(C.pah_attn_check_inputs(ops.bwd, a, 0))
    local q, k, v = args.q, args.k_blocks, args.v_blocks
    dq = dq or tensor.new(q.shape, q.dtype, q.device)
    dk = dk or tensor.new(k.shape, k.dtype, q.device)
    dv = dv or tensor.new(v.shape, v.dtype, q.device)
    a.dq, a.dk_blocks, a.dv_blocks = dq.raw, dk.raw, dv.raw
    if args.sinks then
      dsinks = dsinks or tensor.new(args.sinks.shape, "f32", q.device)
      a.dsinks = dsinks.raw
    end
  end
  check(C.pah_attention(ops.bwd, a))
  return dq, dk, dv, dsinks
end

-- ---- Merge and append -------------------------------------------------------------------------------------

local merge = ffi.new("struct pah_merge")
local merge_keys = {out = true, lse = true}

--- Fills the struct pah_merge; `out` and `lse` are the results. Used by pah.merge and pah.reference.merge.
function M.fill_merge(out_a, lse_a, out_b, lse_b, out, lse)
  ffi.fill(merge, ffi.sizeof(merge))
  args_of.set_tensor(merge, "out_a", out_a)
  args_of.set_tensor(merge, "lse_a", lse_a)
  args_of.set_tensor(merge, "out_b", out_b)
  args_of.set_tensor(merge, "lse_b", lse_b)
  args_of.set_tensor(merge, "out", out)
  args_of.set_tensor(merge, "lse", lse)
  return merge
end

--- Two partial results over disjoint keys into one: out, lse = pah.merge(out_a, lse_a, out_b, lse_b[, {out=, lse=}]).
-- out has the shape and, unless given, the dtype of out_a; lse is f32.
function M.merge(out_a, lse_a, out_b, lse_b, options)
  errors.check_keys("merge", options, merge_keys)
  local out, lse = options and options.out, options and options.lse
  if not out then out = tensor.new(want("out_a", out_a).shape, out_a.dtype, out_a.device) end
  if not lse then lse = tensor.new(want("lse_a", lse_a).shape, "f32", lse_a.device) end
  check(C.pah_merge(M.fill_merge(out_a, lse_a, out_b, lse_b, out, lse)))
  return out, lse
end

local append = ffi.new("struct pah_kv_append")
local append_setters = {
  k = args_of.set_tensor, v = args_of.set_tensor, k_blocks = args_of.set_tensor, v_blocks = args_of.set_tensor,
  slot_mapping = args_of.set_tensor, k_descale = args_of.set_scale, v_descale = args_of.set_scale,
}

--- Fills the struct pah_kv_append from named arguments; also returns what to keep until the call is done.
function M.fill_kv_append(args)
  if type(args) ~= "table" then errors.raise("kv_append: must be called with a table of named arguments") end
  errors.check_keys("kv_append", args, append_setters)
  ffi.fill(append, ffi.sizeof(append))
  local keep = {}
  for key, value in pairs(args) do keep[#keep + 1] = append_setters[key](append, key, value, args.k) end
  return append, keep
end

--- New tokens into the cache: pah.kv_append{k=, v=, k_blocks=, v_blocks=, slot_mapping=, [k_descale=, v_descale=]}.
-- k, v [T, Hkv, D]; slot = block * block_size + offset, -1 skips the token; stored = real / descale. Returns nothing.
function M.kv_append(args)
  local c, keep = M.fill_kv_append(args)
  check(C.pah_kv_append(c))
  return keep and nil
end

-- ---- Lists ------------------------------------------------------------------------------------------------

--- The kernels that exist: a list of {device=, op=, name=, dtypes=, limits=, about=}.
function M.kernels()
  local list = {}
  local kernel = C.pah_kernel_at(0)
  while kernel ~= nil do
    local row = {}
    for _, field in ipairs {"device", "op", "name", "dtypes", "limits", "about"} do
      row[field] = ffi.string(kernel[field])
    end
    list[#list + 1] = row
    kernel = C.pah_kernel_at(#list)
  end
  return list
end

-- block_m, block_n of the naive GPU kernels by operation, dtype and head_dim.
local function block_configs()
  local configs, i, tile = {fwd = {}, bwd = {}}, 1, C.pah_tile_at(0)
  while tile ~= nil do
    local by_dtype, dtype = configs[tile.op == C.PAH_BWD and "bwd" or "fwd"], ffi.string(C.pah_dtype_name(tile.dtype))
    by_dtype[dtype] = by_dtype[dtype] or {}
    if tile.head_dim == 64 or tile.head_dim == 128 then
      by_dtype[dtype][tile.head_dim] = {tile.block_m, tile.block_n}
    end
    tile, i = C.pah_tile_at(i), i + 1
  end
  return configs
end

local function pick(from, name, key)
  if from[key] then return from[key] end
  local names = {}
  for known in pairs(from) do names[#names + 1] = tostring(known) end
  table.sort(names, function(x, y) return (tonumber(x) or 0) < (tonumber(y) or 0) or (not tonumber(x) and x < y) end)
  errors.raisef("%s: %s is not supported, must be %s", name, tostring(key),
    table.concat(names, ", ", 1, #names - 1) .. " or " .. names[#names])
end

--- block_m, block_n of the naive GPU kernels: pah.block_config("fwd" or "bwd", head_dim, dtype).
function M.block_config(op, head_dim, dtype)
  local config = pick(pick(pick(block_configs(), "op", op), "dtype", dtype), "head_dim", head_dim)
  return config[1], config[2]
end

M.exports = {
  fwd = M.fwd, fwd_fp8 = M.fwd_fp8, bwd = M.bwd, decode = M.decode, merge = M.merge, kv_append = M.kv_append,
  kernels = M.kernels, block_config = M.block_config,
}

return M
