/* check.c - the rules of check.h and the words of their error lines.
 * Overlap is exact for two views with the same strides (K and V interleaved in one allocation are disjoint), and by
 * address ranges for all others. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "device.h"
#include "error.h"
#include "tensor.h"

enum { TEXT = 256 };

/* "[2, 8, 1, 64]" */
static void shape_text(char *text, int ndim, const int64_t *shape) {
  int at = snprintf(text, TEXT, "[");
  for (int d = 0; d < ndim; d++)
    at += snprintf(text + at, TEXT - (size_t)at, "%s%lld", d ? ", " : "", (long long)shape[d]);
  snprintf(text + at, TEXT - (size_t)at, "]");
}

/* "f32, f16 or bf16" */
static void dtypes_text(char *text, unsigned set) {
  text[0] = 0;
  size_t at = 0;
  for (int d = PAH_NONE + 1; d < PAH_DTYPE_COUNT; d++) {
    if (!(set >> d & 1)) continue;
    set &= ~(1u << d);
    at += (size_t)snprintf(text + at, TEXT - at, "%s%s", pah_dtype_name(d),
                           !set              ? ""
                           : set & (set - 1) ? ", "
                                             : " or ");
  }
}

int pah_check_tensor(struct pah_arg arg, struct pah_arg like) {
  int status = pah_tensor_check(arg.name, arg.t);
  if (status) return status;
  const struct pah_tensor *t = arg.t;
  for (int d = 0; d < t->ndim; d++)
    if (t->shape[d] > INT32_MAX)
      return pah_fail(PAH_EINVAL, "%s: size %lld of dimension %d is too large, must be below 2^31", arg.name,
                      (long long)t->shape[d], d + 1);
  if (t->device != like.t->device)
    return pah_fail(PAH_EINVAL, "%s: is on %s, must be on %s as %s is", arg.name, t->device->info.name,
                    like.t->device->info.name, like.name);
  int64_t size = pah_dtype_size(t->dtype);
  if (pah_tensor_span(t) && (uintptr_t)t->data % (uintptr_t)size)
    return pah_fail(PAH_EINVAL, "%s: its address is not aligned, must be a multiple of the %lld bytes of %s", arg.name,
                    (long long)size, pah_dtype_name(t->dtype));
  return PAH_OK;
}

int pah_check_dtype(struct pah_arg arg, unsigned set, const char *why) {
  if (set >> arg.t->dtype & 1) return PAH_OK;
  char names[TEXT];
  dtypes_text(names, set);
  return pah_fail(PAH_EINVAL, "%s: dtype is %s, must be %s%s", arg.name, pah_dtype_name(arg.t->dtype), names, why);
}

int pah_check_shape(struct pah_arg arg, int ndim, const int64_t *shape, const char *legend) {
  const struct pah_tensor *t = arg.t;
  int same = t->ndim == ndim, known = 1;
  for (int d = 0; d < ndim; d++) {
    same = same && (shape[d] < 0 || t->shape[d] == shape[d]);
    known = known && shape[d] >= 0;
  }
  if (same) return PAH_OK;
  char is[TEXT], must[TEXT] = "";
  shape_text(is, t->ndim, t->shape);
  if (known) shape_text(must, ndim, shape);
  return pah_fail(PAH_EINVAL, "%s: shape is %s, must be %s%s%s", arg.name, is, legend, known ? " = " : "", must);
}

int pah_check_same_shape(struct pah_arg arg, struct pah_arg other) {
  int same = arg.t->ndim == other.t->ndim;
  for (int d = 0; same && d < arg.t->ndim; d++) same = arg.t->shape[d] == other.t->shape[d];
  if (same) return PAH_OK;
  char is[TEXT], must[TEXT];
  shape_text(is, arg.t->ndim, arg.t->shape);
  shape_text(must, other.t->ndim, other.t->shape);
  return pah_fail(PAH_EINVAL, "%s: shape %s does not match %s's %s", arg.name, is, other.name, must);
}

int pah_check_unit_stride(struct pah_arg arg) {
  const struct pah_tensor *t = arg.t;
  int last = t->ndim - 1;
  if (t->shape[last] == 1 || t->stride[last] == 1 || pah_tensor_span(t) == 0) return PAH_OK;
  return pah_fail(PAH_EINVAL, "%s: stride of the last dimension is %lld, must be 1", arg.name,
                  (long long)t->stride[last]);
}

