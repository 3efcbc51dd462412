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

/* Of a tile of `rows` that is the B operand with its rows along k: V in the forward. */
template <int rows> __device__ __forceinline__ unsigned long long columns_descriptor(unsigned address) {
  return ptx::wgmma_descriptor(address, ptx::SWIZZLE_128, rows * ROW_BYTES, 8 * ROW_BYTES);
}

/* d = A B^T of 64 of a_rows rows and n rows, head_dim long each. */
template <int a_rows, int n>
__device__ __forceinline__ void multiply_rows(float (&d)[n / 2], unsigned long long a, unsigned long long b) {
#pragma unroll
  for (int i = 0; i < HEAD_DIM / 16; i++) { /* 16 elements of a row at a time: 32 of its 128 bytes */
    const unsigned inside = i % 4 * 32;
    ptx::wgmma_ss<KIND, n>(d, moved(a, i / 4 * (a_rows * ROW_BYTES) + inside),
                           moved(b, i / 4 * (n * ROW_BYTES) + inside), i > 0);
  }
}

/* d += P B, P in registers: 64 rows by 16 * count, B: 16 * count rows, n long. */
template <int n, int count>
__device__ __forceinline__ void add_columns(float (&d)[n / 2], const unsigned (&p)[count][4], unsigned long long b) {
#pragma unroll
  for (int i = 0; i < count; i++) ptx::wgmma_rs<KIND, n, 1>(d, p[i], moved(b, i * 16 * ROW_BYTES), 1);
}

/* Weights as the A operand of wgmma: the layout of sums is that of A, pairs of neighbours in a register. */
template <int count>
__device__ __forceinline__ void pack_weights(unsigned (&p)[count][4], const float (&s)[8 * count]) {
#pragma unroll
  for (int i = 0; i < count; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) p[i][j] = pair_of(s[8 * i + 2 * j], s[8 * i + 2 * j + 1]);
}
