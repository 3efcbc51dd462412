// ptx_bugs.cu - small kernels around one asynchronous instruction each; Bug 0 is right, every other number plants one
// mistake. ptx_bugs_spec.lua lists which finding each must cause, and that the right ones cause none.
#include "ptx.cuh"
using namespace ptx;

extern __shared__ __align__(1024) unsigned char pool[];

// ---- cp.async: 64 threads bring 16 bytes each and read what another warp brought ----
template <int Bug> __global__ void copy(float *in, float *out) {
  __shared__ __align__(16) float tile[256];
  const int i = threadIdx.x;
  float *own = tile + 4 * i;
  cp_async_cg(shared(own), in + 4 * i);
  if (Bug != 1) cp_async_commit_group();
  if (Bug == 2) own[1] = 0;                           // the destination, before the copy has landed
  if (Bug == 3) in[4 * i + 2] += 1;                   // the source
  if (Bug == 4) __syncthreads();                      // before the wait: a thread knows only its own copies to be there
  if (Bug == 6) cp_async_cg(shared(own), in + 4 * i); // a second copy to the same place
  if (Bug != 5) cp_async_wait_group<0>();
  if (Bug == 1) cp_async_commit_group(); // too late
  if (Bug != 4) __syncthreads();
  for (int j = 0; j < 4; j++) out[4 * i + j] = tile[(4 * i + j) ^ 128];
}

// Two stages: the next tile flies while this one is read.
template <int Bug> __global__ void stages(const float *in, float *out, int steps) {
  __shared__ __align__(16) float tile[2][256];
  const int i = threadIdx.x;
  float sum = 0;
  cp_async_cg(shared(&tile[0][4 * i]), in + 4 * i);
  cp_async_commit_group();
  for (int step = 0; step < steps; step++) {
    if (step + 1 < steps) cp_async_cg(shared(&tile[(step + 1) % 2][4 * i]), in + (step + 1) * 256 + 4 * i);
    cp_async_commit_group();
    cp_async_wait_group<Bug == 1 ? 2 : 1>(); // 2: the tile that is read may still fly
    __syncthreads();
    for (int j = 0; j < 4; j++) sum += tile[step % 2][(4 * i + j) ^ 128];
    if (Bug != 2) __syncthreads(); // without: the next copy overwrites what others still read
  }
  out[i] = sum;
}

// Zero fill of a ragged end, and 4 bytes each.
template <int Bug> __global__ void ragged(const float *in, float *out, int n) {
  __shared__ __align__(16) float tile[64];
  const int i = threadIdx.x;
  cp_async_ca<4>(shared(&tile[i]), in + (i < n || Bug == 1 ? i : 0), i < n || Bug == 1 ? 4 : 0);
  cp_async_wait_all();
  __syncthreads();
  out[i] = tile[63 - i];
}

// Copies that report to an mbarrier.
template <int Bug> __global__ void reported(const float *in, float *out) {
  __shared__ __align__(16) float tile[256];
  __shared__ __align__(8) u64 barrier;
  const int i = threadIdx.x;
  if (i == 0 && Bug != 1) mbarrier_init(shared(&barrier), Bug == 2 ? 65 : 64);
  __syncthreads();
  cp_async_cg(shared(tile + 4 * i), in + 4 * i);
  cp_async_mbarrier_arrive_noinc(shared(&barrier));
  if (Bug == 3) mbarrier_arrive(shared(&barrier));
  if (Bug == 4 && i == 5) barrier = 0;
  if (Bug != 5) mbarrier_wait(shared(&barrier), Bug == 6);
  if (Bug == 5) __syncthreads();
  for (int j = 0; j < 4; j++) out[4 * i + j] = tile[(4 * i + j) ^ 128];
}

// The same with an arrival that is added to those counted in, so that each thread arrives by itself too.
template <int Bug> __global__ void counted(const float *in, float *out) {
  __shared__ __align__(16) float tile[256];
  __shared__ __align__(8) u64 barrier;
  const int i = threadIdx.x;
  if (i == 0) mbarrier_init(shared(&barrier), 64);
  __syncthreads();
  if (Bug != 2) cp_async_ca<16>(shared(tile + 4 * i), in + 4 * i);
  cp_async_mbarrier_arrive(shared(&barrier));
  if (Bug == 2) cp_async_ca<16>(shared(tile + 4 * i), in + 4 * i); // not reported by the arrival before it
  if (Bug != 1) mbarrier_arrive(shared(&barrier));
  mbarrier_wait(shared(&barrier), 0);
  for (int j = 0; j < 4; j++) out[4 * i + j] = tile[(4 * i + j) ^ 128];
}

// An mbarrier as an ordinary barrier, twice.
template <int Bug> __global__ void arrivals(float *out) {
  __shared__ __align__(8) u64 barrier;
  __shared__ float value[64];
  const int i = threadIdx.x;
  if (i == 0) mbarrier_init(shared(&barrier), 64);
  if (i == 0 && Bug == 2) mbarrier_init(shared(&barrier), 64);
  __syncthreads();
  value[i] = i;
  mbarrier_arrive(shared(&barrier));
  if (Bug != 1) mbarrier_wait(shared(&barrier), 0);
  const float other = value[63 - i];
  const u64 state = mbarrier_arrive(shared(&barrier));
  while (!mbarrier_test_wait(shared(&barrier), state)) {
  }
  value[i] = other + 1;
  out[i] = value[i];
}

