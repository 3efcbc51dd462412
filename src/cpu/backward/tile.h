/* cpu/backward/tile.h - the core of the backward pass: a tile of keys against a tile of query rows of one KV head.
 * Recomputes S and dP, turns them into P and dS, and adds P^T dO to dV, dS^T Q to dK and dS K to dQ, with sums in f32;
 * the factors are f32, or pairs of bf16 where those are multiplied faster. Query rows are counted flat, row = query *
 * group + head in the group, so that the heads of a KV head share its tiles. Read next: products_bf16.h,
 * rows.h (what fills and empties the tiles), run.h, which walks them. */
#ifndef PAH_CPU_BACKWARD_TILE_H
#define PAH_CPU_BACKWARD_TILE_H

#include "score.h"
#include "cpu/gemm/bf16.h"
#include "cpu/vec/rows.h"
#include "cpu/mask.h"

/* Multiples of every CELL_ROWS and CELL_COLS. Many keys, since every tile of keys loads all its query rows again; at
 * D = 128 the arrays of a thread take 1.1 MiB of a second-level cache.
 * Rows lie a constant number of words apart, whatever D is: a cell then addresses all its rows from one register. It is
 * an odd number of lines, so that a column of rows spreads over all sets of L1 instead of a few. */
enum {
  BWD_KEYS = 288,
  BWD_ROWS = 96,
  BWD_LD = PAH_MAX_D + 16,
  BWD_SCORES_LD = BWD_KEYS + 16,
  BWD_DS_LD = BWD_KEYS / 2 + 32 /* of a row of dS in pairs */
};

/* A thread's scratch. A word is an f32 or, if `bf16x2`, a pair of bf16, (2n, 2n + 1). What is multiplied by its rows is
 * then there a second time, two rows in a word, in panels of CELL_COLS columns. */
struct bwd_tile {
  int64_t D, padded;                /* D, and rounded up to CELL_COLS */
  int bf16x2, amx;                  /* by the tile unit, and so in pairs (products_amx.h) */
  uint32_t *q, *dout;               /* [BWD_ROWS][BWD_LD] words */
  uint32_t *q_bf16x2, *dout_bf16x2; /* panels [BWD_ROWS / 2][CELL_COLS] */
  uint32_t *q_t, *dout_t;           /* if amx, transposed: [D][BWD_ROWS / 2] */
  float *lse, *delta;               /* [BWD_ROWS] */
  float *k;                         /* [BWD_KEYS][BWD_LD] */
  uint32_t *k_bf16x2;               /* panels [BWD_KEYS / 2][CELL_COLS] */
  uint32_t *kt, *vt;                /* transposed: panels [words of D][CELL_COLS] */
  float *s, *dp;                    /* [BWD_ROWS][BWD_SCORES_LD]: scores, then P; dP, then dS without its factor */
  uint32_t *p_bf16x2, *ds_bf16x2;   /* two rows in a word: [BWD_ROWS / 2][BWD_SCORES_LD] */
  uint32_t *ds_rows;                /* [BWD_ROWS][BWD_DS_LD] */
  float *dk, *dv;                   /* [BWD_KEYS][BWD_LD], sums over the query tiles */
  const char **k_rows, **v_rows;    /* [BWD_KEYS]: where the keys lie */
  const char **ahead;               /* [2 * BWD_ROWS]: rows of q and dout that are loaded next */
  int64_t ahead_rows, ahead_bytes;
  int nonfinite_keys; /* k or v hold a NaN or an infinity */
  int nonfinite_rows; /* q or dout do */
  int dead_rows;      /* some row has lse = -inf */
};

/* Lays the arrays out from `at` (NULL: only counts) for products in one of the ways of cpu/gemm/bf16.h; returns the
 * floats needed. */
static int64_t bwd_tile_layout(struct bwd_tile *t, int64_t D, int way, float *at) {
  int bf16x2 = way != BF16_FMA;
  t->D = D;
  t->bf16x2 = bf16x2;
  t->amx = way == BF16_AMX;
  t->padded = (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  /* cells read and write whole groups of CELL_ROWS rows: room for one behind the last */
  int64_t rows = BWD_ROWS + CELL_ROWS, half = bf16x2 ? 2 : 0, panels = BWD_KEYS * D * (bf16x2 ? 2 : 4);
  struct {
    void *array;
    int64_t bytes;
  } parts[] = {{&t->q, rows * BWD_LD * 4},
               {&t->dout, rows * BWD_LD * 4},
               {&t->q_bf16x2, BWD_ROWS * t->padded * half},
               {&t->dout_bf16x2, BWD_ROWS * t->padded * half},
               {&t->q_t, t->amx * BWD_ROWS * D * 2},
               {&t->dout_t, t->amx * BWD_ROWS * D * 2},
               {&t->lse, BWD_ROWS * 4},
               {&t->delta, BWD_ROWS * 4},
               {&t->k, bf16x2 ? 0 : BWD_KEYS * BWD_LD * 4},
               {&t->k_bf16x2, BWD_KEYS * t->padded * half},
               {&t->kt, panels},
               {&t->vt, panels},
               {&t->s, rows * BWD_SCORES_LD * 4},
               {&t->dp, rows * BWD_SCORES_LD * 4},
               {&t->p_bf16x2, BWD_ROWS * BWD_SCORES_LD * half},
               {&t->ds_bf16x2, BWD_ROWS * BWD_SCORES_LD * half},
               {&t->ds_rows, rows * BWD_DS_LD * 2 * half},
               {&t->dk, BWD_KEYS * BWD_LD * 4},
               {&t->dv, BWD_KEYS * BWD_LD * 4},
               {&t->k_rows, BWD_KEYS * (int64_t)sizeof(char *)},
               {&t->v_rows, BWD_KEYS * (int64_t)sizeof(char *)},
               {&t->ahead, 2 * BWD_ROWS * (int64_t)sizeof(char *)}};
  int64_t used = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *array = (char *)at + used;
    if (at) memcpy(parts[i].array, &array, sizeof array); /* pointers of several types: assigned as bytes */
    used += (parts[i].bytes + 63) / 64 * 64;
  }
  return used / 4;
}

