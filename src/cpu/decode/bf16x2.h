/* cpu/decode/bf16x2.h - decode of many rows that share a KV head, heads of its group times queries, by products of
 * pairs of bf16: a tile of 32 tokens is a product of all rows' q with K, and of their P with V, by vdpbf16ps or by the
 * tile unit (cpu/gemm/amx.h). V is packed once for all rows, and K for the tile unit; P is rounded to bf16. By
 * multiply-adds of f32 such rows are bound by the core (many_rows.h). Read next: tile.h, which calls. */
#ifndef PAH_CPU_DECODE_BF16X2_H
#define PAH_CPU_DECODE_BF16X2_H

#include "qk_pv.h"
#include "cpu/bf16_way.h"
#include "cpu/gemm/amx.h"
#include "cpu/gemm/pack.h"

/* DECODE_PAIRS_LANES: rows whose q lies together, word by word, where vdpbf16ps multiplies it. */
enum { DECODE_PAIRS_LANES = 16, DECODE_PAIRS_ROWS = 12, DECODE_PAIRS_TOKENS = 8 };

/* Puts row n of q, `words` pairs of bf16, into q of its KV head. */
static inline void decode_pairs_load_q(uint32_t *q, int64_t n, int64_t words, const char *from, int way) {
  if (way == BF16_AMX) {
    memcpy(q + n * words, from, (size_t)words * 4);
    return;
  }
  q += n / DECODE_PAIRS_LANES * DECODE_PAIRS_LANES * words + n % DECODE_PAIRS_LANES;
  for (int64_t w = 0; w < words; w++) memcpy(q + w * DECODE_PAIRS_LANES, from + w * 4, 4);
}

/* A product for `rows` rows of a KV head with a tile: q with K, or P with V. */
struct decode_pairs {
  int64_t rows, D; /* D: of q and K, or of V */
  int way, dtype;  /* BF16_DOTS or BF16_AMX; of the cache */
  uint32_t *panels;
  struct decode_fetch *fetch;
};

#if defined(__AVX512BF16__)
_Static_assert((int)DECODE_TOKENS == (int)AMX_ROWS && (int)DECODE_TOKENS == (int)CELL_COLS,
               "the tokens of a tile are one step and one block");

/* ---- Packing ------------------------------------------------------------------------------------------------ */

/* CELL_VECTOR words of each of as many rows of K, transposed; of the last words of a row nothing behind it is read. */
static inline __attribute__((always_inline)) void decode_pairs_square(uint32_t *to, const char *const *rows, int64_t at,
                                                                      int64_t words, int dtype) {
  const int64_t size = pack_word_bytes(dtype, 1);
  lanes_u32 square[CELL_VECTOR];
  if (words >= CELL_VECTOR) {
#pragma GCC unroll 16
    for (int j = 0; j < CELL_VECTOR; j++) square[j] = pack_load(rows[j] + at * size, dtype, 1);
  } else {
    for (int j = 0; j < CELL_VECTOR; j++) {
      char padded[CELL_VECTOR * 4] = {0};
      memcpy(padded, rows[j] + at * size, (size_t)(words * size));
      square[j] = pack_load(padded, dtype, 1);
    }
  }
  pack_transpose(square);
#pragma GCC unroll 16
  for (int i = 0; i < CELL_VECTOR; i++)
    if (i < words) *(pack_words *)(to + i * DECODE_TOKENS) = square[i];
}

/* K of a tile in pairs, transposed: [D / 2][DECODE_TOKENS]. A line of prefetch for every line that is read. */
static inline __attribute__((always_inline)) void
decode_pairs_keys_as(const struct decode_pairs *x, const char *const *rows, int dtype, struct decode_fetch *fetch) {
  for (int64_t key = 0; key < DECODE_TOKENS; key += CELL_VECTOR)
    for (int64_t w = 0; w < x->D / 2; w += CELL_VECTOR) {
      decode_fetch_lines(fetch, 8);
      decode_pairs_square(x->panels + w * DECODE_TOKENS + key, rows + key, w, x->D / 2 - w, dtype);
      if (dtype == PAH_BF16) decode_fetch_lines(fetch, 8);
    }
}

/* Two rows of V of bf16 interleaved, of which `there` are. */
static inline __attribute__((always_inline)) void decode_pairs_zip(uint32_t *to, const char *first, const char *second,
                                                                   __mmask32 there) {
  static const uint16_t order[64] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                     8,  40, 9,  41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47,
                                     16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                     24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
  __m512i x = _mm512_maskz_loadu_epi16(there, first), y = _mm512_maskz_loadu_epi16(there, second);
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(x, _mm512_loadu_si512(order), y));
  _mm512_storeu_si512(to + CELL_VECTOR, _mm512_permutex2var_epi16(x, _mm512_loadu_si512(order + 32), y));
}

