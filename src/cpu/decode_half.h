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
  uint16_t *q;    /* [H][ld]: rows of q times a power of two each, in decode's order; NULL where scores go by f32 */
  float *inverse; /* [H]: from the sum of f16 back to q k */
  float *on;      /* [Hkv]: 1 while the heads of this KV head go by f16, else 0; NULL where nothing does */
};

/* The rows of a tile of K or V, of one KV head. */
struct decode_half_rows {
  const char *const *row; /* of KV head 0 */
  int64_t offset;         /* bytes from there to the KV head */
  int64_t tokens, D;
};

static inline int64_t decode_half_floats(int64_t H, int64_t Hkv, int64_t ld) {
  return DECODE_HALF ? H * ld / 2 + H + CELL_VECTOR + Hkv : 0;
}

/* What goes by f16: of an fp8 cache both products where q is bf16, of which f16 holds every bit. With q in f16 only
 * that of V: sums of f16 have a larger error than scores that are rounded to f16. With q in f32 neither. */
static void decode_half_layout(struct decode_half *half, int64_t H, int64_t Hkv, int64_t ld, int dtype, int q_dtype,
                               float *scratch) {
  *half = (struct decode_half){0};
  if (!DECODE_HALF || !decode_is_fp8(dtype) || q_dtype == PAH_F32) return;
  half->inverse = scratch + H * ld / 2;
  half->on = half->inverse + H + CELL_VECTOR; /* a whole vector of `inverse` is read */
  if (q_dtype == PAH_BF16) half->q = (uint16_t *)scratch;
  for (int64_t head = 0; head < Hkv; head++) half->on[head] = 1;
  memset(half->inverse, 0, (size_t)(H + CELL_VECTOR) * sizeof(float));
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

/* e4m3's NaN comes out as 480, so the codes are watched, in 2 operations for 64: adding 1 to a code changes bit 7 only
 * if it is one of both NaN. An e5m2 that is infinite, NaN or too large shows in the sums, which are then not finite. */
static inline __attribute__((always_inline)) __m512i decode_half_watch(__m512i odd, __m512i code) {
  return _mm512_ternarylogic_epi32(odd, code, _mm512_add_epi8(code, _mm512_set1_epi8(1)), 0xf6); /* odd | (b ^ c) */
}

static inline __attribute__((always_inline)) int decode_half_saw_nan(__m512i odd) {
  return _mm512_movepi8_mask(odd) != 0;
}

/* ---- q ------------------------------------------------------------------------------------------------------ */

/* Row h of q in decode's order. It is multiplied by a power of two so that no sum can overflow: its largest element is
 * below 2^7 against K of at most 1.75 (e4m3), or below 2^-1 against 448 (e5m2), and 2^7 * 1.75 * 256 is 57344. The
 * error of f16's smallest numbers in a score, about 28 roundings of 2^-26 times what leads to the score, stays
 * below 2^-12 by the last condition, however small K is. */
static void decode_half_load_q(struct decode_half *half, int64_t h, int64_t head, const float *row, int64_t ld,
                               float scale, int dtype) {
  __m512i most = _mm512_setzero_si512(); /* of the bits without sign, which order numbers, and NaN above them */
  for (int64_t d = 0; d < ld; d += CELL_VECTOR)
    most = _mm512_max_epi32(most, _mm512_and_si512((__m512i)cell_load(row + d), _mm512_set1_epi32(0x7fffffff)));
  int bits = _mm512_reduce_max_epi32(most), exponent;
  float largest;
  memcpy(&largest, &bits, sizeof largest);
  int wrong = largest != 0 && !(largest >= 0x1p-60f && largest <= 0x1p60f);
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

/* p[h][j] = q[h] k[j] for DECODE_SUMS pairs from token j on, as decode_dot_cell. A lane adds up D / 32 products in f16.
 * `nan` watches the codes of e4m3; returns whether a sum is infinite or NaN. */
static inline __attribute__((always_inline)) int decode_half_dot_cell(const uint16_t *q, __m512 inverse, int heads,
                                                                      struct decode_half_rows k, int64_t j, float *p,
                                                                      int dtype, __m512i *nan,
                                                                      struct decode_fetch *fetch) {
  enum { STEP = 4 };
  const int tokens = DECODE_SUMS / heads;
  const int64_t ld = decode_row_floats(k.D, dtype);
  __m512h sum[DECODE_SUMS] = {{0}};
  for (int64_t d = 0; d < ld; d += 64) {
    const int64_t at = k.offset + decode_at(d, k.D, 64);
#pragma GCC unroll 4
    for (int n = 0; n < tokens; n += STEP) {
      __m512h key[2 * STEP];
#pragma GCC unroll 4
      for (int i = 0; i < STEP; i++) {
        __m512i code = _mm512_loadu_si512(k.row[j + n + i] + at);
        decode_fetch_lines(fetch, 1);
        if (dtype == PAH_FP8_E4M3) *nan = decode_half_watch(*nan, code);
        decode_half_strip(code, dtype, key + 2 * i);
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
  float total[DECODE_SUMS];
  __m512 all = _mm512_mul_ps(decode_half_add_lanes(sum), inverse);
  _mm512_storeu_ps(total, all);
#pragma GCC unroll 4
  for (int h = 0; h < heads; h++) memcpy(p + h * DECODE_TOKENS + j, total + h * tokens, (size_t)tokens * sizeof *p);
  return _mm512_fpclass_ps_mask(all, 0x99); /* NaN of both kinds, infinity of both signs */
}

/* The last level in f32: `word` holds two lanes of f16 for each of 16 sums, `order` which of them. */
static inline __attribute__((always_inline)) __m512 decode_half_last(__m512h word, __m512i order) {
  __m512i sums = _mm512_permutexvar_epi16(order, (__m512i)word);
  return _mm512_add_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(sums)),
                       _mm512_cvtph_ps(_mm512_extracti64x4_epi64(sums, 1)));
}

/* Four heads and eight tokens from j on: two tokens share a vector, 32 elements of each, so that a vector of sums serves
 * two scores and the tree has half the inputs: 10 operations a token for it and for joining the rows, in place of 14. */
static inline __attribute__((always_inline)) int decode_half_dot_four(const uint16_t *q, __m512 inverse,
                                                                      struct decode_half_rows k, int64_t j, float *p,
                                                                      int dtype, __m512i *nan,
                                                                      struct decode_fetch *fetch) {
  const __m512i order = _mm512_set_epi16(31, 23, 15, 7, 29, 21, 13, 5, 27, 19, 11, 3, 25, 17, 9, 1, 30, 22, 14, 6, 28,
                                         20, 12, 4, 26, 18, 10, 2, 24, 16, 8, 0); /* by tokens and heads to the reverse */
  const int64_t ld = decode_row_floats(k.D, dtype);
  __m512h sum[16] = {{0}}; /* [pair of tokens][head] */
  for (int64_t d = 0; d < ld; d += 64) {
    const int64_t at = k.offset + decode_at(d, k.D, 64);
#pragma GCC unroll 2
    for (int part = 0; part < 2; part++) {
      __m512h key[8];
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        const __m256i *one = (const __m256i *)(k.row[j + 2 * i] + at), *two = (const __m256i *)(k.row[j + 2 * i + 1] + at);
        __m512i code = _mm512_castsi256_si512(_mm256_loadu_si256(one + part));
        code = _mm512_inserti64x4(code, _mm256_loadu_si256(two + part), 1);
        decode_fetch_lines(fetch, 1);
        if (dtype == PAH_FP8_E4M3) *nan = decode_half_watch(*nan, code);
        decode_half_strip(code, dtype, key + 2 * i);
      }
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
  int odd = 0;
#pragma GCC unroll 2
  for (int n = 0; n < 2; n++) { /* four tokens: lanes of 128 bits are tokens, their elements heads */
    __m512h pair = DECODE_HALF_JOIN(decode_half_quads(sum + 8 * n), decode_half_quads(sum + 8 * n + 4), 0x88, 0xdd);
    __m512 all = _mm512_mul_ps(decode_half_last(pair, order), inverse);
    odd |= _mm512_fpclass_ps_mask(all, 0x99); /* NaN of both kinds, infinity of both signs */
    float *to = p + j + 4 * n;
    _mm_storeu_ps(to, _mm512_castps512_ps128(all));
    _mm_storeu_ps(to + DECODE_TOKENS, _mm512_extractf32x4_ps(all, 1));
    _mm_storeu_ps(to + 2 * DECODE_TOKENS, _mm512_extractf32x4_ps(all, 2));
    _mm_storeu_ps(to + 3 * DECODE_TOKENS, _mm512_extractf32x4_ps(all, 3));
  }
  return odd;
}

static inline __attribute__((always_inline)) int decode_half_dot_heads(const uint16_t *q, const float *inverse,
                                                                       int heads, struct decode_half_rows k, float *p,
                                                                       int dtype, struct decode_fetch *fetch) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i head = _mm512_srli_epi32(lane, heads == 4 ? 2 : heads == 2 ? 3 : 4);
  __m512 each = _mm512_permutexvar_ps(head, _mm512_loadu_ps(inverse));
  __m512i nan = _mm512_setzero_si512();
  int odd = 0;
  for (int64_t j = 0; heads == 4 && j < k.tokens; j += 8)
    odd |= decode_half_dot_four(q, each, k, j, p, dtype, &nan, fetch);
  for (int64_t j = 0; heads < 4 && j < k.tokens; j += DECODE_SUMS / heads)
    odd |= decode_half_dot_cell(q, each, heads, k, j, p, dtype, &nan, fetch);
  return odd | (dtype == PAH_FP8_E4M3 && decode_half_saw_nan(nan));
}

static inline __attribute__((always_inline)) int decode_half_dot_group(const uint16_t *q, const float *inverse,
                                                                       int64_t group, struct decode_half_rows k,
                                                                       float *p, int dtype,
                                                                       struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(k.D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  int odd = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    odd |= decode_half_dot_heads(q + h * ld, inverse + h, 4, k, p + h * DECODE_TOKENS, dtype, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    odd |= decode_half_dot_heads(q + h * ld, inverse + h, 2, k, p + h * DECODE_TOKENS, dtype, fetch);
  for (; h < group; h++)
    odd |= decode_half_dot_heads(q + h * ld, inverse + h, 1, k, p + h * DECODE_TOKENS, dtype, fetch);
  return odd;
}

/* q k into p, of all heads that share KV head `head`; k has DECODE_TOKENS rows. Returns 0 where the f32 way has to do
 * it, from now on for all of this KV head. */
static int decode_half_dot(struct decode_half *half, int64_t head, int64_t group, struct decode_half_rows k, float *p,
                           int dtype, struct decode_fetch *fetch) {
  if (half->on[head] == 0) return 0;
  const uint16_t *q = half->q + head * group * decode_row_floats(k.D, dtype);
  const float *inverse = half->inverse + head * group;
  int odd = dtype == PAH_FP8_E4M3 ? decode_half_dot_group(q, inverse, group, k, p, PAH_FP8_E4M3, fetch)
                                  : decode_half_dot_group(q, inverse, group, k, p, PAH_FP8_E5M2, fetch);
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
static __attribute__((noinline)) void decode_half_weigh_exact(const float *p, struct decode_half_rows v, int64_t at,
                                                              int64_t heads, int64_t strips, float *o, int dtype,
                                                              const struct decode_table *table) {
  const int64_t ld = decode_row_floats(v.D, dtype);
  const char *row[DECODE_TOKENS];
  struct decode_fetch none = {0};
  for (int64_t j = 0; j < v.tokens; j++) row[j] = v.row[j] + v.offset;
  for (int64_t h = 0; h < heads; h++, p += DECODE_TOKENS, o += ld)
    for (int64_t n = at; n < at + strips * 64; n += 64) {
      if (dtype == PAH_FP8_E4M3)
        decode_weigh_cell(p, v.tokens, row, n, v.D, 1, 4, o, PAH_FP8_E4M3, table, &none);
      else
        decode_weigh_cell(p, v.tokens, row, n, v.D, 1, 4, o, PAH_FP8_E5M2, table, &none);
    }
}

/* o[h] += sum over tokens of p[h][j] v[j] for `heads` heads and `strips` of 64 elements from `at` on: the tile's sum in
 * f16, then to o. Returns 1 and leaves o if that will not do. */
static inline __attribute__((always_inline)) int decode_half_weigh_cell(const uint32_t *pair, struct decode_half_rows v,
                                                                        int64_t at, int heads, int strips, float *o,
                                                                        int dtype, struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(v.D, dtype);
  const int wide = 2 * strips, sums = heads * wide;
  __m512h sum[DECODE_SUMS] = {{0}}, odd[4] = {{0}};
  __m512i nan = _mm512_setzero_si512();
  for (int64_t j = 0; j < v.tokens; j++) {
    __m512h value[4];
    decode_fetch_lines(fetch, strips);
#pragma GCC unroll 2
    for (int n = 0; n < strips; n++) {
      __m512i code = _mm512_loadu_si512(v.row[j] + v.offset + decode_at(at + n * 64, v.D, 64));
      if (dtype == PAH_FP8_E4M3) nan = decode_half_watch(nan, code);
      decode_half_strip(code, dtype, value + 2 * n);
    }
#pragma GCC unroll 16
    for (int i = 0; i < sums; i++) {
      __m512h weight = (__m512h)_mm512_set1_epi32((int)pair[i / wide * DECODE_TOKENS + j]);
      sum[i] = _mm512_fmadd_ph(value[i % wide], weight, sum[i]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) /* NaN of what is not finite */
    odd[i % 4] = _mm512_fmadd_ph(sum[i], _mm512_setzero_ph(), odd[i % 4]);
  odd[0] = (odd[0] + odd[1]) + (odd[2] + odd[3]);
  if (_mm512_fpclass_ph_mask(odd[0], 0x81) || (dtype == PAH_FP8_E4M3 && decode_half_saw_nan(nan))) return 1;
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

static inline __attribute__((always_inline)) int decode_half_weigh_heads(const float *p, struct decode_half_rows v,
                                                                         int heads, float *o, int dtype,
                                                                         const struct decode_table *table,
                                                                         struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(v.D, dtype);
  uint32_t pair[4 * DECODE_TOKENS];
  int odd = 0;
#pragma GCC unroll 4
  for (int i = 0; i < heads; i++) decode_half_pairs(p + i * DECODE_TOKENS, dtype, pair + i * DECODE_TOKENS);
  for (int64_t at = 0; at < ld; at += 128) {
    const int strips = at + 128 <= ld ? 2 : 1;
    int one = strips == 2 ? decode_half_weigh_cell(pair, v, at, heads, 2, o, dtype, fetch)
                          : decode_half_weigh_cell(pair, v, at, heads, 1, o, dtype, fetch);
    if (one) decode_half_weigh_exact(p, v, at, heads, strips, o, dtype, table);
    odd |= one;
  }
  return odd;
}

static inline __attribute__((always_inline)) int decode_half_weigh_group(const float *p, struct decode_half_rows v,
                                                                         int64_t group, float *o, int dtype,
                                                                         const struct decode_table *table,
                                                                         struct decode_fetch *fetch) {
  const int64_t ld = decode_row_floats(v.D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  int odd = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    odd |= decode_half_weigh_heads(p + h * DECODE_TOKENS, v, 4, o + h * ld, dtype, table, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    odd |= decode_half_weigh_heads(p + h * DECODE_TOKENS, v, 2, o + h * ld, dtype, table, fetch);
  for (; h < group; h++) odd |= decode_half_weigh_heads(p + h * DECODE_TOKENS, v, 1, o + h * ld, dtype, table, fetch);
  return odd;
}

/* o += p v of all heads that share KV head `head`. Returns 0 where the f32 way has to do it; what f16 could not do here
 * was done in f32, and all of this KV head will be from now on. */
static int decode_half_weigh(struct decode_half *half, int64_t head, int64_t group, const float *p,
                             struct decode_half_rows v, float *o, int dtype, const struct decode_table *table,
                             struct decode_fetch *fetch) {
  if (half->on[head] == 0) return 0;
  int odd = dtype == PAH_FP8_E4M3 ? decode_half_weigh_group(p, v, group, o, PAH_FP8_E4M3, table, fetch)
                                  : decode_half_weigh_group(p, v, group, o, PAH_FP8_E5M2, table, fetch);
  half->on[head] = !odd;
  return 1;
}

#else
static void decode_half_load_q(struct decode_half *half, int64_t h, int64_t head, const float *row, int64_t ld,
                               float scale, int dtype) {
  (void)half, (void)h, (void)head, (void)row, (void)ld, (void)scale, (void)dtype;
}

static int decode_half_dot(struct decode_half *half, int64_t head, int64_t group, struct decode_half_rows k, float *p,
                           int dtype, struct decode_fetch *fetch) {
  (void)half, (void)head, (void)group, (void)k, (void)p, (void)dtype, (void)fetch;
  return 0;
}

static int decode_half_weigh(struct decode_half *half, int64_t head, int64_t group, const float *p,
                             struct decode_half_rows v, float *o, int dtype, const struct decode_table *table,
                             struct decode_fetch *fetch) {
  (void)half, (void)head, (void)group, (void)p, (void)v, (void)o, (void)dtype, (void)table, (void)fetch;
  return 0;
}
#endif

#endif
