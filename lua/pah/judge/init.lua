-- init.lua - pah.judge: a kernel of any origin held to the table of cases that pah's own must pass. It is a function
-- run(a, case) that fills results which are NaN before; the float64 oracle and the budget decide (budget.lua).
-- Promises: block tables are permuted, what is not in use is NaN, memory around results is watched, inputs must stay
-- what they are; what is not supported is pending and counted; the contract is section "Judging" of doc/judging.md.
-- Read next: problem.lua, budget.lua, diagnose.lua, verdict.lua.
local budget = require "pah.judge.budget"
local cases = require "pah.judge.cases"
local C = require("pah.ffi").C
local devices = require "pah.device"
local diagnose = require "pah.judge.diagnose"
local errors = require "pah.errors"
local host = require "pah.host"
local invariants = require "pah.judge.invariants"
local parts = require "pah.judge.parts"
local place = require "pah.judge.place"
local problems = require "pah.judge.problem"
local supports_of = require "pah.judge.supports"
local tensor = require "pah.tensor"
local verdicts = require "pah.judge.verdict"

-- Interpreted: nothing here is hot, and LuaJIT 2.1-beta3 as Debian has it now and then compiles the walk of a table in
-- such code with half of an address (a crash once in some fifty runs of `pah judge`).
jit.off(true, true)

local M = {}

-- ---- What is asked --------------------------------------------------------------------------------------------------

local keys = {op = true, run = true, device = true, supports = true, cases = true, invariant = true, schedules = true,
  name = true, score = true, mask = true, progress = true, line = true}
local ops = {fwd = true, fwd_fp8 = true, bwd = true, decode = true, merge = true, kv_append = true}
local schedules = {order = true, reverse = true, random = true}

-- A list of words of a set, from a list or a single word.
local function words(what, value, known)
  if value == nil then return {} end
  if type(value) == "string" then value = {value} end
  if type(value) ~= "table" then errors.raisef("judge: %s is a %s, must be a list of names", what, type(value)) end
  for _, word in ipairs(value) do
    if not known[word] then
      errors.raisef("judge: %s: unknown name %s%s", what, tostring(word), errors.hint(tostring(word), known))
    end
  end
  return value
end

local function check_function(name, value, needed)
  if type(value) ~= "function" and (needed or value ~= nil) then
    errors.raisef("judge: %s is a %s, must be a function", name, type(value))
  end
end

local known_invariants = {}
for _, name in ipairs(invariants.names) do known_invariants[name] = true end

-- The checked specification, a table of its own.
local function specification(given)
  if type(given) ~= "table" then
    errors.raisef("judge: is called with a %s, must be called with a table {op=, run=}", type(given))
  end
  errors.check_keys("judge", given, keys)
  if not ops[given.op] then
    errors.raisef("judge: op is %s, must be fwd, fwd_fp8, bwd, decode, merge or kv_append%s", tostring(given.op),
      errors.hint(tostring(given.op), ops, ";"))
  end
  check_function("run", given.run, true)
  for _, name in ipairs {"score", "mask", "progress", "line"} do check_function(name, given[name]) end
  local spec = {}
  for name, value in pairs(given) do spec[name] = value end
  spec.device = devices.get(given.device)
  spec.supports = supports_of.of(given.supports)
  spec.invariant = words("invariant", given.invariant, known_invariants)
  spec.schedules = words("schedules", given.schedules, schedules)
  if #spec.schedules > 0 and not spec.device.name:match "^sim" then
    errors.raisef("judge: schedules are given, but the device is %s: only sim has them", spec.device.name)
  end
  if parts.ops[spec.op] then
    if spec.score or spec.mask then errors.raisef("judge: score or mask is given, but %s has no scores", spec.op) end
    for _, name in ipairs(spec.invariant) do
      if name ~= "repeat" then errors.raisef("judge: invariant: %s has only repeat, not %s", spec.op, name) end
    end
  end
  for _, name in ipairs(spec.invariant) do
    if name == "splits" and spec.op ~= "decode" then
      errors.raisef("judge: invariant: splits is of decode only, op is %s", spec.op)
    end
  end
  return spec
end

-- ---- Which cases ----------------------------------------------------------------------------------------------------

