/* cpu/decode_half.h - decode of fp8 caches by f16 multiply-adds, 32 to an instruction, where the processor has
 * AVX512-FP16 (Sapphire Rapids and later): in f32 fp8 is bound by the core. What cannot be done so goes the f32 way,
 * head by head: q that f16 does not hold, NaN and infinities in K and V, and numbers so large that a sum of f16 could
 * overflow. doc/cpu-decode.md has the errors, measured. Read next: decode_tile.h, which asks here first. */
#ifndef PAH_CPU_DECODE_HALF_H
#define PAH_CPU_DECODE_HALF_H

#include "decode_dot.h"

#if defined(__AVX512FP16__) && defined(__GFNI__)
enum { DECODE_HALF = 1 };
#else
enum { DECODE_HALF = 0 };
#endif

/* Powers of two that p may rise above the maximum before that follows: less than for f32, since p has to fit f16. */
#define DECODE_HALF_SLACK 2.0f

/* The f16 side of a sequence. */
struct decode_half {
  uint16_t *q;    /* [H][ld]: rows of q times a power of two each, in decode's order; NULL where f16 is not used */
  float *inverse; /* [H]: from the sum of f16 back to q k */
  float *on;      /* [Hkv]: 1 while the heads of this KV head go by f16, else 0 */
};

/* Whether a cache of `dtype` may go by f16. */
static inline int decode_half_takes(int dtype, int direct) {
  return DECODE_HALF && direct && decode_is_fp8(dtype);
}

static inline int64_t decode_half_floats(int64_t H, int64_t Hkv, int64_t ld) {
  return DECODE_HALF ? H * ld / 2 + H + 16 + Hkv : 0;
}

static void decode_half_layout(struct decode_half *half, int64_t H, int64_t Hkv, int64_t ld, float *scratch) {
  half->q = (uint16_t *)scratch;
  half->inverse = scratch + H * ld / 2;
  half->on = half->inverse + H + 16; /* a whole vector of `inverse` is read */
  for (int64_t head = 0; head < Hkv; head++) half->on[head] = 1;
  memset(half->inverse, 0, (size_t)(H + 16) * sizeof(float));
}

#if defined(__AVX512FP16__) && defined(__GFNI__)

/* ---- Numbers ------------------------------------------------------------------------------------------------ */

/* From an e4m3 code to the bytes of the f16 that is 2^-8 of it, as matrices of bits: sign, 0, exponent and two bits of
 * the mantissa; its last bit. Subnormals come out right; multiply-adds of subnormal f16 cost nothing here. */
#define DECODE_HALF_UPPER 0x0204081020400080ll
#define DECODE_HALF_LOWER 0x0000000000000001ll

/* 64 codes to f16: e5m2 is the upper byte of an f16, 2 operations; e4m3 takes 4, and is 2^-8 of what it stands for.
 * They come out in the order of decode_lanes.h. */
static inline __attribute__((always_inline)) void decode_half_strip(__m512i code, int dtype, __m512h *to) {
  __m512i low = _mm512_setzero_si512(), high = code;
  if (dtype == PAH_FP8_E4M3) {
    low = _mm512_gf2p8affine_epi64_epi8(code, _mm512_set1_epi64(DECODE_HALF_LOWER), 0);
    high = _mm512_gf2p8affine_epi64_epi8(code, _mm512_set1_epi64(DECODE_HALF_UPPER), 0);
  }
  to[0] = (__m512h)_mm512_unpacklo_epi8(low, high);
  to[1] = (__m512h)_mm512_unpackhi_epi8(low, high);
}

/* e4m3's NaN comes out as 480, so the codes are watched: the largest of twice the code, which drops the sign, in 2
 * operations for 64. An e5m2 that is none, or too large, shows as an infinity or NaN in the sums. */
static inline __attribute__((always_inline)) __m512i decode_half_most(__m512i most, __m512i code) {
  return _mm512_max_epu8(most, _mm512_add_epi8(code, code));
}

static inline __attribute__((always_inline)) int decode_half_any_nan(__m512i most) {
  return _mm512_cmpeq_epu8_mask(most, _mm512_set1_epi8((char)0xfe)) != 0;
}

