/* cpu/backward_tile.h - the core of the backward pass: a tile of keys against a tile of query rows of one KV head.
 * Recomputes S and dP, turns them into P and dS, and adds P^T dO to dV, dS^T Q to dK and dS K to dQ, all in f32.
 * Query rows are counted flat, row = query * group + head in the group, so that the heads of a KV head share its
 * tiles. Read next: backward.h, which walks the tiles. */
#ifndef PAH_CPU_BACKWARD_TILE_H
#define PAH_CPU_BACKWARD_TILE_H

#include "backward_score.h"
#include "rows.h"
#include "tile.h"

/* Multiples of every CELL_ROWS and CELL_COLS. Many keys, since every tile of
 * keys loads all its query rows again; at D = 128 the arrays of a thread take 0.9 MiB, about a second-level cache. */
enum { TILE_KEYS = 192, TILE_ROWS = 96, TILE_SCORES = TILE_KEYS + 16, TILE_MAX_D = 256 };

/* A thread's scratch. Rows of q, dout, k, v, dk and dv are `ld` apart: D rounded up to CELL_COLS and an odd number of
 * lines, so that a column of panels spreads over all sets of L1 instead of a few. */
struct tile {
  int64_t D, padded, ld;
  float *q, *dout;    /* [TILE_ROWS][ld] */
  float *k, *v;       /* [TILE_KEYS][ld] */
  float *kt, *vt;     /* transposed: panels of [D][CELL_COLS] */
  float *s, *dp;      /* [TILE_ROWS][TILE_SCORES]: scores, then P; dP, then dS */
  float *dk, *dv;     /* [TILE_KEYS][ld], sums over the query tiles */
  float *lse, *delta; /* [TILE_ROWS] */
  int odd_keys;       /* k or v hold a NaN or an infinity */
  int odd_rows;       /* q or dout do */
  int dead_rows;      /* some row has lse = -inf */
};

/* Lays the arrays out from `at` (NULL: only counts); returns the floats needed. */
static int64_t tile_layout(struct tile *t, int64_t D, float *at) {
  t->D = D;
  t->padded = (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  t->ld = ((t->padded + 15) / 16 | 1) * 16;
  int64_t rows = (TILE_ROWS + CELL_ROWS) * t->ld, keys = TILE_KEYS * t->ld, panels = TILE_KEYS * D;
  int64_t scores = (TILE_ROWS + CELL_ROWS) * TILE_SCORES, used = 0;
  struct {
    float **array;
    int64_t floats;
  } parts[] = {{&t->q, rows},    {&t->dout, rows}, {&t->k, keys},        {&t->v, keys},
               {&t->kt, panels}, {&t->vt, panels}, {&t->s, scores},      {&t->dp, scores},
               {&t->dk, keys},   {&t->dv, keys},   {&t->lse, TILE_ROWS}, {&t->delta, TILE_ROWS}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (at) *parts[i].array = at + used;
    used += (parts[i].floats + 15) / 16 * 16;
  }
  return used;
}

/* ---- The products over one pair of tiles ----------------------------------------------------------------- */

/* c = a x b^T for the rows and panels of which anything is visible. */
static void tile_scores(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, const float *a,
                        const float *panels, float *c) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += t->D * CELL_COLS) {
    int64_t first, end, key_end = tile_clamp(key + CELL_COLS, 0, at->keys);
    tile_rows_of(mask, at->key + key, at->key + key_end, &first, &end);
    first = tile_clamp(first - at->row, 0, at->rows);
    end = tile_clamp(end - at->row, 0, at->rows);
    for (int64_t m = first; m < end; m += CELL_ROWS) /* the rows behind `rows` are scratch, so cells need no edge */
      cell_full(t->D, (struct cell_a){a + m * t->ld, t->ld, 1}, panels, CELL_COLS, c + m * TILE_SCORES + key,
                TILE_SCORES, 0);
  }
}