/* Columns [d, d + CELL_COLS) of two rows of V, interleaved; columns from D on are 0. */
static inline __attribute__((always_inline)) void decode_pairs_two(uint32_t *to, const char *first, const char *second,
                                                                   int64_t d, int64_t D, int dtype) {
  if (dtype == PAH_BF16 && d + CELL_COLS <= D) {
    decode_pairs_zip(to, first + d * 2, second + d * 2, ~0u);
    return;
  }
  if (dtype == PAH_BF16) {
    decode_pairs_zip(to, first + d * 2, second + d * 2, (1u << (D - d)) - 1);
    return;
  }
#pragma GCC unroll 2
  for (int64_t half = 0; half < CELL_COLS; half += CELL_VECTOR) {
    lanes_u32 x = (lanes_u32)pack_part(first, d + half, D, dtype);
    lanes_u32 y = (lanes_u32)pack_part(second, d + half, D, dtype);
    *(pack_words *)(to + half) = x >> 16 | (y & 0xffff0000u);
  }
}

/* V of a tile, two tokens in a word: panels of [DECODE_TOKENS / 2][CELL_COLS]. */
static inline __attribute__((always_inline)) void
decode_pairs_values_as(const struct decode_pairs *x, const char *const *rows, int dtype, struct decode_fetch *fetch) {
  for (int64_t j = 0; j < DECODE_TOKENS; j += 2) {
    const char *first = rows[j], *second = rows[j + 1];
    uint32_t *to = x->panels + j / 2 * CELL_COLS;
    int64_t D = x->D;
    for (int64_t d = 0; d < D; d += CELL_COLS) {
      decode_fetch_lines(fetch, dtype == PAH_BF16 ? 2 : 1);
      decode_pairs_two(to + d * (DECODE_TOKENS / 2), first, second, d, D, dtype);
    }
  }
}

/* With the tile unit all that is prefetched is so while K and V are packed, since products take less; else in cells. */
static void decode_pairs_pack_keys(const struct decode_pairs *x, const char *const *rows) {
  switch (x->dtype) {
  case PAH_BF16: decode_pairs_keys_as(x, rows, PAH_BF16, x->fetch); break;
  case PAH_FP8_E4M3: decode_pairs_keys_as(x, rows, PAH_FP8_E4M3, x->fetch); break;
  default: decode_pairs_keys_as(x, rows, PAH_FP8_E5M2, x->fetch);
  }
}

static void decode_pairs_pack_values(const struct decode_pairs *x, const char *const *rows) {
  struct decode_fetch none = {0}, *fetch = x->way == BF16_AMX ? x->fetch : &none;
  switch (x->dtype) {
  case PAH_BF16: decode_pairs_values_as(x, rows, PAH_BF16, fetch); break;
  case PAH_FP8_E4M3: decode_pairs_values_as(x, rows, PAH_FP8_E4M3, fetch); break;
  default: decode_pairs_values_as(x, rows, PAH_FP8_E5M2, fetch);
  }
}

/* Rows of K as pairs where they are not: fp8, widened one after the other. */
static inline __attribute__((always_inline)) void decode_pairs_widen_as(const struct decode_pairs *x, const char **rows,
                                                                        int dtype) {
  const int64_t words = x->D / 2, size = pack_word_bytes(dtype, 1);
  for (int64_t j = 0; j < DECODE_TOKENS; j++) {
    uint32_t *row = x->panels + j * words;
    int64_t w = 0;
    for (; w + CELL_VECTOR <= words; w += CELL_VECTOR)
      *(pack_words *)(row + w) = pack_load(rows[j] + w * size, dtype, 1);
    if (w < words) {
      char padded[CELL_VECTOR * 4] = {0};
      memcpy(padded, rows[j] + w * size, (size_t)((words - w) * size));
      lanes_u32 last = pack_load(padded, dtype, 1);
      memcpy(row + w, &last, (size_t)(words - w) * 4);
    }
    rows[j] = (const char *)row;
  }
}

/* ---- Products ----------------------------------------------------------------------------------------------- */

