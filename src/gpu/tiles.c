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

int64_t pah_gpu_tile_bytes(const struct pah_tile *t, int64_t D, int64_t Dv) {
  int64_t m = t->block_m, n = t->block_n, k = D + 1, v = Dv + 1;
  if (t->op == PAH_FWD) return 4 * (m * k + n * (k > v ? k : v) + m * (n + 1));
  int64_t rows = (m + n) * (k + v), dq = m * (n + 1), dkv = 2 * n * (m + 1) + 2 * m;
  return 4 * (rows + (dq > dkv ? dq : dkv));
}

struct pah_tile pah_gpu_tile(int op, int dtype, int64_t D, int64_t Dv, int64_t shared) {
  int64_t wider = D > Dv ? D : Dv;
  struct pah_tile t = {0};
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) { /* the narrowest that is wide enough, else the widest */
    if (tiles[i].op != op || tiles[i].dtype != dtype) continue;
    t = tiles[i];
    if (t.head_dim >= wider) break;
  }
  while (pah_gpu_tile_bytes(&t, D, Dv) > shared && (t.block_m > 8 || t.block_n > 8))
    *(t.block_m > t.block_n ? &t.block_m : &t.block_n) /= 2;
  return t;
}
