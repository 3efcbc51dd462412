/* cpu/forward.h - fwd and fwd_fp8: tiles of query rows against tiles of keys with an online softmax.
 * A task is (sequence, KV head, tile of rows), where row = query * group + head in the group: the heads of a KV head
 * share every K and V tile, which is converted and packed once per pair of tiles. Masked tiles are skipped. What each
 * step is worth stands in doc/cpu.md. Read next: forward_tile.h (one pair of tiles). */
#ifndef PAH_CPU_FORWARD_H
#define PAH_CPU_FORWARD_H

#include <float.h>
#include <omp.h>
#include <unistd.h>

#include "../error.h"
#include "forward_tile.h"
#include "limits.h"
#include "paged.h"
#include "rows.h"
#include "scratch.h"
#include "softmax.h"

struct fwd {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  int pairs;          /* products of bf16 pairs instead of f32 */
  int64_t rows, keys; /* of a tile */
  int64_t tiles;      /* of rows, of the longest sequence */
  int64_t scratch_floats;
  float *scratch; /* [threads][scratch_floats] */
};

/* ---- One task -------------------------------------------------------------------------------------------- */

/* How many rows of q and out the loops over them are ahead of themselves: with heads apart they lie scattered, and
 * waiting for one after the other took 3 % of the time. */
enum { FWD_AHEAD = 8 };

static void fwd_prefetch_row(const struct fwd *w, const struct pah_tensor *t, int64_t b, int64_t head, int64_t row) {
  const char *p = paged_q_row(w->a, &w->s, t, b, head * w->s.group + row % w->s.group, row / w->s.group);
  for (int64_t i = 0; i < w->s.D * pah_dtype_size(t->dtype); i += 64) __builtin_prefetch(p + i, 0, 3);
}

/* The rows of q. A scale below 0 goes into them, and one that is 0 too, so that the softmax's is positive: the largest
 * q k is then the largest score, and a masked score stays -inf. */
static void fwd_load_rows(const struct fwd *w, struct fwd_tile *t, int64_t b, int64_t head, int64_t row, int64_t rows,
                          float scale) {
  const struct pah_attn *a = w->a;
  for (int64_t m = 0; m < rows + CELL_ROWS; m++) {
    if (m + FWD_AHEAD < rows) fwd_prefetch_row(w, &a->q, b, head, row + m + FWD_AHEAD);
    memset(t->o + m * FWD_LD, 0, (size_t)t->padded * 4);
    if (m >= rows) { /* the row group that the last one begins is computed whole */
      memset(t->q + m * FWD_LD, 0, (size_t)t->words * 4);
      continue;
    }
    int64_t i = (row + m) / w->s.group, h = head * w->s.group + (row + m) % w->s.group;
    float wide[PACK_MAX_D], *q = w->pairs ? wide : (float *)t->q + m * FWD_LD;
    row_load(q, paged_q_row(a, &w->s, &a->q, b, h, i), a->q.dtype, t->D);
    if (!(scale > 0))
      for (int64_t d = 0; d < t->D; d++) q[d] *= scale < 0 ? -1.0f : 0.0f;
    if (w->pairs) row_store(t->q + m * FWD_LD, PAH_BF16, q, t->D);
    t->state[m] = (struct fwd_state){.m = -INFINITY};
  }
}

/* Where the rows of the keys [key, key + keys) lie; lists end in zeros, as pack.h wants them. */
static void fwd_locate(const struct fwd *w, struct fwd_tile *t, int64_t b, int64_t head, int64_t key, int64_t keys) {
  paged_rows(w->a, &w->s, &w->a->k_blocks, b, head, key, keys, t->k_rows);
  paged_rows(w->a, &w->s, &w->a->v_blocks, b, head, key, keys, t->v_rows);
  for (int64_t j = keys; j % CELL_COLS; j++) t->k_rows[j] = t->v_rows[j] = pack_zeros;
}

static void fwd_store(const struct fwd *w, const struct fwd_tile *t, int64_t b, int64_t head, int64_t row, int64_t rows,
                      const struct fwd_score *score) {
  const struct pah_attn *a = w->a;
  float scale = paged_descale(&a->v_descale, b, head) * paged_o_scale(a);
  for (int64_t m = 0; m < rows; m++) {
    if (m + FWD_AHEAD < rows) fwd_prefetch_row(w, &a->out, b, head, row + m + FWD_AHEAD);
    int64_t i = (row + m) / w->s.group, h = head * w->s.group + (row + m) % w->s.group;
    struct softmax_state state = {t->state[m].m * (score->softcap > 0 ? 1.0f : score->natural),
                                  lanes_sum(cell_load(t->state[m].lanes))};
    float inverse = softmax_inverse(&state), *o = t->o + m * FWD_LD;
    for (int64_t d = 0; d < t->padded; d += CELL_VECTOR) cell_store(o + d, cell_load(o + d) * (inverse * scale));
    if (inverse == 0.0f) memset(o, 0, (size_t)t->D * sizeof *o); /* also where 0 met a NaN */
    row_store(paged_q_row(a, &w->s, &a->out, b, h, i), a->out.dtype, o, t->D);
    *paged_lse(a, &w->s, b, h, i) = softmax_lse(&state);
  }
}

static struct fwd_score fwd_score_of(const struct fwd *w, float scale) {
  float natural = fabsf(scale), cap = w->a->softcap;
  if (natural == 0) natural = 1; /* it is in q */
  float base2 = cap > 0 ? fwd_log2e : natural * fwd_log2e, lag = FWD_LAG / base2;
  return (struct fwd_score){base2, isinf(lag) ? FLT_MAX : lag, natural, cap, w->pairs};
}

