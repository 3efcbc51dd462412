/* cpu/backward/run.h - dq, dk_blocks, dv_blocks and dsinks from dout, out and lse: recomputes P from lse, keys outside,
 * queries inside. Deterministic for any number of threads: see plan.h. The roofline, and what each step gained, is in
 * doc/design/cpu-backward.md. Read next: plan.h, step.h. */
#ifndef PAH_CPU_BACKWARD_RUN_H
#define PAH_CPU_BACKWARD_RUN_H

#include <omp.h>
#include <sched.h>

#include "rows.h"
#include "step.h"

/* Waits until *turn is `number`; 0 if the call was interrupted. It is set by tasks that were taken earlier and wait for
 * none but earlier ones, so this ends. */
static int bwd_wait(const int64_t *turn, int64_t number) {
  for (int tries = 1; __atomic_load_n(turn, __ATOMIC_ACQUIRE) != number; tries++) {
    if (pah_interrupted) return 0;
    if (tries % 64 == 0) sched_yield(); /* whom we wait for may have no processor */
  }
  return 1;
}

/* A tile of keys against one tile of rows that sees some of it. */
static int bwd_step(const struct bwd *w, struct bwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                    const struct bwd_rows *r, int64_t head, int64_t *turn, float *dq) {
  int64_t tile = at->key / BWD_KEYS;
  bwd_step_scores(t, mask, at);
  int masked = bwd_softmax(t, mask, at, w->scale, w->a->softcap, dq),
      nonfinite = masked && (t->nonfinite_keys || t->nonfinite_rows);
  bwd_step_keys(t, mask, at, nonfinite);
  if (!bwd_wait(turn, tile)) return 0;
  if (tile == r->first) memset(dq, 0, (size_t)(bwd_dq_rows(r->rows) * t->padded) * sizeof *dq);
  bwd_step_rows(t, mask, at, nonfinite, dq);
  if (tile == r->last) bwd_store_rows(w, r, head, dq);
  __atomic_store_n(turn, tile + 1, __ATOMIC_RELEASE);
  return 1;
}

/* One task of a wave of `heads` heads from head0 on. Rows are walked from the last to the first: under causal all tasks
 * of a KV stream start at the same rows then, so that several threads can follow each other down one KV stream. */
static void bwd_task(const struct bwd *w, const struct bwd_task *task, int64_t head0, int64_t heads,
                     struct bwd_tile *t) {
  int64_t b = task->kv_stream / heads, h = task->kv_stream % heads, head = head0 + h, slot = task->kv_stream % w->slots;
  int64_t key = task->tile * BWD_KEYS, row, row_end;
  struct tile_mask mask = bwd_mask(w, b);
  struct tile_step at = {.key = key, .keys = tile_clamp(mask.len_k - key, 0, BWD_KEYS)};
  bwd_load_keys(w, t, b, head, key, at.keys);
  tile_rows_of(&mask, key, key + at.keys, &row, &row_end);
  const struct bwd_rows *first = w->rows + w->first_rows[b] + row / BWD_ROWS;
  const struct bwd_rows *r = w->rows + w->first_rows[b] + bwd_count(row_end, BWD_ROWS);
  if (!bwd_wait(w->owner + slot, task->kv_stream)) return;
  if (r > first && row < row_end) bwd_look_ahead(w, t, r - 1, head);
  while (row < row_end && r-- > first) {
    at.row = r->row;
    at.rows = r->rows;
    bwd_load_rows(w, t, r, head);
    t->ahead_rows = 0;
    if (r > first) bwd_look_ahead(w, t, r - 1, head);
    if (!bwd_step(w, t, &mask, &at, r, head, w->turn + h * w->tiles + (r - w->rows),
                  w->dq + slot * w->slot_floats + r->dq))
      return;
  }
  bwd_store_keys(w, t, b, head, h, key, at.keys);
  if (__atomic_sub_fetch(w->left + task->kv_stream, 1, __ATOMIC_ACQ_REL) == 0)
    __atomic_store_n(w->owner + slot, bwd_heir(w, heads, task->kv_stream + w->slots), __ATOMIC_RELEASE);
}

/* Heads [head0, head0 + heads) of all sequences. */
static void bwd_wave(struct bwd *w, int64_t head0) {
  int64_t heads = tile_clamp(w->s.Hkv - head0, 0, w->heads), tasks = bwd_queue(w, heads), next = 0;
#pragma omp parallel num_threads(w->threads)
  {
    struct bwd_tile t = {0};
    float *scratch = w->tiles_at + omp_get_thread_num() * w->scratch;
    bwd_tile_layout(&t, w->s.D, w->s.Dv, w->bf16, scratch);
    memset(scratch, 0, (size_t)w->scratch * sizeof *scratch); /* the padding of rows behind D is never written again */
    if (t.amx) amx_begin();
    for (int64_t n; !pah_interrupted && (n = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < tasks;)
      bwd_task(w, w->task + n, head0, heads, &t);
    if (t.amx) amx_end();
  }
#pragma omp parallel for collapse(2) num_threads(w->threads) schedule(dynamic, 1)
  for (int64_t n = 0; n < w->blocks.shared; n++)
    for (int64_t h = 0; h < heads; h++) bwd_blocks_add(&w->blocks, w->a, &w->s, w->copies, n, h, head0 + h);
}

static int backward_run(const struct pah_attn *a, int threads, int amx) {
  struct bwd w = {.a = a, .s = pah_attn_sizes(a), .threads = threads, .scale = 0};
  w.scale = pah_softmax_scale(a, &w.s);
  int status = bf16_of_backward(a, &w.s, amx, &w.bf16);
  if (!status) status = bwd_blocks_find(&w.blocks, a, &w.s);
  if (!status && (bwd_plan(&w) || bwd_alloc(&w)))
    status = pah_fail(PAH_ENOMEM, "bwd: no memory for the scratch of %lld query rows and %lld KV heads",
                      (long long)w.s.total_q, (long long)w.s.Hkv);
  if (!status) {
    bwd_blocks_clear(&w.blocks, a, &w.s, w.threads);
#pragma omp parallel num_threads(w.threads)
    for (int64_t b = 0; b < w.s.B; b++) bwd_delta(&w, b);
#pragma omp parallel for num_threads(w.threads) schedule(dynamic, 1)
    for (int64_t b = 0; b < w.s.B; b++) bwd_clear_rows(&w, b);
    if (a->sinks.dtype != PAH_NONE) bwd_sinks(&w);
    for (int64_t head = 0; head < w.s.Hkv && !pah_interrupted; head += w.heads) bwd_wave(&w, head);
    if (pah_interrupted) status = pah_fail(PAH_EINTERRUPTED, "bwd: interrupted");
  }
  bwd_free(&w);
  return status;
}

#endif
