-- budget.lua - accepts or refuses a kernel's results. A tensor passes if its largest error is at most twice that of a
-- straightforward low-precision evaluation plus a small constant, and its mean error at most one and a half times
-- that one's mean; infinities and NaN must agree exactly, and nothing around the results may have changed.
local ffi = require "ffi"
local problem = require "pah.judge.problem"

local M = {}

-- Factors over the low-precision evaluation, and constants for results that it happens to get exactly right.
local FORWARD = {max = 2, mean = 1.5, atol = 1e-5, mean_atol = 1e-6}
local FP8 = {max = 4, mean = 3, atol = 1e-5, mean_atol = 1e-6}
local GRADIENT = {max = 2, mean = 1.5, atol = 2e-4, mean_atol = 2e-5}
-- The f32 lse that a backward is given is itself rounded, so the constant grows with the gradients.
local GRADIENT_F32 = {max = 2, mean = 1.5, atol = 3e-5, mean_atol = 2e-6, relative = true}
-- dsinks is one number a head, a sum over rows of dout out, where out is the given one, rounded: too few numbers to
-- know the low-precision evaluation's error by, so the constant is what that rounding can make.
local DSINKS = {
  f32 = GRADIENT_F32, f16 = {max = 2, mean = 2, atol = 5e-4, mean_atol = 5e-4, relative = true},
  bf16 = {max = 2, mean = 2, atol = 4e-3, mean_atol = 4e-3, relative = true},
}
local LSE_TOLERANCE = 2e-5 -- absolute up to 1, relative above
-- Where scores are sums of f16 (src/cpu/decode/f16.h), of tf32, or of fp8 by wgmma, which keeps 14 bits of them
-- (doc/design/gpu-fp8.md), the lse is judged as results are, as strictly as without fp8.
local LSE_HALF = {max = 2, mean = 1.5, atol = 2e-5, mean_atol = 1e-5}

--- The elements of a tensor in row-major order as double[n] (0-based), n, and what must stay alive meanwhile.
function M.values(t)
  local flat = t:to("f64"):to("cpu"):contiguous()
  return ffi.cast("const double *", flat:data()), flat:numel(), flat
end

local function finite(x) return x - x == 0 end

local function same(x, y) return x == y or (x ~= x and y ~= y) end

--- Errors of `got` against `want` over elements that are finite in `want`: max, where (0-based), mean, and the
-- largest magnitude in `want`; or nil, a complaint and the element (0-based) if the others do not agree.
function M.errors(got, want)
  local x, n, keep_x = M.values(got)
  local y, m, keep_y = M.values(want)
  if n ~= m then return nil, ("has %d elements, must have %d"):format(n, m) end
  local worst, at, sum, count, largest = 0, -1, 0, 0, 0
  for i = 0, n - 1 do
    if finite(y[i]) then
      local e = math.abs(x[i] - y[i])
      if not finite(e) then return nil, ("element %d is %g, must be %g"):format(i, x[i], y[i]), i end
      if e > worst then worst, at = e, i end
      sum, count, largest = sum + e, count + 1, math.max(largest, math.abs(y[i]))
    elseif not same(x[i], y[i]) then
      return nil, ("element %d is %g, must be %g"):format(i, x[i], y[i]), i
    end
  end
  local mean = count > 0 and sum / count or 0
  return {max = worst, at = at, mean = mean, largest = largest, kept = {keep_x, keep_y}}
end

--- The largest and the mean error allowed where the low-precision evaluation `pt` is the measure; nil and a complaint
--- if that is no good itself.
function M.allowed(want, pt, rule)
  local p, why = M.errors(pt, want)
  if not p then return nil, "the low-precision evaluation " .. why end
  local unit = rule.relative and math.max(1, p.largest) or 1
  return rule.max * p.max + rule.atol * unit, rule.mean * p.mean + rule.mean_atol * unit
end

--- nil if `got` passes against `want` with the low-precision evaluation `pt`, else a complaint and the worst element.
function M.complaint(got, want, pt, rule)
  local e, why, at = M.errors(got, want)
  if not e then return why, at end
  local max, mean = M.allowed(want, pt, rule)
  if not max then return mean end
  if e.max > max then
    return ("max error %.3g at element %d, must be at most %.3g"):format(e.max, e.at, max), e.at
  end
  if e.mean > mean then return ("mean error %.3g, must be at most %.3g"):format(e.mean, mean), e.at end
