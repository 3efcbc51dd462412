// cooperative.cu - kernels whose thread blocks wait for each other (spec/sim/clusters/cooperative_spec.lua): barriers
// of the grid, by the function and by hand; tiles of more threads than a warp has.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;

// The sum of all: each thread block sums a part, then the first one sums the parts. BUG 1: no barrier between.
template <int BUG> __global__ void total(const int *x, int n, int *parts, int *sum) {
  cg::grid_group grid = cg::this_grid();
  __shared__ int s;
  if (threadIdx.x == 0) s = 0;
  __syncthreads();
  for (int i = (int)grid.thread_rank(); i < n; i += (int)grid.num_threads()) atomicAdd(&s, x[i]);
  __syncthreads();
  if (threadIdx.x == 0) parts[blockIdx.x] = s;
  if (!BUG) grid.sync();
  if (grid.thread_rank() == 0) {
    int all = 0;
    for (unsigned i = 0; i < gridDim.x; i++) all += parts[i];
    *sum = all + 1000000 * grid.is_valid();
  }
}

// Steps of a stencil, each after all of the one before, in two buffers; in two halves of the barrier. BUG 1: the second
// step in place.
template <int BUG> __global__ void steps(int *a, int *b, int count) {
  cg::grid_group grid = cg::this_grid();
  const int n = (int)grid.num_threads(), i = (int)grid.thread_rank();
  for (int k = 0; k < count; k++) {
    const int *from = k % 2 ? b : a;
    int *to = k % 2 || BUG ? a : b;
    to[i] = from[(i + 1) % n] + 1;
    cg::grid_group::arrival_token token = grid.barrier_arrive();
    grid.barrier_wait(static_cast<cg::grid_group::arrival_token &&>(token));
  }
}

// A barrier of the grid made of an atomic and a flag. BUG 1: no fence before the atomic.
template <int BUG> __global__ void by_hand(int *x, int *count, int *out) {
  x[blockIdx.x * blockDim.x + threadIdx.x] = blockIdx.x + 1;
  __syncthreads();
  if (threadIdx.x == 0) {
    if (!BUG) __threadfence();
    atomicAdd(count, 1);
    while (atomicAdd(count, 0) < (int)gridDim.x) {
    }
    __threadfence();
  }
  __syncthreads();
  const int next = (blockIdx.x + 1) % gridDim.x;
  out[blockIdx.x * blockDim.x + threadIdx.x] = x[next * blockDim.x + threadIdx.x];
}

extern "C" __global__ void some_end(int *out) {
  if (threadIdx.x == 3 && blockIdx.x == 1) return;
  cg::this_grid().sync();
  out[blockIdx.x] = 1;
}
// Thread block 1 waits at a barrier of its own that never opens.
extern "C" __global__ void stuck(int *out) {
  if (blockIdx.x == 1 && threadIdx.x < 32) cg::this_cluster().barrier_wait();
  cg::this_grid().sync();
}
extern "C" __global__ void several(int *out) {
  cg::this_multi_grid().sync();
}

// Tiles of 64 and 128 threads in thread blocks of 256: sums, prefixes, one rank's value, votes; and the barrier as what
// orders shared memory. BUG 1: the tile is half as large as what it hands over.
template <int BUG> __global__ void tiles(const int *x, int *out) {
  __shared__ cg::block_tile_memory<256> scratch;
  __shared__ int s[256];
  cg::thread_block block = cg::this_thread_block(scratch);
  auto large = cg::tiled_partition<128>(block);
  auto small = cg::tiled_partition<64>(large);
  const int i = (int)block.thread_rank(), mine = x[i];
  out[i] = cg::reduce(large, mine, cg::plus<int>()) + 100000 * (int)large.meta_group_rank();
  out[256 + i] = cg::inclusive_scan(small, mine) * 1000 + cg::exclusive_scan(large, 1);
  out[512 + i] = small.shfl(mine, 63) + 1000 * large.any(mine == 200) + 10000 * small.all(mine >= 64);
  s[i] = mine;
  if (BUG)
    small.sync();
  else
    large.sync();
  out[768 + i] = s[i / 128 * 128 + (127 - i % 128)] + (int)large.size() + (int)small.thread_rank();
}
extern "C" __global__ void some_end_in_a_tile(int *out) {
  if (threadIdx.x == 40) return;
  cg::tiled_partition<64>(cg::this_thread_block()).sync();
  out[threadIdx.x] = 1;
}
