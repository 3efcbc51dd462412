/* cpu/decode/f16.h - decode of fp8 caches by f16 multiply-adds, 32 to an instruction, where the processor has
 * AVX512-FP16 (Sapphire Rapids and later): in f32 fp8 is bound by the core. What cannot be done so goes the f32 way,
 * head by head: q of which f16 holds too little, NaN and infinities in K and V, and numbers so large that a sum of f16
 * could overflow. doc/design/cpu-fp8.md has the errors, measured. Read next: tile.h, which asks here first. */
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

/* The largest number of K as f16_qk.h has it: e4m3 as 2^-8 of itself, e5m2 as it is. */
static inline float decode_f16_largest(int dtype) {
  return dtype == PAH_FP8_E4M3 ? 1.75f : 57344.0f;
}

/* How far a score, in units of log2(e), may be off for what f16 cannot hold: 2^-10, a quarter of what rounding a score
 * of 1 to bf16 may do. Proof. Let x be the row in f16, y that of K, s their sum by multiply-adds and additions. First,
 * a multiply-add rounds by at most 2^-11 of its result, or 2^-25 where that is subnormal; sums of subnormals are exact.
 * So s is off by 2^-11 of |x||y| for each rounding that a product goes through, DECODE_F16_ROUNDINGS at most, and by
 * ld 2^-25. Second, x is q times a power of two, exactly, as bf16 has fewer bits than f16, but for elements below
 * 2^-17, whose last bits may be missing: with `lost`, the sum of what is, s is off by lost times the largest y. What is
 * relative to |x||y| is like bf16's own rounding, 2^-8 of the score; the rest is relative to nothing and is therefore
 * looked at here, with the row's own numbers. */
#define DECODE_F16_MAY_LOSE 0x1p-10f
_Static_assert(128 * 7 / 4 * PAH_MAX_D / 2 <= 65024, "no sum of e4m3 overflows, roundings included");

/* Row h of q in decode's order. It is multiplied by a power of two so that no sum can overflow: its largest element is
 * below 2^7 against K of at most 1.75 (e4m3), or below 2^-1 against 448 (e5m2, and a sum that overflows all the same is
 * seen), and the half of the products that is added up in f16 is below 2^7 * 1.75 * PAH_MAX_D / 2. */
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
  __m512 lost = _mm512_setzero_ps();
  for (int64_t d = 0; d < ld; d += CELL_VECTOR) {
    __m512 x = (__m512)(cell_load(row + d) * factor);
    __m256i held = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    lost = _mm512_add_ps(lost, _mm512_abs_ps(_mm512_sub_ps(x, _mm512_cvtph_ps(held))));
    _mm256_storeu_si256((__m256i *)(half->q + h * ld + d), held);
  }
  float off = _mm512_reduce_add_ps(lost) * decode_f16_largest(dtype) + (float)ld * 0x1p-25f;
  if (wrong || !(fabsf(scale) * half->inverse[h] * off <= DECODE_F16_MAY_LOSE)) half->on[head] = 0;
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

/* What p is multiplied by before it is rounded to f16, as a rule. With DECODE_F16_LAZY_LOG2 p is at most 4, and the sum
 * of 32 tokens at most 57344: 32 * 4 * 2^8 * 1.75 (e4m3, with 2^-8 of V), 32 * 4 * 2^3 * 56 (e5m2; where larger V
 * overflow, it is seen). Down to 2^-22 (e5m2 2^-17) p then has all bits of f16. */
static inline __attribute__((always_inline)) float decode_f16_scale(int dtype) {
  return dtype == PAH_FP8_E4M3 ? 0x1p8f : 0x1p3f;
}

/* Where a tile has smaller p than that, its own power of two: the largest gets to [2^9, 2^10), of e5m2 [2^4, 2^5). What
 * f16 cannot hold of p is then at most 2^-34 (2^-29) of the tile's largest, and of a tile's 32 products 2^-29 (2^-24)
 * of it and the largest V. The sum that out is divided by has every tile's largest p in it, so out is off by 2^-29
 * (2^-24) of the largest V at most, however many tokens there are: f32 has hardly less. */
