/* attn_call.h - one attention call under check: its tensors by number, shared by the files that check it. Read next:
 * attn_check.c (presence, options, dtypes, layout), attn_shapes.c (shapes). */
#ifndef PAH_ATTN_CALL_H
#define PAH_ATTN_CALL_H

#include "attn_check.h"
#include "error.h"
#include "tensor/check.h"

/* The tensors of struct pah_attn; those of one dtype or role stand together. */
/* clang-format off */
enum field {
  Q, K, V, TABLE, CU, USED, TREE, SINKS, Q_DESCALE, K_DESCALE, V_DESCALE,
  OUT, LSE, DOUT, DQ, DK, DV, DSINKS, FIELD_COUNT
};
/* clang-format on */

/* One call under check. Absent and ignored tensors have t = NULL in `args`. */
struct check {
  int op, reference, inputs_only;
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  struct pah_arg args[FIELD_COUNT];
};

/* PAH_EINVAL unless low <= value <= high; `must` says so in words. */
static inline int check_range(const char *name, int64_t value, int64_t low, int64_t high, const char *must) {
  if (value >= low && value <= high) return PAH_OK;
  return pah_fail(PAH_EINVAL, "%s: is %lld, must be %s", name, (long long)value, must);
}

int pah_attn_check_shapes(struct check *c); /* also derives c->s */

#endif
