/* cpu/backward_score.h - the element-wise part of the backward pass: from the products q k and dout v of a row to the
 * probabilities P and the score gradients dS. Plain loops over fixed pieces, which compilers turn into vectors; without
 * a softcap 18 operations on each pair of rows, 3 % of the time of the five products at D = 128. */
#ifndef PAH_CPU_BACKWARD_SCORE_H
#define PAH_CPU_BACKWARD_SCORE_H

#include <stdint.h>
#include <string.h>

#include "score.h"

/* What a row of scores needs: P = exp(scale q k - lse), dS = P (dP - delta) (1 - tanh^2). The factor `scale` of dS is
 * left to the few numbers that come of it, dq and dk. */
struct score_row {
  float scale, softcap, lse, delta;
  int64_t first, end; /* visible columns [first, end) */
};

enum { SCORE_PIECE = 16 };

/* 2^x to about 1e-7 relative; 0 below -127, where only subnormals would be left, infinity from 128 on; NaN stays NaN.
 * Powers of two, because log2(e) goes into the factor that every score has anyway, and one multiply-add then makes the
 * argument of q k and lse with a single rounding. */
static inline float score_exp2(float x) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  x = x < -127.0f ? -127.0f : x;   /* in this form a NaN passes */
  x = x > 128.0f ? 128.0f : x;
  float shifted = x + magic;
  float r = x - (shifted - magic);
  float p = 1.5345812e-4f;
  p = p * r + 1.3399931e-3f;
  p = p * r + 9.6184889e-3f;
  p = p * r + 5.5503288e-2f;
  p = p * r + 2.4022647e-1f;
  p = p * r + 6.9314721e-1f;
  p = p * r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (bits + 127) << 23; /* the magic number's own bits leave at the top */
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

/* One piece: s holds q k and becomes P, dp holds dout v and becomes dS; both 0 where masked, by select, so that a NaN
 * behind the mask goes no further. */
static inline __attribute__((always_inline)) void score_piece(float *restrict s, float *restrict dp, int32_t first,
                                                              int32_t end, const struct score_row *row, int capped,
                                                              int masked) {
  const float log2e = 1.44269504f;
  float factor = row->scale * log2e, lse = row->lse * log2e, delta = row->delta;
  float inverse = capped ? row->scale / row->softcap : 0.0f, cap = row->softcap * log2e;
  for (int32_t i = 0; i < SCORE_PIECE; i++) {
    float p, ds;
    if (capped) {
      float t = score_tanh(s[i] * inverse);
      p = score_exp2(t * cap - lse);
      ds = p * (dp[i] - delta) * (1.0f - t * t);
    } else {
      p = score_exp2(s[i] * factor - lse);
      ds = p * (dp[i] - delta);
    }
    int live = !masked || ((i >= first) & (i < end));
    s[i] = live ? p : 0.0f;
    dp[i] = live ? ds : 0.0f;
  }
}

/* The whole row of `cols` columns, a multiple of SCORE_PIECE. */
static inline __attribute__((always_inline)) void score_row(float *restrict s, float *restrict dp, int64_t cols,
                                                            const struct score_row *row, int capped) {
  for (int64_t c = 0; c < cols; c += SCORE_PIECE) {
    int64_t first = row->first - c, end = row->end - c;
    if (end <= 0 || first >= SCORE_PIECE) { /* also keeps what lies behind the mask, never computed, from being used */
      memset(s + c, 0, SCORE_PIECE * sizeof *s);
      memset(dp + c, 0, SCORE_PIECE * sizeof *dp);
    } else if (first <= 0 && end >= SCORE_PIECE) {
      score_piece(s + c, dp + c, 0, SCORE_PIECE, row, capped, 0);
    } else {
      score_piece(s + c, dp + c, first > 0 ? (int32_t)first : 0, end < SCORE_PIECE ? (int32_t)end : SCORE_PIECE, row,
                  capped, 1);
    }
  }
}

static void score_backward(float *restrict s, float *restrict dp, int64_t cols, const struct score_row *row) {
  if (row->softcap > 0)
    score_row(s, dp, cols, row, 1);
  else
    score_row(s, dp, cols, row, 0);
}

#endif
