-- args.lua - named arguments into C: the one struct pah_attn, filled field by field from a script's table.
-- Promises: an argument of the wrong Lua type is an error here; every other rule is checked in C
-- (src/attention/attn_check.c). init.lua and reference.lua call fill; the struct is valid until the next fill.
local errors = require "pah.errors"
local ffi = require "ffi"
local tensor = require "pah.tensor"

local C, check = require("pah.ffi").C, require("pah.ffi").check
local is_tensor, raisef = tensor.is_tensor, errors.raisef

local M = {}

--- Operations by name, as numbers of enum pah_op.
M.ops = {fwd = C.PAH_FWD, fwd_fp8 = C.PAH_FWD_FP8, bwd = C.PAH_BWD, decode = C.PAH_DECODE}

--- Adds fwd, fwd_fp8 and decode to a module: functions of named arguments that return the out and lse of
--- forward(op, args). Its further results only had to stay alive during the call.
function M.each_forward(module, forward)
  for _, op in ipairs {"fwd", "fwd_fp8", "decode"} do
    module[op] = function(args)
      local out, lse = forward(op, args)
      return out, lse
    end
  end
end

-- ---- Values ----------------------------------------------------------------------------------------------

local function describe(value)
  if type(value) == "string" then return ('"%s"'):format(value) end
  if type(value) == "number" or type(value) == "boolean" or value == nil then return tostring(value) end
  return "a " .. type(value)
end

--- The number `value`; raises with the name of the argument when it is none.
function M.number(name, value)
  if value ~= value then raisef("%s: is nan, must be a number", name) end -- in C it would mean the default
  if type(value) ~= "number" then raisef("%s: is %s, must be a number", name, describe(value)) end
  return value
end

local function whole(name, value)
  if type(value) ~= "number" or value ~= math.floor(value) or value < -2^31 or value >= 2^31 then
    raisef("%s: is %s, must be a whole number", name, describe(value))
  end
  return value
end

local dtypes = {}
for dtype = C.PAH_NONE + 1, C.PAH_DTYPE_COUNT - 1 do dtypes[ffi.string(C.pah_dtype_name(dtype))] = dtype end

--- The number of a dtype's name; raises naming the nearest one when there is no such dtype.
function M.dtype(name, value)
  local dtype = dtypes[value]
  if not dtype then
    raisef('%s: is %s, must be the name of a dtype%s', name, describe(value), tensor.dtype_hint(value))
  end
  return dtype
end

--- Raises unless `value` is a tensor that has not been freed, in C an absent one; `must` tells what else would do.
function M.want_tensor(name, value, must)
  if not is_tensor(value) then raisef("%s: is %s, must be %s", name, describe(value), must or "a tensor") end
  return tensor.want(name, value)
end

--- Copies the view of tensor `value` into the struct's field `name`.
function M.set_tensor(struct, name, value) struct[name] = M.want_tensor(name, value).raw end

--- As set_tensor, but a number becomes an f32 scalar on the device of the tensor `like`; returns that scalar, which
-- the caller keeps until the call is done.
function M.set_scale(struct, name, value, like)
  if type(value) ~= "number" then
    struct[name] = M.want_tensor(name, value, "a number or a tensor").raw
    return nil
  end
  if not is_tensor(like) or like.raw.dtype == C.PAH_NONE then return nil end -- reported as missing, or as freed
  local scalar = tensor.new({}, "f32", like.device)
  check(C.pah_tensor_fill(scalar.raw, value))
  struct[name] = scalar.raw
  return scalar
end

-- ---- Options ---------------------------------------------------------------------------------------------

local causal_words = {
  [false] = C.PAH_CAUSAL_NONE, [true] = C.PAH_CAUSAL_BOTTOM_RIGHT,
  ["bottom-right"] = C.PAH_CAUSAL_BOTTOM_RIGHT, ["top-left"] = C.PAH_CAUSAL_TOP_LEFT,
}

local function set_causal(a, name, value)
  local causal = causal_words[value]
  if not causal then
    raisef('%s: is %s, must be true, false, "bottom-right" or "top-left"', name, describe(value))
  end
  a.causal = causal
end

local function set_window(a, name, value)
  if type(value) ~= "table" or #value ~= 2 then
    raisef("%s: is %s, must be {left, right}", name, type(value) == "table" and "a table of " .. #value
      or describe(value))
  end
  a.window_left, a.window_right = whole("window[1]", value[1]), whole("window[2]", value[2])
end

local function set_number(a, name, value) a[name] = M.number(name, value) end

local function set_whole(a, name, value) a[name] = whole(name, value) end

local function set_kernel(a, name, value)
  if type(value) ~= "string" then raisef("%s: is %s, must be a name, see pah.kernels()", name, describe(value)) end
  a.kernel = value -- the string is alive in the script's table
end

local function set_out_dtype(a, name, value) a.out_dtype = M.dtype(name, value) end

-- Every named argument and its setter. Tensors that an operation does not take are refused in C.
local setters = {
  softmax_scale = set_number, softcap = set_number, causal = set_causal, window = set_window, seqlen_k = set_whole,
  num_splits = set_whole, block_m = set_whole, block_n = set_whole, kernel = set_kernel, o_scale = set_number,
  out_dtype = set_out_dtype,
}
for _, name in ipairs {"q", "k_blocks", "v_blocks", "block_table", "cu_seqlens_q", "seqused_k", "tree_mask", "sinks",
  "out", "lse", "dout", "dq", "dk_blocks", "dv_blocks", "dsinks"} do
  setters[name] = M.set_tensor
end
for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do setters[name] = M.set_scale end

local only_fwd_fp8 = {o_scale = true, out_dtype = true}

-- ---- Filling ---------------------------------------------------------------------------------------------

local attn = ffi.new("struct pah_attn")

local function refuse_key(what, args, extra_keys)
  local known = {}
  for key in pairs(setters) do known[key] = true end
  for key in pairs(extra_keys or {}) do known[key] = true end
  errors.check_keys(what, args, known)
end

--- Fills the struct from the named arguments `args` of operation `op` ("fwd", ...); `what` names the function in
-- errors; `extra_keys` (a set) are accepted for the caller to read. Returns the struct and a table that keeps alive
-- what was made for it (scalars of numbers), or nil.
function M.fill(what, op, args, extra_keys)
  if type(args) ~= "table" then
    raisef("%s: is called with %s, must be called with a table of named arguments", what, describe(args))
  end
  local a, keep = attn, nil
  C.pah_attn_init(a)
  for key, value in pairs(args) do
    local set = setters[key]
    if set then
      if only_fwd_fp8[key] and op ~= "fwd_fp8" then raisef("%s: is given, but %s does not take it", key, what) end
      local made = set(a, key, value, args.q)
      if made then
        keep = keep or {}
        keep[#keep + 1] = made
      end
    elseif not (extra_keys and extra_keys[key]) then
      refuse_key(what, args, extra_keys)
    end
  end
  return a, keep
end

--- A new struct pah_attn with the tensors of `args`, so that findings of a launch can name them.
function M.fill_problem(args)
  local a = ffi.new("struct pah_attn", (M.fill("problem", "fwd_fp8", args)))
  if not (is_tensor(args.k_blocks) and is_tensor(args.block_table)) then
    raisef("problem: must have k_blocks and block_table")
  end
  return a
end

return M
