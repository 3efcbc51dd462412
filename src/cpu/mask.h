/* cpu/mask.h - what all tiled passes share: which keys and rows of a tile see each other. Query rows are counted flat,
 * row = query * group + head in the group. Under tree_mask a query sees the keys before the queries, and of those after
 * what its bits say: the ranges here then reach to the last bit, and tile_tree_hide takes out the holes. Read next:
 * cpu/forward/run.h, cpu/decode/run.h, cpu/backward/tile.h. */
#ifndef PAH_CPU_MASK_H
#define PAH_CPU_MASK_H

#include <math.h>

#include "attention/attn.h"

/* Which keys a query sees, as distances from its diagonal: [i + off - left, i + off + right]; with a tree those before
 * `off`, and key off + j where bit j of its row is set. */
struct tile_mask {
  int64_t len_q, len_k, off, left, right, group;
  const int32_t *tree; /* the row of query 0; NULL: there is none */
  int64_t tree_step;   /* words from a row to the next */
};

/* Of sequence b. */
static struct tile_mask tile_mask(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t b) {
  const int64_t far = INT64_MAX / 4; /* no limit, with room to add */
  int64_t first, len_q, len_k = pah_len_k(a, s, b);
  pah_q_range(a, s, b, &first, &len_q);
  struct tile_mask m = {len_q, len_k, a->causal == PAH_CAUSAL_TOP_LEFT ? 0 : len_k - len_q, far, far, s->group, 0, 0};
  if (a->window_left >= 0) m.left = a->window_left;
  if (a->window_right >= 0) m.right = a->window_right;
  if (a->causal != PAH_CAUSAL_NONE && m.right > 0) m.right = 0;
  if (a->tree_mask.dtype != PAH_NONE && len_q > 0) {
    m.tree = pah_tree_row(a, s, b, 0);
    m.tree_step = a->tree_mask.stride[s->ragged ? 0 : 1];
  }
  return m;
}

static inline int64_t tile_clamp(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

/* ---- Trees ------------------------------------------------------------------------------------------------- */

static inline const int32_t *tile_tree_row(const struct tile_mask *m, int64_t query) {
  return m->tree + query * m->tree_step;
}

/* Behind the last key that any of the queries [query, query_end) sees. */
static int64_t tile_tree_end(const struct tile_mask *m, int64_t query, int64_t query_end) {
  int64_t bits = 0;
  for (; query < query_end; query++)
    for (int64_t w = (m->len_q + 31) / 32; w * 32 > bits; w--) {
      uint32_t word = (uint32_t)tile_tree_row(m, query)[w - 1];
      if (!word) continue;
      int64_t last = w * 32 - __builtin_clz(word);
      bits = last > bits ? last : bits;
      break;
    }
  return tile_clamp(m->off + bits, 0, m->len_k);
}

/* Whether a pair of the queries [query, query_end) and the keys [key, key_end) is left out. */
static int tile_tree_hides(const struct tile_mask *m, int64_t query, int64_t query_end, int64_t key, int64_t key_end) {
  for (; query < query_end; query++)
    for (int64_t j = tile_clamp(key - m->off, 0, m->len_q); j < key_end - m->off; j++)
      if (!pah_tree_sees(tile_tree_row(m, query), j)) return 1;
  return 0;
}

/* Scores of `query` with the keys from `key` on, of which it sees none from column `end` on: the holes become -inf. */
static void tile_tree_hide(const struct tile_mask *m, int64_t query, int64_t key, int64_t end, float *s) {
  for (int64_t c = tile_clamp(m->off - key, 0, end); c < end; c++)
    if (!pah_tree_sees(tile_tree_row(m, query), key + c - m->off)) s[c] = -INFINITY;
}

/* ---- Ranges ------------------------------------------------------------------------------------------------ */

/* Flat rows [*first, *end) that see at least one of the keys [key, key_end), but for holes at the ends. */
static inline void tile_rows_of(const struct tile_mask *m, int64_t key, int64_t key_end, int64_t *first, int64_t *end) {
  *first = tile_clamp(key - m->off - m->right, 0, m->len_q) * m->group;
  *end = tile_clamp(key_end - m->off + m->left, 0, m->len_q) * m->group;
}

/* Keys [*first, *end) that at least one of the flat rows [row, row_end) sees; exact for a single row, but for the holes
 * of a tree. */
static inline void tile_keys_of(const struct tile_mask *m, int64_t row, int64_t row_end, int64_t *first, int64_t *end) {
  if (m->tree) {
    *first = 0;
    *end = tile_tree_end(m, row / m->group, (row_end - 1) / m->group + 1);
    return;
  }
  *first = tile_clamp(row / m->group + m->off - m->left, 0, m->len_k);
  *end = tile_clamp((row_end - 1) / m->group + m->off + m->right + 1, 0, m->len_k);
}

/* A step: flat rows [row, row + rows) against keys [key, key + keys). */
struct tile_step {
  int64_t row, rows, key, keys;
};

#endif
