/* cpu/backward/products_f32.h - the five products of a step by f32: S = Q K^T and dP = dO V^T, then P^T dO to dV, dS^T
 * Q to dK and dS K to dQ; last the same with NaN and infinities. Read next: cpu/gemm/f32.h, products_bf16.h. */
#ifndef PAH_CPU_BACKWARD_PRODUCTS_F32_H
#define PAH_CPU_BACKWARD_PRODUCTS_F32_H

#include "tile.h"
#include "cpu/gemm/f32.h"

/* Products are compiled for both distances of rows, `ld` a constant: this calls the one for t. */
#define BWD_EITHER_LD(t, product, ...)                                                                                 \
  do {                                                                                                                 \
    if ((t)->ld == BWD_LD)                                                                                             \
      product(__VA_ARGS__, BWD_LD);                                                                                    \
    else                                                                                                               \
      product(__VA_ARGS__, BWD_WIDE_LD);                                                                               \
  } while (0)
#define BWD_PRODUCT static inline __attribute__((always_inline)) void

/* c = a x b^T, of rows of D elements, for the rows and panels of which anything is visible. */
BWD_PRODUCT bwd_f32_scores_as(const struct tile_mask *mask, const struct tile_step *at, int64_t D, const float *a,
                              const float *panels, float *c, int64_t ld) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += D * CELL_COLS) {
    int64_t first, end;
    bwd_rows_at(mask, at, key, CELL_COLS, &first, &end);
    for (int64_t m = first; m < end; m += CELL_ROWS) /* the rows behind `rows` are scratch, so cells need no edge */
      cell_full(D, (struct cell_a){a + m * ld, ld, 1}, panels, CELL_COLS, c + m * BWD_SCORES_LD + key, BWD_SCORES_LD,
                0);
  }
}

static void bwd_f32_scores(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                           int64_t D, const float *a, const float *panels, float *c) {
  BWD_EITHER_LD(t, bwd_f32_scores_as, mask, at, D, a, panels, c);
}

/* c[key] += sum over rows of a[row][key] b[row]: the transposed products. The keys of a group lie side by side in a row
 * of a, so that P and dS need no transposed copy. */
BWD_PRODUCT bwd_f32_add_keys_as(const struct tile_mask *mask, const struct tile_step *at, int64_t padded,
                                const float *a, const float *b, float *c, int64_t ld) {
  for (int64_t d = 0; d < padded; d += CELL_COLS)
    for (int64_t key = 0; key < at->keys; key += CELL_ROWS) { /* BWD_KEYS is a multiple: no edge here either */
      int64_t first, end;
      bwd_rows_at(mask, at, key, CELL_ROWS, &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){a + first * BWD_SCORES_LD + key, 1, BWD_SCORES_LD}, b + first * ld + d,
                  ld, c + key * ld + d, ld, 1);
    }
}

static void bwd_f32_add_keys(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                             int64_t padded, const float *a, const float *b, float *c) {
  BWD_EITHER_LD(t, bwd_f32_add_keys_as, mask, at, padded, a, b, c);
}

/* dq[row] += sum over keys of ds[row][key] k[key]; dq is in panels of [bwd_dq_rows][CELL_COLS]. */
BWD_PRODUCT bwd_f32_add_rows_as(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                                float *dq, int64_t ld) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS, dq += bwd_dq_rows(at->rows) * CELL_COLS)
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      bwd_keys_at(mask, at, m, CELL_ROWS, &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){t->dp + m * BWD_SCORES_LD + first, BWD_SCORES_LD, 1},
                  t->k + first * ld + d, ld, dq + m * CELL_COLS, CELL_COLS, 1);
    }
}

static void bwd_f32_add_rows(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                             float *dq) {
  BWD_EITHER_LD(t, bwd_f32_add_rows_as, t, mask, at, dq);
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
    const float *q = (const float *)t->q + m * t->ld, *dout = (const float *)t->dout + m * t->ld;
    for (int64_t j = first; j < end; j++) {
      float p = t->s[m * BWD_SCORES_LD + j], ds = t->dp[m * BWD_SCORES_LD + j];
      for (int64_t d = 0; d < t->Dv; d++) t->dv[j * t->ld + d] += p * dout[d];
      for (int64_t d = 0; d < t->D; d++) t->dk[j * t->ld + d] += ds * q[d];
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
        dq[d / CELL_COLS * panel + m * CELL_COLS + d % CELL_COLS] += t->dp[m * BWD_SCORES_LD + j] * t->k[j * t->ld + d];
  }
}

#endif
