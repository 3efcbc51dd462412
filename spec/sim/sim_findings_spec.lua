-- sim_findings_spec.lua - mistakes that sim once passed over in silence, each with a twin that is right: the thread's
-- own atomic after a plain access, a third reader, overruns beyond the next tensor, arrays with a size of their own,
-- shared memory that nobody writes, more threads than __launch_bounds__; and what findings say beside their message,
-- and how they are allowed. The others are in sim_bugs_spec.lua and ptx_bugs_spec.lua.
local why = require("spec.support.gpu.sim").why
local schedules = {{"order"}, {"reverse"}, {"random", 1}, {"random", 2}}

-- Kernels with a template parameter: 1 has the mistake. One block of 128 threads; x has 1024 zeros.
local source = [[
// The atomic of thread 0 comes after its own plain write, which no other thread may meet.
template <int BUG> __global__ void own_atomic(int *x, int n) {
  if (threadIdx.x == 0) x[0] = 5;
  if (!BUG) __syncthreads();
  if (threadIdx.x % 64 == 0) atomicAdd(&x[0], 1);
}
template <int BUG> __global__ void own_atomic_shared(int *x, int n) {
  __shared__ int s;
  if (threadIdx.x == 64) s = 5;
  if (!BUG) __syncthreads();
  if (threadIdx.x % 64 == 0) atomicAdd(&s, 1);
  __syncthreads();
  x[threadIdx.x] = s;
}
template <int BUG> __global__ void read_then_own_atomic(int *x, int n) {
  __shared__ int s, copy;
  if (threadIdx.x == 0) s = 0;
  __syncthreads();
  if (threadIdx.x == 0) copy = s;
  if (!BUG) __syncthreads();
  if (threadIdx.x == 0 || threadIdx.x == 64) atomicAdd(&s, 1);
  __syncthreads();
  x[threadIdx.x] = s + copy;
}
// Lanes 0 to 4 read, and lane 5 waits for all of them but lane 2.
template <int BUG> __global__ void third_reader(int *x, int n) {
  __shared__ int s;
  if (threadIdx.x == 0) s = 1;
  __syncthreads();
  if (threadIdx.x < 5) x[threadIdx.x] = s;
  if (threadIdx.x < 6) {
    if (!BUG || threadIdx.x != 2) __syncwarp(BUG ? 0x3b : 0x3f);
    if (threadIdx.x == 5) s = 2;
  }
}
// The same with warps: warp 3 waits for warps 0 and 2, not for 1.
template <int BUG> __global__ void third_warp(int *x, int n) {
  __shared__ int s;
  if (threadIdx.x == 0) s = 1;
  __syncthreads();
  int warp = threadIdx.x / 32;
  if (warp < 3) x[threadIdx.x] = s;
  if (warp != 1 || !BUG) ptx::bar_sync(1, BUG ? 96 : 128);
  if (threadIdx.x == 96) s = 2;
}
// A plain read that a compare-and-swap decides on is none that matters; with any other atomic it is.
template <int BUG> __global__ void largest(int *x, int n) {
  float mine = (float)((threadIdx.x * 37) % 128);
  int old = x[0], assumed;
  do {
    assumed = old;
    int larger = __float_as_int(fmaxf(mine, __int_as_float(old)));
    old = BUG ? atomicExch(x, larger) : atomicCAS(x, assumed, larger);
  } while (old != assumed && !BUG);
}
template <int BUG> __global__ void largest_shared(int *x, int n) {
  __shared__ int s;
  if (threadIdx.x == 0) s = 0;
  __syncthreads();
  int old = s, assumed;
  do {
    assumed = old;
    old = atomicCAS(&s, assumed, max(assumed, (int)threadIdx.x));
  } while (old != assumed);
  if (!BUG) __syncthreads();
  x[threadIdx.x] = s;
}
// The words of a chunk of 16 bytes are remembered one by one again when somebody takes them apart.
template <int BUG> __global__ void part_of_a_vector(int *x, int n) {
  __shared__ int4 s[32];
  if (threadIdx.x < 32) s[threadIdx.x] = make_int4(1, 2, 3, 4);
  if (!BUG) __syncthreads();
  x[threadIdx.x] = reinterpret_cast<int *>(s)[threadIdx.x];
}
template <int BUG> __global__ void vector_over_parts(int *x, int n) {
  __shared__ int4 s[32];
  reinterpret_cast<int *>(s)[threadIdx.x] = threadIdx.x;
  if (!BUG) __syncthreads();
  if (threadIdx.x < 32) x[threadIdx.x] = s[threadIdx.x].x + s[threadIdx.x].w;
}
template <int BUG> __global__ void half_of_a_word(int *x, int n) {
  __shared__ int s[128];
  s[threadIdx.x] = 0;
  __syncthreads();
  reinterpret_cast<short *>(s)[threadIdx.x + (BUG ? 0 : threadIdx.x)] = 1;
  reinterpret_cast<unsigned char *>(s)[4 * threadIdx.x + 1] = 2;
  __syncthreads();
  x[threadIdx.x] = s[threadIdx.x];
}
template <int BUG> __global__ void past_a_local_array(int *x, int n) {
  int v[4] = {1, 2, 3, 4};
  x[threadIdx.x] = v[BUG ? n % 5 : n % 4];
}
template <int BUG> __global__ void into_a_local_array(int *x, int n) {
  int v[4] = {1, 2, 3, 4};
  v[BUG ? n % 5 : n % 4] = 7;
  for (int i = 0; i < 4; i++) x[threadIdx.x] += v[i];
}
template <int BUG> __global__ void past_one_shared_array(int *x, int n) {
  __shared__ int a[128], b[128];
  a[threadIdx.x] = b[threadIdx.x] = 0;
  __syncthreads();
  x[threadIdx.x] = a[threadIdx.x + BUG] + b[threadIdx.x];
}
template <int BUG> __global__ void never_written(int *x, int n) {
  __shared__ int s[128];
  if (!BUG) s[threadIdx.x] = 0;
  x[threadIdx.x] = s[threadIdx.x];
}
]]

