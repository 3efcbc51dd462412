/* cpu/vec/rows.h - a row of consecutive elements of any floating dtype, to f32 and back. Widening is exact, storing
 * rounds to nearest even as pah.h says. Read next: lanes.h (one vector of a row). */
#ifndef PAH_CPU_VEC_ROWS_H
#define PAH_CPU_VEC_ROWS_H

#include <stdint.h>
#include <string.h>

#include "lanes.h"

static void row_store_f16(uint16_t *restrict dst, const float *restrict src, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128((__m128i *)(dst + i), _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; i++) dst[i] = pah_f32_to_f16(src[i]);
}

/* By vectors, by hand: at -O2 gcc 12 leaves the loop scalar, which took 3 % of a backward pass with D = 64. */
static void row_store_bf16(uint16_t *restrict dst, const float *restrict src, int64_t n) {
  int64_t i = 0;
  for (; i + CELL_VECTOR <= n; i += CELL_VECTOR) {
    lanes_u32 bits = (lanes_u32)cell_load(src + i), nan = (lanes_u32)((bits & 0x7fffffff) > 0x7f800000);
    lanes_u32 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    bits = (rounded & ~nan) | (quiet & nan); /* a NaN must not round to infinity */
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)(dst + i), _mm512_cvtepi32_epi16((__m512i)bits));
#else
    *(lanes_u16 *)(dst + i) = __builtin_convertvector(bits, lanes_u16);
#endif
  }
  for (; i < n; i++) dst[i] = pah_f32_to_bf16(src[i]);
}

/* dst[i] = element i of src; `dtype` and `size` are constants where this is called. */
static inline __attribute__((always_inline)) void row_load_as(float *restrict dst, const char *restrict src, int64_t n,
                                                              int dtype, int64_t size) {
  int64_t i = 0;
  for (; i + CELL_VECTOR <= n; i += CELL_VECTOR) cell_store(dst + i, lanes_load(src + i * size, dtype));
  if (i < n) { /* the last lanes by way of a whole vector, so that nothing behind the row is read */
    _Alignas(64) char padded[CELL_VECTOR * 4] = {0};
    memcpy(padded, src + i * size, (size_t)((n - i) * size));
    cell_vector last = lanes_load(padded, dtype);
    memcpy(dst + i, &last, (size_t)(n - i) * sizeof *dst);
  }
}

/* dst[i] = the real value of element i of src. */
static void row_load(float *restrict dst, const void *restrict src, int dtype, int64_t n) {
  switch (dtype) {
  case PAH_F32: memcpy(dst, src, (size_t)n * 4); break;
  case PAH_F16: row_load_as(dst, src, n, PAH_F16, 2); break;
  case PAH_BF16: row_load_as(dst, src, n, PAH_BF16, 2); break;
  case PAH_FP8_E4M3: row_load_as(dst, src, n, PAH_FP8_E4M3, 1); break;
  default: row_load_as(dst, src, n, PAH_FP8_E5M2, 1);
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
