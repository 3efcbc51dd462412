/* tiles.c - the one list of tiles of the naive kernels: the launches read it, and pah.block_config its rows of head_dim
 * 64 and 128, which are those of the project's first kernels and are kept as the yardstick. */
#include "gpu.h"

/* The forward computes in f32 whatever is stored, so its tiles are the same for every dtype. */
#define FWD(d, m, n)                                                                                                   \
  {PAH_FWD, PAH_F32, d, m, n}, {PAH_FWD, PAH_F16, d, m, n}, {PAH_FWD, PAH_BF16, d, m, n},                              \
      {PAH_FWD, PAH_FP8_E4M3, d, m, n}, {                                                                              \
    PAH_FWD, PAH_FP8_E5M2, d, m, n                                                                                     \
  }
#define BWD(d, m, n, half_m, half_n)                                                                                   \
  {PAH_BWD, PAH_F32, d, m, n}, {PAH_BWD, PAH_F16, d, half_m, half_n}, {                                                \
    PAH_BWD, PAH_BF16, d, half_m, half_n                                                                               \
  }

static const struct pah_tile tiles[] = {
    FWD(32, 64, 32),         FWD(64, 64, 32),          FWD(96, 32, 32),          FWD(128, 32, 32),
    FWD(192, 32, 32),        FWD(256, 16, 32),         BWD(32, 32, 32, 64, 32),  BWD(64, 32, 32, 64, 32),
    BWD(96, 16, 16, 32, 32), BWD(128, 16, 16, 32, 32), BWD(192, 16, 16, 16, 16), BWD(256, 16, 16, 16, 16),
};

const struct pah_tile *pah_tile_at(int64_t i) {
  return i >= 0 && i < (int64_t)(sizeof tiles / sizeof *tiles) ? &tiles[i] : NULL;
}

const struct pah_tile *pah_gpu_tile(int op, int dtype, int64_t head_dim) {
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
    if (tiles[i].op == op && tiles[i].dtype == dtype && tiles[i].head_dim == head_dim) return &tiles[i];
  return NULL;
}
