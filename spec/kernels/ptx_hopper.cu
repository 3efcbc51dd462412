// ptx_hopper.cu - wgmma and bulk tensor copies by themselves: shared memory, descriptors and registers in, results out.
// ptx_hopper_spec.lua lays the operands out and knows what must come out; the same runs on sim and on cuda.
#include "ptx.cuh"
using namespace ptx;

extern __shared__ __align__(1024) unsigned char pool[];

// The image becomes shared memory, the descriptors are relative to its start. a: four registers of a thread, c: its
// sums.
template <int Kind, int N, int TransA, int TransB, int SignA, int SignB, int Registers>
__global__ void multiply(const u32 *image, int words, u64 a_descriptor, u64 b_descriptor, const u32 *a, const float *c,
                         float *d, int add) {
  const int thread = threadIdx.x;
  float sums[N / 2];
  u32 ra[4];
  for (int i = thread; i < words; i += 128) reinterpret_cast<u32 *>(pool)[i] = image[i];
  for (int i = 0; i < N / 2; i++) sums[i] = c[thread * (N / 2) + i];
  for (int i = 0; i < 4; i++) ra[i] = a[4 * thread + i];
  fence_proxy_async_shared();
  __syncthreads();
  const u64 start = shared(pool) >> 4;
  wgmma_fence();
  if constexpr (Registers)
    wgmma_rs<Kind, N, TransB, SignA, SignB>(sums, ra, b_descriptor + start, add);
  else
    wgmma_ss<Kind, N, TransA, TransB, SignA, SignB>(sums, a_descriptor + start, b_descriptor + start, add);
  wgmma_commit_group();
  wgmma_wait_group<0>();
  for (int i = 0; i < N / 2; i++) d[thread * (N / 2) + i] = sums[i];
}

__device__ void load(u32 dst, const tensor_map &m, int rank, const int *at, u32 barrier) {
  if (rank == 1) tensor_load(dst, m, at[0], barrier);
  if (rank == 2) tensor_load(dst, m, at[0], at[1], barrier);
  if (rank == 3) tensor_load(dst, m, at[0], at[1], at[2], barrier);
  if (rank == 4) tensor_load(dst, m, at[0], at[1], at[2], at[3], barrier);
  if (rank == 5) tensor_load(dst, m, at[0], at[1], at[2], at[3], at[4], barrier);
}

__device__ void store(const tensor_map &m, int rank, const int *at, u32 src) {
  if (rank == 1) tensor_store(m, at[0], src);
  if (rank == 2) tensor_store(m, at[0], at[1], src);
  if (rank == 3) tensor_store(m, at[0], at[1], at[2], src);
  if (rank == 4) tensor_store(m, at[0], at[1], at[2], at[3], src);
  if (rank == 5) tensor_store(m, at[0], at[1], at[2], at[3], at[4], src);
}

// A box at the given coordinates (innermost first) into out, as it lies in shared memory.
extern "C" __global__ void load_box(const __grid_constant__ tensor_map map, int rank, int x, int y, int z, int u, int v,
                                    u32 *out, int words, int bytes) {
  __shared__ __align__(8) u64 barrier;
  const int at[5] = {x, y, z, u, v};
  if (threadIdx.x == 0) {
    mbarrier_init(shared(&barrier), 1);
    fence_mbarrier_init();
    prefetch_tensor_map(map);
  }
  for (int i = threadIdx.x; i < words; i += blockDim.x) reinterpret_cast<u32 *>(pool)[i] = 0; // gaps between rows
  fence_proxy_async_shared();
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared(&barrier), bytes);
    load(shared(pool), map, rank, at, shared(&barrier));
  }
  mbarrier_wait(shared(&barrier), 0);
  for (int i = threadIdx.x; i < words; i += blockDim.x) out[i] = reinterpret_cast<u32 *>(pool)[i];
}

extern "C" __global__ void store_box(const __grid_constant__ tensor_map map, int rank, int x, int y, int z, int u,
                                     int v, const u32 *image, int words) {
  const int at[5] = {x, y, z, u, v};
  for (int i = threadIdx.x; i < words; i += blockDim.x) reinterpret_cast<u32 *>(pool)[i] = image[i];
  fence_proxy_async_shared();
  __syncthreads();
  if (threadIdx.x == 0) {
    store(map, rank, at, shared(pool));
    bulk_commit_group();
    bulk_wait_group<0>();
  }
}

// There and back with the copies that need no map: src to shared memory, from there to dst.
extern "C" __global__ void bulk_copy(const u32 *src, u32 *dst, int words) {
  __shared__ __align__(8) u64 barrier;
  if (threadIdx.x == 0) {
    mbarrier_init(shared(&barrier), 1);
    fence_mbarrier_init();
    mbarrier_expect_tx(shared(&barrier), words * 4);
    bulk_load(shared(pool), src, words * 4, shared(&barrier));
    mbarrier_arrive(shared(&barrier));
    mbarrier_wait(shared(&barrier), 0);
    reinterpret_cast<u32 *>(pool)[0] += 1;
    fence_proxy_async_shared();
    bulk_store(dst, shared(pool), words * 4);
    bulk_commit_group();
    bulk_wait_group_read<0>();
    reinterpret_cast<u32 *>(pool)[0] = 0;
    bulk_wait_group<0>();
  }
}
