/* math.h - CUDA's math and integer intrinsics. Fast variants (__expf, ...) give the exact function here: what
 * the hardware loses is not modelled. Directed roundings are exact. Names that the C library also declares are macros.
 * Read next: cuda_fp16.h. */
#ifndef PAH_SIM_MATH_H
#define PAH_SIM_MATH_H

#include "numbers/min_max.h"
#include "numbers/simd.h"
#include "numbers/small.h"

/* Tables of functions, a line each. */
/* clang-format off */

/* ---- Bits ---- */

template <class T, class U> PAH_SIM_UNSEEN inline T pah_sim_cast(U value) {
  static_assert(sizeof(T) == sizeof(U), "same size");
  T result;
  __builtin_memcpy(&result, &value, sizeof result);
  return result;
}
PAH_SIM_INLINE float __int_as_float(int v) { return pah_sim_cast<float>(v); }
PAH_SIM_INLINE int __float_as_int(float v) { return pah_sim_cast<int>(v); }
PAH_SIM_INLINE float __uint_as_float(unsigned v) { return pah_sim_cast<float>(v); }
PAH_SIM_INLINE unsigned __float_as_uint(float v) { return pah_sim_cast<unsigned>(v); }
PAH_SIM_INLINE double __longlong_as_double(long long v) { return pah_sim_cast<double>(v); }
PAH_SIM_INLINE long long __double_as_longlong(double v) { return pah_sim_cast<long long>(v); }
PAH_SIM_INLINE int __double2loint(double v) { return (int)(unsigned)__double_as_longlong(v); }
PAH_SIM_INLINE int __double2hiint(double v) { return (int)(__double_as_longlong(v) >> 32); }
PAH_SIM_INLINE double __hiloint2double(int hi, int lo) {
  return __longlong_as_double((long long)((unsigned long long)(unsigned)hi << 32 | (unsigned)lo));
}

PAH_SIM_INLINE int __popc(unsigned v) { return __builtin_popcount(v); }
PAH_SIM_INLINE int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
PAH_SIM_INLINE int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
PAH_SIM_INLINE int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
PAH_SIM_INLINE int __ffs(int v) { return __builtin_ffs(v); }
PAH_SIM_INLINE int __ffsll(long long v) { return __builtin_ffsll(v); }
PAH_SIM_INLINE unsigned long long __brevll(unsigned long long v) {
  unsigned long long r = 0;
  for (int i = 0; i < 64; i++) r |= (v >> i & 1) << (63 - i);
  return r;
}
PAH_SIM_INLINE unsigned __brev(unsigned v) { return (unsigned)(__brevll(v) >> 32); }
PAH_SIM_INLINE unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  unsigned long long all = (unsigned long long)b << 32 | a;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) {
    unsigned s = selector >> 4 * i & 15, byte = (unsigned)(all >> 8 * (s & 7)) & 255;
    if (s & 8) byte = byte & 128 ? 255 : 0;
    r |= byte << 8 * i;
  }
  return r;
}
PAH_SIM_INLINE unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned n) {
  return (unsigned)(((unsigned long long)hi << 32 | lo) << (n & 31) >> 32);
}
PAH_SIM_INLINE unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned n) {
  return (unsigned)(((unsigned long long)hi << 32 | lo) >> (n & 31));
}
PAH_SIM_INLINE unsigned __funnelshift_lc(unsigned lo, unsigned hi, unsigned n) {
  return n >= 32 ? lo : __funnelshift_l(lo, hi, n);
}
PAH_SIM_INLINE unsigned __funnelshift_rc(unsigned lo, unsigned hi, unsigned n) {
  return n >= 32 ? hi : __funnelshift_r(lo, hi, n);
}

/* ---- Integers ---- */

