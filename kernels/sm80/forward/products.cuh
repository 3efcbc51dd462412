/* sm80/forward/products.cuh - the two products of a warp: S = Q K^T and O += P V, each of 16 rows by 8 columns by 16 an
 * instruction. K is read as it lies, V transposed by ldmatrix on the way. A fragment of K or V serves M_TILES tiles of
 * rows. Layouts of fragments: ptx/mma.h; of tiles: page_fetch.cuh. Read next: forward.cu. */
#pragma once
#include "config.cuh"
#include "page_fetch.cuh"
#include "store.cuh"

typedef float score_tiles[M_TILES][TILE_N / 2]; /* of a thread, as tile_softmax.cuh has them */
typedef float sum_tiles[M_TILES][HEAD_DIM_V / 2];
typedef unsigned weight_tiles[M_TILES][TILE_N / 16][4];

__device__ __forceinline__ void mma(float *d, const unsigned (&a)[4], unsigned b0, unsigned b1) {
  float(&sums)[4] = *(float(*)[4])d;
  if (IS_BF16<IO_T>)
    ptx::mma_m16n8k16_bf16(sums, a, b0, b1, sums);
  else
    ptx::mma_m16n8k16_f16(sums, a, b0, b1, sums);
}

/* Where this lane's row for ldmatrix_x4 begins: `row` of it, and chunk `chunk` (0, 1) of 16 elements. The next 16 are
 * at the address ^ 32, ^ 64, ^ 96, the next column a tile of columns on. */
__device__ __forceinline__ unsigned lane_row(unsigned tile, int row, int chunk) {
  return tile + row * ROW_BYTES + ((chunk ^ row % 8) << 4);
}

template <int rows> __device__ __forceinline__ unsigned moved(unsigned address, int k) {
  return (address ^ k % 4 * 32) + k / 4 * (rows * ROW_BYTES);
}

/* Q of this warp: read again for every tile of keys, or once where registers have room for it. */
struct query_rows {
  static constexpr int KEPT = Q_IN_REGISTERS ? HEAD_DIM / 16 : 1;
  unsigned address, kept[KEPT][M_TILES][4];

  __device__ __forceinline__ void load(int k, unsigned (&a)[M_TILES][4]) const {
#pragma unroll
    for (int m = 0; m < M_TILES; m++) ptx::ldmatrix_x4(a[m], moved<TILE_M>(address + m * (STRIPE * ROW_BYTES), k));
  }

  /* Elements 16 k and on. */
  __device__ __forceinline__ void read(int k, unsigned (&a)[M_TILES][4]) const {
    if (Q_IN_REGISTERS) {
#pragma unroll
      for (int i = 0; i < 4 * M_TILES; i++) a[i / 4][i % 4] = kept[k % KEPT][i / 4][i % 4];
    } else {
      load(k, a);
    }
  }

  __device__ __forceinline__ void begin(unsigned q) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    address = lane_row(q, warp * 16 + lane % 16, lane / 16);
    if constexpr (Q_IN_REGISTERS) {
#pragma unroll
      for (int k = 0; k < KEPT; k++) load(k, kept[k]);
    }
  }
};

__device__ __forceinline__ void multiply_qk(score_tiles &s, const query_rows &q, unsigned tile) {
  const int lane = threadIdx.x % 32;
  const unsigned keys = lane_row(tile, lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int m = 0; m < M_TILES; m++)
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) s[m][i] = 0;
#pragma unroll
  for (int k = 0; k < HEAD_DIM / 16; k++) {
    unsigned a[M_TILES][4];
    q.read(k, a);
#pragma unroll
    for (int i = 0; i < TILE_N / 16; i++) {
      unsigned b[4];
      ptx::ldmatrix_x4(b, moved<TILE_N>(keys, k) + i * (16 * ROW_BYTES));
#pragma unroll
      for (int m = 0; m < M_TILES; m++)
#pragma unroll
        for (int j = 0; j < 2; j++) mma(s[m] + 8 * i + 4 * j, a[m], b[2 * j], b[2 * j + 1]);
    }
  }
}

/* Of the keys of one part. */
__device__ __forceinline__ void multiply_pv(sum_tiles &o, const weight_tiles &p, int part, unsigned tile) {
  const int lane = threadIdx.x % 32;
  const unsigned values = lane_row(tile, lane % 16, lane / 16);
#pragma unroll
  for (int k = part * (TILE_N / 16 / PARTS); k < (part + 1) * (TILE_N / 16 / PARTS); k++)
#pragma unroll
    for (int i = 0; i < HEAD_DIM_V / 16; i++) {
      unsigned b[4];
      ptx::ldmatrix_x4_trans(b, moved<TILE_N>(values, i) + k * (16 * ROW_BYTES));
#pragma unroll
      for (int m = 0; m < M_TILES; m++)
#pragma unroll
        for (int j = 0; j < 2; j++) mma(o[m] + 8 * i + 4 * j, p[m][k], b[2 * j], b[2 * j + 1]);
    }
}

/* Weights as an operand: the layout of sums is that of A, pairs of neighbours in a register. */
__device__ __forceinline__ void pack_weights(weight_tiles &p, const score_tiles &s, int part) {
#pragma unroll
  for (int m = 0; m < M_TILES; m++)
#pragma unroll
    for (int i = part * (TILE_N / 4 / PARTS); i < (part + 1) * (TILE_N / 4 / PARTS); i++)
      p[m][i / 4][i % 4] = pair_of(IO_T(), s[m][2 * i], s[m][2 * i + 1]);
}
