/* cpu/backward/products_bf16.h - the five products on pairs of bf16. A pair lies along what is summed over: S and dP go
 * along D and find the rows as the cache holds them; dQ goes along keys; dK and dV go along query rows, so that P and
 * dS are written two rows together, and dS along its row as well. Read next: cpu/gemm/bf16.h, products_amx.h. */
#ifndef PAH_CPU_BACKWARD_PRODUCTS_BF16_H
#define PAH_CPU_BACKWARD_PRODUCTS_BF16_H

#include "products_f32.h"
#include "cpu/gemm/bf16.h"

#if defined(__AVX512BF16__)
/* P and dS of rows m and m + 1 to pairs of bf16; a row behind the last counts as 0. */
static void bwd_bf16_of_rows(const struct bwd_tile *t, int64_t m, int64_t rows, int64_t cols) {
  const float *p = t->s + m * BWD_SCORES_LD, *ds = t->dp + m * BWD_SCORES_LD;
  __mmask16 second = m + 1 < rows ? 0xffff : 0;
  __m512i interleave; /* 0, 16, 1, 17, ...: words of one row and the other, interleaved */
  for (int i = 0; i < 32; i++) ((uint16_t *)&interleave)[i] = (uint16_t)(i / 2 + i % 2 * 16);
  for (int64_t c = 0; c < cols; c += CELL_VECTOR) {
    __m512 p0 = _mm512_loadu_ps(p + c), p1 = _mm512_maskz_loadu_ps(second, p + BWD_SCORES_LD + c);
    __m512 ds0 = _mm512_loadu_ps(ds + c), ds1 = _mm512_maskz_loadu_ps(second, ds + BWD_SCORES_LD + c);
    __m512i both_p = (__m512i)_mm512_cvtne2ps_pbh(p1, p0), both_ds = (__m512i)_mm512_cvtne2ps_pbh(ds1, ds0);
    int64_t to = m / 2 * BWD_SCORES_LD + c;
    _mm512_storeu_si512(t->p_bf16x2 + to, _mm512_permutexvar_epi16(interleave, both_p));
    _mm512_storeu_si512(t->ds_bf16x2 + to, _mm512_permutexvar_epi16(interleave, both_ds));
    _mm256_storeu_si256((__m256i *)(t->ds_rows + m * BWD_DS_LD + c / 2), _mm512_castsi512_si256(both_ds));
    _mm256_storeu_si256((__m256i *)(t->ds_rows + (m + 1) * BWD_DS_LD + c / 2), _mm512_extracti64x4_epi64(both_ds, 1));
  }
}

/* c += the visible of two rows of b, weighed with the two halves of `weights`. Columns are in panels. */
static void bwd_bf16_add(float *c, int64_t c_panel, const uint32_t *b, int64_t b_panel, uint32_t weights,
                         uint32_t visible, int64_t padded) {
  for (int64_t d = 0; d < padded; d += CELL_VECTOR) {
    float *to = c + d / CELL_COLS * c_panel + d % CELL_COLS;
    __m512i both = _mm512_loadu_si512(b + d / CELL_COLS * b_panel + d % CELL_COLS);
    both = _mm512_and_si512(both, _mm512_set1_epi32((int)visible));
    _mm512_storeu_ps(to,
                     _mm512_dpbf16_ps(_mm512_loadu_ps(to), (__m512bh)_mm512_set1_epi32((int)weights), (__m512bh)both));
  }
}
#else
static void bwd_bf16_of_rows(const struct bwd_tile *t, int64_t m, int64_t rows, int64_t cols) {
  (void)t, (void)m, (void)rows, (void)cols;
}

static void bwd_bf16_add(float *c, int64_t c_panel, const uint32_t *b, int64_t b_panel, uint32_t weights,
                         uint32_t visible, int64_t padded) {
  (void)c, (void)c_panel, (void)b, (void)b_panel, (void)weights, (void)visible, (void)padded;
}
#endif

/* bwd_f32_scores. */
BWD_PRODUCT bwd_bf16_scores_as(const struct tile_mask *mask, const struct tile_step *at, int64_t D, const uint32_t *a,
                               const uint32_t *panels, float *c, int64_t ld) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += D / 2 * CELL_COLS) {
    int64_t first, end;
    bwd_rows_at(mask, at, key, CELL_COLS, &first, &end);
    for (int64_t m = first; m < end; m += CELL_ROWS)
      cell_dots(D / 2, (struct cell_bf16x2){a + m * ld, ld, 1}, panels, CELL_COLS, c + m * BWD_SCORES_LD + key,
                BWD_SCORES_LD, 0);
  }
}

