/* sm90/channel.cuh - the rings of the forward: Q, K and V, and items of work. Read next: ring.cuh, forward.cu. */
#pragma once
#include "ring.cuh"
#include "work.cuh"

constexpr int WORK_SLOTS = 2;

struct channels {
  unsigned long long q_full, q_empty, tail;
  unsigned long long k_full[STAGES], k_empty[STAGES], v_full[STAGES], v_empty[STAGES];
  unsigned long long work_full[WORK_SLOTS], work_empty[WORK_SLOTS];
  work_item work[WORK_SLOTS]; /* batch -1: there is no more */
};

/* Every warp that reads items says for itself that it is done with one. */
__device__ inline void release_work(channels &c, int slot) {
  release_by_warp(c.work_empty[slot]);
}

__device__ inline void open_channels(channels &c, int producers) {
  ptx::mbarrier_init(ptx::shared(&c.q_full), 1);
  ptx::mbarrier_init(ptx::shared(&c.q_empty), CONSUMERS);
  ptx::mbarrier_init(ptx::shared(&c.tail), producers);
  for (int i = 0; i < STAGES; i++) {
    ptx::mbarrier_init(ptx::shared(&c.k_full[i]), producers);
    ptx::mbarrier_init(ptx::shared(&c.v_full[i]), producers);
    ptx::mbarrier_init(ptx::shared(&c.k_empty[i]), CONSUMERS);
    ptx::mbarrier_init(ptx::shared(&c.v_empty[i]), CONSUMERS);
  }
  for (int i = 0; i < WORK_SLOTS; i++) {
    ptx::mbarrier_init(ptx::shared(&c.work_full[i]), 1);
    ptx::mbarrier_init(ptx::shared(&c.work_empty[i]), THREADS / 32);
  }
  ptx::fence_mbarrier_init();
}
