/* cpu/backward.h - dq, dk_blocks and dv_blocks from dout, out and lse: recomputes P from lse, keys outside, queries
 * inside. Deterministic for any number of threads: see backward_plan.h. The roofline, and what each step gained, is in
 * doc/cpu-backward.md. Read next: backward_plan.h, backward_tile.h. */
#ifndef PAH_CPU_BACKWARD_H
#define PAH_CPU_BACKWARD_H

#include <omp.h>
#include <sched.h>

#include "backward_rows.h"

/* Waits until tile `tile` of the keys may add to a row tile; 0 if the call was interrupted. The task of the tile before
 * it was taken first and waits for none but earlier ones, so this ends. It is rare: neighbours in the queue are
 * different heads and sequences where there are enough of them. */
static int bwd_wait(const int64_t *turn, int64_t tile) {
  for (int tries = 1; __atomic_load_n(turn, __ATOMIC_ACQUIRE) != tile; tries++) {
    if (pah_interrupted) return 0;
    if (tries % 64 == 0) sched_yield(); /* whom we wait for may have no processor */
  }
  return 1;
}

/* One tile of keys of KV head `head`, number h of its wave. */
static void bwd_task(const struct bwd *w, const struct bwd_task *task, int64_t head, int64_t h, struct tile *t) {
  int64_t b = task->sequence, key = task->tile * TILE_KEYS, row, row_end;
  struct tile_mask mask = bwd_mask(w, b);
  struct tile_pair at = {.key = key, .keys = tile_clamp(mask.len_k - key, 0, TILE_KEYS)};
  bwd_load_keys(w, t, b, head, key, at.keys);
  tile_rows_of(&mask, key, key + at.keys, &row, &row_end);
  const struct bwd_rows *r = w->rows + w->first_rows[b] + row / TILE_ROWS;
  const struct bwd_rows *end = w->rows + w->first_rows[b] + bwd_count(row_end, TILE_ROWS);
  if (r < end) bwd_look_ahead(w, t, r, head);
  for (; r < end; r++) {
    int64_t *turn = w->turn + h * w->tiles + (r - w->rows);
    float *dq = w->dq + h * w->dq_floats + r->dq;
    at.row = r->row;
    at.rows = r->rows;
    bwd_load_rows(w, t, r, head);
    t->ahead_rows = 0;
    if (r + 1 < end) bwd_look_ahead(w, t, r + 1, head);
    int odd = tile_step_keys(t, &mask, &at, w->scale, w->a->softcap, dq);
    if (!bwd_wait(turn, task->tile)) return;
    if (task->tile == r->first) memset(dq, 0, (size_t)(tile_dq_rows(r->rows) * t->padded) * sizeof *dq);
    tile_step_rows(t, &mask, &at, odd, dq);
    if (task->tile == r->last) bwd_store_rows(w, r, head, dq);
    __atomic_store_n(turn, task->tile + 1, __ATOMIC_RELEASE);
  }
  bwd_store_keys(w, t, b, head, h, key, at.keys);
}

/* Heads [head0, head0 + heads) of all sequences. */
static void bwd_wave(const struct bwd *w, int64_t head0) {
  int64_t heads = tile_clamp(w->s.Hkv - head0, 0, w->heads), next = 0;
  for (int64_t n = 0; n < heads * w->tiles; n++) w->turn[n] = w->rows[n % w->tiles].first;
#pragma omp parallel num_threads(w->threads)
  {
    struct tile t = {0};
    float *scratch = w->tiles_at + omp_get_thread_num() * w->scratch;
    tile_layout(&t, w->s.D, scratch);
    memset(scratch, 0, (size_t)w->scratch * sizeof *scratch); /* the padding of rows behind D is never written again */
    for (int64_t n; !pah_interrupted && (n = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < heads * w->tasks;)
      bwd_task(w, w->task + n / heads, head0 + n % heads, n % heads, &t);
  }
#pragma omp parallel for collapse(2) num_threads(w->threads) schedule(dynamic, 1)
  for (int64_t n = 0; n < w->blocks.shared; n++)
    for (int64_t h = 0; h < heads; h++) blocks_add(&w->blocks, w->a, &w->s, w->copies, n, h, head0 + h);
}

static int backward_run(const struct pah_attn *a, int threads) {
  struct bwd w = {.a = a, .s = pah_attn_sizes(a), .threads = threads, .scale = 0};
  w.scale = pah_softmax_scale(a, &w.s);
  int status = blocks_find(&w.blocks, a, &w.s);
  if (!status && (bwd_plan(&w) || bwd_alloc(&w)))
    status = pah_fail(PAH_ENOMEM, "bwd: no memory for the scratch of %lld query rows and %lld KV heads",
                      (long long)w.s.total_q, (long long)w.s.Hkv);
  if (!status) {
    blocks_clear(&w.blocks, a, &w.s, w.threads);
#pragma omp parallel num_threads(w.threads)
    for (int64_t b = 0; b < w.s.B; b++) bwd_delta(&w, b);
#pragma omp parallel for num_threads(w.threads) schedule(dynamic, 1)
    for (int64_t b = 0; b < w.s.B; b++) bwd_clear_rows(&w, b);
    for (int64_t head = 0; head < w.s.Hkv && !pah_interrupted; head += w.heads) bwd_wave(&w, head);
    if (pah_interrupted) status = pah_fail(PAH_EINTERRUPTED, "bwd: interrupted");
  }
  bwd_free(&w);
  return status;
}

#endif
