/* cpu/gemm/bf16.h - the register tile of f32.h on pairs of bf16: vdpbf16ps multiplies two pairs and adds both products
 * to an f32. The shape, the strides and the way of A and B are the same, with a 32-bit word that holds elements 2k and
 * 2k + 1 (low half first) where f32.h has a float k. It rounds after each of the two additions and takes subnormal
 * numbers for 0. Only where the processor has it; whether it pays is measured (bf16_dots_pay in cpu/bf16_way.h).
 * Read next: pack.h (who makes them). */
#ifndef PAH_CPU_GEMM_BF16_H
#define PAH_CPU_GEMM_BF16_H

#include "f32.h"

/* What this object can multiply bf16 with. Constants, so that a pass asks by `if`: what the set does not have falls
 * away when it is compiled, and whatever stands in for it here is never called. */
#if defined(PAH_AMX) /* by Makefile.am, since compilers differ in the name of their own macro */
enum { BF16_HAS_DOTS = 1, BF16_HAS_AMX = 1 };
#elif defined(__AVX512BF16__)
enum { BF16_HAS_DOTS = 1, BF16_HAS_AMX = 0 };
#else
enum { BF16_HAS_DOTS = 0, BF16_HAS_AMX = 0 };
#endif

/* Pair (m, k) of A is a[m * row + k * step]. */
struct cell_bf16x2 {
  const uint32_t *at;
  int64_t row, step;
};

#if defined(__AVX512BF16__)
#include <immintrin.h>

/* c[m][n] = (add ? c[m][n] : 0) + sum over k < depth of A(m, k) . b[k * ldb + n], CELL_ROWS x CELL_COLS of it; depth
 * and ldb count pairs. As in f32.h, leading dimensions that are constants at the call keep A at one pointer. */
static inline __attribute__((always_inline)) void cell_dots(int64_t depth, struct cell_bf16x2 a, const uint32_t *b,
                                                            int64_t ldb, float *c, int64_t ldc, int add) {
  __m512 sum[CELL_ROWS][2];
#pragma GCC unroll 12
  for (int m = 0; m < CELL_ROWS; m++) {
    sum[m][0] = add ? _mm512_loadu_ps(c + m * ldc) : _mm512_setzero_ps();
    sum[m][1] = add ? _mm512_loadu_ps(c + m * ldc + CELL_VECTOR) : _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < depth; k++, b += ldb, a.at += a.step) {
    __m512bh low = (__m512bh)_mm512_loadu_si512(b), high = (__m512bh)_mm512_loadu_si512(b + CELL_VECTOR);
#pragma GCC unroll 12
    for (int m = 0; m < CELL_ROWS; m++) {
      __m512bh x = (__m512bh)_mm512_set1_epi32((int)a.at[m * a.row]);
      sum[m][0] = _mm512_dpbf16_ps(sum[m][0], x, low);
      sum[m][1] = _mm512_dpbf16_ps(sum[m][1], x, high);
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < CELL_ROWS; m++) {
    _mm512_storeu_ps(c + m * ldc, sum[m][0]);
    _mm512_storeu_ps(c + m * ldc + CELL_VECTOR, sum[m][1]);
  }
}
#else
static inline void cell_dots(int64_t depth, struct cell_bf16x2 a, const uint32_t *b, int64_t ldb, float *c, int64_t ldc,
                             int add) {
  (void)depth, (void)a, (void)b, (void)ldb, (void)c, (void)ldc, (void)add;
}
#endif

#endif
