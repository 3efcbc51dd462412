/* cpu/decode_softmax.h - the online softmax of decode, over the DECODE_TOKENS scores of a head at a time and in powers
 * of two: the score's scale holds log2(e). The maximum is lazy (as in FlashAttention 4): it stays behind by up to
 * DECODE_SLACK, so that p reaches 2^10 at most, which costs f32 nothing, and most tiles neither look for their maximum
 * nor rescale the output. The sum stays a vector until the end. About 40 operations for 32 scores, where the softmax of
 * prefill (softmax.h), which has more rows at a time to hide behind, took as long as the products. */
#ifndef PAH_CPU_DECODE_SOFTMAX_H
#define PAH_CPU_DECODE_SOFTMAX_H

#include "lanes.h"
#include "score.h"

enum { DECODE_TOKENS = 32 };

#define DECODE_SLACK 10.0f

typedef int32_t decode_mask __attribute__((vector_size(CELL_VECTOR * 4)));

/* 2^x to 1e-7 relative: 2^n times a polynomial on [-1/2, 1/2] (minimax, degree 6). NaN stays NaN; 0 below 2^-126, as
 * products with subnormal numbers take a hundred times as long. */
static inline __attribute__((always_inline)) cell_vector decode_exp2(cell_vector x) {
  const cell_vector magic = (cell_vector){0} + 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
  cell_vector shifted = x + magic, n = shifted - magic, r = x - n;
  cell_vector p = r * 1.5594677825e-4f + 1.3406643411e-3f;
  p = p * r + 9.6176927909e-3f;
  p = p * r + 5.5503103882e-2f;
  p = p * r + 2.4022652209e-1f;
  p = p * r + 6.9314724207e-1f;
  p = p * r + 1.0f;
#if defined(__AVX512F__)
  __mmask16 large = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
  return (cell_vector)_mm512_maskz_scalef_ps(large, (__m512)p, (__m512)n);
#else
  /* p is in [0.7, 1.5]: n goes to its exponent. A NaN is larger than no number, and n is then NaN too. */
  lanes_u32 y = (lanes_u32)p + ((lanes_u32)shifted << 23);
  lanes_u32 tiny = (lanes_u32)(x < -126.0f), number = (lanes_u32)(x == x);
  return (cell_vector)((y & ~tiny & number) | ((lanes_u32)x & ~number));
#endif
}

/* Whether a lane of a is above that of b. */
static inline __attribute__((always_inline)) int decode_any_above(cell_vector a, cell_vector b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)) != 0;
#else
  decode_mask above = a > b;
  return (above[0] | above[1] | above[2] | above[3]) != 0;
#endif
}

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
    if (softcap > 0) x = softcap * 1.44269504f * score_tanh(x * (0.693147181f / softcap));
    p[c] = c < tokens ? x : -INFINITY;
  }
}

/* The next `tokens` scores of a head, q k in p, to probabilities relative to m. Returns what the output so far has to
 * be multiplied by (1: nothing). */
static inline __attribute__((always_inline)) float decode_softmax(struct decode_state *state, float *p, int64_t tokens,
                                                                  float scale, float softcap) {
  enum { VECTORS = DECODE_TOKENS / CELL_VECTOR };
  if (tokens < DECODE_TOKENS || softcap > 0) {
    decode_mask_scores(p, tokens, scale, softcap);
    scale = 1.0f;
  }
  float alpha = 1.0f, m = state->m;
  cell_vector s[VECTORS], limit = (cell_vector){0} + (m + DECODE_SLACK);
  int above = 0;
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    s[v] = cell_load(p + v * CELL_VECTOR) * scale;
    above |= decode_any_above(s[v], limit);
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
    cell_vector x = decode_exp2(s[v] - m);
    cell_store(p + v * CELL_VECTOR, x);
    sum += x;
  }
  cell_store(state->sum, sum);
  return alpha;
}

#endif
