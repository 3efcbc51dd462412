-- plain.lua - attention in plain Lua and float64, one row after the other: slow, short, and open to change. Every rule
-- of the problem is a field or a method of one table, so that a script's score and mask functions take part
-- (reference.lua), and so that a mistake can be planted in a copy of it (judge/mistakes.lua).
-- Sequences b, heads h, queries i, keys j and blocks count from 0, as in a kernel. Read next: plain_backward.lua.
local binding = require "pah.ffi"
local devices = require "pah.device"
local errors = require "pah.errors"
local ffi = require "ffi"
local tensor = require "pah.tensor"
local work = require "pah.attention.work"

local C = binding.C

local M = {}
local Problem = {}
Problem.__index = Problem

local INF = math.huge

-- ---- Numbers ------------------------------------------------------------------------------------------------------

local single = ffi.new "float[1]"

local function f32(x)
  single[0] = x
  return tonumber(single[0])
end

-- To the nearest of f32 with a mantissa of 10 bits, ties to even.
local function tf32(x)
  if x - x ~= 0 then return x end
  local _, exponent = math.frexp(x)
  local unit, magic = 2 ^ (math.max(exponent, -125) - 11), 1.5 * 2 ^ 52
  return f32((x / unit + magic - magic) * unit)
end

--- Rounding to a dtype, as a function; nil: float64, the identity.
local function rounding(dtype)
  if dtype == nil or dtype == "f64" then return function(x) return x end end
  if dtype == "f32" then return f32 end
  if dtype == "tf32" then return tf32 end
  local short = dtype:gsub("^fp8_", "")
  local encode, decode = C["pah_f64_to_" .. short], C["pah_" .. short .. "_to_f32"]
  return function(x) return tonumber(decode(encode(x))) end
end

M.rounding = rounding

-- ---- Opening ------------------------------------------------------------------------------------------------------

