-- host_code_spec.lua - CUDA files as others write them: only the device's side is compiled, as nvcc's device pass does.
-- Each obstacle is one that public repositories have; the sources are our own.
local child = require "spec.support.child"

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local header = [[
#pragma once
#include <ctime>
struct HostOnly { cudaStream_t stream; at::Tensor t; };
struct Params {
  float *out;
  dim3 gridDim; int blockDim;                       // members by the names of variables
  Params(at::Tensor &t) : out(t.data()), gridDim{1}, blockDim(2) {}
  cudaError_t check() const { return cudaGetLastError(); }
  static constexpr int width() { return 4; }
  __host__ __device__ int twice() const { return 2 * blockDim; }
};
void launch(torch::Tensor &t, cudaStream_t s = 0);
template <class T> void launch_all(T *x) { add<T, 2><<<1, 4>>>(x); }
template <class T> struct Tag { static constexpr int value = 1; };
template <> struct Tag<double> { static constexpr int value = 2; };
template <class T> constexpr int size_of = 1;
template <> constexpr int size_of<double> = 8;
]]

local source = [[
#include <torch/extension.h>
#include "host_code.h"
#include <algorithm>
#define CHECK(x) do { cudaError_t e = (x); if (e != cudaSuccess) throw std::runtime_error("no"); } while (0)
#define UNROLL _Pragma("unroll")
#define LAUNCH(n) add<float, n><<<1, 32, 0, stream>>>(x)
using namespace torch::autograd;
using at::Half;
static std::vector<at::Tensor> kept;
const int count = 4;
enum Mode { FIRST = 1, SECOND = 2 };
#if 0
__global__ void absent(int x) { nonsense; }
#endif
__global__ void max(const float *x, float *out) { out[0] = fmaxf(x[0], x[1]); }
__global__ void index(float *out, int i = 3) { out[i] = SECOND; }
__global__ void twice(float *x) { x[0] *= 2; }
__global__ void twice(int *x) { x[0] *= 2; }
template <class T, int N> __global__ void add(T *x) {
  UNROLL
  for (int i = 0; i < N; i++) x[threadIdx.x] += std::min(i, 1) + size_of<T>;
}
namespace { namespace deep { struct S { int v; };
__global__ void plus(S s, float *out) { out[0] = s.v + count; } } }
extern "C" __global__ void __launch_bounds__(64, 2) all(Params p, double d) {
  struct { unsigned lane; } l;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(l.lane) : : "memory");
  clock_t from = clock();
  p.out[threadIdx.x] = p.twice() + Params::width() + Tag<double>::value + size_of<double> + l.lane + (clock() < from);
}
void run(float *x, cudaStream_t stream) {
  LAUNCH(3);
  auto f = [&] { deep::plus<<<dim3(1), 1>>>(deep::S{1}, x); };
  CHECK(cudaGetLastError());
}
TORCH_LIBRARY(name, m) { m.def("run", &run); }
int main(int argc, char **argv) {
  const char *text = R"(}}} __global__ void hidden() {)";
  std::cout << text << '}' << 1'000 << std::endl; /* } */
  return printf("%d\n", argc);
}
]]

