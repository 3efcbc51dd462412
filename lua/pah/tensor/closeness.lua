-- closeness.lua - pah.allclose and pah.diff: how far two tensors are apart.
-- |a - b| <= atol + rtol |b| is close; equal infinities are close; NaN never is. Dtypes may differ, shapes may not.
local ffi = require "ffi"
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local tensor = require "pah.tensor"
local binding = require "pah.ffi"
local C, check = binding.C, binding.check

local M = {}

-- Row-major index (0-based) to a list of 1-based indices; nil for -1.
local function place(index, shape)
  if index < 0 then return nil end
  local at = {}
  for d = #shape, 1, -1 do
    at[d] = index % shape[d] + 1
    index = math.floor(index / shape[d])
  end
  return at
end

local Report = classes.name("DiffReport", {})
Report.__index = Report

function Report:__tostring()
  local text = ("max abs %.3g, max rel %.3g, rms %.3g"):format(self.max_abs, self.max_rel, self.rms)
  if self.argmax then text = text .. (", largest at [%s]"):format(table.concat(self.argmax, ", ")) end
  if self.nan > 0 then text = text .. (", %d NaN"):format(self.nan) end
  if not self.tolerated then -- pah.diff: of numbers that were rounded all differ, which says nothing
    if self.mismatched > 0 and self.mismatched < self.numel then
      text = text .. (", %d of %d differ, first at [%s]"):format(self.mismatched, self.numel,
        table.concat(self.first_mismatch, ", "))
    end
  elseif self.mismatched > 0 then
    text = ("%d of %d mismatched, first at [%s]; "):format(self.mismatched, self.numel,
      table.concat(self.first_mismatch, ", ")) .. text
  end
  return text
end

local function measure(what, a, b, rtol, atol, tolerated)
  tensor.want(what .. ": a", a)
  tensor.want(what .. ": b", b)
  local shape = a.shape
  if table.concat(shape, ",") ~= table.concat(b.shape, ",") then
    errors.raisef("%s: a has shape [%s], b has [%s], must be equal", what, table.concat(shape, ", "),
      table.concat(b.shape, ", "))
  end
  local d = ffi.new("struct pah_diff")
  check(C.pah_tensor_diff(a.raw, b.raw, rtol, atol, d))
  local report = {max_abs = d.max_abs, max_rel = d.max_rel, rms = d.rms, rel_norm = d.rel_norm, mean_abs = d.mean_abs,
    tolerated = tolerated}
  for _, name in ipairs {"nan", "mismatched", "numel"} do report[name] = tonumber(d[name]) end
  report.argmax = place(tonumber(d.argmax), shape)
  report.first_mismatch = place(tonumber(d.first_mismatch), shape)
  return setmetatable(report, Report)
end

local function tolerance(name, value, default)
  if value == nil then return default end
  if type(value) ~= "number" or value ~= value or value < 0 then
    errors.raisef("allclose: %s is %s, must be a number >= 0", name, tostring(value))
  end
  return value
end

--- Whether all elements are close (rtol 1e-5, atol 1e-8 as NumPy's), and a report that prints as a line.
local function allclose(a, b, opts)
  errors.check_keys("allclose", opts, {rtol = true, atol = true})
  opts = opts or {}
  local report = measure("allclose", a, b, tolerance("rtol", opts.rtol, 1e-5), tolerance("atol", opts.atol, 1e-8), true)
  return report.mismatched == 0, report
end

--- The differences: max_abs, max_rel, mean_abs, rms, rel_norm over what is finite in both; argmax (1-based indices of
--- max_abs), nan (elements NaN in either), mismatched (elements that are not equal), numel. Prints as a line.
local function diff(a, b) return measure("diff", a, b, 0, 0) end

M.exports = {allclose = allclose, diff = diff}

return M
