/* random.c - counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", 2011). Promises: element i of a seed has the same bits for every number of threads, stride and device, and with
 * every libm: log, sin and cos are polynomials of our own, and this file is compiled without contraction of a*b+c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"
#include "error.h"
#include "tensor.h"

struct philox {
  uint32_t word[4];
};

/* What a counter is drawn for: the fourth word of the counter, so that kinds of one seed do not correlate. */
enum { STREAM_UNIFORM = 0, STREAM_NORMAL, STREAM_INTEGER, STREAM_PERMUTATION };

static struct philox philox4x32_10(uint64_t seed, uint64_t counter, uint32_t attempt, uint32_t stream) {
  struct philox c = {{(uint32_t)counter, (uint32_t)(counter >> 32), attempt, stream}};
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
    uint64_t p0 = (uint64_t)0xd2511f53u * c.word[0], p1 = (uint64_t)0xcd9e8d57u * c.word[2];
    c = (struct philox){
        {(uint32_t)(p1 >> 32) ^ c.word[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c.word[3] ^ k1, (uint32_t)p0}};
  }
  return c;
}

/* 53 bits to [0, 1). */
static double unit(uint32_t high, uint32_t low) {
  return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

/* log(x) for 0 < x <= 1: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log(m) = 2 atanh((m-1)/(m+1)). */
static double natural_log(double x) {
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752) m *= 2, e--;
  static const double odd[] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11,
                               1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3,  1.0};
  double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
  for (int k = 0; k < (int)(sizeof odd / sizeof *odd); k++) sum = sum * s2 + odd[k];
  return 2 * s * sum + e * 0.69314718055994531;
}

/* cos and sin of 2 pi u, 0 <= u < 1: reduced to an eighth of the circle, then the Taylor series. */
static void cos_sin_turn(double u, double *cosine, double *sine) {
  int quarter = (int)(u * 4 + 0.5);
  double x = (u - quarter * 0.25) * 6.28318530717958648, x2 = x * x;
  static const double even_step[] = {1.0 / 306, 1.0 / 240, 1.0 / 182, 1.0 / 132, 1.0 / 90,
                                     1.0 / 56,  1.0 / 30,  1.0 / 12,  1.0 / 2}; /* 1 / (k (k-1)), k = 18, 16, ... 2 */
  static const double odd_step[] = {1.0 / 342, 1.0 / 272, 1.0 / 210, 1.0 / 156, 1.0 / 110,
                                    1.0 / 72,  1.0 / 42,  1.0 / 20,  1.0 / 6}; /* k = 19, 17, ... 3 */
  double c = 1, s = 1;
  for (int k = 0; k < 9; k++) {
    c = 1 - c * x2 * even_step[k];
    s = 1 - s * x2 * odd_step[k];
  }
  s *= x;
  double cos_of[4] = {c, -s, -c, s}, sin_of[4] = {s, c, -s, -c};
  *cosine = cos_of[quarter & 3];
  *sine = sin_of[quarter & 3];
}

/* Box-Muller: two normals from one counter. */
static void normal_pair(uint64_t seed, uint64_t counter, double pair[2]) {
  struct philox r = philox4x32_10(seed, counter, 0, STREAM_NORMAL);
  double radius = sqrt(-2 * natural_log(1 - unit(r.word[0], r.word[1])));
  double c, s;
  cos_sin_turn(unit(r.word[2], r.word[3]), &c, &s);
  pair[0] = radius * c;
  pair[1] = radius * s;
}

struct random_context {
  int dtype;
  uint64_t seed;
  double a, b;
};

static void rand_run(const struct pah_run *run, void *context) {
  const struct random_context *c = context;
  double chunk[PAH_CHUNK];
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    for (int64_t i = 0; i < n; i++) {
      struct philox r = philox4x32_10(c->seed, (uint64_t)(run->index + done + i), 0, STREAM_UNIFORM);
      chunk[i] = c->a + (c->b - c->a) * unit(r.word[0], r.word[1]);
    }
    pah_store_f64(c->dtype, run->a + done * run->step_a, run->step_a, n, chunk);
  }
}

static void randn_run(const struct pah_run *run, void *context) {
  const struct random_context *c = context;
  double chunk[PAH_CHUNK], pair[2] = {0, 0};
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    for (int64_t i = 0; i < n; i++) {
      uint64_t index = (uint64_t)(run->index + done + i);
      if (!(index & 1) || i == 0) normal_pair(c->seed, index >> 1, pair);
      chunk[i] = c->a + c->b * pair[index & 1];
    }
    pah_store_f64(c->dtype, run->a + done * run->step_a, run->step_a, n, chunk);
  }
}