// ---- ldmatrix ----
template <int Bug> __global__ void rows(float *out) {
  __shared__ __align__(16) unsigned short tile[512];
  const int lane = threadIdx.x;
  u32 r[4];
  for (int i = lane; i < 512; i += 32) tile[i] = i;
  if (Bug != 1) __syncwarp();
  if (Bug == 4 && lane == 31) return; // the other lanes are not a whole warp
  ldmatrix_x4(r, shared(tile + 8 * lane) + (Bug == 2 ? 4 : 0) + (Bug == 3 ? 1 << 18 : 0));
  out[lane] = r[0] + r[3];
}

// ---- Bulk copies ----
template <int Bug> __global__ void bulk(float *in, float *out) {
  __shared__ __align__(8) u64 barrier;
  float *tile = reinterpret_cast<float *>(pool);
  const int i = threadIdx.x;
  if (i == 0) {
    mbarrier_init(shared(&barrier), 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (i == 0) {
    mbarrier_arrive_expect_tx(shared(&barrier), Bug == 1 ? 512 : 1024);
    bulk_load(shared(pool) + (Bug == 2 ? 8 : 0), in, 1024, shared(&barrier));
    if (Bug == 3) in[7] = 0;
  }
  if (Bug != 4) mbarrier_wait(shared(&barrier), 0);
  for (int j = 0; j < 4; j++) tile[4 * i + j] += 1;
  if (Bug != 5) fence_proxy_async_shared();
  if (Bug != 6) __syncthreads();
  if (i == 0) {
    bulk_store(out, shared(pool), 1024);
    bulk_commit_group();
    if (Bug != 7 && Bug != 11) bulk_wait_group_read<0>();
    if (Bug == 7 || Bug == 8) tile[3] = 0;            // 8: its source may be changed now
    if (Bug == 9) in[0] = out[0];                     // but the result is not there yet
    if (Bug != 10 && Bug != 11) bulk_wait_group<0>(); // 10: nobody needs the result in this kernel
  }
  if (Bug == 7) return;
  __syncthreads();
}

// ---- wgmma: A and B written by the threads themselves ----
template <int Bug> __global__ void product(float *out) {
  unsigned short *a = reinterpret_cast<unsigned short *>(pool), *b = a + 64 * 16;
  const int i = threadIdx.x;
  float sums[4];
  for (int j = i; j < 64 * 16; j += 128) a[j] = 0x3f80; // 1
  for (int j = i; j < 8 * 16; j += 128) b[j] = 0x3f80;
  for (int j = 0; j < 4; j++) sums[j] = 1;
  if (Bug != 1) fence_proxy_async_shared();
  if (Bug != 2) __syncthreads();
  // Not swizzled: matrices of 8 x 16 bytes, 128 bytes from one to the next along k, 256 along rows.
  const u64 da = wgmma_descriptor(shared(a), SWIZZLE_NONE, 128, 256),
            db = wgmma_descriptor(shared(b), SWIZZLE_NONE, 128, 256);
  if (Bug != 3) wgmma_fence();
  wgmma_ss<WGMMA_BF16, 8>(sums, da, db, 1);
  if (Bug == 4) sums[0] *= 2;
  if (Bug != 5) wgmma_commit_group();
  if (Bug == 6) b[i] = 0;
  if (Bug != 7) wgmma_wait_group<0>();
  if (Bug == 8) {
    sums[1] *= 2;
    wgmma_ss<WGMMA_BF16, 8>(sums, da, db, 1); // no fence after the registers were changed
    wgmma_commit_group();
    wgmma_wait_group<0>();
  }
  for (int j = 0; j < 4; j++) out[4 * i + j] = sums[j];
}

// A tensor map that is not one.
template <int Bug> __global__ void unmapped(const __grid_constant__ tensor_map map, float *out) {
  __shared__ __align__(8) u64 barrier;
  if (threadIdx.x == 0) {
    mbarrier_init(shared(&barrier), 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(shared(&barrier), 256);
    if (Bug == 2)
      tensor_load(shared(pool) + 64, map, 0, 0, shared(&barrier));
    else
      tensor_load(shared(pool), map, 0, 0, shared(&barrier));
    mbarrier_wait(shared(&barrier), 0);
    out[0] = reinterpret_cast<float *>(pool)[0];
  }
}

// ---- Warps of a thread block that meet at named barriers, and a cluster of one ----
template <int Bug> __global__ void named(float *out) {
  __shared__ float value[64];
  const int i = threadIdx.x;
  if (i < 32) {
    value[i] = i;
    if (Bug != 1) bar_arrive(1, 64);
    value[32 + i] = 0;
  } else {
    if (Bug != 1) bar_sync(Bug == 2 ? 2 : 1, 64);
    out[i] = value[i - 32] + elect_one() + cluster_ctarank();
  }
  cluster_arrive();
  cluster_wait();
  out[63 - i] += value[i];
}
