/* cpu/decode/f16_qk.h - fp8 to f16, and q K in f16: what widen.h and qk_pv.h do in f32. For a token and
 * KV head with four query heads (D=128) an e4m3 cache takes 16 multiply-adds, 8 operations that widen, 4 that watch
 * for NaN, 2 that join rows and 8 that add across lanes: 19 cycles at two a cycle, 21.5 measured; e5m2 30
 * operations, 16.7 cycles. Read next: f16.h. */
#ifndef PAH_CPU_DECODE_F16_QK_H
#define PAH_CPU_DECODE_F16_QK_H

#include "attention/attn.h"
#include "qk_pv.h"

/* DECODE_F16_AHEAD: as DECODE_AHEAD, bytes from a line of K to what is brought into the first level: as a rule the
 * next KV head's. Worth 2 % of the time for e4m3, 2 to 4 for e5m2; 256 and 512 less, for V nothing. */
#if defined(__AVX512FP16__) && defined(__GFNI__)
enum { DECODE_F16 = 1, DECODE_F16_AHEAD = 128 };
#else
enum { DECODE_F16 = 0 };
#endif

/* The rows of a tile of K or V, of one KV head. */
struct decode_f16_rows {
  const char *const *row; /* of KV head 0 */
  int64_t offset;         /* bytes from there to the KV head */
  int64_t tokens, D;
};

#if defined(__AVX512FP16__) && defined(__GFNI__)

/* ---- Numbers ------------------------------------------------------------------------------------------------ */

/* From an e4m3 code to the bytes of the f16 that is 2^-8 of it, as matrices of bits: sign, 0, exponent and two bits of
 * the mantissa; its last bit. Subnormals come out right; multiply-adds of subnormal f16 cost nothing here. */
#define DECODE_F16_UPPER 0x0204081020400080ll
#define DECODE_F16_LOWER 0x0000000000000001ll

/* e4m3's NaN comes out as 480, so the codes are watched, in 2 operations for 64: adding 1 to a code changes bit 7 only
 * if it is one of both NaN. An e5m2 that is infinite, NaN or too large shows in the sums, which are then not finite. */
static inline __attribute__((always_inline)) __m512i decode_f16_watch(__m512i nonfinite, __m512i code) {
  return _mm512_ternarylogic_epi32(nonfinite, code, _mm512_add_epi8(code, _mm512_set1_epi8(1)),
                                   0xf6); /* nonfinite | (b ^ c) */
}

/* 64 codes to f16: e5m2 is the upper byte of an f16, 2 operations; e4m3 takes 4, and is 2^-8 of what it stands for.
 * They come out in the order of widen.h; `nan` watches the codes of e4m3. */
static inline __attribute__((always_inline)) void decode_f16_strip(__m512i code, int dtype, __m512i *nan, __m512h *to) {
  __m512i low = _mm512_setzero_si512(), high = code;
  if (dtype == PAH_FP8_E4M3) {
    *nan = decode_f16_watch(*nan, code);
    low = _mm512_gf2p8affine_epi64_epi8(code, _mm512_set1_epi64(DECODE_F16_LOWER), 0);
    high = _mm512_gf2p8affine_epi64_epi8(code, _mm512_set1_epi64(DECODE_F16_UPPER), 0);
  }
  to[0] = (__m512h)_mm512_unpacklo_epi8(low, high);
  to[1] = (__m512h)_mm512_unpackhi_epi8(low, high);
}

static inline __attribute__((always_inline)) int decode_f16_saw_nan(__m512i nonfinite) {
  return _mm512_movepi8_mask(nonfinite) != 0;
}

/* ---- Sums across lanes ------------------------------------------------------------------------------------ */

