/* params.c - from the checked tensors of a call to the pointers and strides that kernels get by value.
 * Read next: kernels/params.h, attention.c. */
#include "params.h"

#include <limits.h>

static struct pah_rows rows(const struct pah_attn_sizes *s, const struct pah_tensor *t) {
  if (t->dtype == PAH_NONE) return (struct pah_rows){0};
  struct pah_row_strides r = pah_q_strides(s, t);
  return (struct pah_rows){t->data, r.batch, r.head, r.row};
}

static struct pah_rows lse_rows(const struct pah_attn_sizes *s, const struct pah_tensor *t) {
  if (t->dtype == PAH_NONE) return (struct pah_rows){0};
  struct pah_row_strides r = pah_lse_strides(s, t);
  return (struct pah_rows){t->data, r.batch, r.head, r.row};
}

struct pah_blocks pah_gpu_blocks(const struct pah_tensor *t) {
  if (t->dtype == PAH_NONE) return (struct pah_blocks){0};
  return (struct pah_blocks){t->data, t->stride[0], t->stride[1], t->stride[2]};
}

static struct pah_scale scale(const struct pah_tensor *t) {
  if (t->dtype == PAH_NONE) return (struct pah_scale){0};
  return (struct pah_scale){t->data, t->ndim == 2 ? t->stride[0] : 0, t->ndim == 2 ? t->stride[1] : 0};
}

struct pah_rows pah_gpu_out_rows(const struct pah_tensor *t, int ragged) {
  if (ragged) return (struct pah_rows){t->data, 0, t->stride[1], t->stride[0]};
  return (struct pah_rows){t->data, t->stride[0], t->stride[1], t->ndim == 4 ? t->stride[2] : 0};
}

struct pah_rows pah_gpu_lse_rows(const struct pah_tensor *t, int ragged) {
  if (ragged) return (struct pah_rows){t->data, 0, t->stride[0], t->stride[1]};
  return (struct pah_rows){t->data, t->stride[0], t->stride[1], t->stride[2]};
}

void pah_gpu_params(const struct pah_attn *a, const struct pah_attn_sizes *s, struct pah_attn_params *p) {
  *p = (struct pah_attn_params){
      .q = rows(s, &a->q),
      .out = rows(s, &a->out),
      .lse = lse_rows(s, &a->lse),
      .dout = rows(s, &a->dout),
      .dq = rows(s, &a->dq),
      .k = pah_gpu_blocks(&a->k_blocks),
      .v = pah_gpu_blocks(&a->v_blocks),
      .dk = pah_gpu_blocks(&a->dk_blocks),
      .dv = pah_gpu_blocks(&a->dv_blocks),
      .block_table = a->block_table.data,
      .table_batch = a->block_table.stride[0],
      .table_block = a->block_table.stride[1],
      .sinks = a->sinks.data,
      .sinks_stride = a->sinks.stride[0],
      .dsinks = a->dsinks.data,
      .dsinks_stride = a->dsinks.stride[0],
      .most_queries = INT_MAX,
      .tree_bits = INT_MAX,
      .q_descale = scale(&a->q_descale),
      .k_descale = scale(&a->k_descale),
      .v_descale = scale(&a->v_descale),
      .num_blocks = s->num_blocks,
      .block_size = (int)s->block_size,
      .max_blocks = s->max_blocks,
      .seqlen_k = a->seqlen_k >= 0 ? a->seqlen_k : s->max_blocks * s->block_size,
      .total_q = s->total_q,
      .batch = (int)s->B,
      .heads = (int)s->H,
      .kv_heads = (int)s->Hkv,
      .seqlen_q = (int)(s->ragged    ? s->total_q
                        : s->decode3 ? 1
                                     : a->q.shape[2]),
      .num_splits = 1,
      .causal = a->causal,
      .window_left = a->window_left,
      .window_right = a->window_right,
      .softmax_scale = pah_softmax_scale(a, s),
      .softcap = a->softcap,
      .o_scale = a->out.dtype == PAH_FP8_E4M3 || a->out.dtype == PAH_FP8_E5M2 ? a->o_scale : 1.0f,
  };
  if (s->ragged) {
    p->cu_seqlens_q = a->cu_seqlens_q.data;
    p->cu_stride = a->cu_seqlens_q.stride[0];
  }
  if (a->tree_mask.dtype != PAH_NONE) {
    p->tree_mask = a->tree_mask.data;
    p->tree_batch = s->ragged ? 0 : a->tree_mask.stride[0];
    p->tree_row = a->tree_mask.stride[s->ragged ? 0 : 1];
    if (s->ragged) p->tree_bits = (int)(32 * a->tree_mask.shape[1]);
  }
  if (a->seqused_k.dtype != PAH_NONE) {
    p->seqused_k = a->seqused_k.data;
    p->seqused_stride = a->seqused_k.stride[0];
  }
}
