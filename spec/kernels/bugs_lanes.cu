// bugs_lanes.cu - mistakes with lanes that are not there, memory that a launch must not write, and scopes that are too
// small. BUG 1 has the mistake at the line marked with the kernel's name. g has 256 numbers, u has 256 that nobody has
// written; spec/sim/sim_bugs_spec.lua launches them with 64 threads.
#include "ptx.cuh"
#define TEMPLATE template <int BUG> __global__ void

TEMPLATE mask_names_exited(int *g, int *u, int n) {
  if (threadIdx.x % 32 >= 16) return;
  int v = g[threadIdx.x];
  for (int step = 8; step; step /= 2) v += __shfl_xor_sync(BUG ? 0xffffffff : 0xffff, v, step); // mask_names_exited
  u[threadIdx.x] = v;
}

TEMPLATE vote_of_exited(int *g, int *u, int n) {
  if (threadIdx.x == 63) return;
  const unsigned mask = BUG || threadIdx.x < 32 ? 0xffffffff : 0x7fffffff;
  u[threadIdx.x] = __ballot_sync(mask, g[threadIdx.x] > 3); // vote_of_exited
}

TEMPLATE syncwarp_of_exited(int *g, int *u, int n) {
  if (threadIdx.x >= 48) return;
  __syncwarp(BUG || threadIdx.x < 32 ? 0xffffffff : 0xffff); // syncwarp_of_exited
  u[threadIdx.x] = 1;
}

TEMPLATE lane_outside_the_mask(int *g, int *u, int n) {
  if (threadIdx.x >= 40 && threadIdx.x < 48)
    u[threadIdx.x] = __shfl_sync(0xff00, g[threadIdx.x], BUG ? 7 : 8); // lane_outside_the_mask
}

// The tree of half a warp: only lane 0 has the sum, what the lanes above it take matters to nobody.
TEMPLATE tree_too_tall(int *g, int *u, int n) {
  int v = threadIdx.x < 16 ? g[threadIdx.x] : 0;
  if (threadIdx.x < 16)
    for (int step = BUG ? 16 : 8; step; step /= 2) v += __shfl_down_sync(0xffff, v, step); // tree_too_tall
  if (threadIdx.x == 0) u[0] = v;
}

TEMPLATE shuffle_by_ptx(int *g, int *u, int n) {
  int v = g[threadIdx.x], r = 0, by = BUG ? 16 : 4;
  if (threadIdx.x < 16)
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffff;" : "=r"(r) : "r"(v), "r"(by)); // shuffle_by_ptx
  u[threadIdx.x] = r;
}

TEMPLATE ldg_after_write(int *g, int *u, int n) {
  g[threadIdx.x] = 1;
  __syncthreads();
  u[threadIdx.x] = __ldg(&g[(BUG ? 63 : 127) - threadIdx.x]); // ldg_after_write
}

TEMPLATE write_after_ldg(int *g, int *u, int n) {
  int4 v = __ldg(reinterpret_cast<const int4 *>(g) + threadIdx.x % 16);
  __syncthreads();
  g[threadIdx.x + (BUG ? 0 : 64)] = v.y; // write_after_ldg
}

TEMPLATE nc_after_write(int *g, int *u, int n) {
  if (threadIdx.x == 63) g[10] = 1;
  __syncthreads();
  int v;
  asm volatile("ld.global.nc.s32 %0, [%1];" : "=r"(v) : "l"(g + (BUG ? 10 : 11))); // nc_after_write
  u[threadIdx.x] = v;
}

TEMPLATE block_scope(int *g, int *u, int n) {
  if (BUG)
    atomicAdd_block(&g[threadIdx.x / 32], 1); // block_scope
  else
    atomicAdd(&g[threadIdx.x / 32], 1);
  atomicMax_block(&g[128 + blockIdx.x], (int)threadIdx.x); // of each thread block its own
}

// One of the thread blocks is content with its own scope.
TEMPLATE block_scope_of_one(int *g, int *u, int n) {
  if (threadIdx.x < 63) return;
  if (blockIdx.x == 2 && BUG)
    atomicMax_block(&g[3], 5); // block_scope_of_one
  else
    atomicMax(&g[3], 5); // block_scope_of_one
}

TEMPLATE block_scope_by_ptx(int *g, int *u, int n) {
  if (BUG)
    asm volatile("red.cta.global.add.s32 [%0], 1;" ::"l"(g) : "memory"); // block_scope_by_ptx
  else
    asm volatile("red.gpu.global.add.s32 [%0], 1;" ::"l"(g) : "memory");
}

// The last thread block sums what the others have written; it may see that only behind a fence of the device.
TEMPLATE fence_of_the_block(int *g, int *u, int n) {
  __shared__ int last;
  u[blockIdx.x * 64 + threadIdx.x] = 1;
  if (BUG)
    __threadfence_block();
  else
    __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(&g[0], 1) == (int)gridDim.x - 1;
  __syncthreads();
  if (!last) return;
  __threadfence();
  for (int b = 0; b < (int)gridDim.x; b++) g[64 + threadIdx.x] += u[b * 64 + 63 - threadIdx.x]; // fence_of_the_block
}
