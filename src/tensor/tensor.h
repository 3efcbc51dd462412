/* tensor.h - walking strided tensors in src/: checks, extents, host views and the runs of a linear range.
 * Used by tensor.c, random.c and diff.c. Elements are numbered in row-major order, whatever the strides are. */
#ifndef PAH_TENSOR_H
#define PAH_TENSOR_H

#include "pah.h"

/* Rejects what the FFI may bring: a bad dtype or ndim, negative sizes or strides, sizes that overflow, no data. A
 * tensor that is written: pah_check_written (check.h). */
int pah_tensor_check(const char *name, const struct pah_tensor *t);

/* Bytes from `data` to the end of the last element; 0 for an empty tensor. */
int64_t pah_tensor_span(const struct pah_tensor *t);

/* 1 if the memory of a and b may overlap, by their spans. */
int pah_tensors_overlap(const struct pah_tensor *a, const struct pah_tensor *b);

/* A tensor that the host can read and write: the tensor itself, or a copy of its span. */
struct pah_host_view {
  struct pah_tensor t;
  const struct pah_tensor *origin;
  void *staging; /* NULL: no copy */
};
int pah_host_view_open(struct pah_host_view *v, const struct pah_tensor *t);
/* For a caller that writes every element and reads none. */
int pah_host_view_open_result(struct pah_host_view *v, const struct pah_tensor *t);
int pah_host_view_close(struct pah_host_view *v, int write_back); /* frees, whatever it returns */

/* Shape and strides (in elements) with the dimensions merged that lie behind one another in both tensors of one shape,
 * so that runs are as long as they can be; b may be NULL. Room for PAH_MAX_DIMS; returns how many there are, 1 at
 * least. */
int pah_tensor_merge_dims(const struct pah_tensor *a, const struct pah_tensor *b, int64_t *shape, int64_t *sa,
                          int64_t *sb);

/* One stretch of the innermost dimension of up to two tensors of one shape. */
struct pah_run {
  char *a, *b;            /* first element in each */
  int64_t step_a, step_b; /* bytes between elements */
  int64_t count, index;   /* elements; row-major index of the first */
};
/* Calls `visit` for each run of elements [start, start + count) of a (and b, which may be NULL). */
void pah_tensor_runs(const struct pah_tensor *a, const struct pah_tensor *b, int64_t start, int64_t count,
                     void (*visit)(const struct pah_run *run, void *context), void *context);
/* The same over all elements, in pieces spread over threads; `visit` must be safe to call from several. Returns
 * PAH_EINTERRUPTED, some pieces undone, if pah_interrupt came meanwhile; a single piece is always done. */
int pah_tensor_parallel_runs(const struct pah_tensor *a, const struct pah_tensor *b,
                             void (*visit)(const struct pah_run *run, void *context), void *context);
int pah_tensor_stopped(void); /* PAH_EINTERRUPTED with its error line if pah_interrupt came; a long loop asks */

/* n <= PAH_CHUNK elements, `step` bytes apart, to and from float64. */
enum { PAH_CHUNK = 256 };
void pah_load_f64(int dtype, const char *src, int64_t step, int64_t n, double *out);
void pah_store_f64(int dtype, char *dst, int64_t step, int64_t n, const double *in);

#endif
