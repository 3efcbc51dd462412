/* cpu/vec/scalar_math.h - exp and tanh of one f32, without branches, so that compilers turn a loop of them into
 * vectors; libm's expf would cost thirty times as much. Rows of scores take exp2.h. */
#ifndef PAH_CPU_VEC_SCALAR_MATH_H
#define PAH_CPU_VEC_SCALAR_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* From e to powers of two and back. */
static const float scalar_log2e = 1.44269504f, scalar_ln2 = 0.693147181f;

/* exp(x) to about 1e-7 relative: 2^n times a polynomial on [-ln2/2, ln2/2]. NaN stays NaN, what would be subnormal
 * becomes 0. */
static inline float scalar_exp(float x) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  float shifted = x * scalar_log2e + magic;
  float n = shifted - magic;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts, the first exact in 10 bits */
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (bits + 127) << 23; /* the magic number's own bits leave at the top */
  float power;
  memcpy(&power, &bits, 4);
  float y = p * power;
  y = x < -87.0f ? 0.0f : y;
  return x > 88.0f ? INFINITY : y;
}

/* tanh(x): an odd polynomial near 0, where 1 - 2 / (exp(2x) + 1) would cancel. */
static inline float scalar_tanh(float x) {
  float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float near = p * z * x + x;
  float far = 1.0f - 2.0f / (scalar_exp(2.0f * x) + 1.0f);
  return fabsf(x) < 0.625f ? near : far;
}

#endif
