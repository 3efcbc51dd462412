/* ptx/cluster.h - clusters of thread blocks: who is where, addresses of shared memory of the others, the barrier, and
 * what reaches into that memory: arrivals, stores, bulk copies, loads for several at once. An address of another thread
 * block (mapa) is good from a barrier of the cluster on until the last one before that thread block ends. Read next:
 * mbarrier.h, tma.h, src/sim/block/cluster.c. */
#ifndef PAH_PTX_CLUSTER_H
#define PAH_PTX_CLUSTER_H

#include "base.h"
#include "tma.h"

#if PAH_PTX_ARCH >= 900
namespace ptx {

#ifdef PAH_SIM
PAH_PTX u32 cluster_ctarank() {
  return pah_sim_cluster_rank();
}
PAH_PTX u32 cluster_nctarank() {
  const pah_sim_dim size = pah_sim_cluster_dim();
  return size.x * size.y * size.z;
}
PAH_PTX u32 mapa(u32 address, u32 rank) {
  return pah_sim_mapa(address, rank);
}
PAH_PTX void cluster_arrive(int line = __builtin_LINE()) {
  pah_sim_cluster_arrive(1, line);
}
PAH_PTX void cluster_arrive_relaxed(int line = __builtin_LINE()) {
  pah_sim_cluster_arrive(0, line);
}
PAH_PTX void cluster_wait(int line = __builtin_LINE()) {
  pah_sim_cluster_wait(line);
}
PAH_PTX void cluster_sync(int line = __builtin_LINE()) {
  pah_sim_cluster_arrive(1, line);
  pah_sim_cluster_wait(line);
}
#else
PAH_PTX u32 cluster_ctarank() {
  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
PAH_PTX u32 cluster_nctarank() {
  u32 size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
// The address, in the window of the cluster, that `address` has in the thread block of this rank.
PAH_PTX u32 mapa(u32 address, u32 rank) {
  u32 mapped;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}
// All threads of the cluster: first arrive, then wait. _relaxed hands on nothing that was written.
PAH_PTX void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
PAH_PTX void cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
PAH_PTX void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
PAH_PTX void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
#endif

// ---- To addresses of mapa ----

// At an mbarrier of any thread block of the cluster.
PAH_PTX void mbarrier_arrive_cluster(u32 barrier) {
#ifdef PAH_SIM
  pah_sim_mbarrier_arrive(barrier, 1, 0);
#else
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}

PAH_PTX void mbarrier_arrive_expect_tx_cluster(u32 barrier, u32 bytes) {
#ifdef PAH_SIM
  pah_sim_mbarrier_arrive(barrier, 1, bytes);
#else
  asm volatile("mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
#endif
}

// 4 bytes, which report to an mbarrier of the thread block that they go to.
PAH_PTX void st_async(u32 dst, u32 value, u32 barrier) {
#ifdef PAH_SIM
  pah_sim_st_async(dst, pah_sim_v4{{value, 0, 0, 0}}, 4, barrier);
#else
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(dst), "r"(value),
               "r"(barrier)
               : "memory");
#endif
}

// From the own shared memory; multiples of 16 bytes at multiples of 16.
PAH_PTX void bulk_copy_cluster(u32 dst, u32 src, u32 bytes, u32 barrier) {
#ifdef PAH_SIM
  pah_sim_bulk_copy(dst, src, bytes, barrier);
#else
  asm volatile(
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(dst),
      "r"(src), "r"(bytes), "r"(barrier)
      : "memory");
#endif
}

// ---- To the same address in each thread block of a mask (a bit per rank), and reported to its own mbarrier ----

PAH_PTX void bulk_multicast(u32 dst, const void *src, u32 bytes, u32 barrier, unsigned short mask) {
#ifdef PAH_SIM
  pah_sim_bulk_multicast(dst, src, bytes, barrier, mask);
#else
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
               "[%0], [%1], %2, [%3], %4;" ::"r"(dst),
               "l"(src), "r"(bytes), "r"(barrier), "h"(mask)
               : "memory");
#endif
}

PAH_PTX void tensor_multicast(u32 dst, const tensor_map &map, int x, int y, u32 barrier, unsigned short mask) {
#ifdef PAH_SIM
  pah_sim_tensor_multicast(dst, &map, 2, pah_sim_coordinates{{x, y, 0, 0, 0}}, barrier, mask);
#else
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
               "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(dst),
               "l"(&map), "r"(barrier), "r"(x), "r"(y), "h"(mask)
               : "memory");
#endif
}

} // namespace ptx
#endif
#endif
