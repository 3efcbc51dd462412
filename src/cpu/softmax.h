/* cpu/softmax.h - what is left of a row's softmax at its end: m (a score that was subtracted), l (the sum of
 * exp(score - m)) and the unnormalised output, as in FlashAttention; the same state serves tiles, splits and threads.
 * Scores are natural here, so lse = m + log(l). Read next: cpu/forward/softmax.h, cpu/decode/softmax.h (how it comes
 * about). */
#ifndef PAH_CPU_SOFTMAX_H
#define PAH_CPU_SOFTMAX_H

#include <math.h>

/* The running state of a row. Start with {-inf, 0}. */
struct softmax_state {
  float m, l;
};

/* 1/l for the output, 0 for a row that saw no key. */
static inline float softmax_inverse(const struct softmax_state *state) {
  return state->l == 0.0f ? 0.0f : 1.0f / state->l;
}

static inline float softmax_lse(const struct softmax_state *state) {
  return state->l == 0.0f ? -INFINITY : state->m + logf(state->l);
}

#endif
