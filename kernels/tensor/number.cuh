/* number.cuh - elements of all nine types as numbers, with the bits of src/tensor/dtype.c: one rounding, to nearest
 * even; fp8 saturates; to an integer by truncation, saturated, NaN 0; every NaN is written as the plain one.
 * Types that float holds exactly go through float, the others through double. Read next: convert.cu, random.cu. */
#pragma once
#include "../ptx.cuh"
#include "../types.cuh"
#include "params.h"

/* ---- Widening: exact, but i64 to double rounds to nearest ---- */

__device__ inline void widen(float &x, f32 v) {
  x = v.value;
}
__device__ inline void widen(float &x, bf16 v) {
  x = to_float(v);
}
__device__ inline void widen(float &x, unsigned char v) {
  x = (float)v;
}

/* Exponent and mantissa in their places of an f32 make a number that is too small by 2^shift, subnormals included. */
__device__ inline void widen(float &x, f16 v) {
  float magnitude = bits_to_float((v.bits & 0x7fffu) << 13) * 0x1p112f;
  if ((v.bits & 0x7c00u) == 0x7c00u) magnitude = bits_to_float(0x7f800000u | (v.bits & 0x3ffu) << 13);
  x = bits_to_float(float_to_bits(magnitude) | (v.bits & 0x8000u) << 16);
}
__device__ inline void widen(float &x, fp8_e4m3 v) {
  float magnitude = bits_to_float((v.bits & 0x7fu) << 20) * 0x1p120f;
  if ((v.bits & 0x7fu) == 0x7fu) magnitude = bits_to_float(0x7fc00000u);
  x = bits_to_float(float_to_bits(magnitude) | (v.bits & 0x80u) << 24);
}
__device__ inline void widen(float &x, fp8_e5m2 v) {
  widen(x, f16{(unsigned short)(v.bits << 8)});
}

__device__ inline void widen(double &x, double v) {
  x = v;
}
__device__ inline void widen(double &x, int v) {
  x = (double)v;
}
__device__ inline void widen(double &x, long long v) {
  x = (double)v;
}
template <class SMALL> __device__ inline void widen(double &x, SMALL v) {
  float exact;
  widen(exact, v);
  x = (double)exact;
}

/* ---- From float: the GPU's own instructions, whose NaNs have other bits ---- */

__device__ inline void narrow(f32 &to, float x) {
  to.value = x != x ? bits_to_float(0x7fc00000u) : x;
}
__device__ inline void narrow(f16 &to, float x) {
  to.bits = (unsigned short)(x != x ? 0x7e00u : ptx::cvt_f16x2(x, 0));
}
__device__ inline void narrow(bf16 &to, float x) {
  to.bits = (unsigned short)(x != x ? 0x7fc0u : ptx::cvt_bf16x2(x, 0));
}
__device__ inline void narrow(fp8_e4m3 &to, float x) {
  to.bits = (unsigned char)(x != x ? 0x7fu : ptx::cvt_e4m3x2(x, 0));
}
__device__ inline void narrow(fp8_e5m2 &to, float x) {
  to.bits = (unsigned char)(x != x ? 0x7eu : ptx::cvt_e5m2x2(x, 0));
}

/* ---- From double ---- */

/* |x| in units of the last place is a whole number after one addition that leaves no room for a fraction. A mantissa
 * that rounds up into the next power of two carries into the exponent by plain addition, as codes are ordered. */
template <int EXPONENT, int MANTISSA>
__device__ inline unsigned encode(double x, unsigned largest, unsigned overflow, unsigned nan) {
  const int bias = (1 << (EXPONENT - 1)) - 1;
  if (x != x) return nan;
  unsigned sign = (unsigned)((unsigned long long)__double_as_longlong(x) >> 63) << (EXPONENT + MANTISSA);
  double a = fabs(x);
  int exponent = (int)((unsigned long long)__double_as_longlong(a) >> 52) - 1023;
  if (exponent < 1 - bias) exponent = 1 - bias;
  if (exponent > bias + 1) return sign | overflow;
  double scale = __longlong_as_double((long long)(1023 + MANTISSA - exponent) << 52);
  double units = (a * scale + 0x1p52) - 0x1p52;
  unsigned code = (unsigned)(exponent + bias - 1) * (1u << MANTISSA) + (unsigned)units;
  return sign | (code > largest ? overflow : code);
}

__device__ inline void narrow(double &to, double x) {
  to = x != x ? __longlong_as_double(0x7ff8000000000000ll) : x;
}
__device__ inline void narrow(f32 &to, double x) {
  narrow(to, (float)x);
}
__device__ inline void narrow(f16 &to, double x) {
  to.bits = (unsigned short)encode<5, 10>(x, 0x7bff, 0x7c00, 0x7e00);
}
__device__ inline void narrow(bf16 &to, double x) {
  to.bits = (unsigned short)encode<8, 7>(x, 0x7f7f, 0x7f80, 0x7fc0);
}
__device__ inline void narrow(fp8_e4m3 &to, double x) {
  to.bits = (unsigned char)encode<4, 3>(x, 0x7e, 0x7e, 0x7f);
}
__device__ inline void narrow(fp8_e5m2 &to, double x) {
  to.bits = (unsigned char)encode<5, 2>(x, 0x7b, 0x7b, 0x7e);
}

/* `high` is the first number that does not fit; both bounds are exact in double. */
__device__ inline long long whole(double x, double low, double high, long long most) {
  if (x != x) return 0;
  return x >= high ? most : x <= low ? (long long)low : (long long)x;
}
__device__ inline void narrow(int &to, double x) {
  to = (int)whole(x, -0x1p31, 0x1p31, 0x7fffffff);
}
__device__ inline void narrow(long long &to, double x) {
  to = whole(x, -0x1p63, 0x1p63, 0x7fffffffffffffffll);
}
__device__ inline void narrow(unsigned char &to, double x) {
  to = (unsigned char)whole(x, 0, 256, 255);
}

/* ---- One element of a type that is known when the kernel runs ---- */

template <class T> __device__ inline void store_as(void *data, long long at, double x) {
  narrow(((T *)data)[at], x);
}

__device__ inline void store(int type, void *data, long long at, double x) {
  switch (type) {
  case TYPE_F32: return store_as<f32>(data, at, x);
  case TYPE_F64: return store_as<double>(data, at, x);
  case TYPE_F16: return store_as<f16>(data, at, x);
  case TYPE_BF16: return store_as<bf16>(data, at, x);
  case TYPE_E4M3: return store_as<fp8_e4m3>(data, at, x);
  case TYPE_E5M2: return store_as<fp8_e5m2>(data, at, x);
  case TYPE_I32: return store_as<int>(data, at, x);
  case TYPE_I64: return store_as<long long>(data, at, x);
  default: return store_as<unsigned char>(data, at, x);
  }
}
