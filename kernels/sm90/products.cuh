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

/* Of a tile of `rows` that is the B operand with its rows along k: V in the forward. Of fp8 it is transposed. */
template <int rows> __device__ __forceinline__ unsigned long long columns_descriptor(unsigned address) {
  if (V_SIZE == 1) return ptx::wgmma_descriptor(address, swizzle_of(TOKENS), 16, 8 * TOKENS);
  return ptx::wgmma_descriptor(address, ptx::SWIZZLE_128, rows * 128, 8 * 128);
}

/* d = A B^T of 64 of a_rows rows and n rows, head_dim long each. */
template <int a_rows, int n>
__device__ __forceinline__ void multiply_rows(float (&d)[n / 2], unsigned long long a, unsigned long long b) {
#pragma unroll
  for (int i = 0; i < HEAD_DIM * Q_SIZE / 32; i++) { /* 32 bytes of a row at a time */
    const unsigned column = i * 32 / ROW_BYTES, inside = i * 32 % ROW_BYTES;
    ptx::wgmma_ss<QK_KIND, n>(d, moved(a, column * (a_rows * ROW_BYTES) + inside),
                              moved(b, column * (n * ROW_BYTES) + inside), i > 0);
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

/* As multiply_rows, with those 64 rows of Q in registers. */
template <int n>
__device__ __forceinline__ void multiply_queries(float (&d)[n / 2], const packed_queries &q, unsigned long long b) {
#pragma unroll
  for (int i = 0; i < HEAD_DIM * Q_SIZE / 32; i++)
    ptx::wgmma_rs<QK_KIND, n>(d, q[i], moved(b, i * 32 / ROW_BYTES * (n * ROW_BYTES) + i * 32 % ROW_BYTES), i > 0);
}

/* d += P B, P in registers: 64 rows by 32 bytes of weights, count times, B: as many rows, n long. add 0: d is not
 * read. With four warpgroups ptxas has no room for a product of 256 columns: then they are two. */
template <int n, int count>
__device__ __forceinline__ void add_columns(float (&d)[n / 2], const unsigned (&p)[count][4], unsigned long long b,
                                            int add = 1) {
  constexpr int parts = THREADS == 512 && n == 256 ? 2 : 1, width = n / parts;
#pragma unroll
  for (int i = 0; i < count; i++) {
#pragma unroll
    for (int part = 0; part < parts; part++) {
      float(&sums)[width / 2] = *(float(*)[width / 2])(d + part * (width / 2));
      if (V_SIZE == 1) /* 32 tokens: as many bytes of each row */
        ptx::wgmma_rs<PV_KIND, width>(sums, p[i], moved(b, i * 32 / TOKENS * (n * TOKENS) + i * 32 % TOKENS),
                                      i > 0 || add);
      else /* 16 tokens: as many rows of 128 bytes */
        ptx::wgmma_rs<PV_KIND, width, V_SIZE == 2>(
            sums, p[i], moved(b, i * 16 * 128 + part * (width / 64) * (TILE_N * 128)), i > 0 || add);
    }
  }
}

/* Weights as the A operand of wgmma. Of 16 bits, the layout of sums is that of A, pairs of neighbours in a register. Of
 * 8 bits, a register of A is four neighbours where a thread has two and two that are 8 keys further on: it takes those,
 * and V has its tokens in that order (fp8/transpose.cuh). */
template <int count>
__device__ __forceinline__ void pack_weights(unsigned (&p)[count][4], const float (&s)[16 / P_SIZE * count]) {
#pragma unroll
  for (int i = 0; i < count; i++)
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
