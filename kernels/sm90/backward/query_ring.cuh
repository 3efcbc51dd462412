/* sm90/backward/query_ring.cuh - what is where in shared memory in dkdv.cuh, and its rings: K and V of an item, one
 * slot; tiles of Q, dout and the numbers of their queries, QUERY_STAGES slots; uses. Read next: ring.cuh,
 * dkdv_producer.cuh. */
#pragma once
#include "../ring.cuh"
#include "../work.cuh"
#define ASK_AHEAD (!GATHER) /* who gathers lacks a register */
#include "backward/uses.cuh"

#ifndef QUERY_STAGES
#define QUERY_STAGES 3
#endif

constexpr int USE_SLOTS = 2;
constexpr unsigned TILE_Q_BYTES = QUERIES * HEAD_DIM * 2, STATS_BYTES = 2 * QUERIES * 4,
                   KEY_BYTES = KEYS * HEAD_DIM * 2;
constexpr unsigned QUERIES_START = 0, D_OUT_START = QUERY_STAGES * TILE_Q_BYTES;
constexpr unsigned KEYS_START = 2 * D_OUT_START, VALUES_START = KEYS_START + KEY_BYTES;
constexpr unsigned STATS_START = VALUES_START + KEY_BYTES;

static_assert(HEAD_DIM == HEAD_DIM_V, "the backward has one size for both");
static_assert(KEYS == 64 * CONSUMERS, "a warpgroup has 64 keys");

struct dkdv_channels {
  unsigned long long k_full, v_full, kv_empty, tail, queries_tail;
  unsigned long long turn[CONSUMERS]; /* of a warpgroup at the tensor cores */
  unsigned long long full[QUERY_STAGES], empty[QUERY_STAGES];
  unsigned long long use_full[USE_SLOTS], use_empty[USE_SLOTS];
  key_use use[USE_SLOTS];
};

__device__ inline void open_channels(dkdv_channels &c, int producers) {
  ptx::mbarrier_init(ptx::shared(&c.k_full), producers);
  ptx::mbarrier_init(ptx::shared(&c.v_full), producers);
  ptx::mbarrier_init(ptx::shared(&c.kv_empty), CONSUMER_THREADS / 32); /* a warp without products may be late */
  ptx::mbarrier_init(ptx::shared(&c.tail), producers);
  ptx::mbarrier_init(ptx::shared(&c.queries_tail), 1);
  for (int i = 0; i < CONSUMERS; i++) ptx::mbarrier_init(ptx::shared(&c.turn[i]), 4); /* warps of the other one */
  for (int i = 0; i < QUERY_STAGES; i++) {
    ptx::mbarrier_init(ptx::shared(&c.full[i]), 1);
    ptx::mbarrier_init(ptx::shared(&c.empty[i]), CONSUMER_THREADS / 32); /* threads read numbers, too */
  }
  for (int i = 0; i < USE_SLOTS; i++) {
    ptx::mbarrier_init(ptx::shared(&c.use_full[i]), 1);
    ptx::mbarrier_init(ptx::shared(&c.use_empty[i]), THREADS / 32);
  }
  ptx::fence_mbarrier_init();
}
