// cluster_async.cu - copies, stores and reductions that go from one thread block of a cluster to another, with an
// mbarrier where they arrive; right, and with the mistake that BUG says (spec/sim/clusters/async_spec.lua). Clusters of
// two thread blocks of 64 threads.
#include <ptx.cuh>

// Each thread block has an mbarrier for `count` arrivals, which the others may use after the barrier of the cluster.
static __device__ void prepare(unsigned barrier, int count, bool meet) {
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, count);
    ptx::fence_mbarrier_init();
  }
  if (meet)
    ptx::cluster_sync();
  else
    __syncthreads();
}

// Rank 0 loads for both. Mistakes: the others' mbarriers need not be there; rank 1 does not wait; the mask.
template <int BUG> __global__ void multicast(const int *x, int *out) {
  __shared__ alignas(128) int s[64];
  __shared__ alignas(8) unsigned long long full;
  const unsigned barrier = ptx::shared(&full), rank = ptx::cluster_ctarank();
  prepare(barrier, 1, BUG != 1);
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(barrier, sizeof s);
    if (rank == 0) ptx::bulk_multicast(ptx::shared(s), x, sizeof s, barrier, BUG == 3 ? 5 : 3);
  }
  if (BUG != 2 || rank == 0) ptx::mbarrier_wait(barrier, 0);
  out[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x] + (int)rank;
}

// Each loads half of a box of 32 x 16 for both. Mistake: rank 0 expects the bytes of its own half only.
template <int BUG> __global__ void halves(const __grid_constant__ ptx::tensor_map map, float *out) {
  __shared__ alignas(128) float s[32][16];
  __shared__ alignas(8) unsigned long long full;
  const unsigned barrier = ptx::shared(&full), rank = ptx::cluster_ctarank();
  prepare(barrier, 1, true);
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(barrier, BUG && rank == 0 ? sizeof s / 2 : sizeof s);
    ptx::tensor_multicast(ptx::shared(s[16 * rank]), map, 0, 16 * (int)rank, barrier, 3);
  }
  ptx::mbarrier_wait(barrier, 0);
  for (int i = threadIdx.x; i < 512; i += 64) out[blockIdx.x * 512 + i] = s[i / 16][i % 16];
  ptx::cluster_sync();
}

// Each stores into the other. Mistakes: it does not wait; it names its own mbarrier; the other may end before.
template <int BUG> __global__ void pushed(int *out) {
  __shared__ int s[64];
  __shared__ alignas(8) unsigned long long full;
  const unsigned barrier = ptx::shared(&full), rank = ptx::cluster_ctarank(), other = 1 - rank;
  prepare(barrier, 1, true);
  if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(barrier, sizeof s);
  ptx::st_async(ptx::mapa(ptx::shared(&s[threadIdx.x]), other), 100 * rank + threadIdx.x,
                BUG == 2 ? barrier : ptx::mapa(barrier, other));
  if (BUG != 1 && BUG != 3) ptx::mbarrier_wait(barrier, 0);
  out[blockIdx.x * 64 + threadIdx.x] = BUG == 3 ? 0 : s[63 - threadIdx.x];
}

// Rank 0 copies its shared memory to rank 1. Mistakes: no fence; the source is written again, or ends, too early.
template <int BUG> __global__ void copied(int *out) {
  __shared__ alignas(16) int from[64], to[64];
  __shared__ alignas(8) unsigned long long full;
  const unsigned barrier = ptx::shared(&full), rank = ptx::cluster_ctarank();
  from[threadIdx.x] = 3 * threadIdx.x;
  if (BUG != 1) ptx::fence_proxy_async_shared();
  prepare(barrier, 1, true);
  if (rank == 0 && threadIdx.x == 0)
    ptx::bulk_copy_cluster(ptx::mapa(ptx::shared(to), 1), ptx::shared(from), sizeof to, ptx::mapa(barrier, 1));
  if (BUG == 2 && rank == 0 && threadIdx.x == 0) from[5] = 0;
  if (rank == 1) {
    if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(barrier, sizeof to);
    ptx::mbarrier_wait(barrier, 0);
    out[threadIdx.x] = to[threadIdx.x];
  }
  if (BUG != 3) ptx::cluster_sync();
  from[threadIdx.x] = 0;
}