static void fwd_task(const struct fwd *w, int64_t b, int64_t head, int64_t row, float *scratch) {
  const struct pah_attn *a = w->a;
  struct fwd_tile t = {.pairs = w->pairs, .words = w->pairs ? w->s.D / 2 : w->s.D};
  fwd_layout(&t, w->s.D, (char *)scratch);
  t.k_bytes = t.D * pah_dtype_size(a->k_blocks.dtype), t.v_bytes = t.D * pah_dtype_size(a->v_blocks.dtype);
  int64_t query, len_q;
  pah_q_range(a, &w->s, b, &query, &len_q);
  struct tile_mask mask = tile_mask(a, len_q, pah_len_k(a, &w->s, b), w->s.group);
  int64_t rows = tile_clamp(len_q * w->s.group - row, 0, w->rows), key, key_end;
  if (rows == 0) return;
  float scale = paged_scale(a, &w->s, b, head);
  struct fwd_score score = fwd_score_of(w, scale);
  fwd_load_rows(w, &t, b, head, row, rows, scale);
  tile_keys_of(&mask, row, row + rows, &key, &key_end);
  struct tile_pair at = {row, rows, key, tile_clamp(key_end - key, 0, w->keys)};
  fwd_locate(w, &t, b, head, at.key, at.keys);
  while (at.key < key_end && !pah_interrupted) {
    pack_keys(t.k, t.k_rows, at.keys, t.D, a->k_blocks.dtype, t.pairs);
    t.odd = pack_values(t.v, FWD_KEYS * CELL_COLS, t.v_rows, at.keys, t.D, a->v_blocks.dtype, t.pairs);
    struct tile_pair next = {row, rows, at.key + at.keys, tile_clamp(key_end - at.key - at.keys, 0, w->keys)};
    fwd_locate(w, &t, b, head, next.key, next.keys);
    int64_t panels = (at.keys + CELL_COLS - 1) / CELL_COLS + t.padded / CELL_COLS;
    int64_t calls = (rows + CELL_ROWS - 1) / CELL_ROWS * panels + rows;
    t.fetch = 0, t.fetch_end = 2 * next.keys, t.stride = (t.fetch_end + calls - 1) / calls;
    fwd_scores(&t, &mask, &at);
    int masked = fwd_softmax(&t, &mask, &at, &score);
    if (masked && t.odd)
      fwd_odd_values(&t, &mask, &at);
    else
      fwd_values(&t, &mask, &at);
    at = next;
  }
  fwd_store(w, &t, b, head, row, rows, &score);
}

/* Whether all of q, K and V are exact in bf16; f16 has more bits and would lose them. */
static int fwd_fits_bf16(const struct pah_attn *a) {
  const int dtypes[] = {a->q.dtype, a->k_blocks.dtype, a->v_blocks.dtype};
  for (int i = 0; i < 3; i++)
    if (dtypes[i] == PAH_F32 || dtypes[i] == PAH_F16) return 0;
  return 1;
}

/* Rows of a tile: more of them share a packed tile of keys, as long as Q, O and S fit the second-level cache beside it.
 * With 2 MiB, 480 instead of 240 took prefill from 0.78 to 0.81 of the peak; a small problem is cut finer, to keep all
 * threads at work to the end. Read once: in a virtual machine the question leaves it, which takes a while. */
static int64_t fwd_tile_rows(const struct fwd *w, int64_t longest, int threads) {
  static long cache;
#ifdef _SC_LEVEL2_CACHE_SIZE
  if (!cache) cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  int64_t rows = cache >= 2 << 20 ? FWD_ROWS : FWD_ROWS / 2, all = longest * w->s.group;
  while (rows > FWD_MIN_ROWS && w->s.B * w->s.Hkv * ((all + rows - 1) / rows) < 4 * threads) rows /= 2;
  return rows;
}

static int forward_run(const struct pah_attn *a, int threads) {
  struct fwd w = {.a = a, .s = pah_attn_sizes(a)};
  int64_t longest = 0;
  int status = fwd_fits_bf16(a) ? limits_choose_dots(&w.pairs) : PAH_OK;
  if (status) return status;
  w.keys = w.pairs ? FWD_KEYS : FWD_KEYS / 2;
  for (int64_t b = 0; b < w.s.B; b++) {
    int64_t first, count;
    pah_q_range(a, &w.s, b, &first, &count);
    longest = count > longest ? count : longest;
  }
  w.rows = fwd_tile_rows(&w, longest, threads);
  w.tiles = (longest * w.s.group + w.rows - 1) / w.rows;
  int64_t tasks = w.s.B * w.s.Hkv * w.tiles;
  if (tasks == 0) return PAH_OK;
  if (tasks < threads) threads = (int)tasks;
  struct fwd_tile t;
  w.scratch_floats = (fwd_layout(&t, w.s.D, NULL) + 31) / 16 * 16;
  w.scratch = scratch_floats(threads * w.scratch_floats);
  if (!w.scratch) return pah_fail(PAH_ENOMEM, "fwd: no memory for the scratch of %d threads", threads);
    /* The last rows first, which see the most keys under causal; tiles of a head together, to share K and V in cache.
     */
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t n = 0; n < tasks; n++)
    if (!pah_interrupted)
      fwd_task(&w, n / w.tiles / w.s.Hkv, n / w.tiles % w.s.Hkv, (w.tiles - 1 - n % w.tiles) * w.rows,
               w.scratch + omp_get_thread_num() * w.scratch_floats);
  free(w.scratch);
  return pah_interrupted ? pah_fail(PAH_EINTERRUPTED, "fwd: interrupted") : PAH_OK;
}

#endif
