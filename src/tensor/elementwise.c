/* elementwise.c - arithmetic element by element: a + b, exp(a), a < b, where.
 * Promises: computed in float64 and rounded once to the dtype of the result, which for f32 is what f32 arithmetic
 * gives; i64 with i64 exactly, saturated. Shapes are equal: broadcasting is a stride of 0
 * (lua/pah/tensor/arithmetic.lua). Read next: zip.h, reduce.c. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "error.h"
#include "tensor.h"
#include "zip.h"

/* ---- Two operands --------------------------------------------------------------------------------------- */

struct context {
  int op, out, a, b; /* dtypes of the three */
};

#define EACH(expression)                                                                                               \
  for (int64_t i = 0; i < n; i++) {                                                                                    \
    double x = a[i], y = b[i];                                                                                         \
    out[i] = (double)(expression);                                                                                     \
  }                                                                                                                    \
  break

static void binary(int op, int64_t n, const double *a, const double *b, double *out) {
  switch (op) {
  case PAH_ADD: EACH(x + y);
  case PAH_SUB: EACH(x - y);
  case PAH_MUL: EACH(x * y);
  case PAH_DIV: EACH(x / y);
  case PAH_POW: EACH(pow(x, y));
  case PAH_MAXIMUM: EACH(x > y || x != x ? x : y);
  case PAH_MINIMUM: EACH(x < y || x != x ? x : y);
  case PAH_EQ: EACH(x == y);
  case PAH_NE: EACH(x != y);
  case PAH_LT: EACH(x < y);
  case PAH_LE: EACH(x <= y);
  case PAH_GT: EACH(x > y);
  case PAH_GE: EACH(x >= y);
  }
}

/* x op y of integers; only the operations that integers keep (not division and power, which are floats). */
static int64_t binary_i64(int op, int64_t x, int64_t y) {
  int64_t r = 0;
  switch (op) {
  case PAH_ADD:
    if (__builtin_add_overflow(x, y, &r)) r = x < 0 ? INT64_MIN : INT64_MAX;
    return r;
  case PAH_SUB:
    if (__builtin_sub_overflow(x, y, &r)) r = x < 0 ? INT64_MIN : INT64_MAX;
    return r;
  case PAH_MUL:
    if (__builtin_mul_overflow(x, y, &r)) r = (x < 0) != (y < 0) ? INT64_MIN : INT64_MAX;
    return r;
  case PAH_MAXIMUM: return x > y ? x : y;
  case PAH_MINIMUM: return x < y ? x : y;
  case PAH_EQ: return x == y;
  case PAH_NE: return x != y;
  case PAH_LT: return x < y;
  case PAH_LE: return x <= y;
  case PAH_GT: return x > y;
  default: return x >= y;
  }
}

static void visit_i64(const struct pah_zip_run *run, void *context) {
  const struct context *c = context;
  for (int64_t i = 0; i < run->count; i++) {
    int64_t x, y;
    memcpy(&x, run->p[1] + i * run->step[1], sizeof x);
    memcpy(&y, run->p[2] + i * run->step[2], sizeof y);
    int64_t r = binary_i64(c->op, x, y);
    char *to = run->p[0] + i * run->step[0];
    if (c->out == PAH_I64)
      memcpy(to, &r, sizeof r);
    else
      *to = (char)r;
  }
}

static void visit_binary(const struct pah_zip_run *run, void *context) {
  const struct context *c = context;
  double a[PAH_CHUNK], b[PAH_CHUNK], out[PAH_CHUNK];
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    pah_load_f64(c->a, run->p[1] + done * run->step[1], run->step[1], n, a);
    pah_load_f64(c->b, run->p[2] + done * run->step[2], run->step[2], n, b);
    binary(c->op, n, a, b, out);
    pah_store_f64(c->out, run->p[0] + done * run->step[0], run->step[0], n, out);
  }
}

static int check_shapes(const struct pah_arg *args, int count) {
  int status = pah_zip_check(args, count);
  for (int i = 1; i < count && !status; i++) status = pah_check_same_shape(args[i], args[0]);
  return status;
}

