/* cpu/exp2.h - 2^x of a vector, to 2e-7 relative, for the softmax of tiles: thirteen instructions with the scaling, so
 * 16 scores take some 7 cycles of the two multiply-add units, where their products with D = 128 take 128.
 * Read next: forward_softmax.h. */
#ifndef PAH_CPU_EXP2_H
#define PAH_CPU_EXP2_H

#include "lanes.h"

/* The larger of both, x where either is NaN. */
static inline __attribute__((always_inline)) cell_vector exp2_max(cell_vector least, cell_vector x) {
#if defined(__AVX512F__)
  return (cell_vector)_mm512_max_ps((__m512)least, (__m512)x);
#elif defined(__AVX__)
  return (cell_vector)_mm256_max_ps((__m256)least, (__m256)x);
#else
  lanes_u32 more = (lanes_u32)(least > x);
  return (cell_vector)(((lanes_u32)least & more) | ((lanes_u32)x & ~more));
#endif
}

/* 2^x for x < 128: 2^n times a polynomial on [-1/2, 1/2] whose value at 0 is exactly 1. Below -126.5 it is 0, since 2^n
 * is made of exponent bits and those of n = -127 are 0; so subnormal numbers, which cost a multiply-add a hundred
 * cycles, never arise. NaN stays NaN. */
static inline __attribute__((always_inline)) cell_vector exp2_lanes(cell_vector x) {
  const float magic = 12583039.0f; /* 1.5 * 2^23 + 127: adding it leaves n + 127 in the low bits */
  x = exp2_max((cell_vector){0} - 127.0f, x);
  cell_vector shifted = x + magic;
  /* Not by vreduceps: a tie goes to the even of n + 127 above and of n there, and the result would be off by 2. */
  cell_vector r = x - (shifted - magic);
  cell_vector p = r * 1.3264727e-3f + 9.671513e-3f; /* least relative error, by Remez's exchange */
  p = p * r + 5.5507336e-2f;
  p = p * r + 2.4022242e-1f;
  p = p * r + 6.93147e-1f;
  p = p * r + 1.0f;
  return p * (cell_vector)((lanes_u32)shifted << 23); /* the magic number's own bits leave at the top */
}

#endif
