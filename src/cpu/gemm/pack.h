/* cpu/gemm/pack.h - rows of K and V, wherever the block table put them, into panels that the register tiles read
 * straight through: words of CELL_COLS columns, [depth][CELL_COLS]. A word is an f32, or a pair of bf16 for bf16.h.
 * This is also where f16, bf16 and fp8 are converted, once for all rows of a query tile. At D = 128 a tile of keys is
 * packed in 3 to 4 % of the time of the products with it. Read next: cpu/forward/tile.h. */
#ifndef PAH_CPU_GEMM_PACK_H
#define PAH_CPU_GEMM_PACK_H

#include "bf16.h"
#include "cpu/isa.h"
#include "cpu/vec/lanes.h"

/* What stands in for rows that a panel has too many. */
static const _Alignas(64) char pack_zeros[PAH_MAX_D * 4];

typedef uint32_t pack_words __attribute__((vector_size(CELL_VECTOR * 4), aligned(4), may_alias));

/* The same where a row of the cache begins: at any element, and those of bf16 have 2 bytes. */
typedef uint32_t pack_pairs __attribute__((vector_size(CELL_VECTOR * 4), aligned(2), may_alias));

/* Lanes of two vectors interleaved: of their first halves, of their second halves. */
#if defined(__AVX512F__)
#define PACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define PACK_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif defined(__AVX__)
#define PACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define PACK_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define PACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define PACK_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* A square of words, transposed: rows i and i + n/2 are interleaved log2(n) times, as a deck of cards is shuffled. */
static inline __attribute__((always_inline)) void pack_transpose(lanes_u32 row[CELL_VECTOR]) {
#pragma GCC unroll 4
  for (int step = 1; step < CELL_VECTOR; step *= 2) {
    lanes_u32 next[CELL_VECTOR];
#pragma GCC unroll 8
    for (int i = 0; i < CELL_VECTOR / 2; i++) {
      next[2 * i] = PACK_LOW(row[i], row[i + CELL_VECTOR / 2]);
      next[2 * i + 1] = PACK_HIGH(row[i], row[i + CELL_VECTOR / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < CELL_VECTOR; i++) row[i] = next[i];
  }
}

/* ---- K: one column per token, one row of words per element or pair ---------------------------------------------- */

/* Bytes of a word's elements in a row of the cache. */
static inline int64_t pack_word_bytes(int dtype, int bf16x2) {
  int64_t size = dtype == PAH_F32 ? 4 : dtype == PAH_F16 || dtype == PAH_BF16 ? 2 : 1;
  return bf16x2 ? 2 * size : size;
}

/* CELL_VECTOR words of a row; `bf16x2` only of what bf16 holds exactly. */
static inline __attribute__((always_inline)) lanes_u32 pack_load(const char *p, int dtype, int bf16x2) {
  if (BF16_HAS_DOTS && bf16x2 && dtype == PAH_BF16) return *(const pack_pairs *)p;
  if (BF16_HAS_DOTS && bf16x2) return lanes_to_bf16x2(lanes_load(p, dtype), lanes_load(p + CELL_VECTOR, dtype));
  return (lanes_u32)lanes_load(p, dtype);
}

/* `words` of each row, as many columns as there are rows: a multiple of CELL_COLS. */
static inline __attribute__((always_inline)) void pack_keys_as(uint32_t *panels, const char *const *rows, int64_t keys,
                                                               int64_t words, int dtype, int bf16x2) {
  int64_t size = pack_word_bytes(dtype, bf16x2);
  for (int64_t key = 0; key < keys; key += CELL_VECTOR) {
    uint32_t *panel = panels + key / CELL_COLS * CELL_COLS * words + key % CELL_COLS;
    int64_t w = 0;
    for (; w + CELL_VECTOR <= words; w += CELL_VECTOR) {
      lanes_u32 square[CELL_VECTOR];
#pragma GCC unroll 16
      for (int j = 0; j < CELL_VECTOR; j++) square[j] = pack_load(rows[key + j] + w * size, dtype, bf16x2);
      pack_transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < CELL_VECTOR; i++) *(pack_words *)(panel + (w + i) * CELL_COLS) = square[i];
    }
    if (w == words) continue;
    lanes_u32 square[CELL_VECTOR]; /* the last words by way of a whole vector: nothing behind the row is read */
    for (int j = 0; j < CELL_VECTOR; j++) {
      _Alignas(64) char padded[CELL_VECTOR * 4] = {0};
      memcpy(padded, rows[key + j] + w * size, (size_t)((words - w) * size));
      square[j] = pack_load(padded, dtype, bf16x2);
    }
    pack_transpose(square);
    for (int i = 0; i < words - w; i++) *(pack_words *)(panel + (w + i) * CELL_COLS) = square[i];
  }
}

/* Panels of K from `keys` rows, whose list goes on with pack_zeros up to a multiple of CELL_COLS. */
static void pack_keys(uint32_t *panels, const char *const *rows, int64_t keys, int64_t D, int dtype, int bf16x2) {
  keys = (keys + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  if (BF16_HAS_DOTS && bf16x2) {
    switch (dtype) {
    case PAH_BF16: pack_keys_as(panels, rows, keys, D / 2, PAH_BF16, 1); break;
    case PAH_FP8_E4M3: pack_keys_as(panels, rows, keys, D / 2, PAH_FP8_E4M3, 1); break;
    default: pack_keys_as(panels, rows, keys, D / 2, PAH_FP8_E5M2, 1);
    }
    return;
  }
  switch (dtype) {
  case PAH_F32: pack_keys_as(panels, rows, keys, D, PAH_F32, 0); break;
  case PAH_F16: pack_keys_as(panels, rows, keys, D, PAH_F16, 0); break;
  case PAH_BF16: pack_keys_as(panels, rows, keys, D, PAH_BF16, 0); break;
  case PAH_FP8_E4M3: pack_keys_as(panels, rows, keys, D, PAH_FP8_E4M3, 0); break;
  default: pack_keys_as(panels, rows, keys, D, PAH_FP8_E5M2, 0);
  }
}

/* ---- V: one row of words per token or pair of tokens ------------------------------------------------------------- */

/* A vector of a row from element d on, 0 past D. */
static inline __attribute__((always_inline)) cell_vector pack_part(const char *row, int64_t d, int64_t D, int dtype) {
  int64_t size = pack_word_bytes(dtype, 0);
  if (d + CELL_VECTOR <= D) return lanes_load(row + d * size, dtype);
  _Alignas(64) char padded[CELL_VECTOR * 4] = {0};
  if (d < D) memcpy(padded, row + d * size, (size_t)((D - d) * size));
  return lanes_load(padded, dtype);
}

/* The larger magnitudes as integers: from the infinities' on they belong to no number. A sum of x * 0 would tell too,
 * but each of its additions waits four cycles for the last. */
static inline __attribute__((always_inline)) lanes_u32 pack_larger(lanes_u32 largest, cell_vector x) {
  lanes_u32 magnitude = (lanes_u32)x & 0x7fffffff;
#if defined(__AVX512F__)
  return (lanes_u32)_mm512_max_epu32((__m512i)magnitude, (__m512i)largest);
#elif defined(__AVX2__)
  return (lanes_u32)_mm256_max_epu32((__m256i)magnitude, (__m256i)largest);
#else
  lanes_u32 more = (lanes_u32)(magnitude > largest);
  return (magnitude & more) | (largest & ~more);
#endif
}

/* Returns 1 if any element is NaN or infinite. */
static inline __attribute__((always_inline)) int pack_values_as(uint32_t *panels, int64_t panel,
                                                                const char *const *rows, int64_t keys, int64_t D,
                                                                int dtype, int bf16x2) {
  lanes_u32 largest = {0};
  int64_t step = bf16x2 ? 2 : 1;
  int64_t padded = (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  for (int64_t key = 0; key < keys; key += step, panels += CELL_COLS)
    for (int64_t d = 0; d < padded; d += CELL_VECTOR) {
      uint32_t *to = panels + d / CELL_COLS * panel + d % CELL_COLS;
      cell_vector x = pack_part(rows[key], d, D, dtype);
      largest = pack_larger(largest, x);
      if (bf16x2) {
        cell_vector y = pack_part(rows[key + 1], d, D, dtype);
        largest = pack_larger(largest, y);
        *(pack_words *)to = (lanes_u32)x >> 16 | ((lanes_u32)y & 0xffff0000u);
      } else {
        *(pack_words *)to = (lanes_u32)x;
      }
    }
  int nonfinite = 0;
  for (int i = 0; i < CELL_VECTOR; i++) nonfinite |= largest[i] >= 0x7f800000;
  return nonfinite;
}

/* Panels of V, `panel` words apart, from `keys` rows; for bf16x2 the list goes on with pack_zeros up to an even number.
 * Columns past D become 0. */
static int pack_values(uint32_t *panels, int64_t panel, const char *const *rows, int64_t keys, int64_t D, int dtype,
                       int bf16x2) {
  if (BF16_HAS_DOTS && bf16x2) {
    switch (dtype) {
    case PAH_BF16: return pack_values_as(panels, panel, rows, keys, D, PAH_BF16, 1);
    case PAH_FP8_E4M3: return pack_values_as(panels, panel, rows, keys, D, PAH_FP8_E4M3, 1);
    default: return pack_values_as(panels, panel, rows, keys, D, PAH_FP8_E5M2, 1);
    }
  }
  switch (dtype) {
  case PAH_F32: return pack_values_as(panels, panel, rows, keys, D, PAH_F32, 0);
  case PAH_F16: return pack_values_as(panels, panel, rows, keys, D, PAH_F16, 0);
  case PAH_BF16: return pack_values_as(panels, panel, rows, keys, D, PAH_BF16, 0);
  case PAH_FP8_E4M3: return pack_values_as(panels, panel, rows, keys, D, PAH_FP8_E4M3, 0);
  default: return pack_values_as(panels, panel, rows, keys, D, PAH_FP8_E5M2, 0);
  }
}

#endif
