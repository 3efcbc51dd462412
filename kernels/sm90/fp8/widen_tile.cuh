/* sm90/fp8/widen_tile.cuh - a tile of fp8 V as f16, from shared memory to shared memory. A lane widens 16
 * elements of a token, a warp step 8 tokens of 64 elements; which lane has which is such that the loads and the stores
 * of eight lanes are at eight different banks, on both sides of the swizzle. A swizzle repeats after 8 tokens, so all
 * addresses of a lane are two and a constant. Loads of four steps come before their stores: a loop of single ones
 * took 300 cycles a step. Read next: staging.cuh. */
#pragma once
#include "../config.cuh"
#include "widen.cuh"

/* The first `used` tokens of the tile are somebody's; the rest becomes 0, since it may be NaN. All four warps. */
template <int head_dim, class To> __device__ __forceinline__ void widen_tile(unsigned from, unsigned to, int used) {
  constexpr int columns = columns_of(head_dim, 1), groups = TILE_N / 8, batch = 4;
  const int lane = threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4;
  const int row = 8 * warp + (lane / 8 ^ lane / 4 % 2 * 5), chunk = lane % 4; /* and every 32nd token after it */
#pragma unroll 1
  for (int half = 0; half < head_dim / 64; half++) { /* 64 elements of each token */
    const int byte = half * 64 + chunk * 16;
    const unsigned source =
        ptx::swizzled<columns>(from + byte / columns * (TILE_N * columns) + row * columns + byte % columns);
    const unsigned target = to + half * (TILE_N * 128) + row * 128 + chunk * 32;
    const unsigned first = ptx::swizzled<128>(target), second = ptx::swizzled<128>(target + 16);
#pragma unroll
    for (int i = 0; i < groups; i += 4 * batch) {
      uint4 x[batch];
#pragma unroll
      for (int j = 0; j < batch; j++)
        if (i + 4 * j + warp < groups) x[j] = ptx::load_shared(source + (i + 4 * j) * (8 * columns));
      if (used < TILE_N)
#pragma unroll
        for (int j = 0; j < batch; j++)
          if ((i + 4 * j) * 8 + row >= used) x[j] = make_uint4(0, 0, 0, 0);
#pragma unroll
      for (int j = 0; j < batch; j++) {
        if (i + 4 * j + warp >= groups) continue;
        ptx::store_shared(first + (i + 4 * j) * (8 * 128), widened_words<To, KV_T>(x[j].x, x[j].y));
        ptx::store_shared(second + (i + 4 * j) * (8 * 128), widened_words<To, KV_T>(x[j].z, x[j].w));
      }
    }
  }
}
