/* softmax.cuh - the running softmax of rows 2t and 2t + 1 of each octet of a warp, in powers of two.
 * max is what is taken away before ex2. It follows the largest score lazily: it moves when a score is more than 2^LAZY
 * times above it, so that the totals are seldom rescaled; until then weights are above 1, which costs no accuracy.
 * A row that has seen no key has max -inf and sum 0. A NaN score makes its row NaN. */
#pragma once
#include "../softmax.cuh"
#include "operands.cuh"

constexpr float LAZY = 6;

struct softmax_state {
  float max[OCTETS][2], sum[OCTETS][2]; /* sum: of this lane's keys until it is added up in the end */
};

__device__ __forceinline__ void begin_softmax(softmax_state &state) {
#pragma unroll
  for (int i = 0; i < 2 * OCTETS; i++) {
    state.max[i / 2][i % 2] = negative_infinity();
    state.sum[i / 2][i % 2] = 0;
  }
}

/* Over the lanes that hold the same rows. */
__device__ __forceinline__ float max_of_row(float x) {
#pragma unroll
  for (int step = 4; step < 32; step *= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

__device__ __forceinline__ float sum_of_row(float x) {
#pragma unroll
  for (int step = 4; step < 32; step *= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

/* Scores become weights; totals so far are brought to the new max. */
__device__ __forceinline__ void soften(scores &s, totals &o, softmax_state &state) {
  float top[OCTETS][2];
  bool rises = false;
#pragma unroll
  for (int r = 0; r < OCTETS; r++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float x = fmaxf(s[0][r][i], s[0][r][i + 2]);
#pragma unroll
      for (int m = 1; m < KEYS / 16; m++) x = fmaxf(x, fmaxf(s[m][r][i], s[m][r][i + 2]));
      top[r][i] = max_of_row(x);
      rises |= top[r][i] > state.max[r][i] + LAZY;
    }
  if (__any_sync(0xffffffffu, rises)) {
#pragma unroll
    for (int r = 0; r < OCTETS; r++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float max = fmaxf(state.max[r][i], top[r][i]), shrink = ptx::ex2(state.max[r][i] - exponent_base(max));
        state.max[r][i] = max;
        state.sum[r][i] *= shrink;
#pragma unroll
        for (int j = 0; j < DV / 16; j++) o[j][r][i] *= shrink, o[j][r][i + 2] *= shrink;
      }
  }
#pragma unroll
  for (int r = 0; r < OCTETS; r++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float base = exponent_base(state.max[r][i % 2]);
#pragma unroll
      for (int m = 0; m < KEYS / 16; m++) {
        s[m][r][i] = ptx::ex2(s[m][r][i] - base);
        state.sum[r][i % 2] += s[m][r][i];
      }
    }
}
