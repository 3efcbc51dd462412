/* cpu/backward_tile.h - the core of the backward pass: a tile of keys against a tile of query rows of one KV head.
 * Recomputes S and dP, turns them into P and dS, and adds P^T dO to dV, dS^T Q to dK and dS K to dQ, all in f32.
 * Query rows are counted flat, row = query * group + head in the group, so that the heads of a KV head share its
 * tiles. Read next: backward_rows.h (what fills and empties the tiles), backward.h, which walks them. */
#ifndef PAH_CPU_BACKWARD_TILE_H
#define PAH_CPU_BACKWARD_TILE_H

#include "backward_score.h"
#include "rows.h"
#include "tile.h"

/* Multiples of every CELL_ROWS and CELL_COLS. Many keys, since every tile of keys loads all its query rows again; at
 * D = 128 the arrays of a thread take TODO MiB of a second-level cache.
 * Rows lie a constant number of floats apart, whatever D is: a cell then addresses all its rows from one register (with
 * variable strides five products ran at 0.81 of the peak, with constants at TODO). It is an odd number of lines, so
 * that a column of rows spreads over all sets of L1 instead of a few. */
#ifndef TK
#define TK 288
#define TR 96
#endif
enum { TILE_KEYS = TK, TILE_ROWS = TR, TILE_MAX_D = 256, TILE_LD = TILE_MAX_D + 16, TILE_SCORES = TILE_KEYS + 16 };

/* A thread's scratch. */
struct tile {
  int64_t D, padded;  /* D, and rounded up to CELL_COLS */
  float *q, *dout;    /* [TILE_ROWS][TILE_LD] */
  float *k;           /* [TILE_KEYS][TILE_LD] */
  float *kt, *vt;     /* transposed: panels of [D][CELL_COLS] */
  float *s, *dp;      /* [TILE_ROWS][TILE_SCORES]: scores, then P; dP, then dS without the factor softmax_scale */
  float *dk, *dv;     /* [TILE_KEYS][TILE_LD], sums over the query tiles */
  float *lse, *delta; /* [TILE_ROWS] */
  const char **ahead; /* [2 * TILE_ROWS]: rows that the next pair will load, fetched while this one computes */
  int64_t ahead_rows, ahead_bytes;
  int odd_keys;  /* k or v hold a NaN or an infinity */
  int odd_rows;  /* q or dout do */
  int dead_rows; /* some row has lse = -inf */
};

/* Lays the arrays out from `at` (NULL: only counts); returns the floats needed. */
static int64_t tile_layout(struct tile *t, int64_t D, float *at) {
  t->D = D;
  t->padded = (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  /* cells read and write whole groups of CELL_ROWS rows: room for one behind the last */
  int64_t rows = (TILE_ROWS + CELL_ROWS) * TILE_LD, keys = TILE_KEYS * TILE_LD, panels = TILE_KEYS * D;
  int64_t scores = (TILE_ROWS + CELL_ROWS) * TILE_SCORES, used = 0;
  struct {
    float **array;
    int64_t floats;
  } parts[] = {{&t->q, rows},    {&t->dout, rows},     {&t->k, keys},         {&t->kt, panels},
               {&t->vt, panels}, {&t->s, scores},      {&t->dp, scores},      {&t->dk, keys},
               {&t->dv, keys},   {&t->lse, TILE_ROWS}, {&t->delta, TILE_ROWS}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (at) *parts[i].array = at + used;
    used += (parts[i].floats + 15) / 16 * 16;
  }
  if (at) t->ahead = (const char **)(at + used);
  return used + 2 * TILE_ROWS * (int64_t)(sizeof *t->ahead / sizeof(float));
}

/* ---- The products over one pair of tiles ----------------------------------------------------------------- */

/* Rows [*first, *end) of the pair that see at least one of the n keys from its key `key` on. */
static void tile_rows_at(const struct tile_mask *mask, const struct tile_pair *at, int64_t key, int64_t n,
                         int64_t *first, int64_t *end) {
  tile_rows_of(mask, at->key + key, at->key + tile_clamp(key + n, 0, at->keys), first, end);
  *first = tile_clamp(*first - at->row, 0, at->rows);
  *end = tile_clamp(*end - at->row, 0, at->rows);
}

/* Keys [*first, *end) of the pair that at least one of the n rows from its row `m` on sees. */
static void tile_keys_at(const struct tile_mask *mask, const struct tile_pair *at, int64_t m, int64_t n, int64_t *first,
                         int64_t *end) {
  tile_keys_of(mask, at->row + m, at->row + tile_clamp(m + n, 0, at->rows), first, end);
  *first = tile_clamp(*first - at->key, 0, at->keys);
  *end = tile_clamp(*end - at->key, 0, at->keys);
}

/* c = a x b^T for the rows and panels of which anything is visible. */
static void tile_scores(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, const float *a,
                        const float *panels, float *c) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += t->D * CELL_COLS) {
    int64_t first, end;
    tile_rows_at(mask, at, key, CELL_COLS, &first, &end);
    for (int64_t m = first; m < end; m += CELL_ROWS) /* the rows behind `rows` are scratch, so cells need no edge */
      cell_full(t->D, (struct cell_a){a + m * TILE_LD, TILE_LD, 1}, panels, CELL_COLS, c + m * TILE_SCORES + key,
                TILE_SCORES, 0);
  }
}

