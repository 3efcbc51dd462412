-- fault_cases.lua - every call of the driver and of NVRTC made to fail, one at a time, in every operation, from opening
-- the device to closing it, by several codes, those that end the context among them: run by spec/gpu/cuda_spec.lua over
-- the test driver, in a process of its own. The driver is dry: launches compute nothing, for there are thousands.
local ffi = require "ffi"
local support = require "spec.driver.driver"

ffi.cdef [[
void driver_set_dry(int on);
void driver_set_capability(int major, int minor);
void driver_fail_attribute(int which, int code);
const char *driver_target(void);
int setenv(const char *name, const char *value, int overwrite);
]]
local driver, kinds = support.driver, support.kinds
local C = ffi.C
local CONTEXT = 0 -- of kinds
local KEPT = 4 -- areas that a device keeps from call to call, until it is closed (src/gpu/gpu.h)
local INVALID_VALUE, OUT_OF_MEMORY, ILLEGAL_ADDRESS = 1, 2, 700

-- The table in which pah.device keeps its objects, so that each try opens the device anew.
local function opened()
  local get, i = require("pah.device").get, 1
  while true do
    local name, value = debug.getupvalue(get, i)
    if name == "open" then return value end
    assert(name, "pah.device keeps its objects elsewhere")
    i = i + 1
  end
end

-- Opens the device, calls `work` with it, closes it; what came of it, the calls until it was open, and
-- the buffers before it was closed.
local function try(name, work)
  local before = tonumber(driver.driver_calls())
  local ok, device = pcall(pah.device, name)
  local calls = tonumber(driver.driver_calls()) - before
  local why = device
  if ok then ok, why = pcall(work, device) end
  -- One collection takes half of the time of a try. What it leaves, for it was held by what it freed, a second takes.
  collectgarbage()
  local buffers = 0
  if type(device) == "table" then
    if device:memory().buffers > KEPT then collectgarbage() end
    buffers = device:memory().buffers
    opened()[name] = nil
    C.pah_device_release(device.handle)
    if driver.driver_live(CONTEXT) > 0 then collectgarbage() end
  end
  return ok, tostring(why), calls, buffers
end

local function failed() return ffi.string(driver.driver_failed()) end

-- What frees, and therefore cannot report, whether it is asked to by an operation or at the end.
local function frees(name)
  return name:match "Free" or name:match "Unload" or name:match "Destroy" or name:match "Release"
end

