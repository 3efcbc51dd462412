/* ptx/mbarrier.h - barriers in shared memory (8 bytes, aligned) that count arrivals and, from sm_90 on, bytes of
 * copies. A phase is complete when `count` arrivals and all expected bytes have come; the next one begins at once.
 * Waiting is for the phase of a parity: 0 for the first, 1 for the second, 0 again; waiting for parity 1 of a new
 * mbarrier returns. After mbarrier_init: fence_mbarrier_init() if copies report to it, then __syncthreads(). Read next:
 * tma.h, src/sim/ptx/mbarrier.c. */
#ifndef PAH_PTX_MBARRIER_H
#define PAH_PTX_MBARRIER_H

#include "base.h"

namespace ptx {

#ifdef PAH_SIM
PAH_PTX void mbarrier_init(u32 barrier, u32 count) {
  pah_sim_mbarrier_init(barrier, count);
}
PAH_PTX void mbarrier_inval(u32 barrier) {
  pah_sim_mbarrier_inval(barrier);
}
PAH_PTX u64 mbarrier_arrive(u32 barrier) {
  return pah_sim_mbarrier_arrive(barrier, 1, 0);
}
PAH_PTX int mbarrier_test_wait(u32 barrier, u64 state) {
  return pah_sim_mbarrier_test_state(barrier, state);
}
PAH_PTX int mbarrier_test_parity(u32 barrier, u32 parity) {
  return pah_sim_mbarrier_test(barrier, parity);
}
PAH_PTX void mbarrier_wait(u32 barrier, u32 parity) {
  pah_sim_mbarrier_wait(barrier, parity);
}
#else
PAH_PTX void mbarrier_init(u32 barrier, u32 count) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
PAH_PTX void mbarrier_inval(u32 barrier) {
  asm volatile("mbarrier.inval.shared.b64 [%0];" ::"r"(barrier) : "memory");
}
// The state is what mbarrier_test_wait takes.
PAH_PTX u64 mbarrier_arrive(u32 barrier) {
  u64 state;
  asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(barrier) : "memory");
  return state;
}
PAH_PTX int mbarrier_test_wait(u32 barrier, u64 state) {
  u32 done;
  asm volatile("{\n .reg .pred p;\n mbarrier.test_wait.shared.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "l"(state)
               : "memory");
  return (int)done;
}
PAH_PTX int mbarrier_test_parity(u32 barrier, u32 parity) {
  u32 done;
  asm volatile("{\n .reg .pred p;\n mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
  return (int)done;
}
#endif

#if PAH_PTX_ARCH >= 900
#ifdef PAH_SIM
PAH_PTX u64 mbarrier_arrive(u32 barrier, u32 count) {
  return pah_sim_mbarrier_arrive(barrier, count, 0);
}
PAH_PTX u64 mbarrier_arrive_expect_tx(u32 barrier, u32 bytes) {
  return pah_sim_mbarrier_arrive(barrier, 1, bytes);
}
PAH_PTX void mbarrier_expect_tx(u32 barrier, u32 bytes) {
  pah_sim_mbarrier_expect(barrier, bytes);
}
PAH_PTX int mbarrier_try_parity(u32 barrier, u32 parity) {
  return pah_sim_mbarrier_test(barrier, parity);
}
PAH_PTX void fence_mbarrier_init() {
  pah_sim_fence_mbarrier_init();
}
#else
PAH_PTX u64 mbarrier_arrive(u32 barrier, u32 count) {
  u64 state;
  asm volatile("mbarrier.arrive.shared.b64 %0, [%1], %2;" : "=l"(state) : "r"(barrier), "r"(count) : "memory");
  return state;
}
// Expects so many bytes more in this phase, then arrives.
PAH_PTX u64 mbarrier_arrive_expect_tx(u32 barrier, u32 bytes) {
  u64 state;
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 %0, [%1], %2;"
               : "=l"(state)
               : "r"(barrier), "r"(bytes)
               : "memory");
  return state;
}
PAH_PTX void mbarrier_expect_tx(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// May sleep for a while; 0: not yet.
PAH_PTX int mbarrier_try_parity(u32 barrier, u32 parity) {
  u32 done;
  asm volatile("{\n .reg .pred p;\n mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
  return (int)done;
}
PAH_PTX void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
#endif
#endif

#ifndef PAH_SIM
PAH_PTX void mbarrier_wait(u32 barrier, u32 parity) {
#if PAH_PTX_ARCH >= 900
  while (!mbarrier_try_parity(barrier, parity)) {
  }
#else
  while (!mbarrier_test_parity(barrier, parity)) {
  }
#endif
}
#endif

} // namespace ptx
#endif
