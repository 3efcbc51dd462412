// cluster.cu - thread blocks of a cluster and what they do to each other's shared memory: right kernels, and with
// BUG = 1 the same with a mistake (spec/sim/clusters/cluster_spec.lua). 64 threads in a thread block.
#include <cooperative_groups.h>
#include <ptx.cuh>
namespace cg = cooperative_groups;

// Where everybody is: block_rank, block_index, num_blocks, thread_rank; what the registers of PTX say of the same.
extern "C" __global__ void places(int *out) {
  cg::cluster_group c = cg::this_cluster();
  int *o = out + (blockIdx.x + gridDim.x * blockIdx.y) * 12;
  if (threadIdx.x != 3) return;
  unsigned id[2], number[2], rank, size;
  asm("mov.u32 %0, %%clusterid.x;" : "=r"(id[0]));
  asm("mov.u32 %0, %%clusterid.y;" : "=r"(id[1]));
  asm("mov.u32 %0, %%nclusterid.x;" : "=r"(number[0]));
  asm("mov.u32 %0, %%cluster_nctaid.y;" : "=r"(number[1]));
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  const int values[12] = {(int)c.block_rank(),
                          (int)c.block_index().x,
                          (int)c.block_index().y,
                          (int)c.num_blocks(),
                          (int)c.thread_rank(),
                          (int)c.num_threads(),
                          (int)id[0],
                          (int)id[1],
                          (int)number[0],
                          (int)number[1],
                          (int)rank,
                          (int)size};
  for (int i = 0; i < 12; i++) o[i] = values[i];
}

// Leaves nothing behind.
extern "C" __global__ void __cluster_dims__(4, 1, 1) silent(int *out) {
  if (cg::this_cluster().block_rank() > 3) *out = 1;
}

// A histogram in the shared memory of all thread blocks, as the programming guide has it: 64 bins each. Mistakes: no
// barrier before the others' memory is used; none between counting and reading; none before the end.
template <int BUG> __global__ void __cluster_dims__(2, 1, 1) histogram(const int *x, int n, int *bins) {
  extern __shared__ int own[];
  cg::cluster_group c = cg::this_cluster();
  own[threadIdx.x] = 0;
  if (BUG != 1) c.sync();
  for (int i = blockIdx.x * 64 + threadIdx.x; i < n; i += 64 * gridDim.x) {
    const int bin = x[i] % 128;
    atomicAdd(c.map_shared_rank(own, bin / 64) + bin % 64, 1);
  }
  if (BUG != 2) c.sync();
  atomicAdd(&bins[c.block_rank() * 64 + threadIdx.x], own[threadIdx.x]);
}

// Each reads its right neighbour. Mistakes: the neighbour may end before; it writes too early; half a barrier.
template <int BUG> __global__ void neighbour(int *out) {
  __shared__ int s[64];
  cg::cluster_group c = cg::this_cluster();
  s[threadIdx.x] = blockIdx.x * 100 + threadIdx.x;
  if (BUG == 4)
    ptx::cluster_arrive_relaxed();
  else
    c.barrier_arrive();
  if (BUG != 3) c.barrier_wait();
  const int *right = c.map_shared_rank(s, (c.block_rank() + 1) % c.num_blocks());
  out[blockIdx.x * 64 + threadIdx.x] = right[threadIdx.x] + 1000 * (int)c.query_shared_rank(right);
  if (BUG == 2) s[threadIdx.x] = 0;
  if (BUG == 3) c.barrier_wait();
  if (BUG != 1) c.sync();
  if (BUG == 0) s[threadIdx.x] = 0;
}

// Rank 1 writes into rank 0's memory and arrives at an mbarrier there. Mistakes: it arrives before it writes; rank 0
// does not wait; rank 1 touches the memory after its last arrival.
template <int BUG> __global__ void handed_over(int *out) {
  __shared__ alignas(8) unsigned long long full;
  __shared__ int s[64];
  const unsigned barrier = ptx::shared(&full);
  const int rank = (int)ptx::cluster_ctarank();
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, 64);
    ptx::fence_mbarrier_init();
  }
  ptx::cluster_sync();
  if (rank == 1) {
    int *theirs = cg::this_cluster().map_shared_rank(s, 0);
    if (BUG == 1) ptx::mbarrier_arrive_cluster(ptx::mapa(barrier, 0));
    theirs[threadIdx.x] = threadIdx.x * 3;
    if (BUG != 1) ptx::mbarrier_arrive_cluster(ptx::mapa(barrier, 0));
    if (BUG == 3 && threadIdx.x == 7) theirs[7] = 1;
    return;
  }
  if (BUG != 2) ptx::mbarrier_wait(barrier, 0);
  out[threadIdx.x] = BUG == 2 ? 0 : s[63 - threadIdx.x];
}

// The barrier of a cluster to which 32 threads of the second thread block never come, and arrivals that do not fit.
extern "C" __global__ void stuck(int *out) {
  if (blockIdx.x == 1) {
    if (threadIdx.x < 32) ptx::bar_sync(1, 64);
  }
  cg::this_cluster().sync();
}
extern "C" __global__ void twice(int *out) {
  ptx::cluster_arrive();
  ptx::cluster_arrive();
  ptx::cluster_wait();
}
extern "C" __global__ void never_arrived(int *out) {
  ptx::cluster_wait();
}
// Threads that have ended are not waited for.
extern "C" __global__ void some_end(int *out) {
  __shared__ int s;
  if (threadIdx.x == 5) s = 5;
  if (threadIdx.x > 40) return;
  cg::this_cluster().sync();
  if (threadIdx.x == 0) out[blockIdx.x] = *cg::this_cluster().map_shared_rank(&s, 1 - blockIdx.x % 2);
  cg::this_cluster().sync();
}
extern "C" __global__ void no_such_rank(int *out) {
  __shared__ int s;
  out[0] = *cg::this_cluster().map_shared_rank(&s, 2);
}
extern "C" __global__ void beyond(int *out) {
  __shared__ int s[64];
  s[threadIdx.x] = 1;
  cg::this_cluster().sync();
  const int *other = cg::this_cluster().map_shared_rank(s, 1 - cg::this_cluster().block_rank());
  out[threadIdx.x] = other[threadIdx.x + 65536];
  cg::this_cluster().sync();
}