static inline __attribute__((always_inline)) __m512h decode_f16_quads(const __m512h *v) {
  __m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3];
  __m512d ab = (__m512d)((__m512h)_mm512_unpacklo_ps(a, b) + (__m512h)_mm512_unpackhi_ps(a, b));
  __m512d cd = (__m512d)((__m512h)_mm512_unpacklo_ps(c, d) + (__m512h)_mm512_unpackhi_ps(c, d));
  return (__m512h)_mm512_unpacklo_pd(ab, cd) + (__m512h)_mm512_unpackhi_pd(ab, cd);
}

#define DECODE_F16_JOIN(a, b, low, high)                                                                               \
  ((__m512h)_mm512_shuffle_f32x4((__m512)(a), (__m512)(b), low) +                                                      \
   (__m512h)_mm512_shuffle_f32x4((__m512)(a), (__m512)(b), high))

/* The last level in f32: `word` holds two lanes of f16 for each of 16 sums, `order` which of them. */
static inline __attribute__((always_inline)) __m512 decode_f16_last(__m512h word, __m512i order) {
  __m512i sums = _mm512_permutexvar_epi16(order, (__m512i)word);
  return _mm512_add_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(sums)),
                       _mm512_cvtph_ps(_mm512_extracti64x4_epi64(sums, 1)));
}

/* Lane i: the sum of v[i]. Four levels in f16 by the tree of qk_pv.h, which leave two lanes a sum; the last in
 * f32: 52 operations for 16 sums. To f32 at once would take 16 * 5 operations more. */
static inline __attribute__((always_inline)) __m512 decode_f16_add_lanes(const __m512h *v) {
  const __m512i apart = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30, 28, 26, 24, 22,
                                         20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  __m512h low = DECODE_F16_JOIN(decode_f16_quads(v), decode_f16_quads(v + 4), 0x44, 0xee);
  __m512h high = DECODE_F16_JOIN(decode_f16_quads(v + 8), decode_f16_quads(v + 12), 0x44, 0xee);
  return decode_f16_last(DECODE_F16_JOIN(low, high, 0x88, 0xdd), apart);
}

/* The roundings that a product goes through in f16: of the multiply-adds of a lane, of the additions of such sums and
 * of the 3 levels of a tree in decode_f16_dot_four, 4 in decode_f16_dot_cell, whose lanes have half the products. */
enum { DECODE_F16_CHAIN = 8, DECODE_F16_ROUNDINGS = DECODE_F16_CHAIN + (PAH_MAX_D - 1) / 128 + 3 };
_Static_assert(DECODE_F16_CHAIN + (PAH_MAX_D - 1) / 256 + 4 <= DECODE_F16_ROUNDINGS, "of decode_f16_dot_cell too");
_Static_assert(DECODE_F16_ROUNDINGS <= 16, "of 2^-11 each: twice what rounding to bf16 may do, as the specs allow");

/* Puts the sums aside, whose lanes have had DECODE_F16_CHAIN products each. */
static inline __attribute__((always_inline)) void decode_f16_aside(__m512h *sum, __m512h *aside) {
#pragma GCC unroll 16
  for (int i = 0; i < DECODE_SUMS; i++) aside[i] += sum[i], sum[i] = _mm512_setzero_ph();
}

/* p[h][j] = q[h] k[j] for DECODE_SUMS pairs from token j on, as decode_dot_cell. A lane adds up D / 32 products in f16.
 * `chained`, a constant: D may take more than one chain. `nan` watches the codes of e4m3; returns whether a sum is
 * infinite or NaN. */
