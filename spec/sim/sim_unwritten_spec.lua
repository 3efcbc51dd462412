-- sim_unwritten_spec.lua - reads of memory that nobody has written are told by what comes of them: each kernel that
-- masks what it has read, moves it as padding or as the tail of a tensor, has a twin that uses it. What a copy of
-- unwritten memory leaves is unwritten itself; and a launch that sim has run again leaves what its first run did.
local why = require("spec.support.gpu.sim").why
local schedules = {{"order"}, {"reverse"}, {"random", 1}}

-- Kernels with a template parameter: 1 uses what nobody has written. One block of 128 threads; x has 256 zeros, u 512
-- words of which nothing is written but by the kernel.
local source = [[
#include <cuda_fp16.h>
template <int BUG> __global__ void masked_tail(int *x, float *u) {
  if (threadIdx.x < 100) u[threadIdx.x] = 1;
  __syncthreads();
  int at = threadIdx.x % 32 * 4;
  float4 v = reinterpret_cast<float4 *>(u)[threadIdx.x % 32];
  int end = BUG ? 102 : 100;
  x[threadIdx.x] = (at < end ? v.x : 0) + (at + 1 < end ? v.y : 0) + (at + 2 < end ? v.z : 0);
}
template <int BUG> __global__ void masked_logits(int *x, float *u) {
  __shared__ float s[128];
  if (threadIdx.x < 77) s[threadIdx.x] = 2;
  __syncthreads();
  float v = s[threadIdx.x];
  if (threadIdx.x >= 77 + BUG) v = 0;
  for (int o = 16; o; o /= 2) v += __shfl_xor_sync(~0u, v, o);
  x[threadIdx.x] = (int)v;
}
// Neither the greatest nor the least of some numbers hides one that nobody has written.
template <int BUG> __global__ void least_and_greatest(int *x, float *u) {
  __shared__ float s[128];
  if (threadIdx.x != 100) s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  if (threadIdx.x) return;
  float least = 1e30f, greatest = -1e30f;
  for (int i = 0; i < 128; i++) {
    float v = s[i];
    if (i == 100 && !BUG) continue;
    least = fminf(least, v);
    greatest = fmaxf(greatest, v);
  }
  x[0] = (int)least + (int)greatest;
}
template <int BUG> __global__ void added_zero(int *x, float *u) {
  __shared__ int s[128];
  if (threadIdx.x) s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  int v = s[threadIdx.x];
  x[threadIdx.x] = BUG || threadIdx.x ? v : 0;
}
template <int BUG> __global__ void as_an_index(int *x, float *u) {
  __shared__ unsigned s[128];
  if (threadIdx.x < 100) s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  unsigned at = s[threadIdx.x];
  if (threadIdx.x < 100 || (BUG && at < 128)) x[at + 128] = threadIdx.x;
}
struct Padded {
  char c;
  int i;
  double d;
  short h;
};
template <int BUG> __global__ void padding(int *x, float *u) {
  __shared__ Padded s[128], t[128];
  s[threadIdx.x].c = 1;
  if (!BUG) s[threadIdx.x].i = 2;
  s[threadIdx.x].d = 3;
  s[threadIdx.x].h = 4;
  __syncthreads();
  t[threadIdx.x] = s[127 - threadIdx.x];
  Padded p = t[threadIdx.x];
  if (threadIdx.x < 64) reinterpret_cast<Padded *>(u)[threadIdx.x] = p;
  x[threadIdx.x] = p.c + p.i + (int)p.d + p.h;
}
// Rows of a tile that are not there are multiplied, too.
template <int BUG> __global__ void rows_of_mma(int *x, float *u) {
  __shared__ alignas(16) __half a[256];
  for (int i = threadIdx.x; i < 160; i += 128) a[i] = __float2half(1);
  __syncthreads();
  if (threadIdx.x >= 32) return;
  unsigned r[4], one = 0x3c003c00;
  unsigned address = __cvta_generic_to_shared(&a[threadIdx.x % 16 * 16 + threadIdx.x / 16 * 8]);
  float c[4] = {0, 0, 0, 0};
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%8}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]), "r"(one));
  int row = threadIdx.x / 4, column = threadIdx.x % 4 * 2;
  x[row * 8 + column] = c[0];
  if (row + 8 < 10 + BUG) x[row * 8 + 64 + column] = c[2];
}
// The tail of a tensor is moved with the rest of it; of shared memory there is no such tail.
template <int BUG> __global__ void moved_tail(int *x, float *u) {
  if (threadIdx.x < 100) u[threadIdx.x] = threadIdx.x;
  __shared__ float s[128];
  __syncthreads();
  if (!BUG || threadIdx.x < 100) s[threadIdx.x] = u[threadIdx.x];
  __syncthreads();
  u[128 + threadIdx.x] = s[threadIdx.x];
}
template <int BUG> __global__ void exchanged(int *x, float *u) {
  int old = BUG ? atomicAdd(reinterpret_cast<int *>(u) + threadIdx.x, 1)
                : atomicExch(reinterpret_cast<int *>(u) + threadIdx.x, 1);
  x[threadIdx.x] = 1 + 0 * old;
}
]]
local names = {"masked_tail", "masked_logits", "least_and_greatest", "added_zero", "as_an_index", "padding",
  "rows_of_mma", "moved_tail", "exchanged"}

