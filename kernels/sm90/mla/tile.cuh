/* sm90/mla/tile.cuh - the sizes of decode where V is the first HEAD_DIM_V columns of K (MLA: 576 and 512) and memory is
 * read once for both. ROWS rows, queries x heads, share a tile of KEYS tokens. Shared memory holds Q, STAGES tiles of
 * K, and the weights of a tile, as columns of 64 elements: rows of 128 bytes, swizzled, as wgmma wants them.
 * Two warpgroups compute: each the scores of half of the keys, then half of the columns of V; a third one loads.
 * Defines: HEAD_DIM, HEAD_DIM_V, Q_T (K alike), OUT_T. Read next: decode.cu. */
#pragma once
#ifndef GATHER
#define GATHER 0 /* 1: K token by token, for block sizes that are no multiple of 8 */
#endif
#ifndef MIN_TILES
#define MIN_TILES 8 /* of a run: with fewer, joining would take longer than computing */
#endif
#include "../../ptx.cuh"
#include "../../types.cuh"

#define KV_T Q_T
#include "../../sm80/options.cuh"

constexpr int D = HEAD_DIM, DV = HEAD_DIM_V;
constexpr int ROWS = 64, KEYS = 64, STAGES = 2, LIST = 16, MIN_RUN = MIN_TILES;
constexpr unsigned TURNS = 1;
constexpr int FIRST_UNIT = KEYS; /* boxes begin where pages do */
constexpr int HALVES = 2, CONSUMERS = 128 * HALVES, THREADS = CONSUMERS + 128, WARPS = THREADS / 32;
constexpr int HALF_KEYS = KEYS / HALVES, HALF_DV = DV / HALVES;
constexpr int COLUMNS = 64, ROW_BYTES = 128, BLOCK_BYTES = KEYS * ROW_BYTES; /* of 64 columns of a tile */
constexpr int Q_BYTES = ROWS * D * 2, K_BYTES = KEYS * D * 2, WEIGHT_BYTES = ROWS * KEYS * 2;
constexpr int K_START = Q_BYTES, WEIGHT_START = K_START + STAGES * K_BYTES;
constexpr int PRODUCER_REGISTERS = 72, CONSUMER_REGISTERS = 216;
static_assert(D % COLUMNS == 0 && DV % (HALVES * COLUMNS) == 0 && HALF_DV <= 256 && DV <= D, "HEAD_DIM, HEAD_DIM_V");

template <class T> struct wgmma_kind;
template <> struct wgmma_kind<bf16> { static constexpr int value = ptx::WGMMA_BF16; };
template <> struct wgmma_kind<f16> { static constexpr int value = ptx::WGMMA_F16; };
constexpr int KIND = wgmma_kind<Q_T>::value;

extern __shared__ __align__(1024) unsigned char pool[];

/* What the loading warpgroup and the computing ones tell each other. */
struct channels {
  unsigned long long q_full, q_empty, tail, k_full[STAGES], k_empty[STAGES];
};

/* A slot of the ring and the parity of its use. */
struct ring_place {
  int slot = 0;
  unsigned parity = 0;
  __device__ __forceinline__ void advance() {
    if (++slot == STAGES) slot = 0, parity ^= 1;
  }
};

__device__ __forceinline__ unsigned at(const unsigned long long &barrier) {
  return ptx::shared(&barrier);
}

__device__ inline void open_channels(channels &c) {
  ptx::mbarrier_init(at(c.q_full), 128);
  ptx::mbarrier_init(at(c.q_empty), HALVES);
  ptx::mbarrier_init(at(c.tail), 4);
  for (int i = 0; i < STAGES; i++) {
    ptx::mbarrier_init(at(c.k_full[i]), GATHER ? 128 : 4);
    ptx::mbarrier_init(at(c.k_empty[i]), HALVES);
  }
  ptx::fence_mbarrier_init();
}