/* cell_dots of fewer rows, and `lines` of prefetch for each step, 0, 1 or 2; `rows`, lda and `lines` are constants. */
static inline __attribute__((always_inline)) void decode_pairs_cell(int rows, int64_t depth, const uint32_t *a,
                                                                    int64_t lda, const uint32_t *b, float *c,
                                                                    int64_t ldc, int add, int lines,
                                                                    struct decode_fetch *fetch) {
  __m512 sum[DECODE_PAIRS_ROWS][2];
#pragma GCC unroll 12
  for (int m = 0; m < rows; m++) {
    sum[m][0] = add ? _mm512_loadu_ps(c + m * ldc) : _mm512_setzero_ps();
    sum[m][1] = add ? _mm512_loadu_ps(c + m * ldc + CELL_VECTOR) : _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < depth; k++, a++, b += CELL_COLS) {
    __m512bh low = (__m512bh)_mm512_loadu_si512(b), high = (__m512bh)_mm512_loadu_si512(b + CELL_VECTOR);
    if (lines) decode_fetch_lines(fetch, lines);
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
      __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[m * lda]);
      sum[m][0] = _mm512_dpbf16_ps(sum[m][0], x, low);
      sum[m][1] = _mm512_dpbf16_ps(sum[m][1], x, high);
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < rows; m++) {
    _mm512_storeu_ps(c + m * ldc, sum[m][0]);
    _mm512_storeu_ps(c + m * ldc + CELL_VECTOR, sum[m][1]);
  }
}

/* The same for the next of `left` rows: 12, or 8 or 4 of the last. Returns how many. */
static inline __attribute__((always_inline)) int64_t decode_pairs_next(int64_t left, int64_t depth, const uint32_t *a,
                                                                       int64_t lda, const uint32_t *b, float *c,
                                                                       int64_t ldc, int add, int lines,
                                                                       struct decode_fetch *fetch) {
  if (left > 8) {
    decode_pairs_cell(12, depth, a, lda, b, c, ldc, add, lines, fetch);
    return 12;
  }
  if (left > 4) {
    decode_pairs_cell(8, depth, a, lda, b, c, ldc, add, lines, fetch);
    return 8;
  }
  decode_pairs_cell(4, depth, a, lda, b, c, ldc, add, 0, fetch);
  return 4;
}

/* A pair of K in memory, so that its broadcast is part of the load. */
typedef int decode_pairs_word __attribute__((aligned(2), may_alias));

/* q k of DECODE_PAIRS_LANES rows with DECODE_PAIRS_TOKENS rows of K: what belongs to a token is a vector of rows, so K
 * is read as it lies, element by element, and no sum across lanes is left. A line of prefetch for every two words. */
static inline __attribute__((always_inline)) void
decode_pairs_tokens(const uint32_t *q, int64_t words, const char *const *k, float *s, struct decode_fetch *fetch) {
  __m512 even[DECODE_PAIRS_TOKENS], odd[DECODE_PAIRS_TOKENS];
#pragma GCC unroll 8
  for (int j = 0; j < DECODE_PAIRS_TOKENS; j++) even[j] = odd[j] = _mm512_setzero_ps();
  for (int64_t w = 0; w < words; w += 2, q += 2 * DECODE_PAIRS_LANES) {
    __m512bh first = (__m512bh)_mm512_loadu_si512(q), second = (__m512bh)_mm512_loadu_si512(q + DECODE_PAIRS_LANES);
    decode_fetch_lines(fetch, 1);
#pragma GCC unroll 8
    for (int j = 0; j < DECODE_PAIRS_TOKENS; j++) {
      const decode_pairs_word *key = (const decode_pairs_word *)(k[j] + w * 4);
      even[j] = _mm512_dpbf16_ps(even[j], first, (__m512bh)_mm512_set1_epi32(key[0]));
      odd[j] = _mm512_dpbf16_ps(odd[j], second, (__m512bh)_mm512_set1_epi32(key[1]));
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < DECODE_PAIRS_TOKENS; j++)
    _mm512_storeu_ps(s + j * DECODE_PAIRS_LANES, _mm512_add_ps(even[j], odd[j]));
}

/* q k of all rows by vdpbf16ps. */
static void decode_pairs_dot(const struct decode_pairs *x, const uint32_t *q, const char *const *k, float *p) {
  struct decode_fetch *fetch = x->fetch, none = {0};
  for (int64_t r = 0; r < x->rows; r += DECODE_PAIRS_LANES, q += DECODE_PAIRS_LANES * x->D / 2, fetch = &none)
    for (int64_t half = 0; half < DECODE_TOKENS; half += CELL_VECTOR) {
      float s[CELL_VECTOR][DECODE_PAIRS_LANES];
      lanes_u32 square[CELL_VECTOR];
      for (int64_t j = 0; j < CELL_VECTOR; j += DECODE_PAIRS_TOKENS)
        decode_pairs_tokens(q, x->D / 2, k + half + j, s[j], fetch);
#pragma GCC unroll 16
      for (int i = 0; i < CELL_VECTOR; i++) square[i] = (lanes_u32)cell_load(s[i]);
      pack_transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < CELL_VECTOR; i++) cell_store(p + (r + i) * DECODE_TOKENS + half, (cell_vector)square[i]);
    }
}

