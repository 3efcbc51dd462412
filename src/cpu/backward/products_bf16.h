/* products_bf16.h - the five products on pairs of bf16. A pair lies along what is summed over: S and dP go along D
 * and find the rows as the cache holds them; dQ goes along keys; dK and dV go along query rows, so that P and dS are
 * written two rows together, and dS along its row as well. Read next: cpu/gemm/bf16.h, products_amx.h. */
#ifndef PAH_CPU_BACKWARD_PAIRS_H
#define PAH_CPU_BACKWARD_PAIRS_H

#include "products_amx.h"

#if defined(__AVX512BF16__)

/* tile_scores. */
static void pairs_scores(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                         const uint32_t *a, const uint32_t *panels, float *c) {
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += t->D / 2 * CELL_COLS) {
    int64_t first, end;
    tile_rows_at(mask, at, key, CELL_COLS, &first, &end);
    for (int64_t m = first; m < end; m += CELL_ROWS)
      cell_dots(t->D / 2, (struct cell_pairs){a + m * TILE_LD, TILE_LD, 1}, panels, CELL_COLS,
                c + m * TILE_SCORES + key, TILE_SCORES, 0);
  }
}

/* P and dS of rows m and m + 1 to pairs; a row behind the last counts as 0. */
static void pairs_of_rows(const struct tile *t, int64_t m, int64_t rows, int64_t cols) {
  const float *p = t->s + m * TILE_SCORES, *ds = t->dp + m * TILE_SCORES;
  __mmask16 second = m + 1 < rows ? 0xffff : 0;
  __m512i turns; /* 0, 16, 1, 17, ...: words of one row and the other in turns */
  for (int i = 0; i < 32; i++) ((uint16_t *)&turns)[i] = (uint16_t)(i / 2 + i % 2 * 16);
  for (int64_t c = 0; c < cols; c += CELL_VECTOR) {
    __m512 p0 = _mm512_loadu_ps(p + c), p1 = _mm512_maskz_loadu_ps(second, p + TILE_SCORES + c);
    __m512 ds0 = _mm512_loadu_ps(ds + c), ds1 = _mm512_maskz_loadu_ps(second, ds + TILE_SCORES + c);
    __m512i both_p = (__m512i)_mm512_cvtne2ps_pbh(p1, p0), both_ds = (__m512i)_mm512_cvtne2ps_pbh(ds1, ds0);
    int64_t to = m / 2 * TILE_SCORES + c;
    _mm512_storeu_si512(t->p_pairs + to, _mm512_permutexvar_epi16(turns, both_p));
    _mm512_storeu_si512(t->ds_pairs + to, _mm512_permutexvar_epi16(turns, both_ds));
    _mm256_storeu_si256((__m256i *)(t->ds_rows + m * TILE_HALF + c / 2), _mm512_castsi512_si256(both_ds));
    _mm256_storeu_si256((__m256i *)(t->ds_rows + (m + 1) * TILE_HALF + c / 2), _mm512_extracti64x4_epi64(both_ds, 1));
  }
}

/* tile_add_keys; b is in panels. The rows are rounded to pairs outward: P and dS are 0 where nothing is visible. */
static void pairs_add_keys(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                           const uint32_t *a, const uint32_t *b, float *c) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS, b += TILE_ROWS / 2 * CELL_COLS)
    for (int64_t key = 0; key < at->keys; key += CELL_ROWS) {
      int64_t first, end;
      tile_rows_at(mask, at, key, CELL_ROWS, &first, &end);
      if (first >= end) continue;
      first /= 2;
      cell_dots((end + 1) / 2 - first, (struct cell_pairs){a + first * TILE_SCORES + key, 1, TILE_SCORES},
                b + first * CELL_COLS, CELL_COLS, c + key * TILE_LD + d, TILE_LD, 1);
    }
}

/* tile_add_rows. */
static void pairs_add_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float *dq) {
  const uint32_t *b = t->k_pairs;
  for (int64_t d = 0; d < t->padded; d += CELL_COLS) {
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      tile_keys_at(mask, at, m, CELL_ROWS, &first, &end);
      if (first >= end) continue;
      first /= 2;
      cell_dots((end + 1) / 2 - first, (struct cell_pairs){t->ds_rows + m * TILE_HALF + first, TILE_HALF, 1},
                b + first * CELL_COLS, CELL_COLS, dq + m * CELL_COLS, CELL_COLS, 1);
    }
    b += TILE_KEYS / 2 * CELL_COLS;
    dq += tile_dq_rows(at->rows) * CELL_COLS;
  }
}

/* c += the visible of two rows of b, weighed with the two halves of `weights`. Columns are in panels. */
static void pairs_add(float *c, int64_t c_panel, const uint32_t *b, int64_t b_panel, uint32_t weights, uint32_t visible,
                      int64_t padded) {
  for (int64_t d = 0; d < padded; d += CELL_VECTOR) {
    float *to = c + d / CELL_COLS * c_panel + d % CELL_COLS;
    __m512i both = _mm512_loadu_si512(b + d / CELL_COLS * b_panel + d % CELL_COLS);
    both = _mm512_and_si512(both, _mm512_set1_epi32((int)visible));
    _mm512_storeu_ps(to,
                     _mm512_dpbf16_ps(_mm512_loadu_ps(to), (__m512bh)_mm512_set1_epi32((int)weights), (__m512bh)both));
  }
}

/* tile_add_odd_keys and tile_add_odd_rows: the same sums in the same order, and what is not visible is 0 on both sides.
 * So where no NaN gets to, the result has the same bits as without it. */
