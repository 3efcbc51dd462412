/* cpu/backward/score.h - the element-wise part of the backward pass: from the products q k and dout v of a row to the
 * probabilities P and the score gradients dS. Without a softcap some 20 instructions for a vector of each, 3 % of the
 * time of the five products at D = 128. */
#ifndef PAH_CPU_BACKWARD_SCORE_H
#define PAH_CPU_BACKWARD_SCORE_H

#include <stdint.h>
#include <string.h>

#include "cpu/vec/exp2.h"
#include "cpu/vec/scalar_math.h"

/* What a row of scores needs: P = exp(scale q k - lse), dS = P (dP - delta) (1 - tanh^2). The factor `scale` of dS is
 * left to the few numbers that come of it, dq and dk. */
struct bwd_score_row {
  float scale, softcap, lse, delta;
  int64_t first, end; /* visible columns [first, end) */
};

enum { BWD_SCORE_PIECE = 16 };

/* One piece: s holds q k and becomes P, dp holds dout v and becomes dS. In base 2, because log2(e) then goes into the
 * factor that every score has anyway. The exponent is made with the other sign: its least value is that from which P is
 * infinite, which only an lse that is not the forward's can bring about. */
static inline __attribute__((always_inline)) void bwd_score_piece(float *restrict s, float *restrict dp,
                                                                  const struct bwd_score_row *row, int capped) {
  float factor = (capped ? row->softcap : row->scale) * scalar_log2e, lse = row->lse * scalar_log2e,
        slope[BWD_SCORE_PIECE];
  for (int i = 0; capped && i < BWD_SCORE_PIECE; i++) {
    s[i] = scalar_tanh(s[i] * (row->scale / row->softcap));
    slope[i] = 1.0f - s[i] * s[i];
  }
  for (int i = 0; i < BWD_SCORE_PIECE; i += CELL_VECTOR) {
    cell_vector minus = exp2_max((cell_vector){0} - 128.0f, lse - cell_load(s + i) * factor);
    cell_vector p = exp2_lanes(-minus), ds = p * (cell_load(dp + i) - row->delta);
    if (capped) ds *= cell_load(slope + i);
    cell_store(s + i, p);
    cell_store(dp + i, ds);
  }
}

/* The whole row of `cols` columns, a multiple of BWD_SCORE_PIECE. What is masked becomes 0, by select, so that a NaN
 * behind the mask, or what lies there because it was never computed, goes no further. */
static inline __attribute__((always_inline)) void bwd_score_row(float *restrict s, float *restrict dp, int64_t cols,
                                                                const struct bwd_score_row *row, int capped) {
  for (int64_t c = 0; c < cols; c += BWD_SCORE_PIECE) {
    int64_t first = row->first - c, end = row->end - c;
    if (end <= 0 || first >= BWD_SCORE_PIECE) {
      memset(s + c, 0, BWD_SCORE_PIECE * sizeof *s);
      memset(dp + c, 0, BWD_SCORE_PIECE * sizeof *dp);
      continue;
    }
    bwd_score_piece(s + c, dp + c, row, capped);
    if (first <= 0 && end >= BWD_SCORE_PIECE) continue;
    for (int64_t i = 0; i < BWD_SCORE_PIECE; i++)
      if (i < first || i >= end) s[c + i] = dp[c + i] = 0.0f;
  }
}

static void bwd_score(float *restrict s, float *restrict dp, int64_t cols, const struct bwd_score_row *row) {
  if (row->softcap > 0)
    bwd_score_row(s, dp, cols, row, 1);
  else
    bwd_score_row(s, dp, cols, row, 0);
}

#endif