/* p[r] = q[r] k for the rows of a KV head; k has DECODE_TOKENS rows. */
static void decode_pairs_scores(const struct decode_pairs *x, const uint32_t *q, const char **k, float *p) {
  const int64_t words = x->D / 2;
  if (BF16_HAS_AMX && x->way == BF16_AMX) {
    decode_pairs_pack_keys(x, k);
    for (int64_t r = 0; r < x->rows; r += AMX_ROWS)
      amx_run((struct amx_block){q + r * words, x->panels, p + r * DECODE_TOKENS, words, DECODE_TOKENS, DECODE_TOKENS,
                                 x->D / AMX_ROWS, x->rows - r > AMX_SIDE, 0});
    return;
  }
  if (x->dtype == PAH_FP8_E4M3) decode_pairs_widen_as(x, k, PAH_FP8_E4M3);
  if (x->dtype == PAH_FP8_E5M2) decode_pairs_widen_as(x, k, PAH_FP8_E5M2);
  decode_pairs_dot(x, q, k, p);
}

/* o += P V of all rows by vdpbf16ps. */
static void decode_pairs_weigh(const struct decode_pairs *x, const uint32_t *p, float *o, int64_t ld) {
  struct decode_fetch *fetch = x->fetch, none = {0};
  int64_t done = 0;
  for (int64_t r = 0; r < x->rows; r += done, fetch = x->rows < 24 ? &none : x->fetch)
    for (int64_t d = 0; d < x->D; d += CELL_COLS) {
      const uint32_t *panel = x->panels + d * (DECODE_TOKENS / 2), *from = p + r * DECODE_TOKENS;
      if (x->dtype == PAH_BF16 && x->rows < 24)
        done = decode_pairs_next(x->rows - r, DECODE_TOKENS / 2, from, DECODE_TOKENS, panel, o + r * ld + d, ld, 1, 2,
                                 fetch);
      else
        done = decode_pairs_next(x->rows - r, DECODE_TOKENS / 2, from, DECODE_TOKENS, panel, o + r * ld + d, ld, 1, 1,
                                 fetch);
    }
}

/* o[r] += p[r] v; p, which is f32, becomes pairs of bf16 in place. Rows of v from `tokens` on are left out. */
static void decode_pairs_values(const struct decode_pairs *x, float *p, int64_t tokens, const char **v, float *o,
                                int64_t ld) {
  for (int64_t j = tokens; j < DECODE_TOKENS; j++) v[j] = pack_zeros; /* 0 times an infinity would be NaN */
  decode_pairs_pack_values(x, v);
  for (int64_t r = 0; r < x->rows; r++) {
    float *row = p + r * DECODE_TOKENS;
    cell_store(row, (cell_vector)lanes_to_bf16x2(cell_load(row), cell_load(row + CELL_VECTOR)));
  }
  if (!BF16_HAS_AMX || x->way != BF16_AMX) {
    decode_pairs_weigh(x, (const uint32_t *)p, o, ld);
    return;
  }
  for (int64_t r = 0; r < x->rows; r += AMX_ROWS)
    for (int64_t d = 0; d < x->D; d += CELL_COLS)
      amx_run((struct amx_block){(const uint32_t *)p + r * DECODE_TOKENS, x->panels + d * (DECODE_TOKENS / 2),
                                 o + r * ld + d, DECODE_TOKENS, CELL_COLS, ld, 1, x->rows - r > AMX_SIDE, 1});
}
#else
static inline void decode_pairs_scores(const struct decode_pairs *x, const uint32_t *q, const char **k, float *p) {
  (void)x, (void)q, (void)k, (void)p;
}

static inline void decode_pairs_values(const struct decode_pairs *x, float *p, int64_t tokens, const char **v, float *o,
                                       int64_t ld) {
  (void)x, (void)p, (void)tokens, (void)v, (void)o, (void)ld;
}
#endif

#endif
