/* cpu/gemm/f32.h - the register tile of every product of f32 tiles: CELL_ROWS x CELL_COLS elements of it.
 * A is broadcast element by element with any two strides, so that it may be P or its transpose without a copy; B is
 * read in rows of CELL_COLS, which stay in L1 while the caller walks over the row groups of A.
 * Read next: bf16.h (the same of bf16), pack.h (who makes B). */
#ifndef PAH_CPU_GEMM_F32_H
#define PAH_CPU_GEMM_F32_H

#include <stdint.h>

#include "cpu/vec/cell.h"

/* Two vectors wide, and as many rows as the registers hold: 6 x 2 of 16 registers, 12 x 2 of 32. Wider or squarer
 * tiles spill, narrower ones wait for the loads of A. */
enum { CELL_ROWS = CELL_VECTOR == 16 ? 12 : 6, CELL_COLS = 2 * CELL_VECTOR };

/* Element (m, k) of A is a[m * row + k * step]. With a `row`, ldb and ldc that are constants at the call, every row of
 * A is one pointer and an offset in the instruction; with variables 12 rows take more registers than are left. So rows
 * of A and C lie a constant apart, whatever D is (cpu/forward/run.h: FWD_LD). Tiles in L2 and panels of B in L1 then
 * reach 0.96 to 0.99 of the peak of multiply-adds. */
struct cell_a {
  const float *at;
  int64_t row, step;
};

/* c[m][n] = (add ? c[m][n] : 0) + sum over k < depth of A(m, k) b[k * ldb + n], all CELL_ROWS x CELL_COLS of it. */
static inline __attribute__((always_inline)) void cell_full(int64_t depth, struct cell_a a, const float *b, int64_t ldb,
                                                            float *c, int64_t ldc, int add) {
  cell_vector sum[CELL_ROWS][2];
#pragma GCC unroll 12
  for (int m = 0; m < CELL_ROWS; m++) {
    sum[m][0] = add ? cell_load(c + m * ldc) : (cell_vector){0};
    sum[m][1] = add ? cell_load(c + m * ldc + CELL_VECTOR) : (cell_vector){0};
  }
  for (int64_t k = 0; k < depth; k++, b += ldb, a.at += a.step) {
    cell_vector low = cell_load(b), high = cell_load(b + CELL_VECTOR);
#pragma GCC unroll 12
    for (int m = 0; m < CELL_ROWS; m++) {
      float x = a.at[m * a.row];
      sum[m][0] += x * low;
      sum[m][1] += x * high;
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < CELL_ROWS; m++) {
    cell_store(c + m * ldc, sum[m][0]);
    cell_store(c + m * ldc + CELL_VECTOR, sum[m][1]);
  }
}

#endif
