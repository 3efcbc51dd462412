-- probe.lua - pah.probe: the weights that a kernel really gives to the keys of a query, read by values that are
-- one-hot: with v of key j the unit vector e_j, out is the row of P itself. Beside the oracle's row, and the first key
-- that differs. Sequence, query, head and key count from 0.
-- Read next: attention/plain.lua, init.lua.
local errors = require "pah.errors"
local plain = require "pah.attention.plain"
local tensor = require "pah.tensor"
local work = require "pah.attention.work"

local M = {}

local Row = {}
Row.__index = Row

function Row:__tostring()
  local words, from = {}, 1
  while from <= #self do -- runs of equal weights as one
    local to = from
    while self[to + 1] == self[from] do to = to + 1 end
    words[#words + 1] = (to > from and "%d..%d: %.4g" or "%d: %.4g"):format(unpack(to > from
      and {from - 1, to - 1, self[from]} or {from - 1, self[from]}))
    from = to + 1
  end
  return "{" .. table.concat(words, ", ") .. "}"
end

-- How far a weight may be from the oracle's: rounding of P, of out, and what the dtype of the products leaves.
local tolerance = {f32 = 1e-5, f16 = 4e-3, bf16 = 2e-2, fp8_e4m3 = 0.13, fp8_e5m2 = 0.25}

local function whole(what, value, below)
  if type(value) ~= "number" or value % 1 ~= 0 or value < 0 or value >= below then
    errors.raisef("probe: %s is %s, must be a whole number from 0 to %d", what, tostring(value), below - 1)
  end
  return value
end

-- ---- Values that are one-hot ------------------------------------------------------------------------------------

-- A copy of v_blocks with zeros, but v of key first + d of the sequence the unit vector e_d, as far as `keys` go.
local function one_hot(a, row, first, keys)
  local v = a.v_blocks
  local blocks, size, Dv = v:clone():zero(), v.shape[2], v.shape[4]
  for d = 0, math.min(Dv, keys - first) - 1 do
    local j = first + d
    local id = row[math.floor(j / size) + 1]
    for g = 1, v.shape[3] do blocks:set(1, id + 1, j % size + 1, g, d + 1) end
  end
  return blocks
end

-- The part of out that belongs to a query, as a list.
local function row_of(a, len_before, at)
  local out = a.out
  if a.cu_seqlens_q then return out[len_before + at.query + 1][at.head + 1] end
  local row = out[at.sequence + 1][at.head + 1]
  return #out.shape == 4 and row[at.query + 1] or row
end

local function scale_of(a, at, g)
  local descale, scale = a.v_descale, 1
  if type(descale) == "number" then
    scale = descale
  elseif descale then
    scale = descale:dim() == 0 and descale:item() or descale:get(at.sequence + 1, g + 1)
  end
  if a.out.dtype:match "^fp8" then scale = scale * (a.o_scale or 1) end
  return scale
end

