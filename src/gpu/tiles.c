/* tiles.c - the one list of tiles of the naive kernels; pah.block_config and the launches read it. The rows of head_dim
 * 64 and 128 are those of the project's first kernels and are kept as the yardstick. */
#include "gpu.h"

#define TILES(X, op, f32_m, f32_n, half_m, half_n, d)                                                                  \
  X(op, PAH_F32, d, f32_m, f32_n) X(op, PAH_F16, d, half_m, half_n) X(op, PAH_BF16, d, half_m, half_n)
#define FP8_TILES(X, m, n, d) X(PAH_FWD, PAH_FP8_E4M3, d, m, n) X(PAH_FWD, PAH_FP8_E5M2, d, m, n)

#define ALL_TILES(X)                                                                                                   \
  TILES(X, PAH_FWD, 64, 32, 64, 32, 32)                                                                                \
  FP8_TILES(X, 64, 32, 32) TILES(X, PAH_FWD, 64, 32, 64, 32, 64) FP8_TILES(X, 64, 32, 64)                              \
      TILES(X, PAH_FWD, 32, 32, 32, 32, 96) FP8_TILES(X, 32, 32, 96) TILES(X, PAH_FWD, 32, 32, 32, 32, 128)            \
          FP8_TILES(X, 32, 32, 128) TILES(X, PAH_FWD, 32, 32, 32, 32, 192) FP8_TILES(X, 32, 32, 192)                   \
              TILES(X, PAH_FWD, 16, 32, 16, 32, 256) FP8_TILES(X, 16, 32, 256) TILES(X, PAH_BWD, 32, 32, 64, 32, 32)   \
                  TILES(X, PAH_BWD, 32, 32, 64, 32, 64) TILES(X, PAH_BWD, 16, 16, 32, 32, 96)                          \
                      TILES(X, PAH_BWD, 16, 16, 32, 32, 128) TILES(X, PAH_BWD, 16, 16, 16, 16, 192)                    \
                          TILES(X, PAH_BWD, 16, 16, 16, 16, 256)

#define ROW(op, dtype, head_dim, m, n) {op, dtype, head_dim, m, n},
static const struct pah_tile tiles[] = {ALL_TILES(ROW)};

const struct pah_tile *pah_tile_at(int64_t i) {
  return i >= 0 && i < (int64_t)(sizeof tiles / sizeof *tiles) ? &tiles[i] : NULL;
}

const struct pah_tile *pah_gpu_tile(int op, int dtype, int64_t head_dim) {
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
    if (tiles[i].op == op && tiles[i].dtype == dtype && tiles[i].head_dim == head_dim) return &tiles[i];
  return NULL;
}
