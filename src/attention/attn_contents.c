/* attn_contents.c - what the integer tensors of an attention call hold: prefix sums, lengths, block ids.
 * Promises: entries of block_table past ceil(len_k / block_size) are not even looked at. Indices count from 0. */
#include "attn_check.h"
#include "error.h"

static int check_cu_seqlens_q(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  const int32_t *cu = a->cu_seqlens_q.data;
  int64_t step = a->cu_seqlens_q.stride[0];
  if (cu[0] != 0) return pah_fail(PAH_EINVAL, "cu_seqlens_q[0]: is %d, must be 0", cu[0]);
  for (int64_t b = 1; b <= s->B; b++)
    if (cu[b * step] < cu[(b - 1) * step])
      return pah_fail(PAH_EINVAL, "cu_seqlens_q[%lld]: is %d after %d, must not decrease", (long long)b, cu[b * step],
                      cu[(b - 1) * step]);
  if (cu[s->B * step] != s->total_q)
    return pah_fail(PAH_EINVAL, "cu_seqlens_q[%lld]: is %d, must be %lld, the rows of q", (long long)s->B,
                    cu[s->B * step], (long long)s->total_q);
  return PAH_OK;
}

/* Decode takes up to 64 queries of a sequence; a tree has a bit for each, and its queries are the last keys. */
static int check_queries(int op, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int tree = a->tree_mask.dtype != PAH_NONE;
  for (int64_t b = 0; b < s->B && (op == PAH_DECODE || tree); b++) {
    int64_t first, count, bits = 32 * (tree ? a->tree_mask.shape[a->tree_mask.ndim - 1] : 0);
    pah_q_range(a, s, b, &first, &count);
    if (op == PAH_DECODE && count > PAH_MAX_DECODE_QUERIES)
      return pah_fail(PAH_EINVAL, "cu_seqlens_q[%lld]: sequence %lld has %lld queries, must have at most %d in decode",
                      (long long)b + 1, (long long)b, (long long)count, PAH_MAX_DECODE_QUERIES);
    if (tree && count > bits)
      return pah_fail(PAH_EINVAL, "tree_mask: has %lld bits a query, must have %lld, the queries of sequence %lld",
                      (long long)bits, (long long)count, (long long)b);
    if (tree && pah_len_k(a, s, b) < count)
      return pah_fail(PAH_EINVAL, "seqused_k[%lld]: is %lld, must be at least %lld, the queries of a tree",
                      (long long)b, (long long)pah_len_k(a, s, b), (long long)count);
  }
  return PAH_OK;
}

static int check_seqused_k(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t reach = s->max_blocks * s->block_size;
  for (int64_t b = 0; b < s->B; b++) {
    int64_t length = pah_len_k(a, s, b);
    if (length < 0)
      return pah_fail(PAH_EINVAL, "seqused_k[%lld]: is %lld, must be 0 or more", (long long)b, (long long)length);
    if (length > reach)
      return pah_fail(PAH_EINVAL, "seqused_k[%lld]: %lld is more than the table's reach of %lld tokens", (long long)b,
                      (long long)length, (long long)reach);
  }
  return PAH_OK;
}

static int check_block_table(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  const struct pah_tensor *t = &a->block_table;
  for (int64_t b = 0; b < s->B; b++) {
    int64_t length = pah_len_k(a, s, b), used = (length + s->block_size - 1) / s->block_size;
    for (int64_t i = 0; i < used; i++) {
      int32_t id = ((const int32_t *)t->data)[b * t->stride[0] + i * t->stride[1]];
      if (id < 0 || id >= s->num_blocks)
        return pah_fail(PAH_EINVAL, "block_table[%lld][%lld]: block id %d is outside [0, %lld)", (long long)b,
                        (long long)i, id, (long long)s->num_blocks);
    }
  }
  return PAH_OK;
}

int pah_attn_check_contents(int op, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int status = s->ragged ? check_cu_seqlens_q(a, s) : PAH_OK;
  if (!status && a->seqused_k.dtype != PAH_NONE) status = check_seqused_k(a, s);
  if (!status) status = check_queries(op, a, s);
  return status ? status : check_block_table(a, s);
}
