/* cpu/forward/run.h - fwd and fwd_fp8: tiles of query rows against tiles of keys with an online softmax.
 * A task is (sequence, KV head, tile of rows), where row = query * group + head in the group: the heads of a KV head
 * share every K and V tile, which is converted and packed once, for all tiles of rows that see it. Masked tiles are
 * skipped. What each step is worth stands in doc/design/cpu-forward.md. Read next: panels.h (K and V), tile.h and
 * amx.h (one step). */
#ifndef PAH_CPU_FORWARD_RUN_H
#define PAH_CPU_FORWARD_RUN_H

#include <float.h>
#include <omp.h>

#include "error.h"
#include "cpu/scratch.h"

#include "amx.h"
#include "panels.h"
#include "cpu/bf16_way.h"
#include "cpu/vec/rows.h"

struct fwd {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  int bf16; /* how bf16 is multiplied (cpu/bf16_way.h); other dtypes: BF16_FMA */
  struct fwd_kv_streams kv_streams;
  int64_t scratch_floats;
  float *scratch; /* [threads][scratch_floats] */
};

/* ---- One task -------------------------------------------------------------------------------------------- */

/* How many rows of q and out the loops over them are ahead of themselves: with heads apart they lie scattered, and
 * waiting for one after the other took 3 % of the time. */
enum { FWD_AHEAD = 8 };

/* A row as query and head, so that the next one takes no division. */
struct fwd_place {
  int64_t i, h, first; /* query, head, and the first head of its group */
};

static struct fwd_place fwd_place(const struct fwd *w, int64_t head, int64_t row) {
  return (struct fwd_place){row / w->s.group, head * w->s.group + row % w->s.group, head * w->s.group};
}

static inline void fwd_next(const struct fwd *w, struct fwd_place *at) {
  if (++at->h < at->first + w->s.group) return;
  at->h = at->first;
  at->i++;
}

static void fwd_prefetch_row(const struct fwd *w, const struct pah_tensor *t, int64_t b, const struct fwd_place *at) {
  const char *p = paged_q_row(w->a, &w->s, t, b, at->h, at->i);
  for (int64_t i = 0; i < t->shape[t->ndim - 1] * pah_dtype_size(t->dtype); i += 64) __builtin_prefetch(p + i, 0, 3);
}

/* The rows of q. A scale below 0 goes into them, and one that is 0 too, so that the softmax's is positive: the largest
 * q k is then the largest score, and a masked score stays -inf. */
static void fwd_load_rows(const struct fwd *w, struct fwd_tile *t, int64_t b, int64_t head, int64_t row, int64_t rows,
                          float scale) {
  const struct pah_attn *a = w->a;
  struct fwd_place at = fwd_place(w, head, row), ahead = fwd_place(w, head, row + FWD_AHEAD);
  int64_t group = w->kv_streams.row_group, whole = (rows + group - 1) / group * group;
  for (int64_t m = 0; m < whole; m++, fwd_next(w, &at), fwd_next(w, &ahead)) {
    if (m + FWD_AHEAD < rows) fwd_prefetch_row(w, &a->q, b, &ahead);
    memset(t->o + m * t->ld, 0, (size_t)t->padded * 4);
    if (m >= rows) { /* the last row group is computed whole */
      memset(t->q + m * t->ld, 0, (size_t)t->words * 4);
      continue;
    }
    t->state[m] = softmax_start();
    const char *from = paged_q_row(a, &w->s, &a->q, b, at.h, at.i);
    if (t->bf16x2 && a->q.dtype == PAH_BF16 && scale > 0) {
      memcpy(t->q + m * t->ld, from, (size_t)t->words * 4);
      continue;
    }
    float wide[PAH_MAX_D], *q = t->bf16x2 ? wide : (float *)t->q + m * t->ld;
    row_load(q, from, a->q.dtype, t->D);
    if (!(scale > 0))
      for (int64_t d = 0; d < t->D; d++) q[d] *= scale < 0 ? -1.0f : 0.0f;
    if (t->bf16x2) row_store(t->q + m * t->ld, PAH_BF16, q, t->D);
  }
}

/* The tile of keys `at`, if it has any: where its rows lie, to be packed or prefetched, or the lines of its panels. */
static void fwd_locate(const struct fwd_kv_streams *all, const struct fwd_kv_stream *kv_stream, struct fwd_tile *t,
                       const struct tile_step *at) {
  if (!kv_stream->key_tiles) {
    fwd_locate_rows(all, kv_stream, at->key, at->keys, t->k_rows, t->v_rows);
    return;
  }
  const uint32_t *k = kv_stream->panels + (at->key - kv_stream->key) / all->keys * (all->k_words + all->v_words);
  for (int64_t j = 0; j < at->keys; j++) {
    t->k_rows[j] = (const char *)k + j * t->k_bytes;
    t->v_rows[j] = (const char *)(k + all->k_words) + j * t->v_bytes;
  }
}

