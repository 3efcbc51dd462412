/* reduce.c - one dimension of a tensor into a number: sum, mean, max, min, argmax, any, all.
 * Promises: floats are added in float64 and rounded once; integers exactly, saturated; the order does not depend on
 * threads; NaN is the largest and the smallest number, as it is in PyTorch. Read next: zip.h, elementwise.c. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "dtype.h"
#include "error.h"
#include "tensor.h"
#include "zip.h"

/* What has been seen so far: of floats in x, of integers in i; `at` is the place of the largest. */
struct state {
  double x;
  int64_t i, at;
};

struct context {
  int op, in, out, is_float;
  int64_t n, stride; /* elements that become one, and the bytes between them */
};

static struct state begin(const struct context *c) {
  struct state s = {0, 0, -1};
  if (c->op == PAH_ALL) s.i = 1;
  return s;
}

static void take_float(int op, struct state *s, double x, int64_t k) {
  switch (op) {
  case PAH_SUM:
  case PAH_MEAN: s->x += x; return;
  case PAH_ANY: s->i |= x != 0; return;
  case PAH_ALL: s->i &= x != 0; return;
  case PAH_MIN:
    if (s->at < 0 || (!(x >= s->x) && !isnan(s->x))) s->x = x, s->at = k;
    return;
  default:
    if (s->at < 0 || (!(x <= s->x) && !isnan(s->x))) s->x = x, s->at = k;
  }
}

static void take_integer(int op, struct state *s, int64_t i, int64_t k) {
  switch (op) {
  case PAH_SUM:
  case PAH_MEAN:
    if (__builtin_add_overflow(s->i, i, &s->i)) s->i = i < 0 ? INT64_MIN : INT64_MAX;
    s->x += (double)i;
    return;
  case PAH_ANY: s->i |= i != 0; return;
  case PAH_ALL: s->i &= i != 0; return;
  case PAH_MIN:
    if (s->at < 0 || i < s->i) s->i = i, s->at = k;
    return;
  default:
    if (s->at < 0 || i > s->i) s->i = i, s->at = k;
  }
}

/* n integers of any dtype. */
static void load_i64(int dtype, const char *src, int64_t step, int64_t n, int64_t *out) {
  double chunk[PAH_CHUNK];
  if (dtype == PAH_I64) {
    for (int64_t j = 0; j < n; j++) memcpy(&out[j], src + j * step, sizeof *out);
    return;
  }
  pah_load_f64(dtype, src, step, n, chunk);
  for (int64_t j = 0; j < n; j++) out[j] = (int64_t)chunk[j];
}

/* Elements first to first + n of the dimension that begins at src, into one state. */
static void take_along(const struct context *c, const char *src, int64_t first, int64_t n, struct state *s) {
  double x[PAH_CHUNK];
  int64_t i[PAH_CHUNK];
  for (int64_t done = first; done < first + n; done += PAH_CHUNK) {
    int64_t count = first + n - done < PAH_CHUNK ? first + n - done : PAH_CHUNK;
    if (c->is_float) {
      pah_load_f64(c->in, src + done * c->stride, c->stride, count, x);
      if (c->op == PAH_SUM || c->op == PAH_MEAN)
        for (int64_t j = 0; j < count; j++) s->x += x[j];
      else
        for (int64_t j = 0; j < count; j++) take_float(c->op, s, x[j], done + j);
    } else {
      load_i64(c->in, src + done * c->stride, c->stride, count, i);
      for (int64_t j = 0; j < count; j++) take_integer(c->op, s, i[j], done + j);
    }
  }
}

/* One element of each of n <= PAH_CHUNK results that lie `step` bytes apart, for every k. */
static void take_across(const struct context *c, const char *src, int64_t step, int64_t n, struct state *s) {
  double x[PAH_CHUNK];
  int64_t i[PAH_CHUNK];
  for (int64_t k = 0; k < c->n; k++) {
    if (c->is_float) {
      pah_load_f64(c->in, src + k * c->stride, step, n, x);
      for (int64_t j = 0; j < n; j++) take_float(c->op, &s[j], x[j], k);
    } else {
      load_i64(c->in, src + k * c->stride, step, n, i);
      for (int64_t j = 0; j < n; j++) take_integer(c->op, &s[j], i[j], k);
    }
  }
}

