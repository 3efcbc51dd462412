/* sm90/ring.cuh - how the producer and the warpgroups hand things on: rings of slots in shared memory, each with an
 * mbarrier that says "full" and one that says "empty". A slot is used again and again; who waits keeps the number of
 * the use, from which slot and parity follow. Read next: channel.cuh, pages.cuh, ptx/mbarrier.h. */
#pragma once
#include "config.cuh"

/* Where a token of K and V lies; block -1: nowhere. */
struct kv_place {
  int block, slot;
};

/* K or V: the cache as bulk copies see it, and as single threads do. */
struct kv_operand {
  const ptx::tensor_map &map;
  const pah_blocks &blocks;
  const place_units &units; /* of GATHER */
  int head_dim;             /* of the tensor */
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

/* Of tiles of K or V that are there: what single threads copied must be fenced before wgmma reads it. */
__device__ inline void fence_tile() {
  if (GATHER && GATHER_FENCE) ptx::fence_proxy_async_shared();
}

__device__ inline void wait_tile(const unsigned long long &barrier, unsigned parity) {
  wait_full(barrier, parity);
  fence_tile();
}

/* The first use finds the slot empty: waiting for the parity before the first phase returns at once. */
__device__ inline void wait_empty(const unsigned long long &barrier, unsigned parity) {
  ptx::mbarrier_wait(ptx::shared(&barrier), parity ^ 1);
}

/* The same by a warp of which one lane will say "full": it must not before all have seen the slot empty. A lane that
 * still waited would miss this phase once the slot has been filled, used and given back. */
__device__ inline void wait_empty_by_warp(const unsigned long long &barrier, unsigned parity) {
  wait_empty(barrier, parity);
  __syncwarp();
}

/* One thread of a warpgroup speaks for it: what wgmma read, all of it has read when the wait is over. */
__device__ inline void release(unsigned long long &barrier) {
  if (threadIdx.x % 128 == 0) ptx::mbarrier_arrive(ptx::shared(&barrier));
}

/* Every warp speaks for itself. */
__device__ inline void release_by_warp(unsigned long long &barrier) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(ptx::shared(&barrier));
}

/* Rows of a tile of `rows` become zeros, by one warp; then whoever it tells may read the tile by wgmma. */
template <int head_dim, int rows> __device__ inline void clear_rows(unsigned char *tile, int from, int to) {
  for (int row = from; row < to; row++)
    for (int i = threadIdx.x % 32; i < head_dim / COLUMNS * 32; i += 32)
      *(unsigned *)(tile + i / 32 * (rows * ROW_BYTES) + row * ROW_BYTES + i % 32 * 4) = 0;
  ptx::fence_proxy_async_shared();
  __syncwarp();
}
