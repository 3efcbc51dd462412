-- parts.lua - usual mistakes of merge and kv_append, whose results are few numbers: each is computed here as a whole
-- and compared with what the kernel gave. Read next: judge/parts.lua, judge/diagnose.lua.
local budget = require "pah.judge.budget"

local M = {}

local LN2, INF = math.log(2), math.huge

local function same(x, y, tolerance)
  return x == y or x ~= x and y ~= y or math.abs(x - y) <= tolerance * math.max(1, math.abs(y))
end

-- ---- merge ----------------------------------------------------------------------------------------------------------

-- Weights of the two parts and the lse of a row, of lse a and b and what is right: {wa, wb, lse}.
local function right(a, b)
  local top = math.max(a, b)
  if top == -INF then return 0, 0, -INF end
  local lse = top + math.log(math.exp(a - top) + math.exp(b - top))
  return math.exp(a - lse), math.exp(b - lse), lse
end

local merges = {
  {"weights forgotten: the parts are averaged", function(a, b)
    local _, _, lse = right(a, b)
    return 0.5, 0.5, lse
  end},
  {"weights forgotten: the parts are added", function(a, b)
    local _, _, lse = right(a, b)
    return 1, 1, lse
  end},
  {"the parts' weights are exchanged", function(a, b)
    local wa, wb, lse = right(a, b)
    return wb, wa, lse
  end},
  {"lse taken for log2: weights are powers of 2", function(a, b)
    local wa, wb, lse = right(a * LN2, b * LN2)
    return wa, wb, lse / LN2
  end},
  {"log2 for ln in lse", function(a, b)
    local wa, wb, lse = right(a, b)
    return wa, wb, lse / LN2
  end},
  {"lse is that of the first part", function(a, b)
    local wa, wb = right(a, b)
    return wa, wb, a
  end},
  {"lse is the larger of the two", function(a, b)
    local wa, wb = right(a, b)
    return wa, wb, math.max(a, b)
  end},
  {"lse is the sum of the two", function(a, b)
    local wa, wb = right(a, b)
    return wa, wb, a + b
  end},
  {"only the first part counts", function(a) return 1, 0, a end},
  {"only the second part counts", function(_, b) return 0, 1, b end},
  {"out not divided by the sum of the weights", function(a, b)
    local top, _, _, lse = math.max(a, b), right(a, b)
    return math.exp(a - top), math.exp(b - top), lse
  end},
}

-- Whether all rows are those of weigh(a, b); an empty part counts as 0, or (`touches`) as what it holds.
local function merge_fits(problem, weigh, touches)
  local args, H, D = problem.args, problem.case.H, problem.case.D
  local keep, v = {}, {}
  for _, name in ipairs {"out_a", "out_b", "lse_a", "lse_b"} do v[name], _, keep[name] = budget.values(args[name]) end
  local out, n, keep_out = budget.values(problem.results.out)
  local lse, rows, keep_lse = budget.values(problem.results.lse)
  local tolerance = ({f32 = 1e-4, f16 = 4e-3, bf16 = 3e-2})[problem.case.dtype]
  for r = 0, n / D - 1 do
    local at = problem.case.ragged and (r % H) * (rows / H) + math.floor(r / H) or r
    local a, b = v.lse_a[at], v.lse_b[at]
    local wa, wb, l = weigh(a, b)
    if not same(lse[at], l, 1e-4) then return false end
    for d = r * D, r * D + D - 1 do
      local x = (touches or a > -INF) and wa * v.out_a[d] or 0
      local y = (touches or b > -INF) and wb * v.out_b[d] or 0
      if not same(out[d], x + y, tolerance) then return false end
    end
  end
  return true, keep, keep_out, keep_lse
end

local function explain_merge(problem)
  for _, mistake in ipairs(merges) do
    if merge_fits(problem, mistake[2]) then return mistake[1], #merges end
  end
  if merge_fits(problem, right, true) then return "an empty part (lse -inf) is read: 0 x NaN is NaN", #merges end
  return nil, #merges + 1
