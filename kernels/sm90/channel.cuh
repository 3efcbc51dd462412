/* sm90/channel.cuh - how the producer and the warpgroups hand things on: rings of slots in shared memory, each with an
 * mbarrier that says "full" and one that says "empty". A slot is used again and again; who waits keeps the number of
 * the use, from which slot and parity follow. Read next: forward.cu, ptx/mbarrier.h. */
#pragma once
#include "config.cuh"
#include "work.cuh"

constexpr int WORK_SLOTS = 2;

/* Where a token of K and V lies; block -1: nowhere. */
struct kv_place {
  int block, slot;
};

struct channels {
  unsigned long long q_full, q_empty, tail;
  unsigned long long k_full[STAGES], k_empty[STAGES], v_full[STAGES], v_empty[STAGES];
  unsigned long long raw_k_full[RAW_STAGES], raw_k_empty[RAW_STAGES], raw_v_full[RAW_STAGES], raw_v_empty[RAW_STAGES];
  unsigned long long work_full[WORK_SLOTS], work_empty[WORK_SLOTS];
  work_item work[WORK_SLOTS]; /* batch -1: there is no more */
};

/* The place of use number `count` in a ring of `slots`. */
template <int slots> struct ring_place {
  int slot = 0;
  unsigned parity = 0; /* of the use: 0, then 1, then 0 */
  __device__ __forceinline__ void advance() {
    if (++slot == slots) slot = 0, parity ^= 1;
  }
};

__device__ inline void wait_full(const unsigned long long &barrier, unsigned parity) {
  ptx::mbarrier_wait(ptx::shared(&barrier), parity);
}

/* A tile of K or V: what single threads copied must be fenced before wgmma reads it. */
__device__ inline void wait_tile(const unsigned long long &barrier, unsigned parity) {
  wait_full(barrier, parity);
  if (GATHER) ptx::fence_proxy_async_shared();
}

/* The first use finds the slot empty: waiting for the parity before the first phase returns at once. */
__device__ inline void wait_empty(const unsigned long long &barrier, unsigned parity) {
  ptx::mbarrier_wait(ptx::shared(&barrier), parity ^ 1);
}

/* One thread of a warpgroup speaks for it: what wgmma read, all of it has read when the wait is over. */
__device__ inline void release(unsigned long long &barrier) {
  if (threadIdx.x % 128 == 0) ptx::mbarrier_arrive(ptx::shared(&barrier));
}

/* Each warp for itself: what its lanes have read. */
__device__ inline void release_warp(unsigned long long &barrier) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(ptx::shared(&barrier));
}

/* Every warp that reads items says for itself that it is done with one. */
__device__ inline void release_work(channels &c, int slot) {
  release_warp(c.work_empty[slot]);
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
