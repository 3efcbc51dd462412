-- header.lua - the header of a run: what its numbers depend on. Program and its git state, script and its hash,
-- machine, GPU, environment, seeds. Promises: it has only what was found; what is not known is absent.
-- Read next: init.lua, doc/results.md.
local binding = require "pah.ffi"
local devices = require "pah.device"
local ffi = require "ffi"
local host = require "pah.host"
local schema = require "pah.results.schema"
local contents = require("pah.util.whole_file").read
local said = require("pah.util.shell").output
local shell = require("pah.util.safe_text").shell

local C = binding.C

local M = {}

--- The fields of a header.
M.known = {}
for _, name in ipairs(schema.header_order) do M.known[name] = true end

local function first_line(path)
  local text = contents(path, 4096)
  return text and text:match "^%s*([^\n]-)%s*\n" or text
end

-- What a command prints, without its last newlines; nil if it fails.
local function output(command)
  return said(("{ %s; } 2>/dev/null && echo && echo ok"):format(command)):match "^(.-)\n*ok\n$"
end

local function hash_of(text)
  local hex = ffi.new "char[65]"
  C.pah_sha256(text, #text, hex)
  return ffi.string(hex)
end

--- SHA-256 of a file as hexadecimal digits, or nil.
function M.sha256(path)
  local text = contents(path)
  return text and hash_of(text)
end

-- Commit of the source tree that the Lua files come from, whether it has changes, and their hash; nil where the files
-- are installed.
local function git_state()
  local folder = output("cd " .. shell(host.datadir) .. "/lua && pwd -P")
  local git = folder and "git -C " .. shell(folder) .. " "
  local commit = git and output(git .. "ls-files --error-unmatch pah/init.lua >&2 && " .. git .. "rev-parse HEAD")
  if not commit then return nil end
  -- Without the lock that both take of the index: a run that is killed then must not leave it behind.
  git = git .. "--no-optional-locks "
  local dirty = output(git .. "status --porcelain --untracked-files=no") ~= ""
  local changes = dirty and output(git .. "diff --no-ext-diff --no-textconv --no-color --binary HEAD")
  return commit, dirty, changes and hash_of(changes) or nil
end

local function program()
  local commit, dirty, diff = git_state()
  return {version = host.version, git = commit, dirty = dirty, diff = diff, program_sha256 = M.sha256(host.exe)}
end

local function count_nodes()
  local n = 0
  for _, name in ipairs(host.list "/sys/devices/system/node" or {}) do
    if name:match "^node%d+/$" then n = n + 1 end
  end
  return n > 0 and n or nil
end

-- The machine as it is now; clock and load are those of this moment.
local function machine()
  local cpu = devices.get("cpu"):info()
  local pages = contents "/sys/kernel/mm/transparent_hugepage/enabled" or ""
  return {
    name = first_line "/proc/sys/kernel/hostname", kernel = first_line "/proc/sys/kernel/osrelease", cpu = cpu.model,
    isa = cpu.isa, threads = C.pah_get_threads(), cache_bytes = cpu.cache_bytes, memory_bytes = cpu.bytes,
    governor = first_line "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    mhz = tonumber((contents "/proc/cpuinfo" or ""):match "cpu MHz%s*:%s*([%d.]+)"),
    huge_pages = pages:match "%[(%a+)%]", numa_nodes = count_nodes(),
    load = tonumber((contents "/proc/loadavg" or ""):match "^[%d.]+"),
  }
end

local function gpu(device)
  if not device.name:match "^cuda" then return nil end
  local info = device:info()
  -- nvidia-smi counts all GPUs, CUDA those that CUDA_VISIBLE_DEVICES leaves: the place names one for both.
  local place = info.pci ~= "" and info.pci or nil
  local state = output("nvidia-smi -i " .. (place or device.name:match ":(%d+)$" or "0")
    .. " --query-gpu=driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit --format=csv,noheader,nounits")
  local driver, clock, memory_clock, max_clock, watts = (state or ""):match
    "^([^,]*), ([^,]*), ([^,]*), ([^,]*), ([^,]*)$"
  return {
    name = info.model, pci = place, arch = info.arch, sms = info.sms, memory_bytes = info.bytes,
    cache_bytes = info.cache_bytes,
    driver = driver or (first_line "/proc/driver/nvidia/version" or ""):match "%s(%d+%.[%d.]+)%s",
    clock_mhz = tonumber(clock), memory_clock_mhz = tonumber(memory_clock), max_clock_mhz = tonumber(max_clock),
    power_limit_watts = tonumber(watts),
  }
end

-- Variables that change what is measured, and no others: results are passed on to people.
local prefixes = {"PAH_", "OMP_", "GOMP_", "KMP_", "CUDA_", "NVIDIA_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD",
  "LUA_INIT"}

local function environment()
  local found = {}
  for name, value in (contents "/proc/self/environ" or ""):gmatch "([^=%z]+)=([^%z]*)" do
    for _, prefix in ipairs(prefixes) do
      if name:sub(1, #prefix) == prefix then found[name] = value end
    end
  end
  return found
end

-- The script that runs: the file at arg[0]; none at the prompt, for -e and in a test.
local function script()
  local path = arg and arg[0]
  if type(path) ~= "string" or package.loaded["busted.runner"] then return nil end
  return M.sha256(path) and path or nil
end

local function new_id()
  local random, hex = contents("/dev/urandom", 4) or "", ""
  for i = 1, 4 do hex = hex .. ("%02x"):format(random:byte(i) or math.random(0, 255)) end
  return os.date "!%Y%m%dT%H%M%S-" .. hex
end

--- What times depend on in this process: device (its name), host, gpu, env, as fields of a header.
function M.conditions(device)
  return {device = device.name, host = machine(), gpu = gpu(device), env = environment()}
end

--- A header with everything that `fields` lacks. One that has a run id is complete already. With device, host and env
--- it is that of another process, whose device is not touched.
function M.complete(fields)
  if fields.run then return fields end
  local header = {}
  for key, value in pairs(fields) do header[key] = value end
  local path = fields.script or script()
  local file = type(path) == "string" and path:match "([^/]+)$" or nil
  local argv = {}
  for i = 0, #host.argv do argv[i + 1] = host.argv[i] end
  local found = {
    schema = schema.version, run = new_id(), name = file and file:gsub("%.lua$", "") or "run",
    started = schema.now(), argv = argv, script = path, script_sha256 = file and M.sha256(path), axes = {},
    pah = program(), luajit = jit.version, compiler = host.compiler,
  }
  if not (fields.device and fields.host and fields.env) then
    for key, value in pairs(M.conditions(devices.get(fields.device))) do found[key] = value end
    header.device = nil -- by its whole name
  end
  for key, value in pairs(found) do
    if header[key] == nil then header[key] = value end
  end
  return header
end

-- ---- What sets two runs apart -------------------------------------------------------------------------------------

local function text(value)
  if type(value) == "table" then return schema.encode(value) end
  return tostring(value)
end

--- The field "outer.inner" or "name" of a header; nil if it has none.
function M.field(header, name)
  local outer, inner = name:match "^([%w_]+)%.([%w_]+)$"
  if not outer then return header[name] end
  if type(header[outer]) == "table" then return header[outer][inner] end
end

-- Fields that rows depend on: a row measured with another value of one would belong to another experiment, or
-- would come from a machine of another kind.
local decisive = {"script_sha256", "seed", "options", "files", "pah.version", "pah.git", "pah.diff",
  "pah.program_sha256"}
local kind = {"device", "host.cpu", "host.isa", "host.threads", "gpu.name", "gpu.driver"}

local spoken = {script_sha256 = "the script", ["pah.git"] = "the commit of pah",
  ["pah.diff"] = "what is changed in pah's source tree since its commit", ["pah.program_sha256"] = "the program pah"}

-- Every GPU of a machine is the same device here; which one it is, its place says.
local function device_of(header)
  local name = header.device
  return type(name) == "string" and name:gsub("^cuda:%d+$", "cuda") or name
end

local function axis_differences(old, new, words, list)
  local before, names = {}, {}
  for _, axis in ipairs(old or {}) do before[axis.name] = axis end
  for _, axis in ipairs(new or {}) do
    names[axis.name] = true
    local was = before[axis.name]
    if not was then
      list[#list + 1] = words.new:format(axis.name)
    elseif text(was.values) ~= text(axis.values) then
      list[#list + 1] = words.other:format("axis " .. axis.name, text(was.values), text(axis.values))
    end
  end
  for _, axis in ipairs(old or {}) do
    if not names[axis.name] then list[#list + 1] = words.gone:format(axis.name) end
  end
  for i, axis in ipairs(old or {}) do
    if #list == 0 and new[i].name ~= axis.name then list[1] = "the axes stand in another order" end
  end
end

-- How a difference is told: of a run that is resumed, and of two that lie side by side.
local resumed = {new = "axis %s is new", gone = "axis %s is gone", other = "%s was %s and is %s",
  hash = "%s has changed"}
local beside = {new = "only the second has the axis %s", gone = "only the first has the axis %s",
  other = "%s is %s and %s", hash = "%s is another one"}

local function differences(old, new, names, words)
  local list = {}
  axis_differences(old.axes, new.axes, words, list)
  for _, name in ipairs(names) do
    local was, is = M.field(old, name), M.field(new, name)
    if text(was) ~= text(is) then
      list[#list + 1] = spoken[name] and words.hash:format(spoken[name])
        or words.other:format(name, text(was), text(is))
    end
  end
  if text(device_of(old)) ~= text(device_of(new)) and names == decisive then
    list[#list + 1] = words.other:format("device", text(old.device), text(new.device))
  end
  return list
end

local for_one_kind = {}
for _, list in ipairs {decisive, kind} do
  for _, name in ipairs(list) do for_one_kind[#for_one_kind + 1] = name end
end

--- What differs between two headers so that the rows of one cannot be added to the other: a list of sentences. A shard
--- may go on on a machine of another kind (results/parts.lua keeps them apart), another run may not.
function M.differences(old, new)
  if not new.shard then return differences(old, new, for_one_kind, resumed) end
  local list = differences(old, new, decisive, resumed)
  if text(old.shard) ~= text(new.shard) then
    list[#list + 1] = resumed.other:format("shard", text(old.shard), text(new.shard))
  end
  return list
end

--- What differs between two headers so that their runs are not of one experiment, whatever machines they ran on.
function M.experiment_differences(a, b) return differences(a, b, decisive, beside) end

-- ---- Machines -----------------------------------------------------------------------------------------------------

local function joined(header, names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = text(M.field(header, name)) end
  return table.concat(parts, ", ")
end

--- Text that is the same for two headers if their machines are of one kind, so that times may be expected to be alike.
function M.machine_kind(header) return text(device_of(header)) .. ", " .. joined(header, {unpack(kind, 2)}) end

--- Text that is the same for two headers if they are of one machine, and of one GPU.
function M.machine_identity(header)
  return joined(header, {"host.name", M.field(header, "gpu.pci") and "gpu.pci" or "device"}) .. ", "
    .. M.machine_kind(header)
end

M.new_id = new_id

return M
