/* sm90/fp8/transpose.cuh - a tile of fp8 V with tokens innermost, as wgmma must have it. ldmatrix.trans gives a lane
 * two neighbours of D of the tokens 2t and 2t + 1; with those of 8 tokens further on, one byte permutation makes four
 * tokens of one element, and the other four of its neighbour. So each 16 tokens lie in the order 0 1 8 9 2 3 10 11 4 5
 * 12 13 6 7 14 15: that in which a lane has its weights in a row (products.cuh), which therefore need no exchange.
 * A warp step is 16 tokens of 32 elements. Read next: fp8/staging.cuh. */
#pragma once
#include "../config.cuh"

/* Rows of the transposed tile: columns of so many tokens. */
constexpr int TOKENS = TILE_N % 128 == 0 ? 128 : TILE_N % 64 == 0 ? 64 : 32;

/* Which halves of a word of two tokens, `token` and the one after it, are in use. */
__device__ __forceinline__ unsigned used_mask(int token, int used) {
  return (token < used ? 0xffffu : 0) | (token + 1 < used ? 0xffff0000u : 0);
}

/* The first `used` tokens of the tile are somebody's; the rest becomes 0, since it may be NaN. All four warps. */
__device__ __forceinline__ void transpose_tile(unsigned from, unsigned to, int used) {
  constexpr int columns = columns_of(HEAD_DIM_V, 1), parts = HEAD_DIM_V / 32, step = parts < 4 ? 4 / parts : 1;
  const int lane = threadIdx.x % 32, warp = (int)threadIdx.x / 32 % 4, row = lane % 8, matrix = lane / 8;
  /* Lanes of the upper half have the odd neighbour first: so eight rows that are stored together are at eight banks. */
  const unsigned odd = lane / 16, first = odd ? 0x7531 : 0x6420, second = odd ? 0x6420 : 0x7531;
#pragma unroll
  for (int part = warp % parts; part < parts; part += 4) {
    const int byte = 32 * part + matrix / 2 * 16; /* of the token's row, for loads */
    const unsigned source =
        from + byte / columns * (TILE_N * columns) + (matrix % 2 * 8 + row) * columns + byte % columns;
    const int d = 32 * part + matrix / 2 * 16 + 2 * row + (matrix % 2 ^ row / 4); /* for stores */
#pragma unroll(parts < 4 ? 1 : 4)
    for (int t = warp / parts; t < TILE_N / 16; t += step) {
      unsigned x[4], y[4];
      ptx::ldmatrix_x4_trans(x, ptx::swizzled<columns>(source + t * (16 * columns)));
      if (used < TILE_N) {
        const unsigned low = used_mask(16 * t + 2 * (lane % 4), used),
                       high = used_mask(16 * t + 8 + 2 * (lane % 4), used);
        x[0] &= low, x[1] &= high, x[2] &= low, x[3] &= high;
      }
      y[0] = __byte_perm(x[0], x[1], first);
      y[1] = __byte_perm(x[0], x[1], second);
      y[2] = __byte_perm(x[2], x[3], first);
      y[3] = __byte_perm(x[2], x[3], second);
      const unsigned place = to + 16 * t / TOKENS * (HEAD_DIM_V * TOKENS) + d * TOKENS + 16 * t % TOKENS;
      ptx::stmatrix_x4(ptx::swizzled<TOKENS>(place), y);
    }
  }
}
