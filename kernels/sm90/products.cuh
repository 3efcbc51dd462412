/* sm90/products.cuh - the two matrix products of a warpgroup: S = Q K^T, 64 rows by TILE_N keys, both from shared
 * memory; and O += P V, P from registers, V as it lies in the cache (a token is a row of it, so wgmma reads it with k
 * outermost). Columns of 64 elements lie one after the other; within one, rows of 128 bytes, swizzled.
 * Read next: tile_softmax.cuh, ptx/wgmma.h. */
#pragma once
#include "config.cuh"

/* A descriptor holds addresses in units of 16 bytes, in its low bits: moving on is an addition. */
__device__ __forceinline__ unsigned long long moved(unsigned long long descriptor, unsigned bytes) {
  return descriptor + (bytes >> 4);
}

__device__ __forceinline__ unsigned long long rows_descriptor(unsigned address) { /* Q and K */
  return ptx::wgmma_descriptor(address, ptx::SWIZZLE_128, 16, 8 * ROW_BYTES);
}

__device__ __forceinline__ unsigned long long values_descriptor(unsigned address) { /* V */
  return ptx::wgmma_descriptor(address, ptx::SWIZZLE_128, TILE_N * ROW_BYTES, 8 * ROW_BYTES);
}

__device__ __forceinline__ void multiply_qk(float (&s)[TILE_N / 2], unsigned long long q, unsigned long long k) {
#pragma unroll
  for (int i = 0; i < HEAD_DIM / 16; i++) { /* 16 elements of a row at a time: 32 of its 128 bytes */
    const unsigned inside = i % 4 * 32;
    ptx::wgmma_ss<KIND, TILE_N>(s, moved(q, i / 4 * (TILE_M * ROW_BYTES) + inside),
                                moved(k, i / 4 * (TILE_N * ROW_BYTES) + inside), i > 0);
  }
}

__device__ __forceinline__ void multiply_pv(float (&o)[HEAD_DIM_V / 2], const unsigned (&p)[TILE_N / 16][4],
                                            unsigned long long v) {
#pragma unroll
  for (int i = 0; i < TILE_N / 16; i++) /* 16 tokens at a time */
    ptx::wgmma_rs<KIND, HEAD_DIM_V, 1>(o, p[i], moved(v, i * 16 * ROW_BYTES), 1);
}

/* Weights as the A operand of wgmma: the layout of sums is that of A, pairs of neighbours in a register. */
__device__ __forceinline__ void pack_weights(unsigned (&p)[TILE_N / 16][4], const float (&s)[TILE_N / 2]) {
#pragma unroll
  for (int i = 0; i < TILE_N / 16; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) p[i][j] = pair_of(s[8 * i + 2 * j], s[8 * i + 2 * j + 1]);
}