-- Fails each call of `work` in turn, from the `from`th on. Returns the names of those that have failed.
local function fail_each(work, code, from, name)
  local seen, n = {}, from
  while true do
    driver.driver_fail(n, code)
    local ok, why, _, buffers = try(name or "cuda", work)
    local call = failed()
    driver.driver_fail(0, 0)
    local where = ("call %d, %s fails with %d: %s"):format(n, call, code, why)
    for i, kind in pairs(kinds) do assert(driver.driver_live(i) == 0, where .. "; leaves a " .. kind) end
    assert(buffers <= KEPT, where .. "; leaves memory")
    if call == "" then
      assert(ok, where)
      return seen
    end
    seen[call] = true
    -- A free asks for the context first, the end waits for the stream, memory is asked for again after a collection.
    local may_pass = frees(call) or call == "cuCtxSetCurrent" or call == "cuStreamSynchronize"
      or (call == "cuMemAllocAsync" and code == OUT_OF_MEMORY)
      or (call == "cuDeviceGetAttribute" and code == INVALID_VALUE)
    assert(not ok or may_pass, where .. "; is not noticed")
    if not ok then
      assert(#why > 10 and not why:find("does not compile", 1, true) and not why:find("attempt to", 1, true), where)
      local lost = why:find("lost to this process", 1, true)
      local opening = call:match "^cuDevice" or call:match "^cuInit" or call:match "^nvrtc"
      if code == ILLEGAL_ADDRESS and not opening then assert(lost, where) end
      if code ~= ILLEGAL_ADDRESS then assert(not lost, where) end
    end
    n = n + 1
    assert(n < 3000, "never done")
  end
end

local SOURCE = support.scale

local function problem(device, dtype, queries)
  local function random(shape, seed) return pah.randn(shape, {seed = seed, dtype = dtype, device = device}) end
  local table_, lengths = pah.block_table{seqlens = {37, 50}, block_size = 16, num_blocks = 8, seed = 1}
  return {q = random({2, 4, queries, 64}, 1), k_blocks = random({8, 16, 2, 64}, 2),
    v_blocks = random({8, 16, 2, 64}, 3), block_table = table_:to(device), seqused_k = lengths:to(device)}
end

local works = {
  tensors = function(device)
    local x = pah.randn({300, 100}, {device = device}) -- past what rides in a command
    local y = pah.empty({300, 100}, {device = device})
    y:copy(x)
    x:fill(2)
    x:clone():transpose(1, 2):contiguous():to "f16":hash() -- by kernels, which compute nothing here
    x:get(1, 1)
  end,
  fwd = function(device) (pah.fwd(problem(device, "bf16", 3))):to "cpu" end,
  fwd_fp8 = function(device)
    local p = problem(device, "fp8_e4m3", 3)
    p.out_dtype = "bf16"
    pah.fwd_fp8(p):to "cpu"
  end,
  bwd = function(device)
    local p = problem(device, "bf16", 3)
    p.out, p.lse = pah.full({2, 4, 3, 64}, 1, {dtype = "bf16", device = device}), pah.ones({2, 4, 3}, {device = device})
    p.dout = p.out
    pah.bwd(p):to "cpu"
  end,
  decode = function(device)
    local p = problem(device, "bf16", 1)
    p.num_splits = 2
    pah.decode(p):to "cpu"
  end,
  merge = function(device)
    local out, lse = pah.ones({2, 4, 1, 64}, {device = device}), pah.ones({2, 4, 1}, {device = device})
    pah.merge(out, lse, out, lse):to "cpu"
  end,
  kv_append = function(device)
    local p, k = problem(device, "bf16", 1), pah.ones({3, 2, 64}, {dtype = "bf16", device = device})
    pah.kv_append{k = k, v = k, k_blocks = p.k_blocks, v_blocks = p.v_blocks,
      slot_mapping = pah.tensor({1, 2, -1}, {dtype = "i64", device = device})}
    device:synchronize()
  end,
  module = function(device)
    local x, module = pah.ones({3}, {device = device}), device:compile{text = SOURCE}
    module:resources "scale"
    for _ = 1, 33 do module:launch("scale", {block = 32, shared = 60000}, x, 2, 3) end -- a mark is set behind 32
    device:synchronize()
  end,
  ["tensor map"] = function(device)
    pah.tensor_map(pah.zeros({8, 64}, {dtype = "bf16", device = device}), {box = {8, 64}, swizzle = 128})
  end,
  events = function(device)
    local first, x = device:event(), pah.ones({3}, {device = device})
    local second = device:event()
    assert(second:since(first) > 0 and x:get(1))
  end,
}

describe("any call that fails", function()
  local folder, opening
  setup(function()
    driver.driver_set_dry(1)
    folder = os.tmpname()
    os.remove(folder)
    for name, work in pairs(works) do
      local ok, why, calls = try("cuda", work)
      assert(ok, name .. ": " .. why)
      opening = calls
    end
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  local function expect(seen, names)
    for _, name in ipairs(names) do assert.is_true(seen[name], name .. " was never made to fail") end
  end

  for _, code in ipairs {OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_ADDRESS} do
    it(("is an error in opening and closing, by code %d"):format(code), function()
      local seen = fail_each(function() end, code, 1)
      expect(seen, {"cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetAttribute", "cuDeviceGetName",
        "cuDeviceTotalMem_v2", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuStreamCreate",
        "cuDeviceGetDefaultMemPool", "cuMemPoolSetAttribute", "cuEventCreate", "cuStreamSynchronize",
        "cuEventDestroy_v2", "cuStreamDestroy_v2", "cuDevicePrimaryCtxRelease_v2"})
    end)

    it(("is an error in every operation, and nothing is left, by code %d"):format(code), function()
      local all = {}
      for name, work in pairs(works) do
        local ok, seen = pcall(fail_each, work, code, opening + 1)
        assert(ok, ("%s: %s"):format(name, tostring(seen)))
        for call in pairs(seen) do all[call] = true end
      end
      expect(all, {"cuMemAllocAsync", "cuMemFreeAsync", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2",
        "cuModuleLoadDataEx", "cuModuleUnload", "cuModuleGetFunction", "cuModuleGetGlobal_v2", "cuFuncGetAttribute",
        "cuFuncSetAttribute", "cuLaunchKernel", "cuTensorMapEncodeTiled", "cuEventRecord", "cuEventQuery",
        "cuEventElapsedTime", "cuEventDestroy_v2"})
    end)
  end

  -- With nothing compiled before, so that NVRTC is called: on the device with a GPU and on the one without.
  local function cold(work)
    local count, bytes = ffi.new "int64_t[1]", ffi.new "int64_t[1]"
    return function(device)
      assert(C.pah_compile_cache_clear(count, bytes) == 0)
      work(device)
    end
  end

  it("of NVRTC is an error of NVRTC and not of the source", function()
    local before = os.getenv "PAH_CACHE_DIR" or ""
    C.setenv("PAH_CACHE_DIR", folder, 1)
    local all = {}
    for _, name in ipairs {"cuda", "cuda:sm_90a"} do
      local work = cold(function(device) device:compile{text = SOURCE}:resources "scale" end)
      for _, code in ipairs {1, 7} do -- NVRTC's own: no memory, a failure of something that is built in
        local from = name == "cuda" and opening + 1 or 1
        for call in pairs(fail_each(work, code, from, name)) do all[call] = true end
      end
    end
    C.setenv("PAH_CACHE_DIR", before, 1)
    expect(all, {"nvrtcVersion", "nvrtcGetNumSupportedArchs", "nvrtcGetSupportedArchs", "nvrtcCreateProgram",
      "nvrtcDestroyProgram", "nvrtcAddNameExpression", "nvrtcCompileProgram", "nvrtcGetProgramLogSize",
      "nvrtcGetProgramLog", "nvrtcGetLoweredName", "nvrtcGetCUBINSize", "nvrtcGetCUBIN"})
  end)
end)

describe("the attributes of a GPU", function()
  local function open(work)
    local ok, why = try("cuda", work or function() end)
    return ok, why
  end

  it("make its architecture, and the code that is compiled for it", function()
    for _, case in ipairs { -- the driver's NVRTC knows 75, 80, 86, 89, 90 and 100
      {7, 5, "sm_75", "sm_75"}, {8, 0, "sm_80", "sm_80"}, {8, 6, "sm_86", "sm_86"}, {8, 7, "sm_87", "compute_86"},
      {8, 9, "sm_89", "sm_89"}, {9, 0, "sm_90a", "sm_90a"}, {10, 0, "sm_100a", "sm_100a"},
      {10, 3, "sm_103a", "compute_100"}, {12, 0, "sm_120a", "compute_100"},
    } do
      driver.driver_set_capability(case[1], case[2])
      local arch
      local ok, why = open(function(device)
        arch = device:info().arch
        device:compile{text = ("// %s\n"):format(arch) .. SOURCE .. "// " .. os.clock()}
      end)
      assert.is_true(ok, why)
      assert.same({case[3], case[4]}, {arch, ffi.string(driver.driver_target())})
    end
    driver.driver_set_capability(7, 0)
    local ok, why = open(function(device) device:compile{text = SOURCE .. "// " .. os.clock()} end)
    assert.is_false(ok)
    assert.is_truthy(why:find("the GPU is an sm_70, too old for this NVRTC, which starts at sm_75", 1, true), why)
    driver.driver_set_capability(8, 0)
  end)

  it("are never made up", function()
    for name, which in pairs {COMPUTE_CAPABILITY_MAJOR = 75, COMPUTE_CAPABILITY_MINOR = 76, MULTIPROCESSOR_COUNT = 16,
      MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97, L2_CACHE_SIZE = 38, CLOCK_RATE = 13, MEMORY_POOLS_SUPPORTED = 115} do
      driver.driver_fail_attribute(which, 2)
      local ok, why = open()
      assert.is_false(ok, name)
      assert.is_truthy(why:find("cuDeviceGetAttribute of " .. name .. ": CUDA_ERROR_OUT_OF_MEMORY", 1, true), why)
    end
    for _, which in ipairs {38, 13} do -- what an older driver does not know is not known
      driver.driver_fail_attribute(which, 1)
      assert.is_true((open()))
    end
    driver.driver_fail_attribute(115, 1)
    local ok, why = open()
    assert.is_false(ok)
    assert.is_truthy(why:find("has no memory pools", 1, true), why)
    driver.driver_fail_attribute(0, 0)
  end)
end)