int pah_check_result(struct pah_arg arg) {
  const struct pah_tensor *t = arg.t;
  if (pah_tensor_span(t) == 0) return PAH_OK;
  /* From the smallest stride up, each must step over everything below it. */
  int64_t reach = 0;
  unsigned left = 0;
  for (int d = 0; d < t->ndim; d++)
    if (t->shape[d] > 1) left |= 1u << d;
  while (left) {
    int next = -1;
    for (int d = 0; d < t->ndim; d++)
      if (left >> d & 1 && (next < 0 || t->stride[d] < t->stride[next])) next = d;
    if (t->stride[next] <= reach)
      return pah_fail(PAH_EINVAL, "%s: elements share memory (stride %lld of dimension %d), must be apart in a result",
                      arg.name, (long long)t->stride[next], next + 1);
    reach += (t->shape[next] - 1) * t->stride[next];
    left &= ~(1u << next);
  }
  return PAH_OK;
}

int pah_check_written(const char *name, const struct pah_tensor *t) {
  int status = pah_tensor_check(name, t);
  return status ? status : pah_check_result((struct pah_arg){name, t});
}

/* The strides of two views over dimensions in which they move, from the largest stride down. Index differences of
 * dimension d lie in [-low[d], high[d]]; reach[d] is the farthest that the dimensions from d on can go. */
struct lattice {
  int ndim;
  int64_t stride[PAH_MAX_DIMS], low[PAH_MAX_DIMS], high[PAH_MAX_DIMS], reach[PAH_MAX_DIMS + 1];
};

/* 0 if the two views differ in a stride, or their strides do not nest. */
static int lattice_of(const struct pah_tensor *a, const struct pah_tensor *b, struct lattice *l) {
  *l = (struct lattice){0};
  if (a->ndim != b->ndim || pah_dtype_size(a->dtype) != pah_dtype_size(b->dtype)) return 0;
  for (int d = 0; d < a->ndim; d++) {
    if (a->shape[d] == 1 && b->shape[d] == 1) continue;
    if (a->shape[d] > 1 && b->shape[d] > 1 && a->stride[d] != b->stride[d]) return 0;
    int64_t stride = a->shape[d] > 1 ? a->stride[d] : b->stride[d];
    if (stride == 0) continue;
    int at = l->ndim++;
    for (; at > 0 && l->stride[at - 1] < stride; at--) {
      l->stride[at] = l->stride[at - 1];
      l->low[at] = l->low[at - 1];
      l->high[at] = l->high[at - 1];
    }
    l->stride[at] = stride;
    l->low[at] = b->shape[d] - 1;
    l->high[at] = a->shape[d] - 1;
  }
  for (int d = l->ndim - 1; d >= 0; d--) {
    int64_t most = l->low[d] > l->high[d] ? l->low[d] : l->high[d];
    if (l->reach[d + 1] >= l->stride[d]) return 0;
    l->reach[d] = l->reach[d + 1] + most * l->stride[d];
  }
  return 1;
}

/* Whether `distance` is a sum of index differences times strides: two candidates at most in each dimension. */
static int lattice_hits(const struct lattice *l, int d, int64_t distance) {
  if (d == l->ndim) return distance == 0;
  int64_t nearest = distance / l->stride[d];
  for (int64_t n = nearest - 1; n <= nearest + 1; n++) {
    int64_t rest = distance - n * l->stride[d];
    if (n < -l->low[d] || n > l->high[d] || rest > l->reach[d + 1] || -rest > l->reach[d + 1]) continue;
    if (lattice_hits(l, d + 1, rest)) return 1;
  }
  return 0;
}

static int views_overlap(const struct pah_tensor *a, const struct pah_tensor *b) {
  if (!pah_tensor_span(a) || !pah_tensor_span(b) || !pah_tensors_overlap(a, b)) return 0;
  struct lattice l;
  int64_t bytes = (int64_t)((intptr_t)b->data - (intptr_t)a->data), size = pah_dtype_size(a->dtype);
  return bytes % size || !lattice_of(a, b, &l) || lattice_hits(&l, 0, bytes / size);
}

int pah_check_disjoint(struct pah_arg result, struct pah_arg other) {
  if (!views_overlap(result.t, other.t)) return PAH_OK;
  return pah_fail(PAH_EINVAL, "%s: shares memory with %s, must have its own", result.name, other.name);
}

int pah_check_results(const struct pah_arg *results, int result_count, const struct pah_arg *others, int other_count) {
  int status = PAH_OK;
  for (int i = 0; i < result_count && !status; i++) {
    status = pah_check_result(results[i]);
    for (int j = 0; j < i && !status; j++) status = pah_check_disjoint(results[i], results[j]);
    for (int j = 0; j < other_count && !status; j++) status = pah_check_disjoint(results[i], others[j]);
  }
  return status;
}
