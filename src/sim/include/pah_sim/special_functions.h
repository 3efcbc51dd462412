/* special_functions.h - CUDA's functions that the C library lacks: inverse error functions, scaled erfc, modified
 * Bessel functions, norms, and overloads for float. In double, to a few units in the last place. Included by
 * pah_sim/math.h. */
#ifndef PAH_SIM_SPECIAL_FUNCTIONS_H
#define PAH_SIM_SPECIAL_FUNCTIONS_H

/* ---- Error functions ---- */

/* exp(x * x) * erfc(x); from 25 on by its series in 1 / x^2. */
PAH_SIM_INLINE double erfcx(double x) {
  if (x >= 25) {
    const double q = 1 / (2 * x * x);
    return (1 - q * (1 - 3 * q * (1 - 5 * q * (1 - 7 * q)))) / x * 0.56418958354775628695;
  }
  const double square = x * x, rest = __builtin_fma(x, x, -square);
  return __builtin_exp(square) * (1 + rest) * __builtin_erfc(x);
}
/* y = erfc(x) for x: a guess, then steps of Halley's. */
PAH_SIM_INLINE double erfcinv(double y) {
  if (!(y > 0 && y < 2)) return y == 0 ? HUGE_VAL : y == 2 ? -HUGE_VAL : y == y ? __builtin_nan("") : y;
  const double less = y < 1 ? y : 2 - y, l = __builtin_log(less / 2);
  const double t = __builtin_sqrt(-2 * l);
  double x = -M_SQRT1_2 * ((2.30753 + t * 0.27061) / (1 + t * (0.99229 + t * 0.04481)) - t);
  for (int i = 0; i < 4; i++) {
    const double e = __builtin_erfc(x) - less, slope = 1.12837916709551257390 * __builtin_exp(-x * x);
    if (slope == 0) break;
    const double step = e / slope;
    x += step / (1 - x * step);
  }
  return y < 1 ? x : -x;
}
PAH_SIM_INLINE double erfinv(double y) {
  const double a = __builtin_fabs(y);
  if (!(a < 1)) return a == 1 ? y * HUGE_VAL : y == y ? __builtin_nan("") : y;
  if (a >= 0.5) return __builtin_copysign(erfcinv(1 - a), y);
  double x = y * 0.88622692545275801365;
  for (int i = 0; i < 5; i++) {
    const double step = (__builtin_erf(x) - y) * 0.88622692545275801365 * __builtin_exp(x * x);
    x -= step / (1 + x * step);
  }
  return x;
}
PAH_SIM_INLINE double normcdfinv(double p) {
  return -M_SQRT2 * erfcinv(2 * p);
}

/* ---- Bessel functions, pi, norms ---- */

PAH_SIM_INLINE double cyl_bessel_i0(double x) {
  return std::cyl_bessel_i(0.0, __builtin_fabs(x));
}
PAH_SIM_INLINE double cyl_bessel_i1(double x) {
  return __builtin_copysign(std::cyl_bessel_i(1.0, __builtin_fabs(x)), x);
}
PAH_SIM_INLINE void sincospi(double x, double *s, double *c) {
  *s = sinpi(x), *c = cospi(x);
}
PAH_SIM_INLINE double norm3d(double a, double b, double c) {
  return std::hypot(a, b, c);
}
PAH_SIM_INLINE double norm4d(double a, double b, double c, double d) {
  return __builtin_hypot(std::hypot(a, b, c), d);
}
/* Scaled by the largest, so that no square overflows. */
template <class T> PAH_SIM_INLINE T pah_sim_norm(int count, const T *p) {
  double most = 0, sum = 0;
  for (int i = 0; i < count; i++) most = __builtin_fmax(most, __builtin_fabs((double)p[i]));
  if (most == 0 || __builtin_isinf(most)) return (T)most;
  for (int i = 0; i < count; i++) sum += (p[i] / most) * (p[i] / most);
  return (T)(most * __builtin_sqrt(sum));
}
PAH_SIM_INLINE double norm(int count, const double *p) {
  return pah_sim_norm(count, p);
}
PAH_SIM_INLINE float normf(int count, const float *p) {
  return pah_sim_norm(count, p);
}
PAH_SIM_INLINE double rnorm(int count, const double *p) {
  return 1 / norm(count, p);
}
PAH_SIM_INLINE float rnormf(int count, const float *p) {
  return 1 / normf(count, p);
}
PAH_SIM_INLINE double rhypot(double a, double b) {
  return 1 / __builtin_hypot(a, b);
}
PAH_SIM_INLINE double rnorm3d(double a, double b, double c) {
  return 1 / norm3d(a, b, c);
}
PAH_SIM_INLINE double rnorm4d(double a, double b, double c, double d) {
  return 1 / norm4d(a, b, c, d);
}

