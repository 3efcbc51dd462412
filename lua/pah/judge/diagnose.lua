-- diagnose.lua - why a case failed: what the kernel gives where everything is finite is compared with the oracle under
-- one usual mistake after the other. A mistake is named only if the numbers are those of the mistake and not those of
-- the right result; a kernel that is merely imprecise gets none. Shares nothing with any kernel: the mistakes are
-- planted in attention/plain.lua. Read next: mistakes/init.lua, init.lua.
local budget = require "pah.judge.budget"
local C = require("pah.ffi").C
local ffi = require "ffi"
local mistakes = require "pah.judge.mistakes"
local parts_mistakes = require "pah.judge.mistakes.parts"
local place = require "pah.judge.place"
local plain = require "pah.attention.plain"
local probe = require "pah.judge.probe"

local M = {}

local CASE_SECONDS, ALL_SECONDS = 6, 40 -- for the diagnosis of a case, and of a verdict
local CLOSER = 3 -- times nearer to the mistake than to the right result
local SPARE = 3 -- times the budget that a result may be away from the mistake's
local LSE_TOO = "; and lse is wrong in another way"
local PROBED = 12 -- failures whose first wrong key is looked for

-- ---- What the kernel gave, and how far it may be from what ----------------------------------------------------------

-- The results of a finite problem with what they are compared with, by name.
local function evidence(problem, oracle)
  local list = {}
  for _, name in ipairs(budget.names) do
    local got = problem.results[name]
    if got then
      local max, mean
      if name == "lse" then
        max, mean = 2e-5, 2e-5 -- of the size of what it is compared with
      else
        max, mean = budget.allowed(oracle.want[name], oracle.low[name], budget.rule_of(problem.case, name))
      end
      local e = budget.errors(got, oracle.want[name])
      list[#list + 1] = {name = name, got = got, max = max, mean = mean, lse = name == "lse",
        right = e or {max = math.huge, mean = math.huge, largest = 1}}
    end
  end
  return list
end

-- How near `got` is to a mistake's numbers: a number below 1 if it is near enough, else nil.
local function nearness(item, wrong)
  local e = budget.errors(item.got, wrong)
  if not e then return nil end
  local size = math.max(1, e.largest / math.max(item.right.largest or 1, 1e-30))
  if item.lse then size = math.max(1, e.largest) end
  if e.max > SPARE * item.max * size or e.mean > SPARE * item.mean * size then return nil end
  if item.wrong and not (e.mean * CLOSER <= item.right.mean and e.max * CLOSER <= item.right.max) then return nil end
  return e.mean / (SPARE * item.mean * size)
end

-- ---- A mistake's numbers ------------------------------------------------------------------------------------------

local function new_results(problem)
  local list = {}
  for name, t in pairs(problem.results) do list[name] = plain.new(t.shape) end
  return list
end

local function compute(m, problem, results)
  if problem.case.op ~= "bwd" then return m:forward(results.out, results.lse) end
  m:backward(results.dq, results.dk_blocks, results.dv_blocks, results.dsinks, problem.args)
end

