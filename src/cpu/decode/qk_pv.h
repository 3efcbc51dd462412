/* cpu/decode/qk_pv.h - the inner loops of decode: a few rows of K against the heads that share them, and of V.
 * One pair per dtype of the cache, which is widened in registers on its way; up to four heads share what was widened.
 * For a token and a KV head with four query heads (D=128, bf16: 512 bytes) an AVX-512 core has to issue 64
 * multiply-adds, 16 operations that widen, 11 that add across lanes and about 10 for the softmax, at two a cycle.
 * vdpbf16ps is not used: it would round p to bf16, and takes 2.2 cycles on a Xeon of the fifth generation, where two
 * f32 multiply-adds of as many elements take 1.1. Read next: widen.h (to f32), prefetch.h (prefetch). */
#ifndef PAH_CPU_DECODE_QK_PV_H
#define PAH_CPU_DECODE_QK_PV_H

#include "prefetch.h"
#include "widen.h"
#include "softmax.h"

/* Sums in registers: enough to hide the latency of a multiply-add, and as many as a vector has lanes (or twice that),
 * so that adding them across lanes is a tree without waste. KEYS: vectors of K beside them. */
#if defined(__AVX512F__)
enum { DECODE_SUMS = 16, DECODE_KEYS = 8 };
#else
enum { DECODE_SUMS = 8, DECODE_KEYS = 4 };
#endif

/* ---- Sums across lanes ------------------------------------------------------------------------------------- */

/* Lane i: the sum of v[i]. Fifteen steps of two shuffles and one addition for sixteen vectors. */
#if defined(__AVX512F__)
static inline __attribute__((always_inline)) __m512 decode_quads(const cell_vector *v) {
  __m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3];
  __m512d ab = (__m512d)_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  __m512d cd = (__m512d)_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  return _mm512_add_ps((__m512)_mm512_unpacklo_pd(ab, cd), (__m512)_mm512_unpackhi_pd(ab, cd));
}

static inline __attribute__((always_inline)) __m512 decode_halves(__m512 a, __m512 b, int unused) {
  (void)unused;
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

static inline __attribute__((always_inline)) cell_vector decode_add_lanes(const cell_vector *v) {
  __m512 low = decode_halves(decode_quads(v), decode_quads(v + 4), 0);
  __m512 high = decode_halves(decode_quads(v + 8), decode_quads(v + 12), 0);
  return (cell_vector)_mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}
#elif defined(__AVX__)
static inline __attribute__((always_inline)) cell_vector decode_add_lanes(const cell_vector *v) {
  __m256 s[4];
  for (int i = 0; i < 4; i++) s[i] = _mm256_hadd_ps((__m256)v[2 * i], (__m256)v[2 * i + 1]);
  __m256 low = _mm256_hadd_ps(s[0], s[1]), high = _mm256_hadd_ps(s[2], s[3]);
  return (cell_vector)_mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}
#else
static inline __attribute__((always_inline)) cell_vector decode_add_lanes(const cell_vector *v) {
  cell_vector ab = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5) + __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
  cell_vector cd = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5) + __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}
#endif

/* ---- K ------------------------------------------------------------------------------------------------------ */

/* Where a strip of q or o from d on lies in a row of K or V: the last one ends where the row ends. `D` is at least a
 * strip. */
static inline int64_t decode_at(int64_t d, int64_t D, int64_t strip) {
  return d + strip <= D ? d : D - strip;
}

/* p[h][j] = q[h] k[j] for DECODE_SUMS pairs. Each vector of K serves all heads, each of q as many tokens as have
 * registers. */
