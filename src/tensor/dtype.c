/* dtype.c - names, sizes and exact conversions of the element types.
 * Promises: widening never rounds; encoding rounds once, to nearest even; NaN stays NaN; fp8 saturates.
 * Every code and every midpoint is checked by spec/tensor/dtype_spec.lua against a decoder written from the
 * definitions. */
#include "dtype.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *name;
  int64_t size;
} dtypes[PAH_DTYPE_COUNT] = {
    [PAH_F32] = {"f32", 4},   [PAH_F64] = {"f64", 8},           [PAH_F16] = {"f16", 2},
    [PAH_BF16] = {"bf16", 2}, [PAH_FP8_E4M3] = {"fp8_e4m3", 1}, [PAH_FP8_E5M2] = {"fp8_e5m2", 1},
    [PAH_I32] = {"i32", 4},   [PAH_I64] = {"i64", 8},           [PAH_U8] = {"u8", 1},
};

const char *pah_dtype_name(int dtype) {
  return pah_dtype_is_valid(dtype) ? dtypes[dtype].name : NULL;
}

int64_t pah_dtype_size(int dtype) {
  return pah_dtype_is_valid(dtype) ? dtypes[dtype].size : 0;
}

int pah_dtype_from_name(const char *name) {
  for (int d = PAH_NONE + 1; name && d < PAH_DTYPE_COUNT; d++)
    if (!strcmp(dtypes[d].name, name)) return d;
  return PAH_NONE;
}

const struct pah_format pah_format_f16 = {5, 10, 0, 0x7bff, 0x7e00};
const struct pah_format pah_format_bf16 = {8, 7, 0, 0x7f7f, 0x7fc0};
const struct pah_format pah_format_e4m3 = {4, 3, 1, 0x7e, 0x7f};
const struct pah_format pah_format_e5m2 = {5, 2, 1, 0x7b, 0x7e};

uint32_t pah_encode(const struct pah_format *f, double x) {
  uint32_t sign = signbit(x) ? 1u << (f->exponent_bits + f->mantissa_bits) : 0;
  if (isnan(x)) return sign | f->nan;
  uint32_t overflow = f->saturates ? f->largest : f->largest + 1; /* the code after the largest is infinity */
  double a = fabs(x);
  if (isinf(a)) return sign | overflow;
  int bias = (1 << (f->exponent_bits - 1)) - 1;
  uint64_t bits;
  memcpy(&bits, &a, sizeof bits);
  int exponent = (int)(bits >> 52) - 1023; /* a = m * 2^exponent with 1 <= m < 2; float64's subnormals are below all */
  if (exponent < 1 - bias) exponent = 1 - bias;
  if (exponent > bias + 1) return sign | overflow;
  /* In units of the last place; scaling by a power of two is exact, and the one rounding is to nearest even: adding
   * 2^52 leaves no room for a fraction. A mantissa that rounds up into the next power of two carries into the exponent
   * by plain addition, as codes are ordered. */
  uint64_t scale_bits = (uint64_t)(1023 + f->mantissa_bits - exponent) << 52;
  double scale;
  memcpy(&scale, &scale_bits, sizeof scale);
  double units = (a * scale + 0x1p52) - 0x1p52;
  uint32_t code = (uint32_t)(exponent + bias - 1) * (1u << f->mantissa_bits) + (uint32_t)units;
  return sign | (code > f->largest ? overflow : code);
}

/* Exponent and mantissa moved to their places in f32 make a number that is too small by a power of two, subnormals
 * included, so one multiplication is exact. */
static float widen(const struct pah_format *f, uint32_t code) {
  uint32_t magnitude = code & ((1u << (f->exponent_bits + f->mantissa_bits)) - 1);
  int bias = (1 << (f->exponent_bits - 1)) - 1;
  uint32_t bits = magnitude << (23 - f->mantissa_bits), scale_bits = (uint32_t)(127 + 127 - bias) << 23;
  float x, scale;
  memcpy(&x, &bits, sizeof x);
  memcpy(&scale, &scale_bits, sizeof scale);
  if (magnitude <= f->largest)
    x *= scale;
  else
    x = magnitude == f->largest + 1 && f != &pah_format_e4m3 ? INFINITY : NAN;
  return code >> (f->exponent_bits + f->mantissa_bits) & 1 ? -x : x;
}

float pah_f16_to_f32(uint16_t bits) {
  return widen(&pah_format_f16, bits);
}

/* Payloads of NaNs are dropped: LuaJIT would take a double whose NaN has one for a tagged value. */
float pah_bf16_to_f32(uint16_t bits) {
  uint32_t wide = (uint32_t)((bits & 0x7fff) > 0x7f80 ? (bits & 0x8000) | 0x7fc0 : bits) << 16;
  float x;
  memcpy(&x, &wide, sizeof x);
  return x;
}

float pah_e4m3_to_f32(uint8_t bits) {
  return widen(&pah_format_e4m3, bits);
}

float pah_e5m2_to_f32(uint8_t bits) {
  return widen(&pah_format_e5m2, bits);
}

uint16_t pah_f64_to_f16(double x) {
  return (uint16_t)pah_encode(&pah_format_f16, x);
}

uint16_t pah_f64_to_bf16(double x) {
  return (uint16_t)pah_encode(&pah_format_bf16, x);
}

uint8_t pah_f64_to_e4m3(double x) {
  return (uint8_t)pah_encode(&pah_format_e4m3, x);
}

uint8_t pah_f64_to_e5m2(double x) {
  return (uint8_t)pah_encode(&pah_format_e5m2, x);
}

/* Through float64, which holds every f32: still one rounding. */
uint16_t pah_f32_to_f16(float x) {
  return pah_f64_to_f16(x);
}

uint16_t pah_f32_to_bf16(float x) {
  return pah_f64_to_bf16(x);
}

uint8_t pah_f32_to_e4m3(float x) {
  return pah_f64_to_e4m3(x);
}

uint8_t pah_f32_to_e5m2(float x) {
  return pah_f64_to_e5m2(x);
}
