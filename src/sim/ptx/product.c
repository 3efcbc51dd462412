/* product.c - the product of two tiles in double, for mma.sync and wgmma.
 * Promises: products of operands are exact, whatever their format, and a sum takes its terms in the order of k; so the
 * sets of instructions, which are chosen at run time, give the same bits: a fused multiply-add of an exact product
 * rounds as the addition does. Read next: matrix.h. */
#include "matrix.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { COLUMNS = 8, DEEPEST = 32, MOST_ROWS = 64 };

/* Eight columns of B, k outermost: a row of sums is then a vector or a few. */
static void turn(int depth, const double *b, double (*columns)[COLUMNS]) {
  for (int j = 0; j < COLUMNS; j++) {
    for (int k = 0; k < depth; k++) columns[k][j] = b[j * depth + k];
  }
}

/* ---- What every processor has: vectors of two ---- */

typedef double pair __attribute__((vector_size(16)));

static void rows_plain(int rows, int n, int depth, const double *a, const double (*columns)[COLUMNS], double *sums) {
  for (int m = 0; m < rows; m++, a += depth, sums += n) {
    pair s[COLUMNS / 2], b[COLUMNS / 2];
    memcpy(s, sums, sizeof s);
    for (int k = 0; k < depth; k++) {
      const pair x = {a[k], a[k]};
      memcpy(b, columns[k], sizeof b);
      s[0] += x * b[0];
      s[1] += x * b[1];
      s[2] += x * b[2];
      s[3] += x * b[3];
    }
    memcpy(sums, s, sizeof s);
  }
}

#if defined(__x86_64__)
/* ---- Vectors of four, two rows at a time ---- */
__attribute__((target("avx2,fma"))) static void rows_avx2(int rows, int n, int depth, const double *a,
                                                          const double (*columns)[COLUMNS], double *sums) {
  for (int m = 0; m < rows; m += 2, a += 2 * depth, sums += 2 * n) {
    __m256d s0 = _mm256_loadu_pd(sums), s1 = _mm256_loadu_pd(sums + 4);
    __m256d t0 = _mm256_loadu_pd(sums + n), t1 = _mm256_loadu_pd(sums + n + 4);
    for (int k = 0; k < depth; k++) {
      const __m256d low = _mm256_loadu_pd(columns[k]), high = _mm256_loadu_pd(columns[k] + 4);
      const __m256d x = _mm256_set1_pd(a[k]), y = _mm256_set1_pd(a[depth + k]);
      s0 = _mm256_fmadd_pd(x, low, s0), s1 = _mm256_fmadd_pd(x, high, s1);
      t0 = _mm256_fmadd_pd(y, low, t0), t1 = _mm256_fmadd_pd(y, high, t1);
    }
    _mm256_storeu_pd(sums, s0), _mm256_storeu_pd(sums + 4, s1);
    _mm256_storeu_pd(sums + n, t0), _mm256_storeu_pd(sums + n + 4, t1);
  }
}