static inline __attribute__((always_inline)) void decode_dot_cell(const float *q, int64_t D, int heads,
                                                                  const char *const *k, float *p, int dtype,
                                                                  const struct widen_table *table,
                                                                  struct decode_fetch *fetch) {
  const int tokens = DECODE_SUMS / heads, wide = widen_vectors(dtype);
  const int step = DECODE_KEYS / wide < tokens ? DECODE_KEYS / wide : tokens;
  const int64_t size = widen_size(dtype), strip = wide * CELL_VECTOR, ld = widen_row_floats(D, dtype);
  cell_vector sum[DECODE_SUMS] = {{0}};
  for (int64_t d = 0; d < ld; d += strip) {
    const int64_t at = decode_at(d, D, strip) * size;
#pragma GCC unroll 16
    for (int j = 0; j < tokens; j += step) {
      cell_vector key[DECODE_KEYS];
      const int64_t lines = decode_lines(strip * size);
      const int first = fetch->lines > 0;
#pragma GCC unroll 8
      for (int i = 0; i < step; i++) {
        const char *row = k[j + i] + at;
        if (first) {
#pragma GCC unroll 8
          for (int64_t n = 0; n < lines; n++) {
            decode_fetch_line(fetch, i * lines + n, step * lines);
            __builtin_prefetch(row + DECODE_AHEAD + n * 64, 0, 3);
          }
        }
        widen_strip(row, dtype, table, key + i * wide);
      }
      if (first) decode_fetch_done(fetch, step * lines);
#pragma GCC unroll 4
      for (int w = 0; w < wide; w++)
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++) {
          cell_vector query = cell_load(q + h * ld + d + w * CELL_VECTOR);
#pragma GCC unroll 8
          for (int i = 0; i < step; i++) sum[h * tokens + j + i] += query * key[i * wide + w];
        }
    }
  }
  float total[DECODE_SUMS];
#pragma GCC unroll 2
  for (int i = 0; i < DECODE_SUMS; i += CELL_VECTOR) cell_store(total + i, decode_add_lanes(sum + i));
#pragma GCC unroll 4
  for (int h = 0; h < heads; h++) memcpy(p + h * DECODE_TOKENS, total + h * tokens, (size_t)tokens * sizeof *p);
}

/* Tokens that one call of dot takes, for every cell that a group of this size needs. */
static inline int64_t decode_step(int64_t group) {
  return group % 4 == 0 ? DECODE_SUMS / 4 : group % 2 == 0 ? DECODE_SUMS / 2 : DECODE_SUMS;
}

