/* sm90/products.cuh - the two matrix products of a warpgroup: S = Q K^T, 64 rows by TILE_N keys, both from shared
 * memory; and O += P V, P from registers, V of 16 bits as it lies in the cache (a token is a row of it, so wgmma reads
 * it with k outermost), of fp8 transposed. Columns lie one after the other; within one, rows of 128 bytes or fewer,
 * swizzled. Read next: tile_softmax.cuh, ptx/wgmma.h. */
#pragma once
#include "fp8/transpose.cuh"
#include "store.cuh"

/* A descriptor holds addresses in units of 16 bytes, in its low bits: moving on is an addition. */
__device__ __forceinline__ unsigned long long moved(unsigned long long descriptor, unsigned bytes) {
  return descriptor + (bytes >> 4);
}

__device__ __forceinline__ unsigned long long rows_descriptor(unsigned address) { /* Q and K */
  return ptx::wgmma_descriptor(address, swizzle_of(ROW_BYTES), 16, 8 * ROW_BYTES);
}

__device__ __forceinline__ unsigned long long values_descriptor(unsigned address) { /* V */
  if (V_SIZE == 1) return ptx::wgmma_descriptor(address, swizzle_of(TOKENS), 16, 8 * TOKENS);
  return ptx::wgmma_descriptor(address, ptx::SWIZZLE_128, TILE_N * 128, 8 * 128);
}

__device__ __forceinline__ void multiply_qk(float (&s)[TILE_N / 2], unsigned long long q, unsigned long long k) {
#pragma unroll
  for (int i = 0; i < HEAD_DIM * Q_SIZE / 32; i++) { /* 32 bytes of a row at a time */
    const unsigned column = i * 32 / ROW_BYTES, inside = i * 32 % ROW_BYTES;
    ptx::wgmma_ss<QK_KIND, TILE_N>(s, moved(q, column * (TILE_M * ROW_BYTES) + inside),
                                   moved(k, column * (TILE_N * ROW_BYTES) + inside), i > 0);
  }
}

/* The A operand of a warpgroup's 64 rows of Q, from `rows` of shared memory. */
typedef unsigned packed_queries[HEAD_DIM * Q_SIZE / 32][4];

__device__ __forceinline__ void load_queries(packed_queries &q, unsigned rows) {
  const int lane = threadIdx.x % 32, row = (int)threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll
  for (int i = 0; i < HEAD_DIM * Q_SIZE / 32; i++) {
    const int byte = i * 32 + lane / 16 * 16;
    ptx::ldmatrix_x4(q[i], ptx::swizzled<ROW_BYTES>(rows + byte / ROW_BYTES * (TILE_M * ROW_BYTES) + row * ROW_BYTES +
                                                    byte % ROW_BYTES));
  }
}

__device__ __forceinline__ void multiply_qk(float (&s)[TILE_N / 2], const packed_queries &q, unsigned long long k) {
#pragma unroll
  for (int i = 0; i < HEAD_DIM * Q_SIZE / 32; i++)
    ptx::wgmma_rs<QK_KIND, TILE_N>(s, q[i], moved(k, i * 32 / ROW_BYTES * (TILE_N * ROW_BYTES) + i * 32 % ROW_BYTES),
                                   i > 0);
}

/* A weight of P_SIZE bytes: so many words of a thread for 16 or 32 tokens at a time. */
typedef unsigned packed_weights[TILE_N * P_SIZE / 32][4];

/* add 0: o is not read. */
__device__ __forceinline__ void multiply_pv(float (&o)[HEAD_DIM_V / 2], const packed_weights &p, unsigned long long v,
                                            int add) {
#pragma unroll
  for (int i = 0; i < TILE_N * P_SIZE / 32; i++) {
    if (V_SIZE == 1) /* 32 tokens: as many bytes of each row */
      ptx::wgmma_rs<PV_KIND, HEAD_DIM_V>(o, p[i], moved(v, i * 32 / TOKENS * (HEAD_DIM_V * TOKENS) + i * 32 % TOKENS),
                                         i > 0 || add);
    else /* 16 tokens: as many rows of 128 bytes */
      ptx::wgmma_rs<PV_KIND, HEAD_DIM_V, V_SIZE == 2>(o, p[i], moved(v, i * 16 * 128), i > 0 || add);
  }
}

/* Weights as the A operand of wgmma. Of 16 bits, the layout of sums is that of A, pairs of neighbours in a register. Of
 * 8 bits, a register of A is four neighbours where a thread has two and two that are 8 keys further on: it takes those,
 * and V has its tokens in that order (fp8/transpose.cuh). */
__device__ __forceinline__ void pack_weights(packed_weights &p, const float (&s)[TILE_N / 2]) {
#pragma unroll
  for (int i = 0; i < TILE_N * P_SIZE / 32; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (P_SIZE == 2) {
        p[i][j] = pair_of(P_T(), s[8 * i + 2 * j], s[8 * i + 2 * j + 1]);
      } else {
        const int at = 16 * i + j / 2 * 8 + j % 2 * 2;
        p[i][j] = pair_of(P_T(), s[at], s[at + 1]) | pair_of(P_T(), s[at + 4], s[at + 5]) << 16;
      }
    }
}
