/* product.c - the product of two tiles in double, for mma.sync and wgmma.
 * Promises: products of operands are exact, whatever their format, and a sum takes its terms in the order of k; so the
 * sets of instructions, which are chosen at run time, give the same bits: a fused multiply-add of an exact product
 * rounds as the addition does. Read next: matrix.h. */
#include "matrix.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { COLUMNS = 8, DEEPEST = 32 };

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

typedef void rows_function(int rows, int n, int depth, const double *a, const double (*columns)[COLUMNS], double *sums);

static rows_function *choose(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return rows_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return rows_avx2;
#endif
  return rows_plain;
}

void matrix_multiply(int rows, int n, int depth, const double *a, const double *b, double *sums) {
  static rows_function *multiply;
  double columns[DEEPEST][COLUMNS];
  if (multiply == NULL) multiply = choose();
  for (int j = 0; j < n; j += COLUMNS) {
    turn(depth, b + j * depth, columns);
    multiply(rows, n, depth, a, (const double(*)[COLUMNS])columns, sums + j);
  }
}
