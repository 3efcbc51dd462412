-- reference.lua - pah.reference: the float64 oracle behind the same named arguments as the operations.
-- Promises: results are new f64 tensors on the cpu; tensors of other devices are copied there first. Results that the
-- arguments name (out, lse, dq, ...) and options of a kernel (kernel, num_splits) are ignored, so that one table of
-- arguments serves a kernel and its oracle. With score= or mask=, functions of the script, the rows are computed in
-- plain Lua. Read next: args.lua, src/reference/reference.c, plain.lua.
local args_of = require "pah.attention.args"
local attention = require "pah.attention"
local plain = require "pah.attention.plain"
local tensor = require "pah.tensor"
local device = require "pah.device"

require "pah.attention.plain_backward"

local C, check = require("pah.ffi").C, require("pah.ffi").check

local M = {}

local ignored = {
  out = true, lse = true, dq = true, dk_blocks = true, dv_blocks = true, dsinks = true, kernel = true,
  num_splits = true, block_m = true, block_n = true,
}
local own_keys = {intermediate = true, score = true, mask = true}

-- Argument `name` on the cpu; what is no tensor stays what it is.
local function on_cpu(name, value)
  if not tensor.is_tensor(value) or tensor.want(name, value).device.name == "cpu" then return value end
  return value:to("cpu")
end

-- The inputs of `args`, on the cpu.
local function inputs_of(args)
  if type(args) ~= "table" then return args end
  local inputs = {}
  for key, value in pairs(args) do
    if not ignored[key] then inputs[key] = on_cpu(key, value) end
  end
  return inputs
end

local function new(shape) return tensor.new(shape, "f64", device.get("cpu")) end

-- The checked struct of a call with no results yet, its inputs, and what must stay alive.
local function prepare(op, args)
  local inputs = inputs_of(args)
  local a, keep = args_of.fill("reference." .. op, op, inputs, own_keys)
  if inputs.intermediate == "tf32" then
    a.intermediate = C.PAH_TF32
  elseif inputs.intermediate ~= nil then
    a.intermediate = args_of.dtype("intermediate", inputs.intermediate)
  end
  if op == "fwd_fp8" and a.out_dtype == C.PAH_NONE then
    local q = a.q.dtype
    if q == C.PAH_FP8_E4M3 or q == C.PAH_FP8_E5M2 then a.out_dtype = q end
  end
  check(C.pah_attn_check_inputs(args_of.ops[op], a, 1))
  return a, inputs, keep
end

local function forward(op, args)
  local a, inputs, keep = prepare(op, args)
  local out, lse = new(attention.out_shape(a)), new(attention.lse_shape(a))
  if inputs.score or inputs.mask then
    plain.open(op, inputs):forward(out, lse)
    return out, lse
  end
  a.out, a.lse = out.raw, lse.raw
  check(C.pah_reference(args_of.ops[op], a))
  return out, lse, {keep, inputs}
end

-- Oracles of pah.fwd, fwd_fp8 and decode: out, lse in f64. Like bwd they take intermediate = DTYPE ("bf16") or "tf32",
-- which makes them the straightforward low-precision evaluation: every intermediate result is rounded to that. With an
-- fp8 out_dtype (fwd_fp8's default for an fp8 q) out is real x o_scale, within the range of that type and not rounded.
-- score(s, b, h, i, j) makes another score of the scaled and capped one of query i and key j of sequence b and query
-- head h, all counted from 0; mask(b, h, i, j) says whether it is visible where causal, window and tree_mask let it be.
args_of.each_forward(M, forward)

--- Oracle of pah.bwd: dq, dk_blocks, dv_blocks[, dsinks] in f64. out and lse need not be given, both are made again.
function M.bwd(args)
  local a, inputs, keep = prepare("bwd", args)
  local dq, dk, dv = new(inputs.q.shape), new(inputs.k_blocks.shape), new(inputs.v_blocks.shape)
  local dsinks = inputs.sinks and new(inputs.sinks.shape)
  if inputs.score or inputs.mask then
    plain.open("bwd", inputs):backward(dq, dk, dv, dsinks)
    return dq, dk, dv, dsinks
  end
  a.dq, a.dk_blocks, a.dv_blocks = dq.raw, dk.raw, dv.raw
  if dsinks then a.dsinks = dsinks.raw end
  check(C.pah_reference(C.PAH_BWD, a))
  return dq, dk, dv, dsinks, keep and nil
end

--- Oracle of pah.merge: out, lse in f64; the parts may be f64 too.
function M.merge(out_a, lse_a, out_b, lse_b)
  out_a, lse_a = on_cpu("out_a", out_a), on_cpu("lse_a", lse_a)
  out_b, lse_b = on_cpu("out_b", out_b), on_cpu("lse_b", lse_b)
  local out = new(args_of.want_tensor("out_a", out_a).shape)
  local lse = new(args_of.want_tensor("lse_a", lse_a).shape)
  check(C.pah_reference_merge(attention.fill_merge(out_a, lse_a, out_b, lse_b, out, lse)))
  return out, lse
end

--- Oracle of pah.kv_append: writes into k_blocks and v_blocks, which must be on the cpu.
function M.kv_append(args)
  local c, keep = attention.fill_kv_append(args)
  check(C.pah_reference_kv_append(c))
  return keep and nil
end

M.exports = {
  reference = {
    fwd = M.fwd, fwd_fp8 = M.fwd_fp8, bwd = M.bwd, decode = M.decode, merge = M.merge, kv_append = M.kv_append,
  },
}

return M