static void bwd_bf16_scores(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                            int64_t D, const uint32_t *a, const uint32_t *panels, float *c) {
  BWD_EITHER_LD(t, bwd_bf16_scores_as, mask, at, D, a, panels, c);
}

/* bwd_f32_add_keys; b is in panels. The rows are rounded to pairs outward: P and dS are 0 where nothing is visible. */
BWD_PRODUCT bwd_bf16_add_keys_as(const struct tile_mask *mask, const struct tile_step *at, int64_t padded,
                                 const uint32_t *a, const uint32_t *b, float *c, int64_t ld) {
  for (int64_t d = 0; d < padded; d += CELL_COLS, b += BWD_ROWS / 2 * CELL_COLS)
    for (int64_t key = 0; key < at->keys; key += CELL_ROWS) {
      int64_t first, end;
      bwd_rows_at(mask, at, key, CELL_ROWS, &first, &end);
      if (first >= end) continue;
      first /= 2;
      cell_dots((end + 1) / 2 - first, (struct cell_bf16x2){a + first * BWD_SCORES_LD + key, 1, BWD_SCORES_LD},
                b + first * CELL_COLS, CELL_COLS, c + key * ld + d, ld, 1);
    }
}

static void bwd_bf16_add_keys(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                              int64_t padded, const uint32_t *a, const uint32_t *b, float *c) {
  BWD_EITHER_LD(t, bwd_bf16_add_keys_as, mask, at, padded, a, b, c);
}

/* bwd_f32_add_rows. */
static void bwd_bf16_add_rows(const struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                              float *dq) {
  const uint32_t *b = t->k_bf16x2;
  for (int64_t d = 0; d < t->padded; d += CELL_COLS) {
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      bwd_keys_at(mask, at, m, CELL_ROWS, &first, &end);
      if (first >= end) continue;
      first /= 2;
      cell_dots((end + 1) / 2 - first, (struct cell_bf16x2){t->ds_rows + m * BWD_DS_LD + first, BWD_DS_LD, 1},
                b + first * CELL_COLS, CELL_COLS, dq + m * CELL_COLS, CELL_COLS, 1);
    }
    b += BWD_KEYS / 2 * CELL_COLS;
    dq += bwd_dq_rows(at->rows) * CELL_COLS;
  }
}

/* bwd_f32_add_nonfinite_keys and bwd_f32_add_nonfinite_rows: the same sums in the same order, and what is not visible
 * is 0 on both sides. So where no NaN gets to, the result has the same bits as without it. */
static void bwd_bf16_add_nonfinite_keys(const struct bwd_tile *t, const struct tile_mask *mask,
                                        const struct tile_step *at, int64_t padded, const uint32_t *a,
                                        const uint32_t *b, float *c) {
  for (int64_t m = 0; m < at->rows; m += 2) {
    int64_t first[2] = {0}, end[2] = {0};
    for (int64_t i = 0; i < 2 && m + i < at->rows; i++)
      if (t->lse[m + i] != -INFINITY) bwd_keys_at(mask, at, m + i, 1, &first[i], &end[i]);
    for (int64_t key = 0; key < at->keys; key++) {
      uint32_t visible =
          (key >= first[0] && key < end[0] ? 0xffffu : 0) | (key >= first[1] && key < end[1] ? ~0xffffu : 0);
      if (visible)
        bwd_bf16_add(c + key * t->ld, CELL_COLS, b + m / 2 * CELL_COLS, BWD_ROWS / 2 * CELL_COLS,
                     a[m / 2 * BWD_SCORES_LD + key], visible, padded);
    }
  }
}

static void bwd_bf16_add_nonfinite_rows(const struct bwd_tile *t, const struct tile_mask *mask,
                                        const struct tile_step *at, float *dq) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    bwd_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t key = first / 2 * 2; key < end; key += 2) {
      uint32_t visible = (key >= first ? 0xffffu : 0) | (key + 1 < end ? ~0xffffu : 0);
      bwd_bf16_add(dq + m * CELL_COLS, bwd_dq_rows(at->rows) * CELL_COLS, t->k_bf16x2 + key / 2 * CELL_COLS,
                   BWD_KEYS / 2 * CELL_COLS, t->ds_rows[m * BWD_DS_LD + key / 2], visible, t->padded);
    }
  }
}

#endif
