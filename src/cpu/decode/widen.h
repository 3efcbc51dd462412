/* cpu/decode/widen.h - a strip of a row of K or V as f32 vectors, in the order that costs least: the elements of a
 * narrow format lie in the vectors as they come out of the words that were loaded, and rows of q and o take the same
 * order (widen_reorder). bf16: 2 operations for 32 elements where the natural order takes 4. fp8 with VBMI: 12 for 64,
 * where cpu/vec/lanes.h takes 40; exact for every code. Read next: qk_pv.h. */
#ifndef PAH_CPU_DECODE_WIDEN_H
#define PAH_CPU_DECODE_WIDEN_H

#include <string.h>

#include "cpu/vec/lanes.h"

#include "pah.h"

#if defined(__AVX512VBMI__) && defined(__AVX512BW__)
#define WIDEN_TABLES 1 /* fp8 by tables of bytes */
#else
#define WIDEN_TABLES 0
#endif

/* Whether e4m3 takes the order of e5m2, in which f16.h has both. */
#if defined(__AVX512FP16__)
enum { WIDEN_ONE_ORDER = 1 };
#else
enum { WIDEN_ONE_ORDER = 0 };
#endif

static inline int64_t widen_size(int dtype) {
  return dtype == PAH_F32 ? 4 : dtype == PAH_F16 || dtype == PAH_BF16 ? 2 : 1;
}

static inline int widen_is_fp8(int dtype) {
  return dtype == PAH_FP8_E4M3 || dtype == PAH_FP8_E5M2;
}

/* Vectors of a strip. */
static inline int widen_vectors(int dtype) {
  return WIDEN_TABLES && widen_is_fp8(dtype) ? 4 : 2;
}

/* D rounded up to whole strips. */
static inline int64_t widen_row_floats(int64_t D, int dtype) {
  const int64_t strip = widen_vectors(dtype) * CELL_VECTOR;
  return (D + strip - 1) / strip * strip;
}

/* Copies n floats, whole strips, from the order of the row to the order of strips, or back. */
static inline __attribute__((always_inline)) void widen_reorder(float *restrict to, const float *restrict from,
                                                                int dtype, int64_t n, int back) {
  if (dtype == PAH_BF16) { /* even elements in the first vector, odd ones in the second */
    for (int64_t e = 0; e < n; e += 2 * CELL_VECTOR)
      for (int i = 0; i < CELL_VECTOR; i++)
        for (int odd = 0; odd < 2; odd++) {
          int64_t row = e + 2 * i + odd, ours = e + odd * CELL_VECTOR + i;
          to[back ? row : ours] = from[back ? ours : row];
        }
  } else if (WIDEN_TABLES && widen_is_fp8(dtype)) { /* of 16 bytes, the lower 8 in the first two vectors */
    for (int64_t e = 0; e < n; e += 64)
      for (int i = 0; i < 64; i++) { /* e4m3: even and odd elements apart; e5m2: the row's halves apart */
        int at = dtype == PAH_FP8_E4M3 && !WIDEN_ONE_ORDER ? i % 2 * 16 + i / 16 * 4 + i % 8 / 2 : i / 16 * 8 + i % 8;
        int64_t row = e + i, ours = e + i % 16 / 8 * 32 + at;
        to[back ? row : ours] = from[back ? ours : row];
      }
  } else {
    memcpy(to, from, (size_t)n * sizeof *to);
  }
}

static void widen_to_order(float *restrict to, const float *restrict from, int dtype, int64_t n) {
  widen_reorder(to, from, dtype, n, 0);
}

static void widen_from_order(float *restrict to, const float *restrict from, int dtype, int64_t n) {
  widen_reorder(to, from, dtype, n, 1);
}

#if WIDEN_TABLES
/* The bytes of the bf16 numbers that the 128 codes without sign stand for. */
struct widen_table {
  _Alignas(64) uint8_t low[128], high[128];
};

static void widen_table_fill(struct widen_table *table, int dtype) {
  for (int code = 0; widen_is_fp8(dtype) && code < 128; code++) {
    float x = dtype == PAH_FP8_E4M3 ? pah_e4m3_to_f32((uint8_t)code) : pah_e5m2_to_f32((uint8_t)code);
    uint32_t bits;
    memcpy(&bits, &x, 4);
    table->low[code] = (uint8_t)(bits >> 16);
    table->high[code] = (uint8_t)(bits >> 24);
  }
}

/* 64 codes: two table look-ups, the sign, and bytes joined to words in their own lanes of 128 bits. vpermi2b, which
 * looks up 128 entries, is three operations on Intel's processors: two vpermb, the second of which overwrites the codes
 * from 64 on, are two. */
