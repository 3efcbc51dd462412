/* cpu/backward/products_amx.h - the five products of products_bf16.h by the tile unit. Its A lies in rows: q, dout and
 * dS do. For dK and dV, which sum over query rows, P and dS in pairs of rows are the unit's B as they are; so q and
 * dout are transposed, once for a tile of rows, and dK and dV are summed up transposed, [D][BWD_AMX_KEYS_LD], until
 * they are stored. Read next: cpu/gemm/amx.h. */
#ifndef PAH_CPU_BACKWARD_PRODUCTS_AMX_H
#define PAH_CPU_BACKWARD_PRODUCTS_AMX_H

#include "tile.h"
#include "cpu/gemm/amx.h"
#include "cpu/gemm/pack.h"

/* Words of a row of q or dout transposed: an odd number of lines. */
enum { BWD_AMX_ROWS_LD = BWD_ROWS / 2, BWD_AMX_KEYS_LD = BWD_SCORES_LD };

_Static_assert(!BF16_HAS_AMX || (BWD_ROWS % AMX_ROWS == 0 && BWD_KEYS % AMX_ROWS == 0), "tiles are whole blocks");

/* bwd_f32_scores. */
static void bwd_amx_scores(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                           int64_t D, const uint32_t *a, const uint32_t *panels, float *c) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += D / 2 * CELL_COLS) {
    int64_t first, end;
    bwd_rows_at(mask, at, key, CELL_COLS, &first, &end);
    for (int64_t m = first / AMX_ROWS * AMX_ROWS; m < end; m += AMX_ROWS)
      amx_run((struct amx_block){a + m * t->ld, panels, c + m * BWD_SCORES_LD + key, t->ld, CELL_COLS, BWD_SCORES_LD,
                                 D / AMX_ROWS, at->rows - m > AMX_SIDE, 0});
  }
}

/* P and dS of the rows behind the last, up to a whole block, which q and dout are 0 for, must be numbers. */
static void bwd_amx_clear_rows(const struct bwd_tile *t, int64_t rows) {
  for (int64_t n = (rows + 1) / 2; n < (rows + AMX_ROWS - 1) / AMX_ROWS * AMX_SIDE; n++) {
    memset(t->p_bf16x2 + n * BWD_SCORES_LD, 0, BWD_SCORES_LD * 4);
    memset(t->ds_bf16x2 + n * BWD_SCORES_LD, 0, BWD_SCORES_LD * 4);
  }
}

/* bwd_f32_add_keys with everything transposed: c[d][key] += sum over rows of a[d][row] b[row][key]. */
static void bwd_amx_add_keys(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                             int64_t D, const uint32_t *a, const uint32_t *b, float *c) {
  (void)t;
  for (int64_t key = 0; key < at->keys; key += CELL_COLS) {
    int64_t first, end;
    bwd_rows_at(mask, at, key, CELL_COLS, &first, &end);
    if (first >= end) continue;
    first /= AMX_ROWS;
    int64_t steps = (end + AMX_ROWS - 1) / AMX_ROWS - first, pair = first * AMX_SIDE;
    for (int64_t d = 0; d < D; d += AMX_ROWS)
      amx_run((struct amx_block){a + d * BWD_AMX_ROWS_LD + pair, b + pair * BWD_SCORES_LD + key,
                                 c + d * BWD_AMX_KEYS_LD + key, BWD_AMX_ROWS_LD, BWD_SCORES_LD, BWD_AMX_KEYS_LD, steps,
                                 1, 1});
  }
}

/* bwd_f32_add_rows. */
static void bwd_amx_add_rows(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                             float *dq) {
  const uint32_t *b = t->k_bf16x2;
  for (int64_t d = 0; d < t->D; d += CELL_COLS) {
    for (int64_t m = 0; m < at->rows; m += AMX_ROWS) {
      int64_t first, end;
      bwd_keys_at(mask, at, m, AMX_ROWS, &first, &end);
      if (first >= end) continue;
      first /= AMX_ROWS;
      amx_run((struct amx_block){t->ds_rows + m * BWD_DS_LD + first * AMX_SIDE, b + first * AMX_SIDE * CELL_COLS,
                                 dq + m * CELL_COLS, BWD_DS_LD, CELL_COLS, CELL_COLS,
                                 (end + AMX_ROWS - 1) / AMX_ROWS - first, at->rows - m > AMX_SIDE, 1});
    }
    b += BWD_KEYS / 2 * CELL_COLS;
    dq += bwd_dq_rows(at->rows) * CELL_COLS;
  }
}

/* Panels of pairs of rows [rows / 2][CELL_COLS] to [D][BWD_AMX_ROWS_LD]. */
static void bwd_amx_transpose(uint32_t *to, const uint32_t *panels, int64_t rows, int64_t D) {
  for (int64_t d = 0; d < D; d += AMX_SIDE)
    for (int64_t pair = 0; pair < rows / 2; pair += AMX_SIDE) {
      const uint32_t *from = panels + d / CELL_COLS * (BWD_ROWS / 2 * CELL_COLS) + pair * CELL_COLS + d % CELL_COLS;
      lanes_u32 square[CELL_VECTOR];
      for (int i = 0; i < AMX_SIDE; i++) square[i] = *(const pack_words *)(from + i * CELL_COLS);
      pack_transpose(square);
      for (int i = 0; i < AMX_SIDE; i++) *(pack_words *)(to + (d + i) * BWD_AMX_ROWS_LD + pair) = square[i];
    }
}

/* AMX_SIDE rows of dk or dv, from key j on, out of the transposed sums. */
static void bwd_amx_rows_of(const float *c, int64_t j, int64_t D, float rows[AMX_SIDE][PAH_MAX_D]) {
  for (int64_t d = 0; d < D; d += AMX_SIDE) {
    lanes_u32 square[CELL_VECTOR];
    for (int i = 0; i < AMX_SIDE; i++) square[i] = *(const pack_words *)(c + (d + i) * BWD_AMX_KEYS_LD + j);
    pack_transpose(square);
    for (int i = 0; i < AMX_SIDE; i++) *(pack_words *)(rows[i] + d) = square[i];
  }
}

/* bwd_f32_add_nonfinite_keys, transposed: nothing but the visible pairs, one at a time. */
static void bwd_amx_add_nonfinite_keys(const struct bwd_tile *t, const struct tile_mask *mask,
                                       const struct tile_step *at, int64_t D, const uint32_t *a, const uint32_t *b,
                                       float *c) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end, shift = m % 2 ? 0 : 16;
    bwd_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t d = 0; d < D; d++)
      for (int64_t key = first; key < end; key++) {
        uint32_t x = a[d * BWD_AMX_ROWS_LD + m / 2] << shift & 0xffff0000u;
        uint32_t y = b[m / 2 * BWD_SCORES_LD + key] << shift & 0xffff0000u;
        float f, g;
        memcpy(&f, &x, sizeof f);
        memcpy(&g, &y, sizeof g);
        c[d * BWD_AMX_KEYS_LD + key] += f * g;
      }
  }
}

#endif
