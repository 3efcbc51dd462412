/* zip.h - walking several tensors of one shape together, the runs of their innermost dimension spread over threads.
 * Used by the arithmetic on tensors: elementwise.c, reduce.c. Two tensors with indices: pah_tensor_runs (tensor.h). */
#ifndef PAH_ZIP_H
#define PAH_ZIP_H

#include "check.h"
#include "pah.h"

enum { PAH_ZIP = 4 }; /* tensors at most */

struct pah_zip_run {
  char *p[PAH_ZIP];      /* first element in each */
  int64_t step[PAH_ZIP]; /* bytes between elements */
  int64_t count;
};

/* Calls `visit` for stretches that make up all elements; it must be safe to call from several threads. Returns
 * PAH_EINTERRUPTED, some stretches undone, if pah_interrupt came meanwhile. */
int pah_zip(const struct pah_tensor *const *tensors, int count,
            void (*visit)(const struct pah_zip_run *run, void *context), void *context);

/* What arithmetic asks of its arguments: valid tensors in memory of the host, of one device; the first is the result
 * and shares no memory with the others. */
int pah_zip_check(const struct pah_arg *args, int count);

#endif
