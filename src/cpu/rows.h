/* cpu/rows.h - a row of consecutive elements of any floating dtype, to f32 and back. Decoding is exact, encoding
 * rounds to nearest even as pah.h says. The loops are plain so that the compiler makes vectors of them; f16 uses
 * its instruction where there is one. */
#ifndef PAH_CPU_ROWS_H
#define PAH_CPU_ROWS_H

#include <stdint.h>
#include <string.h>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "../pah.h"

static inline float row_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

/* The narrow formats by one multiplication: exponent and mantissa moved to their places in f32 make a number that is
 * too small by a power of two, subnormals included, so the product is exact. What lies past `largest` is selected. */
/* The bits are stored as integers, eight at a time: so gcc 12 makes vectors of it, of floats it does not. */
static void row_load_bf16(float *restrict dst, const uint16_t *restrict src, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint32_t bits[8];
    for (int l = 0; l < 8; l++) bits[l] = (uint32_t)src[i + l] << 16;
    memcpy(dst + i, bits, sizeof bits);
  }
  for (; i < n; i++) dst[i] = row_bits((uint32_t)src[i] << 16);
}

static void row_load_f16(float *restrict dst, const uint16_t *restrict src, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
#endif
  for (; i < n; i++) {
    uint32_t sign = (src[i] & 0x8000u) << 16, m = src[i] & 0x7fffu;
    float x = row_bits(m << 13) * 0x1p112f;
    float special = row_bits(0x7f800000 | m << 13);
    x = m >= 0x7c00 ? special : x;
    uint32_t bits;
    memcpy(&bits, &x, 4);
    dst[i] = row_bits(bits | sign);
  }
}

static void row_load_e4m3(float *restrict dst, const uint8_t *restrict src, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t sign = (src[i] & 0x80u) << 24, m = src[i] & 0x7fu;
    float x = row_bits(m << 20) * 0x1p120f;
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = m == 0x7f ? 0x7fc00000 : bits;
    dst[i] = row_bits(bits | sign);
  }
}

static void row_load_e5m2(float *restrict dst, const uint8_t *restrict src, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t sign = (src[i] & 0x80u) << 24, m = src[i] & 0x7fu;
    float x = row_bits(m << 21) * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = m >= 0x7c ? 0x7f800000 | m << 21 : bits;
    dst[i] = row_bits(bits | sign);
  }
}

static void row_store_f16(uint16_t *restrict dst, const float *restrict src, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128((__m128i *)(dst + i), _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; i++) dst[i] = pah_f32_to_f16(src[i]);
}

static void row_store_bf16(uint16_t *restrict dst, const float *restrict src, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, src + i, 4);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    dst[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded); /* a NaN must not round to infinity */
  }
}

/* dst[i] = the real value of element i of src. */
static void row_load(float *restrict dst, const void *restrict src, int dtype, int64_t n) {
  const uint8_t *bytes = src;
  const uint16_t *halves = src;
  switch (dtype) {
  case PAH_F32: memcpy(dst, src, (size_t)n * 4); break;
  case PAH_F16: row_load_f16(dst, halves, n); break;
  case PAH_BF16:
    row_load_bf16(dst, halves, n);
    break;
  case PAH_FP8_E4M3: row_load_e4m3(dst, bytes, n); break;
  default: row_load_e5m2(dst, bytes, n);
  }
}

static void row_store(void *restrict dst, int dtype, const float *restrict src, int64_t n) {
  uint8_t *bytes = dst;
  switch (dtype) {
  case PAH_F32: memcpy(dst, src, (size_t)n * 4); break;
  case PAH_F16: row_store_f16(dst, src, n); break;
  case PAH_BF16: row_store_bf16(dst, src, n); break;
  case PAH_FP8_E4M3:
    for (int64_t i = 0; i < n; i++) bytes[i] = pah_f32_to_e4m3(src[i]);
    break;
  default:
    for (int64_t i = 0; i < n; i++) bytes[i] = pah_f32_to_e5m2(src[i]);
  }
}

#endif