/* Makes `at` t's tile of keys: packs it, or takes its panels. */
static void fwd_take(const struct fwd_kv_streams *all, const struct fwd_kv_stream *kv_stream, struct fwd_tile *t,
                     const struct tile_step *at) {
  if (!kv_stream->key_tiles) {
    t->nonfinite = fwd_pack(all, t->k, t->v, t->k_rows, t->v_rows, at->keys);
    return;
  }
  int64_t i = (at->key - kv_stream->key) / all->keys;
  t->k = kv_stream->panels + i * (all->k_words + all->v_words);
  t->v = t->k + all->k_words;
  t->nonfinite = kv_stream->nonfinite[i];
}

static void fwd_store(const struct fwd *w, const struct fwd_tile *t, int64_t b, int64_t head, int64_t row, int64_t rows,
                      const struct fwd_score *score) {
  const struct pah_attn *a = w->a;
  float scale = paged_descale(&a->v_descale, b, head) * paged_o_scale(a);
  struct fwd_place at = fwd_place(w, head, row), ahead = fwd_place(w, head, row + FWD_AHEAD);
  for (int64_t m = 0; m < rows; m++, fwd_next(w, &at), fwd_next(w, &ahead)) {
    if (m + FWD_AHEAD < rows) fwd_prefetch_row(w, &a->out, b, &ahead);
    float factor, *o = t->o + m * t->ld;
    int seen = softmax_finish(&t->state[m], score->softcap > 0 ? 1.0f : score->natural, scale, paged_sink(a, at.h),
                              &factor, paged_lse(a, &w->s, b, at.h, at.i));
    for (int64_t d = 0; d < t->padded; d += CELL_VECTOR) cell_store(o + d, cell_load(o + d) * factor);
    if (!seen) memset(o, 0, (size_t)t->Dv * sizeof *o); /* also where 0 met a NaN */
    row_store(paged_q_row(a, &w->s, &a->out, b, at.h, at.i), a->out.dtype, o, t->Dv);
  }
}

static struct fwd_score fwd_score_of(const struct fwd *w, float scale) {
  float natural = fabsf(scale), cap = w->a->softcap;
  if (natural == 0) natural = 1; /* it is in q */
  float base2 = cap > 0 ? scalar_log2e : natural * scalar_log2e, lazy = FWD_LAZY_LOG2 / base2;
  return (struct fwd_score){base2, isinf(lazy) ? FLT_MAX : lazy, natural, cap, w->kv_streams.bf16x2};
}

/* Bytes of what is prefetched at a time: a row of K and V as the cache has them, or a key's share of a tile's panels.
 */
static void fwd_row_bytes(const struct fwd *w, const struct fwd_kv_stream *kv_stream, struct fwd_tile *t) {
  const struct fwd_kv_streams *all = &w->kv_streams;
  t->k_bytes = kv_stream->key_tiles ? all->k_words * 4 / all->keys : t->D * pah_dtype_size(w->a->k_blocks.dtype);
  t->v_bytes = kv_stream->key_tiles ? all->v_words * 4 / all->keys : t->Dv * pah_dtype_size(w->a->v_blocks.dtype);
}

static void fwd_step(const struct fwd *w, struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                     const struct fwd_score *score) {
  if (BF16_HAS_AMX && w->bf16 == BF16_AMX) {
    fwd_amx_step(t, mask, at, score);
    return;
  }
  fwd_scores(t, mask, at);
  int masked = fwd_softmax(t, mask, at, score);
  if (masked && t->nonfinite)
    fwd_nonfinite_values(t, mask, at, 0, at->rows, t->s);
  else
    fwd_values(t, mask, at);
}

/* Tile i of a KV stream's rows, counted from the last: those see the most keys under causal and come first, and a tile
 * that is not whole is the one that sees the fewest. */
static void fwd_task(const struct fwd *w, const struct fwd_kv_stream *kv_stream, int64_t i, float *scratch) {
  const struct pah_attn *a = w->a;
  const struct fwd_kv_streams *all = &w->kv_streams;
  int64_t b = kv_stream->b, head = kv_stream->head, row_end = kv_stream->rows - i * kv_stream->tile_rows;
  if (row_end <= 0) return;
  int64_t row = tile_clamp(row_end - kv_stream->tile_rows, 0, row_end), rows = row_end - row, key, key_end;
  struct fwd_tile t = {.bf16x2 = all->bf16x2, .words = all->bf16x2 ? w->s.D / 2 : w->s.D};
  fwd_layout(&t, w->s.D, w->s.Dv, (char *)scratch);
  fwd_row_bytes(w, kv_stream, &t);
  struct tile_mask mask = tile_mask(a, &w->s, b);
  float scale = paged_scale(a, &w->s, b, head);
  struct fwd_score score = fwd_score_of(w, scale);
  fwd_load_rows(w, &t, b, head, row, rows, scale);
  tile_keys_of(&mask, row, row_end, &key, &key_end);
  int64_t last = key_end; /* panels are taken whole, from the one on that holds the first key */
  if (kv_stream->key_tiles) key -= (key - kv_stream->key) % all->keys, last = kv_stream->end;
  struct tile_step at = {row, rows, key, tile_clamp(last - key, 0, all->keys)};
  fwd_locate(all, kv_stream, &t, &at);
  while (at.key < key_end && !pah_interrupted) {
    fwd_take(all, kv_stream, &t, &at);
    struct tile_step next = {row, rows, at.key + at.keys, 0};
    if (next.key < key_end) next.keys = tile_clamp(last - next.key, 0, all->keys);
    fwd_locate(all, kv_stream, &t, &next);
    int64_t panels = (at.keys + CELL_COLS - 1) / CELL_COLS + t.padded / CELL_COLS;
    int64_t calls = (rows + all->row_group - 1) / all->row_group * panels + rows;
    t.fetch = 0, t.fetch_end = 2 * next.keys, t.stride = (t.fetch_end + calls - 1) / calls;
    fwd_step(w, &t, &mask, &at, &score);
    at = next;
  }
  fwd_store(w, &t, b, head, row, rows, &score);
}