local bugs = {
  own_atomic = "race", own_atomic_shared = "race uninitialised", read_then_own_atomic = "race", third_reader = "race",
  third_warp = "race", part_of_a_vector = "race uninitialised", vector_over_parts = "race uninitialised",
  largest = "race", largest_shared = "race", half_of_a_word = "race",
  past_a_local_array = "array-bounds", into_a_local_array = "array-bounds",
  past_one_shared_array = "array-bounds out-of-bounds", never_written = "uninitialised",
}

describe("sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"
  local names = {}
  for name in pairs(bugs) do
    names[#names + 1] = name .. "<0>"
    names[#names + 1] = name .. "<1>"
  end
  table.sort(names)
  local module
  local function launch(name, options)
    module = module or sim:compile{text = '#include "ptx.cuh"\n' .. source, include = {"kernels"}, kernels = names}
    options.block, options.on_finding = 128, "report"
    return module:launch(name, options, pah.zeros({1024}, {dtype = "i32", device = sim}), 4)
  end

  for name, codes in pairs(bugs) do
    it("finds " .. name .. " in every schedule, and does not accuse its twin", function()
      for _, schedule in ipairs(schedules) do
        local options = {schedule = schedule[1], seed = schedule[2]}
        local report = launch(name .. "<1>", options)
        assert.is_true(#report.findings > 0, schedule[1] .. ": nothing is found")
        for _, f in ipairs(report.findings) do
          assert.is_truthy((" " .. codes .. " "):find(" " .. f.code .. " ", 1, true), report:text())
        end
        local twin = launch(name .. "<0>", options)
        assert.equal(0, #twin.findings, schedule[1] .. ": " .. twin:text())
      end
    end)
  end

  it("counts the same wavefronts in every schedule", function()
    local counts = {}
    for i, schedule in ipairs(schedules) do
      local report = launch("part_of_a_vector<0>", {schedule = schedule[1], seed = schedule[2]})
      counts[i] = report.shared.wavefronts
      assert.equal(counts[1], counts[i])
    end
    assert.is_true(counts[1] > 0)
  end)

  local text = [[
extern "C" __global__ void shifted(const float *x, float *y, int n) {
  y[threadIdx.x] = x[(int)threadIdx.x + n]; // the line
}
extern "C" __global__ void branches(float *y) {
  if (threadIdx.x < 32) __syncthreads();
  else __syncthreads();
  y[threadIdx.x] = 1;
}
extern "C" __global__ void meant(float *y) {
  if (threadIdx.x < 32) __syncthreads(); // pah: allow barrier-divergence
  else __syncthreads();                  // pah: allow barrier-divergence
  y[threadIdx.x] = 1;
}
extern "C" __global__ void zeros(int *x) {
  __shared__ int s[64];
  x[threadIdx.x] = s[threadIdx.x];
}
constexpr int THREADS = 40;
extern "C" __global__ void __launch_bounds__(THREADS) bounded(float *y) { y[threadIdx.x] = 1; }
template <int N> __global__ void __launch_bounds__(N * 32, 2) bounded_too(float *y) { y[threadIdx.x] = N; }
]]
  local function compiled(kernels) return sim:compile{text = text, kernels = kernels} end

  it("finds an overrun that once landed in the next tensor, and names argument, shape and index", function()
    local x, y = pah.ones({8, 8}, {device = sim}), pah.ones({64}, {device = sim})
    local neighbours = pah.ones({64}, {device = sim})
    for _, n in ipairs {1, 100, 200, 1000, 16000, -1, -64, -5000} do
      local report = compiled():launch("shifted", {block = 64, on_finding = "report"}, y, neighbours, n)
      assert.equal(1, #report.findings, report:text())
      assert.equal("out-of-bounds", report.findings[1].code)
    end
    local report = compiled():launch("shifted", {block = 64, on_finding = "report"}, x, y, 24)
    assert.is_truthy(report:text():find("argument 1, f32 [8, 8], at [8, 0]", 1, true), report:text())
    local large = pah.ones({1000, 1000}, {device = sim})
    report = compiled():launch("shifted", {block = 64, on_finding = "report"}, large, y, 1900000)
    assert.is_truthy(report:text():find("argument 1, f32 [1000, 1000], at [1900, 0]", 1, true), report:text())
  end)

  it("holds what a typed pointer points to, and what is const and __restrict__", function()
    local own = sim:compile{text = [[
#include <cuda_bf16.h>
#include <cuda_fp16.h>
extern "C" __global__ void typed(const float *x, __half2 *h, long long *n, const unsigned *any, const float4 *four) {}
extern "C" __global__ void bf(const __nv_bfloat16 *__restrict__ x) {}
extern "C" __global__ void late(const float *__restrict__ x, float *y, int n) {
  y[threadIdx.x] = 2;
  __syncthreads();
  y[64 + threadIdx.x] = x[63 - threadIdx.x]; // what others wrote
}]]}
    local function of(dtype) return pah.zeros({128}, {dtype = dtype, device = sim}) end
    local function why_not(name, ...)
      local ok, words = pcall(own.launch, own, name, {block = 64}, ...)
      return not ok and tostring(words) or ""
    end
    local f, h, n = of "f32", of "f16", of "i64"
    assert.equal("", why_not("typed", f, h, n, f, h))
    assert.equal("", why_not("typed", of "u8", h, n, of "i64", f))
    local words = why_not("typed", of "f64", h, n, f, f)
    assert.is_truthy(words:find("argument 1: is a tensor of f64, must be of f32 for a pointer to float", 1, true))
    words = why_not("typed", f, of "bf16", n, f, f)
    assert.is_truthy(words:find("argument 2: is a tensor of bf16, must be of f16 for a pointer to half", 1, true))
    words = why_not("typed", f, h, of "i32", f, f)
    assert.is_truthy(words:find("argument 3: is a tensor of i32, must be of i64", 1, true), words)
    assert.is_truthy(why_not("bf", h):find("must be of bf16", 1, true))
    assert.equal("", why_not("late", f, of "f32", 0))
    words = why_not("late", f, f, 0)
    assert.is_truthy(words:find("read%-only%-written.-const and __restrict__ as parameter 1"), words)
  end)

  it("shows the line of the source", function()
    local x, y = pah.ones({64}, {device = sim}), pah.ones({64}, {device = sim})
    local report = compiled():launch("shifted", {block = 64, on_finding = "report"}, x, y, 1)
    assert.equal("y[threadIdx.x] = x[(int)threadIdx.x + n]; // the line", report.findings[1].source)
    assert.is_truthy(report:text():find("\n    2 | y[threadIdx.x]", 1, true), report:text())
  end)

  it("does not tell what a launch or a comment allows", function()
    local y = pah.ones({64}, {device = sim})
    local function codes(name, allow)
      local report = compiled():launch(name, {block = 64, on_finding = "report", allow = allow}, y)
      local list = {}
      for i, f in ipairs(report.findings) do list[i] = f.code end
      return table.concat(list, " ")
    end
    assert.equal("barrier-divergence", codes "branches")
    assert.equal("barrier-divergence", codes("branches", {"race"}))
    assert.equal("", codes("branches", {"race", "barrier-divergence"}))
    assert.equal("", codes "meant")
    local ok, words = pcall(codes, "branches", {"out-of-bounds"})
    assert.is_false(ok)
    assert.is_truthy(tostring(words):find('allow: is "out-of-bounds", must be array-bounds', 1, true), tostring(words))
  end)

  it("holds __launch_bounds__, whatever expression it is", function()
    local y = pah.ones({1024}, {device = sim})
    local own = compiled{"bounded", "bounded_too<2>", "branches"}
    for name, most in pairs{bounded = 40, ["bounded_too<2>"] = 64, branches = 1024} do
      assert.equal(most, own:resources(name).max_threads)
    end
    assert.equal(0, #own:launch("bounded", {block = 40}, y).findings)
    local ok, words = pcall(own.launch, own, "bounded", {block = 41}, y)
    assert.is_false(ok)
    assert.is_truthy(tostring(words):find("has 41 threads, must have at most the 40 of its __launch_bounds__", 1, true),
      tostring(words))
  end)

  for _, compiler in ipairs{"g++", "clang++"} do
    local status = os.execute("command -v " .. compiler .. " > /dev/null")
    local there = (status == 0 or status == true) and it or pending
    there("holds __launch_bounds__ when " .. compiler .. " is the compiler, in templates too", function()
      local ffi, before = require "ffi", os.getenv "PAH_SIM_CXX"
      pcall(ffi.cdef, "int setenv(const char *, const char *, int); int unsetenv(const char *);")
      ffi.C.setenv("PAH_SIM_CXX", compiler, 1)
      local ok, own = pcall(sim.compile, sim, {kernels = {"half<32>", "half<96>"}, text = [[
        template <int N> __global__ void __launch_bounds__(N / 2 + (N > 64 ? 1 : 0), 1) half(float *y) { *y = N; }
        __global__ __launch_bounds__(100) void plain(float *y);
        __global__ __launch_bounds__(100) void plain(float *y) { *y = 1; }
        __global__ void unbound(float *y) { *y = 2; }
        extern "C" __global__ void __launch_bounds__(sizeof(double) * 8) c(float *y) { if (!threadIdx.x) *y = 3; }]]})
      if before then ffi.C.setenv("PAH_SIM_CXX", before, 1) else ffi.C.unsetenv "PAH_SIM_CXX" end
      assert(ok, own)
      for name, most in pairs{["half<32>"] = 16, ["half<96>"] = 49, plain = 100, unbound = 1024, c = 64} do
        assert.equal(most, own:resources(name).max_threads)
      end
    end)
  end

  it("does not take shared memory that nobody writes for zeros", function()
    local x = pah.zeros({64}, {dtype = "i32", device = sim})
    local report = compiled():launch("zeros", {block = 64, on_finding = "report"}, x)
    assert.equal("uninitialised", report.findings[1].code)
  end)

  it("fills new memory with NaN, and says that a kernel reads what nobody has written", function()
    local x, y = pah.empty({64}, {device = sim}), pah.ones({64}, {device = sim})
    for _, value in ipairs(x:totable()) do assert.is_true(value ~= value) end
    local report = compiled():launch("shifted", {block = 64, on_finding = "report"}, x, y, 0)
    assert.equal("uninitialised", report.findings[1].code)
  end)
end)
