/* types.cuh - the element types of the kernels: how one is loaded as a float and stored from one. No toolkit header is
 * needed, so the same lines go through NVRTC, nvcc and the simulator's C++ compiler.
 * Widening is exact; encoding rounds to nearest even, saturates in fp8 and keeps NaN. Read next: mask.cuh. */
#pragma once

struct f32 {
  float value;
};
struct f16 {
  unsigned short bits;
};
struct bf16 {
  unsigned short bits;
};
struct fp8_e4m3 {
  unsigned char bits;
};
struct fp8_e5m2 {
  unsigned char bits;
};

template <bool first, class A, class B> struct either { typedef A type; };
template <class A, class B> struct either<false, A, B> { typedef B type; };

__device__ inline float bits_to_float(unsigned bits) {
  return __int_as_float((int)bits);
}

__device__ inline unsigned float_to_bits(float x) {
  return (unsigned)__float_as_int(x);
}

/* The score of a key that is not visible, and the lse of a query that sees none. */
__device__ inline float negative_infinity() {
  return bits_to_float(0xff800000u);
}

/* A finite number of so many bits of exponent and mantissa; the bias is 2^(exponent-1) - 1. */
template <int exponent, int mantissa> __device__ inline float widen_small(unsigned bits) {
  const int bias = (1 << (exponent - 1)) - 1;
  unsigned sign = bits >> (exponent + mantissa) << 31;
  unsigned e = bits >> mantissa & ((1u << exponent) - 1), m = bits & ((1u << mantissa) - 1);
  if (e == 0) { /* subnormal: m * 2^(1 - bias - mantissa), exact in f32 */
    float magnitude = (float)m * bits_to_float((unsigned)(127 + 1 - bias - mantissa) << 23);
    return bits_to_float(sign | float_to_bits(magnitude));
  }
  return bits_to_float(sign | (e + 127 - bias) << 23 | m << (23 - mantissa));
}

/* The code of |x|, rounded to nearest even; x is finite; overflow runs on into codes above the largest. */
template <int exponent, int mantissa> __device__ inline unsigned encode_small(float x) {
  const int bias = (1 << (exponent - 1)) - 1;
  unsigned bits = float_to_bits(x) & 0x7fffffffu;
  if ((int)(bits >> 23) < 127 + 1 - bias) { /* subnormal: the addition to a number of the right size rounds */
    float anchor = bits_to_float((unsigned)(127 + 1 - bias - mantissa + 23) << 23);
    return float_to_bits(bits_to_float(bits) + anchor) - float_to_bits(anchor);
  }
  unsigned rounded = bits + (1u << (22 - mantissa)) - 1 + (bits >> (23 - mantissa) & 1);
  return (rounded >> (23 - mantissa)) - ((unsigned)(127 - bias) << mantissa);
}

__device__ inline float to_float(f32 x) {
  return x.value;
}

__device__ inline float to_float(f16 x) {
  if ((x.bits & 0x7c00u) == 0x7c00u)
    return bits_to_float((x.bits & 0x8000u) << 16 | 0x7f800000u | (x.bits & 0x3ffu) << 13);
  return widen_small<5, 10>(x.bits);
}

__device__ inline float to_float(bf16 x) {
  return bits_to_float((unsigned)x.bits << 16);
}

__device__ inline float to_float(fp8_e4m3 x) { /* the fn variant: no infinity, NaN is all ones */
  return (x.bits & 0x7f) == 0x7f ? bits_to_float(0x7fc00000u) : widen_small<4, 3>(x.bits);
}

__device__ inline float to_float(fp8_e5m2 x) {
  if ((x.bits & 0x7cu) == 0x7cu) return bits_to_float((x.bits & 0x80u) << 24 | 0x7f800000u | (x.bits & 3u) << 21);
  return widen_small<5, 2>(x.bits);
}

__device__ inline bool is_nan(float x) {
  return (float_to_bits(x) & 0x7fffffffu) > 0x7f800000u;
}

__device__ inline bool is_infinite(float x) {
  return (float_to_bits(x) & 0x7fffffffu) == 0x7f800000u;
}

__device__ inline void from_float(f32 &to, float x) {
  to.value = x;
}

__device__ inline void from_float(f16 &to, float x) {
  unsigned code = is_nan(x) ? 0x7e00u : is_infinite(x) ? 0x7c00u : encode_small<5, 10>(x);
  if (code > 0x7c00u && !is_nan(x)) code = 0x7c00u;
  to.bits = (unsigned short)((float_to_bits(x) >> 16 & 0x8000u) | code);
}

__device__ inline void from_float(bf16 &to, float x) {
  unsigned bits = float_to_bits(x);
  to.bits = (unsigned short)(is_nan(x) ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* Saturation: infinity becomes the largest number too. */
template <int exponent, int mantissa> __device__ inline unsigned char encode_fp8(float x, unsigned largest) {
  unsigned code = is_nan(x) ? 0x7fu : is_infinite(x) ? largest : encode_small<exponent, mantissa>(x);
  if (code > largest && !is_nan(x)) code = largest;
  return (unsigned char)((float_to_bits(x) >> 24 & 0x80u) | code);
}

__device__ inline void from_float(fp8_e4m3 &to, float x) {
  to.bits = encode_fp8<4, 3>(x, 0x7e); /* 448 */
}

__device__ inline void from_float(fp8_e5m2 &to, float x) {
  to.bits = encode_fp8<5, 2>(x, 0x7b); /* 57344 */
}