static __attribute__((noinline)) float decode_f16_scale_of(__m512i p, int dtype) {
  const int to = dtype == PAH_FP8_E4M3 ? 9 : 4;
  int biased = _mm512_reduce_max_epi32(p) >> 23; /* no p is negative */
  if (biased <= to)
    biased = to + 1; /* so that it and its inverse are numbers; of p this small nothing is left anyway */
  int bits = (254 + to - biased) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return scale;
}

/* p of the DECODE_TOKENS tokens of a head as f16, times a power of two, each twice: a broadcast of 32 bits needs no
 * shuffle. Returns what leads back from sums of it with V. */
static inline __attribute__((always_inline)) float decode_f16_twice(const float *p, int dtype, uint32_t *pair) {
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5,
                                         4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  const float smallest = 0x1p-14f / decode_f16_scale(dtype);
  int bits;
  memcpy(&bits, &smallest, sizeof bits);
  const __m512i one = _mm512_set1_epi32(1), floor = _mm512_set1_epi32(bits - 1);
  __m512i a = (__m512i)cell_load(p), b = (__m512i)cell_load(p + CELL_VECTOR);
  float scale = decode_f16_scale(dtype);
  if (_mm512_cmplt_epu32_mask(_mm512_sub_epi32(a, one), floor) | /* above 0 and below the smallest */
      _mm512_cmplt_epu32_mask(_mm512_sub_epi32(b, one), floor))
    scale = decode_f16_scale_of(_mm512_max_epi32(a, b), dtype);
#pragma GCC unroll 2
  for (int j = 0; j < DECODE_TOKENS; j += CELL_VECTOR) {
    __m512 x = (__m512)(cell_load(p + j) * scale);
    __m512i word = _mm512_castsi256_si512(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    _mm512_storeu_si512(pair + j, _mm512_permutexvar_epi16(twice, word));
  }
  return (dtype == PAH_FP8_E4M3 ? 0x1p8f : 1.0f) / scale;
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

/* o[h] += back[h] times the sum over tokens of p[h][j] v[j] for `heads` heads and `strips` of 64 elements from `at` on:
 * the tile's sum in f16, then to o. Returns 1 and leaves o if that will not do. */
static inline __attribute__((always_inline)) int decode_f16_weigh_cell(const uint32_t *pair, const float *back,
                                                                       struct decode_f16_rows v, int64_t at, int heads,
                                                                       int strips, float *o, int dtype,
                                                                       struct decode_fetch *fetch) {
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
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) {
    float *to = o + i / wide * ld + at + i % wide * 32;
    cell_vector low = (cell_vector)_mm512_cvtph_ps(_mm512_castsi512_si256((__m512i)sum[i]));
    cell_vector high = (cell_vector)_mm512_cvtph_ps(_mm512_extracti64x4_epi64((__m512i)sum[i], 1));
    cell_store(to, cell_load(to) + low * back[i / wide]);
    cell_store(to + CELL_VECTOR, cell_load(to + CELL_VECTOR) + high * back[i / wide]);
  }
  return 0;
}

static inline __attribute__((always_inline)) int decode_f16_weigh_heads(const float *p, struct decode_f16_rows v,
                                                                        int heads, float *o, int dtype,
                                                                        const struct widen_table *table,
                                                                        struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(v.D, dtype);
  uint32_t pair[4 * DECODE_TOKENS];
  float back[4];
  int nonfinite = 0;
#pragma GCC unroll 4
  for (int i = 0; i < heads; i++) back[i] = decode_f16_twice(p + i * DECODE_TOKENS, dtype, pair + i * DECODE_TOKENS);
  for (int64_t at = 0; at < ld; at += 128) {
    const int strips = at + 128 <= ld ? 2 : 1;
    int one = strips == 2 ? decode_f16_weigh_cell(pair, back, v, at, heads, 2, o, dtype, fetch)
                          : decode_f16_weigh_cell(pair, back, v, at, heads, 1, o, dtype, fetch);
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
