/* f16_model.c - decode of fp8 caches by f16 as src/cpu/decode has it, on processors without AVX512-FP16: the same
 * headers and the same order of operations, with the four instructions of that extension that they use written out by
 * element. decode_half_spec.lua compiles it, and compares it bit for bit with the processor where that has them.
 * Needs what the set avx512bf16 has, and GFNI. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>

/* x * y + z, rounded once. In double the product is exact. The sum is not always, but where it is not, one of the two
 * is so small beside the other that it can only decide between two numbers of f16 if the other lies right between them:
 * z never does, and a product of two f16 has too few bits to be far enough from z. */
static __m512h model_fmadd(__m512h x, __m512h y, __m512h z) {
  __m512h sum;
  for (int i = 0; i < 32; i++) sum[i] = (_Float16)((double)x[i] * (double)y[i] + (double)z[i]);
  return sum;
}

static __m512h model_loadu(const void *from) {
  return (__m512h)_mm512_loadu_si512(from);
}

/* Of the classes only both kinds of NaN (0x81), as f16.h asks. */
static __mmask32 model_is_nan(__m512h x, int classes) {
  __mmask32 mask = 0;
  for (int i = 0; i < 32; i++) mask |= (__mmask32)(classes == 0x81 && x[i] != x[i]) << i;
  return mask;
}

#define _mm512_fmadd_ph model_fmadd
#define _mm512_loadu_ph model_loadu
#define _mm512_setzero_ph() ((__m512h)_mm512_setzero_si512())
#define _mm512_fpclass_ph_mask model_is_nan
#define __AVX512FP16__ 1

#include "cpu/decode/run.h"

int f16_model_decode(const struct pah_attn *a) {
  return decode_run(a, 1, 0);
}