// Both add into rank 0. Mistake: rank 0 does not wait for it.
template <int BUG> __global__ void reduced(int *out) {
  __shared__ int sum;
  __shared__ alignas(8) unsigned long long full;
  const unsigned barrier = ptx::shared(&full);
  if (threadIdx.x == 0) sum = 0;
  prepare(barrier, 1, true);
  if (ptx::cluster_ctarank() == 0 && threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(barrier, 128 * 4);
  asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%0], %1, [%2];" ::"r"(
                   ptx::mapa(ptx::shared(&sum), 0)),
               "r"(blockIdx.x * 64 + threadIdx.x), "r"(ptx::mapa(barrier, 0))
               : "memory");
  if (ptx::cluster_ctarank() == 0) {
    if (!BUG) ptx::mbarrier_wait(barrier, 0);
    if (threadIdx.x == 9) out[0] = sum;
    if (BUG) ptx::mbarrier_wait(barrier, 0);
  }
}

// Rank 0 sends tile after tile to both, through two buffers; all threads of both tell it when one is empty. Mistakes:
// it does not wait for that; rank 1 tells its own thread block.
template <int BUG> __global__ void ring(const int *x, int tiles, int *out) {
  __shared__ alignas(128) int s[2][64];
  __shared__ alignas(8) unsigned long long full[2], empty[2];
  const unsigned rank = ptx::cluster_ctarank();
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) {
      ptx::mbarrier_init(ptx::shared(&full[i]), 1);
      ptx::mbarrier_init(ptx::shared(&empty[i]), 128);
    }
    ptx::fence_mbarrier_init();
  }
  ptx::cluster_sync();
  int sum = 0;
  for (int i = 0; i < tiles; i++) {
    const unsigned at = i % 2, phase = i / 2 % 2, barrier = ptx::shared(&full[at]);
    if (threadIdx.x == 0) {
      ptx::mbarrier_arrive_expect_tx(barrier, sizeof s[0]);
      if (rank == 0 && BUG != 1) ptx::mbarrier_wait(ptx::shared(&empty[at]), phase ^ 1);
      if (rank == 0) ptx::bulk_multicast(ptx::shared(s[at]), x + 64 * i, sizeof s[0], barrier, 3);
    }
    __syncwarp();
    ptx::mbarrier_wait(barrier, phase);
    sum += s[at][threadIdx.x];
    ptx::mbarrier_arrive_cluster(ptx::mapa(ptx::shared(&empty[at]), BUG == 2 ? rank : 0));
  }
  out[blockIdx.x * 64 + threadIdx.x] = sum;
  ptx::cluster_sync();
}

// The same by instructions of PTX: addresses of both kinds, loads, stores, an atomic, the barrier.
extern "C" __global__ void by_ptx(unsigned *out) {
  __shared__ unsigned s[64];
  const unsigned own = ptx::shared(&s[threadIdx.x]);
  unsigned rank, theirs, value, whose, old;
  unsigned long long pointer;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  asm volatile("st.shared::cta.u32 [%0], %1;" ::"r"(own), "r"(rank * 1000 + threadIdx.x) : "memory");
  asm volatile("barrier.cluster.arrive.release.aligned;\n barrier.cluster.wait.acquire.aligned;" ::: "memory");
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(theirs) : "r"(own), "r"(1 - rank));
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(pointer) : "l"(&s[threadIdx.x]), "r"(1 - rank));
  asm volatile("getctarank.shared::cluster.u32 %0, %1;" : "=r"(whose) : "r"(theirs));
  asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(value) : "r"(theirs) : "memory");
  asm volatile("barrier.cluster.arrive;\n barrier.cluster.wait;" ::: "memory");
  asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(theirs), "r"(5 * threadIdx.x) : "memory");
  asm volatile("atom.relaxed.cluster.shared::cluster.add.u32 %0, [%1], 1;" : "=r"(old) : "r"(theirs) : "memory");
  *(unsigned *)pointer += 7;
  asm volatile("barrier.cluster.arrive;\n barrier.cluster.wait;" ::: "memory");
  out[blockIdx.x * 64 + threadIdx.x] =
      value + 10000 * whose + 100000 * (old == 5 * threadIdx.x) + 1000000 * s[threadIdx.x];
}
