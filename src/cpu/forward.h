/* cpu/forward.h - fwd and fwd_fp8: tiles of query rows against tiles of keys with an online softmax.
 * A task is (sequence, KV head, tile of rows), where row = query * group + head in the group: the heads of a KV head
 * share every K and V tile, which is converted to f32 and packed once per pair of tiles. Masked tiles are skipped.
 * Read next: gemm.h (the register tile), tile.h, softmax.h. */
#ifndef PAH_CPU_FORWARD_H
#define PAH_CPU_FORWARD_H

#include <omp.h>

#include "../error.h"
#include "paged.h"
#include "rows.h"
#include "scratch.h"
#include "softmax.h"
#include "tile.h"

/* 192 rows pay for packing a tile of keys; at D = 128 the arrays of a thread take 0.45 MiB, within a second-level cache
 * of 512 KiB. FWD_ROWS is a multiple of every CELL_ROWS, FWD_KEYS of every CELL_COLS and of SOFTMAX_LANES. The scores
 * of a row lie one line further apart, so that a column does not fall into one set of the cache. */
enum { FWD_ROWS = 192, FWD_KEYS = 128, FWD_SCORES = FWD_KEYS + 16 };

/* A thread's scratch: rows of q, k, v and o are `ld` apart, an odd number of cache lines. */
struct fwd_tile {
  int64_t D, padded, ld;
  float *q, *o;                /* [FWD_ROWS][ld]; o: unnormalised output */
  float *k, *v;                /* [FWD_KEYS][ld] */
  float *kt;                   /* panels of [D][CELL_COLS] */
  float *s;                    /* [FWD_ROWS][FWD_SCORES]: q k, then probabilities */
  struct softmax_state *state; /* [FWD_ROWS] */
  int odd_values;              /* v holds a NaN or an infinity */
};

struct fwd {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  int64_t tiles; /* of rows, of the longest sequence */
  int64_t scratch_floats;
  float *scratch; /* [threads][scratch_floats] */
};

/* Lays the arrays out from `at` (NULL: only counts); returns the floats needed. */
static int64_t fwd_layout(struct fwd_tile *t, int64_t D, float *at) {
  t->D = D;
  t->padded = (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  t->ld = ((t->padded + 15) / 16 | 1) * 16;
  /* cells read and write whole groups of CELL_ROWS rows: room for one behind the last */
  int64_t rows = (FWD_ROWS + CELL_ROWS) * t->ld, keys = FWD_KEYS * t->ld, used = 0;
  struct {
    float **array;
    int64_t floats;
  } parts[] = {{&t->q, rows}, {&t->o, rows},          {&t->k, keys},
               {&t->v, keys}, {&t->kt, FWD_KEYS * D}, {&t->s, (FWD_ROWS + CELL_ROWS) * FWD_SCORES}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (at) *parts[i].array = at + used;
    used += (parts[i].floats + 15) / 16 * 16;
  }
  if (at) t->state = (struct softmax_state *)(at + used);
  return used + FWD_ROWS * (int64_t)(sizeof(struct softmax_state) / sizeof(float));
}

/* ---- One tile of keys ------------------------------------------------------------------------------------ */

static void fwd_load_keys(const struct fwd *w, struct fwd_tile *t, int64_t b, int64_t head, int64_t key, int64_t keys) {
  const struct pah_tensor *kc = &w->a->k_blocks, *vc = &w->a->v_blocks;
  int64_t k_head = head * kc->stride[2] * pah_dtype_size(kc->dtype);
  int64_t v_head = head * vc->stride[2] * pah_dtype_size(vc->dtype);
  t->odd_values = 0;
  for (int64_t j = 0; j < keys; j++) {
    const char *k = (const char *)kc->data + paged_offset(w->a, &w->s, kc, b, key + j) + k_head;
    const char *v = (const char *)vc->data + paged_offset(w->a, &w->s, vc, b, key + j) + v_head;
    row_load(t->k + j * t->ld, k, kc->dtype, t->D);
    row_load(t->v + j * t->ld, v, vc->dtype, t->D);
    t->odd_values |= tile_odd(t->v + j * t->ld, t->D);
  }
  tile_transpose(t->kt, t->k, t->ld, keys, t->D);
}

/* s = q k^T where anything is visible. */
static void fwd_scores(const struct fwd_tile *t, const struct tile_mask *mask, const struct tile_pair *at) {
  const float *panels = t->kt;
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panels += t->D * CELL_COLS) {
    int64_t first, end;
    tile_rows_of(mask, at->key + key, at->key + tile_clamp(key + CELL_COLS, 0, at->keys), &first, &end);
    first = tile_clamp(first - at->row, 0, at->rows);
    end = tile_clamp(end - at->row, 0, at->rows);
    for (int64_t m = first / CELL_ROWS * CELL_ROWS; m < end; m += CELL_ROWS)
      cell_full(t->D, (struct cell_a){t->q + m * t->ld, t->ld, 1}, panels, CELL_COLS, t->s + m * FWD_SCORES + key,
                FWD_SCORES, 0);
  }
}

