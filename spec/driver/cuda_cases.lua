-- cuda_cases.lua - the cuda device over the test driver: run by spec/gpu/cuda_spec.lua in a process of its own, which
-- has PAH_LIBCUDA and PAH_LIBNVRTC name the library. Each `it` here counts as one there.
-- Checks of tables: check_cases.lua.
local ffi = require "ffi"
local refused = require "spec.support.refused"
local support = require "spec.driver.driver"

local driver, problem, on_cpu = support.driver, support.problem, support.on_cpu
local C = ffi.C
local OUT_OF_MEMORY = 2

local function live()
  local t = {}
  for i, kind in pairs(support.kinds) do t[kind] = tonumber(driver.driver_live(i)) end
  return t
end

local SOURCE = support.scale .. [[
template <int N> __global__ void add(float *x) { x[threadIdx.x] += N; }
extern "C" __global__ void stray(float *x) { x[1 << 20] = 1; }
]]

describe("opening cuda", function()
  it("leaves nothing behind when opening fails at any call", function()
    local handle = ffi.new "struct pah_device *[1]"
    local failures = 0
    for n = 1, 400 do
      driver.driver_fail(n, OUT_OF_MEMORY)
      local status = C.pah_device_open("cuda:0", handle)
      local name = ffi.string(driver.driver_failed())
      driver.driver_fail(0, 0)
      if status == 0 then
        C.pah_device_release(handle[0])
        if name == "" then break end -- all calls of opening have had their turn
      else
        failures = failures + 1
        assert.is_true(#ffi.string(C.pah_error()) > 10, name)
      end
      for kind, count in pairs(live()) do assert.equal(0, count, name .. " leaves a " .. kind) end
    end
    assert.is_true(failures > 50, "only " .. failures) -- 64 events, a stream, a context, ...
  end)
end)

describe("the cuda device", function()
  local cuda
  setup(function() cuda = pah.device "cuda" end)

  it("knows what it is", function()
    local info = cuda:info()
    assert.same({"cuda", "Test driver 0", "sm_80", "0000:17:01.0", 4, false},
      {info.name, info.model, info.arch, info.pci, info.sms, info.host_memory})
    assert.equal("0000:17:01.0", require("pah.results.header").complete{}.gpu.pci)
    for _, d in ipairs(pah.devices()) do
      if d.name == "cuda" then assert.is_true(d.usable) end
    end
    assert.equal("cuda", pah.device().name) -- the best there is
    refused('device: "cuda:1" is not there, must be 0 to 0', pah.device, "cuda:1")
    refused('device: "cuda:x" must be cuda, cuda:N', pah.device, "cuda:x")
  end)

  it("runs a custom kernel, templates too", function()
    local x = pah.tensor({1, 2, 3}, {device = cuda})
    local module = cuda:compile{text = SOURCE}
    module:launch("scale", {block = 32, shared = 128}, x, 2, 3)
    module:launch("add<5>", {block = 3}, x)
    assert.same({7, 9, 11}, x:totable())
    assert.equal(40, module:resources("scale").registers)
    refused('"nothing" is not a kernel of text', module.launch, module, "nothing", {}, x)
    refused("scale", module.launch, module, "scale", {block = 32}, x)
    module:launch("scale", {block = 32, shared = 100 * 1024}, x, 1, 3) -- past 48 KiB: asked for
    assert.is_true(driver.driver_count "cuFuncSetAttribute" > 0)
    refused("too-much-shared", module.launch, module, "scale", {block = 32, shared = 200 * 1024}, x, 1, 3)
  end)

  it("gives the compiler's words", function()
    refused("x.cu:2", cuda.compile, cuda, {text = '#line 1 "x.cu"\n\nextern "C" __global__ void f() { oops; }'})
  end)

  it("computes what the cpu computes", function()
    local p = problem(cuda)
    local out, lse = pah.decode(p)
    local want, want_lse = pah.decode(on_cpu(p))
    assert.is_true(pah.allclose(out:to("cpu"):to "f32", want:to "f32", {rtol = 1e-2, atol = 1e-2}))
    assert.is_true(pah.allclose(lse:to "cpu", want_lse, {rtol = 1e-4, atol = 1e-4}))
  end)

  it("does tensor work by kernels, with the bits of the cpu and no copy to the host", function()
    local work, cpu = require "spec.support.gpu.tensor_work", pah.device "cpu"
    for i = 1, #work, 5 do
      assert.equal(work[i].run(cpu):hash(), work[i].run(cuda):to(cpu):hash(), work[i].name)
    end
    local x = pah.randn({100, 8}, {seed = 1, device = cuda})
    x:hash() -- compiled by now: what a kernel takes is read from its image
    local copies = driver.driver_count "cuMemcpyDtoHAsync_v2"
    local y = x:to("bf16"):transpose(1, 2):contiguous():zero()
    assert.equal(copies, driver.driver_count "cuMemcpyDtoHAsync_v2")
    assert.equal(pah.zeros({8, 100}, {dtype = "bf16", device = cpu}):hash(), y:hash())
    assert.equal(1, tonumber(driver.driver_count "cuMemcpyDtoHAsync_v2" - copies))
  end)

  it("keeps large memory that was freed for the next of its size, until memory runs out", function()
    collectgarbage()
    collectgarbage()
    local bytes, pieces = cuda:memory().bytes, live().memory
    local first = pah.zeros({2 ^ 20}, {device = cuda})
    local at = first:data()
    first:free()
    local allocations = driver.driver_count "cuMemAllocAsync"
    local again = pah.full({2 ^ 20 - 5}, 3, {device = cuda})
    assert.is_true(again:data() == at)
    assert.equal(allocations, driver.driver_count "cuMemAllocAsync")
    assert.equal(bytes + again.nbytes, cuda:memory().bytes)
    assert.equal(3, again:get(2 ^ 20 - 5))
    again:free()
    assert.equal(bytes, cuda:memory().bytes)
    assert.equal(pieces + 1, live().memory)
    driver.driver_fail_named("cuMemAllocAsync", OUT_OF_MEMORY)
    local small = pah.zeros({8}, {device = cuda})
    assert.equal(pieces + 1, live().memory) -- the large one has gone, the small one has come
    small:free()
  end)

  it("encodes tensor maps through the driver", function()
    local x = pah.zeros({8, 64}, {dtype = "bf16", device = cuda})
    assert.is_truthy(pah.tensor_map(x, {box = {8, 64}, swizzle = 128}))
    driver.driver_set_tensor_maps(0)
    refused("cuTensorMapEncodeTiled", pah.tensor_map, x, {box = {8, 64}})
    driver.driver_set_tensor_maps(1)
  end)

  it("survives the failure of any call: a clear error, no leak, and the next time it works", function()
    local want = pah.decode(on_cpu(problem "cpu")):to "f32"
    local function work()
      local p = problem(cuda)
      local out = pah.decode(p)
      local x = pah.arange(3, {dtype = "f32", device = cuda})
      local module = cuda:compile{text = SOURCE}
      module:launch("scale", {block = 32, shared = 60000}, x, 2, 3)
      cuda:synchronize()
      assert(pah.allclose(out:to("cpu"):to "f32", want, {rtol = 1e-2, atol = 1e-2}))
      assert(x:get(3) == 4)
    end
    work()
    collectgarbage()
    collectgarbage()
    local before, bytes, failures = live(), cuda:memory().bytes, {}
    local function try(fail)
      fail()
      local ok, why = pcall(work)
      local name = ffi.string(driver.driver_failed())
      driver.driver_fail(0, 0)
      collectgarbage()
      collectgarbage()
      assert.same(before, live(), name)
      assert.equal(bytes, cuda:memory().bytes, name)
      if name == "" then return end
      failures[name] = true
      -- What frees cannot report, what is only asked for, and memory, which is tried again after a collection.
      if ok then
        assert.is_truthy(name:match "^cuMemFree" or name:match "^cuModuleUnload" or name:match "^cuCtxSetCurrent"
          or name:match "^cuStreamSynchronize" or name:match "^cuMemAlloc", name)
      else
        assert.is_true(#tostring(why) > 10)
      end
      return true
    end
    local n = 1 -- one call after the other, until none is left
    while try(function() driver.driver_fail(n, OUT_OF_MEMORY) end) do
      n = n + 1
      assert(n < 2000, "never done")
    end
    -- The events of the watchdog come by the clock: the n-th call is not the same each time, and some were left out.
    for _, name in ipairs {"cuMemAllocAsync", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuLaunchKernel",
      "cuModuleLoadDataEx", "cuModuleGetFunction", "cuModuleGetGlobal_v2", "cuFuncSetAttribute"} do
      assert.is_true(failures[name] or try(function() driver.driver_fail_named(name, OUT_OF_MEMORY) end), name)
    end
    work()
  end)

  it("never computes with a scale that was not written", function()
    local p = problem(cuda)
    p.k_blocks, p.v_blocks, p.k_descale = p.k_blocks:to "fp8_e4m3", p.v_blocks:to "fp8_e4m3", 0.5
    local want, refusals = pah.decode(p):to("cpu"):to "f32", 0
    for n = 1, 200 do
      driver.driver_fail(n, OUT_OF_MEMORY)
      local ok, out = pcall(pah.decode, p)
      local name = ffi.string(driver.driver_failed())
      driver.driver_fail(0, 0)
      if ok then
        assert.is_true(pah.allclose(out:to("cpu"):to "f32", want), name)
      else
        refusals = refusals + 1
      end
      collectgarbage()
      collectgarbage()
      if name == "" then break end
    end
    assert.is_true(refusals > 3, "only " .. refusals)
  end)

  it("takes stamps of the clock around every sample, and measures without them", function()
    local gpu_clock = require "pah.measure.gpu_clock"
    local x, module = pah.zeros({32}, {device = cuda}), cuda:compile{text = SOURCE}
    local calls, launches = 0, tonumber(driver.driver_count "cuLaunchKernel")
    local r = pah.bench(function()
      calls = calls + 1
      module:launch("scale", {block = 32, shared = 128}, x, 2, 32)
    end, {device = cuda, limits = false, warmup = 0, min_time = 0, max_time = 0.3, min_samples = 3, max_samples = 4,
      setup = function() end})
    assert.is_truthy(gpu_clock.of(cuda))
    assert.is_true(r.n >= 3 and r.page_faults >= 0 and (r.clock_hz == nil or r.clock_hz > 0))
    assert.is_true(tonumber(driver.driver_count "cuLaunchKernel") - launches >= 3 * calls) -- stamp, call, stamp
  end)

  it("stops waiting for a kernel that does not end, and is lost from then on", function()
    local code = ([[
      local ffi = require "ffi"
      ffi.cdef "void driver_hang(int on);"
      local dev = pah.device "cuda"
      local x = pah.zeros({4}, {device = dev})
      local module = dev:compile{text = 'extern "C" __global__ void spin(float *x) { x[0] = 1; }'}
      module:launch("spin", {limit = 60}, x)
      dev:synchronize()
      ffi.load(os.getenv "PAH_LIBCUDA").driver_hang(1)
      module:launch("spin", {limit = 0.3}, x)
      print(pcall(dev.synchronize, dev))
      print(pcall(x.totable, x))
      os.exit(0) -- else the end of the script would tell it once more
    ]])
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(code)
    file:close()
    local pipe = io.popen(("%s %s 2>&1"):format(os.getenv "PAH_PROGRAM", path))
    local output = pipe:read "*a"
    pipe:close()
    os.remove(path)
    local _, found = output:gsub("is lost to this process: kernel spin ran longer than its limit of 0.3 s", "")
    assert.equal(2, found, output)
  end)

  it("names the kernel behind an error that comes later", function() -- the last: the device is lost
    local x = pah.zeros({4}, {device = cuda})
    local module = cuda:compile{text = SOURCE}
    module:launch("stray", {}, x)
    refused("CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered) in kernel stray", x.totable, x)
    refused("is lost to this process", pah.zeros, {4}, {device = cuda})
  end)
end)
