/* sm90/channel.cuh - the rings of the forward: Q, K and V, and items of work. Read next: ring.cuh, forward.cu. */
#pragma once
#include "ring.cuh"
#include "work.cuh"

constexpr int WORK_SLOTS = 4; /* a power of two; one is computed, one loaded, and one is known ahead */

struct channels {
  unsigned long long q_full, q_empty, tail;
  unsigned long long k_full[STAGES], k_empty[STAGES], v_full[STAGES], v_empty[STAGES];
  unsigned long long raw_v_full, raw_v_empty;
  unsigned long long work_full[WORK_SLOTS], work_empty[WORK_SLOTS];
  work_item work[WORK_SLOTS]; /* batch -1: there is no more */
};

/* Every warp that reads items says for itself that it is done with one. */
__device__ inline void release_work(channels &c, int slot) {
  release_by_warp(c.work_empty[slot]);
}

/* What consumers do: item after item until there is no more. */
template <class F> __device__ __forceinline__ void each_item(channels &c, F run_item) {
  for (unsigned round = 0;; round++) {
    wait_full(c.work_full[round % WORK_SLOTS], round / WORK_SLOTS % 2);
    const work_item &w = c.work[round % WORK_SLOTS];
    if (w.b < 0) break;
    run_item(w);
    release_work(c, round % WORK_SLOTS);
  }
}

/* `copies` arrive at a barrier that waits for copies; at one of a tile that threads write, one of each warp. */
__device__ inline void open_channels(channels &c, int copies) {
  ptx::mbarrier_init(ptx::shared(&c.q_full), 1);
  ptx::mbarrier_init(ptx::shared(&c.q_empty), Q_IN_REGISTERS ? CONSUMERS * 4 : CONSUMERS);
  ptx::mbarrier_init(ptx::shared(&c.tail), copies);
  for (int i = 0; i < STAGES; i++) {
    ptx::mbarrier_init(ptx::shared(&c.k_full[i]), WIDENED ? 4 : copies);
    ptx::mbarrier_init(ptx::shared(&c.v_full[i]), KV_SIZE == 1 ? 4 : copies);
    ptx::mbarrier_init(ptx::shared(&c.k_empty[i]), CONSUMERS);
    ptx::mbarrier_init(ptx::shared(&c.v_empty[i]), CONSUMERS);
  }
  ptx::mbarrier_init(ptx::shared(&c.raw_v_full), copies);
  ptx::mbarrier_init(ptx::shared(&c.raw_v_empty), 4);
  for (int i = 0; i < WORK_SLOTS; i++) {
    ptx::mbarrier_init(ptx::shared(&c.work_full[i]), 1);
    ptx::mbarrier_init(ptx::shared(&c.work_empty[i]), THREADS / 32);
  }
  ptx::fence_mbarrier_init();
}