/* ---- q ------------------------------------------------------------------------------------------------------ */

/* Row h of q in decode's order. It is multiplied by a power of two so that no sum can overflow: its largest element is
 * below 2^7 against K of at most 1.75 (e4m3), or below 2^-1 against 448 (e5m2), and 2^7 * 1.75 * 256 is 57344. The
 * error of f16's smallest numbers in a score, about 28 roundings of 2^-26 times what leads to the score, stays
 * below 2^-12 by the last condition, however small K is. */
static void decode_half_load_q(struct decode_half *half, int64_t h, int64_t head, const float *row, int64_t ld,
                               float scale, int dtype) {
  float largest = 0;
  int wrong = 0, exponent;
  for (int64_t d = 0; d < ld; d++) {
    float x = fabsf(row[d]);
    wrong |= !(x <= 0x1p60f);
    largest = x > largest ? x : largest;
  }
  wrong |= largest != 0 && largest < 0x1p-60f;
  frexpf(wrong ? 0 : largest, &exponent);
  float factor = ldexpf(1, (dtype == PAH_FP8_E4M3 ? 7 : -1) - exponent);
  half->inverse[h] = ldexpf(1, exponent + 1); /* the same for e4m3, whose K is 2^-8 of itself */
  if (wrong || !(fabsf(scale) * half->inverse[h] <= 512)) half->on[head] = 0;
  for (int64_t d = 0; d < ld; d += CELL_VECTOR) {
    __m256i x = _mm512_cvtps_ph((__m512)(cell_load(row + d) * factor), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256((__m256i *)(half->q + h * ld + d), x);
  }
}

/* ---- K ------------------------------------------------------------------------------------------------------ */

static inline __attribute__((always_inline)) __m512h decode_half_quads(const __m512h *v) {
  __m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3];
  __m512d ab = (__m512d)((__m512h)_mm512_unpacklo_ps(a, b) + (__m512h)_mm512_unpackhi_ps(a, b));
  __m512d cd = (__m512d)((__m512h)_mm512_unpacklo_ps(c, d) + (__m512h)_mm512_unpackhi_ps(c, d));
  return (__m512h)_mm512_unpacklo_pd(ab, cd) + (__m512h)_mm512_unpackhi_pd(ab, cd);
}

#define DECODE_HALF_JOIN(a, b, low, high)                                                                              \
  ((__m512h)_mm512_shuffle_f32x4((__m512)(a), (__m512)(b), low) +                                                      \
   (__m512h)_mm512_shuffle_f32x4((__m512)(a), (__m512)(b), high))

/* Lane i: the sum of v[i]. Four levels in f16 by the tree of decode_dot.h, which leave two lanes a sum; the last in
 * f32: 52 operations for 16 sums. To f32 at once would take 16 * 5 operations more. */
static inline __attribute__((always_inline)) __m512 decode_half_add_lanes(const __m512h *v) {
  const __m512i apart = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30, 28, 26, 24, 22,
                                         20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  __m512h low = DECODE_HALF_JOIN(decode_half_quads(v), decode_half_quads(v + 4), 0x44, 0xee);
  __m512h high = DECODE_HALF_JOIN(decode_half_quads(v + 8), decode_half_quads(v + 12), 0x44, 0xee);
  __m512i sums = _mm512_permutexvar_epi16(apart, (__m512i)DECODE_HALF_JOIN(low, high, 0x88, 0xdd));
  return _mm512_add_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(sums)),
                       _mm512_cvtph_ps(_mm512_extracti64x4_epi64(sums, 1)));
}

/* p[h][j] = q[h] k[j] for DECODE_SUMS pairs, as decode_dot_cell. A lane adds up D / 32 products in f16. `most` follows
 * the codes of e4m3; returns whether a sum is infinite or NaN. */
