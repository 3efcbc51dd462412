/* cpu/vec/lanes.h - one vector of elements of any floating dtype as f32. Widening is exact. The narrow formats go by
 * one multiplication: exponent and mantissa moved to their places in f32 make a number that is too small by a power of
 * two, subnormals included; what lies past the largest number is selected. Written with vectors because gcc 12 leaves
 * the same loops scalar (bf16: 11x slower). Read next: rows.h, cpu/decode/tile.h. */
#ifndef PAH_CPU_VEC_LANES_H
#define PAH_CPU_VEC_LANES_H

#include <stdint.h>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "cell.h"

#include "pah.h"

typedef uint32_t lanes_u32 __attribute__((vector_size(CELL_VECTOR * 4)));
typedef uint16_t lanes_u16 __attribute__((vector_size(CELL_VECTOR * 2), aligned(2), may_alias));
typedef uint8_t lanes_u8 __attribute__((vector_size(CELL_VECTOR), aligned(1), may_alias));

/* `code` holds a format of `width` bits with `mantissa` bits below the exponent; codes without sign from `special` on
 * are infinities and NaNs, whose exponent becomes f32's; `scale` makes up for the exponents' biases. */
static inline __attribute__((always_inline)) cell_vector lanes_widen(lanes_u32 code, int width, int mantissa,
                                                                     uint32_t special, float scale) {
  lanes_u32 sign = (code >> (width - 1)) << 31, magnitude = code & ((1u << (width - 1)) - 1);
  lanes_u32 bits = magnitude << (23 - mantissa);
  lanes_u32 number = (lanes_u32)((cell_vector)bits * scale);
  lanes_u32 nonfinite = (lanes_u32)(magnitude >= special);
  return (cell_vector)((number & ~nonfinite) | ((bits | 0x7f800000) & nonfinite) | sign);
}

static inline cell_vector lanes_f16(const void *p) {
#if defined(__AVX512F__)
  return (cell_vector)_mm512_cvtph_ps(_mm256_loadu_si256(p));
#elif defined(__F16C__)
  return (cell_vector)_mm256_cvtph_ps(_mm_loadu_si128(p));
#else
  return lanes_widen(__builtin_convertvector(*(const lanes_u16 *)p, lanes_u32), 16, 10, 0x7c00, 0x1p112f);
#endif
}

/* CELL_VECTOR elements of 16 bits as integers. Not by __builtin_convertvector where it can be helped: gcc 12 widens
 * halves of the vector and joins them. */
static inline lanes_u32 lanes_words(const void *p) {
#if defined(__AVX512F__)
  return (lanes_u32)_mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
#elif defined(__AVX2__)
  return (lanes_u32)_mm256_cvtepu16_epi32(_mm_loadu_si128(p));
#else
  return __builtin_convertvector(*(const lanes_u16 *)p, lanes_u32);
#endif
}

#if defined(__F16C__)
/* By way of f16: e5m2 is its upper byte. e4m3 lies one bit lower, with an exponent that is 8 too small, and its NaN
 * gets f16's exponent. Widening e4m3 became 2.7x faster by it on a Zen 3. */
static inline cell_vector lanes_e5m2(const void *p) {
#if defined(__AVX512F__)
  return (cell_vector)_mm512_cvtph_ps(_mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(p)), 8));
#else
  return (cell_vector)_mm256_cvtph_ps(_mm_unpacklo_epi8(_mm_setzero_si128(), _mm_loadl_epi64(p)));
#endif
}

static inline cell_vector lanes_e4m3(const void *p) {
#if defined(__AVX512F__)
  __m256i code = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(p)), 7);
  __m256i half = _mm256_and_si256(code, _mm256_set1_epi16((short)0xbf80));
  __m256i nan = _mm256_cmpeq_epi16(_mm256_slli_epi16(half, 1), _mm256_set1_epi16(0x7f00));
  half = _mm256_or_si256(half, _mm256_and_si256(nan, _mm256_set1_epi16(0x7c00)));
  return (cell_vector)_mm512_cvtph_ps(half) * 0x1p8f;
#else
  __m128i code = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64(p)), 7);
  __m128i half = _mm_and_si128(code, _mm_set1_epi16((short)0xbf80));
  __m128i nan = _mm_cmpeq_epi16(_mm_slli_epi16(half, 1), _mm_set1_epi16(0x7f00));
  half = _mm_or_si128(half, _mm_and_si128(nan, _mm_set1_epi16(0x7c00)));
  return (cell_vector)_mm256_cvtph_ps(half) * 0x1p8f;
#endif
}
#else
static inline cell_vector lanes_e5m2(const void *p) {
  return lanes_widen(__builtin_convertvector(*(const lanes_u8 *)p, lanes_u32), 8, 2, 0x7c, 0x1p112f);
}

/* No infinity: only the last code is special, and its mantissa is not 0, so it becomes a NaN. */
static inline cell_vector lanes_e4m3(const void *p) {
  return lanes_widen(__builtin_convertvector(*(const lanes_u8 *)p, lanes_u32), 8, 3, 0x7f, 0x1p120f);
}
#endif

/* CELL_VECTOR elements at p; `dtype` is a constant where this is called. */
static inline __attribute__((always_inline)) cell_vector lanes_load(const void *p, int dtype) {
  switch (dtype) {
  case PAH_F32: return *(const cell_vector *)p;
  case PAH_F16: return lanes_f16(p);
  case PAH_BF16: return (cell_vector)(lanes_words(p) << 16);
  case PAH_FP8_E5M2: return lanes_e5m2(p);
  default: return lanes_e4m3(p);
  }
}

/* Two vectors rounded to bf16: words of two elements each, those of `low` first. Only where BF16_HAS_DOTS
 * (cpu/gemm/bf16.h) lets it be called. */
static inline __attribute__((always_inline)) lanes_u32 lanes_to_bf16x2(cell_vector low, cell_vector high) {
#if defined(__AVX512BF16__)
  return (lanes_u32)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
  return (void)low, (void)high, (lanes_u32){0};
#endif
}

/* Whether a lane of a is above that of b. */
static inline __attribute__((always_inline)) int lanes_any_above(cell_vector a, cell_vector b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)) != 0;
#else
  return (a[0] > b[0]) | (a[1] > b[1]) | (a[2] > b[2]) | (a[3] > b[3]);
#endif
}

/* Sum of all lanes, by halves. */
static inline __attribute__((always_inline)) float lanes_sum(cell_vector v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)v);
#elif defined(__AVX__)
  __m256 w = (__m256)v;
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

#endif