static int fill_random(const struct pah_tensor *t, void (*visit)(const struct pah_run *, void *), void *context) {
  struct pah_host_view v;
  int status = pah_host_view_open(&v, t);
  if (status) return status;
  pah_tensor_parallel_runs(&v.t, NULL, visit, context);
  return pah_host_view_close(&v, 1);
}

int pah_tensor_rand(const struct pah_tensor *t, uint64_t seed, double low, double high) {
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  if (!(low < high) || !isfinite(low) || !isfinite(high))
    return pah_fail(PAH_EINVAL, "low, high: are %g and %g, must be finite with low < high", low, high);
  struct random_context c = {t->dtype, seed, low, high};
  return fill_random(t, rand_run, &c);
}

int pah_tensor_randn(const struct pah_tensor *t, uint64_t seed, double mean, double std) {
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  if (!isfinite(mean) || !isfinite(std))
    return pah_fail(PAH_EINVAL, "mean, scale: are %g and %g, must be finite", mean, std);
  struct random_context c = {t->dtype, seed, mean, std};
  return fill_random(t, randn_run, &c);
}

/* ---- Whole numbers --------------------------------------------------------------------------------------- */

/* 0 <= x < range without bias (Lemire 2019): the few draws that would favour low results are drawn again. range 0:
 * 2^64. */
static uint64_t below(uint64_t seed, uint64_t counter, uint32_t stream, uint64_t range) {
  for (uint32_t attempt = 0;; attempt++) {
    struct philox r = philox4x32_10(seed, counter, attempt, stream);
    uint64_t x = (uint64_t)r.word[0] << 32 | r.word[1];
    if (range == 0) return x;
    __extension__ unsigned __int128 product = (unsigned __int128)x * range;
    if ((uint64_t)product >= -range % range) return (uint64_t)(product >> 64);
  }
}

struct integer_context {
  int dtype;
  uint64_t seed, range;
  int64_t low;
};

static void store_i64(int dtype, char *dst, int64_t value) {
  double x = (double)value;
  if (dtype == PAH_I64)
    memcpy(dst, &value, sizeof value);
  else
    pah_store_f64(dtype, dst, 0, 1, &x);
}

static void randint_run(const struct pah_run *run, void *context) {
  const struct integer_context *c = context;
  for (int64_t i = 0; i < run->count; i++) {
    uint64_t x = below(c->seed, (uint64_t)(run->index + i), STREAM_INTEGER, c->range);
    store_i64(c->dtype, run->a + i * run->step_a, (int64_t)((uint64_t)c->low + x));
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
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  if (low >= high)
    return pah_fail(PAH_EINVAL, "low, high: are %lld and %lld, must be low < high", (long long)low, (long long)high);
  double limit = integer_limit(t->dtype), floor = t->dtype == PAH_U8 ? 0 : -limit;
  if ((double)low < floor || (double)(high - 1) > limit || (t->dtype == PAH_U8 && high > 256) ||
      (t->dtype == PAH_I32 && high > (int64_t)1 << 31))
    return pah_fail(PAH_EINVAL, "low, high: are %lld and %lld, must lie within what %s holds exactly", (long long)low,
                    (long long)high, pah_dtype_name(t->dtype));
  struct integer_context c = {t->dtype, seed, (uint64_t)high - (uint64_t)low, low};
  return fill_random(t, randint_run, &c);
}

int pah_tensor_randperm(const struct pah_tensor *t, uint64_t seed) {
  int status = pah_tensor_check("tensor", t);
  if (status) return status;
  if (t->ndim != 1) return pah_fail(PAH_EINVAL, "tensor: has %d dimensions, must have 1", t->ndim);
  int64_t n = t->shape[0];
  if ((double)n > integer_limit(t->dtype))
    return pah_fail(PAH_EINVAL, "n: is %lld, more than %s holds exactly", (long long)n, pah_dtype_name(t->dtype));
  int64_t *order = malloc((size_t)(n + 1) * sizeof *order);
  if (!order) return pah_fail(PAH_ENOMEM, "randperm: no memory for %lld numbers", (long long)n);
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0; i--) { /* Fisher-Yates */
    int64_t j = (int64_t)below(seed, (uint64_t)i, STREAM_PERMUTATION, (uint64_t)i + 1);
    int64_t held = order[i];
    order[i] = order[j];
    order[j] = held;
  }
  struct pah_host_view v;
  status = pah_host_view_open(&v, t);
  if (!status) {
    for (int64_t i = 0; i < n; i++)
      store_i64(t->dtype, (char *)v.t.data + i * t->stride[0] * pah_dtype_size(t->dtype), order[i]);
    status = pah_host_view_close(&v, 1);
  }
  free(order);
  return status;
}
