/* cpu/decode/softmax.h - the online softmax of decode, over the DECODE_TOKENS scores of a head at a time and in powers
 * of two: the score's scale holds log2(e). The maximum is lazy (cpu/softmax.h) by DECODE_LAZY_LOG2 (`lazy_log2`; f16.h
 * has a smaller one), so that p reaches 2^10 at most, which costs f32 nothing, and most tiles neither look for their
 * maximum nor rescale the output. The sum stays a vector until the end. About 40 operations for 32 scores. */
#ifndef PAH_CPU_DECODE_SOFTMAX_H
#define PAH_CPU_DECODE_SOFTMAX_H

#include "cpu/softmax.h"
#include "cpu/vec/scalar_math.h"

enum { DECODE_TOKENS = 32 };

#define DECODE_LAZY_LOG2 10.0f

/* The tokens of a tile, one bit each: the first n of them. */
static inline uint32_t decode_first_tokens(int64_t n) {
  return n <= 0 ? 0 : n >= DECODE_TOKENS ? ~0u : (1u << n) - 1;
}

/* q k in p to scores; those that are not visible, whatever they held, to -inf. `scale` holds log2(e). */
static inline __attribute__((always_inline)) void decode_mask_scores(float *p, uint32_t visible, float scale,
                                                                     float softcap) {
  for (int64_t c = 0; c < DECODE_TOKENS; c++) {
    float x = p[c] * scale;
    if (softcap > 0) x = softcap * scalar_log2e * scalar_tanh(x * (scalar_ln2 / softcap));
    p[c] = visible >> c & 1 ? x : -INFINITY;
  }
}

/* The scores of a row with the `visible` tokens of a tile, q k in p, to probabilities relative to m. Returns what the
 * output so far has to be multiplied by (1: nothing). */
static inline __attribute__((always_inline)) float
decode_softmax(struct softmax_state *state, float *p, uint32_t visible, float scale, float softcap, float lazy_log2) {
  enum { VECTORS = DECODE_TOKENS / CELL_VECTOR };
  if (visible != ~0u || softcap > 0) {
    decode_mask_scores(p, visible, scale, softcap);
    scale = 1.0f;
  }
  float alpha = 1.0f;
  cell_vector s[VECTORS];
  int above = 0;
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    s[v] = cell_load(p + v * CELL_VECTOR) * scale;
    above |= softmax_above(state, s[v], lazy_log2);
  }
  if (above) {
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) cell_store(p + v * CELL_VECTOR, s[v]);
    alpha = softmax_raise(state, p, DECODE_TOKENS, 1.0f);
  }
  float base = softmax_base(state);
  cell_vector sum = cell_load(state->lanes);
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    cell_vector x = exp2_lanes(s[v] - base);
    cell_store(p + v * CELL_VECTOR, x);
    sum += x;
  }
  cell_store(state->lanes, sum);
  return alpha;
}

#endif