/* c[key] += sum over rows of a[row][key] b[row]: the transposed products. The keys of a group lie side by side in a row
 * of a, so that P and dS need no transposed copy. */
static void tile_add_keys(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                          const float *a, const float *b, float *c) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS)
    for (int64_t key = 0; key < at->keys; key += CELL_ROWS) { /* TILE_KEYS is a multiple: no edge here either */
      int64_t first, end;
      tile_rows_at(mask, at, key, CELL_ROWS, &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){a + first * TILE_SCORES + key, 1, TILE_SCORES}, b + first * TILE_LD + d,
                  TILE_LD, c + key * TILE_LD + d, TILE_LD, 1);
    }
}

/* Rows of a tile of dQ: whole groups of CELL_ROWS. */
static int64_t tile_dq_rows(int64_t rows) {
  return (rows + CELL_ROWS - 1) / CELL_ROWS * CELL_ROWS;
}

/* dq[row] += sum over keys of ds[row][key] k[key]; dq is in panels of [tile_dq_rows][CELL_COLS]. */
static void tile_add_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float *dq) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS, dq += tile_dq_rows(at->rows) * CELL_COLS)
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      tile_keys_at(mask, at, m, CELL_ROWS, &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){t->dp + m * TILE_SCORES + first, TILE_SCORES, 1},
                  t->k + first * TILE_LD + d, TILE_LD, dq + m * CELL_COLS, CELL_COLS, 1);
    }
}

/* ---- The same with NaN and infinities -------------------------------------------------------------------- */

/* 0 times a NaN or an infinity is a NaN, so the zeros that stand for masked pairs must not be multiplied when the
 * inputs hold such values: the products with nothing but the visible pairs, one at a time. */
static void tile_add_odd_keys(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    tile_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t j = first; j < end; j++) {
      float p = t->s[m * TILE_SCORES + j], ds = t->dp[m * TILE_SCORES + j];
      for (int64_t d = 0; d < t->D; d++) {
        t->dv[j * TILE_LD + d] += p * t->dout[m * TILE_LD + d];
        t->dk[j * TILE_LD + d] += ds * t->q[m * TILE_LD + d];
      }
    }
  }
}

static void tile_add_odd_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                              float *dq) {
  int64_t panel = tile_dq_rows(at->rows) * CELL_COLS;
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    tile_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t j = first; j < end; j++)
      for (int64_t d = 0; d < t->D; d++)
        dq[d / CELL_COLS * panel + m * CELL_COLS + d % CELL_COLS] += t->dp[m * TILE_SCORES + j] * t->k[j * TILE_LD + d];
  }
}

/* ---- One pair -------------------------------------------------------------------------------------------- */

/* P and dS of every row; returns whether any pair of the tile is masked. One row takes a few hundred cycles with hardly
 * a load from L2, so this is where the rows of the next pair and this pair's dQ are fetched into it, a row at a time:
 * in a burst they would wait for each other. */
static int tile_softmax(struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float scale,
                        float softcap, const float *dq) {
  int64_t cols = (at->keys + SCORE_PIECE - 1) / SCORE_PIECE * SCORE_PIECE;
  int masked = t->dead_rows;
  for (int64_t m = 0; m < at->rows; m++) {
    struct score_row row = {scale, softcap, t->lse[m], t->delta[m], 0, 0};
    tile_keys_at(mask, at, m, 1, &row.first, &row.end);
    masked |= row.first > 0 || row.end < at->keys;
    if (row.lse == -INFINITY) row.end = 0; /* it saw no key: no gradient */
    for (int64_t d = 0; d < t->padded; d += 16) __builtin_prefetch(dq + m * t->padded + d, 1, 2);
    for (int64_t n = m; n < 2 * t->ahead_rows; n += TILE_ROWS)
      for (int64_t i = 0; i < t->ahead_bytes; i += 64) __builtin_prefetch(t->ahead[n] + i, 0, 2);
    score_backward(t->s + m * TILE_SCORES, t->dp + m * TILE_SCORES, cols, &row);
  }
  return masked;
}

/* dK and dV of a pair, and dS for tile_step_rows; t holds q, dout, lse, delta and k, kt, vt. Returns whether the pair
 * has to go by the visible pairs alone. */
static int tile_step_keys(struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float scale,
                          float softcap, const float *dq) {
  tile_scores(t, mask, at, t->q, t->kt, t->s);
  tile_scores(t, mask, at, t->dout, t->vt, t->dp);
  int masked = tile_softmax(t, mask, at, scale, softcap, dq);
  int odd = masked && (t->odd_keys || t->odd_rows);
  if (odd) {
    tile_add_odd_keys(t, mask, at);
  } else {
    tile_add_keys(t, mask, at, t->s, t->dout, t->dv);
    tile_add_keys(t, mask, at, t->dp, t->q, t->dk);
  }
  return odd;
}

/* dQ of the same pair. */
static void tile_step_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, int odd,
                           float *dq) {
  if (odd)
    tile_add_odd_rows(t, mask, at, dq);
  else
    tile_add_rows(t, mask, at, dq);
}

#endif
