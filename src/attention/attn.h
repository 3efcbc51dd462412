/* attn.h - the sizes of a checked attention problem, derived from its tensors; for src/ and the kernels of a device.
 * Legend as in pah.h. */
#ifndef PAH_ATTN_H
#define PAH_ATTN_H

#include <math.h>

#include "pah.h"

/* The largest head_dim, of q and K and of V. */
enum { PAH_MAX_D = 576 };

struct pah_attn_sizes {
  int64_t B, H, Hkv, num_blocks, block_size, max_blocks;
  int64_t D, Dv;   /* of q and K; of V and out */
  int64_t group;   /* H / Hkv */
  int64_t total_q; /* rows of q over all sequences: B * Sq, or the ragged total */
  int ragged;      /* q is [total_q, H, D] with cu_seqlens_q */
  int decode3;     /* q is [B, H, D] (decode) */
};

/* Strides of a query-shaped tensor in elements, whatever its form: row (b, h, i) starts at b*batch + h*head + i*row,
 * where for ragged q i counts from cu_seqlens_q[0] = 0 and batch is 0. lse likewise. */
struct pah_row_strides {
  int64_t batch, head, row;
};

static inline struct pah_attn_sizes pah_attn_sizes(const struct pah_attn *a) {
  struct pah_attn_sizes s = {0};
  const struct pah_tensor *q = &a->q;
  s.ragged = a->cu_seqlens_q.dtype != PAH_NONE;
  s.decode3 = q->ndim == 3 && !s.ragged;
  s.B = a->block_table.shape[0];
  s.H = q->shape[1];
  s.D = q->shape[q->ndim - 1];
  s.Dv = a->v_blocks.shape[3];
  s.total_q = s.ragged ? q->shape[0] : s.decode3 ? s.B : s.B * q->shape[2];
  s.num_blocks = a->k_blocks.shape[0];
  s.block_size = a->k_blocks.shape[1];
  s.Hkv = a->k_blocks.shape[2];
  s.max_blocks = a->block_table.shape[1];
  s.group = s.H / s.Hkv;
  return s;
}

/* t is q, out, dout or dq of `a`. */
static inline struct pah_row_strides pah_q_strides(const struct pah_attn_sizes *s, const struct pah_tensor *t) {
  if (s->ragged) return (struct pah_row_strides){0, t->stride[1], t->stride[0]};
  if (s->decode3) return (struct pah_row_strides){t->stride[0], t->stride[1], 0};
  return (struct pah_row_strides){t->stride[0], t->stride[1], t->stride[2]};
}

/* t is lse of `a`: [H, total_q] for ragged q, else [B, H, Sq]. */
static inline struct pah_row_strides pah_lse_strides(const struct pah_attn_sizes *s, const struct pah_tensor *t) {
  if (s->ragged) return (struct pah_row_strides){0, t->stride[0], t->stride[1]};
  return (struct pah_row_strides){t->stride[0], t->stride[1], t->stride[2]};
}

/* Rows of sequence b: the first (in i's count of pah_row_strides) and the number. */
static inline void pah_q_range(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t b, int64_t *first,
                               int64_t *count) {
  if (s->ragged) {
    const int32_t *cu = a->cu_seqlens_q.data;
    int64_t step = a->cu_seqlens_q.stride[0];
    *first = cu[b * step];
    *count = cu[(b + 1) * step] - cu[b * step];
  } else {
    *first = 0;
    *count = s->decode3 ? 1 : a->q.shape[2];
  }
}

/* K/V tokens of sequence b. Host memory only. */
static inline int64_t pah_len_k(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t b) {
  if (a->seqused_k.dtype != PAH_NONE) return ((const int32_t *)a->seqused_k.data)[b * a->seqused_k.stride[0]];
  return a->seqlen_k >= 0 ? a->seqlen_k : s->max_blocks * s->block_size;
}

static inline float pah_softmax_scale(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  return isnan(a->softmax_scale) ? 1.0f / sqrtf((float)s->D) : a->softmax_scale;
}

/* Whether V is read where K lies (MLA): element 0 of v_blocks is one of a row of k_blocks, and rows are as far apart.
 */
static inline int pah_v_in_k(const struct pah_attn *a) {
  const struct pah_tensor *k = &a->k_blocks, *v = &a->v_blocks;
  uintptr_t first = (uintptr_t)k->data, at = (uintptr_t)v->data;
  int same = k->dtype == v->dtype && pah_tensor_numel(v) > 0;
  for (int i = 0; i < 3; i++) same = same && (v->shape[i] <= 1 || k->stride[i] == v->stride[i]);
  return same && at >= first && at < first + (uintptr_t)(k->shape[3] * pah_dtype_size(k->dtype));
}

/* Words of 32 bits from the bits of query i of sequence b in tree_mask to those of the next; see pah_tree_sees. */
static inline const int32_t *pah_tree_row(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t b,
                                          int64_t i) {
  const struct pah_tensor *t = &a->tree_mask;
  int64_t first, count;
  pah_q_range(a, s, b, &first, &count);
  return (const int32_t *)t->data + (s->ragged ? (first + i) * t->stride[0] : b * t->stride[0] + i * t->stride[1]);
}

/* Whether key `before` + j, of the `before` = len_k - len_q keys before the queries and the queries' own, is visible to
 * the query of that row of tree_mask: bit j, least significant first. */
static inline int pah_tree_sees(const int32_t *row, int64_t j) {
  return (uint32_t)row[j / 32] >> j % 32 & 1;
}

/* Keys visible to query i of a sequence: [*first, *last], empty when *first > *last. Under tree_mask, which comes with
 * neither causal nor window, that is all of them: pah_tree_sees then says which of the last len_q. */
static inline void pah_visible(const struct pah_attn *a, int64_t len_q, int64_t len_k, int64_t i, int64_t *first,
                               int64_t *last) {
  int64_t off = a->causal == PAH_CAUSAL_TOP_LEFT ? 0 : len_k - len_q;
  *first = 0;
  *last = len_k - 1;
  if (a->causal != PAH_CAUSAL_NONE && i + off < *last) *last = i + off;
  if (a->window_right >= 0 && i + off + a->window_right < *last) *last = i + off + a->window_right;
  if (a->window_left >= 0 && i + off - a->window_left > *first) *first = i + off - a->window_left;
}

#endif