end

-- ---- kv_append ------------------------------------------------------------------------------------------------------

-- Where token t goes (slot) and what of it: {cause, slot = f(slot, ...), from = {k_blocks = "v"}, factor = f(descale)}.
local appends = {
  {"K and V exchanged", from = {k_blocks = "v", v_blocks = "k"}},
  {"k written to both caches", from = {v_blocks = "k"}},
  {"descale the wrong way round: multiplied by, not divided by", factor = function(d) return d * d end},
  {"descale forgotten", factor = function(d) return d end},
  {"k_descale for both", scale = "k_descale"},
  {"v_descale for both", scale = "v_descale"},
  {"a token that is skipped (slot -1) is written to slot 0", slot = function(s) return math.max(s, 0) end},
  {"a token that is skipped (slot -1) is written to the last slot", slot = function(s, n)
    return s < 0 and n - 1 or s
  end},
  {"block and offset of a slot exchanged", slot = function(s, n, size)
    return s < 0 and s or s % size * (n / size) + math.floor(s / size)
  end},
  {"tokens written one slot too far", slot = function(s, n) return s < 0 and s or (s + 1) % n end},
  {"slots ignored: tokens are written one after the other", slot = function(_, _, _, t) return t end},
  {"every token is of the K/V head 0", head = function() return 0 end},
}

local function appended(problem, mistake, name)
  local case, t = problem.case, problem.results[name]
  local size, Hkv, width = case.block_size, t.shape[3], t.shape[4]
  local n, numbers = t.shape[1] * size, {}
  local x, _, keep = budget.values(problem.args[(mistake.from or {})[name] or name:sub(1, 1)])
  local own = case[name:sub(1, 1) .. "_descale"] or 1
  local divisor = mistake.scale and (case[mistake.scale] or 1) or own
  local factor = mistake.factor and mistake.factor(own) or 1
  for token, slot in ipairs(problem.slots) do
    slot = mistake.slot and mistake.slot(slot, n, size, token - 1) or slot
    for g = 0, slot >= 0 and Hkv - 1 or -1 do
      local head = mistake.head and mistake.head(g) or g
      for d = 0, width - 1 do
        numbers[(slot * Hkv + g) * width + d] = x[((token - 1) * Hkv + head) * width + d] / divisor * factor
      end
    end
  end
  return numbers, keep
end

local steps = {f32 = 2 ^ -22, f16 = 2 ^ -10, bf16 = 2 ^ -7, fp8_e4m3 = 2 ^ -3, fp8_e5m2 = 2 ^ -2}

local function append_fits(problem, mistake)
  local case = problem.case
  if mistake.from and (case.Dv or case.D) ~= case.D then return false end
  for _, name in ipairs {"k_blocks", "v_blocks"} do
    local numbers, held = appended(problem, mistake, name)
    local got, n, keep = budget.values(problem.results[name])
    local step = steps[case.cache_dtype or case.dtype]
    local largest = ({fp8_e4m3 = 448, fp8_e5m2 = 57344})[case.cache_dtype] or INF
    for i = 0, n - 1 do
      local want = numbers[i] and math.max(-largest, math.min(largest, numbers[i])) or 0 / 0
      if not (got[i] ~= got[i] and want ~= want or math.abs(got[i] - want) <= step * math.abs(want) + 2 ^ -9) then
        return false
      end
    end
    if not (held and keep) then return false end
  end
  return true
end

local function explain_append(problem)
  for _, mistake in ipairs(appends) do
    if append_fits(problem, mistake) then return mistake[1] end
  end
  if append_fits(problem, {}) then return "rounded otherwise than to the nearest, or not saturated" end
  return nil, #appends + 1
end

--- The cause of a failed case of merge or kv_append, in words.
function M.explain(problem)
  local cause, tried = (problem.case.op == "merge" and explain_merge or explain_append)(problem)
  return cause or ("none of %d known mistakes explains it"):format(tried)
end

return M