/* The scores of all heads of a group with decode_step(group) tokens. The first pass over the rows prefetches. */
static inline __attribute__((always_inline)) void decode_dot(const float *q, int64_t D, int64_t group,
                                                             const char *const *k, float *p, int dtype,
                                                             const struct widen_table *table,
                                                             struct decode_fetch *fetch) {
  const int64_t step = decode_step(group), ld = widen_row_floats(D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    for (int64_t j = 0; j < step; j += DECODE_SUMS / 4)
      decode_dot_cell(q + h * ld, D, 4, k + j, p + h * DECODE_TOKENS + j, dtype, table, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    for (int64_t j = 0; j < step; j += DECODE_SUMS / 2)
      decode_dot_cell(q + h * ld, D, 2, k + j, p + h * DECODE_TOKENS + j, dtype, table, fetch);
  for (; h < group; h++) decode_dot_cell(q + h * ld, D, 1, k, p + h * DECODE_TOKENS, dtype, table, fetch);
}

/* ---- V ------------------------------------------------------------------------------------------------------ */

/* o[h] += sum over tokens of p[h][j] v[j] for `heads` heads and `wide` vectors of D from `at` on. */
static inline __attribute__((always_inline)) void
decode_weigh_cell(const float *p, int64_t tokens, const char *const *v, int64_t at, int64_t D, int heads, int wide,
                  float *o, int dtype, const struct widen_table *table, struct decode_fetch *fetch) {
  const int64_t size = widen_size(dtype), ld = widen_row_floats(D, dtype);
  const int strip = widen_vectors(dtype), sums = heads * wide;
  cell_vector sum[DECODE_SUMS];
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) sum[i] = cell_load(o + i / wide * ld + at + i % wide * CELL_VECTOR);
  for (int64_t j = 0; j < tokens; j++) {
    cell_vector value[8];
    const int64_t lines = decode_lines(wide * CELL_VECTOR * size);
    if (lines > 1)
      decode_fetch_lines(fetch, lines);
    else if (j % 2 == 0) /* two at a time cost a core that is bound by its operations less: fp8 0.03 */
      decode_fetch_lines(fetch, 2);
#pragma GCC unroll 4
    for (int w = 0; w < wide; w += strip)
      widen_strip(v[j] + decode_at(at + w * CELL_VECTOR, D, strip * CELL_VECTOR) * size, dtype, table, value + w);
#pragma GCC unroll 16
    for (int i = 0; i < sums; i++) sum[i] += value[i % wide] * p[i / wide * DECODE_TOKENS + j];
  }
#pragma GCC unroll 16
  for (int i = 0; i < sums; i++) cell_store(o + i / wide * ld + at + i % wide * CELL_VECTOR, sum[i]);
}

/* o of some heads over all of D: as many vectors at a time as there are sums, then what is left. */
static inline __attribute__((always_inline)) void
decode_weigh_heads(const float *p, int64_t tokens, const char *const *v, int64_t D, int heads, float *o, int dtype,
                   const struct widen_table *table, struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(D, dtype);
  const int wide = DECODE_SUMS / heads < 8 ? DECODE_SUMS / heads : 8;
  int64_t at = 0;
  for (; at + wide * CELL_VECTOR <= ld; at += wide * CELL_VECTOR)
    decode_weigh_cell(p, tokens, v, at, D, heads, wide, o, dtype, table, fetch);
  for (; wide > 4 && at + 4 * CELL_VECTOR <= ld; at += 4 * CELL_VECTOR)
    decode_weigh_cell(p, tokens, v, at, D, heads, 4, o, dtype, table, fetch);
  if (widen_vectors(dtype) == 4) return; /* rows are then a multiple of four vectors */
  for (; wide > 2 && at < ld; at += 2 * CELL_VECTOR)
    decode_weigh_cell(p, tokens, v, at, D, heads, 2, o, dtype, table, fetch);
}

static inline __attribute__((always_inline)) void decode_weigh(const float *p, int64_t tokens, const char *const *v,
                                                               int64_t D, int64_t group, float *o, int dtype,
                                                               const struct widen_table *table,
                                                               struct decode_fetch *fetch) {
  const int64_t ld = widen_row_floats(D, dtype);
  struct decode_fetch none = {0};
  int64_t h = 0;
  for (; h + 4 <= group; h += 4, fetch = &none)
    decode_weigh_heads(p + h * DECODE_TOKENS, tokens, v, D, 4, o + h * ld, dtype, table, fetch);
  for (; h + 2 <= group; h += 2, fetch = &none)
    decode_weigh_heads(p + h * DECODE_TOKENS, tokens, v, D, 2, o + h * ld, dtype, table, fetch);
  for (; h < group; h++) decode_weigh_heads(p + h * DECODE_TOKENS, tokens, v, D, 1, o + h * ld, dtype, table, fetch);
}

/* ---- One pair per dtype ------------------------------------------------------------------------------------- */

/* Rows of K and V have D elements, a strip at least; rows of q and o are widen_row_floats(D, dtype) apart. */
struct decode_kernel {
  void (*dot)(const float *q, int64_t D, int64_t group, const char *const *k, float *p, const struct widen_table *table,
              struct decode_fetch *fetch);
  void (*weigh)(const float *p, int64_t tokens, const char *const *v, int64_t D, int64_t group, float *o,
                const struct widen_table *table, struct decode_fetch *fetch);
};

#define DECODE_KERNEL(name, dtype)                                                                                     \
  static void decode_dot_##name(const float *q, int64_t D, int64_t group, const char *const *k, float *p,              \
                                const struct widen_table *table, struct decode_fetch *fetch) {                         \
    decode_dot(q, D, group, k, p, dtype, table, fetch);                                                                \
  }                                                                                                                    \
  static void decode_weigh_##name(const float *p, int64_t tokens, const char *const *v, int64_t D, int64_t group,      \
                                  float *o, const struct widen_table *table, struct decode_fetch *fetch) {             \
    decode_weigh(p, tokens, v, D, group, o, dtype, table, fetch);                                                      \
  }
DECODE_KERNEL(f32, PAH_F32)
DECODE_KERNEL(f16, PAH_F16)
DECODE_KERNEL(bf16, PAH_BF16)
DECODE_KERNEL(e4m3, PAH_FP8_E4M3)
DECODE_KERNEL(e5m2, PAH_FP8_E5M2)

static const struct decode_kernel decode_kernels[PAH_DTYPE_COUNT] = {
    [PAH_F32] = {decode_dot_f32, decode_weigh_f32},        [PAH_F16] = {decode_dot_f16, decode_weigh_f16},
    [PAH_BF16] = {decode_dot_bf16, decode_weigh_bf16},     [PAH_FP8_E4M3] = {decode_dot_e4m3, decode_weigh_e4m3},
    [PAH_FP8_E5M2] = {decode_dot_e5m2, decode_weigh_e5m2},
};

#endif
