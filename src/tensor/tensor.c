/* tensor.c - the arithmetic-free operations on tensors: copy with conversion, fill, single elements.
 * Promises: any strides and dtypes; a copy within one buffer is as if the source had been copied away first. A device
 * with kernels of its own for it does the work; else the host does, on a copy where it has to (walk.c).
 * Read next: walk.c (how strided tensors are walked), random.c, diff.c. */
#include "tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "device.h"
#include "dtype.h"
#include "error.h"

/* ---- Elements to and from float64 -----------------------------------------------------------------------
 * NaNs lose sign and payload on the way: LuaJIT, which reads these numbers, would take some for tagged values. */

#define LOAD(type, expression)                                                                                         \
  for (int64_t i = 0; i < n; i++, src += step) {                                                                       \
    type x;                                                                                                            \
    memcpy(&x, src, sizeof x);                                                                                         \
    double y = (double)(expression);                                                                                   \
    out[i] = y != y ? (double)NAN : y;                                                                                 \
  }                                                                                                                    \
  break

void pah_load_f64(int dtype, const char *src, int64_t step, int64_t n, double *out) {
  switch (dtype) {
  case PAH_F32: LOAD(float, x);
  case PAH_F64: LOAD(double, x);
  case PAH_F16: LOAD(uint16_t, pah_f16_to_f32(x));
  case PAH_BF16: LOAD(uint16_t, pah_bf16_to_f32(x));
  case PAH_FP8_E4M3: LOAD(uint8_t, pah_e4m3_to_f32(x));
  case PAH_FP8_E5M2: LOAD(uint8_t, pah_e5m2_to_f32(x));
  case PAH_I32: LOAD(int32_t, x);
  case PAH_I64: LOAD(int64_t, x);
  case PAH_U8: LOAD(uint8_t, x);
  }
}

/* Truncated toward zero, saturated; NaN is 0. `high` is the first value that does not fit, exact in float64. */
static int64_t to_integer(double x, double low, double high, int64_t max) {
  if (isnan(x)) return 0;
  if (x >= high) return max;
  return x <= low ? (int64_t)low : (int64_t)x;
}

#define STORE(type, expression)                                                                                        \
  for (int64_t i = 0; i < n; i++, dst += step) {                                                                       \
    double x = in[i];                                                                                                  \
    type y = (type)(expression);                                                                                       \
    memcpy(dst, &y, sizeof y);                                                                                         \
  }                                                                                                                    \
  break

void pah_store_f64(int dtype, char *dst, int64_t step, int64_t n, const double *in) {
  switch (dtype) {
  case PAH_F32: STORE(float, x);
  case PAH_F64: STORE(double, x);
  case PAH_F16: STORE(uint16_t, pah_f64_to_f16(x));
  case PAH_BF16: STORE(uint16_t, pah_f64_to_bf16(x));
  case PAH_FP8_E4M3: STORE(uint8_t, pah_f64_to_e4m3(x));
  case PAH_FP8_E5M2: STORE(uint8_t, pah_f64_to_e5m2(x));
  case PAH_I32: STORE(int32_t, to_integer(x, -0x1p31, 0x1p31, INT32_MAX));
  case PAH_I64: STORE(int64_t, to_integer(x, -0x1p63, 0x1p63, INT64_MAX));
  case PAH_U8: STORE(uint8_t, to_integer(x, 0, 256, 255));
  }
}

/* ---- Copy ------------------------------------------------------------------------------------------------ */

struct copy_context {
  int dst_dtype, src_dtype;
};

static void copy_same(const struct pah_run *run, int64_t size) {
  if (run->step_a == size && run->step_b == size) {
    memcpy(run->a, run->b, (size_t)(run->count * size));
    return;
  }
  char *dst = run->a;
  const char *src = run->b;
  for (int64_t i = 0; i < run->count; i++, dst += run->step_a, src += run->step_b)
    switch (size) { /* constant sizes compile to single moves */
    case 1: *dst = *src; break;
    case 2: memcpy(dst, src, 2); break;
    case 4: memcpy(dst, src, 4); break;
    default: memcpy(dst, src, 8); break;
    }
}

static void copy_run(const struct pah_run *run, void *context) {
  const struct copy_context *c = context;
  if (c->dst_dtype == c->src_dtype) {
    copy_same(run, pah_dtype_size(c->dst_dtype));
    return;
  }
  double chunk[PAH_CHUNK];
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    pah_load_f64(c->src_dtype, run->b + done * run->step_b, run->step_b, n, chunk);
    pah_store_f64(c->dst_dtype, run->a + done * run->step_a, run->step_a, n, chunk);
  }
}

/* Both on the host, shapes equal, memory disjoint. */
static int copy_disjoint(const struct pah_tensor *dst, const struct pah_tensor *src) {
  struct copy_context c = {dst->dtype, src->dtype};
  return pah_tensor_parallel_runs(dst, src, copy_run, &c);
}

/* The source moved away to packed memory of its own first. */
static int copy_overlapping(const struct pah_tensor *dst, const struct pah_tensor *src) {
  struct pah_tensor packed = *src;
  int64_t stride = 1;
  for (int d = src->ndim - 1; d >= 0; d--) {
    packed.stride[d] = stride;
    stride *= src->shape[d];
  }
  packed.data = malloc((size_t)(stride * pah_dtype_size(src->dtype)) + 1);
  if (!packed.data) return pah_fail(PAH_ENOMEM, "copy: no memory for the overlapping source");
  int status = copy_disjoint(&packed, src);
  if (!status) status = copy_disjoint(dst, &packed);
  free(packed.data);
  return status;
}

