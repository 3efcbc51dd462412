-- processors_spec.lua - a launch by several processors says what it says on one: the same findings in the same words,
-- counts and order, the same counters by line and bits of every tensor. Kernels whose thread blocks are independent do
-- run on several; those that meet in memory or show their order fall back to one, with tensors as before.
local why = require("spec.support.gpu.sim").why

-- One thread block has 64 threads; x holds 0 to 4095, y zeros; n is 4096.
local source = [[
#define AT (blockIdx.x * 64 + threadIdx.x)
__device__ int total, own[64];

// ---- Independent thread blocks ----
__global__ void scale(int *x, int *y, int n) { y[AT] = 3 * x[AT] + x[n - 1]; }
__global__ void words(int *x, int *y, int n) { if (threadIdx.x == 0) y[blockIdx.x] = x[blockIdx.x]; }
__global__ void in_place(int *x, int *y, int n) {
  int v = x[AT];
  __syncthreads();
  x[AT] = v + 1;
  y[AT ^ 1] = x[AT];
}
__global__ void halves(int *x, int *y, int n) { ((short *)y)[AT] = (short)x[AT]; }
__global__ void shared(int *x, int *y, int n) {
  __shared__ int s[64];
  s[threadIdx.x * 7 % 64] = x[AT];
  __syncthreads();
  int v = __shfl_xor_sync(~0u, s[threadIdx.x], 3);
  for (int i = 0; i < blockIdx.x % 3; i++) v += x[i];
  y[AT] = v;
}
__global__ void own_atomics(int *x, int *y, int n) { atomicAdd(&y[blockIdx.x], x[AT]); }
__global__ void own_variable(int *x, int *y, int n) { if (threadIdx.x == 0) own[blockIdx.x] = x[AT]; }
__global__ void steps(int *x, int *y, int n) {
  __shared__ int next;
  if (threadIdx.x == 0) next = 0;
  __syncthreads();
  if (threadIdx.x % 32 == 0) y[AT] = atomicAdd(&next, 1); // which warp came first is up to the schedule
}

// ---- Right, but not independent ----
__global__ void add(int *x, int *y, int n) { atomicAdd(&y[0], x[AT]); }
__global__ void add_floats(int *x, int *y, int n) { atomicAdd((float *)y, 1.0f / (1 + x[AT])); }
__global__ void tickets(int *x, int *y, int n) { if (threadIdx.x == 0) y[1 + blockIdx.x] = atomicAdd(&y[0], 1); }
__global__ void same_value(int *x, int *y, int n) { if (threadIdx.x < 32) y[0] = 1; }
__global__ void bytes(int *x, int *y, int n) { if (threadIdx.x == 0) ((char *)y)[blockIdx.x + 2] = 1; }
__global__ void sum_of_all(int *x, int *y, int n) { if (threadIdx.x == 0) y[blockIdx.x] = atomicAdd(&total, 1); }
__global__ void last_sums(int *x, int *y, int n) {
  if (threadIdx.x) return;
  y[blockIdx.x] = x[AT];
  __threadfence();
  if (atomicAdd(&y[100], 1) != gridDim.x - 1) return;
  __threadfence();
  for (int i = 0; i < gridDim.x; i++) y[101] += y[i];
}
__global__ void clocks(int *x, int *y, int n) { y[AT] = (int)clock64(); }
__global__ void heap(int *x, int *y, int n) {
  int *p = (int *)malloc(64);
  *p = x[AT];
  y[AT] = *p;
  free(p);
}

// ---- Wrong: within a thread block, then between them ----
__global__ void no_barrier(int *x, int *y, int n) {
  __shared__ int s[64];
  s[threadIdx.x] = x[AT];
  y[AT] = s[63 - threadIdx.x];
}
__global__ void late_race(int *x, int *y, int n) {
  y[AT] = x[AT];
  if (blockIdx.x >= 9) y[blockIdx.x * 64 + (threadIdx.x + 1) % 64] = x[AT] + 1;
}
__global__ void two_kinds(int *x, int *y, int n) {
  __shared__ int s[64];
  if (blockIdx.x == 11) y[AT] = s[0];
  if (blockIdx.x == 3) y[n + AT] = 1;
}
__global__ void half_written(int *x, int *y, int n) { if (blockIdx.x % 2) y[AT] = x[AT + n / 2]; }
__global__ void fails(int *x, int *y, int n) { y[AT] = 7; if (blockIdx.x == 5) __trap(); }
__global__ void divides(int *x, int *y, int n) { y[AT] = 100 / (8 - (int)blockIdx.x); }
__global__ void diverges(int *x, int *y, int n) {
  y[AT] = 1;
  if (blockIdx.x == 6 && threadIdx.x == 0) return;
  __syncthreads();
}
__global__ void deadlocks(int *x, int *y, int n) {
  y[AT] = 1;
  if (blockIdx.x != 7) return;
  if (threadIdx.x % 2) __shfl_sync(~0u, 1, 0);
  else __ballot_sync(~0u, 1);
}
__global__ void overlap(int *x, int *y, int n) { y[AT] = 1; y[AT + 8] = blockIdx.x; }
__global__ void counter(int *x, int *y, int n) { if (threadIdx.x == 0) y[5] += 1; }
__global__ void neighbour(int *x, int *y, int n) { y[AT] = 2; if (threadIdx.x == 0) x[AT] = y[(AT + 64) % n]; }
__global__ void atomic_and_plain(int *x, int *y, int n) {
  if (blockIdx.x == 4) y[9] = 3;
  else if (threadIdx.x == 0) atomicAdd(&y[9], 1);
}
__global__ void variable(int *x, int *y, int n) { if (threadIdx.x == 0) total = blockIdx.x; }
]]

