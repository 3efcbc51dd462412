/* cpu/backward_score.h - the element-wise part of the backward pass: from the products q k and dout v of a row to the
 * probabilities P and the score gradients dS. Plain loops over fixed pieces, which compilers turn into vectors. */
#ifndef PAH_CPU_BACKWARD_SCORE_H
#define PAH_CPU_BACKWARD_SCORE_H

#include <stdint.h>
#include <string.h>

#include "score.h"

/* What a row of scores needs: dS = P (dP - delta) (1 - tanh^2) scale, the scale of dq and dk folded in. */
struct score_row {
  float scale, softcap, lse, delta;
  int64_t first, end; /* visible columns [first, end) */
};

enum { SCORE_PIECE = 16 };

/* One piece: s holds q k and becomes P, dp holds dout v and becomes dS; both 0 where masked, by select, so that a NaN
 * behind the mask goes no further. */
static inline __attribute__((always_inline)) void score_piece(float *restrict s, float *restrict dp, int32_t first,
                                                              int32_t end, const struct score_row *row, int capped) {
  float scale = row->scale, softcap = row->softcap, lse = row->lse, delta = row->delta;
  float inverse = capped ? 1.0f / softcap : 0.0f;
  for (int32_t i = 0; i < SCORE_PIECE; i++) {
    float x = s[i] * scale, slope = scale;
    if (capped) {
      float t = score_tanh(x * inverse);
      x = softcap * t;
      slope = scale * (1.0f - t * t);
    }
    float p = score_exp(x - lse);
    float ds = p * (dp[i] - delta) * slope;
    int live = (i >= first) & (i < end);
    s[i] = live ? p : 0.0f;
    dp[i] = live ? ds : 0.0f;
  }
}

/* The whole row of `cols` columns, a multiple of SCORE_PIECE. */
static void score_backward(float *restrict s, float *restrict dp, int64_t cols, const struct score_row *row) {
  for (int64_t c = 0; c < cols; c += SCORE_PIECE) {
    int64_t first = row->first - c, end = row->end - c;
    if (end <= 0 || first >= SCORE_PIECE) { /* also keeps what lies behind the mask, never computed, from being used */
      memset(s + c, 0, SCORE_PIECE * sizeof *s);
      memset(dp + c, 0, SCORE_PIECE * sizeof *dp);
      continue;
    }
    int32_t low = first > 0 ? (int32_t)first : 0, high = end < SCORE_PIECE ? (int32_t)end : SCORE_PIECE;
    if (row->softcap > 0)
      score_piece(s + c, dp + c, low, high, row, 1);
    else
      score_piece(s + c, dp + c, low, high, row, 0);
  }
}

#endif