int pah_tensor_copy(const struct pah_tensor *dst, const struct pah_tensor *src) {
  int status = pah_check_written("dst", dst);
  if (!status) status = pah_tensor_check("src", src);
  if (status) return status;
  status = pah_check_same_shape((struct pah_arg){"src", src}, (struct pah_arg){"dst", dst});
  if (status || pah_tensor_numel(dst) == 0) return status;
  if (dst->device == src->device && dst->device->ops->tensor_copy) {
    status = dst->device->ops->tensor_copy(dst->device, dst, src);
    if (status != PAH_LEFT_TO_HOST) return status;
  }
  struct pah_host_view to, from;
  status = pah_host_view_open(&from, src);
  if (status) return status;
  status = pah_host_view_open_result(&to, dst);
  if (!status) {
    if (pah_tensors_overlap(&to.t, &from.t))
      status = copy_overlapping(&to.t, &from.t);
    else
      status = copy_disjoint(&to.t, &from.t);
    int closed = pah_host_view_close(&to, !status);
    if (!status) status = closed;
  }
  pah_host_view_close(&from, 0);
  return status;
}

struct values_context {
  int dtype;
  double *out;
};

static void values_run(const struct pah_run *run, void *context) {
  const struct values_context *c = context;
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    pah_load_f64(c->dtype, run->a + done * run->step_a, run->step_a, n, c->out + run->index + done);
  }
}

int pah_tensor_values(const struct pah_tensor *t, double *out) {
  int status = pah_tensor_check("tensor", t);
  if (status || pah_tensor_numel(t) == 0) return status;
  if (!out)
    return pah_fail(PAH_EINVAL, "out: is NULL, must have room for %lld numbers", (long long)pah_tensor_numel(t));
  struct pah_host_view v;
  status = pah_host_view_open(&v, t);
  if (status) return status;
  struct values_context c = {t->dtype, out};
  status = pah_tensor_parallel_runs(&v.t, NULL, values_run, &c);
  pah_host_view_close(&v, 0);
  return status;
}

/* ---- Fill and single elements ---------------------------------------------------------------------------- */

struct fill_context {
  int64_t size;
  char bytes[8];
};

static void fill_run(const struct pah_run *run, void *context) {
  const struct fill_context *c = context;
  char *dst = run->a;
  for (int64_t i = 0; i < run->count; i++, dst += run->step_a) switch (c->size) {
    case 1: *dst = c->bytes[0]; break;
    case 2: memcpy(dst, c->bytes, 2); break;
    case 4: memcpy(dst, c->bytes, 4); break;
    default: memcpy(dst, c->bytes, 8); break;
    }
}

int pah_tensor_fill(const struct pah_tensor *t, double value) {
  int status = pah_check_written("tensor", t);
  if (status || pah_tensor_numel(t) == 0) return status;
  struct fill_context c = {.size = pah_dtype_size(t->dtype)};
  pah_store_f64(t->dtype, c.bytes, c.size, 1, &value);
  if (t->device->ops->tensor_fill) {
    status = t->device->ops->tensor_fill(t->device, t, c.bytes);
    if (status != PAH_LEFT_TO_HOST) return status;
  }
  struct pah_host_view v;
  status = pah_host_view_open_result(&v, t);
  if (status) return status;
  status = pah_tensor_parallel_runs(&v.t, NULL, fill_run, &c);
  int closed = pah_host_view_close(&v, !status);
  return status ? status : closed;
}

/* Opens the one element of t on the host. */
static int open_scalar(struct pah_host_view *v, const struct pah_tensor *t) {
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  int64_t numel = pah_tensor_numel(t);
  if (numel != 1) return pah_fail(PAH_EINVAL, "tensor: has %lld elements, must have 1", (long long)numel);
  return pah_host_view_open(v, t);
}

int pah_tensor_get(const struct pah_tensor *t, double *value) {
  if (!value) return pah_fail(PAH_EINVAL, "value: is NULL, must be a place for a number");
  struct pah_host_view v;
  int status = open_scalar(&v, t);
  if (status) return status;
  pah_load_f64(t->dtype, v.t.data, 0, 1, value);
  return pah_host_view_close(&v, 0);
}

int pah_tensor_get_i64(const struct pah_tensor *t, int64_t *value) {
  if (!value) return pah_fail(PAH_EINVAL, "value: is NULL, must be a place for a number");
  if (!t || t->dtype != PAH_I64) {
    double x;
    int status = pah_tensor_get(t, &x);
    if (!status) *value = to_integer(x, -0x1p63, 0x1p63, INT64_MAX);
    return status;
  }
  struct pah_host_view v;
  int status = open_scalar(&v, t);
  if (status) return status;
  memcpy(value, v.t.data, sizeof *value);
  return pah_host_view_close(&v, 0);
}

int pah_tensor_set_i64(const struct pah_tensor *t, int64_t value) {
  struct pah_host_view v;
  int status = open_scalar(&v, t);
  if (status) return status;
  double x = (double)value;
  if (t->dtype == PAH_I64)
    memcpy(v.t.data, &value, sizeof value);
  else
    pah_store_f64(t->dtype, v.t.data, 0, 1, &x);
  return pah_host_view_close(&v, 1);
}
