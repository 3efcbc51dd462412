/* matmul.c - products of matrices, batches of them: out[..., m, n] = sum over k of a[..., m, k] b[..., k, n].
 * Promises: sums in float64 in the order of k, rounded once; threads do not change them. It is there for references of
 * experiments, not for speed. Read next: zip.h. */
#include <omp.h>

#include "check.h"
#include "dtype.h"
#include "error.h"
#include "tensor.h"
#include "zip.h"

enum { ROWS = 8, COLUMNS = PAH_CHUNK }; /* of a piece of out, whose sums are held at once */

/* The address of element `index` of the leading dimensions of t. */
static char *matrix(const struct pah_tensor *t, int64_t index) {
  int64_t offset = 0;
  for (int d = t->ndim - 3; d >= 0; d--) offset += index % t->shape[d] * t->stride[d], index /= t->shape[d];
  return (char *)t->data + offset * pah_dtype_size(t->dtype);
}

/* Rows m to m + rows and columns n to n + columns of one product. */
static void piece(const struct pah_tensor *out, const struct pah_tensor *a, const struct pah_tensor *b, int64_t batch,
                  int64_t m, int64_t n) {
  int last = out->ndim - 1;
  int64_t left = out->shape[last - 1] - m, rows = left < ROWS ? left : ROWS, inner = a->shape[last];
  int64_t right = out->shape[last] - n, columns = right < COLUMNS ? right : COLUMNS;
  int64_t size_a = pah_dtype_size(a->dtype), size_b = pah_dtype_size(b->dtype), size = pah_dtype_size(out->dtype);
  const char *from_a = matrix(a, batch) + m * a->stride[last - 1] * size_a;
  const char *from_b = matrix(b, batch) + n * b->stride[last] * size_b;
  double sum[ROWS][COLUMNS] = {{0}}, row[COLUMNS], column[ROWS];
  for (int64_t k = 0; k < inner; k++) {
    pah_load_f64(a->dtype, from_a + k * a->stride[last] * size_a, a->stride[last - 1] * size_a, rows, column);
    pah_load_f64(b->dtype, from_b + k * b->stride[last - 1] * size_b, b->stride[last] * size_b, columns, row);
    for (int64_t i = 0; i < rows; i++) {
      double x = column[i], *to = sum[i];
#pragma omp simd
      for (int64_t j = 0; j < columns; j++) to[j] += x * row[j];
    }
  }
  char *to = matrix(out, batch) + (m * out->stride[last - 1] + n * out->stride[last]) * size;
  for (int64_t i = 0; i < rows; i++)
    pah_store_f64(out->dtype, to + i * out->stride[last - 1] * size, out->stride[last] * size, columns, sum[i]);
}

static int check(const struct pah_tensor *out, const struct pah_tensor *a, const struct pah_tensor *b) {
  struct pah_arg args[] = {{"out", out}, {"a", a}, {"b", b}};
  int status = pah_zip_check(args, 3);
  for (int i = 0; i < 3 && !status; i++) {
    if (!pah_dtype_is_float(args[i].t->dtype))
      status = pah_fail(PAH_EINVAL, "%s: dtype is %s, must be a float", args[i].name, pah_dtype_name(args[i].t->dtype));
    else if (args[i].t->ndim < 2 || args[i].t->ndim != out->ndim)
      status = pah_fail(PAH_EINVAL, "%s: has %d dimensions, must have 2 at least, and as many as out", args[i].name,
                        args[i].t->ndim);
  }
  if (status) return status;
  int last = out->ndim - 1;
  for (int d = 0; d < last - 1; d++)
    if (a->shape[d] != out->shape[d] || b->shape[d] != out->shape[d])
      return pah_fail(PAH_EINVAL, "out: dimension %d is %lld, must be that of a and b", d + 1,
                      (long long)out->shape[d]);
  if (a->shape[last] != b->shape[last - 1])
    return pah_fail(PAH_EINVAL, "b: has %lld rows, must have %lld as a has columns", (long long)b->shape[last - 1],
                    (long long)a->shape[last]);
  if (out->shape[last - 1] != a->shape[last - 1] || out->shape[last] != b->shape[last])
    return pah_fail(PAH_EINVAL, "out: its matrices must have the rows of a and the columns of b");
  return PAH_OK;
}

int pah_tensor_matmul(const struct pah_tensor *out, const struct pah_tensor *a, const struct pah_tensor *b) {
  int status = check(out, a, b);
  int64_t numel = status ? 0 : pah_tensor_numel(out);
  if (numel == 0) return status;
  int64_t m = out->shape[out->ndim - 2], n = out->shape[out->ndim - 1];
  int64_t down = (m + ROWS - 1) / ROWS, across = (n + COLUMNS - 1) / COLUMNS, pieces = numel / (m * n) * down * across;
  int threads = pah_get_threads();
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (pieces > 1)
  for (int64_t p = 0; p < pieces; p++)
    if (!pah_interrupted) piece(out, a, b, p / (down * across), p / across % down * ROWS, p % across * COLUMNS);
  return pah_tensor_stopped();
}
