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
extern "C" {
#include <a_header_that_is_not_there.h>
__global__ void features(int *out) {
#if __CUDA_ARCH_HAS_FEATURE__(SM100_ALL) || __CUDA_ARCH_HAS_FEATURE__(SM101_ALL)
  out[0] = 100;
#elif __CUDA_ARCH_HAS_FEATURE__(SM90_ALL)
  out[0] = __CUDA_ARCH_SPECIFIC__ + __CUDA_ARCH_FAMILY_SPECIFIC__;
#else
  out[0] = __CUDA_ARCH__;
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
end)
