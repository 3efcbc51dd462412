/* cpu/paged.h - from (sequence, token) to memory: rows of q, out and lse, rows of K and V through the block table, and
 * the scales of a sequence and KV head. Contents of the tables were checked before any kernel started. */
#ifndef PAH_CPU_PAGED_H
#define PAH_CPU_PAGED_H

#include "attention/attn.h"

/* Row (b, head h, query i) of q or out. */
static inline char *paged_q_row(const struct pah_attn *a, const struct pah_attn_sizes *s, const struct pah_tensor *t,
                                int64_t b, int64_t h, int64_t i) {
  struct pah_row_strides at = pah_q_strides(s, t);
  int64_t first, count;
  pah_q_range(a, s, b, &first, &count);
  return (char *)t->data + (b * at.batch + h * at.head + (first + i) * at.row) * pah_dtype_size(t->dtype);
}

static inline float *paged_lse(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t b, int64_t h,
                               int64_t i) {
  struct pah_row_strides at = pah_lse_strides(s, &a->lse);
  int64_t first, count;
  pah_q_range(a, s, b, &first, &count);
  return (float *)a->lse.data + b * at.batch + h * at.head + (first + i) * at.row;
}

/* Addresses of `count` tokens of KV head `head` from `token` on, with one division for all of them: one for each took
 * a sixtieth of the time of prefill. */
static inline void paged_rows(const struct pah_attn *a, const struct pah_attn_sizes *s, const struct pah_tensor *cache,
                              int64_t b, int64_t head, int64_t token, int64_t count, const char **row) {
  const struct pah_tensor *table = &a->block_table;
  const int32_t *blocks = (const int32_t *)table->data + b * table->stride[0];
  int64_t logical = token / s->block_size, slot = token % s->block_size, size = pah_dtype_size(cache->dtype);
  int64_t step = cache->stride[1] * size;
  for (int64_t j = 0; j < count; slot = 0, logical++) {
    int64_t block = blocks[logical * table->stride[1]], end = j + s->block_size - slot;
    const char *at = (const char *)cache->data +
                     (block * cache->stride[0] + slot * cache->stride[1] + head * cache->stride[2]) * size;
    for (end = end < count ? end : count; j < end; j++, at += step) row[j] = at;
  }
}

/* A descale: absent 1, a scalar, or [B, Hkv]. */
static inline float paged_descale(const struct pah_tensor *t, int64_t b, int64_t head) {
  if (t->dtype == PAH_NONE) return 1.0f;
  return ((const float *)t->data)[t->ndim == 2 ? b * t->stride[0] + head * t->stride[1] : 0];
}

/* What q k has to be multiplied by to be a score. */
static inline float paged_scale(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t b, int64_t head) {
  return pah_softmax_scale(a, s) * paged_descale(&a->q_descale, b, head) * paged_descale(&a->k_descale, b, head);
}

/* The sink of query head h; -inf: none. */
static inline float paged_sink(const struct pah_attn *a, int64_t h) {
  return a->sinks.dtype == PAH_NONE ? -INFINITY : ((const float *)a->sinks.data)[h * a->sinks.stride[0]];
}

/* o_scale, which only an fp8 out has. */
static inline float paged_o_scale(const struct pah_attn *a) {
  return a->out.dtype == PAH_FP8_E4M3 || a->out.dtype == PAH_FP8_E5M2 ? a->o_scale : 1.0f;
}

#endif
