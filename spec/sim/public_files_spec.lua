-- public_files_spec.lua - what public CUDA files do and the host's compiler or our own reading of them stumbled over:
-- each case is the kind, in a kernel of our own. host_code_spec.lua has the host's side of such files.

local pragmas = [[
#define UNROLL #pragma unroll
#define UNROLL_BY_TWO #pragma unroll 2
#define UNROLL_OF_FOUR #pragma unroll (four)
#define UNROLL_FOUR #pragma unroll four
constexpr int four = 4;
__device__ int sum(int n) {
  int s = 0;
    UNROLL
  for (int i = 0; i < n; i++) s += i;
    UNROLL_BY_TWO
  for (int i = 0; i < n; i++) s += i;
  UNROLL_FOUR for (int i = 0; i < n; i++) s += i;
  UNROLL_OF_FOUR for (int i = 0; i < n; i++) s += i;
  UNROLL while (n > 4) s += n--;
  return s;
}
template <const int n, const int more = -1>
__global__ void pragmas(int *out) {
  UNROLL for (int i = 0; i < 2; i++) out[i] = sum(n) + more;
}
template __global__ void pragmas<5>(int *);
]]

local features = [[
#ifndef __host__
#define __host__
#define __device__
#endif
#if !defined(__global__) || !defined(__shared__) || !defined(__forceinline__) || !defined(__launch_bounds__)
#error no CUDA
#endif
extern "C" {
#include <a_header_that_is_not_there.h>
__host__ __device__ int feature() { return 100; }
__global__ void features(int *out) {
#if __CUDA_ARCH_HAS_FEATURE__(SM100_ALL) || __CUDA_ARCH_HAS_FEATURE__(SM101_ALL)
  out[0] = feature();
#elif __CUDA_ARCH_HAS_FEATURE__(SM90_ALL)
  out[0] = __CUDA_ARCH_SPECIFIC__ + __CUDA_ARCH_FAMILY_SPECIFIC__;
#else
  out[0] = __CUDA_ARCH__ + feature() - 100;
#endif
}
}
]]

local constants = [[
#include <cuda_bf16.h>
#include <cuda_fp16.h>
struct Zero {
  static __device__ constexpr __nv_bfloat162 pair() {
    return __nv_bfloat162{__nv_bfloat16_raw{0x3f80}, __nv_bfloat16_raw{0}};
  }
  static __device__ constexpr half2 halves() { return half2{__half_raw{0}, __half_raw{0x3c00}}; }
};
__global__ void constants(float *out) {
  out[0] = __bfloat162float(Zero::pair().x);
  out[1] = __half2float(Zero::halves().y);
}
]]

local libraries = [[
template <class T> struct Length;
template <> struct Length<float> { static constexpr int value = 4; };
namespace detail {
template <class T> auto has_length(T *) -> std::integral_constant<bool, 0 <= Length<T>::value>;
auto has_length(...) -> std::integral_constant<bool, false>;
template <class T> inline void __takes(T) noexcept {}
template <class T> inline auto _Fragment(T v) -> decltype(v + 1) { return v + 1; }
}
template <class T> constexpr bool has = decltype(detail::has_length((T *)0))::value;
template <class T> constexpr bool takes = noexcept(detail::__takes<T>(T()));
template <class T, class = decltype(detail::_Fragment(T()))> __device__ int one(T) { return 1; }
__global__ void libraries(int *out) {
  out[0] = has<float> + 2 * has<int> + 4 * takes<int> + 8 * one(1.0f);
  __nv_atomic_fetch_add(&out[1], 5, __NV_ATOMIC_RELAXED, __NV_THREAD_SCOPE_DEVICE);
  __nv_atomic_fetch_max(&out[2], 1 + (int)threadIdx.x, __NV_ATOMIC_ACQ_REL);
}
__global__ void flag(int *out, int *at, int order) {
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    out[0] = 7;
    __nv_atomic_store_n(at, 1, order ? __NV_ATOMIC_RELEASE : __NV_ATOMIC_RELAXED, __NV_THREAD_SCOPE_DEVICE);
  }
  int one = 1;
  if (blockIdx.x == 1 && threadIdx.x == 0 &&
      __nv_atomic_compare_exchange_n(at, &one, 2, false, __NV_ATOMIC_ACQUIRE, __NV_ATOMIC_RELAXED))
    out[1] = out[0];
}
]]

local vectors = [[
#include <cooperative_groups/details/partitioning.h>
#include <mma.h>
#include <nccl.h>
#if !defined(__NVCC__) || NCCL_VERSION_CODE >= NCCL_VERSION(2, 10, 0)
#error as nvcc is
#endif
template <class T> struct Bits { enum { value = std::is_same<T, nvcuda::wmma::experimental::precision::b1>::value }; };
__global__ void vectors(float2 *two, float4 *four) {
  namespace cg = cooperative_groups;
  auto tile = cg::tiled_partition<32>(cg::this_thread_block());
  atomicAdd(two, float2{1, 2});
  float4 old = atomicAdd(four, make_float4(1, 2, 3, tile.size() + Bits<int>::value));
  if (old.x > 999) nvcuda::wmma::bmma_sync(old, old, old, old);
  if (old.x > 63 || __dp4a(make_char4(-1, 2, -3, 4), make_char4(5, 6, 7, 8), 1) != 19) two->x = -1;
}
]]

