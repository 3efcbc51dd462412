/* random.c - counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", 2011). Promises: element i of a seed has the same bits for every number of threads, stride and device, and with
 * every libm: log, sin and cos are polynomials of our own, and this file is compiled without contraction of a*b+c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "device.h"
#include "draw.h"
#include "dtype.h"
#include "error.h"
#include "tensor.h"

static void philox4x32_10(uint64_t seed, uint64_t counter, uint32_t attempt, uint32_t stream, uint32_t word[4]) {
  uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = attempt, c3 = stream;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
    uint64_t p0 = (uint64_t)0xd2511f53u * c0, p1 = (uint64_t)0xcd9e8d57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
  }
  word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

/* 53 bits to [0, 1). */
static double unit(uint32_t high, uint32_t low) {
  return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

/* log(x) for 2^-53 <= x <= 1: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log(m) = 2 atanh((m-1)/(m+1)). */
static inline double natural_log(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int e = (int)(bits >> 52) - 1022;
  bits = (bits & 0xfffffffffffff) | (uint64_t)1022 << 52;
  double m;
  memcpy(&m, &bits, sizeof m);
  int low = m < 0.70710678118654752;
  m = low ? m * 2 : m;
  e -= low;
  double s = (m - 1) / (m + 1), s2 = s * s, sum = 1.0 / 21;
  sum = sum * s2 + 1.0 / 19;
  sum = sum * s2 + 1.0 / 17;
  sum = sum * s2 + 1.0 / 15;
  sum = sum * s2 + 1.0 / 13;
  sum = sum * s2 + 1.0 / 11;
  sum = sum * s2 + 1.0 / 9;
  sum = sum * s2 + 1.0 / 7;
  sum = sum * s2 + 1.0 / 5;
  sum = sum * s2 + 1.0 / 3;
  sum = sum * s2 + 1;
  return 2 * s * sum + e * 0.69314718055994531;
}

/* cos and sin of 2 pi u, 0 <= u < 1: reduced to an eighth of the circle, then the Taylor series; each step is the ratio
 * 1 / (k (k-1)) of two terms. */
static inline void cos_sin_turn(double u, double *cosine, double *sine) {
  int quarter = (int)(u * 4 + 0.5);
  double x = (u - quarter * 0.25) * 6.28318530717958648, x2 = x * x;
  double c = 1 - x2 * (1.0 / 306), s = 1 - x2 * (1.0 / 342);
  c = 1 - c * x2 * (1.0 / 240), s = 1 - s * x2 * (1.0 / 272);
  c = 1 - c * x2 * (1.0 / 182), s = 1 - s * x2 * (1.0 / 210);
  c = 1 - c * x2 * (1.0 / 132), s = 1 - s * x2 * (1.0 / 156);
  c = 1 - c * x2 * (1.0 / 90), s = 1 - s * x2 * (1.0 / 110);
  c = 1 - c * x2 * (1.0 / 56), s = 1 - s * x2 * (1.0 / 72);
  c = 1 - c * x2 * (1.0 / 30), s = 1 - s * x2 * (1.0 / 42);
  c = 1 - c * x2 * (1.0 / 12), s = 1 - s * x2 * (1.0 / 20);
  c = 1 - c * x2 * (1.0 / 2), s = 1 - s * x2 * (1.0 / 6);
  s *= x;
  double a = quarter & 1 ? s : c, b = quarter & 1 ? c : s;
  *cosine = (quarter + 1) & 2 ? -a : a;
  *sine = quarter & 2 ? -b : b;
}

/* gcc has to be asked for vectors at -O2; clang does them unasked, and warns where it is asked and cannot (sanitizers).
 */
#ifdef __clang__
#define VECTORS
#else
#define VECTORS _Pragma("omp simd")
#endif

/* Box-Muller: the two normals of each counter from `counter` on, `pairs` <= PAH_CHUNK of them. Loops of one kind of
 * work each, so that the polynomials run in vectors. */
static void normal_pairs(uint64_t seed, uint64_t counter, int64_t pairs, double *out) {
  double u[PAH_CHUNK], v[PAH_CHUNK];
  for (int64_t i = 0; i < pairs; i++) {
    uint32_t word[4];
    philox4x32_10(seed, counter + (uint64_t)i, 0, PAH_DRAW_NORMAL, word);
    u[i] = 1 - unit(word[0], word[1]);
    v[i] = unit(word[2], word[3]);
  }
  VECTORS
  for (int64_t i = 0; i < pairs; i++) u[i] = -2 * natural_log(u[i]);
  for (int64_t i = 0; i < pairs; i++) u[i] = sqrt(u[i]);
  VECTORS
  for (int64_t i = 0; i < pairs; i++) {
    double c, s;
    cos_sin_turn(v[i], &c, &s);
    out[2 * i] = u[i] * c;
    out[2 * i + 1] = u[i] * s;
  }
}

struct random_context {
  int dtype;
  struct pah_draw draw;
};

static void rand_run(const struct pah_run *run, void *context) {
  const struct random_context *c = context;
  const struct pah_draw *draw = &c->draw;
  double chunk[PAH_CHUNK];
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    for (int64_t i = 0; i < n; i++) {
      uint32_t word[4];
      philox4x32_10(draw->seed, (uint64_t)(run->index + done + i), 0, PAH_DRAW_UNIFORM, word);
      double x = draw->a + (draw->b - draw->a) * unit(word[0], word[1]);
      chunk[i] = x < draw->first ? draw->first : x > draw->last ? draw->last : x;
    }
    pah_store_f64(c->dtype, run->a + done * run->step_a, run->step_a, n, chunk);
  }
}