describe("a source of others on sim", function()
  local sim, folder, module

  setup(function()
    sim, folder = pah.device "sim", child.folder()
    write(folder .. "/host_code.h", header)
    write(folder .. "/a.cu", source)
    module = sim:compile{source = folder .. "/a.cu"}
  end)

  teardown(function() os.execute("rm -rf " .. folder) end)

  it("finds its kernels, whatever they are called", function()
    assert.same({"max", "index", "twice(float*x)", "twice(int*x)", "deep::plus", "all"}, module:kernels())
    local x = pah.tensor({1, 5, 3, 4}, {device = sim})
    local out = pah.zeros({4}, {device = sim})
    module:launch("max", {}, x, out)
    module:launch("index", {}, out, 2)
    module:launch("twice(float *x)", {}, x)
    assert.same({5, 0, 2, 0}, out:totable())
    assert.same({2, 5, 3, 4}, x:totable())
    local i = pah.tensor({7}, {dtype = "i32", device = sim})
    module:launch("twice(int *x)", {}, i)
    assert.equal(14, i:item())
    module:launch("add<float, 3>", {block = 4}, x)
    assert.same({7, 10, 8, 9}, x:totable())
    module:launch("deep::plus", {}, require("ffi").new "int[1]", out)
    assert.equal(4, out:get(1))
  end)

  it("has structs, inline PTX and the clock as the device has them", function()
    local out = pah.zeros({32}, {device = sim})
    local params = require("ffi").new "struct { void *out; uint32_t grid[3]; int block; }"
    params.out, params.block = out.raw.data, 5
    module:launch("all", {block = 32}, params, 1.0)
    for lane = 0, 31 do assert.equal(10 + 4 + 2 + 8 + lane, out:get(lane + 1)) end
    assert.equal(64, module:resources("all").max_threads)
  end)

  it("says what was left out, and which instances the host starts", function()
    local text = table.concat(module.skipped, "\n")
    for _, line in ipairs {"header torch/extension.h", "using namespace torch::autograd at line 7",
      "declaration kept at line 9", "function run at line 31", "function TORCH_LIBRARY at line 36",
      "function main at line 37", "launch add<float, 3> at line 32"} do
      assert.is_truthy(text:find(line, 1, true), text)
    end
    assert.is_falsy(text:find("hidden", 1, true))
    assert.is_falsy(text:find("function max", 1, true))
  end)

  it("has variables that can be set, and C++20 where it is asked for", function()
    local m = sim:compile{std = "c++20", text = [[
      __constant__ float scale[4];
      namespace ns { static __device__ int calls; }
      const __device__ int fixed = 7;
      template <class T> concept small = sizeof(T) <= 4;
      template <small T> __device__ T twice(T x) { return 2 * x; }
      __global__ void f(float *x) {
        x[threadIdx.x] = twice(scale[threadIdx.x]) + fixed;
        if (threadIdx.x == 0) ns::calls++;
      }]]}
    local x = pah.zeros({4}, {device = sim})
    m:set("scale", pah.tensor({1, 2, 3, 4}))
    m:set("ns::calls", pah.tensor({5}, {dtype = "i32"}))
    for _ = 1, 2 do m:launch("f", {block = 4}, x) end
    assert.same({9, 11, 13, 15}, x:totable())
    assert.equal(7, m:get("ns::calls", pah.zeros({1}, {dtype = "i32"})):item())
    assert.error_matches(function() m:set("scale", pah.tensor({1})) end, "16 bytes, the tensor has 4", 1, true)
    assert.error_matches(function() m:set("nothing", x) end, '"nothing" is not a __device__', 1, true)
    assert.error_matches(function() sim:compile{text = "", std = "c++11"} end, "must be c++17 or c++20", 1, true)
  end)

  it("tells lines as they are in the source", function()
    local m = sim:compile{text = "int main() {\n  f<<<1, 1>>>();\n}\n__global__ void f(float *x) {\n  x[7] = 1;\n}\n"}
    local report = m:launch("f", {on_finding = "report"}, pah.zeros({1}, {device = sim}))
    assert.equal(5, report.findings[1].line)
    local ok, why = pcall(sim.compile, sim, {text = "#include <nothing.h>\nvoid host();\n" ..
      "__global__ void f() {\n  host();\n}\n"})
    assert.is_false(ok)
    assert.is_truthy(why:find("text:4", 1, true), why)
    assert.is_truthy(why:find("not found, and taken as empty: nothing.h", 1, true), why)
  end)

  it("takes what nvcc's parser takes and headers that are missing would bring", function()
    local m = sim:compile{text = [[
#include <nobody/has/this.h>
namespace sort { __global__ void half_of(half *x); } // defined outside, by its full name
__global__ void sort::half_of(half *x) { x[threadIdx.x] = __hmul(x[threadIdx.x], __float2half(0.5f)); }
template <int N> struct Inter { int n = N; };
struct User { using Inter = Inter<3>; Inter inter; };
extern "C" __global__ void shifted(int *x) {
  __shared__ float s[64];
  int address;
  asm volatile("{ .reg .u64 address; cvta.to.shared.u64 address, %1; cvt.u32.u64 %0, address; }"
               : "=r"(address) : "l"((void *)(&s[0] + ((int)threadIdx.x >> 1))));
  x[threadIdx.x] = address + User().inter.n;
}
]]}
    local h, x = pah.ones({4}, {dtype = "f16", device = sim}), pah.zeros({4}, {dtype = "i32", device = sim})
    m:launch("sort::half_of", {block = 4}, h)
    assert.same({0.5, 0.5, 0.5, 0.5}, h:totable())
    m:launch("shifted", {block = 4}, x)
    assert.same({0, 0, 4, 4}, (x:to("cpu") - x:get(1)):totable())
  end)
end)

