/* attn_check.h - the checks behind pah_attention, pah_merge, pah_kv_append and their oracles (reference/reference.c):
 * every rule of the call, once, before anything is written. They return 0 or a status with the error line set.
 * reference = 1: results are f64 (bwd ignores out and lse), and tensors must lie in host memory. */
#ifndef PAH_ATTN_CHECK_H
#define PAH_ATTN_CHECK_H

#include "attn.h"

int pah_attn_check(int op, const struct pah_attn *a, int reference);
int pah_merge_check(const struct pah_merge *m, int reference);
int pah_kv_append_check(const struct pah_kv_append *c, int reference);

/* Contents of cu_seqlens_q, seqused_k and block_table (attn_contents.c). The shapes are checked, memory is the host's.
 */
int pah_attn_check_contents(int op, const struct pah_attn *a, const struct pah_attn_sizes *s);
int pah_kv_append_check_contents(const struct pah_kv_append *c); /* of slot_mapping, likewise */

/* A rule that contents break, and the words for it: devices whose memory the host cannot read find it by themselves. */
enum pah_rule {
  PAH_RULE_NONE = 0,
  PAH_RULE_CU_FIRST,
  PAH_RULE_CU_ORDER,
  PAH_RULE_CU_TOTAL,
  PAH_RULE_SEQUSED,
  PAH_RULE_QUERIES,
  PAH_RULE_TABLE,
  PAH_RULE_SLOT_RANGE,
  PAH_RULE_SLOT_TWICE
};
struct pah_broken_rule {
  int rule;
  int64_t sequence, index, value; /* sequence: also the index into cu_seqlens_q; index: also that of the token */
  int64_t limit; /* queries: index is 0 decode's most, 1 bits of tree_mask, 2 keys; else the value before, total_q, the
                    reach, the number of blocks or slots, or the other token */
};
int pah_contents_fail(const struct pah_broken_rule *r);

const char *pah_op_name(int op); /* "fwd", ...; NULL for a number that is no operation */

#endif