static void pairs_add_odd_keys(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                               const uint32_t *a, const uint32_t *b, float *c) {
  for (int64_t m = 0; m < at->rows; m += 2) {
    int64_t first[2] = {0}, end[2] = {0};
    for (int64_t i = 0; i < 2 && m + i < at->rows; i++)
      if (t->lse[m + i] != -INFINITY) tile_keys_at(mask, at, m + i, 1, &first[i], &end[i]);
    for (int64_t key = 0; key < at->keys; key++) {
      uint32_t visible =
          (key >= first[0] && key < end[0] ? 0xffffu : 0) | (key >= first[1] && key < end[1] ? ~0xffffu : 0);
      if (visible)
        pairs_add(c + key * TILE_LD, CELL_COLS, b + m / 2 * CELL_COLS, TILE_ROWS / 2 * CELL_COLS,
                  a[m / 2 * TILE_SCORES + key], visible, t->padded);
    }
  }
}

static void pairs_add_odd_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at,
                               float *dq) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    tile_keys_at(mask, at, m, 1, &first, &end);
    if (t->lse[m] == -INFINITY) continue;
    for (int64_t key = first / 2 * 2; key < end; key += 2) {
      uint32_t visible = (key >= first ? 0xffffu : 0) | (key + 1 < end ? ~0xffffu : 0);
      pairs_add(dq + m * CELL_COLS, tile_dq_rows(at->rows) * CELL_COLS, t->k_pairs + key / 2 * CELL_COLS,
                TILE_KEYS / 2 * CELL_COLS, t->ds_rows[m * TILE_HALF + key / 2], visible, t->padded);
    }
  }
}

#endif

/* ---- One pair of tiles ----------------------------------------------------------------------------------- */

/* P and dS of every row; returns whether any pair of the tile is masked. One row takes a few hundred cycles with hardly
 * a load from L2, so this is where the rows of the next pair and this pair's dQ are fetched into it, a row at a time:
 * in a burst they would wait for each other. */
static int tile_softmax(struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, float scale,
                        float softcap, const float *dq) {
  int64_t whole = t->amx ? AMX_ROWS : SCORE_PIECE, cols = (at->keys + whole - 1) / whole * whole;
  int masked = t->dead_rows;
  for (int64_t m = 0; m < at->rows; m++) {
    struct score_row row = {scale, softcap, t->lse[m], t->delta[m], 0, 0};
    tile_keys_at(mask, at, m, 1, &row.first, &row.end);
    masked |= row.first > 0 || row.end < at->keys;
    if (row.lse == -INFINITY) row.end = 0; /* it saw no key: no gradient */
    for (int64_t d = 0; d < t->padded; d += 16) __builtin_prefetch(dq + m * t->padded + d, 1, 2);
    for (int64_t n = m; m < t->ahead_rows && n < 2 * TILE_ROWS; n += TILE_ROWS)
      for (int64_t i = 0; i < t->ahead_bytes; i += 64) __builtin_prefetch(t->ahead[n] + i, 0, 2);
    score_backward(t->s + m * TILE_SCORES, t->dp + m * TILE_SCORES, cols, &row);
#if defined(__AVX512BF16__)
    if (t->pairs && (m % 2 || m + 1 == at->rows)) pairs_of_rows(t, m / 2 * 2, at->rows, cols);
#endif
  }
#if defined(PAH_AMX)
  if (t->amx) amx_clear_rows(t, at->rows);
#endif
  return masked;
}

/* S and dP of a pair of tiles. */
static void tile_step_scores(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at) {
#if defined(PAH_AMX)
  if (t->amx) {
    amx_scores(t, mask, at, t->q, t->kt, t->s);
    amx_scores(t, mask, at, t->dout, t->vt, t->dp);
    return;
  }
#endif
#if defined(__AVX512BF16__)
  if (t->pairs) {
    pairs_scores(t, mask, at, t->q, t->kt, t->s);
    pairs_scores(t, mask, at, t->dout, t->vt, t->dp);
    return;
  }
#endif
  tile_scores(t, mask, at, (const float *)t->q, (const float *)t->kt, t->s);
  tile_scores(t, mask, at, (const float *)t->dout, (const float *)t->vt, t->dp);
}

/* dK and dV of the same; odd: by the visible pairs alone. */
static void tile_step_keys(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, int odd) {
#if defined(__AVX512BF16__)
  void (*add)(const struct tile *, const struct tile_mask *, const struct tile_pair *, const uint32_t *,
              const uint32_t *, float *) = odd ? pairs_add_odd_keys : pairs_add_keys;
#if defined(PAH_AMX)
  if (t->amx) {
    add = odd ? amx_add_odd_keys : amx_add_keys;
    add(t, mask, at, t->dout_t, t->p_pairs, t->dv);
    add(t, mask, at, t->q_t, t->ds_pairs, t->dk);
    return;
  }
#endif
  if (t->pairs) {
    add(t, mask, at, t->p_pairs, t->dout_pairs, t->dv);
    add(t, mask, at, t->ds_pairs, t->q_pairs, t->dk);
    return;
  }
#endif
  if (odd) {
    tile_add_odd_keys(t, mask, at);
    return;
  }
  tile_add_keys(t, mask, at, t->s, (const float *)t->dout, t->dv);
  tile_add_keys(t, mask, at, t->dp, (const float *)t->q, t->dk);
}

/* dQ of the same. */
static void tile_step_rows(const struct tile *t, const struct tile_mask *mask, const struct tile_pair *at, int odd,
                           float *dq) {
#if defined(PAH_AMX)
  if (t->amx && !odd) {
    amx_add_rows(t, mask, at, dq);
    return;
  }
#endif
#if defined(__AVX512BF16__)
  if (t->pairs) {
    (odd ? pairs_add_odd_rows : pairs_add_rows)(t, mask, at, dq);
    return;
  }
#endif
  (odd ? tile_add_odd_rows : tile_add_rows)(t, mask, at, dq);
}

#endif
