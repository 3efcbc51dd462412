/* cpu/backward/step.h - one step of the backward pass: recomputes S and dP of a tile of keys against a tile of rows,
 * turns them into P and dS, and adds P^T dO to dV, dS^T Q to dK and dS K to dQ, with sums in f32; the factors are f32,
 * or pairs of bf16 where those are multiplied faster. Read next: score.h (from S and dP to P and dS), products_f32.h
 * (the products; products_bf16.h and products_amx.h are the same by other instructions), run.h, which walks the tiles.
 */
#ifndef PAH_CPU_BACKWARD_STEP_H
#define PAH_CPU_BACKWARD_STEP_H

#include "products_amx.h"
#include "products_bf16.h"
#include "products_f32.h"
#include "score.h"

/* P and dS of every row; returns whether any score of the tile is masked. One row takes a few hundred cycles with
 * hardly a load from L2, so this is where the rows of the next step and this step's dQ are fetched into it, a row at a
 * time: in a burst they would wait for each other. */
static int bwd_softmax(struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at, float scale,
                       float softcap, const float *dq) {
  int64_t whole = t->amx ? AMX_ROWS : BWD_SCORE_PIECE, cols = (at->keys + whole - 1) / whole * whole;
  int masked = t->dead_rows;
  for (int64_t m = 0; m < at->rows; m++) {
    struct bwd_score_row row = {scale, softcap, t->lse[m], t->delta[m], 0, 0};
    bwd_keys_at(mask, at, m, 1, &row.first, &row.end);
    masked |= row.first > 0 || row.end < at->keys;
    if (row.lse == -INFINITY) row.end = 0; /* it saw no key: no gradient */
    for (int64_t d = 0; d < t->padded; d += 16) __builtin_prefetch(dq + m * t->padded + d, 1, 2);
    for (int64_t n = m; m < t->ahead_rows && n < 2 * BWD_ROWS; n += BWD_ROWS)
      for (int64_t i = 0; i < t->ahead_bytes[n >= BWD_ROWS]; i += 64) __builtin_prefetch(t->ahead[n] + i, 0, 2);
    bwd_score(t->s + m * BWD_SCORES_LD, t->dp + m * BWD_SCORES_LD, cols, &row);
    if (BF16_HAS_DOTS && t->bf16x2 && (m % 2 || m + 1 == at->rows)) bwd_bf16_of_rows(t, m / 2 * 2, at->rows, cols);
  }
  if (BF16_HAS_AMX && t->amx) bwd_amx_clear_rows(t, at->rows);
  return masked;
}

/* S and dP of a step. */
static void bwd_step_scores(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at) {
  if (BF16_HAS_AMX && t->amx) {
    bwd_amx_scores(t, mask, at, t->D, t->q, t->kt, t->s);
    bwd_amx_scores(t, mask, at, t->Dv, t->dout, t->vt, t->dp);
    return;
  }
  if (BF16_HAS_DOTS && t->bf16x2) {
    bwd_bf16_scores(t, mask, at, t->D, t->q, t->kt, t->s);
    bwd_bf16_scores(t, mask, at, t->Dv, t->dout, t->vt, t->dp);
    return;
  }
  bwd_f32_scores(t, mask, at, t->D, (const float *)t->q, (const float *)t->kt, t->s);
  bwd_f32_scores(t, mask, at, t->Dv, (const float *)t->dout, (const float *)t->vt, t->dp);
}

/* dK and dV of the same; nonfinite: by the visible pairs alone. */
static void bwd_step_keys(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                          int nonfinite) {
  if (BF16_HAS_AMX && t->amx) {
    (nonfinite ? bwd_amx_add_nonfinite_keys : bwd_amx_add_keys)(t, mask, at, t->Dv, t->dout_t, t->p_bf16x2, t->dv);
    (nonfinite ? bwd_amx_add_nonfinite_keys : bwd_amx_add_keys)(t, mask, at, t->D, t->q_t, t->ds_bf16x2, t->dk);
    return;
  }
  if (BF16_HAS_DOTS && t->bf16x2) {
    (nonfinite ? bwd_bf16_add_nonfinite_keys : bwd_bf16_add_keys)(t, mask, at, t->padded_v, t->p_bf16x2, t->dout_bf16x2,
                                                                  t->dv);
    (nonfinite ? bwd_bf16_add_nonfinite_keys : bwd_bf16_add_keys)(t, mask, at, t->padded, t->ds_bf16x2, t->q_bf16x2,
                                                                  t->dk);
    return;
  }
  if (nonfinite) {
    bwd_f32_add_nonfinite_keys(t, mask, at);
    return;
  }
  bwd_f32_add_keys(t, mask, at, t->padded_v, t->s, (const float *)t->dout, t->dv);
  bwd_f32_add_keys(t, mask, at, t->padded, t->dp, (const float *)t->q, t->dk);
}

/* dQ of the same. */
static void bwd_step_rows(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                          int nonfinite, float *dq) {
  if (BF16_HAS_AMX && t->amx && !nonfinite) {
    bwd_amx_add_rows(t, mask, at, dq);
    return;
  }
  if (BF16_HAS_DOTS && t->bf16x2) {
    (nonfinite ? bwd_bf16_add_nonfinite_rows : bwd_bf16_add_rows)(t, mask, at, dq);
    return;
  }
  (nonfinite ? bwd_f32_add_nonfinite_rows : bwd_f32_add_rows)(t, mask, at, dq);
}

#endif
