/* attn_shapes.c - the shapes of an attention call against each other: q, the cache, the tables, then the results.
 * Promises: c->s is derived once, before anything divides by it. Read next: attn_check.c. */
#include <math.h>
#include <string.h>

#include "attn_call.h"

static int check_q_shape(const struct check *c) {
  struct pah_arg q = c->args[Q];
  static const int64_t ragged[] = {-1, -1, -1}, padded[] = {-1, -1, -1, -1};
  if (c->args[CU].t) return pah_check_shape(q, 3, ragged, "[total_q, H, D], as cu_seqlens_q is given");
  if (c->op != PAH_DECODE) return pah_check_shape(q, 4, padded, "[B, H, Sq, D], or [total_q, H, D] with cu_seqlens_q");
  if (q.t->ndim == 3) return PAH_OK;
  int status = pah_check_shape(q, 4, padded, "[B, H, Sq, D], [B, H, D], or [total_q, H, D] with cu_seqlens_q");
  return status ? status : check_range("q: Sq", q.t->shape[2], 1, PAH_MAX_DECODE_QUERIES, "1 to 64 in decode");
}

static int check_heads(const struct pah_attn_sizes *s) {
  if (s->block_size < 1) return pah_fail(PAH_EINVAL, "k_blocks: block_size is 0, must be 1 or more");
  if (s->Hkv < 1) return pah_fail(PAH_EINVAL, "k_blocks: has 0 key/value heads, must have 1 or more");
  if (s->H < 1 || s->H % s->Hkv)
    return pah_fail(PAH_EINVAL, "q: has %lld heads, must have a multiple of the %lld key/value heads of k_blocks",
                    (long long)s->H, (long long)s->Hkv);
  return PAH_OK;
}

static int check_head_dim(const char *name, int64_t D) {
  if (D >= 8 && D % 8 == 0 && D <= PAH_MAX_D) return PAH_OK;
  return pah_fail(PAH_EUNSUPPORTED, "%s: head_dim is %lld, must be a multiple of 8 from 8 to %d", name, (long long)D,
                  PAH_MAX_D);
}

/* V of a width of its own; where it is a view of K (MLA), what it takes besides. */
static int check_v(const struct check *c) {
  const struct pah_tensor *k = &c->a->k_blocks;
  const int64_t shape[] = {k->shape[0], k->shape[1], k->shape[2], -1};
  int status = pah_check_shape(c->args[V], 4, shape, "[num_blocks, block_size, Hkv, Dv] of k_blocks");
  if (!status) status = check_head_dim("v_blocks", c->a->v_blocks.shape[3]);
  const struct pah_tensor *v = &c->a->v_blocks; /* the whole of K as V changes no scale and has gradients of its own */
  if (status || !pah_v_in_k(c->a) || (v->data == k->data && v->shape[3] == k->shape[3])) return status;
  if (c->op == PAH_BWD)
    return pah_fail(PAH_EUNSUPPORTED, "v_blocks: is a view of k_blocks, must be memory of its own in bwd");
  if (isnan(c->a->softmax_scale))
    return pah_fail(PAH_EINVAL,
                    "softmax_scale: is missing, must be given where v_blocks is a view of k_blocks: that of "
                    "the heads before absorption, not 1/sqrt(%lld)",
                    (long long)k->shape[3]);
  return PAH_OK;
}

/* Needs the ranks of q, k_blocks and block_table, which come first; derives c->s from them. */
static int check_problem(struct check *c) {
  static const int64_t any[] = {-1, -1, -1, -1};
  int status = check_q_shape(c);
  if (!status) status = pah_check_shape(c->args[K], 4, any, "[num_blocks, block_size, Hkv, D]");
  if (!status) status = pah_check_shape(c->args[TABLE], 2, any, "[B, max_blocks_per_seq]");
  if (status) return status;
  const struct pah_tensor *q = &c->a->q, *k = &c->a->k_blocks;
  c->s = (struct pah_attn_sizes){.H = q->shape[1], .Hkv = k->shape[2], .D = q->shape[q->ndim - 1]};
  c->s.block_size = k->shape[1];
  status = check_heads(&c->s);
  if (!status) status = check_head_dim("q", c->s.D);
  if (status) return status;
  const int64_t cache[] = {-1, -1, -1, c->s.D};
  if (k->shape[3] != c->s.D)
    return pah_check_shape(c->args[K], 4, cache, "[num_blocks, block_size, Hkv, D] with the head_dim of q");
  status = check_v(c);
  const int64_t table[] = {q->shape[0], -1};
  if (!status && !c->args[CU].t && table[0] != c->a->block_table.shape[0])
    status = pah_check_shape(c->args[TABLE], 2, table, "[B, max_blocks_per_seq] with the B of q");
  if (!status) c->s = pah_attn_sizes(c->a);
  return status;
}

