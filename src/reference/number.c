/* number.c - the oracle's numbers: every floating-point format from its definition (sign, exponent,
 * mantissa), widened with ldexp and rounded with nearbyint. Slow and plain on purpose; shares nothing with
 * tensor/dtype.c. */
#include <math.h>
#include <string.h>

#include "reference.h"

/* value = (-1)^sign 2^(exponent - bias) 1.mantissa, or 2^(1 - bias) 0.mantissa where exponent is 0. */
struct format {
  int exponent_bits, mantissa_bits, bias;
  bool infinity; /* the largest exponent holds infinity and NaN; else only the code of all ones is NaN */
  bool saturates;
};

static const struct format formats[PAH_DTYPE_COUNT + 1] = {
    [PAH_F16] = {5, 10, 15, true, false},    [PAH_BF16] = {8, 7, 127, true, false},
    [PAH_FP8_E4M3] = {4, 3, 7, false, true}, [PAH_FP8_E5M2] = {5, 2, 15, true, true},
    [PAH_TF32] = {8, 10, 127, true, false},
};

static double widen(const struct format *f, unsigned code) {
  unsigned mantissa = code & ((1u << f->mantissa_bits) - 1);
  unsigned top = (1u << f->exponent_bits) - 1;
  unsigned exponent = code >> f->mantissa_bits & top;
  double sign = code >> (f->mantissa_bits + f->exponent_bits) & 1 ? -1.0 : 1.0;
  if (f->infinity && exponent == top) return mantissa ? NAN : sign * INFINITY;
  if (!f->infinity && exponent == top && mantissa == (1u << f->mantissa_bits) - 1) return NAN;
  if (exponent == 0) return sign * ldexp(mantissa, 1 - f->bias - f->mantissa_bits);
  return sign * ldexp(mantissa + (1u << f->mantissa_bits), (int)exponent - f->bias - f->mantissa_bits);
}

double ref_load(int dtype, const void *data, int64_t index) {
  const unsigned char *bytes = data;
  float single;
  double real;
  uint16_t half;
  switch (dtype) {
  case PAH_F32: memcpy(&single, bytes + index * 4, 4); return single;
  case PAH_F64: memcpy(&real, bytes + index * 8, 8); return real;
  case PAH_F16:
  case PAH_BF16: memcpy(&half, bytes + index * 2, 2); return widen(&formats[dtype], half);
  default: return widen(&formats[dtype], bytes[index]);
  }
}

double ref_max(int dtype) {
  if (dtype == PAH_F32) return 0x1.fffffep127;
  const struct format *f = &formats[dtype];
  unsigned top = (1u << f->exponent_bits) - 1, ones = (1u << f->mantissa_bits) - 1;
  return f->infinity ? widen(f, (top - 1) << f->mantissa_bits | ones) : widen(f, top << f->mantissa_bits | (ones - 1));
}

double ref_round(double x, int dtype) {
  if (dtype == PAH_NONE || dtype == PAH_F64 || isnan(x)) return x;
  if (dtype == PAH_F32) return (float)x;
  const struct format *f = &formats[dtype];
  double largest = ref_max(dtype);
  if (isfinite(x) && x != 0) {
    int exponent;
    frexp(x, &exponent); /* |x| in [2^(exponent-1), 2^exponent) */
    int lowest = 1 - f->bias;
    int unit = (exponent - 1 < lowest ? lowest : exponent - 1) - f->mantissa_bits;
    x = ldexp(nearbyint(ldexp(x, -unit)), unit);
  }
  if (fabs(x) <= largest) return x;
  return copysign(f->saturates ? largest : INFINITY, x);
}

static unsigned encode(const struct format *f, double rounded) {
  unsigned top = (1u << f->exponent_bits) - 1;
  unsigned sign = signbit(rounded) ? 1u << (f->exponent_bits + f->mantissa_bits) : 0;
  if (isnan(rounded)) return sign | top << f->mantissa_bits | ((1u << f->mantissa_bits) - 1);
  if (isinf(rounded)) return sign | top << f->mantissa_bits;
  int exponent = 0;
  double magnitude = fabs(rounded);
  if (magnitude != 0) frexp(magnitude, &exponent);
  int biased = exponent - 1 + f->bias;
  if (magnitude == 0 || biased < 1) return sign | (unsigned)ldexp(magnitude, f->bias - 1 + f->mantissa_bits);
  unsigned mantissa = (unsigned)ldexp(magnitude, f->mantissa_bits - (exponent - 1)) - (1u << f->mantissa_bits);
  return sign | (unsigned)biased << f->mantissa_bits | mantissa;
}

void ref_store(int dtype, void *data, int64_t index, double x) {
  unsigned char *bytes = data;
  float single = (float)x;
  uint16_t half;
  switch (dtype) {
  case PAH_F32: memcpy(bytes + index * 4, &single, 4); return;
  case PAH_F64: memcpy(bytes + index * 8, &x, 8); return;
  case PAH_F16:
  case PAH_BF16:
    half = (uint16_t)encode(&formats[dtype], ref_round(x, dtype));
    memcpy(bytes + index * 2, &half, 2);
    return;
  default: bytes[index] = (unsigned char)encode(&formats[dtype], ref_round(x, dtype));
  }
}