int pah_tensor_binary(int op, const struct pah_tensor *out, const struct pah_tensor *a, const struct pah_tensor *b) {
  struct pah_arg args[] = {{"out", out}, {"a", a}, {"b", b}};
  int status = check_shapes(args, 3);
  if (status) return status;
  if (op < 0 || op >= PAH_BINARY_COUNT) return pah_fail(PAH_EINVAL, "op: is %d, must be one of enum pah_binary", op);
  if (pah_tensor_numel(out) == 0) return PAH_OK;
  struct context c = {op, out->dtype, a->dtype, b->dtype};
  int exact = c.a == PAH_I64 && c.b == PAH_I64 && (c.out == PAH_I64 || c.out == PAH_U8);
  const struct pah_tensor *tensors[] = {out, a, b};
  return pah_zip(tensors, 3, exact && op != PAH_DIV && op != PAH_POW ? visit_i64 : visit_binary, &c);
}

/* ---- One operand ---------------------------------------------------------------------------------------- */

#define EACH_OF_ONE(expression)                                                                                        \
  for (int64_t i = 0; i < n; i++) {                                                                                    \
    double x = a[i];                                                                                                   \
    a[i] = (expression);                                                                                               \
  }                                                                                                                    \
  break

static void unary(int op, int64_t n, double *a) {
  switch (op) {
  case PAH_NEG: EACH_OF_ONE(-x);
  case PAH_ABS: EACH_OF_ONE(fabs(x));
  case PAH_EXP: EACH_OF_ONE(exp(x));
  case PAH_LOG: EACH_OF_ONE(log(x));
  case PAH_SQRT: EACH_OF_ONE(sqrt(x));
  case PAH_TANH: EACH_OF_ONE(tanh(x));
  }
}

static void visit_unary(const struct pah_zip_run *run, void *context) {
  const struct context *c = context;
  double a[PAH_CHUNK];
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    pah_load_f64(c->a, run->p[1] + done * run->step[1], run->step[1], n, a);
    unary(c->op, n, a);
    pah_store_f64(c->out, run->p[0] + done * run->step[0], run->step[0], n, a);
  }
}

int pah_tensor_unary(int op, const struct pah_tensor *out, const struct pah_tensor *a) {
  struct pah_arg args[] = {{"out", out}, {"a", a}};
  int status = check_shapes(args, 2);
  if (status) return status;
  if (op < 0 || op >= PAH_UNARY_COUNT) return pah_fail(PAH_EINVAL, "op: is %d, must be one of enum pah_unary", op);
  if (pah_tensor_numel(out) == 0) return PAH_OK;
  struct context c = {.op = op, .out = out->dtype, .a = a->dtype};
  const struct pah_tensor *tensors[] = {out, a};
  return pah_zip(tensors, 2, visit_unary, &c);
}

/* ---- Choice --------------------------------------------------------------------------------------------- */

static void visit_where(const struct pah_zip_run *run, void *context) {
  const struct context *c = context;
  size_t size = (size_t)pah_dtype_size(c->out);
  double chosen[PAH_CHUNK];
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    pah_load_f64(c->a, run->p[1] + done * run->step[1], run->step[1], n, chosen);
    for (int64_t i = done; i < done + n; i++) {
      int from = chosen[i - done] != 0 ? 2 : 3;
      memcpy(run->p[0] + i * run->step[0], run->p[from] + i * run->step[from], size);
    }
  }
}

int pah_tensor_where(const struct pah_tensor *out, const struct pah_tensor *condition, const struct pah_tensor *a,
                     const struct pah_tensor *b) {
  struct pah_arg args[] = {{"out", out}, {"condition", condition}, {"a", a}, {"b", b}};
  int status = check_shapes(args, 4);
  for (int i = 2; i < 4 && !status; i++) status = pah_check_dtype(args[i], 1u << out->dtype, ", as out");
  if (status || pah_tensor_numel(out) == 0) return status;
  struct context c = {.out = out->dtype, .a = condition->dtype};
  const struct pah_tensor *tensors[] = {out, condition, a, b};
  return pah_zip(tensors, 4, visit_where, &c);
}