static inline __attribute__((always_inline)) int decode_f16_dot_cell(const uint16_t *q, __m512 inverse, int heads,
                                                                     struct decode_f16_rows k, int64_t j, float *p,
                                                                     int dtype, int chained, __m512i *nan,
                                                                     struct decode_fetch *fetch) {
  enum { STEP = 4, ASIDE = DECODE_F16_CHAIN * 32 };
  const int tokens = DECODE_SUMS / heads;
  const int64_t ld = widen_row_floats(k.D, dtype);
  __m512h sum[DECODE_SUMS] = {{0}}, aside[DECODE_SUMS] = {{0}};
  for (int64_t d = 0; d < ld; d += 64) {
    if (chained && d > 0 && d % ASIDE == 0) decode_f16_aside(sum, aside);
    const int64_t at = k.offset + decode_at(d, k.D, 64);
#pragma GCC unroll 4
    for (int n = 0; n < tokens; n += STEP) {
      __m512h key[2 * STEP];
#pragma GCC unroll 4
      for (int i = 0; i < STEP; i++) {
        __m512i code = _mm512_loadu_si512(k.row[j + n + i] + at);
        decode_fetch_lines(fetch, 1);
        decode_f16_strip(code, dtype, nan, key + 2 * i);
      }
#pragma GCC unroll 2
      for (int w = 0; w < 2; w++)
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++) {
          __m512h query = _mm512_loadu_ph(q + h * ld + d + w * 32);
#pragma GCC unroll 4
          for (int i = 0; i < STEP; i++)
            sum[h * tokens + n + i] = _mm512_fmadd_ph(query, key[2 * i + w], sum[h * tokens + n + i]);
        }
    }
  }
  if (chained) decode_f16_aside(aside, sum);
  float total[DECODE_SUMS];
  __m512 all = _mm512_mul_ps(decode_f16_add_lanes(sum), inverse);
  _mm512_storeu_ps(total, all);
#pragma GCC unroll 4
  for (int h = 0; h < heads; h++) memcpy(p + h * DECODE_TOKENS + j, total + h * tokens, (size_t)tokens * sizeof *p);
  return _mm512_fpclass_ps_mask(all, 0x99); /* NaN of both kinds, infinity of both signs */
}

/* Four heads and eight tokens from j on: two tokens share a vector, 32 elements of each, so that a vector of sums
 * serves two scores and the tree has half the inputs: 10 operations a token for it and for joining the rows, in place
 * of 14. */
static inline __attribute__((always_inline)) int decode_f16_dot_four(const uint16_t *q, __m512 inverse,
                                                                     struct decode_f16_rows k, int64_t j, float *p,
                                                                     int dtype, int chained, __m512i *nan,
                                                                     struct decode_fetch *fetch) {
  const __m512i order =
      _mm512_set_epi16(31, 23, 15, 7, 29, 21, 13, 5, 27, 19, 11, 3, 25, 17, 9, 1, 30, 22, 14, 6, 28, 20, 12, 4, 26, 18,
                       10, 2, 24, 16, 8, 0); /* by tokens and heads to the reverse */
  enum { ASIDE = DECODE_F16_CHAIN * 16 };
  const int64_t ld = widen_row_floats(k.D, dtype);
  __m512h sum[DECODE_SUMS] = {{0}}, aside[DECODE_SUMS] = {{0}}; /* [pair of tokens][head] */
  for (int64_t d = 0; d < ld; d += 64) {
    if (chained && d > 0 && d % ASIDE == 0) decode_f16_aside(sum, aside);
    const int64_t at = k.offset + decode_at(d, k.D, 64);
#pragma GCC unroll 2
    for (int part = 0; part < 2; part++) {
      __m512h key[8];
      const int first = fetch->lines > 0;
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        const __m256i *one = (const __m256i *)(k.row[j + 2 * i] + at),
                      *two = (const __m256i *)(k.row[j + 2 * i + 1] + at);
        __m512i code = _mm512_castsi256_si512(_mm256_loadu_si256(one + part));
        code = _mm512_inserti64x4(code, _mm256_loadu_si256(two + part), 1);
        __builtin_prefetch((const char *)(part ? two : one) + DECODE_F16_AHEAD, 0, 3);
        if (first) decode_fetch_line(fetch, i, 4);
        decode_f16_strip(code, dtype, nan, key + 2 * i);
      }
      if (first) decode_fetch_done(fetch, 4);
#pragma GCC unroll 2
      for (int w = 0; w < 2; w++)
#pragma GCC unroll 4
        for (int h = 0; h < 4; h++) {
          const uint16_t *from = q + h * ld + d + w * 32 + part * 16;
          __m512h query = (__m512h)_mm512_broadcast_f64x4(_mm256_loadu_pd((const double *)from));
#pragma GCC unroll 4
          for (int i = 0; i < 4; i++) sum[i * 4 + h] = _mm512_fmadd_ph(query, key[2 * i + w], sum[i * 4 + h]);
        }
    }
  }
  if (chained) decode_f16_aside(aside, sum);
  int nonfinite = 0;
