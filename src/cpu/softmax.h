/* cpu/softmax.h - a row of the online softmax: scale, softcap, mask, running maximum and sum.
 * The state of a row is m (largest score so far), l (sum of exp(score - m)) and its unnormalised output, as in
 * FlashAttention; the same state serves tiles, splits and threads. Loops run over 16 lanes, which compilers turn into
 * vectors. Scores are natural, so lse = m + log(l). */
#ifndef PAH_CPU_SOFTMAX_H
#define PAH_CPU_SOFTMAX_H

#include "score.h"

enum { SOFTMAX_LANES = 16 };

/* q k to scores in place; the largest of the visible columns [first, end), -inf without any. Columns outside become
 * -inf, whatever they held, so that a NaN behind the mask goes no further. NaN scores do not raise the maximum. */
static inline __attribute__((always_inline)) float softmax_scores(float *restrict s, int64_t cols, int32_t first,
                                                                  int32_t end, float scale, float softcap, int capped) {
  float largest[SOFTMAX_LANES], inverse = capped ? 1.0f / softcap : 0.0f;
  for (int i = 0; i < SOFTMAX_LANES; i++) largest[i] = -INFINITY;
  for (int32_t c = 0; c < cols; c += SOFTMAX_LANES)
    for (int32_t i = 0; i < SOFTMAX_LANES; i++) {
      float x = s[c + i] * scale;
      if (capped) x = softcap * score_tanh(x * inverse);
      int live = (c + i >= first) & (c + i < end);
      x = live ? x : -INFINITY;
      s[c + i] = x;
      largest[i] = x > largest[i] ? x : largest[i];
    }
  for (int half = SOFTMAX_LANES / 2; half; half /= 2) /* by halves: one after the other each waits for the last */
    for (int i = 0; i < half; i++) largest[i] = largest[i + half] > largest[i] ? largest[i + half] : largest[i];
  return largest[0];
}

/* Scores to exp(score - m) in place; their sum. */
static inline float softmax_exp(float *restrict s, int64_t cols, float m) {
  float sum[SOFTMAX_LANES] = {0};
  for (int64_t c = 0; c < cols; c += SOFTMAX_LANES)
    for (int i = 0; i < SOFTMAX_LANES; i++) {
      float p = score_exp(s[c + i] - m);
      s[c + i] = p;
      sum[i] += p;
    }
  for (int half = SOFTMAX_LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) sum[i] += sum[i + half];
  return sum[0];
}

/* The running state of a row. Start with {-inf, 0}. */
struct softmax_state {
  float m, l;
};

/* One more tile of a row: s (q k in, probabilities relative to the new m out) of `cols` columns, a multiple of
 * SOFTMAX_LANES, [first, end) visible. Returns what the output so far has to be multiplied by (1: nothing). */
static inline float softmax_step(struct softmax_state *state, float *s, int64_t cols, int64_t first, int64_t end,
                                 float scale, float softcap) {
  float m = softcap > 0 ? softmax_scores(s, cols, (int32_t)first, (int32_t)end, scale, softcap, 1)
                        : softmax_scores(s, cols, (int32_t)first, (int32_t)end, scale, softcap, 0);
  float old = state->m, alpha = 1.0f;
  if (m > old) {
    alpha = old == -INFINITY ? 0.0f : score_exp(old - m);
    state->m = m;
  }
  /* While every score was -inf or NaN there is nothing to subtract; exp(-inf) is 0 and NaN stays NaN. */
  float sum = softmax_exp(s, cols, state->m == -INFINITY ? 0.0f : state->m);
  state->l = state->l * alpha + sum;
  return alpha;
}

/* 1/l for the output, 0 for a row that saw no key. */
static inline float softmax_inverse(const struct softmax_state *state) {
  return state->l == 0.0f ? 0.0f : 1.0f / state->l;
}

static inline float softmax_lse(const struct softmax_state *state) {
  return state->l == 0.0f ? -INFINITY : state->m + logf(state->l);
}

#endif
