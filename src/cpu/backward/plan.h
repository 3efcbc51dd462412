/* cpu/backward/plan.h - how a backward call is cut, by the problem alone and never by the number of threads. A task is
 * a tile of keys of one sequence and KV head; it owns their dK and dV. dQ is summed in f32 by tiles of query rows, to
 * which the tasks add in the order of their keys: each row tile has a turn, the number of the tile of keys that may add
 * next. So the result is bitwise the same for any threads. Read next: rows.h, run.h. */
#ifndef PAH_CPU_BACKWARD_PLAN_H
#define PAH_CPU_BACKWARD_PLAN_H

#include "blocks.h"
#include "tile.h"
#include "cpu/scratch.h"

/* f32 scratch allowed for copies of shared blocks: KV heads are done in waves that keep within it (one head at least).
 * BWD_SLOTS for each thread hold the dQ of one sequence and head, more would only cost memory: to be given the pages of
 * 32 MiB anew in every call took a tenth of its time on a virtual machine. */
#define BWD_SCRATCH ((int64_t)512 << 20)
enum { BWD_SLOTS = 2 };

/* A tile of query rows of a sequence, for every KV head. */
struct bwd_rows {
  int64_t sequence, row, rows; /* flat rows [row, row + rows) */
  int64_t first, last;         /* the tiles of keys that see any of them; first > last: none does */
  int64_t dq;                  /* where its dQ starts in that of the sequence and a head */
};

/* A KV stream is a sequence and a KV head of the wave. */
struct bwd_task {
  int64_t kv_stream, tile; /* keys [tile * BWD_KEYS, ...) */
};

struct bwd {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  struct bwd_blocks blocks;
  float scale;
  int threads;
  int bf16;                         /* how bf16 is multiplied (cpu/bf16_way.h); other dtypes: BF16_FMA */
  int64_t tiles;                    /* row tiles of all sequences */
  struct bwd_rows *rows;            /* [tiles] */
  int64_t *first_rows;              /* [B+1]: first row tile of each sequence */
  int64_t *tasks;                   /* [B]: tiles of keys of each sequence */
  float *delta;                     /* [total_q][H]: rowsum(dout * out) */
  int64_t heads, kv_streams, slots; /* KV heads of a wave; B * heads; KV streams whose dQ there is room for */
  struct bwd_task *task;            /* [heads * sum of tasks]: the queue of a wave */
  int64_t *turn;                    /* [heads][tiles]: the tile of keys that may add to this row tile next */
  int64_t *left;                    /* [kv_streams]: tasks that are not done */
  int64_t *owner;                   /* [slots]: the KV stream whose dQ it holds */
  int64_t slot_floats;
  float *dq, *copies; /* [slots][slot_floats], and bwd_blocks_copy's */
  int64_t scratch;    /* floats of a thread's tiles */
  float *tiles_at;    /* [threads][scratch] */
};

static struct tile_mask bwd_mask(const struct bwd *w, int64_t b) {
  return tile_mask(w->a, &w->s, b);
}

static int64_t bwd_count(int64_t n, int64_t of) {
  return (n + of - 1) / of;
}

/* The row tiles of sequence b from number n on; returns the number behind the last. */
static int64_t bwd_plan_rows(struct bwd *w, int64_t b, int64_t n) {
  struct tile_mask mask = bwd_mask(w, b);
  int64_t padded = bwd_count(w->s.D, CELL_COLS) * CELL_COLS, end = mask.len_q * w->s.group, dq = 0;
  for (int64_t row = 0; row < end; row += BWD_ROWS, n++) {
    int64_t rows = tile_clamp(end - row, 0, BWD_ROWS), key, key_end;
    tile_keys_of(&mask, row, row + rows, &key, &key_end);
    w->rows[n] = (struct bwd_rows){b, row, rows, key / BWD_KEYS, (key_end - 1) / BWD_KEYS, dq};
    if (key >= key_end) w->rows[n].first = w->rows[n].last + 1;
    dq += bwd_dq_rows(rows) * padded;
  }
  w->slot_floats = dq > w->slot_floats ? dq : w->slot_floats;
  return n;
}

