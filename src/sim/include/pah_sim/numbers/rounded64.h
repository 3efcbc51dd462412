/* rounded64.h - arithmetic of doubles in the direction asked for: what the names ending in _rz, _ru and _rd mean, and
 * the roundings of .f64 in PTX. The host's processor rounds, in its own mode, for one operation.
 * Included by pah_sim/math.h. */
#ifndef PAH_SIM_ROUNDED64_H
#define PAH_SIM_ROUNDED64_H

#include <cfenv>

/* a + b, a * b, a / b, the root of a ('s'), a * b + c ('f'). mode: PAH_SIM_RN and its like. The operands are volatile
 * so that the compiler moves nothing out of the mode. */
PAH_SIM_UNSEEN __attribute__((noinline)) inline double pah_sim_rounded(int mode, char operation, double a, double b = 0,
                                                                       double c = 0) {
  static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};
  volatile double x = a, y = b, z = c, result;
  fesetround(modes[mode]);
  switch (operation) {
  case '+': result = x + y; break;
  case '*': result = x * y; break;
  case '/': result = x / y; break;
  case 's': result = __builtin_sqrt(x); break;
  default: result = __builtin_fma(x, y, z); break;
  }
  fesetround(FE_TONEAREST);
  return result;
}
/* 64-bit integers: two halves that are doubles. */
PAH_SIM_INLINE double pah_sim_rounded(int mode, unsigned long long v) {
  return pah_sim_rounded(mode, '+', (double)(v >> 32) * 0x1p32, (double)(v & 0xffffffffu));
}
PAH_SIM_INLINE double pah_sim_rounded(int mode, long long v) {
  return pah_sim_rounded(mode, '+', (double)(v >> 32) * 0x1p32, (double)(v & 0xffffffff));
}

#define PAH_SIM_DIRECTIONS(name, parameters, ...)                                                                      \
  PAH_SIM_INLINE double name##_rz parameters {                                                                         \
    return pah_sim_rounded(PAH_SIM_RZ, __VA_ARGS__);                                                                   \
  }                                                                                                                    \
  PAH_SIM_INLINE double name##_ru parameters {                                                                         \
    return pah_sim_rounded(PAH_SIM_RU, __VA_ARGS__);                                                                   \
  }                                                                                                                    \
  PAH_SIM_INLINE double name##_rd parameters {                                                                         \
    return pah_sim_rounded(PAH_SIM_RD, __VA_ARGS__);                                                                   \
  }
PAH_SIM_DIRECTIONS(__dadd, (double a, double b), '+', a, b)
PAH_SIM_DIRECTIONS(__dsub, (double a, double b), '+', a, -b)
PAH_SIM_DIRECTIONS(__dmul, (double a, double b), '*', a, b)
PAH_SIM_DIRECTIONS(__ddiv, (double a, double b), '/', a, b)
PAH_SIM_DIRECTIONS(__drcp, (double a), '/', 1, a)
PAH_SIM_DIRECTIONS(__dsqrt, (double a), 's', a)
PAH_SIM_DIRECTIONS(__fma, (double a, double b, double c), 'f', a, b, c)
PAH_SIM_DIRECTIONS(__ll2double, (long long a), a)
PAH_SIM_DIRECTIONS(__ull2double, (unsigned long long a), a)
#undef PAH_SIM_DIRECTIONS

#endif
