// ptx_attention90.cu - the forward of ptx_attention.cu as sm_90a does it: a producer warp, two warpgroups of 64
// queries, bulk tensor copies into two stages, Q K^T from shared memory, P V with P in registers and V as it lies
// (N-major), the result through shared memory and a bulk tensor store. BUG plants one mistake, 0 none. Read next:
// ptx_pipeline.cu.
#include "ptx.cuh"
using namespace ptx;

#ifndef BUG
#define BUG 0
#endif

constexpr int D = 128, Queries = 128, Keys = 64, Stages = 2, Consumers = 256;
constexpr u32 Half = Keys * 128; // bytes of 64 rows of 64 elements: a row fills the 128-byte swizzle
constexpr u32 QueryBytes = 4 * Half, StageBytes = 4 * Half;

extern __shared__ __align__(1024) unsigned char pool[];

struct ring {
  u64 full[Stages], empty[Stages], queries;
};

__device__ void produce(ring &r, const tensor_map &q, const tensor_map &k, const tensor_map &v, int steps) {
  const u32 base = shared(pool), ready = shared(&r.queries);
  mbarrier_arrive_expect_tx(ready, QueryBytes);
  for (int i = 0; i < 4; i++) // two warpgroups, two halves of a row
    tensor_load(base + i * Half, q, i % 2 * 64, blockIdx.x * Queries + i / 2 * 64, blockIdx.y, ready);
  for (int step = 0; step < steps; step++) {
    const int stage = step % Stages;
    const u32 full = shared(&r.full[stage]), at = base + QueryBytes + stage * StageBytes;
    mbarrier_wait(shared(&r.empty[stage]), (step / Stages & 1) ^ 1);
    mbarrier_arrive_expect_tx(full, StageBytes);
    for (int i = 0; i < 2; i++) {
      tensor_load(at + i * Half, k, i * 64, step * Keys, blockIdx.y, full);
      tensor_load(at + (2 + i) * Half, v, i * 64, step * Keys, blockIdx.y, full);
    }
  }
}

__device__ float across(float x, int add) {
  for (int step = 1; step < 4; step *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, x, step);
    x = add ? x + other : fmaxf(x, other);
  }
  return x;
}

// Element i of a thread is in row g + 8 * (i / 2 % 2).
__device__ __forceinline__ void soften(float (&s)[Keys / 2], float (&o)[D / 2], float (&largest)[2], float (&sum)[2],
                                       float scale) {
  for (int half = 0; half < 2; half++) {
    float top = largest[half];
    for (int i = 0; i < Keys / 2; i++) {
      if (i / 2 % 2 == half) top = fmaxf(top, s[i]);
    }
    top = across(top, 0);
    const float shrink = ex2((largest[half] - top) * scale);
    largest[half] = top;
    sum[half] *= shrink;
    for (int i = 0; i < D / 2; i++) {
      if (i / 2 % 2 == half) o[i] *= shrink;
    }
    for (int i = 0; i < Keys / 2; i++) {
      if (i / 2 % 2 != half) continue;
      s[i] = ex2((s[i] - top) * scale);
      sum[half] += s[i];
    }
  }
}

__device__ __forceinline__ void attend(ring &r, int group, float (&o)[D / 2], float (&sum)[2], int steps, float scale) {
  float s[Keys / 2], largest[2] = {-INFINITY, -INFINITY};
  const u32 queries = shared(pool) + group * 2 * Half;
  mbarrier_wait(shared(&r.queries), 0);
  for (int step = 0; step < steps; step++) {
    const int stage = step % Stages;
    const u32 keys = shared(pool) + QueryBytes + stage * StageBytes, values = keys + 2 * Half;
    mbarrier_wait(shared(&r.full[stage]), step / Stages & 1);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      const u32 offset = i / 4 * Half + i % 4 * 32;
      wgmma_ss<WGMMA_BF16, Keys>(s, wgmma_descriptor(queries + offset, SWIZZLE_128, 16, 1024),
                                 wgmma_descriptor(keys + offset, SWIZZLE_128, 16, 1024), i > 0);
    }
    wgmma_commit_group();
    if (BUG != 1) wgmma_wait_group<0>();
    soften(s, o, largest, sum, scale);
    if (BUG != 2) wgmma_fence();
#pragma unroll
    for (int i = 0; i < Keys / 16; i++) {
      const u32 p[4] = {cvt_bf16x2(s[8 * i], s[8 * i + 1]), cvt_bf16x2(s[8 * i + 2], s[8 * i + 3]),
                        cvt_bf16x2(s[8 * i + 4], s[8 * i + 5]), cvt_bf16x2(s[8 * i + 6], s[8 * i + 7])};
      wgmma_rs<WGMMA_BF16, D, 1>(o, p, wgmma_descriptor(values + i * 2048, SWIZZLE_128, Half, 1024), 1);
    }
    wgmma_commit_group();
    wgmma_wait_group<0>();
    // One thread speaks for its warpgroup: the wait covers the reads of all four warps.
    if (threadIdx.x % 128 == 0) mbarrier_arrive(shared(&r.empty[stage]));
  }
}

// q [H, Sq, D], k, v [H, Sk, D] bf16, out the same as f32 in boxes of 64 rows of 32. Grid: Sq / 128 by H.
extern "C" __global__ void __launch_bounds__(Consumers + 128)
    attention(const __grid_constant__ tensor_map q, const __grid_constant__ tensor_map k,
              const __grid_constant__ tensor_map v, const __grid_constant__ tensor_map out, int sk, float scale) {
  __shared__ __align__(8) ring r;
  const int thread = threadIdx.x, group = thread / 128, lane = thread % 32;
  if (thread == 0) {
    for (int i = 0; i < Stages; i++) mbarrier_init(shared(&r.full[i]), 1), mbarrier_init(shared(&r.empty[i]), 2);
    mbarrier_init(shared(&r.queries), 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (group == 2) {
    setmaxnreg_dec<40>();
    if (thread == Consumers) produce(r, q, k, v, sk / Keys);
    return;
  }
  setmaxnreg_inc<232>();
  float o[D / 2] = {}, sum[2] = {};
  attend(r, group, o, sum, sk / Keys, scale);
  for (int half = 0; half < 2; half++) sum[half] = across(sum[half], 1);
  // The queries' and keys' memory becomes four boxes of 64 x 32 floats per warpgroup, once both are done with it.
  if (BUG != 3) bar_sync(1, Consumers);
  const u32 boxes = shared(pool) + group * 4 * Half;
  const int row = 16 * (thread % 128 / 32) + lane / 4;
  for (int i = 0; i < D / 2; i += 2) {
    const int column = 8 * (i / 4) + 2 * (lane % 4), in_group = row + 8 * (i / 2 % 2);
    const u32 at = boxes + column / 32 * Half + swizzled<128>(in_group * 128 + column % 32 * 4);
    float *p = reinterpret_cast<float *>(pool + (at - shared(pool)));
    p[0] = o[i] / sum[i / 2 % 2], p[1] = o[i + 1] / sum[i / 2 % 2];
  }
  if (BUG != 4) fence_proxy_async_shared();
  bar_sync(2 + group, 128);
  if (thread % 128 == 0) {
    for (int i = 0; i < 4; i++)
      tensor_store(out, i * 32, blockIdx.x * Queries + group * 64, blockIdx.y, boxes + i * Half);
    bulk_commit_group();
    if (BUG != 5) bulk_wait_group<0>();
  }
}
