/* walk.c - how a strided tensor is checked by itself, measured, brought to the host and walked.
 * A walk splits a range of row-major indices into runs along the innermost dimension; big ones spread over threads. */
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

#include "device.h"
#include "dtype.h"
#include "error.h"
#include "tensor.h"

/* The first two may be handed anything by the FFI, before pah_tensor_check has seen it. */

int64_t pah_tensor_numel(const struct pah_tensor *t) {
  if (!t || t->ndim < 0 || t->ndim > PAH_MAX_DIMS) return 0;
  int64_t n = 1;
  int overflow = 0;
  for (int d = 0; d < t->ndim; d++) {
    if (t->shape[d] <= 0) return 0;
    overflow |= __builtin_mul_overflow(n, t->shape[d], &n);
  }
  return overflow ? INT64_MAX : n;
}

int pah_tensor_is_contiguous(const struct pah_tensor *t) {
  if (pah_tensor_numel(t) == 0) return 1;
  int64_t stride = 1;
  for (int d = t->ndim - 1; d >= 0; d--) {
    if (t->shape[d] != 1 && t->stride[d] != stride) return 0;
    if (__builtin_mul_overflow(stride, t->shape[d], &stride)) return 0;
  }
  return 1;
}

int pah_tensor_check(const char *name, const struct pah_tensor *t) {
  if (!t) return pah_fail(PAH_EINVAL, "%s: is NULL, must be a tensor", name);
  if (!pah_dtype_is_valid(t->dtype))
    return pah_fail(PAH_EINVAL, "%s: dtype is %d, must be one of enum pah_dtype", name, t->dtype);
  if (t->ndim < 0 || t->ndim > PAH_MAX_DIMS)
    return pah_fail(PAH_EINVAL, "%s: has %d dimensions, must have 0 to %d", name, t->ndim, PAH_MAX_DIMS);
  int64_t numel = 1, last = 0;
  int empty = 0;
  for (int d = 0; d < t->ndim; d++) {
    if (t->shape[d] < 0 || t->stride[d] < 0)
      return pah_fail(PAH_EINVAL, "%s: size %lld or stride %lld of dimension %d is negative", name,
                      (long long)t->shape[d], (long long)t->stride[d], d + 1);
    int64_t reach;
    if (t->shape[d] == 0) {
      empty = 1;
    } else if (__builtin_mul_overflow(numel, t->shape[d], &numel) ||
               __builtin_mul_overflow(t->shape[d] - 1, t->stride[d], &reach) ||
               __builtin_add_overflow(last, reach, &last) || last > INT64_MAX / 16 || numel > INT64_MAX / 16) {
      return pah_fail(PAH_EINVAL, "%s: its shape and strides reach past 2^59 elements", name);
    }
  }
  if (!t->device) return pah_fail(PAH_EINVAL, "%s: has no device", name);
  if (!t->data && !empty) return pah_fail(PAH_EINVAL, "%s: has no data (was it freed?)", name);
  return PAH_OK;
}

int64_t pah_tensor_span(const struct pah_tensor *t) {
  int64_t last = 0;
  for (int d = 0; d < t->ndim; d++) {
    if (t->shape[d] == 0) return 0;
    last += (t->shape[d] - 1) * t->stride[d];
  }
  return (last + 1) * pah_dtype_size(t->dtype);
}

int pah_tensors_overlap(const struct pah_tensor *a, const struct pah_tensor *b) {
  uintptr_t a0 = (uintptr_t)a->data, b0 = (uintptr_t)b->data;
  return a0 < b0 + (uintptr_t)pah_tensor_span(b) && b0 < a0 + (uintptr_t)pah_tensor_span(a);
}

/* ---- Host views ------------------------------------------------------------------------------------------ */

static int view_open(struct pah_host_view *v, const struct pah_tensor *t, int read) {
  *v = (struct pah_host_view){.t = *t, .origin = t};
  if (t->device->info.host_memory) return PAH_OK;
  int64_t bytes = pah_tensor_span(t);
  v->staging = malloc((size_t)bytes + 1);
  if (!v->staging) return pah_fail(PAH_ENOMEM, "no host memory to stage %lld bytes", (long long)bytes);
  v->t.data = v->staging;
  int status = bytes && read ? t->device->ops->copy_out(t->device, v->staging, t->data, bytes) : PAH_OK;
  if (status) free(v->staging);
  return status;
}