-- A tensor as double[n] in row-major order, held by `keep`.
local function numbers(t, keep)
  local host, values = tensor.values(t)
  keep[#keep + 1] = host
  return values
end

local function descale_of(value, keep)
  if value == nil then return function() return 1 end end
  if type(value) == "number" then return function() return value end end
  local values, heads = numbers(value, keep), value:dim() == 2 and value.shape[2]
  return function(_, b, g) return values[heads and b * heads + g or 0] end
end

local function function_of(name, value)
  if value ~= nil and type(value) ~= "function" then
    errors.raisef("%s: is a %s, must be a function", name, type(value))
  end
  return value
end

local function lengths(self, args)
  self.len_q, self.len_k, self.keys = {}, {}, {}
  for b, len in ipairs(work.lengths(args)) do
    self.len_q[b - 1], self.len_k[b - 1], self.keys[b - 1] = len.q, len.k, len.k
  end
  self.first = args.cu_seqlens_q and numbers(args.cu_seqlens_q, self.keep)
end

--- The problem of checked arguments on the cpu; args.score and args.mask are functions (see reference.lua), and
--- args.intermediate the dtype that every intermediate is rounded to.
function M.open(op, args)
  local q, k, v = args.q, args.k_blocks, args.v_blocks
  local self = setmetatable({op = op, args = args, keep = {}}, Problem)
  self.B, self.H, self.D, self.Dv = args.block_table.shape[1], q.shape[2], k.shape[4], v.shape[4]
  self.block_size, self.Hkv, self.dot = k.shape[2], k.shape[3], self.D -- dot: elements of q k
  self.queries = not args.cu_seqlens_q and #q.shape == 4 and q.shape[3] or 1
  self.total_q = q.shape[1]
  lengths(self, args)
  self.q, self.k, self.v = numbers(q, self.keep), numbers(k, self.keep), numbers(v, self.keep)
  self.table, self.table_width = numbers(args.block_table, self.keep), args.block_table.shape[2]
  self.scale, self.softcap = args.softmax_scale and f32(args.softmax_scale) or self.D ^ -0.5, f32(args.softcap or 0)
  self.causal = args.causal == true and "bottom-right" or args.causal or false
  local window = args.window or {-1, -1}
  self.left, self.right = window[1] >= 0 and window[1] or INF, window[2] >= 0 and window[2] or INF
  self.sinks = args.sinks and numbers(args.sinks, self.keep)
  self.trees = {}
  for b = 0, self.B - 1 do self.trees[b] = work.tree_of(args, b + 1) end
  for _, name in ipairs {"q_descale", "k_descale", "v_descale"} do self[name] = descale_of(args[name], self.keep) end
  self.score_function, self.mask_function = function_of("score", args.score), function_of("mask", args.mask)
  local low = args.intermediate
  self.round = rounding(low and low:match "^fp8" and "bf16" or low)
  self.round_weight, self.round_sum = rounding(low), rounding(low and "f32")
  return self
end

--- A copy in which fields and methods can be set; what is not set is that of the original.
function Problem:copy() return setmetatable({}, {__index = self}) end

-- ---- The rules, each a method -------------------------------------------------------------------------------------

-- Where `which` is given it is "k" or "v", what is looked up.

function Problem:kv_head(h) return math.floor(h / (self.H / self.Hkv)) end

--- Physical block and slot of key j.
function Problem:place(b, j)
  return self.table[b * self.table_width + math.floor(j / self.block_size)], j % self.block_size
end

--- Index of element 0 of key j in [num_blocks, block_size, Hkv, width].
function Problem:key_at(b, g, j, width, which)
  local block, slot = self:place(b, j, which)
  return ((block * self.block_size + slot) * self.Hkv + g) * width
end

--- Row of query i among all rows of q [.., width]: times width, the index of its element 0.
function Problem:row_at(b, h, i)
  if self.first then return (self.first[b] + i) * self.H + h end
  return (b * self.H + h) * self.queries + i
end

function Problem:lse_at(b, h, i)
  if self.first then return h * self.total_q + self.first[b] + i end
  return (b * self.H + h) * self.queries + i
end

function Problem:offset(b) return self.causal == "top-left" and 0 or self.len_k[b] - self.len_q[b] end

--- Whether causal, window and tree let query i see key j; mask_function, where there is one, decides last.
function Problem:visible(b, h, i, j)
  local diagonal, past, tree = i + self:offset(b), self.len_k[b] - self.len_q[b], self.trees[b]
  if tree and j >= past and not tree(i, j - past) then return false end
  if self.causal and j > diagonal or j < diagonal - self.left or j > diagonal + self.right then return false end
  if not self.mask_function then return true end
  local seen = self.mask_function(b, h, i, j)
  if type(seen) ~= "boolean" then errors.raisef("mask: returned %s, must return true or false", tostring(seen)) end
  return seen
end

--- The score of a product q k: scaled (by scaled keys already), capped, then what score_function makes of it.
function Problem:cap(s)
  if self.softcap > 0 then s = self.round(self.softcap * self.round(math.tanh(self.round(s / self.softcap)))) end
  return s
end

function Problem:finish(s, b, h, i, j)
  if not self.score_function then return s end
  local changed = self.score_function(s, b, h, i, j)
  if type(changed) ~= "number" then errors.raisef("score: returned %s, must return a number", tostring(changed)) end
  return self.round(changed)
end

function Problem:sink(h) return self.sinks and self.sinks[h] or -INF end

-- ---- One row ------------------------------------------------------------------------------------------------------

--- q k of query i and key j, with the keys scaled.
function Problem:product(b, h, i, j, g)
  local round, add = self.round, self.round_sum
  local from, at = self:row_at(b, h, i) * self.D, self:key_at(b, g, j, self.D, "k")
  local q, k, sum, scale = self.q, self.k, 0, self.scale
  local of_q, of_k = self:q_descale(b, self:kv_head(h, "k")), self:k_descale(b, g)
  for d = 0, self.dot - 1 do sum = add(sum + round(q[from + d] * of_q) * round(round(k[at + d] * of_k) * scale)) end
  return round(sum)
end

--- The scores of query i by key, nil where it sees none; and the largest, with the sink.
function Problem:scores(b, h, i)
  local g, list, largest = self:kv_head(h, "k"), {}, self:sink(h, b)
  for j = 0, self.keys[b] - 1 do
    if self:visible(b, h, i, j) then
      local s = self:finish(self:cap(self:product(b, h, i, j, g)), b, h, i, j)
      list[j] = s
      if s > largest or s ~= s then largest = s end
    end
  end
  return list, largest
end

--- The weights of query i by key (they and the sink's sum up to 1; none where it sees nothing), and its lse.
function Problem:weights(b, h, i)
  local list, largest = self:scores(b, h, i)
  local sink, total, any = self:sink(h, b), 0, false
  for j = 0, self.keys[b] - 1 do
    if list[j] and list[j] ~= -INF then any = true end
  end
  if sink == INF then return {}, INF end
  if sink > -INF then total = math.exp(sink - largest) end
  if not any then return {}, total > 0 and largest + math.log(total) or -INF end
  for j = 0, self.keys[b] - 1 do
    if list[j] then
      list[j] = math.exp(list[j] - largest)
      total = total + list[j]
    end
  end
  for j = 0, self.keys[b] - 1 do
    if list[j] then list[j] = self.round_weight(list[j] / total) end
  end
  return list, largest + math.log(total)
end

--- Adds the values weighed by `list` to double[Dv] out.
function Problem:weigh(b, h, list, out)
  local g, Dv, v, round, add = self:kv_head(h, "v"), self.Dv, self.v, self.round, self.round_sum
  local of_v = self:v_descale(b, g)
  for j = 0, self.keys[b] - 1 do
    local p = list[j]
    if p then
      local at = self:key_at(b, g, j, Dv, "v")
      for d = 0, Dv - 1 do out[d] = add(out[d] + p * round(v[at + d] * of_v)) end
    end
  end
end

--- out (double[Dv], cleared) and the lse of query i.
function Problem:row(b, h, i, out)
  local list, lse = self:weights(b, h, i)
  self:weigh(b, h, list, out)
  return lse
end

-- ---- The whole ----------------------------------------------------------------------------------------------------

--- Calls f(b, h, i) for every row.
function Problem:each_row(f)
  for b = 0, self.B - 1 do
    for h = 0, self.H - 1 do
      for i = 0, self.len_q[b] - 1 do f(b, h, i) end
    end
  end
end

-- What is compared of an element of out: of an fp8 out (fwd_fp8) the scaled one within its range, rounded to that type
-- only where every intermediate is rounded.
local function stored(self)
  local dtype, largest = self.args.out_dtype or self.args.q.dtype, {fp8_e4m3 = 448, fp8_e5m2 = 57344}
  local most, scale = largest[dtype], self.o_scale or self.args.o_scale or 1
  if self.op ~= "fwd_fp8" or not most then return self.round end
  local round = rounding(self.args.intermediate and dtype)
  return function(x) return round(math.max(-most, math.min(most, x * scale))) end
end

--- Fills f64 tensors out and lse on the cpu, contiguous.
function Problem:forward(out, lse)
  local to, of_lse, row, store = out:data(), lse:data(), ffi.new("double[?]", self.Dv), stored(self)
  out:zero()
  self:each_row(function(b, h, i)
    ffi.fill(row, 8 * self.Dv)
    of_lse[self:lse_at(b, h, i)] = self:row(b, h, i, row)
    local at = self:row_at(b, h, i) * self.Dv
    for d = 0, self.Dv - 1 do to[at + d] = store(row[d]) end
  end)
end

--- A new f64 tensor on the cpu.
function M.new(shape) return tensor.new(shape, "f64", devices.get "cpu") end

M.class = Problem

return M
