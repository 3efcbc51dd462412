/* sm80/forward/products.cuh - the first product of a warp: S = Q K^T, an instruction 16 rows by 8 keys by 32 bytes of
 * each. Q and K are read as they lie. A fragment of K serves M_TILES tiles of rows. The second product, O += P V, needs
 * V transposed: values.cuh, and for f32 values_tf32.cuh. Layouts of fragments: ptx/mma.h; of tiles: page_fetch.cuh.
 * Read next: values.cuh. */
#pragma once
#include "config.cuh"
#include "page_fetch.cuh"
#include "store.cuh"

typedef float score_tiles[M_TILES][TILE_N / 2]; /* of a thread, as tile_softmax.cuh has them */
typedef float sum_tiles[M_TILES][HEAD_DIM_V / 2];
constexpr int K_STEPS = HEAD_DIM * (int)sizeof(K_T) / 32; /* of Q K^T */

template <class T> __device__ __forceinline__ void mma(float *d, const unsigned (&a)[4], unsigned b0, unsigned b1) {
  float(&sums)[4] = *(float(*)[4])d;
  if (TF32)
    ptx::mma_m16n8k8_tf32(sums, a, b0, b1, sums);
  else if (IS_BF16<T>)
    ptx::mma_m16n8k16_bf16(sums, a, b0, b1, sums);
  else
    ptx::mma_m16n8k16_f16(sums, a, b0, b1, sums);
}

/* Factors of tf32, to nearest: mma would cut off what it does not take. */
template <int count> __device__ __forceinline__ void round_factors(unsigned (&x)[count]) {
  if (!TF32) return;
#pragma unroll
  for (int i = 0; i < count; i++) x[i] = ptx::round_tf32(__uint_as_float(x[i]));
}

/* Where this lane's row for ldmatrix_x4 begins: `row` of it, and chunk `chunk` (0, 1) of 16 bytes. The next 32 bytes
 * are at the address ^ 32, ^ 64, ^ 96, the next column a tile of columns on. */
__device__ __forceinline__ unsigned lane_row(unsigned tile, int row, int chunk) {
  return tile + row * ROW_BYTES + ((chunk ^ row % 8) << 4);
}

template <int rows> __device__ __forceinline__ unsigned moved(unsigned address, int k) {
  return (address ^ k % 4 * 32) + k / 4 * (rows * ROW_BYTES);
}

/* Q of this warp: read again for every tile of keys, or once where registers have room for it. */
struct query_rows {
  static constexpr int KEPT = Q_IN_REGISTERS ? K_STEPS : 1;
  unsigned address, kept[KEPT][M_TILES][4];

  __device__ __forceinline__ void load(int k, unsigned (&a)[M_TILES][4]) const {
#pragma unroll
    for (int m = 0; m < M_TILES; m++) ptx::ldmatrix_x4(a[m], moved<TILE_M>(address + m * (STRIPE * ROW_BYTES), k));
  }

  /* The 32 bytes of step k. */
  __device__ __forceinline__ void read(int k, unsigned (&a)[M_TILES][4]) const {
    if (Q_IN_REGISTERS) {
#pragma unroll
      for (int i = 0; i < 4 * M_TILES; i++) a[i / 4][i % 4] = kept[k % KEPT][i / 4][i % 4];
    } else {
      load(k, a);
    }
  }

  /* In place, once an item: they are read for every tile. A warp has rows of its own. */
  static __device__ __forceinline__ void round_rows(unsigned q) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned char *const rows = pool + (q - ptx::shared(pool)) + warp * 16 * ROW_BYTES;
#pragma unroll 1
    for (int i = lane; i < COLUMNS_OF<DIM> * M_TILES * 16 * 8; i += 32) { /* chunks of 16 bytes */
      const int column = i / (M_TILES * 128), m = i / 128 % M_TILES;
      uint4 &chunk = *(uint4 *)(rows + column * (TILE_M * ROW_BYTES) + m * (STRIPE * ROW_BYTES) + i % 128 * 16);
      unsigned x[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
      round_factors(x);
      chunk = make_uint4(x[0], x[1], x[2], x[3]);
    }
    __syncwarp();
  }

  __device__ __forceinline__ void begin(unsigned q) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (TF32) round_rows(q);
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
  for (int k = 0; k < K_STEPS; k++) {
    unsigned a[M_TILES][4];
    q.read(k, a);
#pragma unroll
    for (int i = 0; i < TILE_N / 16; i++) {
      unsigned b[4];
      ptx::ldmatrix_x4(b, moved<TILE_N>(keys, k) + i * (16 * ROW_BYTES));
      round_factors(b);
#pragma unroll
      for (int m = 0; m < M_TILES; m++)
#pragma unroll
        for (int j = 0; j < 2; j++) mma<K_T>(s[m] + 8 * i + 4 * j, a[m], b[2 * j], b[2 * j + 1]);
    }
  }
}