/* Writes the result of a state. */
static void store(const struct context *c, const struct state *s, char *to) {
  double x = s->x;
  int64_t i = c->op == PAH_ARGMAX ? s->at : s->i;
  if (c->op == PAH_MEAN) x = s->x / (double)c->n;
  int is_integer = c->op == PAH_ARGMAX || c->op == PAH_ANY || c->op == PAH_ALL || (!c->is_float && c->op != PAH_MEAN);
  if (is_integer && c->out == PAH_I64) {
    memcpy(to, &i, sizeof i);
    return;
  }
  if (is_integer) x = (double)i;
  pah_store_f64(c->out, to, 0, 1, &x);
}

static void visit(const struct pah_zip_run *run, void *context) {
  const struct context *c = context;
  struct state s[PAH_CHUNK];
  int along = c->stride <= run->step[1] || run->count == 1;
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    const char *src = run->p[1] + done * run->step[1];
    for (int64_t j = 0; j < n; j++) s[j] = begin(c);
    if (along)
      for (int64_t j = 0; j < n; j++) take_along(c, src + j * run->step[1], 0, c->n, &s[j]);
    else
      take_across(c, src, run->step[1], n, s);
    for (int64_t j = 0; j < n; j++) store(c, &s[j], run->p[0] + (done + j) * run->step[0]);
  }
}

/* A single result of many elements: fixed pieces over threads, put together in order. */
static int reduce_all(const struct context *c, const struct pah_tensor *out, const struct pah_tensor *a) {
  enum { PIECE = 1 << 15 };
  int64_t pieces = (c->n + PIECE - 1) / PIECE;
  struct state *parts = malloc((size_t)pieces * sizeof *parts), s = begin(c);
  if (!parts) return pah_fail(PAH_ENOMEM, "reduce: no memory");
  int threads = pah_get_threads();
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t p = 0; p < pieces; p++) {
    parts[p] = begin(c);
    int64_t left = c->n - p * PIECE;
    if (!pah_interrupted) take_along(c, a->data, p * PIECE, left < PIECE ? left : PIECE, &parts[p]);
  }
  for (int64_t p = 0; p < pieces; p++) {
    if (c->is_float && c->op != PAH_ANY && c->op != PAH_ALL)
      take_float(c->op, &s, parts[p].x, parts[p].at);
    else
      take_integer(c->op, &s, parts[p].i, parts[p].at);
    if (!c->is_float && c->op == PAH_MEAN) s.x += parts[p].x - (double)parts[p].i;
  }
  free(parts);
  store(c, &s, out->data);
  return pah_tensor_stopped();
}

/* Whether out has the shape of a without dimension `dim`. */
static int has_rest(const struct pah_tensor *out, const struct pah_tensor *a, int dim) {
  int same = out->ndim == a->ndim - 1;
  for (int d = 0; same && d < out->ndim; d++) same = out->shape[d] == a->shape[d < dim ? d : d + 1];
  return same;
}

int pah_tensor_reduce(int op, const struct pah_tensor *out, const struct pah_tensor *a, int dim) {
  struct pah_arg args[] = {{"out", out}, {"tensor", a}};
  int status = pah_zip_check(args, 2);
  if (status) return status;
  if (op < 0 || op >= PAH_REDUCTION_COUNT)
    return pah_fail(PAH_EINVAL, "op: is %d, must be one of enum pah_reduction", op);
  if (dim < 0 || dim >= a->ndim) return pah_fail(PAH_EINVAL, "dim: is %d, must be 0 to %d", dim, a->ndim - 1);
  if (!has_rest(out, a, dim)) return pah_fail(PAH_EINVAL, "out: must have the shape of the tensor without dim %d", dim);
  if (pah_tensor_numel(out) == 0) return PAH_OK;
  if (a->shape[dim] == 0 && (op == PAH_MAX || op == PAH_MIN || op == PAH_ARGMAX))
    return pah_fail(PAH_EINVAL, "tensor: has no element, must have one at least");
  struct context c = {
      op, a->dtype, out->dtype, pah_dtype_is_float(a->dtype), a->shape[dim], a->stride[dim] * pah_dtype_size(a->dtype)};
  if (pah_tensor_numel(out) == 1 && c.n > PAH_CHUNK) return reduce_all(&c, out, a);
  struct pah_tensor rest = *out; /* the elements of a at place 0 of the dimension */
  rest.data = a->data;
  rest.dtype = a->dtype;
  for (int d = 0; d < out->ndim; d++) rest.stride[d] = a->stride[d < dim ? d : d + 1];
  const struct pah_tensor *tensors[] = {out, &rest};
  return pah_zip(tensors, 2, visit, &c);
}
