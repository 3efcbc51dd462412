/* peaks.cu - what a GPU can reach, for lua/pah/measure/peaks.lua: copy and read move bytes as fast as memory lets them,
 * read_blocks does in a shuffled order, peak and peak_fp8 do nothing but matrix instructions on zeros: wgmma on sm_90a,
 * mma.sync elsewhere (fp8 from sm_89 on, before it peak_fp8 is peak). */
#include "../ptx.cuh"

extern "C" __global__ void copy(float4 *to, const float4 *from, long long count) {
  long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) to[i] = from[i];
}

/* Each word is part of the sum, so that no read can be left out. Small sets are read over and over within a launch, or
 * launches would be what is measured. */
extern "C" __global__ void read(float *sums, const float4 *from, long long count, int passes) {
  long long step = (long long)gridDim.x * blockDim.x, first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  float sum = 0;
  for (int pass = 0; pass < passes; pass++)
    for (long long i = first; i < count; i += step) {
      float4 v = from[i];
      sum += v.x + v.y + v.z + v.w;
    }
  if (sum == 1.25f) sums[threadIdx.x] = sum;
}

/* Block after block of `words` float4, each read by one thread block; the order is a walk in steps of a prime that does
 * not divide `blocks`, far enough that no page or row of memory is met twice in a row. */
extern "C" __global__ void read_blocks(float *sums, const float4 *from, long long blocks, long long words) {
  float sum = 0;
  long long prime = blocks % 1000003 ? 1000003 : 999983;
  for (long long n = blockIdx.x; n < blocks; n += gridDim.x) {
    const float4 *block = from + n * prime % blocks * words;
    for (long long i = threadIdx.x; i < words; i += blockDim.x) {
      float4 v = block[i];
      sum += v.x + v.y + v.z + v.w;
    }
  }
  if (sum == 1.25f) sums[threadIdx.x] = sum;
}

#if PAH_PTX_ARCH >= 900
enum { N = 256 };
__shared__ __align__(1024) unsigned short a[64 * 64], b[256 * 64]; /* 128 bytes of k in each row */
/* A warpgroup's instruction is 64 x 256 x 16, with fp8 x 32: 32 bytes of each row; two warpgroups keep the tensor cores
 * of a multiprocessor busy. */
template <int Kind> __device__ __forceinline__ void wgmma_peak(float *sums, int rounds) {
  for (int i = threadIdx.x; i < 64 * 64; i += blockDim.x) a[i] = 0;
  for (int i = threadIdx.x; i < 256 * 64; i += blockDim.x) b[i] = 0;
  ptx::fence_proxy_async();
  __syncthreads();
  float d[N / 2] = {};
  ptx::u64 left = ptx::wgmma_descriptor(ptx::shared(a), ptx::SWIZZLE_128, 16, 1024);
  ptx::u64 right = ptx::wgmma_descriptor(ptx::shared(b), ptx::SWIZZLE_128, 16, 1024);
  ptx::wgmma_fence();
  for (int round = 0; round < rounds; round++) {
    for (int k = 0; k < 4; k++) ptx::wgmma_ss<Kind, N>(d, left + 2 * k, right + 2 * k, 1);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<1>();
  }
  ptx::wgmma_wait_group<0>();
  float sum = 0;
  for (int i = 0; i < N / 2; i++) sum += d[i];
  if (sum == 1.25f) sums[threadIdx.x] = sum;
}
extern "C" __global__ void __launch_bounds__(256) peak(float *sums, int rounds) {
  wgmma_peak<ptx::WGMMA_BF16>(sums, rounds);
}
extern "C" __global__ void __launch_bounds__(256) peak_fp8(float *sums, int rounds) {
  wgmma_peak<ptx::WGMMA_E4M3_E4M3>(sums, rounds);
}
#else
/* Eight independent sums of a warp; an instruction is 16 x 8 x 16, with fp8 x 32. */
template <int Fp8> __device__ __forceinline__ void mma_peak(float *sums, int rounds) {
  float d[8][4] = {};
  ptx::u32 a[4] = {};
  for (int round = 0; round < rounds; round++)
    for (int k = 0; k < 4; k++)
      for (int i = 0; i < 8; i++) {
#if PAH_PTX_ARCH >= 890
        if (Fp8)
          ptx::mma_m16n8k32_e4m3(d[i], a, 0u, 0u, d[i]);
        else
#endif
          ptx::mma_m16n8k16_bf16(d[i], a, 0u, 0u, d[i]);
      }
  float sum = 0;
  for (int i = 0; i < 8; i++) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
  if (sum == 1.25f) sums[threadIdx.x] = sum;
}
extern "C" __global__ void __launch_bounds__(256) peak(float *sums, int rounds) {
  mma_peak<0>(sums, rounds);
}
extern "C" __global__ void __launch_bounds__(256) peak_fp8(float *sums, int rounds) {
  mma_peak<1>(sums, rounds);
}
#endif

/* Sixteen independent chains of f32 multiply-adds a thread. */
extern "C" __global__ void __launch_bounds__(256) multiply_add(float *sums, float factor, int rounds) {
  float x[16];
  for (int i = 0; i < 16; i++) x[i] = (float)(threadIdx.x + i);
  for (int round = 0; round < rounds; round++)
    for (int i = 0; i < 16; i++) x[i] = __fmaf_rn(x[i], factor, factor);
  float sum = 0;
  for (int i = 0; i < 16; i++) sum += x[i];
  if (sum == 1.25f) sums[threadIdx.x] = sum;
}

/* Never ends, for the watchdog. */
extern "C" __global__ void spin(volatile int *flag) {
  while (*flag == 0) continue;
}
