/* cpu/decode/f16.h - decode of fp8 caches by f16 multiply-adds, 32 to an instruction, where the processor has
 * AVX512-FP16 (Sapphire Rapids and later): in f32 fp8 is bound by the core. What cannot be done so goes the f32 way,
 * head by head: q that f16 does not hold, NaN and infinities in K and V, and numbers so large that a sum of f16 could
 * overflow. doc/design/cpu-fp8.md has the errors, measured. Read next: tile.h, which asks here first. */
#ifndef PAH_CPU_DECODE_F16_H
#define PAH_CPU_DECODE_F16_H

#include "f16_qk.h"

/* Powers of two that p may rise above the maximum before that follows: less than for f32, since p has to fit f16. */
#define DECODE_F16_LAZY_LOG2 2.0f

/* The f16 side of a sequence. */
struct decode_f16 {
  uint16_t *q;    /* [H][ld]: rows of q times a power of two each, in decode's order; NULL where scores go by f32 */
  float *inverse; /* [H]: from the sum of f16 back to q k */
  float *on;      /* [Hkv]: 1 while the heads of this KV head go by f16, else 0; NULL where nothing does */
};

static inline int64_t decode_f16_floats(int64_t H, int64_t Hkv, int64_t ld) {
  return DECODE_F16 ? H * ld / 2 + H + CELL_VECTOR + Hkv : 0;
}

/* What goes by f16: of an fp8 cache both products where q is bf16, of which f16 holds every bit. With q in f16 only
 * that of V: sums of f16 have a larger error than scores that are rounded to f16. With q in f32 neither. */
static void decode_f16_layout(struct decode_f16 *half, int64_t H, int64_t Hkv, int64_t ld, int dtype, int q_dtype,
                              float *scratch) {
  *half = (struct decode_f16){0};
  if (!DECODE_F16 || !widen_is_fp8(dtype) || q_dtype == PAH_F32) return;
  half->inverse = scratch + H * ld / 2;
  half->on = half->inverse + H + CELL_VECTOR; /* a whole vector of `inverse` is read */
  if (q_dtype == PAH_BF16) half->q = (uint16_t *)scratch;
  for (int64_t head = 0; head < Hkv; head++) half->on[head] = 1;
  memset(half->inverse, 0, (size_t)(H + CELL_VECTOR) * sizeof(float));
}

#if defined(__AVX512FP16__) && defined(__GFNI__)

/* ---- q ------------------------------------------------------------------------------------------------------ */

/* Row h of q in decode's order. It is multiplied by a power of two so that no sum can overflow: its largest element is
 * below 2^7 against K of at most 1.75 (e4m3), or below 2^-1 against 448 (e5m2, and a sum that overflows all the same is
 * seen), and 2^7 * 1.75 * 256 is 57344. However small K is, the steps of f16's smallest numbers, about 28 times 2^-26
 * in a sum, make less than 2^-12 in a score: that is the last condition. */
