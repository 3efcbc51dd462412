/* cluster.cuh - joins without global memory: the thread blocks of neighbouring runs are a cluster (sm_90) and read one
 * another's parts in shared memory. It spares a fence, an atomic and two trips to the L2 cache, one behind the other.
 * Sums are those of join.cuh to the bit. Row groups that reach beyond a cluster are joined there. */
#pragma once
#include "join.cuh"

#if CLUSTER > 1
/* Row groups whose parts are all in this cluster: each of their thread blocks joins a share of the elements. All
 * threads of the cluster. */
__device__ inline void join_cluster(const pah_attn_params &p, const plan &l) {
  ptx::cluster_arrive();
  ptx::cluster_wait();
#pragma unroll 1
  for (int which = 0; which < 2; which++) {
    const cut &c = cuts[which];
    int elements = live_rows(l, c.g) * (DV / 4);
#pragma unroll 1
    for (int i = threadIdx.x * c.count + c.rank; c.count && i < elements; i += THREADS * c.count) {
      int row = i / (DV / 4), d = i % (DV / 4) * 4;
      row_part a = {{0, 0, 0, 0}, negative_infinity(), 0};
      float4 x[CLUSTER];
      float2 weight[CLUSTER];
#pragma unroll
      for (int n = 0; n < CLUSTER; n++) {
        x[n] = make_float4(0, 0, 0, 0);
        weight[n] = make_float2(negative_infinity(), 0);
        if (n < c.count) {
          u32 part = ptx::mapa(ptx::shared(part_kept(n == 0)), c.first + n);
          ptx::load_cluster(x[n], part + (row * DV + d) * 4);
          ptx::load_cluster(weight[n], part + (ROWS * DV + 2 * row) * 4);
        }
      }
      add_parts(a, x, weight);
      write_result(p, l, c.g, row, d, a);
    }
  }
  ptx::cluster_arrive(); /* nobody ends while others still read from it */
  ptx::cluster_wait();
}
#else
__device__ inline void join_cluster(const pah_attn_params &, const plan &) {}
#endif
