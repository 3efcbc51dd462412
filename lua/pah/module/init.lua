-- init.lua - your own kernels: dev:compile{source=|text=, defines=, include=, kernels=} -> module,
-- module:launch(name, {grid=, block=, shared=, ...}, arguments...) -> report, module:resources(name).
-- Promises: every argument is checked against the type that the compiler gives the parameter. Read next:
-- launch_report.lua.
local args_of = require "pah.attention.args"
local binding = require "pah.ffi"
local classes = require "pah.util.classes"
local errors = require "pah.errors"
local ffi = require "ffi"
local report_of = require "pah.module.launch_report"
local scalar = require "pah.module.scalar"
local tensor = require "pah.tensor"
local variable = require "pah.module.variable"

local C, check = binding.C, binding.check
local Scalar, ctypes, cell = scalar.Scalar, scalar.ctypes, scalar.cell

local M = {}
local Module = classes.name("Module", {})
Module.__index = Module

-- ---- Arguments ----------------------------------------------------------------------------------------------

local kinds = {[tonumber(C.PAH_POINTER)] = "a pointer", [tonumber(C.PAH_SIGNED)] = "a signed integer",
  [tonumber(C.PAH_UNSIGNED)] = "an unsigned integer", [tonumber(C.PAH_FLOATING)] = "a floating-point number",
  [tonumber(C.PAH_BYTES)] = "a struct"}

local function plain_name(kind, size)
  if kind == C.PAH_FLOATING then return size == 8 and "f64" or "f32" end
  return (kind == C.PAH_SIGNED and "i" or "u") .. 8 * size
end

-- The kind of a parameter of which only the size is known, by what is passed.
local function kind_of(value, what, size)
  if tensor.is_tensor(value) or value == nil or value == false then
    if size ~= 8 then errors.raisef("%s: is a pointer, must be of %d bytes", what, size) end
    return C.PAH_POINTER
  elseif getmetatable(value) == Scalar then
    local letter = value.name:sub(1, 1)
    return letter == "f" and C.PAH_FLOATING or letter == "i" and C.PAH_SIGNED or C.PAH_UNSIGNED
  elseif type(value) == "cdata" and not (ffi.istype("int64_t", value) or ffi.istype("uint64_t", value)) then
    return C.PAH_BYTES
  end
  errors.raisef("%s: is a %s, must be typed (pah.i32, pah.f32, ...) or declared in params: of it the driver knows only "
    .. "that it has %d bytes", what, type(value), size)
end

-- The cdata whose bytes become parameter `n`, of `kind` and `size`.
local function argument(value, n, kind, size, device)
  local what = "argument " .. n
  if kind == C.PAH_UNTYPED then kind = kind_of(value, what, size) end
  local want = ("%s of %d bytes"):format(kinds[kind], size)
  if tensor.is_tensor(value) then
    if kind ~= C.PAH_POINTER then errors.raisef("%s: is a tensor, must be %s", what, want) end
    if tensor.want(what, value).device ~= device then
      errors.raisef("%s: is on %s, must be on %s", what, value.device.name, device.name)
    end
    return ffi.new("void *[1]", value.raw.data)
  elseif getmetatable(value) == Scalar then
    if ffi.sizeof(value.value) ~= size or kind == C.PAH_POINTER or kind == C.PAH_BYTES then
      errors.raisef("%s: is %s, must be %s", what, tostring(value), want)
    end
    local is_floating = value.name:sub(1, 1) == "f"
    if is_floating ~= (kind == C.PAH_FLOATING) then
      errors.raisef("%s: is %s, must be %s", what, tostring(value), want)
    end
    return value.value
  elseif value == nil or value == false then
    if kind ~= C.PAH_POINTER then errors.raisef("%s: is %s, must be %s", what, tostring(value), want) end
    return ffi.new "void *[1]"
  elseif type(value) == "cdata" and not (ffi.istype("int64_t", value) or ffi.istype("uint64_t", value)) then
    if kind == C.PAH_POINTER then return ffi.new("void *[1]", ffi.cast("void *", value)) end
    if ffi.sizeof(value) ~= size then
      errors.raisef("%s: is %s of %d bytes, must be %s", what, tostring(ffi.typeof(value)), ffi.sizeof(value), want)
    end
    local bytes = ffi.new("uint8_t[?]", size)
    ffi.copy(bytes, value, size)
    return bytes
  end
  if kind == C.PAH_POINTER or kind == C.PAH_BYTES then
    errors.raisef("%s: is a %s, must be %s", what, type(value), want)
  end
  return cell(plain_name(kind, size), value, what)
end