static inline __attribute__((always_inline)) int decode_half_dot_cell(const uint16_t *q, __m512 inverse, int64_t D,
                                                                      int heads, const char *const *k, float *p,
                                                                      int dtype, __m512i *most,
                                                                      struct decode_fetch *fetch) {
  enum { STEP = 4 };
  const int tokens = DECODE_SUMS / heads;
  const int64_t ld = decode_row_floats(D, dtype);
  __m512h sum[DECODE_SUMS] = {{0}};
  for (int64_t d = 0; d < ld; d += 64) {
    const int64_t at = decode_at(d, D, 64);
#pragma GCC unroll 16
    for (int j = 0; j < tokens; j += STEP) {
      __m512h key[2 * STEP];
#pragma GCC unroll 4
      for (int i = 0; i < STEP; i++) {
        __m512i code = _mm512_loadu_si512(k[j + i] + at);
        decode_fetch_lines(fetch, 1);
        if (dtype == PAH_FP8_E4M3) *most = decode_half_most(*most, code);
        decode_half_strip(code, dtype, key + 2 * i);
      }
#pragma GCC unroll 2
      for (int w = 0; w < 2; w++)
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++) {
          __m512h query = _mm512_loadu_ph(q + h * ld + d + w * 32);
#pragma GCC unroll 4
          for (int i = 0; i < STEP; i++)
            sum[h * tokens + j + i] = _mm512_fmadd_ph(query, key[2 * i + w], sum[h * tokens + j + i]);
        }
    }
  }
  float total[DECODE_SUMS];
  __m512 all = _mm512_mul_ps(decode_half_add_lanes(sum), inverse);
  _mm512_storeu_ps(total, all);
#pragma GCC unroll 4
  for (int h = 0; h < heads; h++) memcpy(p + h * DECODE_TOKENS, total + h * tokens, (size_t)tokens * sizeof *p);
  return _mm512_fpclass_ps_mask(all, 0x99); /* NaN of both kinds, infinity of both signs */
}

static inline __attribute__((always_inline)) int decode_half_dot_heads(const uint16_t *q, const float *inverse,
                                                                       int64_t D, int heads, const char *const *k,
                                                                       int64_t tokens, float *p, int dtype,
                                                                       struct decode_fetch *fetch) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i pair = _mm512_srli_epi32(lane, heads == 4 ? 2 : heads == 2 ? 3 : 4); /* head of a lane */
  __m512 each = _mm512_permutexvar_ps(pair, _mm512_loadu_ps(inverse));
  __m512i most = _mm512_setzero_si512();
  int odd = 0;
  for (int64_t j = 0; j < tokens; j += DECODE_SUMS / heads)
    odd |= decode_half_dot_cell(q, each, D, heads, k + j, p + j, dtype, &most, fetch);
  return odd | (dtype == PAH_FP8_E4M3 && decode_half_any_nan(most));
}