-- Two reads, of which the second one is used; a copy; its reader; words of many kinds that a launch leaves.
local more = [[
__global__ void two(float *x, float *u) {
  float a = u[threadIdx.x];
  float b = u[threadIdx.x + 32];
  x[threadIdx.x] = (x == u ? a : 1) + b;
}
__global__ void copy(const float *from, float *to) { to[threadIdx.x] = from[threadIdx.x]; }
__global__ void sum(const float *from, float *to, int n) {
  for (int i = 0; i < n; i++) to[0] += from[i];
}
__device__ int calls;
__global__ void leaves(float *x, float *u) {
  float v = u[threadIdx.x];
  x[threadIdx.x] += threadIdx.x < 100 ? 1 : v * 0;
  atomicAdd(&calls, 1);
}
]]

describe("sim", function()
  if why then return pending(why) end
  local sim = pah.device "sim"
  local module, other
  local function launch(name, options)
    if not module then
      local all = {}
      for _, n in ipairs(names) do all[#all + 1], all[#all + 2] = n .. "<0>", n .. "<1>" end
      module = sim:compile{text = '#include "ptx.cuh"\n' .. source, include = {"kernels"}, kernels = all}
    end
    options.block, options.on_finding = 128, "report"
    local x = pah.zeros({256}, {dtype = "i32", device = sim})
    return module:launch(name, options, x, pah.empty({2048}, {device = sim})), x
  end
  local function compiled()
    other = other or sim:compile{text = more, kernels = {"two", "copy", "sum", "leaves"}}
    return other
  end

  for _, name in ipairs(names) do
    it("tells a read of unwritten memory by what comes of it: " .. name, function()
      for _, schedule in ipairs(schedules) do
        local report = launch(name .. "<0>", {schedule = schedule[1], seed = schedule[2]})
        assert.equal(0, #report.findings, schedule[1] .. ": " .. report:text())
        report = launch(name .. "<1>", {schedule = schedule[1], seed = schedule[2]})
        assert.is_true(#report.findings > 0, schedule[1] .. ": nothing is found")
        for _, f in ipairs(report.findings) do assert.equal("uninitialised", f.code, report:text()) end
      end
    end)
  end

  it("names that one of two reads which is used", function()
    local x, u = pah.zeros({32}, {device = sim}), pah.empty({64}, {device = sim})
    local report = compiled():launch("two", {block = 32, on_finding = "report"}, x, u)
    assert.equal(1, #report.findings)
    assert.equal(3, report.findings[1].line)
  end)

  it("takes a copy of unwritten memory for unwritten", function()
    local a, b, r = pah.empty({64}, {device = sim}), pah.empty({64}, {device = sim}), pah.zeros({1}, {device = sim})
    a[{{1, 40}}]:fill(1)
    compiled():launch("copy", {block = 64}, a, b)
    local report = compiled():launch("sum", {on_finding = "report"}, b, r, 40)
    assert.equal(0, #report.findings, report:text())
    assert.equal(40, r:get(1))
    report = compiled():launch("sum", {on_finding = "report"}, b, r, 41)
    assert.equal("uninitialised", report.findings[1].code)
  end)

  it("tells a copy of a tensor of which nothing is written", function()
    local a, b = pah.empty({64}, {device = sim}), pah.empty({64}, {device = sim})
    local report = compiled():launch("copy", {block = 64, on_finding = "report"}, a, b)
    assert.equal("uninitialised", report.findings[1].code)
  end)

  it("leaves what one run leaves", function()
    local x, u = pah.ones({128}, {device = sim}), pah.empty({128}, {device = sim})
    u[{{1, 100}}]:fill(0)
    local report = compiled():launch("leaves", {block = 128, on_finding = "report"}, x, u)
    assert.equal("uninitialised", report.findings[1].code)
    assert.equal(2, x:get(100))
    assert.is_true(x:get(101) ~= x:get(101))
    local calls = pah.zeros({1}, {dtype = "i32"})
    compiled():get("calls", calls)
    assert.equal(128, calls:get(1))
  end)

  it("asks nothing of reads that are allowed", function()
    local x, u = pah.zeros({32}, {device = sim}), pah.empty({64}, {device = sim})
    local report = compiled():launch("two", {block = 32, allow = {"uninitialised"}}, x, u)
    assert.equal(0, #report.findings)
  end)
end)
