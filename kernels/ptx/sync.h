/* ptx/sync.h - named barriers, fences, election of a lane, clusters, and hints to the scheduler.
 * On sim hints do nothing. Read next: mbarrier.h, cluster.h. */
#ifndef PAH_PTX_SYNC_H
#define PAH_PTX_SYNC_H

#include "base.h"

namespace ptx {

// Barrier `id` of 16, for `threads` threads in whole warps; bar_arrive does not wait for the others.
#ifdef PAH_SIM
PAH_PTX void bar_sync(int id, int threads, int line = __builtin_LINE()) {
  pah_sim_named_barrier(id, threads, 0, line);
}
PAH_PTX void bar_arrive(int id, int threads, int line = __builtin_LINE()) {
  pah_sim_named_barrier(id, threads, 1, line);
}
#else
PAH_PTX void bar_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
PAH_PTX void bar_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
#endif

// atomicInc that orders for the GPU: what came before it (also what others wrote before a barrier that this thread has
// passed) is seen by who sees the new value, and what others released by theirs is seen after it.
PAH_PTX u32 atomic_inc_ordered(u32 *p, u32 limit) {
#ifdef PAH_SIM
  __threadfence();
  const u32 old = atomicInc(p, limit);
  __threadfence();
  return old;
#else
  u32 old;
  asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(limit) : "memory");
  return old;
#endif
}

#if PAH_PTX_ARCH >= 900
// What this thread has written so far becomes visible to the asynchronous units (bulk copies, wgmma).
PAH_PTX void fence_proxy_async() {
#ifdef PAH_SIM
  pah_sim_fence(PAH_SIM_FENCE_PROXY_ASYNC);
#else
  asm volatile("fence.proxy.async;" ::: "memory");
#endif
}
PAH_PTX void fence_proxy_async_shared() {
#ifdef PAH_SIM
  pah_sim_fence(PAH_SIM_FENCE_PROXY_ASYNC);
#else
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// One lane of a whole warp: 1 there, 0 in the others.
PAH_PTX int elect_one() {
#ifdef PAH_SIM
  pah_sim_collective(PAH_SIM_BALLOT, 0xffffffffu, 1, 0);
  return pah_sim_lane() == 0;
#else
  u32 elected;
  asm volatile("{\n .reg .pred p;\n elect.sync _|p, 0xffffffff;\n selp.u32 %0, 1, 0, p;\n}" : "=r"(elected));
  return (int)elected;
#endif
}

// Programmatic dependent launch: waits for the grid before; lets the next one start.
PAH_PTX void griddepcontrol_wait() {
#ifndef PAH_SIM
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
PAH_PTX void griddepcontrol_launch_dependents() {
#ifndef PAH_SIM
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#endif

#if PAH_PTX_WGMMA
// Registers of each thread of the warpgroup, from now on: a multiple of 8, 24 to 256.
template <int Count> PAH_PTX void setmaxnreg_inc() {
  static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256, "setmaxnreg takes a multiple of 8 from 24 to 256");
#ifdef PAH_SIM
  pah_sim_setmaxnreg(1, Count);
#else
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count));
#endif
}
template <int Count> PAH_PTX void setmaxnreg_dec() {
  static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256, "setmaxnreg takes a multiple of 8 from 24 to 256");
#ifdef PAH_SIM
  pah_sim_setmaxnreg(0, Count);
#else
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count));
#endif
}
#endif

} // namespace ptx
#endif
