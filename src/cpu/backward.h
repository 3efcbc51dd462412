/* cpu/backward.h - dq, dk_blocks and dv_blocks from dout, out and lse: recomputes P from lse, keys outside, queries
 * inside. The work is cut by the problem alone, never by the number of threads: a task is a range of keys of one
 * sequence and KV head. It owns its keys' dK and dV and a f32 copy of dQ; the copies of the tasks of a sequence are
 * added in order. So the result is bitwise the same for any threads. Read next: backward_tile.h. */
#ifndef PAH_CPU_BACKWARD_H
#define PAH_CPU_BACKWARD_H

#include <omp.h>

#include "backward_blocks.h"
#include "backward_tile.h"
#include "scratch.h"

/* Tasks wanted over all sequences and KV heads, and the f32 scratch allowed for copies of dQ and of shared blocks:
 * KV heads are done in waves that keep within it (one head at least). */
enum { BWD_TASKS = 64, BWD_MIN_TILES = 2 };
#define BWD_SCRATCH ((int64_t)512 << 20)

/* A range of keys of a sequence, for every KV head. */
struct bwd_chunk {
  int64_t sequence, key, key_end;
  int64_t row, row_end; /* flat rows that see any of them */
  int64_t dq;           /* where its copy of dQ starts among those of a head */
};

struct bwd {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  struct blocks blocks;
  float scale;
  int threads;
  int64_t padded;                          /* D of the copies of dQ */
  int64_t chunks, per_sequence, dq_floats; /* dq_floats: copies of dQ of a head */
  struct bwd_chunk *chunk; /* [per_sequence][B]: early keys first, which have the most queries under causal */
  float *delta;            /* [total_q][H]: rowsum(dout * out) */
  int64_t heads;           /* KV heads of a wave */
  float *dq, *copies;      /* [heads][dq_floats], and blocks_copy's */
  int64_t tile_floats;
  float *tiles; /* [threads][tile_floats] */
};

/* Rows of q before sequence b's first. */
static int64_t bwd_row0(const struct bwd *w, int64_t b) {
  int64_t first, count;
  pah_q_range(w->a, &w->s, b, &first, &count);
  return w->s.ragged ? first : b * count;
}

static const char *bwd_row(const struct bwd *w, const struct pah_tensor *t, int64_t b, int64_t head, int64_t i) {
  struct pah_row_strides at = pah_q_strides(&w->s, t);
  int64_t first, count;
  pah_q_range(w->a, &w->s, b, &first, &count);
  return (const char *)t->data + (b * at.batch + head * at.head + (first + i) * at.row) * pah_dtype_size(t->dtype);
}

/* ---- Planning and memory ------------------------------------------------------------------------------- */

static struct tile_mask bwd_mask(const struct bwd *w, int64_t b) {
  int64_t first, count;
  pah_q_range(w->a, &w->s, b, &first, &count);
  return tile_mask(w->a, count, pah_len_k(w->a, &w->s, b), w->s.group);
}

/* Cuts every sequence into ranges of keys. More ranges feed more threads but cost a copy of dQ each. */
static int bwd_plan(struct bwd *w) {
  const struct pah_attn_sizes *s = &w->s;
  int64_t longest = 0, pairs = s->B * s->Hkv, head_floats = s->total_q * s->group * w->padded;
  for (int64_t b = 0; b < s->B; b++) {
    int64_t len_k = pah_len_k(w->a, s, b);
    longest = len_k > longest ? len_k : longest;
  }
  int64_t wanted = pairs ? (BWD_TASKS + pairs - 1) / pairs : 1, fit = BWD_SCRATCH / 4 / (head_floats + 1);
  int64_t useful = longest / (BWD_MIN_TILES * TILE_KEYS);
  w->per_sequence = tile_clamp(wanted < fit ? wanted : fit, 1, useful > 1 ? useful : 1);
  w->chunks = w->per_sequence * s->B;
  w->chunk = calloc((size_t)w->chunks + 1, sizeof *w->chunk);
  if (!w->chunk) return PAH_ENOMEM;
  for (int64_t n = 0; n < w->chunks; n++) {
    struct bwd_chunk *c = w->chunk + n;
    c->sequence = n % s->B;
    struct tile_mask mask = bwd_mask(w, c->sequence);
    int64_t part = n / s->B, tiles = (mask.len_k + TILE_KEYS - 1) / TILE_KEYS;
    c->key = tiles * part / w->per_sequence * TILE_KEYS;
    c->key_end = tile_clamp(tiles * (part + 1) / w->per_sequence * TILE_KEYS, 0, mask.len_k);
    if (c->key < c->key_end) tile_rows_of(&mask, c->key, c->key_end, &c->row, &c->row_end);
    if (c->row_end < c->row) c->row_end = c->row;
    c->dq = w->dq_floats;
    w->dq_floats += (c->row_end - c->row) * w->padded;
  }
  return PAH_OK;
}

