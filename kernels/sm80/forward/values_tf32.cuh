/* sm80/forward/values_tf32.cuh - O += P V of f32, an instruction 16 rows by 8 columns by 8 keys of tf32. The order of
 * keys and columns is free, so two are taken that need nothing moved between lanes. Keys: a lane has the weights of
 * keys 2t and 2t + 1, where the A operand wants t and t + 4; so those are what it calls them, and it reads rows 2t and
 * 2t + 1 of V. Columns: a lane reads 16 bytes of a row, columns 4g to 4g + 3 of 32, and each belongs to another
 * instruction; so a lane's sums are 8 columns in a row, which store.cuh writes (SPREAD_COLUMNS). Read next: forward.cu.
 */
#pragma once
#include "products.cuh"

typedef unsigned weight_tiles[M_TILES][TILE_N / 2];

static_assert(PARTS == 1, "tf32: a tile of keys is not divided");

__device__ __forceinline__ void pack_weights(weight_tiles &p, const score_tiles &s, int) {
#pragma unroll
  for (int m = 0; m < M_TILES; m++) {
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) p[m][i] = __float_as_uint(s[m][i]);
    round_factors(p[m]);
  }
}

__device__ __forceinline__ void multiply_pv(sum_tiles &o, const weight_tiles &p, int, unsigned tile) {
  const int lane = threadIdx.x % 32, g = lane / 4, key = lane % 4 * 2;
  const unsigned char *const rows = pool + (tile - ptx::shared(pool)) + key * ROW_BYTES;
  const int even = (g ^ key) << 4, odd = ROW_BYTES + ((g ^ (key + 1)) << 4);
#pragma unroll
  for (int k = 0; k < TILE_N / 8; k++)
#pragma unroll
    for (int c = 0; c < HEAD_DIM_V / 32; c++) {
      const unsigned char *const at = rows + k * (8 * ROW_BYTES) + c * (TILE_N * ROW_BYTES);
      const uint4 first = *(const uint4 *)(at + even), second = *(const uint4 *)(at + odd);
      unsigned x[4] = {first.x, first.y, first.z, first.w}, y[4] = {second.x, second.y, second.z, second.w};
      round_factors(x);
      round_factors(y);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int m = 0; m < M_TILES; m++) {
          const unsigned a[4] = {p[m][4 * k], p[m][4 * k + 2], p[m][4 * k + 1], p[m][4 * k + 3]};
          mma<V_T>(o[m] + 16 * c + 4 * i, a, x[i], y[i]);
        }
    }
}
