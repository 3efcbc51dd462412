/* cpu/backward_score.h - the element-wise part of the backward pass: from the products q k and dout v of a row to the
 * probabilities P and the score gradients dS. Plain loops over fixed pieces, which compilers turn into vectors;
 * libm's expf would cost thirty times as much. */
#ifndef PAH_CPU_BACKWARD_SCORE_H
#define PAH_CPU_BACKWARD_SCORE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* exp(x) to about 1e-7 relative: 2^n times a polynomial on [-ln2/2, ln2/2]. NaN stays NaN, what would be subnormal
 * becomes 0. */
static inline float score_exp(float x) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  float shifted = x * 1.44269504f + magic;
  float n = shifted - magic;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts, the first exact in 10 bits */
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (bits + 127) << 23; /* the magic number's own bits leave at the top */
  float power;
  memcpy(&power, &bits, 4);
  float y = p * power;
  y = x < -87.0f ? 0.0f : y;
  return x > 88.0f ? INFINITY : y;
}

/* tanh(x): an odd polynomial near 0, where 1 - 2 / (exp(2x) + 1) would cancel. */
static inline float score_tanh(float x) {
  float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float near = p * z * x + x;
  float far = 1.0f - 2.0f / (score_exp(2.0f * x) + 1.0f);
  return fabsf(x) < 0.625f ? near : far;
}

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