static int bwd_alloc(struct bwd *w) {
  const struct pah_attn_sizes *s = &w->s;
  int64_t copies = w->blocks.start[w->blocks.shared] * 2 * s->block_size * s->D; /* of a head */
  w->heads = tile_clamp(BWD_SCRATCH / 4 / (w->dq_floats + copies + 1), 1, s->Hkv);
  int64_t tasks = w->heads * w->chunks;
  if (tasks < w->threads) w->threads = tasks > 1 ? (int)tasks : 1;
  struct tile t;
  w->tile_floats = tile_layout(&t, s->D, NULL);
  w->delta = scratch_floats(s->total_q * s->H);
  w->dq = scratch_floats(w->heads * w->dq_floats);
  w->copies = scratch_floats(w->heads * copies);
  w->tiles = scratch_floats(w->threads * w->tile_floats);
  if (!w->delta || !w->dq || !w->copies || !w->tiles) return PAH_ENOMEM;
#pragma omp parallel for num_threads(w->threads) schedule(static)
  for (int i = 0; i < w->threads; i++) /* once: the padding of the tiles' rows behind D is never written again */
    memset(w->tiles + i * w->tile_floats, 0, (size_t)w->tile_floats * sizeof *w->tiles);
  return PAH_OK;
}

static void bwd_free(struct bwd *w) {
  blocks_free(&w->blocks);
  free(w->chunk);
  free(w->delta);
  free(w->dq);
  free(w->copies);
  free(w->tiles);
}

/* ---- The passes ---------------------------------------------------------------------------------------- */

/* delta = rowsum(dout * out), which is what the softmax's gradient subtracts from dP. Like bwd_store_rows it is called
 * by all threads of one parallel region, which do not wait for each other between sequences. */
static void bwd_delta(const struct bwd *w, int64_t b) {
  const struct pah_attn *a = w->a;
  int64_t row0 = bwd_row0(w, b), len_q = bwd_mask(w, b).len_q, D = w->s.D;
#pragma omp for schedule(static) nowait
  for (int64_t n = 0; n < len_q * w->s.H; n++) {
    float out[TILE_MAX_D], dout[TILE_MAX_D], lane[8] = {0};
    int64_t i = n / w->s.H, h = n % w->s.H;
    row_load(out, bwd_row(w, &a->out, b, h, i), a->out.dtype, D);
    row_load(dout, bwd_row(w, &a->dout, b, h, i), a->dout.dtype, D);
    for (int64_t d = 0; d < D; d += 8)
      for (int l = 0; l < 8; l++) lane[l] += out[d + l] * dout[d + l];
    w->delta[(row0 + i) * w->s.H + h] =
        ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
  }
}

/* The flat rows [row, row + rows) of sequence b and KV head `head` into the tile. Rows with lse = -inf saw no key;
 * they become 0, so that nothing they hold reaches dK and dV. */