static void decode_f16_load_q(struct decode_f16 *half, int64_t h, int64_t head, const float *row, int64_t ld,
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

/* q k into p, of all heads that share KV head `head`; k has DECODE_TOKENS rows. Returns 0 where the f32 way has to do
 * it, from now on for all of this KV head. */
static int decode_f16_dot(struct decode_f16 *half, int64_t head, int64_t group, struct decode_f16_rows k, float *p,
                          int dtype, struct decode_fetch *fetch) {
  if (half->on[head] == 0) return 0;
  const uint16_t *q = half->q + head * group * widen_row_floats(k.D, dtype);
  const float *inverse = half->inverse + head * group;
  int nonfinite = dtype == PAH_FP8_E4M3 ? decode_f16_dot_group(q, inverse, group, k, p, PAH_FP8_E4M3, fetch)
                                        : decode_f16_dot_group(q, inverse, group, k, p, PAH_FP8_E5M2, fetch);
  half->on[head] = !nonfinite;
  return !nonfinite;
}

/* ---- V ------------------------------------------------------------------------------------------------------ */

/* What p is multiplied by before it is rounded to f16. With DECODE_F16_LAZY_LOG2 p is at most 4, and the sum of 32
 * tokens at most 57344: 32 * 4 * 2^8 * 1.75 (e4m3, with 2^-8 of V), 32 * 4 * 2^3 * 56 (e5m2; where larger V overflow,
 * it is seen). p has all bits of f16 down to 2^-22 (e5m2 2^-17) and is 0 below 2^-33 (2^-28): 2^15 such tokens are
 * still nothing. */
static inline __attribute__((always_inline)) float decode_f16_scale(int dtype) {
  return dtype == PAH_FP8_E4M3 ? 0x1p8f : 0x1p3f;
}

/* p of the DECODE_TOKENS tokens of a head as f16, each twice: a broadcast of 32 bits needs no shuffle. */
static inline __attribute__((always_inline)) void decode_f16_twice(const float *p, int dtype, uint32_t *pair) {
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5,
                                         4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
#pragma GCC unroll 2
  for (int j = 0; j < DECODE_TOKENS; j += CELL_VECTOR) {
    __m512 x = (__m512)(cell_load(p + j) * decode_f16_scale(dtype));
    __m512i word = _mm512_castsi256_si512(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    _mm512_storeu_si512(pair + j, _mm512_permutexvar_epi16(twice, word));
  }
}

/* The same by f32, where f16 will not do. */
static __attribute__((noinline)) void decode_f16_weigh_exact(const float *p, struct decode_f16_rows v, int64_t at,
                                                             int64_t heads, int64_t strips, float *o, int dtype,
                                                             const struct widen_table *table) {
  const int64_t ld = widen_row_floats(v.D, dtype);
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
static inline __attribute__((always_inline)) int decode_f16_weigh_cell(const uint32_t *pair, struct decode_f16_rows v,
                                                                       int64_t at, int heads, int strips, float *o,
                                                                       int dtype, struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(v.D, dtype);
  const int wide = 2 * strips, sums = heads * wide;
  __m512h sum[DECODE_SUMS] = {{0}}, first[DECODE_SUMS] = {{0}}, nonfinite[4] = {{0}};
  __m512i nan = _mm512_setzero_si512();
  for (int64_t j = 0; j < v.tokens; j++) {
    if (j == DECODE_TOKENS / 2) { /* half the tokens, half the size of what later ones are rounded to */
#pragma GCC unroll 16
      for (int i = 0; i < sums; i++) first[i] = sum[i], sum[i] = _mm512_setzero_ph();
    }
    __m512h value[4];
    decode_fetch_lines(fetch, strips);
#pragma GCC unroll 2
    for (int n = 0; n < strips; n++) {
      __m512i code = _mm512_loadu_si512(v.row[j] + v.offset + decode_at(at + n * 64, v.D, 64));
      decode_f16_strip(code, dtype, &nan, value + 2 * n);
    }
#pragma GCC unroll 16
    for (int i = 0; i < sums; i++) {
      __m512h weight = (__m512h)_mm512_set1_epi32((int)pair[i / wide * DECODE_TOKENS + j]);
      sum[i] = _mm512_fmadd_ph(value[i % wide], weight, sum[i]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) sum[i] += first[i];
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) /* NaN of what is not finite */
    nonfinite[i % 4] = _mm512_fmadd_ph(sum[i], _mm512_setzero_ph(), nonfinite[i % 4]);
  nonfinite[0] = (nonfinite[0] + nonfinite[1]) + (nonfinite[2] + nonfinite[3]);
  if (_mm512_fpclass_ph_mask(nonfinite[0], 0x81) || (dtype == PAH_FP8_E4M3 && decode_f16_saw_nan(nan))) return 1;
  const float back = dtype == PAH_FP8_E4M3 ? 1.0f : 1 / decode_f16_scale(dtype);
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

static inline __attribute__((always_inline)) int decode_f16_weigh_heads(const float *p, struct decode_f16_rows v,
                                                                        int heads, float *o, int dtype,
                                                                        const struct widen_table *table,
                                                                        struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(v.D, dtype);
  uint32_t pair[4 * DECODE_TOKENS];
  int nonfinite = 0;
#pragma GCC unroll 4
  for (int i = 0; i < heads; i++) decode_f16_twice(p + i * DECODE_TOKENS, dtype, pair + i * DECODE_TOKENS);
  for (int64_t at = 0; at < ld; at += 128) {
    const int strips = at + 128 <= ld ? 2 : 1;
    int one = strips == 2 ? decode_f16_weigh_cell(pair, v, at, heads, 2, o, dtype, fetch)
                          : decode_f16_weigh_cell(pair, v, at, heads, 1, o, dtype, fetch);
    if (one) decode_f16_weigh_exact(p, v, at, heads, strips, o, dtype, table);
    nonfinite |= one;
  }
  return nonfinite;
}

static inline __attribute__((always_inline)) int decode_f16_weigh_group(const float *p, struct decode_f16_rows v,
                                                                        int64_t group, float *o, int dtype,
                                                                        const struct widen_table *table,
                                                                        struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(v.D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  int nonfinite = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    nonfinite |= decode_f16_weigh_heads(p + h * DECODE_TOKENS, v, 4, o + h * ld, dtype, table, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    nonfinite |= decode_f16_weigh_heads(p + h * DECODE_TOKENS, v, 2, o + h * ld, dtype, table, fetch);
  for (; h < group; h++)
    nonfinite |= decode_f16_weigh_heads(p + h * DECODE_TOKENS, v, 1, o + h * ld, dtype, table, fetch);
  return nonfinite;
}

/* o += p v of all heads that share KV head `head`. Returns 0 where the f32 way has to do it; what f16 could not do here
 * was done in f32, and all of this KV head will be from now on. */
static int decode_f16_weigh(struct decode_f16 *half, int64_t head, int64_t group, const float *p,
                            struct decode_f16_rows v, float *o, int dtype, const struct widen_table *table,
                            struct decode_fetch *fetch) {
  if (half->on[head] == 0) return 0;
  int nonfinite = dtype == PAH_FP8_E4M3 ? decode_f16_weigh_group(p, v, group, o, PAH_FP8_E4M3, table, fetch)
                                        : decode_f16_weigh_group(p, v, group, o, PAH_FP8_E5M2, table, fetch);
  half->on[head] = !nonfinite;
  return 1;
}

#else
static void decode_f16_load_q(struct decode_f16 *half, int64_t h, int64_t head, const float *row, int64_t ld,
                              float scale, int dtype) {
  (void)half, (void)h, (void)head, (void)row, (void)ld, (void)scale, (void)dtype;
}

static int decode_f16_dot(struct decode_f16 *half, int64_t head, int64_t group, struct decode_f16_rows k, float *p,
                          int dtype, struct decode_fetch *fetch) {
  (void)half, (void)head, (void)group, (void)k, (void)p, (void)dtype, (void)fetch;
  return 0;
}

static int decode_f16_weigh(struct decode_f16 *half, int64_t head, int64_t group, const float *p,
                            struct decode_f16_rows v, float *o, int dtype, const struct widen_table *table,
                            struct decode_fetch *fetch) {
  (void)half, (void)head, (void)group, (void)p, (void)v, (void)o, (void)dtype, (void)table, (void)fetch;
  return 0;
}
#endif

#endif