-- Rows that are looked at first: those of a few heads at the first, the last and a middle query of each sequence.
local function sample_rows(base)
  local rows = {}
  for b = 0, base.B - 1 do
    local n, seen = base.len_q[b], {}
    for _, h in ipairs {0, base.H - 1, math.floor(base.H / 2)} do
      for _, i in ipairs {n - 1, 0} do
        local key = h * 65536 + i
        if i >= 0 and i < n and not seen[key] then rows[#rows + 1] = {b, h, i} end
        seen[key] = true
      end
    end
  end
  return rows
end

-- Whether x is y, an infinity or NaN as it is, a number within `allowed`.
local function near(x, y, allowed) return x == y or x ~= x and y ~= y or math.abs(x - y) <= allowed end

-- Whether the sampled rows of out and lse may be those of copy m.
local function rows_fit(m, base, rows, items)
  local out = ffi.new("double[?]", base.Dv)
  for _, row in ipairs(rows) do
    local b, h, i = row[1], row[2], row[3]
    ffi.fill(out, 8 * base.Dv)
    local lse = m:row(b, h, i, out)
    for _, item in ipairs(items) do
      if item.lse then
        local x = item.values[m:lse_at(b, h, i)]
        if not near(x, lse, 2 * SPARE * item.max * math.max(1, math.abs(lse))) then return false end
      elseif item.name == "out" and base.op ~= "fwd_fp8" then
        local at = base:row_at(b, h, i) * base.Dv
        for d = 0, base.Dv - 1 do
          local x, y = item.values[at + d], out[d]
          local size = math.max(1, math.abs(y) / math.max(item.right.largest or 1, 1e-30))
          if not near(x, y, 2 * SPARE * item.max * size) then return false end
        end
      end
    end
  end
  return true
end

-- How near the results are to a mistake's: a number, lower is nearer, or nil.
local function try(mistake, base, problem, items, rows)
  local m = base:copy()
  if mistake.edit then mistake.edit(m, base) end
  if base.op ~= "bwd" and not mistake.finish and not rows_fit(m, base, rows, items) then return nil end
  local results = new_results(problem)
  compute(m, problem, results)
  if mistake.finish then mistake.finish(results) end
  local sum = 0
  for _, item in ipairs(items) do
    local distance = nearness(item, results[item.name])
    if not distance then return nil end
    sum = sum + distance
  end
  return sum
end

-- The mistake that fits `items` best; how many were tried, if not all; all that fit (a case cannot always tell one from
-- another: with two K/V heads "the next one" is "in reverse order"). Those that fitted another case, which come first
-- in `order`, are enough if one does.
local function search(order, base, problem, items, rows, first, until_)
  local best, nearest, fits, known = nil, nil, {}, {}
  for n, mistake in ipairs(order) do
    if C.pah_clock() > until_ then return best, n - 1, fits end
    if best and not first[mistake.cause] and first[fits[1]] then break end
    local distance = try(mistake, base, problem, items, rows)
    if distance and not known[mistake.cause] then fits[#fits + 1], known[mistake.cause] = mistake.cause, true end
    if distance and (not nearest or distance < 0.5 * nearest) then best, nearest = mistake.cause, distance end
  end
  return best, nil, fits
end

-- The mistake that explains the results of a finite problem best, or nil; how many were tried, whether all, and all
-- that explain them. If none explains all results, one that explains out alone: lse may have a mistake of its own.
local function explain(problem, oracle, failing, first, seconds)
  local host = {}
  for name, value in pairs(problem.args) do host[name] = type(value) == "cdata" and value:to "cpu" or value end
  host.score, host.mask = problem.score, problem.mask
  local base = plain.open(problem.case.op, host)
  base.num_splits, base.in_k = problem.case.num_splits, problem.case.mla
  local items, keep = evidence(problem, oracle), {}
  for _, item in ipairs(items) do
    item.wrong = failing[item.name]
    item.values, _, keep[#keep + 1] = budget.values(item.got)
  end
  local order, rows, until_ = {}, sample_rows(base), C.pah_clock() + seconds
  local list = mistakes.list(base)
  for _, known in ipairs {true, false} do
    for _, mistake in ipairs(list) do
      if (first[mistake.cause] or false) == known then order[#order + 1] = mistake end
    end
  end
  local cause, tried, fits = search(order, base, problem, items, rows, first, until_)
  if not cause and not tried and failing.out and failing.lse then
    local _
    cause, _, fits = search(order, base, problem, {items[1]}, rows, first, until_)
    if cause then cause = cause .. LSE_TOO end
    for i, other in ipairs(fits) do fits[i] = other .. LSE_TOO end
  end
  return cause, tried or #order, tried == nil, fits, keep
end

-- ---- What is told without numbers ---------------------------------------------------------------------------------

local SENTINEL = 96 -- exact in every dtype

-- Elements of the failing results that are NaN and that the kernel does not write: how many of how many, by name.
local function unwritten(problem, failing, call)
  local nan = {}
  for name in pairs(failing) do
    local values, n, keep = budget.values(problem.results[name])
    local list = {}
    for i = 0, n - 1 do
      if values[i] ~= values[i] then list[#list + 1] = i end
    end
    if #list > 0 then nan[name] = {list = list, of = n, keep = keep} end
  end
  if not next(nan) then return nil end
  local poison = problem.poison
  problem.poison = function(p)
    for _, t in pairs(p.results) do t:fill(SENTINEL) end
  end
  local ok = call(problem)
  problem.poison = poison
  if not ok then return nil end
  for _, name in ipairs(budget.names) do
    local values, _, keep = budget.values(problem.results[nan[name] and name or next(problem.results)])
    local count, first = 0, nil
    for _, i in ipairs(nan[name] and nan[name].list or {}) do
      if values[i] == SENTINEL then count, first = count + 1, first or i end
    end
    if count > 0 and keep then
      return ("%d of %d elements of %s are not written, the first of %s"):format(count, nan[name].of, name,
        place.text(place.of(problem, name, first)))
    end
  end
end

-- If all that is wrong in out and lse lies in rows that see no key: what is there.
local function empty_rows(problem, oracle, failing)
  if problem.case.op == "bwd" then return nil end
  local lse, n, keep_lse = budget.values(oracle.want.lse)
  local out, _, keep_out = budget.values(oracle.want.out)
  local got = {lse = {budget.values(problem.results.lse)}, out = {budget.values(problem.results.out)}}
  local Dv, H, found = problem.args.v_blocks.shape[4], problem.case.H, nil
  for r = 0, n - 1 do -- r: row of out
    local at = problem.case.ragged and (r % H) * (n / H) + math.floor(r / H) or r
    local empty = lse[at] == -math.huge
    local x = got.lse[1][at]
    local lse_wrong = failing.lse and not near(x, lse[at], 1e-4 * math.max(1, math.abs(lse[at])))
    local out_wrong
    for d = r * Dv, r * Dv + Dv - 1 do
      if failing.out and not near(got.out[1][d], out[d], 0.02 * math.max(0.1, math.abs(out[d]))) then
        out_wrong = got.out[1][d]
      end
    end
    if (lse_wrong or out_wrong) and not empty then return nil end
    if lse_wrong then found = found or ("lse is %g, must be -inf"):format(x) end
    if out_wrong then found = found or ("out is %g, must be 0"):format(out_wrong) end
  end
  return found and "a row that sees no key: " .. found, {keep_lse, keep_out}
end

-- ---- The doctor -----------------------------------------------------------------------------------------------------

-- The names of results that complaints are about, or nil if there is one that numbers do not explain.
local function failing_of(failures)
  local names = {}
  for _, f in ipairs(failures) do
    if f.raised or f.invariant or not f.at then return nil end
    names[f.name] = true
  end
  return names
end

-- The first key of a row whose weight differs, put into the place of its failure.
local function find_key(problem, failures, run)
  for _, f in ipairs(failures) do
    local where = f.where
    if where.sequence and where.query and not where.key and not problem.case.mla and problem.case.op ~= "bwd" then
      local ok, _, _, key = pcall(probe.of_problem, problem, run, where)
      if ok and key then place.add_key(problem, where, key) end
      return
    end
  end
end

local READS = "reads what is not in use: with finite numbers in blocks and slots that no sequence uses the result is "
  .. "right, with NaN there it is not (a weight of 0 does not help: 0 x NaN is NaN)"

local function diagnose(state, problem, failures, truth)
  local failing = failing_of(failures)
  if not failing then return nil end
  if problem.details then return parts_mistakes.explain(problem, failing) end
  local cause = unwritten(problem, failing, state.call)
  if cause then return cause end
  if not problem.case.finite then return READS end -- the judge has run the tame one before, and it was right
  if state.probed < PROBED then
    state.probed = state.probed + 1
    find_key(problem, failures, state.spec.run)
  end
  if not state.call(problem) then return nil end -- the results again: they have been written meanwhile
  cause = empty_rows(problem, truth, failing)
  if cause then return cause end
  local left = ALL_SECONDS - state.seconds
  local start = C.pah_clock()
  local found, tried, all, fits = explain(problem, truth, failing, state.first, math.min(CASE_SECONDS, left))
  state.seconds = state.seconds + C.pah_clock() - start
  if found then
    for _, other in ipairs(fits) do state.first[other:gsub(LSE_TOO .. "$", "")] = true end
    return found, fits
  end
  if not all then return ("none of %d known mistakes explains it (time was over before the others)"):format(tried) end
  return ("none of %d known mistakes explains it"):format(tried)
end

--- Of failures whose cases several mistakes explain (`fits`, which goes): each gets the cause that explains the most.
function M.settle(failures)
  local count = {}
  for _, f in ipairs(failures) do
    for _, cause in ipairs(f.fits or {}) do count[cause] = (count[cause] or 0) + 1 end
  end
  for _, f in ipairs(failures) do
    for _, cause in ipairs(f.fits or {}) do
      if count[cause] > count[f.cause] then f.cause = cause end
    end
    f.fits = nil
  end
end

--- A function(problem, failures, oracle) -> the cause of a failed case in words, and all that explain it; nil where
--- there is none to look for (the kernel raised an error, wrote beside its results, broke an invariant). Places of
--- failures get their first wrong key. call(problem) is the judge's.
function M.doctor(spec, call)
  local state = {spec = spec, call = call, first = {}, seconds = 0, probed = 0}
  return function(problem, failures, oracle) return diagnose(state, problem, failures, oracle) end
end

return M
