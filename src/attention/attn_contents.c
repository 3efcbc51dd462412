/* attn_contents.c - what the integer tensors of an attention call hold: prefix sums, lengths, block ids.
 * Promises: entries of block_table past ceil(len_k / block_size) are not even looked at. Indices in errors count
 * from 1, as in Lua: block_table[2][1] is what t[2][1] gives; values (block ids, slots) from 0. */
#include "attn_check.h"
#include "error.h"

int pah_contents_fail(const struct pah_broken_rule *r) {
  long long b = r->sequence + 1, i = r->index + 1, value = r->value, limit = r->limit;
  switch (r->rule) {
  case PAH_RULE_CU_FIRST: return pah_fail(PAH_EINVAL, "cu_seqlens_q[1]: is %lld, must be 0", value);
  case PAH_RULE_CU_ORDER:
    return pah_fail(PAH_EINVAL, "cu_seqlens_q[%lld]: is %lld after %lld, must not decrease", b, value, limit);
  case PAH_RULE_CU_TOTAL:
    return pah_fail(PAH_EINVAL, "cu_seqlens_q[%lld]: is %lld, must be %lld, the rows of q", b, value, limit);
  case PAH_RULE_SEQUSED:
    if (value < 0) return pah_fail(PAH_EINVAL, "seqused_k[%lld]: is %lld, must be 0 or more", b, value);
    return pah_fail(PAH_EINVAL, "seqused_k[%lld]: %lld is more than the table's reach of %lld tokens", b, value, limit);
  case PAH_RULE_QUERIES:
    if (r->index == 0)
      return pah_fail(PAH_EINVAL,
                      "cu_seqlens_q[%lld]: sequence %lld has %lld queries, must have at most %lld in decode", b + 1, b,
                      value, limit);
    if (r->index == 1)
      return pah_fail(PAH_EINVAL, "tree_mask: has %lld bits a query, must have %lld, the queries of sequence %lld",
                      limit, value, b);
    return pah_fail(PAH_EINVAL, "seqused_k[%lld]: is %lld, must be at least %lld, the queries of a tree", b, limit,
                    value);
  case PAH_RULE_TABLE:
    return pah_fail(PAH_EINVAL, "block_table[%lld][%lld]: block id %lld is outside [0, %lld)", b, i, value, limit);
  case PAH_RULE_SLOT_RANGE:
    return pah_fail(PAH_EINVAL, "slot_mapping[%lld]: slot %lld is outside [0, %lld), must be inside, or -1 to skip", i,
                    value, limit);
  default:
    return pah_fail(PAH_EINVAL, "slot_mapping[%lld]: slot %lld is that of slot_mapping[%lld] too, must differ", i,
                    value, limit + 1);
  }
}

static int check_cu_seqlens_q(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  const int32_t *cu = a->cu_seqlens_q.data;
  int64_t step = a->cu_seqlens_q.stride[0];
  if (cu[0] != 0) return pah_contents_fail(&(struct pah_broken_rule){PAH_RULE_CU_FIRST, .value = cu[0]});
  for (int64_t b = 1; b <= s->B; b++)
    if (cu[b * step] < cu[(b - 1) * step])
      return pah_contents_fail(
          &(struct pah_broken_rule){PAH_RULE_CU_ORDER, b, .value = cu[b * step], .limit = cu[(b - 1) * step]});
  if (cu[s->B * step] != s->total_q)
    return pah_contents_fail(
        &(struct pah_broken_rule){PAH_RULE_CU_TOTAL, s->B, .value = cu[s->B * step], .limit = s->total_q});
  return PAH_OK;
}

/* Decode takes up to 64 queries of a sequence; a tree has a bit for each, and its queries are the last keys. */
static int check_queries(int op, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int tree = a->tree_mask.dtype != PAH_NONE;
  int64_t most = op == PAH_DECODE ? PAH_MAX_DECODE_QUERIES : INT64_MAX;
  int64_t bits = tree ? 32 * a->tree_mask.shape[a->tree_mask.ndim - 1] : INT64_MAX;
  for (int64_t b = 0; b < s->B && (op == PAH_DECODE || tree); b++) {
    int64_t first, count, keys = tree ? pah_len_k(a, s, b) : INT64_MAX;
    pah_q_range(a, s, b, &first, &count);
    if (count > most) return pah_contents_fail(&(struct pah_broken_rule){PAH_RULE_QUERIES, b, 0, count, most});
    if (count > bits) return pah_contents_fail(&(struct pah_broken_rule){PAH_RULE_QUERIES, b, 1, count, bits});
    if (count > keys) return pah_contents_fail(&(struct pah_broken_rule){PAH_RULE_QUERIES, b, 2, count, keys});
  }
  return PAH_OK;
}

static int check_seqused_k(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t reach = s->max_blocks * s->block_size;
  for (int64_t b = 0; b < s->B; b++) {
    int64_t length = pah_len_k(a, s, b);
    if (length < 0 || length > reach)
      return pah_contents_fail(&(struct pah_broken_rule){PAH_RULE_SEQUSED, b, .value = length, .limit = reach});
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
        return pah_contents_fail(&(struct pah_broken_rule){PAH_RULE_TABLE, b, i, id, s->num_blocks});
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
