-- load_cases.lua - what others bring to the cuda device, over the test driver: compiled images (dev:load), clusters,
-- and memory that a worker opens. Run by spec/gpu/cuda_spec.lua in a process of its own; each `it` counts as one there.
local ffi = require "ffi"
local refused = require "spec.support.refused"
local support = require "spec.driver.driver"

local driver = support.driver
local C = ffi.C
local MEMORY, REFUSED = 4, 304

-- An image of the test driver: kernels by name, then the source that they are made of.
local IMAGE = "TESTCUBIN\nKscale\n\n" .. [[
extern "C" __global__ void scale(float *x, float f, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= f;
}
]]

describe("dev:load", function()
  local path, cuda = os.tmpname(), nil
  setup(function()
    local file = assert(io.open(path, "wb"))
    file:write(IMAGE)
    file:close()
    cuda = pah.device "cuda"
  end)
  teardown(function() os.remove(path) end)

  local function launch(mod, options, ...)
    local x = pah.ones({64}, {device = cuda})
    mod:launch("scale", options, x, ...)
    return x:get(1), x:get(64)
  end

  it("runs a kernel by the sizes that the driver tells, and typed numbers", function()
    local mod = cuda:load{cubin = path}
    assert.same({3, 3}, {launch(mod, {grid = 2, block = 32}, pah.f32(3), pah.i32(64))})
    refused("argument 2: is a number, must be typed (pah.i32, pah.f32, ...) or declared in params", launch, mod,
      {grid = 2, block = 32}, 3, 64)
    refused("argument 2: is pah.f64(3), must be a floating-point number of 4 bytes", launch, mod,
      {grid = 2, block = 32}, pah.f64(3), pah.i32(64))
    refused("scale takes 3 arguments, 2 are given", launch, mod, {grid = 2, block = 32}, pah.f32(3))
    refused('kernel: "other" is not a kernel of ' .. path, function() mod:launch("other", {grid = 1, block = 1}) end)
    assert.equal(40, mod:resources("scale").registers)
  end)

  it("takes plain numbers where params are declared, and compares them with the driver's", function()
    local mod = cuda:load{ptx = path, params = {scale = {"pointer", "f32", "i32"}}}
    assert.same({2, 2}, {launch(mod, {grid = 2, block = 32}, 2, 64)})
    mod = cuda:load{fatbin = path, params = {scale = {"pointer", "f64", "i32"}}}
    refused("params: scale: item 2 has 8 bytes, the driver says 4", launch, mod, {grid = 1, block = 1}, 2, 64)
    mod = cuda:load{fatbin = path, params = {scale = {"pointer"}}}
    refused("params: scale: are 1, the driver says 3", launch, mod, {grid = 1, block = 1}, 2, 64)
  end)

  it("launches clusters", function()
    local mod = cuda:load{cubin = path, params = {scale = {"pointer", "f32", "i32"}}}
    local before = driver.driver_count "cuLaunchKernelEx"
    assert.same({2, 2}, {launch(mod, {grid = 2, block = 32, cluster = 2}, 2, 64)})
    assert.is_true(driver.driver_count "cuLaunchKernel" > 0 and before == 0)
    refused("cluster: x is 3, must divide the grid's, 2", launch, mod, {grid = 2, block = 32, cluster = 3}, 2, 64)
    assert.same({2, 2}, {launch(mod, {grid = 2, block = 32, cooperative = true}, 2, 64)})
    assert.same({2, 2}, {launch(mod, {grid = 2, block = 32, cluster = 2, cooperative = true}, 2, 64)})
  end)

  it("refuses what is no image, what is not there, and devices without a GPU", function()
    refused("give one of cubin, ptx and fatbin", function() cuda:load{} end)
    refused("give one of cubin, ptx and fatbin", function() cuda:load{cubin = path, ptx = path} end)
    refused("image: ", function() cuda:load{cubin = "/nowhere/x.cubin"} end)
    refused("load: the device is cpu, must be cuda", function() pah.device("cpu"):load{cubin = path} end)
    refused("load: the device is sim, must be cuda", function() pah.device("sim"):load{cubin = path} end)
    refused("params: scale: item 1 is float, must be", function()
      cuda:load{cubin = path, params = {scale = {"float"}}}
    end)
    local mod = pah.device("sim"):compile{text = IMAGE:match "\n\n(.*)"}
    refused("cluster: sm_80 has no clusters", function()
      mod:launch("scale", {grid = 2, block = 1, cluster = 2}, nil, 1, 1)
    end)
  end)
end)

describe("memory for a worker", function()
  local handle = ffi.new "struct pah_shared *[1]"

  it("is of the GPU, named by its CUDA IPC handle, and given back", function()
    local cuda, before = pah.device "cuda", driver.driver_live(MEMORY)
    assert.equal(0, C.pah_shared_new(cuda.handle, 4096, handle))
    assert.equal(128, #ffi.string(C.pah_shared_name(handle[0])))
    assert.equal(before + 1, driver.driver_live(MEMORY))
    C.pah_shared_free(handle[0])
    assert.equal(before, driver.driver_live(MEMORY))
  end)

  it("is of the host where the driver refuses, and the worker is told", function()
    local cuda, before = pah.device "cuda", driver.driver_live(MEMORY)
    driver.driver_fail_named("cuIpcGetMemHandle", REFUSED)
    assert.equal(C.PAH_EUNSUPPORTED, C.pah_shared_new(cuda.handle, 4096, handle))
    assert.equal(before, driver.driver_live(MEMORY))
    local arena = require("pah.worker.arena").new(cuda)
    local t = pah.randn({3, 5}, {device = cuda, seed = 1})
    driver.driver_fail_named("cuIpcGetMemHandle", REFUSED)
    local items = arena:place{x = t}
    arena:fill(items)
    assert.equal("host", arena:description().kind)
    assert.is_true(arena:description().gpu)
    assert.is_truthy(arena.refused:find "cuIpcGetMemHandle")
    items[1].view:fill(7)
    assert.is_nil(require("pah.worker.arena").fetch(items))
    assert.equal(7, t:get(3, 5))
    arena:close()
  end)

  it("holds tensors between guards on the GPU too", function()
    local arenas, cuda = require "pah.worker.arena", pah.device "cuda"
    local arena = arenas.new(cuda)
    local t = pah.randn({3, 5}, {device = cuda, seed = 1})
    local items = arena:place{x = t, y = t:transpose(1, 2)}
    arena:fill(items)
    assert.equal("cuda", arena:description().kind)
    assert.equal(0, pah.diff(items[1].view, t).max_abs)
    assert.equal(0, pah.diff(items[2].view, t:transpose(1, 2)).max_abs)
    assert.is_nil(arenas.fetch(items))
    items[2].guards[2]:fill(0)
    assert.equal("y", arenas.fetch(items))
    arena:close()
  end)
end)