/* Rows of a tile at most: a small problem is cut finer, to keep all threads at work to the end. */
static int64_t fwd_tile_rows(const struct fwd *w, int64_t longest, int threads) {
  int64_t rows = w->bf16 == BF16_AMX ? FWD_AMX_ROWS : FWD_ROWS, all = longest * w->s.group;
  if (w->s.D > FWD_KEYS || w->s.Dv > FWD_KEYS) rows /= 2; /* wide rows take as much of the cache as more of others */
  while (rows > FWD_MIN_ROWS && w->s.B * w->s.Hkv * ((all + rows - 1) / rows) < 4 * threads) rows /= 2;
  return rows;
}

/* The waves, by every thread of a team: panels first, then the tiles of rows, of a KV stream together, to share its K
 * and V in cache. */
static void fwd_work(const struct fwd *w, int64_t budget, int thread) {
  const struct fwd_kv_streams *all = &w->kv_streams;
  float *scratch = w->scratch + thread * w->scratch_floats;
  for (int64_t first = 0, end, words; first < all->count; first = end) {
#pragma omp single copyprivate(end, words)
    end = fwd_wave(all, first, budget, &words);
    if (words)
#pragma omp for schedule(dynamic, 1)
      for (int64_t n = first * all->key_tiles; n < end * all->key_tiles; n++)
        if (!pah_interrupted) fwd_pack_tile(all, all->kv_stream + n / all->key_tiles, n % all->key_tiles);
#pragma omp for schedule(dynamic, 1)
    for (int64_t n = first * all->tiles; n < end * all->tiles; n++)
      if (!pah_interrupted) fwd_task(w, all->kv_stream + n / all->tiles, n % all->tiles, scratch);
  }
}

static int forward_run(const struct pah_attn *a, int threads, int amx) {
  struct fwd w = {.a = a, .s = pah_attn_sizes(a)};
  int64_t longest = 0;
  int status = bf16_of_forward(a, &w.s, amx, &w.bf16);
  if (status) return status;
  for (int64_t b = 0; b < w.s.B; b++) {
    int64_t first, count;
    pah_q_range(a, &w.s, b, &first, &count);
    longest = count > longest ? count : longest;
  }
  struct fwd_tile t;
  int64_t scratch = (fwd_layout(&t, w.s.D, w.s.Dv, NULL) + 31) / 16 * 16, bf16x2 = w.bf16 != BF16_FMA;
  int64_t keys = bf16x2 ? FWD_KEYS : FWD_KEYS / 2;
  int64_t budget = tile_clamp((int64_t)threads * FWD_WAVE_THREAD, FWD_WAVE, INT64_MAX);
  w.kv_streams = (struct fwd_kv_streams){.a = a, .s = &w.s, .bf16x2 = (int)bf16x2, .keys = keys, .whole = 1 + bf16x2};
  w.kv_streams.row_group = CELL_ROWS;
  if (w.bf16 == BF16_AMX) w.kv_streams.row_group = w.kv_streams.whole = AMX_ROWS;
  w.kv_streams.k_words = FWD_KEYS / 2 * w.s.D, w.kv_streams.v_words = FWD_DEPTH * t.padded;
  int there = fwd_kv_streams_init(&w.kv_streams, fwd_tile_rows(&w, longest, threads), budget);
  int64_t tasks = w.kv_streams.count * w.kv_streams.tiles;
  if (tasks < threads) threads = (int)tasks;
  w.scratch_floats = scratch;
  if (there && tasks) w.scratch = pah_scratch_floats(threads * scratch);
  if (w.scratch) {
#pragma omp parallel num_threads(threads)
    {
      if (w.bf16 == BF16_AMX) amx_begin();
      fwd_work(&w, budget, omp_get_thread_num());
      if (w.bf16 == BF16_AMX) amx_end();
    }
  }
  pah_scratch_free(w.scratch);
  fwd_kv_streams_free(&w.kv_streams);
  if (!there || (tasks && !w.scratch))
    return pah_fail(PAH_ENOMEM, "fwd: no memory for the scratch of %d threads", threads);
  return pah_interrupted ? pah_fail(PAH_EINTERRUPTED, "fwd: interrupted") : PAH_OK;
}

#endif
