-- trace_schema.lua - what a definition, a workload and a result of FlashInfer-Trace must have: pah.trace.problem.
-- Promises: the first thing that is wrong is named by its path, such as "inputs.q.dtype: ..."; what the schema leaves
-- open is let pass. Read next: trace.lua (reads them), trace_write.lua (writes them).
local json = require "pah.util.json"

local M = {}

local function set(text)
  local s = {}
  for word in text:gmatch "%S+" do s[word] = true end
  return s
end

local dtypes = set "float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float4_e2m1 int64 int32 int16 int8 bool"
local statuses = set "PASSED INCORRECT_SHAPE INCORRECT_NUMERICAL INCORRECT_DTYPE RUNTIME_ERROR COMPILE_ERROR"

local function object(value) return type(value) == "table" and (json.is_object(value) or #value == 0) end
local function text(value) return type(value) == "string" and value ~= "" end
local function number(value) return type(value) == "number" end
local function missing(value) return value == nil or value == json.null end

-- What is wrong with fields {name, check, "what it must be", optional}, or nil.
local function wrong(path, value, fields)
  if not object(value) then return path .. ": must be an object" end
  for _, field in ipairs(fields) do
    local name, check, must, optional = unpack(field)
    local where = path == "" and name or path .. "." .. name
    if missing(value[name]) then
      if not optional then return where .. ": is missing" end
    elseif not check(value[name]) then
      return ("%s: must be %s"):format(where, must)
    end
  end
end

-- Calls f(path, value) for every field of an object; the first answer that is not nil.
local function each(path, value, f)
  for _, name in ipairs(json.keys(value)) do
    local why = f(path .. "." .. name, value[name])
    if why then return why end
  end
end

local function axis(path, value)
  if not object(value) then return path .. ": must be an object" end
  if value.type == "const" then
    local ok = number(value.value) and value.value % 1 == 0
    return not ok and path .. ".value: must be a whole number" or nil
  end
  return value.type ~= "var" and path .. ".type: must be const or var" or nil
end

local function tensor_of(axes)
  return function(path, value)
    if not object(value) then return path .. ": must be an object" end
    if not dtypes[value.dtype] then return ("%s.dtype: is %s"):format(path, tostring(value.dtype)) end
    if value.shape == json.null then return nil end
    if type(value.shape) ~= "table" then return path .. ".shape: must be a list of axes or null" end
    for _, name in ipairs(value.shape) do
      if missing(axes[name]) then return ("%s.shape: has the axis %s, which is none"):format(path, tostring(name)) end
    end
  end
end

local checks = {}

function checks.definition(d)
  local why = wrong("", d, {{"name", text, "a string"}, {"op_type", text, "a string"}, {"axes", object, "an object"},
    {"inputs", object, "an object"}, {"outputs", object, "an object"}, {"reference", text, "a string"},
    {"description", text, "a string", true}, {"tags", function(v) return type(v) == "table" end, "a list", true},
    {"constraints", function(v) return type(v) == "table" end, "a list", true}})
  why = why or each("axes", d.axes, axis) or each("inputs", d.inputs, tensor_of(d.axes))
    or each("outputs", d.outputs, tensor_of(d.axes))
  if why then return why end
  return not d.reference:find "def run%(" and "reference: has no function run" or nil
end

local function input(path, value)
  local kind = object(value) and value.type
  if kind == "random" then return nil end
  if kind == "scalar" then
    local ok = number(value.value) or type(value.value) == "boolean"
    return not ok and path .. ".value: must be a number or boolean" or nil
  end
  if kind ~= "safetensors" then return path .. ".type: must be random, scalar or safetensors" end
  return wrong(path, value, {{"path", text, "a string"}, {"tensor_key", text, "a string"}})
end

local function workload(w)
  local why = wrong("workload", w, {{"uuid", text, "a string"}, {"axes", object, "an object"},
    {"inputs", object, "an object"}})
  return why or each("workload.axes", w.axes, function(path, value)
    return not (number(value) and value % 1 == 0) and path .. ": must be a whole number" or nil
  end) or each("workload.inputs", w.inputs, input)
end

-- A line of a file of workloads: its solution and evaluation are not there yet.
function checks.workload(t)
  return wrong("", t, {{"definition", text, "a string"}, {"workload", object, "an object"}}) or workload(t.workload)
end

function checks.result(t)
  local why = checks.workload(t) or wrong("", t, {{"solution", text, "a string"}, {"evaluation", object, "an object"}})
  local e = not why and t.evaluation
  why = why or wrong("evaluation", e, {{"status", function(v) return statuses[v] end, "one of the schema's"},
    {"log", function(v) return type(v) == "string" end, "a string"}, {"timestamp", text, "a string"},
    {"environment", object, "an object"}})
    or wrong("evaluation.environment", e.environment, {{"hardware", text, "a string"}, {"libs", object, "an object"}})
  if why then return why end
  local judged = e.status == "PASSED" or e.status == "INCORRECT_NUMERICAL"
  for name, needed in pairs {correctness = judged, performance = e.status == "PASSED"} do
    if needed == missing(e[name]) then
      return ("evaluation.%s: must %sbe there with status %s"):format(name, needed and "" or "not ", e.status)
    end
  end
  return judged and wrong("evaluation.correctness", e.correctness, {{"max_relative_error", number, "a number"},
    {"max_absolute_error", number, "a number"}}) or e.status == "PASSED" and wrong("evaluation.performance",
    e.performance, {{"latency_ms", number, "a number"}, {"reference_latency_ms", number, "a number"},
      {"speedup_factor", number, "a number"}}) or nil
end

--- What is wrong with a decoded object of FlashInfer-Trace, or nil: kind is "definition", "workload" (a line of a file
--- of workloads) or "result" (a workload with a solution and its evaluation).
function M.problem(kind, value)
  local check = checks[kind] or error(("trace.problem: kind is %s"):format(tostring(kind)), 2)
  if type(value) ~= "table" then return "is no object" end
  return check(value)
end

return M
