/* cpu/decode/many_softmax.h - the online softmax of a vector of rows at once, where scores lie as many_rows.h leaves
 * them: a row's maximum and sum are a lane, so nothing goes across lanes. It is softmax.h's but for the order in which
 * a row's probabilities are added. 15 operations for a token of CELL_VECTOR rows. Read next: tile.h. */
#ifndef PAH_CPU_DECODE_MANY_SOFTMAX_H
#define PAH_CPU_DECODE_MANY_SOFTMAX_H

#include "many_rows.h"

/* The maxima and sums of all rows of all KV heads, [Hkv][room]. */
struct decode_many_state {
  float *m, *sum;
};

/* q k to scores, `scale` and softcap applied; what a row does not see, whatever it held, becomes -inf. */
static void decode_many_mask(float *p, const uint32_t visible[CELL_VECTOR], float scale, float softcap) {
  for (int64_t c = 0; c < DECODE_TOKENS; c++, p += CELL_VECTOR)
    for (int n = 0; n < CELL_VECTOR; n++) {
      float x = p[n] * scale;
      if (softcap > 0) x = softcap * scalar_log2e * scalar_tanh(x * (scalar_ln2 / softcap));
      p[n] = visible[n] >> c & 1 ? x : -INFINITY;
    }
}

/* Maxima m become `top` in lanes where that is above `limit`; alpha: what o of those rows is multiplied by. */
static __attribute__((noinline)) void decode_many_raise(float *m, float *sum, const float *top, const float *limit,
                                                        float *alpha) {
  cell_vector old = cell_load(m), raised;
  for (int n = 0; n < CELL_VECTOR; n++) m[n] = top[n] > limit[n] ? top[n] : m[n];
  raised = exp2_lanes(old - cell_load(m));
  cell_store(alpha, raised);
  for (int n = 0; n < CELL_VECTOR; n++) { /* before the first maximum all was 0 or NaN */
    if (!(top[n] > limit[n]) || old[n] == -INFINITY) alpha[n] = 1.0f;
    sum[n] *= alpha[n];
  }
}

/* q k, times `scale` a score in powers of two, of a vector of rows to probabilities. Returns whether a row's o has to
 * be multiplied by its alpha. */
static int decode_many_softmax(float *m, float *sum, float *p, float scale, float *alpha) {
  enum { CHAINS = 4 };
  cell_vector top[CHAINS], total[CHAINS] = {{0}};
  int raised;
  for (int i = 0; i < CHAINS; i++) top[i] = (cell_vector){0} - INFINITY;
  for (int64_t c = 0; c < DECODE_TILE; c += CHAINS * CELL_VECTOR)
#pragma GCC unroll 4
    for (int i = 0; i < CHAINS; i++) {
      cell_vector x = cell_load(p + c + i * CELL_VECTOR) * scale;
      cell_store(p + c + i * CELL_VECTOR, x);
      top[i] = exp2_max(x, top[i]); /* a NaN does not count */
    }
  top[0] = exp2_max(exp2_max(top[0], top[1]), exp2_max(top[2], top[3]));
  cell_vector limit = cell_load(m) + DECODE_LAZY_LOG2;
  raised = lanes_any_above(top[0], limit);
  if (raised) {
    float tops[CELL_VECTOR], limits[CELL_VECTOR];
    cell_store(tops, top[0]);
    cell_store(limits, limit);
    decode_many_raise(m, sum, tops, limits, alpha);
  }
  cell_vector base = cell_load(m);
  base = (cell_vector)((lanes_u32)base & (lanes_u32)(base != -INFINITY)); /* 0 while all was -inf or NaN */
  __asm__ volatile("" ::: "memory"); /* product and difference must not become one multiply-add: 1e30 - 1e30 is 0 */
  for (int64_t c = 0; c < DECODE_TILE; c += CHAINS * CELL_VECTOR)
#pragma GCC unroll 4
    for (int i = 0; i < CHAINS; i++) {
      cell_vector x = exp2_lanes(cell_load(p + c + i * CELL_VECTOR) - base);
      cell_store(p + c + i * CELL_VECTOR, x);
      total[i] += x;
    }
  cell_store(sum, cell_load(sum) + ((total[0] + total[1]) + (total[2] + total[3])));
  return raised;
}

#endif
