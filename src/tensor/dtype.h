/* dtype.h - what the element types are made of, for the files of src/ that convert them (dtype.c, tensor.c, random.c).
 * Kernels have converters of their own (cpu/vec, kernels/types.cuh), and the oracle too: nothing is judged by itself.
 */
#ifndef PAH_DTYPE_H
#define PAH_DTYPE_H

#include "pah.h"

/* A binary floating-point format of at most 16 bits: sign, exponent, mantissa from the top. */
struct pah_format {
  int exponent_bits;
  int mantissa_bits;
  int saturates;    /* overflow and infinity encode as the largest finite number */
  uint32_t largest; /* code of the largest finite number */
  uint32_t nan;     /* code of the NaN that is written (without sign) */
};

extern const struct pah_format pah_format_f16, pah_format_bf16, pah_format_e4m3, pah_format_e5m2;

/* Encodes x with one rounding, to nearest even. */
uint32_t pah_encode(const struct pah_format *f, double x);

static inline int pah_dtype_is_float(int dtype) {
  return dtype >= PAH_F32 && dtype <= PAH_FP8_E5M2;
}

static inline int pah_dtype_is_valid(int dtype) {
  return dtype > PAH_NONE && dtype < PAH_DTYPE_COUNT;
}

#endif