/* Visible columns of a row of the tile. */
static void fwd_columns(const struct tile_mask *mask, const struct tile_pair *at, int64_t m, int64_t count,
                        int64_t *first, int64_t *end) {
  tile_keys_of(mask, at->row + m, at->row + m + count, first, end);
  *first = tile_clamp(*first - at->key, 0, at->keys);
  *end = tile_clamp(*end - at->key, 0, at->keys);
}

/* The softmax of every row; returns whether any pair was masked. */
static int fwd_softmax(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_pair *at, float scale,
                       float softcap) {
  int64_t cols = (at->keys + SOFTMAX_LANES - 1) / SOFTMAX_LANES * SOFTMAX_LANES;
  int masked = 0;
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    fwd_columns(mask, at, m, 1, &first, &end);
    masked |= first > 0 || end < at->keys;
    if (first >= end) {
      memset(t->s + m * FWD_SCORES, 0, (size_t)cols * sizeof(float));
      continue;
    }
    float alpha = softmax_step(&t->state[m], t->s + m * FWD_SCORES, cols, first, end, scale, softcap);
    if (alpha != 1.0f)
      for (int64_t d = 0; d < t->padded; d++) t->o[m * t->ld + d] *= alpha;
  }
  return masked;
}

/* o += p v over the keys that a group of rows sees. */
static void fwd_values(const struct fwd_tile *t, const struct tile_mask *mask, const struct tile_pair *at) {
  for (int64_t d = 0; d < t->padded; d += CELL_COLS)
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      fwd_columns(mask, at, m, tile_clamp(at->rows - m, 0, CELL_ROWS), &first, &end);
      if (first < end)
        cell_full(end - first, (struct cell_a){t->s + m * FWD_SCORES + first, FWD_SCORES, 1}, t->v + first * t->ld + d,
                  t->ld, t->o + m * t->ld + d, t->ld, 1);
    }
}

/* The same pair by pair: 0 times a NaN or an infinity is a NaN, so the zeros that stand for masked pairs must not be
 * multiplied with such values. */
static void fwd_odd_values(const struct fwd_tile *t, const struct tile_mask *mask, const struct tile_pair *at) {
  for (int64_t m = 0; m < at->rows; m++) {
    int64_t first, end;
    fwd_columns(mask, at, m, 1, &first, &end);
    for (int64_t j = first; j < end; j++)
      for (int64_t d = 0; d < t->D; d++) t->o[m * t->ld + d] += t->s[m * FWD_SCORES + j] * t->v[j * t->ld + d];
  }
}

/* ---- One task -------------------------------------------------------------------------------------------- */

static void fwd_store(const struct fwd *w, const struct fwd_tile *t, int64_t b, int64_t head, int64_t row,
                      int64_t rows) {
  const struct pah_attn *a = w->a;
  float scale = paged_descale(&a->v_descale, b, head) * paged_o_scale(a);
  for (int64_t m = 0; m < rows; m++) {
    int64_t i = (row + m) / w->s.group, h = head * w->s.group + (row + m) % w->s.group;
    float inverse = softmax_inverse(&t->state[m]), *o = t->o + m * t->ld;
    for (int64_t d = 0; d < t->D; d++) o[d] = inverse == 0.0f ? 0.0f : o[d] * inverse * scale;
    row_store(paged_q_row(a, &w->s, &a->out, b, h, i), a->out.dtype, o, t->D);
    *paged_lse(a, &w->s, b, h, i) = softmax_lse(&t->state[m]);
  }
}