static void randn_run(const struct pah_run *run, void *context) {
  const struct random_context *c = context;
  const struct pah_draw *draw = &c->draw;
  double chunk[PAH_CHUNK + 2]; /* whole pairs: one element more than asked for at either end */
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    int64_t index = run->index + done, odd = index & 1;
    normal_pairs(draw->seed, (uint64_t)index >> 1, (odd + n + 1) / 2, chunk);
    for (int64_t i = 0; i < n; i++) chunk[odd + i] = draw->a + draw->b * chunk[odd + i];
    pah_store_f64(c->dtype, run->a + done * run->step_a, run->step_a, n, chunk + odd);
  }
}

static double rounded(int dtype, double x) {
  char bytes[8];
  pah_store_f64(dtype, bytes, 0, 1, &x);
  pah_load_f64(dtype, bytes, 0, 1, &x);
  return x;
}

/* The smallest value of a dtype that is no less than x, and the largest below x; NaN if there is none. Of the numbers
 * 2^k away from x, from the nearest on, the first that is rounded to the right side is rounded to it. */
static double first_from(int dtype, double x) {
  for (double step = 0; isfinite(step); step = step > 0 ? step * 2 : 0x1p-1074)
    if (rounded(dtype, x + step) >= x) return rounded(dtype, x + step);
  return NAN;
}

static double last_below(int dtype, double x) {
  for (double step = 0x1p-1074; isfinite(step); step *= 2)
    if (rounded(dtype, x - step) < x) return rounded(dtype, x - step);
  return NAN;
}

/* By the device's own kernels, where it has them and they can. */
static int fill_random(const struct pah_tensor *t, const struct pah_draw *draw,
                       void (*visit)(const struct pah_run *, void *)) {
  const struct pah_device_ops *ops = t->device->ops;
  if (pah_tensor_numel(t) == 0) return PAH_OK;
  int status = ops->tensor_random ? ops->tensor_random(t->device, t, draw) : PAH_LEFT_TO_HOST;
  if (status != PAH_LEFT_TO_HOST) return status;
  struct random_context c = {t->dtype, *draw};
  struct pah_host_view v;
  status = pah_host_view_open_result(&v, t);
  if (status) return status;
  status = pah_tensor_parallel_runs(&v.t, NULL, visit, &c);
  int closed = pah_host_view_close(&v, !status);
  return status ? status : closed;
}

int pah_tensor_rand(const struct pah_tensor *t, uint64_t seed, double low, double high) {
  int status = pah_check_written("tensor", t);
  if (status) return status;
  if (!(low < high) || !isfinite(high - low))
    return pah_fail(PAH_EINVAL, "low, high: are %g and %g, must be finite with low < high", low, high);
  const char *dtype = pah_dtype_name(t->dtype);
  if (isinf(rounded(t->dtype, low)) || isinf(rounded(t->dtype, high)))
    return pah_fail(PAH_EINVAL, "low, high: are %g and %g, must be numbers that %s holds", low, high, dtype);
  struct pah_draw draw = {.kind = PAH_DRAW_UNIFORM, .seed = seed, .a = low, .b = high};
  draw.first = first_from(t->dtype, low);
  draw.last = last_below(t->dtype, high);
  if (!(draw.first <= draw.last))
    return pah_fail(PAH_EINVAL, "low, high: %s has no value in [%g, %g)", dtype, low, high);
  return fill_random(t, &draw, rand_run);
}

int pah_tensor_randn(const struct pah_tensor *t, uint64_t seed, double mean, double std) {
  int status = pah_check_written("tensor", t);
  if (status) return status;
  if (!isfinite(mean) || !isfinite(std))
    return pah_fail(PAH_EINVAL, "mean, scale: are %g and %g, must be finite", mean, std);
  struct pah_draw draw = {.kind = PAH_DRAW_NORMAL, .seed = seed, .a = mean, .b = std};
  return fill_random(t, &draw, randn_run);
}

