/* check.h - rules that any tensor argument may have to keep, each with its error line "field: what it is, what it
 * must be". Used by every file of src/ that takes tensors from outside. Every function returns 0 or a status of
 * pah_fail. */
#ifndef PAH_CHECK_H
#define PAH_CHECK_H

#include "pah.h"

/* A tensor argument by its name in error lines; `t` NULL or of dtype PAH_NONE: absent. */
struct pah_arg {
  const char *name;
  const struct pah_tensor *t;
};

/* Sets of dtypes. */
enum {
  PAH_REAL_DTYPES = 1 << PAH_F32 | 1 << PAH_F16 | 1 << PAH_BF16,
  PAH_FP8_DTYPES = 1 << PAH_FP8_E4M3 | 1 << PAH_FP8_E5M2
};

static inline int pah_present(const struct pah_tensor *t) {
  return t && t->dtype != PAH_NONE;
}

/* Valid by itself (pah_tensor_check), sizes below 2^31, data aligned to its element, memory on the device of `like`. */
int pah_check_tensor(struct pah_arg arg, struct pah_arg like);
/* dtype in the set; `why` ends the line ("" or ", as q"). */
int pah_check_dtype(struct pah_arg arg, unsigned set, const char *why);
/* Exactly this shape; a size of -1 is not looked at. `legend` says it in names: "[B, Hkv]". */
int pah_check_shape(struct pah_arg arg, int ndim, const int64_t *shape, const char *legend);
/* The shape of `arg` is that of `other`. */
int pah_check_same_shape(struct pah_arg arg, struct pah_arg other);
/* Consecutive elements along the last dimension. */
int pah_check_unit_stride(struct pah_arg arg);
/* No two elements of a result at one place. */
int pah_check_result(struct pah_arg arg);
/* A tensor that is written, as the FFI may bring it: pah_tensor_check, and that. */
int pah_check_written(const char *name, const struct pah_tensor *t);
/* `result` shares no memory with `other`. */
int pah_check_disjoint(struct pah_arg result, struct pah_arg other);
/* Both of the last two over a list: the arguments of `results` against themselves, each other and all `others`. */
int pah_check_results(const struct pah_arg *results, int result_count, const struct pah_arg *others, int other_count);

#endif