int pah_host_view_open(struct pah_host_view *v, const struct pah_tensor *t) {
  return view_open(v, t, 1);
}

int pah_host_view_open_result(struct pah_host_view *v, const struct pah_tensor *t) {
  return view_open(v, t, !pah_tensor_is_contiguous(t)); /* what lies between the elements has to stay */
}

int pah_host_view_close(struct pah_host_view *v, int write_back) {
  if (!v->staging) return PAH_OK;
  const struct pah_tensor *t = v->origin;
  int64_t bytes = pah_tensor_span(t);
  int status = PAH_OK;
  if (write_back && bytes) status = t->device->ops->copy_in(t->device, t->data, v->staging, bytes);
  free(v->staging);
  return status;
}

int pah_tensor_stopped(void) {
  return pah_interrupted ? pah_fail(PAH_EINTERRUPTED, "tensor: interrupted") : PAH_OK;
}

/* ---- Walking --------------------------------------------------------------------------------------------- */

int pah_tensor_merge_dims(const struct pah_tensor *a, const struct pah_tensor *b, int64_t *shape, int64_t *sa,
                          int64_t *sb) {
  int n = 0;
  for (int d = 0; d < a->ndim; d++) {
    if (a->shape[d] == 1) continue;
    int64_t step_b = b ? b->stride[d] : 0;
    if (n && sa[n - 1] == a->stride[d] * a->shape[d] && sb[n - 1] == step_b * a->shape[d]) {
      shape[n - 1] *= a->shape[d];
      sa[n - 1] = a->stride[d];
      sb[n - 1] = step_b;
    } else {
      shape[n] = a->shape[d];
      sa[n] = a->stride[d];
      sb[n++] = step_b;
    }
  }
  if (!n) shape[n] = 1, sa[n] = sb[n] = 0, n = 1;
  return n;
}

void pah_tensor_runs(const struct pah_tensor *a, const struct pah_tensor *b, int64_t start, int64_t count,
                     void (*visit)(const struct pah_run *run, void *context), void *context) {
  int64_t shape[PAH_MAX_DIMS + 1], sa[PAH_MAX_DIMS + 1], sb[PAH_MAX_DIMS + 1], at[PAH_MAX_DIMS + 1];
  int n = pah_tensor_merge_dims(a, b, shape, sa, sb);
  int64_t size_a = pah_dtype_size(a->dtype), size_b = b ? pah_dtype_size(b->dtype) : 0;
  int64_t rest = start;
  for (int d = n - 1; d >= 0; d--) at[d] = rest % shape[d], rest /= shape[d];
  for (int64_t index = start, end = start + count; index < end;) {
    int64_t offset_a = 0, offset_b = 0;
    for (int d = 0; d < n; d++) offset_a += at[d] * sa[d], offset_b += at[d] * sb[d];
    int64_t length = shape[n - 1] - at[n - 1];
    if (length > end - index) length = end - index;
    struct pah_run run = {.a = (char *)a->data + offset_a * size_a,
                          .b = b ? (char *)b->data + offset_b * size_b : NULL,
                          .step_a = sa[n - 1] * size_a,
                          .step_b = sb[n - 1] * size_b,
                          .count = length,
                          .index = index};
    visit(&run, context);
    index += length;
    at[n - 1] += length;
    for (int d = n - 1; d > 0 && at[d] == shape[d]; d--) at[d] = 0, at[d - 1]++;
  }
}

int pah_tensor_parallel_runs(const struct pah_tensor *a, const struct pah_tensor *b,
                             void (*visit)(const struct pah_run *run, void *context), void *context) {
  enum { PIECE = 1 << 16 }; /* elements: large enough to hide the start of a piece, small enough to balance */
  int64_t numel = pah_tensor_numel(a), pieces = (numel + PIECE - 1) / PIECE;
  int threads = pah_get_threads();
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (pieces > 1)
  for (int64_t p = 0; p < pieces; p++) {
    int64_t start = p * PIECE, left = numel - start;
    if (!pah_interrupted || pieces == 1) pah_tensor_runs(a, b, start, left < PIECE ? left : PIECE, visit, context);
  }
  return pieces == 1 ? PAH_OK : pah_tensor_stopped(); /* short ones are what cleaning up after Ctrl-C needs */
}