static void fwd_task(const struct fwd *w, int64_t b, int64_t head, int64_t row, float *scratch) {
  const struct pah_attn *a = w->a;
  struct fwd_tile t = {0};
  fwd_layout(&t, w->s.D, scratch);
  int64_t first, len_q;
  pah_q_range(a, &w->s, b, &first, &len_q);
  struct tile_mask mask = tile_mask(a, len_q, pah_len_k(a, &w->s, b), w->s.group);
  int64_t rows = tile_clamp(len_q * w->s.group - row, 0, FWD_ROWS), key, key_end;
  if (rows == 0) return;
  memset(t.q, 0, (size_t)((rows + CELL_ROWS) * t.ld) * sizeof(float));
  memset(t.o, 0, (size_t)((rows + CELL_ROWS) * t.ld) * sizeof(float));
  for (int64_t m = 0; m < rows; m++) {
    int64_t i = (row + m) / w->s.group, h = head * w->s.group + (row + m) % w->s.group;
    row_load(t.q + m * t.ld, paged_q_row(a, &w->s, &a->q, b, h, i), a->q.dtype, t.D);
    t.state[m] = (struct softmax_state){-INFINITY, 0};
  }
  float scale = paged_scale(a, &w->s, b, head);
  tile_keys_of(&mask, row, row + rows, &key, &key_end);
  for (; key < key_end && !pah_interrupted; key += FWD_KEYS) {
    struct tile_pair at = {row, rows, key, tile_clamp(key_end - key, 0, FWD_KEYS)};
    fwd_load_keys(w, &t, b, head, at.key, at.keys);
    fwd_scores(&t, &mask, &at);
    int masked = fwd_softmax(&t, &mask, &at, scale, a->softcap);
    if (masked && t.odd_values)
      fwd_odd_values(&t, &mask, &at);
    else
      fwd_values(&t, &mask, &at);
  }
  fwd_store(w, &t, b, head, row, rows);
}

static int forward_run(const struct pah_attn *a, int threads) {
  struct fwd w = {.a = a, .s = pah_attn_sizes(a)};
  int64_t longest = 0;
  for (int64_t b = 0; b < w.s.B; b++) {
    int64_t first, count;
    pah_q_range(a, &w.s, b, &first, &count);
    longest = count > longest ? count : longest;
  }
  w.tiles = (longest * w.s.group + FWD_ROWS - 1) / FWD_ROWS;
  int64_t tasks = w.s.B * w.s.Hkv * w.tiles;
  if (tasks == 0) return PAH_OK;
  if (tasks < threads) threads = (int)tasks;
  struct fwd_tile t;
  w.scratch_floats = (fwd_layout(&t, w.s.D, NULL) + 31) / 16 * 16;
  w.scratch = scratch_floats(threads * w.scratch_floats);
  if (!w.scratch) return pah_fail(PAH_ENOMEM, "fwd: no memory for the scratch of %d threads", threads);
  memset(w.scratch, 0, (size_t)(threads * w.scratch_floats) * sizeof(float)); /* padding behind D must stay 0 */
  /* The last rows first, which see the most keys under causal; tiles of a head together, to share K and V in cache. */
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t n = 0; n < tasks; n++)
    if (!pah_interrupted)
      fwd_task(&w, n / w.tiles / w.s.Hkv, n / w.tiles % w.s.Hkv, (w.tiles - 1 - n % w.tiles) * FWD_ROWS,
               w.scratch + omp_get_thread_num() * w.scratch_floats);
  free(w.scratch);
  return pah_interrupted ? pah_fail(PAH_EINTERRUPTED, "fwd: interrupted") : PAH_OK;
}

#endif
