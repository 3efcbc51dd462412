-- graph_cases.lua - dev:graph and pah.bench{graph=} over the test driver: run by spec/gpu/cuda_spec.lua in a process of
-- its own. The driver refuses whatever a stream that records does not take.
local ffi = require "ffi"
local refused = require "spec.support.refused"
local support = require "spec.driver.driver"

local driver, problem, on_cpu = support.driver, support.problem, support.on_cpu
local GRAPHS, OUT_OF_MEMORY = 6, 2

local SOURCE = [[
extern "C" __global__ void scale(float *x, float f) { x[threadIdx.x] *= f; }
extern "C" __global__ void add(float *x, const float *y) { x[threadIdx.x] += y[threadIdx.x]; }
]]

local function collect() collectgarbage() collectgarbage() end

describe("dev:graph", function()
  local cuda, module, x
  setup(function()
    cuda = pah.device "cuda"
    module = cuda:compile{text = SOURCE}
  end)
  before_each(function() x = pah.ones({4}, {device = cuda}) end)

  local function double() module:launch("scale", {block = 4}, x, 2) end

  it("calls the function once, records it once, and repeats its launches in their order", function()
    local y, calls = pah.full({4}, 10, {device = cuda}), 0
    local g = cuda:graph(function()
      calls = calls + 1
      double()
      module:launch("add", {block = 4}, x, y)
    end)
    assert.equal(2, calls)
    assert.equal(2, g.launches)
    assert.equal("pah.graph of 2 launches", tostring(g))
    assert.same({12, 12, 12, 12}, x:totable()) -- the first call has run, the recorded one has not
    g:launch()
    g:launch()
    assert.same({78, 78, 78, 78}, x:totable())
    y:fill(0) -- what is read is what the memory holds now
    g:launch()
    assert.same({156, 156, 156, 156}, x:totable())
  end)

  it("takes decode whose results are given, with its check", function()
    local p = problem(cuda)
    p.out, p.lse = pah.decode(p)
    local want = pah.decode(on_cpu(p)):to "f32"
    local g = cuda:graph(function() pah.decode(p) end)
    local table_ = p.block_table:clone()
    for _ = 1, 2 do
      p.out:zero()
      g:launch()
      assert.is_true(pah.allclose(p.out:to("cpu"):to "f32", want, {rtol = 1e-2, atol = 1e-2}))
      p.block_table:fill(77)
      p.out:zero()
      g:launch()
      refused("block_table", cuda.synchronize, cuda)
      assert.equal(0, p.out:to("cpu"):to("f32"):get(1, 1, 1, 1)) -- nothing was written
      p.block_table:copy(table_)
    end
  end)

  it("names what cannot be repeated, and leaves the device as it was", function()
    local host = pah.ones({4}, {device = "cpu"})
    local cases = {
      {"graph: an allocation of 16 bytes inside", function() pah.empty({4}, {device = cuda}) end},
      {"an allocation of 16 bytes inside", function() x:clone() end},
      {"graph: a copy from the host inside", function() x:copy(host) end},
      {"graph: a copy to the host inside", function() host:copy(x) end},
      {"graph: a wait inside", function() cuda:synchronize() end},
      {"graph: an event inside", function() cuda:event() end},
      {"graph: another graph inside", function() cuda:graph(double) end},
    }
    for _, case in ipairs(cases) do
      local recording = 0
      refused(case[1], cuda.graph, cuda, function()
        recording = recording + 1
        double()
        if recording == 2 then case[2]() end
      end)
    end
    local g, other = cuda:graph(double), 0
    refused("graph: the launch of a graph inside", cuda.graph, cuda, function()
      other = other + 1
      if other == 2 then g:launch() end
      double()
    end)
    refused("graph: compiling text inside", cuda.graph, cuda, function()
      other = other + 1
      if other == 4 then cuda:compile{text = SOURCE, defines = {N = 4}} end
      double()
    end)
    refused("graph: the function launches nothing", cuda.graph, cuda, function() end)
    refused("must be a function", cuda.graph, cuda, 5)
    assert.equal("oops", select(2, pcall(cuda.graph, cuda, function() error("oops", 0) end)))
    x:fill(1)
    g:launch()
    assert.same({2, 2, 2, 2}, x:totable())
  end)

  it("is of cuda alone, and says so", function()
    refused("graph: cpu has no graphs, must be cuda with a GPU", pah.device("cpu").graph, pah.device "cpu", double)
    refused("graph: sim has no graphs, must be cuda with a GPU", pah.device("sim").graph, pah.device "sim", double)
  end)

  it("lets memory go that is freed while it records", function()
    collect()
    local buffers, bytes = tonumber(driver.driver_live(4)), cuda:memory().bytes
    local spare = {pah.ones({64}, {device = cuda}), pah.ones({64}, {device = cuda})}
    local g = cuda:graph(function()
      double()
      if #spare > 0 then table.remove(spare):free() end
    end)
    g:launch()
    assert.same({8, 8, 8, 8}, (function() double() return x:totable() end)())
    collect()
    assert.equal(buffers, tonumber(driver.driver_live(4)))
    assert.equal(bytes, cuda:memory().bytes)
  end)

  it("keeps the working memory that it was recorded with when a larger call needs more", function()
    local p = problem(cuda)
    p.out, p.lse = pah.decode(p)
    local want = pah.decode(on_cpu(p)):to "f32"
    local g = cuda:graph(function() pah.decode(p) end)
    collect()
    local kept = cuda:memory().buffers
    for _, splits in ipairs {40, 400} do
      p.num_splits = splits
      pah.decode(p)
    end
    assert.is_true(cuda:memory().buffers > kept)
    p.out:zero()
    g:launch()
    assert.is_true(pah.allclose(p.out:to("cpu"):to "f32", want, {rtol = 1e-2, atol = 1e-2}))
    g = nil -- luacheck: ignore 311
    collect()
    assert.equal(kept, cuda:memory().buffers)
  end)

  it("survives the failure of any call: a clear error, no leak, and the next time it works", function()
    local function work()
      local g = cuda:graph(double)
      g:launch()
      cuda:synchronize()
    end
    work()
    collect()
    local graphs, failures = tonumber(driver.driver_live(GRAPHS)), 0
    for n = 1, 200 do
      driver.driver_fail(n, OUT_OF_MEMORY)
      local ok, why = pcall(work)
      local name = ffi.string(driver.driver_failed())
      driver.driver_fail(0, 0)
      collect()
      assert.equal(graphs, tonumber(driver.driver_live(GRAPHS)), name)
      if name == "" then break end
      failures = failures + 1
      assert.is_true(not ok and #tostring(why) > 10 or name:match "Destroy" ~= nil or name == "cuCtxSetCurrent"
        or name == "cuStreamSynchronize", name)
    end
    assert.is_true(failures > 8, "only " .. failures)
    x:fill(1)
    work()
    assert.same({4, 4, 4, 4}, x:totable())
  end)

  it("is what pah.bench times where it is asked to, by turns over other inputs", function()
    local options = {device = cuda, limits = false, warmup = 0, min_time = 0, max_time = 0.3, min_samples = 3,
      max_samples = 4, setup = function() end}
    local xs, calls = {}, {0, 0, 0}
    for i = 1, 3 do xs[i] = pah.ones({4}, {device = cuda}) end
    options.graph = 3
    local before = tonumber(driver.driver_count "cuGraphLaunch")
    local r = pah.bench(function(i)
      calls[i] = calls[i] + 1
      module:launch("scale", {block = 4}, xs[i], -1)
    end, options)
    assert.same({2, 2, 2}, calls)
    assert.is_true(r.n >= 3 and tonumber(driver.driver_count "cuGraphLaunch") - before >= r.n * r.calls)
    options.graph = true
    assert.is_true(pah.bench(double, options).n >= 3)
    options.graph = 1.5
    refused("bench: graph is 1.5, must be true or how many graphs take turns", pah.bench, double, options)
    options.graph, options.device = true, "cpu"
    refused("graph: cpu has no graphs", pah.bench, double, options)
  end)
end)