local torch = [[
#include <torch/extension.h>
#include <ATen/AccumulateType.h>
#include <c10/util/Half.h>
#include <cuComplex.h>
using namespace torch::indexing;
using at::Tensor;
template <class scalar_t>
__global__ void C10_LAUNCH_BOUNDS_1(8) rows(torch::PackedTensorAccessor32<scalar_t, 2, torch::RestrictPtrTraits> a,
                                            scalar_t *out) {
  at::acc_type<scalar_t, true> sum = 0;
  for (int i = 0; i < a.size(1); i++) sum += a[threadIdx.x][i] * 2;
  gpuAtomicAdd(&out[threadIdx.x], sum);
  scalar_t half = out[threadIdx.x];
  half += 1;
  if (half > 2.5f && half != std::numeric_limits<scalar_t>::lowest()) out[threadIdx.x] = half * 0.5f - half / half;
}
__global__ void offsets(at::cuda::detail::TensorInfo<float, int> a, float *out) {
  out[threadIdx.x] = a.data[at::cuda::detail::IndexToOffset<float, int, -1>::get(threadIdx.x, a)];
}
__global__ void __attribute__((__visibility__("hidden"))) loops(float *out, int n) {
  CUDA_KERNEL_LOOP(i, n) {
    if (i == 1) continue;
    out[i] += cuCabsf(cuCdivf(make_cuComplex(30, 40), make_cuComplex(0, 10)));
  }
  CUDA_KERNEL_LOOP_TYPE(k, n, int64_t) out[k] += k;
  cudaGridDependencySynchronize();
}
__device__ at::Half atomicAdd(at::Half *p, at::Half v) { at::Half old = *p; *p = old + v; return old; }
Tensor launch(const Tensor &t) { rows<float><<<1, 2>>>(t.packed_accessor32<float, 2>(), nullptr); return t; }
]]

describe("public CUDA files", function()
  it("pragmas of macros and template parameters that are const", function()
    local dev = pah.device "sim"
    local out = pah.zeros({2}, {device = dev, dtype = "i32"})
    dev:compile{text = pragmas}:launch("pragmas<5>", {}, out)
    assert.equal(10 * 4 + 5 - 1, out:get(1))
  end)
  it("features of an architecture", function()
    for name, expected in pairs{sim = 800, ["sim:sm_90a"] = 1800} do
      local dev = pah.device(name)
      local out = pah.zeros({1}, {device = dev, dtype = "i32"})
      dev:compile{text = features}:launch("features", {}, out)
      assert.equal(expected, out:get(1))
    end
  end)
  it("pairs of 16-bit numbers as constants", function()
    local dev = pah.device "sim"
    local out = pah.zeros({2}, {device = dev})
    dev:compile{text = constants}:launch("constants", {}, out)
    assert.same({1, 1}, out:totable())
  end)
  it("what PyTorch has for the device", function()
    local ffi = require "ffi"
    local dev = pah.device "sim"
    local kernels = {"rows<float>", "rows<c10::Half>", "rows<at::BFloat16>", "loops", "offsets"}
    local module = dev:compile{text = torch, kernels = kernels}
    for name, dtype in pairs{float = "f32", ["c10::Half"] = "f16", ["at::BFloat16"] = "bf16"} do
      local a = pah.tensor({{1, 2, 3}, {4, 5, 6}}, {device = dev, dtype = dtype})
      local out = pah.zeros({2}, {device = dev, dtype = dtype})
      local address = ffi.cast("uintptr_t", a:data())
      local view = ffi.new("struct { uint64_t data; int32_t sizes[2], strides[2]; }", address, {2, 3}, {3, 1})
      module:launch("rows<" .. name .. ">", {block = 2}, view, out)
      assert.same({13 / 2 - 1, 31 / 2 - 1}, out:to("f32"):totable())
    end
    local out = pah.zeros({5}, {device = dev})
    module:launch("loops", {grid = 2, block = 2}, out, 5)
    assert.same({5, 1, 7, 8, 9}, out:totable())
    local a = pah.arange(8, {device = dev, dtype = "f32"})
    local info = ffi.new("struct { uint64_t data; int32_t sizes[25], strides[25], dims; }",
      ffi.cast("uintptr_t", a:data()), {2, 2, 2}, {1, 4, 2}, 3) -- [x][y][z] at x + 4 y + 2 z
    out = pah.zeros({8}, {device = dev})
    module:launch("offsets", {block = 8}, info, out)
    assert.same({0, 2, 4, 6, 1, 3, 5, 7}, out:totable())
  end)
  it("functions for decltype alone, and atomics with an order", function()
    local dev = pah.device "sim"
    local out = pah.zeros({3}, {device = dev, dtype = "i32"})
    local module = dev:compile{text = libraries}
    module:launch("libraries", {block = 4}, out)
    assert.same({13, 20, 4}, out:totable())
    for order, expected in pairs{[0] = "race", [1] = ""} do
      local report = module:launch("flag", {grid = 2, on_finding = "report"}, out,
        pah.zeros({1}, {device = dev, dtype = "i32"}), order)
      assert.equal(expected, report.findings[1] and report.findings[1].code or "")
      assert.equal(7, out:get(2))
    end
  end)
  it("vectors added by atomics, headers within those of the toolkit", function()
    local dev = pah.device "sim:sm_90a"
    local two, four = pah.zeros({2}, {device = dev}), pah.zeros({4}, {device = dev})
    dev:compile{text = vectors}:launch("vectors", {grid = 2, block = 32}, two, four)
    assert.same({64, 128}, two:totable())
    assert.same({64, 128, 192, 64 * 32}, four:totable())
  end)
  it("headers of the host's libraries are not read by NVRTC", function()
    local there, dev = pcall(pah.device, "cuda:sm_90a")
    if not there then return pending(tostring(dev)) end
    local module = dev:compile{include = (os.getenv "CUDA_HOME" or "/usr/local/cuda") .. "/include",
      text = "#include <cublas_v2.h>\n#include <cusparse.h>\n__global__ void f(int *x) { *x = 1; }"}
    assert.same({"f"}, module:kernels())
  end)
end)