/* ---- By two names for float: erfinvf(x) and erfinv(x) ---- */

#define PAH_SIM_FLOAT(name)                                                                                            \
  PAH_SIM_INLINE float name##f(float x) {                                                                              \
    return (float)name((double)x);                                                                                     \
  }                                                                                                                    \
  PAH_SIM_INLINE float name(float x) {                                                                                 \
    return (float)name((double)x);                                                                                     \
  }
PAH_SIM_FLOAT(erfcx)
PAH_SIM_FLOAT(erfcinv)
PAH_SIM_FLOAT(erfinv)
PAH_SIM_FLOAT(normcdf)
PAH_SIM_FLOAT(normcdfinv)
PAH_SIM_FLOAT(rcbrt)
PAH_SIM_FLOAT(sinpi)
PAH_SIM_FLOAT(cospi)
PAH_SIM_FLOAT(cyl_bessel_i0)
PAH_SIM_FLOAT(cyl_bessel_i1)
#undef PAH_SIM_FLOAT
PAH_SIM_INLINE void sincospi(float x, float *s, float *c) {
  *s = sinpi(x), *c = cospi(x);
}
PAH_SIM_INLINE void sincospif(float x, float *s, float *c) {
  sincospi(x, s, c);
}

/* ---- Names without overloads, and old ones ---- */

PAH_SIM_INLINE double fdivide(double a, double b) {
  return a / b;
}
PAH_SIM_INLINE float fdivide(float a, float b) {
  return a / b;
}
PAH_SIM_INLINE long long llmin(long long a, long long b) {
  return a < b ? a : b;
}
PAH_SIM_INLINE long long llmax(long long a, long long b) {
  return a > b ? a : b;
}
PAH_SIM_INLINE unsigned long long ullmin(unsigned long long a, unsigned long long b) {
  return a < b ? a : b;
}
PAH_SIM_INLINE unsigned long long ullmax(unsigned long long a, unsigned long long b) {
  return a > b ? a : b;
}
PAH_SIM_INLINE double dadd(double a, double b, cudaRoundMode mode = cudaRoundNearest) {
  return pah_sim_rounded(mode, '+', a, b);
}
PAH_SIM_INLINE double dsub(double a, double b, cudaRoundMode mode = cudaRoundNearest) {
  return pah_sim_rounded(mode, '+', a, -b);
}
PAH_SIM_INLINE double dmul(double a, double b, cudaRoundMode mode = cudaRoundNearest) {
  return pah_sim_rounded(mode, '*', a, b);
}
PAH_SIM_INLINE double float2double(float a, cudaRoundMode = cudaRoundNearest) {
  return a;
}
PAH_SIM_INLINE double int2double(int a, cudaRoundMode = cudaRoundNearest) {
  return a;
}
PAH_SIM_INLINE double uint2double(unsigned a, cudaRoundMode = cudaRoundNearest) {
  return a;
}
PAH_SIM_INLINE double ll2double(long long a, cudaRoundMode mode = cudaRoundNearest) {
  return pah_sim_rounded(mode, a);
}
PAH_SIM_INLINE double ull2double(unsigned long long a, cudaRoundMode mode = cudaRoundNearest) {
  return pah_sim_rounded(mode, a);
}
#define PAH_SIM_OLD(name, I)                                                                                           \
  PAH_SIM_INLINE I name(double a, cudaRoundMode mode = cudaRoundZero) {                                                \
    return mode == cudaRoundNearest  ? __##name##_rn(a)                                                                \
           : mode == cudaRoundZero   ? __##name##_rz(a)                                                                \
           : mode == cudaRoundPosInf ? __##name##_ru(a)                                                                \
                                     : __##name##_rd(a);                                                               \
  }
PAH_SIM_OLD(double2int, int)
PAH_SIM_OLD(double2uint, unsigned)
PAH_SIM_OLD(double2ll, long long)
PAH_SIM_OLD(double2ull, unsigned long long)
#undef PAH_SIM_OLD

#endif
