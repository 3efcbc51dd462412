/* cpu/mask.h - what all tiled passes share: which keys and rows of a tile see each other. Query rows are counted flat,
 * row = query * group + head in the group. Read next: cpu/forward/run.h, cpu/backward/tile.h. */
#ifndef PAH_CPU_MASK_H
#define PAH_CPU_MASK_H

#include <math.h>

#include "attention/attn.h"

/* Which keys a query sees, as distances from its diagonal: [i + off - left, i + off + right]. */
struct tile_mask {
  int64_t len_q, len_k, off, left, right, group;
};

static struct tile_mask tile_mask(const struct pah_attn *a, int64_t len_q, int64_t len_k, int64_t group) {
  const int64_t far = INT64_MAX / 4; /* no limit, with room to add */
  struct tile_mask m = {len_q, len_k, a->causal == PAH_CAUSAL_TOP_LEFT ? 0 : len_k - len_q, far, far, group};
  if (a->window_left >= 0) m.left = a->window_left;
  if (a->window_right >= 0) m.right = a->window_right;
  if (a->causal != PAH_CAUSAL_NONE && m.right > 0) m.right = 0;
  return m;
}

static inline int64_t tile_clamp(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

/* Flat rows [*first, *end) that see at least one of the keys [key, key_end), but for holes at the ends. */
static inline void tile_rows_of(const struct tile_mask *m, int64_t key, int64_t key_end, int64_t *first, int64_t *end) {
  *first = tile_clamp(key - m->off - m->right, 0, m->len_q) * m->group;
  *end = tile_clamp(key_end - m->off + m->left, 0, m->len_q) * m->group;
}

/* Keys [*first, *end) that at least one of the flat rows [row, row_end) sees; exact for a single row. */
static inline void tile_keys_of(const struct tile_mask *m, int64_t row, int64_t row_end, int64_t *first, int64_t *end) {
  *first = tile_clamp(row / m->group + m->off - m->left, 0, m->len_k);
  *end = tile_clamp((row_end - 1) / m->group + m->off + m->right + 1, 0, m->len_k);
}

/* A step: flat rows [row, row + rows) against keys [key, key + keys). */
struct tile_step {
  int64_t row, rows, key, keys;
};

#endif
