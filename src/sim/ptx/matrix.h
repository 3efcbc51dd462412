/* matrix.h - the arithmetic of the emulated tensor cores: operands as tiles of 32-bit words, products and sums in
 * double, one rounding at the end. The layouts of registers and shared memory are the business of mma.c and wgmma.c.
 * Read next: matrix.c. */
#ifndef PAH_SIM_MATRIX_H
#define PAH_SIM_MATRIX_H

#include <stdint.h>
#include <string.h>

enum { MATRIX_WORDS = 8 /* of 32 bits along k: what one mma takes of a row, whatever the type */ };

/* Widens `rows` rows of 8 words into rows of `matrix_depth(kind)` doubles. b: 0 for A, 1 for B (types may differ).
 * Returns 0, or -1 for a kind that does not exist. */
int matrix_depth(int kind); /* elements in 8 words: 8, 16 or 32 */
void matrix_widen(int kind, int b, int rows, const uint32_t (*words)[MATRIX_WORDS], double *out);

void matrix_make_unsigned(int count, double *x); /* bytes that were widened as signed ones */

/* sums[m][n] += a[m][.] . b[n][.]; a and b have `depth` columns; rows and n are multiples of 8. product.c */
void matrix_multiply(int rows, int n, int depth, const double *a, const double *b, double *sums);
/* The same with sums of f32, each rounded once (matrix_round_f32); rows: up to 64, `stride` words apart. */
void matrix_multiply_f32(int rows, int n, int stride, int depth, const double *a, const double *b, float *sums);

/* The same with sums of each form; matrix.c. */
enum matrix_sum { SUM_F32, SUM_F16, SUM_S32 };
struct matrix_sums {
  int form, saturates; /* enum matrix_sum; of s32, what does not fit becomes the nearest */
  int rows, n, stride; /* as above */
  float *words;        /* of f16 two sums in each */
};
void matrix_multiply_words(const struct matrix_sums *sums, int depth, const double *a, const double *b);

/* Many at once; count is a multiple of 8. */
void matrix_widen_bf16(int count, const uint16_t *in, double *out);
void matrix_widen_f16(int count, const uint16_t *in, double *out);

/* Bits; NaN as tensor cores write it. */
static inline uint32_t matrix_round_f32(double x) {
  const float y = (float)x;
  uint32_t code;
  if (x != x) return 0x7fffffff;
  memcpy(&code, &y, sizeof code);
  return code;
}
uint32_t matrix_round_f16(double x);
double matrix_f16(uint32_t code);
double matrix_fp8(int is_e5m2, uint32_t code); /* else e4m3 */
const char *matrix_name(int kind);             /* "bf16", for findings and to tell collectives apart */

#endif
