/* cpu/decode/softmax.h - the online softmax of decode, over the DECODE_TOKENS scores of a head at a time and in powers
 * of two: the score's scale holds log2(e). The maximum is lazy (as in FlashAttention 4): it stays behind by up to
 * DECODE_LAZY_LOG2 (`lazy_log2`; f16.h has a smaller one), so that p reaches 2^10 at most, which costs f32 nothing, and
 * most tiles neither look for their maximum nor rescale the output. The sum stays a vector until the end. About 40
 * operations for 32 scores. */
#ifndef PAH_CPU_DECODE_SOFTMAX_H
#define PAH_CPU_DECODE_SOFTMAX_H

#include "cpu/vec/exp2.h"
#include "cpu/vec/scalar_math.h"

enum { DECODE_TOKENS = 32 };

#define DECODE_LAZY_LOG2 10.0f

/* The running state of a head: start with m = -inf and sums of 0. Scores are in units of log2(e) here. */
struct decode_state {
  float m;
  float sum[CELL_VECTOR]; /* of p, by lanes */
};

/* The largest of the DECODE_TOKENS scores; NaN does not count. */
static float decode_largest(const float *s) {
  float largest = -INFINITY;
  for (int i = 0; i < DECODE_TOKENS; i++) largest = s[i] > largest ? s[i] : largest;
  return largest;
}

/* q k in p to scores; those from `tokens` on, whatever they held, to -inf. `scale` holds log2(e). */
static inline __attribute__((always_inline)) void decode_mask_scores(float *p, int64_t tokens, float scale,
                                                                     float softcap) {
  for (int64_t c = 0; c < DECODE_TOKENS; c++) {
    float x = p[c] * scale;
    if (softcap > 0) x = softcap * scalar_log2e * scalar_tanh(x * (scalar_ln2 / softcap));
    p[c] = c < tokens ? x : -INFINITY;
  }
}

/* The next `tokens` scores of a head, q k in p, to probabilities relative to m. Returns what the output so far has to
 * be multiplied by (1: nothing). */
static inline __attribute__((always_inline)) float decode_softmax(struct decode_state *state, float *p, int64_t tokens,
                                                                  float scale, float softcap, float lazy_log2) {
  enum { VECTORS = DECODE_TOKENS / CELL_VECTOR };
  if (tokens < DECODE_TOKENS || softcap > 0) {
    decode_mask_scores(p, tokens, scale, softcap);
    scale = 1.0f;
  }
  float alpha = 1.0f, m = state->m;
  cell_vector s[VECTORS], limit = (cell_vector){0} + (m + lazy_log2);
  int above = 0;
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    s[v] = cell_load(p + v * CELL_VECTOR) * scale;
    above |= lanes_any_above(s[v], limit);
  }
  if (above) {
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) cell_store(p + v * CELL_VECTOR, s[v]);
    state->m = decode_largest(p);
    alpha = m == -INFINITY ? 0.0f : exp2f(m - state->m);
    m = state->m;
    for (int i = 0; i < CELL_VECTOR; i++) state->sum[i] *= alpha;
  }
  /* While every score was -inf or NaN there is nothing to subtract; 2^-inf is 0 and NaN stays NaN. */
  m = m == -INFINITY ? 0.0f : m;
  cell_vector sum = cell_load(state->sum);
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    cell_vector x = exp2_lanes(s[v] - m);
    cell_store(p + v * CELL_VECTOR, x);
    sum += x;
  }
  cell_store(state->sum, sum);
  return alpha;
}

#endif
