// reduce.cu - cp.reduce.async.bulk, to global memory and to that of a cluster, and of boxes of a tensor, in inline PTX,
// for ptx_reduce_spec.lua. Bug 0 is right, every other number plants one mistake.
#include "ptx.cuh"
using namespace ptx;

#define REDUCE(operation, to, from, bytes)                                                                             \
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group." operation " [%0], [%1], %2;" ::"l"(to),           \
               "r"(shared(from)), "r"(bytes)                                                                           \
               : "memory")

// Eight elements of 8 bytes, or 16 of 4, or 32 of 2 for each operation and type.
extern "C" __global__ void kinds(const uint4 *in, uint4 *out) {
  __shared__ __align__(16) uint4 tile[18][4];
  if (threadIdx.x < 72) tile[threadIdx.x / 4][threadIdx.x % 4] = in[threadIdx.x];
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x) return;
  int i = 0;
#define ONE(operation)                                                                                                 \
  REDUCE(operation, out + 4 * i, &tile[i][0], 64);                                                                     \
  i++;
  ONE("add.u32")
  ONE("add.s32")
  ONE("add.u64")
  ONE("add.f32")
  ONE("add.f64")
  ONE("add.noftz.f16")
  ONE("add.noftz.bf16")
  ONE("min.s32")
  ONE("max.u32")
  ONE("min.u64")
  ONE("max.s64")
  ONE("min.f16")
  ONE("max.bf16")
  ONE("inc.u32")
  ONE("dec.u32")
  ONE("and.b32")
  ONE("or.b64")
  ONE("xor.b32")
#undef ONE
  bulk_commit_group();
  bulk_wait_group<0>();
}

// Each thread block adds 64 numbers of its own to the same 64 sums.
template <int Bug> __global__ void sums(float *to) {
  __shared__ __align__(16) float tile[64];
  const int i = threadIdx.x;
  tile[i] = (float)(i * (blockIdx.x + 1));
  if (Bug != 2) fence_proxy_async();
  __syncthreads();
  if (i == 0) {
    REDUCE("add.f32", to, tile, 256);
    if (Bug == 5) to[5] = 1; // beside what is still to be added
    bulk_commit_group();
    if (Bug == 3) tile[7] = 0;
    if (Bug == 4) to[64] = to[3];
    if (Bug != 1) bulk_wait_group<0>();
  }
}

// All thread blocks of a cluster add to the memory of the first.
template <int Bug> __global__ void gathered(int *out) {
  __shared__ __align__(16) int total[32], own[32];
  __shared__ u64 full;
  const int i = threadIdx.x, rank = cluster_ctarank(), ranks = cluster_nctarank();
  total[i] = 0;
  own[i] = i + 100 * rank;
  if (rank == 0 && i == 0) {
    mbarrier_init(shared(&full), 1);
    fence_mbarrier_init();
  }
  if (Bug != 1) fence_proxy_async();
  cluster_arrive();
  cluster_wait();
  if (rank == 0 && i == 0) mbarrier_arrive_expect_tx(shared(&full), Bug == 2 ? 128 : 128 * ranks);
  if (i == 0)
    asm volatile("cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.s32"
                 " [%0], [%1], %2, [%3];" ::"r"(mapa(shared(total), 0)),
                 "r"(shared(own)), "r"(128), "r"(mapa(shared(&full), 0))
                 : "memory");
  if (rank == 0) {
    if (Bug != 3) mbarrier_wait(shared(&full), 0);
    out[i] = total[i];
  }
  cluster_arrive();
  cluster_wait();
}

// Boxes of a tensor: the largest of each element.
extern "C" __global__ void boxes(const __grid_constant__ tensor_map most, const __grid_constant__ tensor_map sum) {
  __shared__ __align__(128) float real[2][32];
  __shared__ __align__(128) int whole[2][32];
  const int i = threadIdx.x;
  for (int row = 0; row < 2; row++) real[row][i] = (float)(i + 0.5f), whole[row][i] = 10 * i;
  fence_proxy_async();
  __syncwarp();
  if (i) return;
  asm volatile(
      "cp.reduce.async.bulk.tensor.2d.global.shared::cta.max.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(&most),
      "r"(shared(whole)), "r"(16), "r"(3)
      : "memory");
  asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%0, {%2, %3}], [%1];" ::"l"(&sum),
               "r"(shared(real)), "r"(0), "r"(1)
               : "memory");
  bulk_commit_group();
  bulk_wait_group<0>();
}