PAH_SIM_INLINE int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
PAH_SIM_INLINE unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
PAH_SIM_INLINE long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
PAH_SIM_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
PAH_SIM_INLINE int __mul24(int a, int b) { return (int)((unsigned)(a << 8 >> 8) * (unsigned)(b << 8 >> 8)); }
PAH_SIM_INLINE unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
PAH_SIM_INLINE unsigned __sad(int a, int b, unsigned c) {
  return c + (a > b ? (unsigned)a - (unsigned)b : (unsigned)b - (unsigned)a);
}
PAH_SIM_INLINE unsigned __usad(unsigned a, unsigned b, unsigned c) { return c + (a > b ? a - b : b - a); }
PAH_SIM_INLINE int __hadd(int a, int b) { return (int)(((long long)a + b) >> 1); }
PAH_SIM_INLINE int __rhadd(int a, int b) { return (int)(((long long)a + b + 1) >> 1); }
PAH_SIM_INLINE unsigned __uhadd(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a + b) >> 1); }
PAH_SIM_INLINE unsigned __urhadd(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a + b + 1) >> 1); }
PAH_SIM_INLINE int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; i++) c += (signed char)(a >> 8 * i) * (signed char)(b >> 8 * i);
  return c;
}
PAH_SIM_INLINE unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int i = 0; i < 4; i++) c += (a >> 8 * i & 255) * (b >> 8 * i & 255);
  return c;
}
PAH_SIM_INLINE int __dp4a(char4 a, char4 b, int c) {
  return c + (signed char)a.x * (signed char)b.x + (signed char)a.y * (signed char)b.y +
         (signed char)a.z * (signed char)b.z + (signed char)a.w * (signed char)b.w;
}
PAH_SIM_INLINE unsigned __dp4a(uchar4 a, uchar4 b, unsigned c) {
  return c + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
/* min and max of mixed arithmetic types, as CUDA overloads them; those of floats drop NaN. */
template <class T> PAH_SIM_INLINE T pah_sim_min(T a, T b) {
  return b < a || a != a ? b : a;
}
template <class T> PAH_SIM_INLINE T pah_sim_max(T a, T b) {
  return a < b || a != a ? b : a;
}
template <class A, class B, class C = std::common_type_t<A, B>,
          class = std::enable_if_t<std::is_arithmetic<A>::value && std::is_arithmetic<B>::value>>
PAH_SIM_INLINE C min(A a, B b) {
  return pah_sim_min<C>((C)a, (C)b);
}
template <class A, class B, class C = std::common_type_t<A, B>,
          class = std::enable_if_t<std::is_arithmetic<A>::value && std::is_arithmetic<B>::value>>
PAH_SIM_INLINE C max(A a, B b) {
  return pah_sim_max<C>((C)a, (C)b);
}
/* Of equal types they are plain functions, which win over std::min where a source says `using namespace std`. */
#define PAH_SIM_MIN_MAX(T)                                                                                             \
  PAH_SIM_INLINE T min(T a, T b) { return pah_sim_min<T>(a, b); }                                                      \
  PAH_SIM_INLINE T max(T a, T b) { return pah_sim_max<T>(a, b); }
PAH_SIM_MIN_MAX(int)
PAH_SIM_MIN_MAX(unsigned)
PAH_SIM_MIN_MAX(long)
PAH_SIM_MIN_MAX(unsigned long)
PAH_SIM_MIN_MAX(long long)
PAH_SIM_MIN_MAX(unsigned long long)
PAH_SIM_MIN_MAX(float)
PAH_SIM_MIN_MAX(double)
PAH_SIM_INLINE unsigned umin(unsigned a, unsigned b) { return a < b ? a : b; }
PAH_SIM_INLINE unsigned umax(unsigned a, unsigned b) { return a > b ? a : b; }

/* ---- Floating point: one rounding, in the direction of the name ---- */

/* x is within an ulp of the result, error the exact result minus x (its sign counts). */
PAH_SIM_INLINE float pah_sim_down(float x, double error) { return error < 0 ? std::nextafter(x, -INFINITY) : x; }
PAH_SIM_INLINE float pah_sim_up(float x, double error) { return error > 0 ? std::nextafter(x, INFINITY) : x; }
PAH_SIM_INLINE float pah_sim_zero(float x, double error) {
  return x > 0 && error < 0 ? std::nextafter(x, 0.0f) : x < 0 && error > 0 ? std::nextafter(x, 0.0f) : x;
}
/* Products of floats are exact in double; sums, quotients and roots are rounded to odd, so that they are never taken
 * for exact or for the middle between two floats (see pah_sim/numbers/small.h). */
/* `near` is the nearest double, the exact result lies on the side of `error`. */
PAH_SIM_INLINE double pah_sim_toward(double near, double error) {
  unsigned long long bits = pah_sim_cast<unsigned long long>(near);
  if (error != 0 && !(bits & 1)) bits += (error > 0) == (near > 0) ? 1 : -1;
  return pah_sim_cast<double>(bits);
}
PAH_SIM_INLINE double pah_sim_odd_quotient(double a, double b) {
  double q = a / b;
  if (a == 0 || __builtin_isinf(b) || !__builtin_isfinite(q)) return q;
  return pah_sim_toward(q, __builtin_fma(-q, b, a) / b);
}
PAH_SIM_INLINE double pah_sim_odd_root(double a) {
  double r = __builtin_sqrt(a);
  return a > 0 && __builtin_isfinite(a) ? pah_sim_toward(r, __builtin_fma(-r, r, a)) : r;
}
#define PAH_SIM_ROUNDED(name, parameters, exact)                                                                       \
  PAH_SIM_INLINE float name##_rn parameters { return (float)(exact); }                                                 \
  PAH_SIM_INLINE float name##_rz parameters { double e = (exact); return pah_sim_zero((float)e, e - (float)e); }       \
  PAH_SIM_INLINE float name##_ru parameters { double e = (exact); return pah_sim_up((float)e, e - (float)e); }         \
  PAH_SIM_INLINE float name##_rd parameters { double e = (exact); return pah_sim_down((float)e, e - (float)e); }
PAH_SIM_ROUNDED(__fadd, (float a, float b), pah_sim_odd_sum(a, b))
PAH_SIM_ROUNDED(__fsub, (float a, float b), pah_sim_odd_sum(a, -(double)b))
PAH_SIM_ROUNDED(__fmul, (float a, float b), (double)a *b)
PAH_SIM_ROUNDED(__fdiv, (float a, float b), pah_sim_odd_quotient(a, b))
PAH_SIM_ROUNDED(__frcp, (float a), pah_sim_odd_quotient(1, a))
PAH_SIM_ROUNDED(__fsqrt, (float a), pah_sim_odd_root(a))
PAH_SIM_ROUNDED(__fmaf, (float a, float b, float c), pah_sim_odd_sum((double)a *b, c))
PAH_SIM_ROUNDED(__fmaf_ieee, (float a, float b, float c), pah_sim_odd_sum((double)a *b, c))
PAH_SIM_ROUNDED(__ll2float, (long long a), pah_sim_odd(a))
PAH_SIM_ROUNDED(__ull2float, (unsigned long long a), pah_sim_odd(a))
PAH_SIM_ROUNDED(__double2float, (double a), a)
PAH_SIM_ROUNDED(__int2float, (int a), (double)a)
PAH_SIM_ROUNDED(__uint2float, (unsigned a), (double)a)
PAH_SIM_INLINE float __frsqrt_rn(float a) { return (float)(1.0 / __builtin_sqrt((double)a)); }
PAH_SIM_INLINE double __dadd_rn(double a, double b) { return a + b; }
PAH_SIM_INLINE double __dsub_rn(double a, double b) { return a - b; }
PAH_SIM_INLINE double __dmul_rn(double a, double b) { return a * b; }
PAH_SIM_INLINE double __ddiv_rn(double a, double b) { return a / b; }
PAH_SIM_INLINE double __drcp_rn(double a) { return 1 / a; }
PAH_SIM_INLINE double __dsqrt_rn(double a) { return __builtin_sqrt(a); }
PAH_SIM_INLINE double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }

/* To integers: saturating, NaN to 0, to 64 bits to the top bit alone, as the device does. */
template <class I> PAH_SIM_INLINE I pah_sim_integer(double v) {
  if (v != v) return sizeof(I) == 8 ? (I)(1ull << 63) : 0;
  if (v <= (double)std::numeric_limits<I>::min()) return std::numeric_limits<I>::min();
  if (v >= (double)std::numeric_limits<I>::max()) return std::numeric_limits<I>::max();
  return (I)v;
}
#define PAH_SIM_TO_INTEGER(name, F, I)                                                                                 \
  PAH_SIM_INLINE I name##_rn(F v) { return pah_sim_integer<I>(__builtin_nearbyint((double)v)); }                       \
  PAH_SIM_INLINE I name##_rz(F v) { return pah_sim_integer<I>(__builtin_trunc((double)v)); }                           \
  PAH_SIM_INLINE I name##_ru(F v) { return pah_sim_integer<I>(__builtin_ceil((double)v)); }                            \
  PAH_SIM_INLINE I name##_rd(F v) { return pah_sim_integer<I>(__builtin_floor((double)v)); }
PAH_SIM_TO_INTEGER(__float2int, float, int)
PAH_SIM_TO_INTEGER(__float2uint, float, unsigned)
PAH_SIM_TO_INTEGER(__float2ll, float, long long)
PAH_SIM_TO_INTEGER(__float2ull, float, unsigned long long)
PAH_SIM_TO_INTEGER(__double2int, double, int)
PAH_SIM_TO_INTEGER(__double2uint, double, unsigned)
PAH_SIM_TO_INTEGER(__double2ll, double, long long)
PAH_SIM_TO_INTEGER(__double2ull, double, unsigned long long)
PAH_SIM_INLINE double __int2double_rn(int v) { return v; }
PAH_SIM_INLINE double __uint2double_rn(unsigned v) { return v; }
PAH_SIM_INLINE double __ll2double_rn(long long v) { return (double)v; }
PAH_SIM_INLINE double __ull2double_rn(unsigned long long v) { return (double)v; }