static void bwd_load_rows(const struct bwd *w, struct tile *t, int64_t b, int64_t head, int64_t row, int64_t rows) {
  const struct pah_attn *a = w->a;
  struct pah_row_strides at = pah_lse_strides(&w->s, &a->lse);
  int64_t row0 = bwd_row0(w, b), group = w->s.group, D = w->s.D;
  t->odd_rows = t->dead_rows = 0;
  for (int64_t m = 0; m < rows; m++) {
    int64_t i = (row + m) / group, h = head * group + (row + m) % group, query = w->s.ragged ? row0 + i : i;
    t->lse[m] = ((const float *)a->lse.data)[b * at.batch + h * at.head + query * at.row];
    t->delta[m] = w->delta[(row0 + i) * w->s.H + h];
    if (t->lse[m] == -INFINITY) {
      memset(t->q + m * t->ld, 0, (size_t)D * sizeof(float));
      memset(t->dout + m * t->ld, 0, (size_t)D * sizeof(float));
      t->dead_rows = 1;
      continue;
    }
    row_load(t->q + m * t->ld, bwd_row(w, &a->q, b, h, i), a->q.dtype, D);
    row_load(t->dout + m * t->ld, bwd_row(w, &a->dout, b, h, i), a->dout.dtype, D);
    t->odd_rows |= tile_odd(t->q + m * t->ld, D) | tile_odd(t->dout + m * t->ld, D);
  }
}

static void bwd_load_keys(const struct bwd *w, struct tile *t, int64_t b, int64_t head, int64_t key, int64_t keys) {
  const struct pah_attn *a = w->a;
  t->odd_keys = 0;
  for (int64_t j = 0; j < keys; j++) {
    int64_t id = blocks_id(a, b, (key + j) / w->s.block_size), slot = (key + j) % w->s.block_size;
    row_load(t->k + j * t->ld, blocks_row(&a->k_blocks, id, slot, head), a->k_blocks.dtype, t->D);
    row_load(t->v + j * t->ld, blocks_row(&a->v_blocks, id, slot, head), a->v_blocks.dtype, t->D);
    t->odd_keys |= tile_odd(t->k + j * t->ld, t->D) | tile_odd(t->v + j * t->ld, t->D);
  }
  tile_transpose(t->kt, t->k, t->ld, keys, t->D);
  tile_transpose(t->vt, t->v, t->ld, keys, t->D);
}

/* dK and dV of a tile of keys to their blocks, or to the copies of those that are shared. */
static void bwd_store_keys(const struct bwd *w, const struct tile *t, int64_t b, int64_t head, int64_t h, int64_t key,
                           int64_t keys) {
  const struct pah_tensor *to[2] = {&w->a->dk_blocks, &w->a->dv_blocks};
  const float *from[2] = {t->dk, t->dv};
  for (int64_t j = 0; j < keys; j++) {
    int64_t logical = (key + j) / w->s.block_size, slot = (key + j) % w->s.block_size;
    int64_t place = w->blocks.place[w->blocks.first_use[b] + logical];
    for (int which = 0; which < 2; which++) {
      const float *row = from[which] + j * t->ld;
      if (place < 0)
        row_store(blocks_row(to[which], blocks_id(w->a, b, logical), slot, head), to[which]->dtype, row, t->D);
      else
        memcpy(blocks_copy(&w->blocks, &w->s, w->copies, h, place, which) + slot * t->D, row,
               (size_t)t->D * sizeof *row);
    }
  }
}

/* One range of keys of KV head `head`, number h of its wave. */
static void bwd_task(const struct bwd *w, const struct bwd_chunk *c, int64_t head, int64_t h, float *scratch) {
  struct tile t = {0};
  struct tile_mask mask = bwd_mask(w, c->sequence);
  tile_layout(&t, w->s.D, scratch);
  float *dq = w->dq + h * w->dq_floats + c->dq;
  memset(dq, 0, (size_t)((c->row_end - c->row) * w->padded) * sizeof *dq);
  for (int64_t key = c->key; key < c->key_end && !pah_interrupted; key += TILE_KEYS) {
    struct tile_pair at = {.key = key, .keys = tile_clamp(c->key_end - key, 0, TILE_KEYS)};
    int64_t row, row_end;
    bwd_load_keys(w, &t, c->sequence, head, at.key, at.keys);
    memset(t.dk, 0, (size_t)(at.keys * t.ld) * sizeof *t.dk);
    memset(t.dv, 0, (size_t)(at.keys * t.ld) * sizeof *t.dv);
    tile_rows_of(&mask, at.key, at.key + at.keys, &row, &row_end);
    for (at.row = row; at.row < row_end; at.row += TILE_ROWS) {
      at.rows = tile_clamp(row_end - at.row, 0, TILE_ROWS);
      bwd_load_rows(w, &t, c->sequence, head, at.row, at.rows);
      tile_step(&t, &mask, &at, w->scale, w->a->softcap, dq + (at.row - c->row) * w->padded);
    }
    bwd_store_keys(w, &t, c->sequence, head, h, at.key, at.keys);
  }
}

