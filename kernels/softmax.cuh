/* softmax.cuh - the online softmax of one row: the largest score so far and the sum of exp(score - max). A kernel that
 * sums V with these weights multiplies its sum by what raise() returns, so that all of it counts from the same maximum.
 * A row that has seen no key ends as out 0 and lse -inf; a NaN score makes its row NaN, it is never hidden.
 * Read next: naive/decode.cu, which uses all of it; naive/forward.cu. */
#pragma once
#include "types.cuh"

constexpr float LOG2E = 1.44269504088896341f, LN2 = 0.693147180559945309f; /* for kernels that count in powers of two */

/* What a running maximum is taken away from before exp: itself, but 0 while no key has been seen, where it is -inf and
 * -inf - -inf would be NaN. */
__device__ inline float exponent_base(float max) {
  return max == negative_infinity() ? 0.0f : max;
}

struct running_softmax {
  float max, total;

  __device__ inline void begin() {
    max = negative_infinity();
    total = 0;
  }

  /* Lets the maximum rise to `score`, if that is larger; returns what sums of weighted values shrink by. */
  __device__ inline float raise(float score) {
    float old = max;
    max = fmaxf(max, score);
    float shrink = expf(old - exponent_base(max));
    total *= shrink;
    return shrink;
  }

  /* The weight of a score, or of a part whose own maximum or lse it is. Not yet part of the total. */
  __device__ inline float weight(float score) const {
    return expf(score - exponent_base(max));
  }

  /* Lets the head's sink join: a score without a value. Returns what sums of weighted values shrink by. */
  __device__ inline float take_sink(float sink) {
    if (sink == negative_infinity()) return 1.0f;
    float shrink = raise(sink);
    total += sink == -negative_infinity() ? 1.0f : weight(sink); /* inf - inf would be NaN: such a sink takes all */
    return shrink;
  }

  /* x / total: of a sum of weighted values the result, of a factor what to multiply such a sum by. */
  __device__ inline float normalize(float x) const {
    return total == 0 ? 0.0f : x / total;
  }

  __device__ inline float lse() const {
    return total == 0 ? negative_infinity() : max + logf(total);
  }
};
