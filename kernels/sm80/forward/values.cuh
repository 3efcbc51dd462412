/* sm80/forward/values.cuh - the second product of a warp: O += P V, an instruction 16 rows by 8 columns by 16 keys. V
 * is transposed by ldmatrix on the way; weights stay in registers, where the layout of sums is that of the A operand.
 * Read next: forward.cu; for f32, values_tf32.cuh. */
#pragma once
#include "products.cuh"

typedef unsigned weight_tiles[M_TILES][TILE_N / 16][4];

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
        for (int j = 0; j < 2; j++) mma<V_T>(o[m] + 8 * i + 4 * j, p[m][k], b[2 * j], b[2 * j + 1]);
    }
}

/* Weights as an operand: the layout of sums is that of A, pairs of neighbours in a register. */
__device__ __forceinline__ void pack_weights(weight_tiles &p, const score_tiles &s, int part) {
#pragma unroll
  for (int m = 0; m < M_TILES; m++)
#pragma unroll
    for (int i = part * (TILE_N / 4 / PARTS); i < (part + 1) * (TILE_N / 4 / PARTS); i++)
      p[m][i / 4][i % 4] = pair_of(V_T(), s[m][2 * i], s[m][2 * i + 1]);
}