#pragma GCC unroll 2
  for (int n = 0; n < 2; n++) { /* four tokens: lanes of 128 bits are tokens, their elements heads */
    __m512h pair = DECODE_F16_JOIN(decode_f16_quads(sum + 8 * n), decode_f16_quads(sum + 8 * n + 4), 0x88, 0xdd);
    __m512 all = _mm512_mul_ps(decode_f16_last(pair, order), inverse);
    nonfinite |= _mm512_fpclass_ps_mask(all, 0x99); /* NaN of both kinds, infinity of both signs */
    float *to = p + j + 4 * n;
    _mm_storeu_ps(to, _mm512_castps512_ps128(all));
    _mm_storeu_ps(to + DECODE_TOKENS, _mm512_extractf32x4_ps(all, 1));
    _mm_storeu_ps(to + 2 * DECODE_TOKENS, _mm512_extractf32x4_ps(all, 2));
    _mm_storeu_ps(to + 3 * DECODE_TOKENS, _mm512_extractf32x4_ps(all, 3));
  }
  return nonfinite;
}

static inline __attribute__((always_inline)) int decode_f16_dot_heads(const uint16_t *q, const float *inverse,
                                                                      int heads, struct decode_f16_rows k, float *p,
                                                                      int dtype, struct decode_fetch *fetch) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i head = _mm512_srli_epi32(lane, heads == 4 ? 2 : heads == 2 ? 3 : 4);
  __m512 each = _mm512_permutexvar_ps(head, _mm512_loadu_ps(inverse));
  __m512i nan = _mm512_setzero_si512();
  int nonfinite = 0;
  for (int64_t j = 0; heads == 4 && j < k.tokens; j += 8)
    nonfinite |= k.D > DECODE_F16_CHAIN * 16 ? decode_f16_dot_four(q, each, k, j, p, dtype, 1, &nan, fetch)
                                             : decode_f16_dot_four(q, each, k, j, p, dtype, 0, &nan, fetch);
  for (int64_t j = 0; heads < 4 && j < k.tokens; j += DECODE_SUMS / heads)
    nonfinite |= k.D > DECODE_F16_CHAIN * 32 ? decode_f16_dot_cell(q, each, heads, k, j, p, dtype, 1, &nan, fetch)
                                             : decode_f16_dot_cell(q, each, heads, k, j, p, dtype, 0, &nan, fetch);
  return nonfinite | (dtype == PAH_FP8_E4M3 && decode_f16_saw_nan(nan));
}

static inline __attribute__((always_inline)) int decode_f16_dot_group(const uint16_t *q, const float *inverse,
                                                                      int64_t group, struct decode_f16_rows k, float *p,
                                                                      int dtype, struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(k.D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  int nonfinite = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    nonfinite |= decode_f16_dot_heads(q + h * ld, inverse + h, 4, k, p + h * DECODE_TOKENS, dtype, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    nonfinite |= decode_f16_dot_heads(q + h * ld, inverse + h, 2, k, p + h * DECODE_TOKENS, dtype, fetch);
  for (; h < group; h++)
    nonfinite |= decode_f16_dot_heads(q + h * ld, inverse + h, 1, k, p + h * DECODE_TOKENS, dtype, fetch);
  return nonfinite;
}

#endif

#endif
