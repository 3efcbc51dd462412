/* cpu/decode/amx.h - decode of many heads that share a KV head by the tile unit (cpu/gemm/amx.h): a tile of 32 tokens
 * is then a product of all heads' q with K, and of their P with V, of which only the packing of K and V takes vectors.
 * By multiply-adds such groups are bound by the core (many_heads.h), so by memory again. Read next: tile.h, which
 * calls. */
#ifndef PAH_CPU_DECODE_AMX_H
#define PAH_CPU_DECODE_AMX_H

#include "qk_pv.h"
#include "cpu/gemm/amx.h"
#include "cpu/gemm/pack.h"

_Static_assert(!BF16_HAS_AMX || (int)DECODE_TOKENS == (int)AMX_ROWS, "the tokens of a tile are one step and one block");

/* K of a tile in pairs, transposed: [D / 2][DECODE_TOKENS]. A line of prefetch for every line that is read. */
static inline __attribute__((always_inline)) void decode_amx_keys_as(uint32_t *panel, const char *const *rows,
                                                                     int64_t D, int dtype, struct decode_fetch *fetch) {
  const int64_t size = pack_word_bytes(dtype, 1);
  for (int64_t key = 0; key < DECODE_TOKENS; key += CELL_VECTOR)
    for (int64_t w = 0; w < D / 2; w += CELL_VECTOR) {
      lanes_u32 square[CELL_VECTOR];
      decode_fetch_lines(fetch, 8);
#pragma GCC unroll 16
      for (int j = 0; j < CELL_VECTOR; j++) square[j] = pack_load(rows[key + j] + w * size, dtype, 1);
      pack_transpose(square);
      if (size == 4) decode_fetch_lines(fetch, 8);
#pragma GCC unroll 16
      for (int i = 0; i < CELL_VECTOR; i++) *(pack_words *)(panel + (w + i) * DECODE_TOKENS + key) = square[i];
    }
}

/* p[h] = q[h] k for the heads of a group, q in pairs [group][D / 2]. */
static void decode_amx_scores(const uint32_t *q, int64_t D, int64_t group, const char *const *k, int dtype,
                              uint32_t *panel, float *p, struct decode_fetch *fetch) {
  switch (dtype) {
  case PAH_BF16: decode_amx_keys_as(panel, k, D, PAH_BF16, fetch); break;
  case PAH_FP8_E4M3: decode_amx_keys_as(panel, k, D, PAH_FP8_E4M3, fetch); break;
  default: decode_amx_keys_as(panel, k, D, PAH_FP8_E5M2, fetch);
  }
  for (int64_t h = 0; h < group; h += AMX_ROWS)
    amx_run((struct amx_block){q + h * D / 2, panel, p + h * DECODE_TOKENS, D / 2, DECODE_TOKENS, DECODE_TOKENS,
                               D / AMX_ROWS, group - h > AMX_SIDE, 0});
}

/* V of a tile, two tokens in a word: panels of [DECODE_TOKENS / 2][CELL_COLS]. */
static inline __attribute__((always_inline)) void
decode_amx_pack_values(uint32_t *panels, const char *const *rows, int64_t D, int dtype, struct decode_fetch *fetch) {
  const int64_t size = pack_word_bytes(dtype, 0);
  for (int64_t j = 0; j < DECODE_TOKENS; j += 2)
    for (int64_t d = 0; d < D; d += CELL_COLS) {
      decode_fetch_lines(fetch, size);
#pragma GCC unroll 2
      for (int64_t half = 0; half < CELL_COLS; half += CELL_VECTOR) {
        lanes_u32 x = (lanes_u32)lanes_load(rows[j] + (d + half) * size, dtype);
        lanes_u32 y = (lanes_u32)lanes_load(rows[j + 1] + (d + half) * size, dtype);
        *(pack_words *)(panels + d * (DECODE_TOKENS / 2) + j / 2 * CELL_COLS + half) = x >> 16 | (y & 0xffff0000u);
      }
    }
}

/* o[h] += p[h] v; p, which is f32, becomes pairs of bf16 in place. Rows of v from `tokens` on are left out. */
static void decode_amx_weigh(float *p, int64_t tokens, const char **v, int dtype, int64_t D, int64_t group,
                             uint32_t *panels, float *o, int64_t ld, struct decode_fetch *fetch) {
  for (int64_t j = tokens; j < DECODE_TOKENS; j++) v[j] = pack_zeros; /* 0 times an infinity would be NaN */
  switch (dtype) {
  case PAH_BF16: decode_amx_pack_values(panels, v, D, PAH_BF16, fetch); break;
  case PAH_FP8_E4M3: decode_amx_pack_values(panels, v, D, PAH_FP8_E4M3, fetch); break;
  default: decode_amx_pack_values(panels, v, D, PAH_FP8_E5M2, fetch);
  }
  for (int64_t h = 0; h < group; h++) {
    float *row = p + h * DECODE_TOKENS;
    cell_store(row, (cell_vector)lanes_to_bf16x2(cell_load(row), cell_load(row + CELL_VECTOR)));
  }
  for (int64_t h = 0; h < group; h += AMX_ROWS)
    for (int64_t d = 0; d < D; d += CELL_COLS)
      amx_run((struct amx_block){(const uint32_t *)p + h * DECODE_TOKENS, panels + d * (DECODE_TOKENS / 2),
                                 o + h * ld + d, DECODE_TOKENS, CELL_COLS, ld, 1, group - h > AMX_SIDE, 1});
}

#endif