/* ---- The products of one step ----------------------------------------------------------------- */

/* Rows [*first, *end) of the step that see at least one of the n keys from its key `key` on. */
static void bwd_rows_at(const struct tile_mask *mask, const struct tile_step *at, int64_t key, int64_t n,
                        int64_t *first, int64_t *end) {
  tile_rows_of(mask, at->key + key, at->key + tile_clamp(key + n, 0, at->keys), first, end);
  *first = tile_clamp(*first - at->row, 0, at->rows);
  *end = tile_clamp(*end - at->row, 0, at->rows);
}

/* Keys [*first, *end) of the step that at least one of the n rows from its row `m` on sees. */
static void bwd_keys_at(const struct tile_mask *mask, const struct tile_step *at, int64_t m, int64_t n, int64_t *first,
                        int64_t *end) {
  tile_keys_of(mask, at->row + m, at->row + tile_clamp(m + n, 0, at->rows), first, end);
  *first = tile_clamp(*first - at->key, 0, at->keys);
  *end = tile_clamp(*end - at->key, 0, at->keys);
}

/* c = a x b^T for the rows and panels of which anything is visible. */
static void bwd_f32_scores(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                           const float *a, const float *panels, float *c) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += t->D * CELL_COLS) {
    int64_t first, end;
    bwd_rows_at(mask, at, key, CELL_COLS, &first, &end);
    for (int64_t m = first; m < end; m += CELL_ROWS) /* the rows behind `rows` are scratch, so cells need no edge */
      cell_full(t->D, (struct cell_a){a + m * BWD_LD, BWD_LD, 1}, panels, CELL_COLS, c + m * BWD_SCORES_LD + key,
                BWD_SCORES_LD, 0);
  }
}

/* c[key] += sum over rows of a[row][key] b[row]: the transposed products. The keys of a group lie side by side in a row
 * of a, so that P and dS need no transposed copy. */
static void bwd_f32_add_keys(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                             const float *a, const float *b, float *c) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS)
    for (int64_t key = 0; key < at->keys; key += CELL_ROWS) { /* BWD_KEYS is a multiple: no edge here either */
      int64_t first, end;
      bwd_rows_at(mask, at, key, CELL_ROWS, &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){a + first * BWD_SCORES_LD + key, 1, BWD_SCORES_LD},
                  b + first * BWD_LD + d, BWD_LD, c + key * BWD_LD + d, BWD_LD, 1);
    }
}

/* Rows of a tile of dQ: whole groups of every CELL_ROWS and of the 16 rows of a tile register. */
static int64_t bwd_dq_rows(int64_t rows) {
  enum { GROUP = 48 };
  _Static_assert(GROUP % CELL_ROWS == 0 && GROUP % 16 == 0 && BWD_ROWS % GROUP == 0, "no group is cut");
  return (rows + GROUP - 1) / GROUP * GROUP;
}

/* dq[row] += sum over keys of ds[row][key] k[key]; dq is in panels of [bwd_dq_rows][CELL_COLS]. */
static void bwd_f32_add_rows(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                             float *dq) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS, dq += bwd_dq_rows(at->rows) * CELL_COLS)
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      bwd_keys_at(mask, at, m, CELL_ROWS, &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){t->dp + m * BWD_SCORES_LD + first, BWD_SCORES_LD, 1},
                  t->k + first * BWD_LD + d, BWD_LD, dq + m * CELL_COLS, CELL_COLS, 1);
    }
}

/* ---- The same with NaN and infinities -------------------------------------------------------------------- */

/* 0 times a NaN or an infinity is a NaN, so the zeros that stand for masked pairs must not be multiplied when the
 * inputs hold such values: the products with nothing but the visible pairs, one at a time. */
static void bwd_f32_add_nonfinite_keys(const struct bwd_tile *t, const struct tile_mask *mask,
                                       const struct tile_step *at) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    bwd_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    const float *q = (const float *)t->q + m * BWD_LD, *dout = (const float *)t->dout + m * BWD_LD;
    for (int64_t j = first; j < end; j++) {
      float p = t->s[m * BWD_SCORES_LD + j], ds = t->dp[m * BWD_SCORES_LD + j];
      for (int64_t d = 0; d < t->D; d++) {
        t->dv[j * BWD_LD + d] += p * dout[d];
        t->dk[j * BWD_LD + d] += ds * q[d];
      }
    }
  }
}

static void bwd_f32_add_nonfinite_rows(const struct bwd_tile *t, const struct tile_mask *mask,
                                       const struct tile_step *at, float *dq) {
  int64_t panel = bwd_dq_rows(at->rows) * CELL_COLS;
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    bwd_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t j = first; j < end; j++)
      for (int64_t d = 0; d < t->D; d++)
        dq[d / CELL_COLS * panel + m * CELL_COLS + d % CELL_COLS] +=
            t->dp[m * BWD_SCORES_LD + j] * t->k[j * BWD_LD + d];
  }
}

#endif