static inline __attribute__((always_inline)) void widen_strip_e4m3(const void *p, const struct widen_table *table,
                                                                   cell_vector *to) {
  const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
  __m512i code = _mm512_loadu_si512(p);
  __mmask64 half = _mm512_test_epi8_mask(code, _mm512_set1_epi8(0x40));
  __m512i low = _mm512_permutexvar_epi8(code, _mm512_loadu_si512(table->low));
  __m512i high = _mm512_permutexvar_epi8(code, _mm512_loadu_si512(table->high));
  low = _mm512_mask_permutexvar_epi8(low, half, code, _mm512_loadu_si512(table->low + 64));
  high = _mm512_mask_permutexvar_epi8(high, half, code, _mm512_loadu_si512(table->high + 64));
  high = _mm512_ternarylogic_epi32(high, code, _mm512_set1_epi8((char)0x80), 0xf8); /* high | (code & sign) */
  __m512i first = _mm512_unpacklo_epi8(low, high), second = _mm512_unpackhi_epi8(low, high);
  if (WIDEN_ONE_ORDER) {
    to[0] = (cell_vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(first)), 16);
    to[1] = (cell_vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(first, 1)), 16);
    to[2] = (cell_vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(second)), 16);
    to[3] = (cell_vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(second, 1)), 16);
    return;
  }
  to[0] = (cell_vector)_mm512_slli_epi32(first, 16);
  to[1] = (cell_vector)_mm512_and_si512(first, upper);
  to[2] = (cell_vector)_mm512_slli_epi32(second, 16);
  to[3] = (cell_vector)_mm512_and_si512(second, upper);
}
/* 64 codes, the upper bytes of f16 numbers: 12 operations. */
static inline __attribute__((always_inline)) void widen_strip_e5m2(const void *p, cell_vector *to) {
  __m512i code = _mm512_loadu_si512(p), zero = _mm512_setzero_si512();
  __m512i first = _mm512_unpacklo_epi8(zero, code), second = _mm512_unpackhi_epi8(zero, code);
  to[0] = (cell_vector)_mm512_cvtph_ps(_mm512_castsi512_si256(first));
  to[1] = (cell_vector)_mm512_cvtph_ps(_mm512_extracti64x4_epi64(first, 1));
  to[2] = (cell_vector)_mm512_cvtph_ps(_mm512_castsi512_si256(second));
  to[3] = (cell_vector)_mm512_cvtph_ps(_mm512_extracti64x4_epi64(second, 1));
}
#else
struct widen_table {
  uint8_t none;
};

#if defined(__AVX512BW__)
/* 32 codes of fp8 by way of f16 in memory, from where vcvtph2ps needs no shuffle: 9 operations of the two ports that
 * multiply-adds have (e5m2: 6), where lanes.h takes 20 (8). e4m3 comes as 2^-8 of itself; of its codes only NaN carries
 * into the upper bit of f16's exponent when its last place is added, and gets that bit. */
static inline __attribute__((always_inline)) void widen_strip_by_memory(const void *p, int dtype, cell_vector *to) {
  _Alignas(64) __m256i half[2];
  __m256i code = _mm256_loadu_si256(p);
  __m512i word;
  if (dtype == PAH_FP8_E5M2) {
    word = _mm512_slli_epi16(_mm512_cvtepu8_epi16(code), 8);
  } else {
    const __m512i largest = _mm512_set1_epi16((short)0xbf80), last = _mm512_set1_epi16(0x80);
    word = _mm512_and_si512(_mm512_slli_epi16(_mm512_cvtepi8_epi16(code), 7), largest);
    __m512i carried = _mm512_add_epi16(word, last);
    word = _mm512_ternarylogic_epi32(word, carried, _mm512_set1_epi16(0x4000), 0xf8); /* word | (carried & bit) */
  }
  _mm512_store_si512(half, word);
  __asm__("" : "+m"(half)); /* else gcc takes the halves from the register, by shuffles */
  for (int i = 0; i < 2; i++) to[i] = (cell_vector)_mm512_cvtph_ps(half[i]);
}
#endif

static void widen_table_fill(struct widen_table *table, int dtype) {
  (void)table, (void)dtype;
}
#endif

/* A strip of `dtype`, a constant where this is called, from p on. */
static inline __attribute__((always_inline)) void widen_strip(const char *p, int dtype, const struct widen_table *table,
                                                              cell_vector *to) {
  (void)table;
  if (dtype == PAH_BF16) {
    lanes_u32 pair;
    memcpy(&pair, p, sizeof pair);
    to[0] = (cell_vector)(pair << 16);
    to[1] = (cell_vector)(pair & 0xffff0000u);
    return;
  }
#if WIDEN_TABLES
  if (dtype == PAH_FP8_E5M2) {
    widen_strip_e5m2(p, to);
    return;
  }
  if (dtype == PAH_FP8_E4M3) {
    widen_strip_e4m3(p, table, to);
    return;
  }
#endif
  for (int w = 0; w < 2; w++) to[w] = lanes_load(p + w * CELL_VECTOR * widen_size(dtype), dtype);
}

#endif
