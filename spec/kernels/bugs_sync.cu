// bugs_sync.cu - mistakes with barriers, warps and progress, one a kernel: <1> has it, <0> is the same kernel without
// it. The line that a finding must name ends in the kernel's name as a comment. Read next: spec/sim/sim_bugs_spec.lua.
#include <cooperative_groups.h>
constexpr int N = 64; // threads

template <int BUG> __global__ void barrier_in_a_branch(int *g, int *u, int n) {
  int t = threadIdx.x;
  if (t < 32) {
    g[t] = 1;
    if (BUG) __syncthreads(); // barrier_in_a_branch
  }
  if (!BUG) __syncthreads();
}

template <int BUG> __global__ void return_before_barrier(int *g, int *u, int n) {
  __shared__ int s[N];
  int t = threadIdx.x;
  if (BUG && t >= 50) return;
  s[t] = g[t];
  __syncthreads(); // return_before_barrier
  if (t < 49) g[t] = s[t + 1];
}

template <int BUG> __global__ void different_trips(int *g, int *u, int n) {
  int t = threadIdx.x;
  for (int i = 0; i < (BUG && t >= 32 ? 3 : 4); i++) __syncthreads(); // different_trips
  g[t] = t;
}

template <int BUG> __global__ void two_barriers(int *g, int *u, int n) {
  int t = threadIdx.x;
  if (BUG && t % 64 < 32) {
    g[t] = 1;
    __syncthreads(); // two_barriers
  } else {
    g[t] = 2;
    __syncthreads();          // two_barriers
    if (BUG) __syncthreads(); // two_barriers
  }
}

template <int BUG> __global__ void break_before_barrier(int *g, int *u, int n) {
  int t = threadIdx.x;
  for (int i = 0; i < 4; i++) {
    if (BUG && t + i == 60) break;
    __syncthreads(); // break_before_barrier
  }
  u[t] = t;
}

template <int BUG> __global__ void vote_in_a_branch(int *g, int *u, int n) {
  int t = threadIdx.x, any = 0;
  if (!BUG || t < 40) any = __syncthreads_or(t == 3); // vote_in_a_branch
  u[t] = any;
}

template <int BUG> __global__ void syncwarp_without_oneself(int *g, int *u, int n) {
  int lane = threadIdx.x % 32;
  if (!BUG) __syncwarp();
  if (BUG) __syncwarp(lane < 16 ? 0x0000ffffu : 0x00ffffffu); // syncwarp_without_oneself
  u[threadIdx.x] = lane;
}

template <int BUG> __global__ void ballot_in_a_branch(int *g, int *u, int n) {
  int t = threadIdx.x, b = 0;
  if (!BUG || g[t] % 2) b = __ballot_sync(0xffffffffu, g[t] > 5); // ballot_in_a_branch
  __syncwarp();                                                   // ballot_in_a_branch
  u[t] = b;
}

template <int BUG> __global__ void shuffle_in_a_branch(int *g, int *u, int n) {
  int t = threadIdx.x, x = g[t];
  if (!BUG || t % 32 < 16) x = __shfl_xor_sync(0xffffffffu, x, 1); // shuffle_in_a_branch
  x += __shfl_sync(0xffffffffu, x, 0);                             // shuffle_in_a_branch
  u[t] = x;
}

template <int BUG> __global__ void reduce_with_different_masks(int *g, int *u, int n) {
  int t = threadIdx.x, lane = t % 32;
  unsigned mask = BUG && lane >= 8 ? 0xffffff00u : 0xffffffffu;
  u[t] = __reduce_add_sync(mask, g[t]); // reduce_with_different_masks
  __syncwarp();                         // reduce_with_different_masks
}

template <int BUG> __global__ void tile_sync_missing(int *g, int *u, int n) {
  __shared__ int s[N];
  auto tile = cooperative_groups::tiled_partition<8>(cooperative_groups::this_thread_block());
  int t = threadIdx.x;
  s[t] = g[t];
  if (!BUG) tile.sync();
  u[t] = s[t / 8 * 8 + (t + 1) % 8]; // tile_sync_missing
}

template <int BUG> __global__ void flag_never_set(int *g, int *u, int n) {
  __shared__ volatile int flag;
  if (threadIdx.x == 0) flag = !BUG;
  __syncthreads();
  while (flag == 0) continue; // flag_never_set
  u[threadIdx.x] = 1;
}

template <int BUG> __global__ void endless_loop(int *g, int *u, int n) {
  unsigned i = threadIdx.x;
  do {             // endless_loop
    i = i * 3 + 1; // endless_loop
    if (!BUG && i > 1000) break;
  } while (BUG ? (i | 1) != 0 : true); // endless_loop
  u[threadIdx.x] = (int)i;
}

template <int BUG> __global__ void waits_for_a_later_block(int *g, int *u, int n) {
  if (threadIdx.x) return;
  if (!BUG) return;
  if (blockIdx.x == 0)
    while (atomicAdd(&g[200], 0) != 1000) continue; // waits_for_a_later_block
}

template <int BUG> __global__ void traps(int *g, int *u, int n) {
  if (BUG && threadIdx.x == 7) __trap(); // traps
  u[threadIdx.x] = 0;
}

template <int BUG> __global__ void asserts(int *g, int *u, int n) {
  assert(!BUG || threadIdx.x != 9); // asserts
  u[threadIdx.x] = 0;
}
