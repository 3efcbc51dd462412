/* sm90/channel.cuh - the rings of the forward: Q, K and V, and items of work. Read next: ring.cuh, forward.cu. */
#pragma once
#include "ring.cuh"
#include "work.cuh"

constexpr int WORK_SLOTS = 2;

struct channels {
  unsigned long long q_full, q_empty, tail;
  unsigned long long k_full[STAGES], k_empty[STAGES], v_full[STAGES], v_empty[STAGES];
  unsigned long long raw_k_full[RAW_STAGES], raw_k_empty[RAW_STAGES], raw_v_full[RAW_STAGES], raw_v_empty[RAW_STAGES];
  unsigned long long work_full[WORK_SLOTS], work_empty[WORK_SLOTS];
  work_item work[WORK_SLOTS]; /* batch -1: there is no more */
};

/* Every warp that reads items says for itself that it is done with one. */
__device__ inline void release_work(channels &c, int slot) {
  release_by_warp(c.work_empty[slot]);
}

/* What consumers do: item after item until there is no more. */
template <class F> __device__ __forceinline__ void each_item(channels &c, F run_item) {
  ring_place<WORK_SLOTS> at;
  for (;;) {
    wait_full(c.work_full[at.slot], at.parity);
    const work_item &w = c.work[at.slot];
    if (w.b < 0) break;
    run_item(w);
    release_work(c, at.slot);
    at.advance();
  }
}

/* `copies` arrive at a barrier that waits for copies; where tiles are staged, a thread of each warp that wrote them. */
__device__ inline void open_channels(channels &c, int copies) {
  ptx::mbarrier_init(ptx::shared(&c.q_full), 1);
  ptx::mbarrier_init(ptx::shared(&c.q_empty), Q_IN_REGISTERS ? CONSUMERS * 4 : CONSUMERS);
  ptx::mbarrier_init(ptx::shared(&c.tail), copies);
  for (int i = 0; i < STAGES; i++) {
    ptx::mbarrier_init(ptx::shared(&c.k_full[i]), K_STAGED ? 4 : copies);
    ptx::mbarrier_init(ptx::shared(&c.v_full[i]), V_STAGED ? 4 : copies);
    ptx::mbarrier_init(ptx::shared(&c.k_empty[i]), CONSUMERS);
    ptx::mbarrier_init(ptx::shared(&c.v_empty[i]), CONSUMERS);
  }
  for (int i = 0; i < RAW_STAGES; i++) {
    ptx::mbarrier_init(ptx::shared(&c.raw_k_full[i]), copies);
    ptx::mbarrier_init(ptx::shared(&c.raw_v_full[i]), copies);
    ptx::mbarrier_init(ptx::shared(&c.raw_k_empty[i]), 4);
    ptx::mbarrier_init(ptx::shared(&c.raw_v_empty[i]), 4);
  }
  for (int i = 0; i < WORK_SLOTS; i++) {
    ptx::mbarrier_init(ptx::shared(&c.work_full[i]), 1);
    ptx::mbarrier_init(ptx::shared(&c.work_empty[i]), THREADS / 32);
  }
  ptx::fence_mbarrier_init();
}