/* c[key] += sum over rows of a[row][key] b[row]: the transposed products. */
static void tile_add_keys(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                          const float *a, const float *b, float *c) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS)
    for (int64_t key = 0; key < at->keys; key += CELL_ROWS) {
      int64_t first, end, n = tile_clamp(at->keys - key, 0, CELL_ROWS);
      tile_rows_of(mask, at->key + key, at->key + key + n, &first, &end);
      first = tile_clamp(first - at->row, 0, at->rows);
      end = tile_clamp(end - at->row, 0, at->rows);
      if (first < end)
        cell(n, end - first, (struct cell_a){a + first * TILE_SCORES + key, 1, TILE_SCORES}, b + first * t->ld + d,
             t->ld, c + key * t->ld + d, t->ld, 1);
    }
}

/* dq[row] += sum over keys of ds[row][key] k[key]; dq points at the pair's first row, rows `padded` apart. */
static void tile_add_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float *dq) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS)
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end, n = tile_clamp(at->rows - m, 0, CELL_ROWS);
      tile_keys_of(mask, at->row + m, at->row + m + n, &first, &end);
      first = tile_clamp(first - at->key, 0, at->keys);
      end = tile_clamp(end - at->key, 0, at->keys);
      if (first < end)
        cell(n, end - first, (struct cell_a){t->dp + m * TILE_SCORES + first, TILE_SCORES, 1}, t->k + first * t->ld + d,
             t->ld, dq + m * t->padded + d, t->padded, 1);
    }
}

/* The three products with nothing but the visible pairs, one at a time: 0 times a NaN or an infinity is a NaN, so the
 * zeros that stand for masked pairs must not be multiplied when the inputs hold such values. */
static void tile_add_odd(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float *dq) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    tile_keys_of(mask, at->row + m, at->row + m + 1, &first, &end);
    first = tile_clamp(first - at->key, 0, at->keys);
    end = tile_clamp(end - at->key, 0, at->keys);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t j = first; j < end; j++) {
      float p = t->s[m * TILE_SCORES + j], ds = t->dp[m * TILE_SCORES + j];
      for (int64_t d = 0; d < t->D; d++) {
        t->dv[j * t->ld + d] += p * t->dout[m * t->ld + d];
        t->dk[j * t->ld + d] += ds * t->q[m * t->ld + d];
        dq[m * t->padded + d] += ds * t->k[j * t->ld + d];
      }
    }
  }
}

/* Everything of one pair; t holds its q, dout, lse, delta and its k, v, kt, vt. */
static void tile_step(struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float scale,
                      float softcap, float *dq) {
  tile_scores(t, mask, at, t->q, t->kt, t->s);
  tile_scores(t, mask, at, t->dout, t->vt, t->dp);
  int64_t cols = (at->keys + SCORE_PIECE - 1) / SCORE_PIECE * SCORE_PIECE;
  int masked = t->dead_rows;
  for (int64_t m = 0; m < at->rows; m++) {
    struct score_row row = {scale, softcap, t->lse[m], t->delta[m], 0, 0};
    tile_keys_of(mask, at->row + m, at->row + m + 1, &row.first, &row.end);
    row.first -= at->key;
    row.end = tile_clamp(row.end - at->key, 0, at->keys);
    masked |= row.first > 0 || row.end < at->keys;
    if (row.lse == -INFINITY) row.end = 0; /* it saw no key: no gradient */
    score_backward(t->s + m * TILE_SCORES, t->dp + m * TILE_SCORES, cols, &row);
  }
  if (masked && (t->odd_keys || t->odd_rows)) {
    tile_add_odd(t, mask, at, dq);
    return;
  }
  tile_add_keys(t, mask, at, t->s, t->dout, t->dv);
  tile_add_keys(t, mask, at, t->dp, t->q, t->dk);
  tile_add_rows(t, mask, at, dq);
}

#endif