/* ---- Whole numbers --------------------------------------------------------------------------------------- */

/* 0 <= x < range without bias (Lemire 2019): the few draws that would favour low results are drawn again. range 0:
 * 2^64. */
static uint64_t below(uint64_t seed, uint64_t counter, uint32_t stream, uint64_t range) {
  for (uint32_t attempt = 0;; attempt++) {
    uint32_t word[4];
    philox4x32_10(seed, counter, attempt, stream, word);
    uint64_t x = (uint64_t)word[0] << 32 | word[1];
    if (range == 0) return x;
    __extension__ unsigned __int128 product = (unsigned __int128)x * range;
    if ((uint64_t)product >= range || (uint64_t)product >= -range % range) /* the first spares most divisions */
      return (uint64_t)(product >> 64);
  }
}

static void store_i64(int dtype, char *dst, int64_t value) {
  double x = (double)value;
  if (dtype == PAH_I64)
    memcpy(dst, &value, sizeof value);
  else
    pah_store_f64(dtype, dst, 0, 1, &x);
}

static void randint_run(const struct pah_run *run, void *context) {
  const struct random_context *c = context;
  const struct pah_draw *draw = &c->draw;
  for (int64_t i = 0; i < run->count; i++) {
    uint64_t x = below(draw->seed, (uint64_t)(run->index + i), PAH_DRAW_INTEGER, draw->range);
    store_i64(c->dtype, run->a + i * run->step_a, (int64_t)((uint64_t)draw->low + x));
  }
}

/* The first whole number that a dtype cannot tell from its neighbours. */
static double integer_limit(int dtype) {
  switch (dtype) {
  case PAH_I64: return 0x1p63;
  case PAH_I32: return 0x1p31;
  case PAH_U8: return 256;
  case PAH_F64: return 0x1p53;
  case PAH_F32: return 0x1p24;
  case PAH_F16: return 2048;
  case PAH_BF16: return 256;
  case PAH_FP8_E4M3: return 16;
  default: return 8;
  }
}

int pah_tensor_randint(const struct pah_tensor *t, uint64_t seed, int64_t low, int64_t high) {
  int status = pah_check_written("tensor", t);
  if (status) return status;
  if (low >= high)
    return pah_fail(PAH_EINVAL, "low, high: are %lld and %lld, must be low < high", (long long)low, (long long)high);
  double limit = integer_limit(t->dtype), floor = t->dtype == PAH_U8 ? 0 : -limit;
  if ((double)low < floor || (double)(high - 1) > limit || (t->dtype == PAH_U8 && high > 256) ||
      (t->dtype == PAH_I32 && high > (int64_t)1 << 31))
    return pah_fail(PAH_EINVAL, "low, high: are %lld and %lld, must lie within what %s holds exactly", (long long)low,
                    (long long)high, pah_dtype_name(t->dtype));
  struct pah_draw draw = {.kind = PAH_DRAW_INTEGER, .seed = seed, .low = low, .range = (uint64_t)high - (uint64_t)low};
  return fill_random(t, &draw, randint_run);
}

int pah_tensor_randperm(const struct pah_tensor *t, uint64_t seed) {
  int status = pah_check_written("tensor", t);
  if (status) return status;
  if (t->ndim != 1) return pah_fail(PAH_EINVAL, "tensor: has %d dimensions, must have 1", t->ndim);
  int64_t n = t->shape[0];
  if ((double)n > integer_limit(t->dtype))
    return pah_fail(PAH_EINVAL, "n: is %lld, more than %s holds exactly", (long long)n, pah_dtype_name(t->dtype));
  int64_t *order = malloc((size_t)(n + 1) * sizeof *order);
  if (!order) return pah_fail(PAH_ENOMEM, "randperm: no memory for %lld numbers", (long long)n);
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0 && !pah_interrupted; i--) { /* Fisher-Yates */
    int64_t j = (int64_t)below(seed, (uint64_t)i, PAH_DRAW_PERMUTATION, (uint64_t)i + 1);
    int64_t held = order[i];
    order[i] = order[j];
    order[j] = held;
  }
  struct pah_host_view v;
  status = pah_tensor_stopped();
  if (!status) status = pah_host_view_open_result(&v, t);
  if (!status) {
    for (int64_t i = 0; i < n; i++)
      store_i64(t->dtype, (char *)v.t.data + i * t->stride[0] * pah_dtype_size(t->dtype), order[i]);
    status = pah_host_view_close(&v, 1);
  }
  free(order);
  return status;
}