-- Weights of keys 0 .. keys - 1, by as many calls as V's width asks for.
local function measure(run, a, case, at, row, keys, before, g)
  local weights = setmetatable({}, Row)
  local call = {}
  for name, value in pairs(a) do call[name] = value end
  call.softmax_scale = a.softmax_scale or a.q.shape[#a.q.shape] ^ -0.5
  local scale, Dv = scale_of(a, at, g), a.v_blocks.shape[4]
  for first = 0, keys - 1, Dv do
    call.v_blocks = one_hot(a, row, first, keys)
    a.out:fill(0 / 0)
    run(call, case)
    a.out.device:synchronize()
    local list = row_of(a, before, at):to("cpu"):to("f64"):totable()
    for d = 1, math.min(Dv, keys - first) do weights[first + d] = list[d] / scale end
  end
  return weights
end

local function oracle_row(a, at, keys)
  local host = {}
  for name, value in pairs(a) do host[name] = tensor.is_tensor(value) and value:to "cpu" or value end
  local problem = plain.open("fwd", host)
  local list, row = problem:weights(at.sequence, at.head, at.query), setmetatable({}, Row)
  for j = 0, keys - 1 do row[j + 1] = list[j] or 0 end
  return row, problem
end

-- ---- pah.probe ------------------------------------------------------------------------------------------------------

local function check(run, a, at)
  if type(run) ~= "function" then errors.raisef("probe: run is a %s, must be a function", type(run)) end
  if type(a) ~= "table" then errors.raisef("probe: arguments are a %s, must be a table", type(a)) end
  if type(at) ~= "table" then
    errors.raisef("probe: the place is a %s, must be {sequence=, query=, head=}", type(at))
  end
  for _, name in ipairs {"q", "k_blocks", "v_blocks", "block_table", "out"} do
    if not tensor.is_tensor(a[name]) then errors.raisef("probe: %s is a %s, must be a tensor", name, type(a[name])) end
  end
  if a.dout then errors.raise "probe: dout is given, but backward has no out to read weights from" end
  if work.v_in_k(a) then errors.raise "probe: v_blocks is a view of k_blocks, must be values of its own" end
end

-- The first key (from 0) whose weight is not the oracle's. A skipped key makes all others heavier by one factor: that
-- factor is taken out, so that the skipped key is the first. nil: none differs.
local function first_wrong(got, want, close)
  local function differs(j, factor)
    local e = math.abs(got[j] - factor * want[j])
    return e ~= e or e > close * want[j] + 0.02 * close + 1e-6
  end
  local ratios, first = {}, nil
  for j = 1, #want do
    if want[j] > 0 then ratios[#ratios + 1] = got[j] / want[j] end
    if not first and differs(j, 1) then first = j end
  end
  if not first then return nil end
  table.sort(ratios)
  local factor = ratios[math.floor(#ratios / 2) + 1]
  for j = 1, factor and factor == factor and #want or 0 do
    if differs(j, factor) then return j - 1 end
  end
  return first - 1
end

--- The weights that run(a) gives to the keys of a query, the oracle's, and the first key that differs (nil: none):
--- pah.probe(run, a, {sequence=, query=, head=}). a is as run takes it, with out; values are replaced for the calls,
--- out is written. Slots of the last block past the sequence count as keys too: their weights must be 0.
function M.probe(run, a, at, case)
  check(run, a, at)
  local lengths = work.lengths(a)
  at = {sequence = whole("sequence", at.sequence, #lengths), head = whole("head", at.head, a.q.shape[2]),
    query = at.query or 0}
  local len = lengths[at.sequence + 1]
  whole("query", at.query, len.q)
  local size, before = a.k_blocks.shape[2], 0
  if a.cu_seqlens_q then before = a.cu_seqlens_q:to("cpu"):get(at.sequence + 1) end
  local row = a.block_table:to("cpu"):narrow(1, at.sequence + 1, 1):totable()[1]
  local keys = math.ceil(len.k / size) * size
  local want, problem = oracle_row(a, at, keys)
  local got = measure(run, a, case, at, row, keys, before, problem:kv_head(at.head))
  local close = math.max(tolerance[a.q.dtype] or 1e-5, tolerance[a.out.dtype] or 1e-5,
    tolerance[a.k_blocks.dtype] and a.k_blocks.dtype:match "^fp8" and 1e-2 or 0)
  return got, want, first_wrong(got, want, close)
end

--- The same for a problem of the judge.
function M.of_problem(problem, run, where)
  local a = {}
  for _, list in ipairs {problem.args, problem.results} do
    for name, value in pairs(list) do a[name] = value end
  end
  a.num_splits = problem.case.num_splits
  a.score, a.mask = problem.score, problem.mask
  return M.probe(run, a, {sequence = where.sequence, query = where.query, head = where.head}, problem.case)
end

M.exports = {probe = M.probe}

return M
