// ptx_pipeline.cu - C (M x N, f32) = A (M x K) B (N x K)^T in bf16 as Hopper kernels do it: a producer warp fills a
// ring of shared memory by bulk tensor copies with the 128-byte swizzle, a warpgroup multiplies it by wgmma; mbarriers
// say which stages are full and empty. BUG plants one mistake, 0 none: ptx_bugs_spec.lua lists them.
#include "ptx.cuh"
using namespace ptx;

#ifndef BUG
#define BUG 0
#endif

constexpr int BlockM = 64, BlockN = 64, BlockK = 64, Stages = 2;
constexpr u32 StageBytes = (BlockM + BlockN) * BlockK * 2;

extern __shared__ __align__(1024) unsigned char ring[];

__device__ void produce(const tensor_map &a, const tensor_map &b, const u64 *full, const u64 *empty, int steps) {
  for (int step = 0; step < steps; step++) {
    const int stage = step % Stages;
    const u32 round = step / Stages, barrier = shared(&full[stage]), at = shared(ring) + stage * StageBytes;
    if (BUG != 2) mbarrier_wait(shared(&empty[stage]), (round & 1) ^ 1);
    mbarrier_arrive_expect_tx(barrier, BUG == 9 ? StageBytes + 16 : StageBytes);
    if (BUG == 8) mbarrier_arrive(barrier);
    tensor_load(at, a, step * BlockK, blockIdx.y * BlockM, barrier);
    tensor_load(at + BlockM * BlockK * 2, b, step * BlockK, blockIdx.x * BlockN, barrier);
  }
}

__device__ void consume(float *c, int n, const u64 *full, const u64 *empty, int steps) {
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  float sums[BlockN / 2];
  for (int i = 0; i < BlockN / 2; i++) sums[i] = 0;
  for (int step = 0; step < steps; step++) {
    const int stage = step % Stages;
    const u32 round = step / Stages, at = shared(ring) + stage * StageBytes;
    if (BUG != 1) mbarrier_wait(shared(&full[stage]), round & 1);
    if (BUG != 5) wgmma_fence();
    for (int k = 0; k < BlockK / 16; k++) {
      const u64 da = wgmma_descriptor(at + k * 32, SWIZZLE_128, 16, 1024);
      const u64 db = wgmma_descriptor(at + BlockM * BlockK * 2 + k * 32, SWIZZLE_128, 16, 1024);
      wgmma_ss<WGMMA_BF16, BlockN>(sums, da, db, 1);
    }
    wgmma_commit_group();
    if (BUG == 3 && lane == 0) mbarrier_arrive(shared(&empty[stage]));
    if (BUG != 4) wgmma_wait_group<0>();
    if (BUG != 3 && lane == 0) mbarrier_arrive(shared(&empty[stage]));
  }
  for (int i = 0; i < BlockN / 2; i++) {
    const int row = blockIdx.y * BlockM + 16 * warp + lane / 4 + 8 * (i / 2 % 2);
    c[row * n + blockIdx.x * BlockN + 8 * (i / 4) + 2 * (lane % 4) + i % 2] = sums[i];
  }
}

extern "C" __global__ void __launch_bounds__(160)
    pipeline(const __grid_constant__ tensor_map a, const __grid_constant__ tensor_map b, float *c, int n, int k) {
  __shared__ __align__(8) u64 full[Stages], empty[Stages];
  if (threadIdx.x == 0) {
    for (int i = 0; i < Stages; i++) {
      mbarrier_init(shared(&full[i]), 1);
      mbarrier_init(shared(&empty[i]), 4);
    }
    if (BUG != 6) fence_mbarrier_init();
  }
  if (BUG != 7) __syncthreads();
  if (threadIdx.x < 128)
    consume(c, n, full, empty, k / BlockK);
  else if (threadIdx.x == 128)
    produce(a, b, full, empty, k / BlockK);
}