/* The scores of all heads of a group with `tokens` rows of K, of which there are DECODE_TOKENS. */
static inline __attribute__((always_inline)) int decode_half_dot_as(const uint16_t *q, const float *inverse, int64_t D,
                                                                    int64_t group, const char *const *k, int64_t tokens,
                                                                    float *p, int dtype, struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  int odd = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    odd |= decode_half_dot_heads(q + h * ld, inverse + h, D, 4, k, tokens, p + h * DECODE_TOKENS, dtype, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    odd |= decode_half_dot_heads(q + h * ld, inverse + h, D, 2, k, tokens, p + h * DECODE_TOKENS, dtype, fetch);
  for (; h < group; h++)
    odd |= decode_half_dot_heads(q + h * ld, inverse + h, D, 1, k, tokens, p + h * DECODE_TOKENS, dtype, fetch);
  return odd;
}

/* Whether it was done: else the f32 way has to, from now on for all of this KV head. */
static int decode_half_dot(struct decode_half *half, int64_t head, int64_t D, int64_t group, const char *const *k,
                           int64_t tokens, float *p, int dtype, struct decode_fetch *fetch) {
  if (half->on[head] == 0) return 0;
  const uint16_t *q = half->q + head * group * decode_row_floats(D, dtype);
  const float *inverse = half->inverse + head * group;
  int odd = dtype == PAH_FP8_E4M3 ? decode_half_dot_as(q, inverse, D, group, k, tokens, p, PAH_FP8_E4M3, fetch)
                                  : decode_half_dot_as(q, inverse, D, group, k, tokens, p, PAH_FP8_E5M2, fetch);
  half->on[head] = !odd;
  return !odd;
}

/* ---- V ------------------------------------------------------------------------------------------------------ */

/* What p is multiplied by before it is rounded to f16. With the slack p is at most 4, and 32 tokens of V at its limit
 * sum up to 57344: 32 * 4 * 2^8 * 1.75 (e4m3, with 2^-8 of V), 32 * 4 * 2^3 * 56 (e5m2). p is full f16 down to 2^-22
 * (2^-17) and becomes 0 below 2^-33 (2^-28), where 2^15 tokens would still be nothing. */
static inline __attribute__((always_inline)) float decode_half_scale(int dtype) {
  return dtype == PAH_FP8_E4M3 ? 0x1p8f : 0x1p3f;
}

/* p of the DECODE_TOKENS tokens of a head as f16, each twice: a broadcast of 32 bits needs no shuffle. */
static inline __attribute__((always_inline)) void decode_half_pairs(const float *p, int dtype, uint32_t *pair) {
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5,
                                         4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
#pragma GCC unroll 2
  for (int j = 0; j < DECODE_TOKENS; j += CELL_VECTOR) {
    __m512 x = (__m512)(cell_load(p + j) * decode_half_scale(dtype));
    __m512i word = _mm512_castsi256_si512(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    _mm512_storeu_si512(pair + j, _mm512_permutexvar_epi16(twice, word));
  }
}

/* The same by f32, where f16 will not do. */
static __attribute__((noinline)) void decode_half_weigh_exact(const float *p, int64_t tokens, const char *const *v,
                                                              int64_t at, int64_t D, int64_t heads, int64_t strips,
                                                              float *o, int dtype, const struct decode_table *table) {
  const int64_t ld = decode_row_floats(D, dtype);
  struct decode_fetch none = {0};
  for (int64_t h = 0; h < heads; h++, p += DECODE_TOKENS, o += ld)
    for (int64_t n = at; n < at + strips * 64; n += 64) {
      if (dtype == PAH_FP8_E4M3)
        decode_weigh_cell(p, tokens, v, n, D, 1, 4, o, PAH_FP8_E4M3, table, &none);
      else
        decode_weigh_cell(p, tokens, v, n, D, 1, 4, o, PAH_FP8_E5M2, table, &none);
    }
}

/* o[h] += sum over tokens of p[h][j] v[j] for `heads` heads and `strips` of 64 elements from `at` on: the tile's sum in
 * f16, then to o. Returns 1 and leaves o if that will not do. */
static inline __attribute__((always_inline)) int decode_half_weigh_cell(const uint32_t *pair, int64_t tokens,
                                                                        const char *const *v, int64_t at, int64_t D,
                                                                        int heads, int strips, float *o, int dtype,
                                                                        struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(D, dtype);
  const int wide = 2 * strips, sums = heads * wide;
  __m512h sum[DECODE_SUMS] = {{0}}, odd = {0};
  __m512i most = _mm512_setzero_si512();
  for (int64_t j = 0; j < tokens; j++) {
    __m512h value[4];
    decode_fetch_lines(fetch, strips);
#pragma GCC unroll 2
    for (int n = 0; n < strips; n++) {
      __m512i code = _mm512_loadu_si512(v[j] + decode_at(at + n * 64, D, 64));
      if (dtype == PAH_FP8_E4M3) most = decode_half_most(most, code);
      decode_half_strip(code, dtype, value + 2 * n);
    }
#pragma GCC unroll 16
    for (int i = 0; i < sums; i++) {
      __m512h weight = (__m512h)_mm512_set1_epi32((int)pair[i / wide * DECODE_TOKENS + j]);
      sum[i] = _mm512_fmadd_ph(value[i % wide], weight, sum[i]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) odd = _mm512_fmadd_ph(sum[i], _mm512_setzero_ph(), odd); /* NaN of what is not finite */
  if (_mm512_fpclass_ph_mask(odd, 0x81) || (dtype == PAH_FP8_E4M3 && decode_half_any_nan(most))) return 1;
  const float back = dtype == PAH_FP8_E4M3 ? 1.0f : 1 / decode_half_scale(dtype);
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) {
    float *to = o + i / wide * ld + at + i % wide * 32;
    cell_vector low = (cell_vector)_mm512_cvtph_ps(_mm512_castsi512_si256((__m512i)sum[i]));
    cell_vector high = (cell_vector)_mm512_cvtph_ps(_mm512_extracti64x4_epi64((__m512i)sum[i], 1));
    cell_store(to, cell_load(to) + low * back);
    cell_store(to + CELL_VECTOR, cell_load(to + CELL_VECTOR) + high * back);
  }
  return 0;
}

static inline __attribute__((always_inline)) int decode_half_weigh_heads(const float *p, int64_t tokens,
                                                                         const char *const *v, int64_t D, int heads,
                                                                         float *o, int dtype,
                                                                         const struct decode_table *table,
                                                                         struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(D, dtype);
  uint32_t pair[4 * DECODE_TOKENS];
  int odd = 0;
#pragma GCC unroll 4
  for (int i = 0; i < heads; i++) decode_half_pairs(p + i * DECODE_TOKENS, dtype, pair + i * DECODE_TOKENS);
  for (int64_t at = 0; at < ld; at += 128) {
    const int strips = at + 128 <= ld ? 2 : 1;
    int one = strips == 2 ? decode_half_weigh_cell(pair, tokens, v, at, D, heads, 2, o, dtype, fetch)
                          : decode_half_weigh_cell(pair, tokens, v, at, D, heads, 1, o, dtype, fetch);
    if (one) decode_half_weigh_exact(p, tokens, v, at, D, heads, strips, o, dtype, table);
    odd |= one;
  }
  return odd;
}

static inline __attribute__((always_inline)) int decode_half_weigh_as(const float *p, int64_t tokens,
                                                                      const char *const *v, int64_t D, int64_t group,
                                                                      float *o, int dtype,
                                                                      const struct decode_table *table,
                                                                      struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  int odd = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    odd |= decode_half_weigh_heads(p + h * DECODE_TOKENS, tokens, v, D, 4, o + h * ld, dtype, table, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    odd |= decode_half_weigh_heads(p + h * DECODE_TOKENS, tokens, v, D, 2, o + h * ld, dtype, table, fetch);
  for (; h < group; h++)
    odd |= decode_half_weigh_heads(p + h * DECODE_TOKENS, tokens, v, D, 1, o + h * ld, dtype, table, fetch);
  return odd;
}

/* Whether it was done, by f16 or in part by f32; 0 where the f32 way has to, as from now on if f16 did not do. */
static int decode_half_weigh(struct decode_half *half, int64_t head, const float *p, int64_t tokens,
                             const char *const *v, int64_t D, int64_t group, float *o, int dtype,
                             const struct decode_table *table, struct decode_fetch *fetch) {
  if (!half->q || half->on[head] == 0) return 0;
  int odd = dtype == PAH_FP8_E4M3 ? decode_half_weigh_as(p, tokens, v, D, group, o, PAH_FP8_E4M3, table, fetch)
                                  : decode_half_weigh_as(p, tokens, v, D, group, o, PAH_FP8_E5M2, table, fetch);
  half->on[head] = !odd;
  return 1;
}

#else
static void decode_half_load_q(struct decode_half *half, int64_t h, int64_t head, const float *row, int64_t ld,
                               float scale, int dtype) {
  (void)half, (void)h, (void)head, (void)row, (void)ld, (void)scale, (void)dtype;
}

static int decode_half_dot(struct decode_half *half, int64_t head, int64_t D, int64_t group, const char *const *k,
                           int64_t tokens, float *p, int dtype, struct decode_fetch *fetch) {
  (void)half, (void)head, (void)D, (void)group, (void)k, (void)tokens, (void)p, (void)dtype, (void)fetch;
  return 0;
}

static int decode_half_weigh(struct decode_half *half, int64_t head, const float *p, int64_t tokens,
                             const char *const *v, int64_t D, int64_t group, float *o, int dtype,
                             const struct decode_table *table, struct decode_fetch *fetch) {
  (void)half, (void)head, (void)p, (void)tokens, (void)v, (void)D, (void)group, (void)o, (void)dtype, (void)fetch;
  (void)table;
  return 0;
}
#endif

#endif
