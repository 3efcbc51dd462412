/* cpu/softmax.h - the softmax of one row while its keys pass by, the same for tiles, splits and threads: as in
 * FlashAttention m, which is subtracted from its scores, and the sum of 2^(score - m), here by lanes. The maximum is
 * lazy (FlashAttention 4): m stays behind the largest score by up to 2^lazy, so it is raised, and the output rescaled,
 * hardly ever after the first tiles. The order: start, then for a tile above, raise if so, base; merge; finish. Read
 * next: cpu/forward/softmax.h, cpu/decode/softmax.h (a tile's scores to probabilities). */
#ifndef PAH_CPU_SOFTMAX_H
#define PAH_CPU_SOFTMAX_H

#include <math.h>

#include "cpu/vec/exp2.h"

/* m is in the unit of the pass that keeps it; two vectors, so that the lanes have a line of their own. */
struct softmax_state {
  float lanes[CELL_VECTOR];
  float m;
  float unused[CELL_VECTOR - 1];
};

static inline struct softmax_state softmax_start(void) {
  return (struct softmax_state){.m = -INFINITY};
}

/* Whether a score passes m by more than `lazy`. */
static inline __attribute__((always_inline)) int softmax_above(const struct softmax_state *state, cell_vector scores,
                                                               float lazy) {
  return lanes_any_above(scores, (cell_vector){0} + (state->m + lazy));
}

/* Then m becomes the largest of n scores (NaN does not count). `scale`: from a unit of m to powers of two. Returns what
 * the output so far has to be multiplied by: 1, nothing, for the first maximum, before which all was 0 or NaN. */
static inline __attribute__((always_inline)) float softmax_raise(struct softmax_state *state, const float *scores,
                                                                 int n, float scale) {
  float old = state->m, top = -INFINITY;
  for (int i = 0; i < n; i++) top = scores[i] > top ? scores[i] : top;
  state->m = top;
  if (old == -INFINITY) return 1.0f;
  cell_vector alpha = exp2_lanes((cell_vector){0} + (old - top) * scale);
  cell_store(state->lanes, cell_load(state->lanes) * alpha);
  return alpha[0];
}

/* What is subtracted from scores. While every score was -inf or NaN nothing: 2^-inf is 0 and NaN stays NaN. */
static inline float softmax_base(const struct softmax_state *state) {
  return state->m == -INFINITY ? 0.0f : state->m;
}

/* Adds what `part` saw to `all`, whose m is the largest of all parts, in powers of two; *alpha: what the part's output
 * counts for. Returns 0 if it saw no key: its output is then left out. */
static inline int softmax_merge(struct softmax_state *all, const struct softmax_state *part, float *alpha) {
  float sum = lanes_sum(cell_load(part->lanes));
  if (sum == 0.0f) return 0;
  /* m is -inf beside a NaN sum only: the NaN then goes through as it is */
  *alpha = part->m == all->m ? 1.0f : part->m == -INFINITY ? sum : exp2f(part->m - all->m);
  all->lanes[0] += sum * *alpha;
  return 1;
}

/* softmax_finish where a sink takes part: one more natural score, without a value. A sink of +inf takes all. */
static __attribute__((noinline)) int softmax_finish_sink(const struct softmax_state *state, float natural, float scale,
                                                         float sink, float *factor, float *lse) {
  float sum = lanes_sum(cell_load(state->lanes)), m = state->m * natural;
  *factor = 0.0f;
  *lse = sink;
  if (sum == 0.0f || sink == INFINITY) return 0;
  float top = m > sink ? m : sink; /* NaN where the sink is */
  float share = expf(m - top), total = sum * share + expf(sink - top);
  *factor = scale * share / total;
  *lse = top + logf(total);
  return 1;
}

/* The end of a row: *factor, `scale` over the sum, for its output, and its lse; `natural`: from a unit of m to a
 * natural score; `sink`: -inf for none. Returns 0 for a row that saw no key: its output is 0, its lse the sink. */
static inline int softmax_finish(const struct softmax_state *state, float natural, float scale, float sink,
                                 float *factor, float *lse) {
  if (sink != -INFINITY) return softmax_finish_sink(state, natural, scale, sink, factor, lse);
  float sum = lanes_sum(cell_load(state->lanes));
  *factor = sum == 0.0f ? 0.0f : scale / sum;
  *lse = sum == 0.0f ? -INFINITY : state->m * natural + logf(sum);
  return sum != 0.0f;
}

#endif
