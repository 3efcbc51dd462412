/* ptx/convert.h - packed conversions and the fast functions. lo goes into the low half of a pair.
 * All round to nearest even; to fp8 they saturate, and NaN becomes 0x7f. fp8 is done by instructions from sm_89 on and
 * in software before. ex2, lg2 and rcp are exact to about 2^-22, tanh to 2^-11 on a GPU; on sim they are libm's. */
#ifndef PAH_PTX_CONVERT_H
#define PAH_PTX_CONVERT_H

#include "base.h"

namespace ptx {

PAH_PTX float ex2(float x) {
#ifdef PAH_SIM
  return __builtin_exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

PAH_PTX float lg2(float x) {
#ifdef PAH_SIM
  return __builtin_log2f(x);
#else
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

PAH_PTX float rcp(float x) {
#ifdef PAH_SIM
  return 1 / x;
#else
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

PAH_PTX float tanh(float x) {
#ifdef PAH_SIM
  return __builtin_tanhf(x);
#else
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// A float rounded to a small format of `Mantissa` bits and exponent bias `Bias`, without its sign: tiny numbers are
// rounded by adding one whose last bit is the format's smallest step.
template <int Mantissa, int Bias> PAH_PTX u32 rounded_code(float x) {
  const u32 magnitude = __float_as_uint(x) & 0x7fffffffu;
  const u32 smallest_normal = (u32)(128 - Bias) << 23, step = (u32)(127 + 24 - Bias - Mantissa) << 23;
  if (magnitude < smallest_normal) return __float_as_uint(__uint_as_float(magnitude) + __uint_as_float(step)) - step;
  const int shift = 23 - Mantissa;
  const u32 half = (1u << (shift - 1)) - 1 + (magnitude >> shift & 1);
  return ((magnitude + half) >> shift) - ((u32)(127 - Bias) << Mantissa);
}

PAH_PTX u32 e4m3_code(float x) {
  const u32 magnitude = __float_as_uint(x) & 0x7fffffffu, sign = __float_as_uint(x) >> 24 & 0x80;
  if (magnitude > 0x7f800000u) return 0x7f;
  return sign | (magnitude > 0x43e00000u ? 0x7eu : rounded_code<3, 7>(x)); // 448
}

PAH_PTX u32 e5m2_code(float x) {
  const u32 magnitude = __float_as_uint(x) & 0x7fffffffu, sign = __float_as_uint(x) >> 24 & 0x80;
  if (magnitude > 0x7f800000u) return 0x7f;
  return sign | (magnitude > 0x47600000u ? 0x7bu : rounded_code<2, 15>(x)); // 57344
}

// To f16, exactly.
PAH_PTX u32 e4m3_to_f16(u32 code) {
  const u32 sign = (code & 0x80) << 8, exponent = code >> 3 & 15, mantissa = code & 7;
  if ((code & 0x7f) == 0x7f) return 0x7fff;
  if (exponent != 0) return sign | (exponent + 8) << 10 | mantissa << 7;
  if (mantissa == 0) return sign;
  const u32 top = mantissa >= 4 ? 2 : mantissa >= 2 ? 1 : 0;
  return sign | (top + 6) << 10 | ((mantissa << (10 - top)) & 0x3ff);
}

PAH_PTX u32 e5m2_to_f16(u32 code) {
  return (code & 0x7f) > 0x7c ? 0x7fffu : code << 8;
}

#ifdef PAH_SIM
PAH_PTX u32 bf16_code(float x) {
  const u32 code = __float_as_uint(x);
  if ((code & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (code + 0x7fff + (code >> 16 & 1)) >> 16;
}
PAH_PTX u32 f16_code(float x) {
  const u32 magnitude = __float_as_uint(x) & 0x7fffffffu, sign = __float_as_uint(x) >> 16 & 0x8000;
  if (magnitude > 0x7f800000u) return 0x7fff;
  return sign | (magnitude >= 0x477ff000u ? 0x7c00u : rounded_code<10, 15>(x)); // 65520
}
PAH_PTX float f16_value(u32 code) { // 2^112 is the difference of the exponents' biases
  const u32 sign = (code & 0x8000) << 16, magnitude = (code & 0x7fff) << 13;
  if (magnitude >= 0x0f800000u) return __uint_as_float(sign | 0x70000000u | magnitude);
  return __uint_as_float(sign | __float_as_uint(__uint_as_float(magnitude) * 0x1p112f));
}
#endif

PAH_PTX u32 cvt_bf16x2(float lo, float hi) {
#ifdef PAH_SIM
  return bf16_code(lo) | bf16_code(hi) << 16;
#else
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
#endif
}

PAH_PTX u32 cvt_f16x2(float lo, float hi) {
#ifdef PAH_SIM
  return f16_code(lo) | f16_code(hi) << 16;
#else
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
#endif
}

// Two f16 as floats, exactly.
PAH_PTX void cvt_f32x2_f16x2(float &lo, float &hi, u32 pair) {
#ifdef PAH_SIM
  lo = f16_value(pair & 0xffffu);
  hi = f16_value(pair >> 16);
#else
  asm("{\n .reg .b16 a, b;\n mov.b32 {a, b}, %2;\n cvt.f32.f16 %0, a;\n cvt.f32.f16 %1, b;\n}"
      : "=f"(lo), "=f"(hi)
      : "r"(pair));
#endif
}

// A float as tf32 (19 bits at the top of 32), to nearest, ties away from zero.
PAH_PTX u32 cvt_tf32(float x) {
#ifdef PAH_SIM
  const u32 code = __float_as_uint(x);
  if ((code & 0x7fffffffu) > 0x7f800000u) return 0x7fffe000u; // as an H200 does
  return (code + ((code & 0x7f800000u) == 0x7f800000u ? 0 : 0x1000)) & 0xffffe000u;
#else
  u32 r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
#endif
}

// The same by one instruction where there is one; which way a tie goes is left open.
PAH_PTX u32 round_tf32(float x) {
#if defined(PAH_SIM) || PAH_PTX_ARCH < 900
  return cvt_tf32(x);
#else
  u32 r;
  asm("cvt.rn.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
#endif
}

#if !defined(PAH_SIM) && PAH_PTX_ARCH >= 890
#define PAH_CVT_FP8(type)                                                                                              \
  PAH_PTX unsigned short cvt_##type##x2(float lo, float hi) {                                                          \
    unsigned short r;                                                                                                  \
    asm("cvt.rn.satfinite." #type "x2.f32 %0, %1, %2;" : "=h"(r) : "f"(hi), "f"(lo));                                  \
    return r;                                                                                                          \
  }                                                                                                                    \
  PAH_PTX u32 cvt_f16x2_##type(unsigned short pair) {                                                                  \
    u32 r;                                                                                                             \
    asm("cvt.rn.f16x2." #type "x2 %0, %1;" : "=r"(r) : "h"(pair));                                                     \
    return r;                                                                                                          \
  }
#else
#define PAH_CVT_FP8(type)                                                                                              \
  PAH_PTX unsigned short cvt_##type##x2(float lo, float hi) {                                                          \
    return (unsigned short)(type##_code(lo) | type##_code(hi) << 8);                                                   \
  }                                                                                                                    \
  PAH_PTX u32 cvt_f16x2_##type(unsigned short pair) {                                                                  \
    return type##_to_f16(pair & 0xffu) | type##_to_f16(pair >> 8) << 16;                                               \
  }
#endif
PAH_CVT_FP8(e4m3)
PAH_CVT_FP8(e5m2)
#undef PAH_CVT_FP8

} // namespace ptx
#endif