/* ---- Vectors of eight, eight rows at a time, so that eight sums are under way ---- */
__attribute__((target("avx512f"))) static void rows_avx512(int rows, int n, int depth, const double *a,
                                                           const double (*columns)[COLUMNS], double *sums) {
  enum { ROWS = 8 };
  for (int m = 0; m < rows; m += ROWS, a += ROWS * depth, sums += ROWS * n) {
    __m512d s[ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) s[i] = _mm512_loadu_pd(sums + i * n);
    for (int k = 0; k < depth; k++) {
      const __m512d b = _mm512_loadu_pd(columns[k]);
#pragma GCC unroll 8
      for (int i = 0; i < ROWS; i++) s[i] = _mm512_fmadd_pd(_mm512_set1_pd(a[i * depth + k]), b, s[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) _mm512_storeu_pd(sums + i * n, s[i]);
  }
}
#endif

/* ---- The set that this processor has ---- */

typedef void rows_function(int rows, int n, int depth, const double *a, const double (*columns)[COLUMNS], double *sums);
typedef void widen_function(int count, const uint16_t *in, double *out);
/* Eight columns of sums, of rows that lie `stride` words apart, as doubles and back. */
typedef void sums_function(int rows, int stride, const float *in, double *out);
typedef void round_function(int rows, int stride, const double *in, float *out);

static void widen_bf16(int count, const uint16_t *in, double *out) {
  for (int i = 0; i < count; i++) {
    const uint32_t code = (uint32_t)in[i] << 16;
    float x;
    memcpy(&x, &code, sizeof x);
    out[i] = x;
  }
}

static void widen_f16(int count, const uint16_t *in, double *out) {
  for (int i = 0; i < count; i++) out[i] = matrix_f16(in[i]);
}

static void widen_sums(int rows, int stride, const float *in, double *out) {
  for (int m = 0; m < rows; m++, in += stride, out += COLUMNS)
    for (int j = 0; j < COLUMNS; j++) out[j] = in[j];
}

static void round_sums(int rows, int stride, const double *in, float *out) {
  for (int m = 0; m < rows; m++, in += COLUMNS, out += stride) {
    uint32_t codes[COLUMNS];
    for (int j = 0; j < COLUMNS; j++) codes[j] = matrix_round_f32(in[j]);
    memcpy(out, codes, sizeof codes);
  }
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma,f16c")))

AVX2 static void store_wide(__m256 x, double *out) {
  _mm256_storeu_pd(out, _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
  _mm256_storeu_pd(out + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
}

AVX2 static void widen_bf16_avx2(int count, const uint16_t *in, double *out) {
  for (int i = 0; i < count; i += 8) {
    const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(in + i)));
    store_wide(_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)), out + i);
  }
}

AVX2 static void widen_f16_avx2(int count, const uint16_t *in, double *out) {
  for (int i = 0; i < count; i += 8)
    store_wide(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i))), out + i);
}

AVX2 static void widen_sums_avx2(int rows, int stride, const float *in, double *out) {
  for (int m = 0; m < rows; m++, in += stride, out += COLUMNS) store_wide(_mm256_loadu_ps(in), out);
}

/* NaN becomes the one that tensor cores write. */
AVX2 static void round_sums_avx2(int rows, int stride, const double *in, float *out) {
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (int m = 0; m < rows; m++, in += COLUMNS, out += stride) {
    const __m128 low = _mm256_cvtpd_ps(_mm256_loadu_pd(in)), high = _mm256_cvtpd_ps(_mm256_loadu_pd(in + 4));
    const __m256 x = _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
    _mm256_storeu_ps(out, _mm256_blendv_ps(x, nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
  }
}
#endif

static struct {
  rows_function *rows;
  widen_function *bf16, *f16;
  sums_function *sums;
  round_function *round;
} set = {rows_plain, widen_bf16, widen_f16, widen_sums, round_sums};

#if defined(__x86_64__)
/* clang 14's __builtin_cpu_supports does not know the word. */
static int has_f16c(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

static void choose(void) {
  static int chosen;
  if (chosen) return;
  chosen = 1;
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return;
  set.rows = __builtin_cpu_supports("avx512f") ? rows_avx512 : rows_avx2;
  set.bf16 = widen_bf16_avx2;
  set.f16 = widen_f16_avx2;
  set.sums = widen_sums_avx2;
  set.round = round_sums_avx2;
#endif
}

void matrix_multiply(int rows, int n, int depth, const double *a, const double *b, double *sums) {
  double columns[DEEPEST][COLUMNS];
  choose();
  for (int j = 0; j < n; j += COLUMNS) {
    turn(depth, b + j * depth, columns);
    set.rows(rows, n, depth, a, (const double(*)[COLUMNS])columns, sums + j);
  }
}

void matrix_multiply_f32(int rows, int n, int stride, int depth, const double *a, const double *b, float *sums) {
  double columns[DEEPEST][COLUMNS], wide[MOST_ROWS * COLUMNS];
  choose();
  for (int j = 0; j < n; j += COLUMNS) {
    turn(depth, b + j * depth, columns);
    set.sums(rows, stride, sums + j, wide);
    set.rows(rows, COLUMNS, depth, a, (const double(*)[COLUMNS])columns, wide);
    set.round(rows, stride, wide, sums + j);
  }
}

void matrix_widen_bf16(int count, const uint16_t *in, double *out) {
  choose();
  set.bf16(count, in, out);
}

void matrix_widen_f16(int count, const uint16_t *in, double *out) {
  choose();
  set.f16(count, in, out);
}