-- What nvcc takes, and one of the others did not once.
local differences = [[
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdint>
#include <string>
#include <cooperative_groups.h>
#include <cuda_fp16.h>
constexpr float inf = INFINITY; constexpr double huge = HUGE_VAL; // macros of a header in one line with a kernel
struct Named { std::string name; };
union Parts { float4 v; float a[4]; };
struct __CUDA_ALIGN__(16) Pack { half a[8]; };
template <class F> __device__ void apply(F f) { f(); }
extern "C" __global__ void f(T *x, uint n) {
  __shared__ char odd;
  __shared__ half tile[3][8]; // read as whole words, aligned or not by what stands before it
  odd = 1;
  for (int i = 0; i < 24; i++) tile[i / 8][i % 8] = __float2half(i);
  Parts p;
  p.v = *(const float4 *)x;
  auto [a, b, c, d] = p.v;
  apply([=] __device__() { x[4] = std::min(N, 3) + std::max(1, 2) + ushort(n); });
  x[5] = inf > 1 && huge > 1 && INT64_MIN < INT32_MIN && INT8_MIN == -128 && SIZE_MAX > UINT32_MAX;
  x[6] = p.a[0] + b + c + d + odd;
  *(int4 *)(x + 8) = *(const int4 *)tile[1];
  x[7] = sizeof(Pack) + __vadd4(0x01ff0203u, 0x01020304u) / 0x1000000 + __vmaxs2(0xffff0001u, 0x00010000u) % 16;
}
]]

describe("what nvcc takes", function()
  it("is taken by sim, and means the same", function()
    local sim = pah.device "sim"
    local m = sim:compile{text = differences, defines = {T = "float", N = 4}}
    local x = pah.tensor({1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0}, {device = sim})
    m:launch("f", {}, x, 7)
    assert.same({1, 2, 3, 4, 12, 1, 11, 16 + 2 + 1}, x:narrow(1, 1, 8):totable())
  end)

  it("is told by name what sim does not have, when it runs", function()
    local sim = pah.device "sim"
    local m = sim:compile{text = [[
      #include <curand_kernel.h>
      namespace children { template <class T> __global__ void fill(T *x, int n) { x[threadIdx.x] = n; } }
      extern "C" __global__ void f(float *x, int which, cudaTextureObject_t texture, cudaSurfaceObject_t surface) {
        curandState state;
        if (which == 1) x[0] = tex2D<float>(texture, 1.5f, 2.5f);
        if (which == 2) surf2Dwrite(x[0], surface, 4, 5);
        if (which == 3) children::fill<float><<<dim3(1, 2), (3 > 2 ? 32 : 64)>>>(x, 4);
        if (which == 4) cudaDeviceSynchronize();
        if (which == 5) curand_init(1, threadIdx.x, 0, &state);
        if (which == 6) x[0] = curand_uniform(&state);
        x[which] = 2;
      }]]}
    local names = {"tex2D, a read of a texture,", "surf2Dwrite, an access to a surface,",
      "a launch by a kernel, of children::fill,", "cudaDeviceSynchronize, CUDA's runtime in a kernel,",
      "curand_init, cuRAND without the toolkit's folder in include=,",
      "curand_uniform, cuRAND without the toolkit's folder in include=,"}
    for which = 0, 6 do
      local x = pah.zeros({8}, {device = sim})
      local report = m:launch("f", {on_finding = "report"}, x, which, pah.u64(0), pah.u64(0))
      assert.equal(which == 0 and 0 or 1, #report.findings)
      if which == 0 then
        assert.equal(2, x:to "cpu":get(1))
      else
        assert.equal("unsupported", report.findings[1].code)
        assert.equal(names[which] .. " cannot be simulated", report.findings[1].message)
        assert.equal(which + 4, report.findings[1].line)
      end
    end
  end)

  it("is taken by NVRTC", function()
    local there, device = pcall(pah.device, "cuda:sm_90a")
    if not there then return pending(tostring(device)) end
    assert.same({"f"}, device:compile{text = differences, defines = {T = "float", N = 4}}:kernels())
  end)
end)

local nvrtc, why_not = pcall(pah.device, "cuda:sm_90a")

describe("a source of others on cuda", function()
  if not nvrtc then return pending(tostring(why_not)) end

  it("compiles without the host's code, and says what that was, from the cache too", function()
    local text = [[
      #include <torch/extension.h>
      using namespace torch::indexing;
      static std::vector<at::Tensor> kept;
      __global__ void f(float *x) { x[threadIdx.x] = 1; }
      template <class T, int N> __global__ void g(T *x) { x[threadIdx.x] = N; }
      void run(at::Tensor x) { g<float, 3><<<1, 32>>>(x.data_ptr<float>()); }
      int main() { std::cout << "}" << std::endl; f<<<1, 1>>>(nullptr); }]]
    for _ = 1, 2 do
      local m = pah.device "cuda:sm_90a":compile{text = text}
      assert.same({"f"}, m:kernels())
      assert.same({"header torch/extension.h", "declaration using namespace torch::indexing at line 2",
        "declaration kept at line 3", "function run at line 6", "function main at line 7",
        "launch g<float, 3> at line 6"}, m.skipped)
    end
  end)
end)
