/* backward_common.c - see backward_common.h. */
#include "backward_common.h"

#include <limits.h>
#include <string.h>

#include "error.h"
#include "forward_common.h"

enum { PREPARE_THREADS = 128, PLAN_THREADS = 512, LARGEST_KEYS = 128, ITEM_BYTES = 16, LINE = 128 };

/* Entries of the table, and the pieces into which tiles may cut them. */
static int64_t most_items(const struct pah_attn_sizes *s, int64_t keys) {
  return s->B * (s->max_blocks + pah_up(s->max_blocks * s->block_size, keys));
}

int pah_backward_check(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t keys, const char *kernel) {
  if (!s->total_q || !s->B) return pah_fail(PAH_EUNSUPPORTED, "q: the %s kernel takes at least one query", kernel);
  int status = pah_forward_check_sizes(a, s, kernel);
  if (status) return status;
  if (s->B > INT_MAX / 4 || s->max_blocks > INT_MAX / 4 || s->max_blocks * s->block_size > INT_MAX - 2 * LARGEST_KEYS ||
      most_items(s, keys) * s->Hkv > INT_MAX)
    return pah_fail(PAH_EUNSUPPORTED, "block_table: the %s kernel takes 2^31-1 items of work at most", kernel);
  const struct pah_tensor *tensors[] = {&a->dout, &a->dq, &a->dk_blocks, &a->dv_blocks};
  static const char *const names[] = {"dout", "dq", "dk_blocks", "dv_blocks"};
  for (int i = 0; i < 4 && !status; i++) status = pah_forward_check_aligned(names[i], tensors[i], kernel);
  return status;
}

/* ---- Working memory ---- */

static int64_t padded(int64_t bytes) {
  return pah_up(bytes, 256) * 256;
}

/* Parts of scratch, one after the other; all of them are written before they are read. */
static int allocate(struct pah_backward *w) {
  const struct pah_attn_sizes *s = w->s;
  struct pah_backward_plan *plan = &w->plan;
  int64_t stats = padded(w->row_tiles * s->H * 2 * w->queries * 4), blocks = padded(s->num_blocks * 4);
  int64_t items = padded(w->items * ITEM_BYTES), delta = w->p->dsinks ? padded(s->H * s->total_q * 4) : 0;
  void *data;
  int status = pah_gpu_scratch(w->dev, stats + 5 * blocks + items + padded(3 * LINE) + delta, &data);
  if (status) return status;
  char *at = data;
  plan->stats = (float *)at;
  at += stats;
  int **counts[] = {&plan->first, &plan->last, &plan->lowest, &plan->highest, &plan->used};
  for (int i = 0; i < 5; i++, at += blocks) *counts[i] = (int *)at;
  plan->items = (int *)at;
  at += items;
  int **numbers[] = {&plan->item_count, &plan->dkdv_taken, &plan->dq_taken};
  for (int i = 0; i < 3; i++) *numbers[i] = (int *)(at + (int64_t)i * LINE); /* in lines of their own */
  at += padded(3 * LINE);
  int64_t rows = s->ragged ? s->total_q : w->a->q.shape[2]; /* [B, H, Sq], or [H, total_q] */
  if (delta) w->p->delta = (struct pah_rows){at, s->ragged ? 0 : s->H * rows, rows, 1};
  return PAH_OK;
}

/* ---- The launches ---- */

static int launch(const struct pah_backward *w, const char *file, const char *kernel, int64_t grid, int threads) {
  struct pah_gpu_call call = {.file = file, .kernel = kernel, .grid = {grid, 1, 1}, .threads = threads};
  int head_dim_v = (int)w->s->Dv;
  const void *args[] = {w->p, &w->plan, &head_dim_v};
  pah_gpu_define(&call, "QUERIES", w->queries);
  if (threads == PREPARE_THREADS) {
    pah_gpu_define(&call, "HEAD_DIM_V", w->dim);
    pah_gpu_define_type(&call, "IO_T", w->a->q.dtype);
  } else {
    pah_gpu_define(&call, "KEYS", w->keys);
  }
  call.problem = w->a;
  memcpy(call.args, args, sizeof args);
  return pah_gpu_call(w->dev, &call);
}

int pah_backward_begin(struct pah_backward *w) {
  const struct pah_attn_sizes *s = w->s;
  w->row_tiles = s->ragged ? s->total_q / w->queries + s->B : s->B * pah_up(w->a->q.shape[2], w->queries);
  w->items = most_items(s, w->keys);
  int status = allocate(w);
  if (!status) status = launch(w, "backward/prepare.cu", "backward_prepare", w->row_tiles * s->H, PREPARE_THREADS);
  return status ? status : launch(w, "backward/plan.cu", "backward_items", 1, PLAN_THREADS);
}