end

--- nil if an lse passes: the absolute error up to 1, the relative one above.
function M.lse_complaint(got, want)
  local e, wrong, at = M.errors(got, want)
  if not e then return wrong, at end
  local x, n, keep_x = M.values(got)
  local y, _, keep_y = M.values(want)
  for i = 0, n - 1 do
    local allowed = LSE_TOLERANCE * math.max(1, math.abs(y[i]))
    if finite(y[i]) and math.abs(x[i] - y[i]) > allowed then
      return ("element %d is %.9g, must be %.9g"):format(i, x[i], y[i]), i, keep_x, keep_y
    end
  end
end

--- The low-precision evaluation of a problem: every intermediate in q's type (bf16 for fp8; tf32 for the kernel of that
--- name), results in their own.
function M.low_precision(p)
  local case = p.case
  local pt = p.reference(nil, problem.is_fp8(case.dtype) and "bf16" or p.kernel == "tf32" and "tf32" or case.dtype)
  for name, tensor in pairs(pt) do
    if name ~= "lse" then pt[name] = tensor:to(p.results[name].dtype) end
  end
  return pt
end

local function rule_of(case, name)
  if name == "dsinks" then return DSINKS[case.dtype] end
  if case.op == "bwd" then return case.dtype == "f32" and GRADIENT_F32 or GRADIENT end
  local fp8 = problem.is_fp8(case.dtype) or problem.is_fp8(case.cache_dtype)
  return fp8 and FP8 or FORWARD
end

local HALF_SETS = {avx512fp16 = true, amx = true}

--- Whether a device multiplies fp8 caches in f16, where q is bf16.
function M.has_half(device) return HALF_SETS[device:info().isa] ~= nil end

-- Whether the kernel multiplied q and K in f16 or tf32, or in fp8 on a GPU; sim's sums are exact. kernel: its name, nil
-- where the device chose; naive computes in f32.
local function by_half(case, got, kernel)
  if kernel == "tf32" then return true end
  if case.op == "fwd_fp8" then
    return kernel ~= "naive" and problem.is_fp8(case.dtype) and got.device.name:match "^cuda" ~= nil
      and got.device:info().arch == "sm_90a"
  end
  return case.op == "decode" and case.dtype == "bf16" and problem.is_fp8(case.cache_dtype)
    and M.has_half(got.device)
end

--- nil if the lse of a case passes; kernel: the name that was asked for, if any.
function M.lse_of_case_complaint(case, got, want, pt, kernel)
  if by_half(case, got, kernel) then return M.complaint(got, want, pt, LSE_HALF) end
  return M.lse_complaint(got, want)
end

--- Raises unless the kernels pass a case on a device; returns the problem, with its results.
function M.passes(case, device)
  local p = problem.build(case, device)
  local lines = M.judge(p, p.run())
  if #lines > 0 then error(table.concat(lines, "\n"), 2) end
  return p
end

M.forward = FORWARD

--- What is judged, in this order.
M.names = {"out", "lse", "dq", "dk_blocks", "dv_blocks", "dsinks"}

--- The rule for a result of a case: factors max and mean, atol and mean_atol.
M.rule_of = rule_of

--- All complaints about `results` of a problem, a list of {name=, why=, at= (the worst element, 0-based)}; `want` and
--- `pt` are made if they are not given.
function M.details(p, results, want, pt)
  local case, list = p.case, {}
  want = want or p.reference()
  pt = pt or M.low_precision(p)
  for _, name in ipairs(M.names) do
    local got = results[name]
    if got then
      local why, at
      if name == "lse" then
        why, at = M.lse_of_case_complaint(case, got, want[name], pt[name], p.kernel)
      else
        why, at = M.complaint(got, want[name], pt[name], rule_of(case, name))
      end
      if why then list[#list + 1] = {name = name, why = why, at = at} end
      if p.intact[name] and not p.intact[name]() then
        list[#list + 1] = {name = name, why = "memory around it was written"}
      end
    end
  end
  return list
end

jit.off(M.details) -- see init.lua

--- The same as lines of text.
function M.judge(p, results, want, pt)
  local lines = {}
  for i, d in ipairs(M.details(p, results, want, pt)) do lines[i] = d.name .. ": " .. d.why end
  return lines
end

return M
