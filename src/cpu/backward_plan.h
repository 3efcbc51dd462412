/* cpu/backward_plan.h - how a backward call is cut, by the problem alone and never by the number of threads. A task is
 * a tile of keys of one sequence and KV head; it owns their dK and dV. dQ is summed in f32 by tiles of query rows, to
 * which the tasks add in the order of their keys: each row tile has a turn, the number of the tile of keys that may add
 * next. So the result is bitwise the same for any threads. Read next: backward_rows.h, backward.h. */
#ifndef PAH_CPU_BACKWARD_PLAN_H
#define PAH_CPU_BACKWARD_PLAN_H

#include "backward_blocks.h"
#include "backward_tile.h"
#include "scratch.h"

/* f32 scratch allowed for dQ and for copies of shared blocks: KV heads are done in waves that keep within it (one head
 * at least). */
#define BWD_SCRATCH ((int64_t)512 << 20)

/* A tile of query rows of a sequence, for every KV head. */
struct bwd_rows {
  int64_t sequence, row, rows; /* flat rows [row, row + rows) */
  int64_t first, last;         /* the tiles of keys that see any of them; first > last: none does */
  int64_t dq;                  /* where its dQ starts among those of a head */
};

struct bwd_task {
  int64_t sequence, tile; /* keys [tile * TILE_KEYS, ...) */
};

struct bwd {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  struct blocks blocks;
  float scale;
  int threads;
  int64_t tasks, tiles; /* of a head */
  struct bwd_task *task;
  struct bwd_rows *rows; /* [tiles] */
  int64_t *first_rows;   /* [B+1]: first row tile of each sequence */
  float *delta;          /* [total_q][H]: rowsum(dout * out) */
  int64_t heads;         /* KV heads of a wave */
  int64_t dq_floats;     /* of a head */
  int64_t *turn;         /* [heads][tiles] */
  float *dq, *copies;    /* [heads][dq_floats], and blocks_copy's */
  int64_t scratch;       /* floats of a thread's tiles */
  float *tiles_at;       /* [threads][scratch] */
};

static struct tile_mask bwd_mask(const struct bwd *w, int64_t b) {
  int64_t first, count;
  pah_q_range(w->a, &w->s, b, &first, &count);
  return tile_mask(w->a, count, pah_len_k(w->a, &w->s, b), w->s.group);
}

static int64_t bwd_count(int64_t n, int64_t of) {
  return (n + of - 1) / of;
}

/* The row tiles of sequence b from number n on; returns the number behind the last. */
static int64_t bwd_plan_rows(struct bwd *w, int64_t b, int64_t n) {
  struct tile_mask mask = bwd_mask(w, b);
  int64_t padded = bwd_count(w->s.D, CELL_COLS) * CELL_COLS, end = mask.len_q * w->s.group;
  for (int64_t row = 0; row < end; row += TILE_ROWS, n++) {
    int64_t rows = tile_clamp(end - row, 0, TILE_ROWS), key, key_end;
    tile_keys_of(&mask, row, row + rows, &key, &key_end);
    w->rows[n] = (struct bwd_rows){b, row, rows, key / TILE_KEYS, (key_end - 1) / TILE_KEYS, w->dq_floats};
    if (key >= key_end) w->rows[n].first = w->rows[n].last + 1;
    w->dq_floats += tile_dq_rows(rows) * padded;
  }
  return n;
}

static int bwd_plan(struct bwd *w) {
  const struct pah_attn_sizes *s = &w->s;
  int64_t longest = 0, n = 0;
  for (int64_t b = 0; b < s->B; b++) {
    struct tile_mask mask = bwd_mask(w, b);
    w->tasks += bwd_count(mask.len_k, TILE_KEYS);
    w->tiles += bwd_count(mask.len_q * s->group, TILE_ROWS);
    longest = mask.len_k > longest ? mask.len_k : longest;
  }
  w->task = calloc((size_t)w->tasks + 1, sizeof *w->task);
  w->rows = calloc((size_t)w->tiles + 1, sizeof *w->rows);
  w->first_rows = calloc((size_t)s->B + 1, sizeof *w->first_rows);
  if (!w->task || !w->rows || !w->first_rows) return PAH_ENOMEM;
  for (int64_t b = 0; b < s->B; b++) w->first_rows[b + 1] = bwd_plan_rows(w, b, w->first_rows[b]);
  for (int64_t tile = 0; tile * TILE_KEYS < longest; tile++) /* early keys first: under causal most queries see them */
    for (int64_t b = 0; b < s->B; b++)
      if (tile * TILE_KEYS < pah_len_k(w->a, s, b)) w->task[n++] = (struct bwd_task){b, tile};
  return PAH_OK;
}

static int bwd_alloc(struct bwd *w) {
  const struct pah_attn_sizes *s = &w->s;
  int64_t copies = w->blocks.start[w->blocks.shared] * 2 * s->block_size * s->D; /* of a head */
  w->heads = tile_clamp(BWD_SCRATCH / 4 / (w->dq_floats + copies + 1), 1, s->Hkv);
  int64_t tasks = w->heads * w->tasks;
  if (tasks < w->threads) w->threads = tasks > 1 ? (int)tasks : 1;
  struct tile t;
  w->scratch = (tile_layout(&t, s->D, NULL) + 15) / 16 * 16;
  w->delta = scratch_floats(s->total_q * s->H);
  w->turn = calloc((size_t)(w->heads * w->tiles) + 1, sizeof *w->turn);
  w->dq = scratch_floats(w->heads * w->dq_floats);
  w->copies = scratch_floats(w->heads * copies);
  w->tiles_at = scratch_floats(w->threads * w->scratch);
  return w->delta && w->turn && w->dq && w->copies && w->tiles_at ? PAH_OK : PAH_ENOMEM;
}

static void bwd_free(struct bwd *w) {
  blocks_free(&w->blocks);
  free(w->task);
  free(w->rows);
  free(w->first_rows);
  free(w->delta);
  free(w->turn);
  free(w->dq);
  free(w->copies);
  free(w->tiles_at);
}

#endif
