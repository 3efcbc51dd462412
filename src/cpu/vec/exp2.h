/* cpu/vec/exp2.h - 2^x of a vector, to 2e-7 relative, for the softmax of tiles: nine instructions with AVX-512, so 16
 * scores take some 5 cycles of the two multiply-add units, where their products with D = 128 take 128. Read next:
 * cpu/forward/softmax.h. */
#ifndef PAH_CPU_VEC_EXP2_H
#define PAH_CPU_VEC_EXP2_H

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

/* 2^x for x < 128: 2^n times a polynomial whose value at 0 is exactly 1, of least relative error by Remez's exchange.
 * Below -126 it is 0, so that subnormal numbers, which cost a multiply-add a hundred cycles, never arise. NaN stays
 * NaN. */
#if defined(__AVX512DQ__)
/* n = floor(x), which vreduceps and vscalefps both take by themselves. To the nearest integer they would not agree with
 * each other on ties. */
static inline __attribute__((always_inline)) cell_vector exp2_lanes(cell_vector x) {
  cell_vector r = (cell_vector)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF);
  cell_vector p = r * 1.8671300e-3f + 9.0170307e-3f;
  p = p * r + 5.5799913e-2f;
  p = p * r + 2.4016444e-1f;
  p = p * r + 6.931513e-1f;
  p = p * r + 1.0f;
  __mmask16 normal = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
  return (cell_vector)_mm512_maskz_scalef_ps(normal, (__m512)p, (__m512)x);
}
#else
/* On [-1/2, 1/2]: 2^n is made of exponent bits, and those of n = -127 are 0. */
static inline __attribute__((always_inline)) cell_vector exp2_lanes(cell_vector x) {
  const float magic = 12583039.0f; /* 1.5 * 2^23 + 127: adding it leaves n + 127 in the low bits */
  x = exp2_max((cell_vector){0} - 127.0f, x);
  cell_vector shifted = x + magic;
  cell_vector r = x - (shifted - magic);
  cell_vector p = r * 1.3264727e-3f + 9.671513e-3f;
  p = p * r + 5.5507336e-2f;
  p = p * r + 2.4022242e-1f;
  p = p * r + 6.93147e-1f;
  p = p * r + 1.0f;
  return p * (cell_vector)((lanes_u32)shifted << 23); /* the magic number's own bits leave at the top */
}
#endif

#endif