/* ---- Functions ---- */

PAH_SIM_INLINE float rsqrtf(float x) { return (float)(1.0 / __builtin_sqrt((double)x)); }
PAH_SIM_INLINE double rsqrt(double x) { return 1 / __builtin_sqrt(x); }
PAH_SIM_INLINE float rsqrt(float x) { return rsqrtf(x); }
PAH_SIM_INLINE float fdividef(float a, float b) { return a / b; }
PAH_SIM_INLINE float __fdividef(float a, float b) { return a / b; }
PAH_SIM_INLINE float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1.0f : 0.0f; }
PAH_SIM_INLINE double normcdf(double x) { return 0.5 * __builtin_erfc(-x * M_SQRT1_2); }
PAH_SIM_INLINE float norm3df(float a, float b, float c) {
  return (float)__builtin_sqrt((double)a * a + (double)b * b + (double)c * c);
}
PAH_SIM_INLINE double rcbrt(double x) { return 1 / __builtin_cbrt(x); }
PAH_SIM_INLINE double sinpi(double x) { return __builtin_sin(M_PI * __builtin_fmod(x, 2.0)); }
PAH_SIM_INLINE double cospi(double x) { return __builtin_cos(M_PI * __builtin_fmod(x, 2.0)); }
PAH_SIM_INLINE float rhypotf(float a, float b) { return (float)(1 / __builtin_hypot((double)a, (double)b)); }
PAH_SIM_INLINE float rnorm3df(float a, float b, float c) {
  return (float)(1 / __builtin_sqrt((double)a * a + (double)b * b + (double)c * c));
}
PAH_SIM_INLINE float norm4df(float a, float b, float c, float d) {
  return (float)__builtin_sqrt((double)a * a + (double)b * b + (double)c * c + (double)d * d);
}
PAH_SIM_INLINE float rnorm4df(float a, float b, float c, float d) { return (float)(1 / (double)norm4df(a, b, c, d)); }
PAH_SIM_INLINE float __tanhf(float x) { return __builtin_tanhf(x); }
PAH_SIM_INLINE void __sincosf(float x, float *s, float *c) {
  *s = __builtin_sinf(x);
  *c = __builtin_cosf(x);
}
#define __expf(x) __builtin_expf(x)
#define __exp2f(x) __builtin_exp2f(x)
#define __exp10f(x) __builtin_exp10f(x)
#define __logf(x) __builtin_logf(x)
#define __log2f(x) __builtin_log2f(x)
#define __log10f(x) __builtin_log10f(x)
#define __sinf(x) __builtin_sinf(x)
#define __cosf(x) __builtin_cosf(x)
#define __tanf(x) __builtin_tanf(x)
#define __powf(x, y) __builtin_powf(x, y)
using std::abs;
using std::ceil;
using std::cos;
using std::exp;
using std::exp2;
using std::fabs;
using std::floor;
using std::fma;
using std::fmax;
using std::fmin;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::log2;
using std::pow;
using std::round;
using std::signbit;
using std::sin;
using std::sqrt;
using std::tanh;

/* clang-format on */

#include "numbers/rounded64.h"
#include "special_functions.h"
#include "../math_constants.h"

#endif