local function holds(name, text)
  if name:find(text, 1, true) then return true end
  local ok, found = pcall(string.find, name, text)
  return ok and found ~= nil
end

-- Cases of a list that a script gives: each a case of the table, or fields that differ from the plain one.
local function completed(op, list)
  local out = {}
  for i, case in ipairs(list) do
    if type(case) ~= "table" then errors.raisef("judge: cases: item %d is a %s, must be a table", i, type(case)) end
    for name in pairs(case) do
      if supports_of.options[name] == nil and name ~= "op" and name ~= "seed" and name ~= "name" then
        errors.raisef("judge: cases: item %d: unknown field %s%s", i, tostring(name),
          errors.hint(tostring(name), supports_of.options))
      end
    end
    if case.op ~= nil and case.op ~= op then
      errors.raisef("judge: cases: item %d is of %s, must be of %s", i, tostring(case.op), op)
    end
    out[i] = case.seed and case.name and case or parts.ops[op] and parts.plain(op, case) or cases.plain(op, case)
  end
  return out
end

--- The cases of an operation that "all", "quick", a pattern or a list selects.
function M.cases(op, which)
  local all = parts.ops[op] and parts.cases(op) or cases.of(op)
  if which == nil or which == "all" then return all end
  if which == "quick" then return cases.quick(all) end
  if type(which) == "table" then return completed(op, which) end
  if type(which) ~= "string" then
    errors.raisef('judge: cases is a %s, must be "all", "quick", a pattern or a list of cases', type(which))
  end
  local list = {}
  for _, case in ipairs(all) do
    if holds(case.name, which) then list[#list + 1] = case end
  end
  if #list == 0 then errors.raisef("judge: cases: no case of %s has %q in its name", op, which) end
  return list
end

-- ---- One case -------------------------------------------------------------------------------------------------------

local function build(spec, case)
  if parts.ops[spec.op] then return parts.build(case, spec.device) end
  return problems.build(case, spec.device, spec)
end

local function hashes(problem)
  local list = {}
  for name, value in pairs(problem.args) do
    if tensor.is_tensor(value) and not problem.results[name] then list[name] = value:contiguous():hash() end
  end
  return list
end

-- One call of the kernel on a problem: poisons the results, runs, waits. Returns true; or false and what was raised; or
-- nil and why the kernel will not.
local function call(spec, problem)
  problem.poison = problem.poison or problems.poison
  problem.poison(problem)
  local a = (problem.call_args or problems.call_args)(problem)
  a.softmax_scale = a.softmax_scale or a.q and a.q.shape[#a.q.shape] ^ -0.5 or nil
  local ok, answer, why = pcall(spec.run, a, problem.case)
  if host.interrupted() then error(answer, 0) end
  if ok and answer == false then return nil, why and tostring(why) or "run returned false" end
  if ok then ok, answer = pcall(spec.device.synchronize, spec.device) end
  if not ok then return false, tostring(answer) end
  return true
end

-- Failures of a run that has given results: a list of {what=, where=, name=, at=}.
local function complaints(problem, results, oracle)
  local list = {}
  for _, d in ipairs(problem.details and problem.details(results) or budget.details(problem, results, oracle.want,
    oracle.low)) do
    list[#list + 1] = {what = d.name .. ": " .. d.why, where = place.of(problem, d.name, d.at), name = d.name,
      at = d.at}
  end
  return list
end

local function changed_inputs(problem, before)
  local list = {}
  for name, hash in pairs(hashes(problem)) do
    if before[name] ~= hash then
      list[#list + 1] = {what = ("%s: is an input and was written"):format(name), where = {}, name = name}
    end
  end
  return list
end

local function oracle_of(problem)
  if problem.details then return {} end
  local oracle = {want = problem.reference()}
  oracle.low = budget.low_precision(problem)
  return oracle
end

local function run_again(spec)
  return function(problem)
    local ok, why = call(spec, problem)
    if ok == nil then error("refused: " .. why, 0) end
    if not ok then error(why, 0) end
    return problem.results
  end
end

-- One run of a case: a list of failures, or nil and why the kernel refused.
local function run_case(spec, problem, oracle, invariant)
  local before = hashes(problem)
  local ok, why = call(spec, problem)
  if ok == nil then return nil, why end
  if not ok then return {{what = "run failed: " .. why, where = {}, raised = true}} end
  local list = complaints(problem, problem.results, oracle)
  for _, c in ipairs(changed_inputs(problem, before)) do list[#list + 1] = c end
  if #list == 0 and #invariant > 0 then
    local fine, found = pcall(invariants.check, invariant, run_again(spec), problem, problem.results, spec,
      spec.supports)
    if not fine then
      if host.interrupted() then error(found, 0) end
      found = {{what = "an invariant could not be tried: " .. tostring(found), where = {}}}
    end
    for _, f in ipairs(found) do
      f.invariant = true
      list[#list + 1] = f
    end
  end
  return list
end

-- The line that runs a case by itself.
local function alone(spec, case)
  if spec.line then return spec.line(case) end
  return ("pah.judge{..., cases = %q}"):format(case.name)
end

-- The problems of a case in the order in which they are run. The first is tame: finite numbers and valid ids where the
-- second has NaN and huge ids. A kernel that is wrong there is told by its numbers, and does not get to read at an
-- address far away, which would end this process.
local function problems_of(spec, case)
  if parts.ops[spec.op] then return {build(spec, case)} end
  return {build(spec, cases.merged(case, {finite = 1})), build(spec, case)}
end

-- All runs of a case: its state, and its failures as verdict.failures has them.
local function judge_case(spec, case, doctor)
  local supported, why = spec.supports(case)
  if not supported then return "pending", nil, why end
  local both, failures = problems_of(spec, case), {}
  local oracle = oracle_of(both[1]) -- of both: the oracle reads only what is in use
  for _, schedule in ipairs(#spec.schedules > 0 and spec.schedules or {false}) do
    if schedule then spec.device:set{schedule = schedule, seed = case.seed or 1} end
    local list, refusal, problem
    for n = 1, #both do
      problem = both[n]
      list, refusal = run_case(spec, problem, oracle, n == #both and spec.invariant or {})
      if not list then return "pending", nil, refusal end
      if #list > 0 then break end
    end
    local cause, fits
    for n, f in ipairs(list) do
      if n == 1 then cause, fits = doctor(problem, list, oracle) end
      local what = (schedule and "schedule " .. schedule .. ": " or "") .. f.what
      failures[#failures + 1] = {case = case.name, what = what, where = f.where, cause = cause, fits = fits,
        alone = alone(spec, case)}
    end
  end
  return #failures > 0 and "failed" or "passed", failures
end

-- ---- pah.judge ------------------------------------------------------------------------------------------------------

--- Judges a kernel: pah.judge{op=, run=, device=, supports=, cases=, invariant=, schedules=} -> verdict. See
--- doc/judging.md.
function M.judge(given)
  local spec = specification(given)
  local list = M.cases(spec.op, spec.cases)
  local start = C.pah_clock()
  local v = verdicts.new{op = spec.op, title = spec.name or spec.op, device = spec.device.name}
  local doctor = diagnose.doctor(spec, function(problem) return call(spec, problem) end)
  local plain = parts.ops[spec.op] and parts.plain(spec.op) or cases.plain(spec.op)
  for n, case in ipairs(list) do
    if spec.progress then spec.progress(n, #list, case) end
    local actual = spec.device.name:match "^sim" and cases.shortened(case) or case
    local state, failures, why = judge_case(spec, actual, doctor)
    verdicts.count(v, case, plain, state)
    if state == "pending" then v.pendings[#v.pendings + 1] = {case = case.name, why = why} end
    for _, f in ipairs(failures or {}) do v.failures[#v.failures + 1] = f end
  end
  if #spec.schedules > 0 then spec.device:set{schedule = os.getenv "PAH_SIM_SCHEDULE" or "order"} end
  diagnose.settle(v.failures)
  v.seconds = C.pah_clock() - start
  v.ok = v.failed == 0 and v.passed > 0
  if v.passed + v.failed == 0 then v.notes[#v.notes + 1] = "no case was run: nothing is shown by this" end
  return v
end

M.exports = {judge = M.judge}

return M