static int bwd_plan(struct bwd *w) {
  const struct pah_attn_sizes *s = &w->s;
  w->first_rows = calloc((size_t)s->B + 1, sizeof *w->first_rows);
  w->tasks = calloc((size_t)s->B + 1, sizeof *w->tasks);
  if (!w->first_rows || !w->tasks) return PAH_ENOMEM;
  for (int64_t b = 0; b < s->B; b++) {
    w->tiles += bwd_count(bwd_mask(w, b).len_q * s->group, BWD_ROWS);
    w->tasks[b] = bwd_count(pah_len_k(w->a, s, b), BWD_KEYS);
  }
  w->rows = calloc((size_t)w->tiles + 1, sizeof *w->rows);
  if (!w->rows) return PAH_ENOMEM;
  for (int64_t b = 0; b < s->B; b++) w->first_rows[b + 1] = bwd_plan_rows(w, b, w->first_rows[b]);
  return PAH_OK;
}

/* The KV stream that gets the slot of `kv_stream`, itself or a later one: the first that has tasks. */
static int64_t bwd_heir(const struct bwd *w, int64_t heads, int64_t kv_stream) {
  while (kv_stream < w->s.B * heads && !w->tasks[kv_stream / heads]) kv_stream += w->slots;
  return kv_stream;
}

/* Fills the queue of a wave of `heads` KV heads and sets all turns; returns the tasks in it. KV streams come in groups
 * as large as there are slots; in a group the first keys come first, which under causal most queries see, and
 * neighbours in the queue belong to different KV streams, so that threads seldom wait for each other's turn. */
static int64_t bwd_queue(struct bwd *w, int64_t heads) {
  int64_t n = 0, kv_streams = w->s.B * heads;
  for (int64_t group = 0; group < kv_streams; group += w->slots)
    for (int64_t tile = 0, more = 1; more; tile++) {
      more = 0;
      for (int64_t kv_stream = group; kv_stream < kv_streams && kv_stream < group + w->slots; kv_stream++) {
        if (tile >= w->tasks[kv_stream / heads]) continue;
        w->task[n++] = (struct bwd_task){kv_stream, tile};
        more = 1;
      }
    }
  for (int64_t i = 0; i < heads * w->tiles; i++) w->turn[i] = w->rows[i % w->tiles].first;
  for (int64_t kv_stream = 0; kv_stream < kv_streams; kv_stream++) w->left[kv_stream] = w->tasks[kv_stream / heads];
  for (int64_t slot = 0; slot < w->slots; slot++) w->owner[slot] = bwd_heir(w, heads, slot);
  return n;
}

static int bwd_alloc(struct bwd *w) {
  const struct pah_attn_sizes *s = &w->s;
  int64_t copies = w->blocks.start[w->blocks.shared] * s->block_size * (s->D + s->Dv), tasks = 0; /* of a head */
  w->heads = tile_clamp(BWD_SCRATCH / 4 / (copies + 1), 1, s->Hkv);
  w->kv_streams = s->B * w->heads;
  for (int64_t b = 0; b < s->B; b++) tasks += w->heads * w->tasks[b];
  if (tasks < w->threads) w->threads = tasks > 1 ? (int)tasks : 1;
  w->slots = tile_clamp(BWD_SLOTS * w->threads, 0, w->kv_streams);
  struct bwd_tile t;
  w->scratch = (bwd_tile_layout(&t, s->D, s->Dv, w->bf16, NULL) + 15) / 16 * 16;
  w->delta = pah_scratch_floats(s->total_q * s->H);
  w->task = calloc((size_t)tasks + 1, sizeof *w->task);
  w->turn = calloc((size_t)(w->heads * w->tiles) + 1, sizeof *w->turn);
  w->left = calloc((size_t)w->kv_streams + 1, sizeof *w->left);
  w->owner = calloc((size_t)w->slots + 1, sizeof *w->owner);
  w->dq = pah_scratch_floats(w->slots * w->slot_floats);
  w->copies = pah_scratch_floats(w->heads * copies);
  w->tiles_at = pah_scratch_floats(w->threads * w->scratch);
  return w->delta && w->task && w->turn && w->left && w->owner && w->dq && w->copies && w->tiles_at ? PAH_OK
                                                                                                    : PAH_ENOMEM;
}

static void bwd_free(struct bwd *w) {
  bwd_blocks_free(&w->blocks);
  free(w->rows);
  free(w->first_rows);
  free(w->tasks);
  pah_scratch_free(w->delta);
  free(w->task);
  free(w->turn);
  free(w->left);
  free(w->owner);
  pah_scratch_free(w->dq);
  pah_scratch_free(w->copies);
  pah_scratch_free(w->tiles_at);
}

#endif
