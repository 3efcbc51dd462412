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

/* sums[m][n] += a[m][.] . b[n][.]; a and b have `depth` columns; rows and n are multiples of 8. product.c */
void matrix_multiply(int rows, int n, int depth, const double *a, const double *b, double *sums);

/* Many at once; count is a multiple of 8. */
void matrix_widen_bf16(int count, const uint16_t *in, double *out);
void matrix_widen_f16(int count, const uint16_t *in, double *out);
void matrix_widen_sums(int count, const float *in, double *out);
void matrix_round_sums(int count, const double *in, uint32_t *out); /* matrix_round_f32 */

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