/* Adds the copies of dQ of sequence b in the order of its ranges and stores head number h of the wave at head0. */
static void bwd_store_rows(const struct bwd *w, int64_t b, int64_t head0) {
  int64_t group = w->s.group, rows = bwd_mask(w, b).len_q * group;
#pragma omp for collapse(2) schedule(static) nowait
  for (int64_t h = 0; h < w->heads; h++)
    for (int64_t row = 0; row < rows; row++) {
      if (head0 + h >= w->s.Hkv) continue;
      float sum[TILE_MAX_D] = {0};
      for (int64_t part = 0; part < w->per_sequence; part++) {
        const struct bwd_chunk *c = w->chunk + part * w->s.B + b;
        if (row < c->row || row >= c->row_end) continue;
        const float *copy = w->dq + h * w->dq_floats + c->dq + (row - c->row) * w->padded;
        for (int64_t d = 0; d < w->s.D; d++) sum[d] += copy[d];
      }
      int64_t head = (head0 + h) * group + row % group;
      row_store((char *)bwd_row(w, &w->a->dq, b, head, row / group), w->a->dq.dtype, sum, w->s.D);
    }
}

/* Heads [head0, head0 + heads) of all sequences. */
static void bwd_wave(const struct bwd *w, int64_t head0) {
  int64_t heads = tile_clamp(w->s.Hkv - head0, 0, w->heads), tasks = w->chunks * heads;
#pragma omp parallel for num_threads(w->threads) schedule(dynamic, 1)
  for (int64_t n = 0; n < tasks; n++)
    if (!pah_interrupted)
      bwd_task(w, w->chunk + n / heads, head0 + n % heads, n % heads, w->tiles + omp_get_thread_num() * w->tile_floats);
#pragma omp parallel num_threads(w->threads)
  for (int64_t b = 0; b < w->s.B; b++) bwd_store_rows(w, b, head0);
#pragma omp parallel for collapse(2) num_threads(w->threads) schedule(dynamic, 1)
  for (int64_t n = 0; n < w->blocks.shared; n++)
    for (int64_t h = 0; h < heads; h++) blocks_add(&w->blocks, w->a, &w->s, w->copies, n, h, head0 + h);
}

static int backward_run(const struct pah_attn *a, int threads) {
  struct bwd w = {.a = a, .s = pah_attn_sizes(a), .threads = threads};
  struct tile t;
  tile_layout(&t, w.s.D, NULL);
  w.padded = t.padded;
  w.scale = pah_softmax_scale(a, &w.s);
  int status = blocks_find(&w.blocks, a, &w.s);
  if (!status && (bwd_plan(&w) || bwd_alloc(&w)))
    status = pah_fail(PAH_ENOMEM, "bwd: no memory for the scratch of %lld query rows and %lld KV heads",
                      (long long)w.s.total_q, (long long)w.s.Hkv);
  if (!status) {
    blocks_clear(&w.blocks, a, &w.s, w.threads);
#pragma omp parallel num_threads(w.threads)
    for (int64_t b = 0; b < w.s.B; b++) bwd_delta(&w, b);
    for (int64_t head = 0; head < w.s.Hkv && !pah_interrupted; head += w.heads) bwd_wave(&w, head);
    if (pah_interrupted) status = pah_fail(PAH_EINTERRUPTED, "bwd: interrupted");
  }
  bwd_free(&w);
  return status;
}

#endif