-- {x, y, z}, a number, or nil (1, 1, 1).
local function extent(what, value)
  if type(value) == "number" then value = {value} end
  if type(value) ~= "table" then
    errors.raisef("%s: is a %s, must be a number or a table {x, y, z}", what, type(value))
  end
  local e = {}
  for i = 1, 3 do
    local n = value[i] == nil and 1 or value[i]
    if type(n) ~= "number" or n % 1 ~= 0 or math.abs(n) > 2 ^ 53 then
      errors.raisef("%s: %s is %s, must be a whole number", what, ("xyz"):sub(i, i), tostring(n))
    end
    e[i] = n
  end
  return e
end

-- ---- Compiling ----------------------------------------------------------------------------------------------

-- A NULL-free array of C strings that lives as long as the returned table.
local function strings(list)
  local array = ffi.new("const char *[?]", #list + 1)
  for i, s in ipairs(list) do array[i - 1] = s end
  return array
end

local function string_list(what, value)
  if value == nil then return {} end
  if type(value) == "string" then value = {value} end
  if type(value) ~= "table" then errors.raisef("%s: is a %s, must be a list of strings", what, type(value)) end
  for i = 1, #value do
    if type(value[i]) ~= "string" then
      errors.raisef("%s: item %d is a %s, must be a string", what, i, type(value[i]))
    end
  end
  return value
end

-- {NAME = value} as sorted "NAME=value"; true stands for 1.
local function define_list(defines)
  if defines == nil then return {} end
  if type(defines) ~= "table" then errors.raisef("defines: is a %s, must be a table {NAME = value}", type(defines)) end
  local list = {}
  for name, value in pairs(defines) do
    if type(name) ~= "string" then errors.raise "defines: must be a table {NAME = value}" end
    if value == true then value = 1 end
    if value ~= false then list[#list + 1] = name .. "=" .. tostring(value) end
  end
  table.sort(list)
  return list
end

local spec_keys = {source = true, text = true, defines = true, include = true, kernels = true, std = true}

-- The path of `source`: as given, else beside the running script, so that a script finds the .cu file next to it.
local function find_source(source)
  if type(source) ~= "string" then errors.raisef("source: is a %s, must be a path", type(source)) end
  local file = io.open(source)
  if file then
    file:close()
    return source
  end
  local script = rawget(_G, "arg") and type(arg[0]) == "string" and arg[0]:match "^(.*/)" or ""
  local beside = not source:match "^/" and script ~= "" and io.open(script .. source)
  if not beside then return source end
  beside:close()
  return script .. source
end

--- Compiles a CUDA C++ source for the device; see doc/lua-api.md, "Your own kernels".
function M.compile(device, spec)
  if type(spec) ~= "table" then errors.raise "compile: must be called with a table {source=} or {text=}" end
  errors.check_keys("compile", spec, spec_keys)
  if spec.text ~= nil and type(spec.text) ~= "string" then
    errors.raisef("text: is a %s, must be a string", type(spec.text))
  end
  local c = ffi.new "struct pah_module_spec"
  local source = spec.source ~= nil and find_source(spec.source) or nil
  local defines, include, kernels = define_list(spec.defines), string_list("include", spec.include),
    string_list("kernels", spec.kernels)
  local keep = {strings(defines), strings(include), strings(kernels)}
  if spec.std ~= nil and type(spec.std) ~= "string" then
    errors.raisef("std: is a %s, must be \"c++17\" or \"c++20\"", type(spec.std))
  end
  c.source, c.text, c.std = source, spec.text, spec.std
  c.defines, c.include, c.kernels = keep[1], keep[2], keep[3]
  c.define_count, c.include_count, c.kernel_count = #defines, #include, #kernels
  local handle = ffi.new "struct pah_module *[1]"
  check(C.pah_module_compile(device.handle, c, handle))
  local skipped = {}
  for line in ffi.string(C.pah_module_skipped(handle[0])):gmatch "[^\n]+" do skipped[#skipped + 1] = line end
  return setmetatable({device = device, source = source or "text", handle = ffi.gc(handle[0], C.pah_module_release),
    skipped = skipped}, Module)
end

-- ---- Compiled code of others ------------------------------------------------------------------------------------

local load_keys = {cubin = true, ptx = true, fatbin = true, params = true}
local declared_kinds = {i = C.PAH_SIGNED, u = C.PAH_UNSIGNED, f = C.PAH_FLOATING}

-- {kind, size} of a declared parameter: "pointer", a number's type, or the bytes of a struct.
local function declared(kernel, n, word)
  if word == "pointer" then return {C.PAH_POINTER, 8} end
  if type(word) == "number" and word % 1 == 0 and word > 0 and word <= 4096 then return {C.PAH_BYTES, word} end
  if not ctypes[word] then
    errors.raisef('params: %s: item %d is %s, must be "pointer", "i32", "f32", ... or the bytes of a struct', kernel, n,
      tostring(word))
  end
  return {declared_kinds[word:sub(1, 1)], ffi.sizeof(ctypes[word])}
end

local function params_of(params)
  if params == nil then return {} end
  if type(params) ~= "table" then errors.raisef("params: is a %s, must be a table {kernel = {...}}", type(params)) end
  local all = {}
  for kernel, words in pairs(params) do
    if type(kernel) ~= "string" or type(words) ~= "table" then
      errors.raise "params: must be a table {kernel = {\"pointer\", \"i32\", ...}}"
    end
    all[kernel] = {}
    for n, word in ipairs(words) do all[kernel][n] = declared(kernel, n, word) end
  end
  return all
end

--- Loads code that others have compiled: dev:load{cubin=|ptx=|fatbin= PATH[, params = {kernel = {"pointer", "i32"}}]}
--- -> a module like that of dev:compile. Types come from params; else the driver's sizes are checked (CUDA 12.4).
function M.load(device, spec)
  if type(spec) ~= "table" then errors.raise "load: must be called with a table {cubin=}, {ptx=} or {fatbin=}" end
  errors.check_keys("load", spec, load_keys)
  local path, count = nil, 0
  for _, kind in ipairs {"cubin", "ptx", "fatbin"} do
    if spec[kind] ~= nil then path, count = spec[kind], count + 1 end
  end
  if count ~= 1 then errors.raise "load: give one of cubin, ptx and fatbin" end
  if device.name:find "^sim" and not spec.ptx then
    errors.raise "load: the device is sim, must be cuda for a cubin or fatbin; sim takes ptx"
  end
  local params, c, handle = params_of(spec.params), ffi.new "struct pah_module_spec", ffi.new "struct pah_module *[1]"
  path = find_source(path)
  c.image = path
  check(C.pah_module_compile(device.handle, c, handle))
  return setmetatable({device = device, source = path, handle = ffi.gc(handle[0], C.pah_module_release),
    params = params}, Module)
end

-- The signature of a kernel: as the compiler or params tell it.
local function signature_of(module, name)
  local s = ffi.new "struct pah_signature"
  check(C.pah_module_signature(module.handle, name, s))
  local params = module.params and module.params[name]
  if not params then
    if s.count < 0 then errors.raisef("launch: params of %s must be declared: this driver does not tell them", name) end
    return s
  end
  if s.count >= 0 and s.count ~= #params then
    errors.raisef("params: %s: are %d, the driver says %d", name, #params, s.count)
  end
  for i, p in ipairs(params) do
    if s.count >= 0 and s.size[i - 1] ~= p[2] then
      errors.raisef("params: %s: item %d has %d bytes, the driver says %d", name, i, p[2], s.size[i - 1])
    end
    s.kind[i - 1], s.size[i - 1] = p[1], p[2]
  end
  s.count = #params
  return s
end

-- ---- Using --------------------------------------------------------------------------------------------------

--- Names of the kernels compiled so far.
function Module:kernels()
  local names = {}
  while C.pah_module_kernel(self.handle, #names) ~= nil do
    names[#names + 1] = ffi.string(C.pah_module_kernel(self.handle, #names))
  end
  return names
end

local function check_name(name)
  if type(name) ~= "string" then errors.raisef("kernel: is a %s, must be the name of a kernel", type(name)) end
end

local resource_fields = binding.fields "pah_resources"

local function resource_table(r)
  local t = {}
  for _, field in ipairs(resource_fields) do t[field] = r[field] end
  return t
end

--- What a kernel takes of the device, a table: registers, shared_bytes, local_bytes, constant_bytes, max_threads,
--- max_shared_bytes, spill_store_bytes, spill_load_bytes. registers and spills are 0 on sim, which has none.
function Module:resources(name)
  check_name(name)
  local r = ffi.new "struct pah_resources"
  check(C.pah_module_resources(self.handle, name, r))
  return resource_table(r)
end

--- The built-in kernels that a device has compiled so far: a list of {source=, kernel=, threads=, occupancy=,
--- shared_dynamic_bytes=, thread_blocks_per_sm=} and the fields of Module:resources.
function M.instances(device)
  local list, instance = {}, ffi.new "struct pah_instance"
  for i = 1, tonumber(C.pah_device_instances(device.handle)) do
    check(C.pah_device_instance(device.handle, i - 1, instance))
    local row = resource_table(instance.resources)
    row.source, row.kernel = ffi.string(instance.source), ffi.string(instance.kernel)
    row.threads, row.shared_dynamic_bytes = tonumber(instance.threads), tonumber(instance.shared_dynamic_bytes)
    row.occupancy, row.thread_blocks_per_sm = instance.occupancy, instance.thread_blocks_per_sm
    list[i] = row
  end
  return list
end

local launch_keys = {grid = true, block = true, shared = true, limit = true, schedule = true, seed = true,
  counters = true, processors = true, problem = true, on_finding = true, allow = true, cluster = true,
  cooperative = true}
local schedules = {order = C.PAH_IN_ORDER, reverse = C.PAH_REVERSE, random = C.PAH_RANDOM}

local function number(options, key, default)
  local value = options[key]
  if value == nil then return default end
  if type(value) ~= "number" then errors.raisef("%s: is a %s, must be a number", key, type(value)) end
  return value
end

local function whole(options, key)
  local value = number(options, key, 0)
  if value % 1 ~= 0 then errors.raisef("%s: is %s, must be a whole number", key, tostring(value)) end
  return value
end

local function fill_launch(l, options)
  local grid, block = extent("grid", options.grid or 1), extent("block", options.block or 1)
  for i = 1, 3 do l.grid[i - 1], l.block[i - 1] = grid[i], block[i] end
  local cluster = options.cluster ~= nil and extent("cluster", options.cluster)
  for i = 1, cluster and 3 or 0 do l.cluster[i - 1] = cluster[i] end
  local cooperative = options.cooperative
  if cooperative ~= nil and type(cooperative) ~= "boolean" then
    errors.raisef("cooperative: is a %s, must be true or false", type(cooperative))
  end
  l.cooperative = cooperative and 1 or 0
  l.shared = whole(options, "shared")
  l.limit = number(options, "limit", 0)
  l.seed = whole(options, "seed")
  l.schedule = -1
  local schedule = options.schedule
  if schedule == nil and options.seed ~= nil then schedule = "random" end
  if schedule ~= nil then
    if not schedules[schedule] then
      errors.raisef("schedule: is %s, must be order, reverse or random", tostring(schedule))
    end
    l.schedule = schedules[schedule]
  end
  l.processors = whole(options, "processors")
  l.counters = options.counters == nil and -1 or options.counters and 1 or 0
  local allow = options.allow
  if allow ~= nil and type(allow) ~= "table" and type(allow) ~= "string" then
    errors.raisef("allow: is a %s, must be a list of codes of findings", type(allow))
  end
  allow = type(allow) == "table" and table.concat(allow, ",") or allow
  l.allow = allow
  return allow -- to be kept while l is in use
end

--- Runs a kernel: module:launch(name, {grid=, block=, shared=, limit=, schedule=, seed=, counters=, processors=,
--- problem=, on_finding=, allow=, cluster=, cooperative=}, arguments...) -> report. See doc/lua-api.md.
function Module:launch(name, options, ...)
  check_name(name)
  if type(options) ~= "table" then
    errors.raisef("launch: options are a %s, must be a table {grid=, block=}", type(options))
  end
  errors.check_keys("launch", options, launch_keys)
  local on_finding = options.on_finding
  if on_finding ~= nil and on_finding ~= "report" and on_finding ~= "error" then
    errors.raisef("on_finding: is %s, must be error or report", tostring(on_finding))
  end
  local signature = signature_of(self, name)
  local count, given = signature.count, select("#", ...)
  if given ~= count then errors.raisef("launch: %s takes %d arguments, %d are given", name, count, given) end
  local l = ffi.new "struct pah_launch"
  local allow = fill_launch(l, options)
  local keep, values = {allow = allow}, {...}
  local pointers = ffi.new("const void *[?]", math.max(count, 1))
  local tensors = ffi.new("const struct pah_tensor *[?]", math.max(count, 1))
  for i = 1, count do
    keep[i] = argument(values[i], i, signature.kind[i - 1], signature.size[i - 1], self.device)
    pointers[i - 1] = keep[i]
    if tensor.is_tensor(values[i]) then tensors[i - 1] = values[i].raw end
  end
  l.args, l.tensors = pointers, tensors
  if options.problem ~= nil then l.problem = args_of.fill_problem(options.problem) end
  local report = ffi.gc(ffi.new "struct pah_report", C.pah_report_free)
  check(C.pah_module_launch(self.handle, name, l, report))
  local result = report_of.new(report, name, options)
  result.checked = self.device.name:match "^sim" ~= nil
  if on_finding ~= "report" and #result.findings > 0 then errors.raise(result:text()) end
  return result
end

function Module:__tostring() return ("pah.module %q on %s"):format(self.source, self.device.name) end

Module.set, Module.get = variable.set, variable.get
require("pah.device").class.compile, require("pah.device").class.load = M.compile, M.load
M.exports = scalar.exports

return M