-- Kernels by what must become of them on several processors.
local independent = {"scale", "words", "in_place", "halves", "shared", "own_atomics", "own_variable", "steps"}
local dependent = {"add", "add_floats", "tickets", "same_value", "bytes", "sum_of_all", "last_sums", "clocks", "heap"}
local wrong = {"no_barrier", "late_race", "two_kinds", "half_written", "fails", "divides", "diverges", "deadlocks",
  "overlap", "counter", "neighbour", "atomic_and_plain", "variable"}
local schedules = {order = {2, 5}, reverse = {2}, random = {5}} -- and on how many processors
local all = {}
for _, list in ipairs {independent, dependent, wrong} do
  for _, name in ipairs(list) do all[#all + 1] = name end
end

describe("a launch on several processors #slow", function()
  if why then return pending(why) end
  local sim, module

  setup(function()
    sim = pah.device "sim"
    module = sim:compile{text = source, kernels = all}
  end)

  local function variable(name, n)
    local t = pah.zeros({n}, {dtype = "i32"})
    module:get(name, t)
    return t:hash()
  end

  -- All that one launch leaves, and on how many processors it ran.
  local function outcome(name, processors, schedule)
    module:set("total", pah.zeros({1}, {dtype = "i32"}))
    module:set("own", pah.zeros({64}, {dtype = "i32"}))
    local x, y = pah.arange(4096, {dtype = "i32", device = sim}), pah.zeros({4096}, {dtype = "i32", device = sim})
    if name == "half_written" then x = pah.empty({4096}, {dtype = "i32", device = sim}) end
    local r = module:launch(name, {grid = 16, block = 64, processors = processors, schedule = schedule, seed = 4,
      on_finding = "report"}, x, y, 4096)
    local ran = r.processors
    r.processors, r.options = nil, nil
    local text = r:text()
    for _, f in ipairs(r.findings) do f.message = f.message:gsub("allocation %d+", "allocation") end
    return {report = r, text = text:gsub("allocation %d+", "allocation"), counters = r:counter_text(),
      x = x:hash(), y = y:hash(),
      variables = {variable("total", 1), variable("own", 64)}}, ran
  end

  -- Calls use(outcome on one, processors, how many it ran on), once that on several has proved to be the same.
  local function same(name, schedule, use)
    local one, alone = outcome(name, 1, schedule)
    assert.equal(1, alone)
    for _, processors in ipairs(schedules[schedule]) do
      local several, ran = outcome(name, processors, schedule)
      assert.same(one, several, name .. " on " .. processors)
      use(one, processors, ran)
    end
  end

  for schedule in pairs(schedules) do
    it("is that of one, when thread blocks are independent, " .. schedule, function()
      for _, name in ipairs(independent) do
        same(name, schedule, function(one, processors, ran)
          assert.equal(0, #one.report.findings, one.text)
          assert.equal(processors, ran, name)
        end)
      end
    end)

    it("falls back to one where they are not, " .. schedule, function()
      for _, name in ipairs(dependent) do
        same(name, schedule, function(one, _, ran)
          assert.equal(0, #one.report.findings, one.text)
          assert.equal(1, ran, name)
        end)
      end
    end)

    it("finds what one finds, " .. schedule, function()
      for _, name in ipairs(wrong) do
        same(name, schedule, function(one, _, ran)
          assert.is_true(#one.report.findings > 0, name)
          assert.equal(1, ran, name)
        end)
      end
    end)
  end

  it("names no argument for what is in none", function()
    for _, name in ipairs {"variable", "no_barrier"} do
      local said = outcome(name, 1, "order")
      assert.is_nil(said.text:find("argument", 1, true), said.text)
    end
  end)
end)