static int check_descale_shape(const struct check *c, int f) {
  const int64_t shape[] = {c->s.B, c->s.Hkv};
  if (!c->args[f].t || c->args[f].t->ndim == 0) return PAH_OK;
  return pah_check_shape(c->args[f], 2, shape, "a scalar or [B, Hkv]");
}

/* [B, Sq, words] or ragged [total_q, words], enough words for the queries of a sequence (ragged: attn_contents.c). */
static int check_tree_shape(const struct check *c) {
  const struct pah_attn_sizes *s = &c->s;
  if (!c->args[TREE].t) return PAH_OK;
  int64_t queries = s->ragged || s->decode3 ? 1 : c->a->q.shape[2];
  const int64_t ragged[] = {s->total_q, -1}, padded[] = {s->B, queries, (queries + 31) / 32};
  if (s->ragged) return pah_check_shape(c->args[TREE], 2, ragged, "[total_q, ceil(max_q/32)]");
  return pah_check_shape(c->args[TREE], 3, padded, "[B, Sq, ceil(Sq/32)]");
}

/* dk_blocks and dv_blocks are as k_blocks and v_blocks; sinks and dsinks [H]; queries: q's shape with Dv for D. */
static int check_result_shapes(const struct check *c) {
  const struct pah_tensor *q = &c->a->q;
  const int64_t heads[] = {c->s.H};
  int64_t wide[4];
  memcpy(wide, q->shape, (size_t)q->ndim * sizeof *wide);
  wide[q->ndim - 1] = c->s.Dv;
  int status = PAH_OK;
  if (c->args[OUT].t) status = pah_check_shape(c->args[OUT], q->ndim, wide, "that of q with the head_dim of v_blocks");
  if (!status && c->args[DOUT].t)
    status = pah_check_shape(c->args[DOUT], q->ndim, wide, "that of q with the head_dim of v_blocks");
  if (!status && c->args[DQ].t) status = pah_check_shape(c->args[DQ], q->ndim, q->shape, "that of q");
  if (!status && c->args[DK].t) status = pah_check_shape(c->args[DK], 4, c->a->k_blocks.shape, "that of k_blocks");
  if (!status && c->args[DV].t) status = pah_check_shape(c->args[DV], 4, c->a->v_blocks.shape, "that of v_blocks");
  if (!status && c->args[SINKS].t) status = pah_check_shape(c->args[SINKS], 1, heads, "[H]");
  if (!status && c->args[DSINKS].t) status = pah_check_shape(c->args[DSINKS], 1, heads, "[H]");
  return status;
}

static int check_shapes(const struct check *c) {
  const struct pah_attn_sizes *s = &c->s;
  const struct pah_tensor *q = &c->a->q;
  const int64_t offsets[] = {s->B + 1}, lengths[] = {s->B};
  int status = PAH_OK;
  if (c->args[CU].t) status = pah_check_shape(c->args[CU], 1, offsets, "[B + 1]");
  if (!status && c->args[USED].t) status = pah_check_shape(c->args[USED], 1, lengths, "[B]");
  for (int f = Q_DESCALE; f <= V_DESCALE && !status; f++) status = check_descale_shape(c, f);
  if (!status) status = check_tree_shape(c);
  if (!status) status = check_result_shapes(c);
  if (status || !c->args[LSE].t) return status;
  const int64_t ragged[] = {s->H, s->total_q}, padded[] = {s->B, s->H, s->decode3 ? 1 : q->shape[2]};
  if (s->ragged) return pah_check_shape(c->args[LSE], 2, ragged, "[H, total_q]");
  return pah_check_shape(c->args[LSE], 3, padded, "[B, H, Sq]");
}

int pah_attn_check_shapes(struct check *c) {
  int status = check_problem(c);
  return status ? status : check_shapes(c);
}
