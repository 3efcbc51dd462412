/* cpu/forward/softmax.h - the online softmax of a row of a tile, in base 2: the scale takes log2(e) in. With a lazy
 * maximum (cpu/softmax.h) no row needs its exact one. Read next: tile.h. */
#ifndef PAH_CPU_FORWARD_SOFTMAX_H
#define PAH_CPU_FORWARD_SOFTMAX_H

#include "cpu/softmax.h"
#include "cpu/gemm/bf16.h"
#include "cpu/vec/scalar_math.h"

/* How far, as a power of 2, a score may exceed the maximum. */
enum { FWD_LAZY_LOG2 = 8 };

/* What is the same for all rows of a task. The scale is positive. */
struct fwd_score {
  float scale, lazy;      /* from q k to a score in base 2; FWD_LAZY_LOG2 the other way */
  float natural, softcap; /* softcap > 0: from q k to a natural score, and where it is capped; scale is log2(e) then */
  int bf16x2;             /* probabilities are written as bf16 */
};

/* Columns outside [first, end) become -inf, whatever they held, so that a NaN behind the mask goes no further. */
static inline void fwd_mask(float *s, int64_t low, int64_t high, int64_t first, int64_t end) {
  for (int64_t c = low; c < high; c += CELL_VECTOR) {
    if (c >= first && c + CELL_VECTOR <= end) { /* on to the vector that holds the end */
      c = (end - CELL_VECTOR - c) / CELL_VECTOR * CELL_VECTOR + c;
      continue;
    }
    for (int64_t i = c; i < c + CELL_VECTOR; i++)
      if (i < first || i >= end) s[i] = -INFINITY;
  }
}

static void fwd_cap(float *s, int64_t low, int64_t high, const struct fwd_score *score) {
  float inverse = 1.0f / score->softcap;
  for (int64_t c = low; c < high; c++) s[c] = score->softcap * scalar_tanh(s[c] * score->natural * inverse);
}

/* A maximum passed by more than that: the row's sums and output are brought down to the new one. m is subtracted from
 * q k (or capped scores), before the scale: the largest becomes 0. */
static __attribute__((noinline)) void fwd_raise(struct softmax_state *state, cell_vector largest, float scale, float *o,
                                                int64_t padded) {
  float scores[CELL_VECTOR];
  cell_store(scores, largest);
  float alpha = softmax_raise(state, scores, CELL_VECTOR, scale);
  if (alpha == 1.0f) return;
  for (int64_t d = 0; d < padded; d += CELL_VECTOR) cell_store(o + d, cell_load(o + d) * alpha);
}

/* What scores are less of, in base 2: the maximum. The scale and the subtraction are one multiply-add, so all
 * probabilities refer to the same rounded maximum; but rounding may not be more than a score's own, and scores may be
 * 1e30, where the largest must still become 0. So a large maximum is subtracted from the row at once, before the scale.
 */
static inline float fwd_base(const struct softmax_state *state, float scale, float *s, int64_t low, int64_t high) {
  const float far = 128.0f;
  float m = softmax_base(state);
  if (fabsf(m * scale) < far) return m * scale;
  for (int64_t c = low; c < high; c += CELL_VECTOR) cell_store(s + c, cell_load(s + c) - m);
  return 0.0f;
}

/* Scores of the columns [low, high), whole vectors (two for bf16x2), capped and masked, to probabilities in place. */
static inline void fwd_softmax_row(struct softmax_state *state, float *s, int64_t low, int64_t high,
                                   const struct fwd_score *score, float *o, int64_t padded) {
  cell_vector largest = cell_load(s + low);
  for (int64_t c = low + CELL_VECTOR; c < high; c += CELL_VECTOR) largest = exp2_max(cell_load(s + c), largest);
  if (softmax_above(state, largest, score->lazy)) fwd_raise(state, largest, score->scale, o, padded);
  float scale = score->scale, base = fwd_base(state, scale, s, low, high);
  cell_vector sum = cell_load(state->lanes);
  if (BF16_HAS_DOTS && score->bf16x2) {
    cell_vector other = {0};
    for (int64_t c = low; c < high; c += 2 * CELL_VECTOR) { /* what is written never passes what is still to be read */
      cell_vector x = exp2_lanes(cell_load(s + c) * scale - base);
      cell_vector y = exp2_lanes(cell_load(s + c + CELL_VECTOR) * scale - base);
      sum += x;
      other += y;
      cell_store(s + c / 2, (cell_vector)lanes_to_bf16x2(x, y));
    }
    cell_store(state->lanes, sum + other);
    return;
  }
  for (int64_t c = low; c < high; c += CELL_VECTOR) {
    cell_vector p = exp2_lanes(cell_load(s + c) * scale - base);
    cell_store(s + c, p);
    sum += p;
  }
  cell_store(state->lanes, sum);
}

#endif
