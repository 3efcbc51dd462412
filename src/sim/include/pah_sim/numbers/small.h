/* small.h - floating point of 16 and 8 bits from and to double, for cuda_fp16.h, cuda_bf16.h, cuda_fp8.h and its like.
 * Widening is exact. Encoding rounds once, in the direction asked for. A double holds sums and products of these
 * formats only almost exactly; rounding such a result to odd first keeps what a second rounding must know.
 * Read next: pah_sim/numbers/pair.h. */
#ifndef PAH_SIM_SMALL_H
#define PAH_SIM_SMALL_H

enum { PAH_SIM_RN, PAH_SIM_RZ, PAH_SIM_RU, PAH_SIM_RD };

/* A code of E bits of exponent and M of mantissa. `top` says that the largest exponent stands for numbers too (e4m3),
 * all but the code of all ones. Exponent and mantissa at their places in an f32 are a number too small by a power of
 * two, subnormal or not, so that one multiplication is exact. */
template <int E, int M, bool top = false> PAH_SIM_INLINE float pah_sim_widen(unsigned code) {
  if (E == 8) return __builtin_bit_cast(float, code << 16); /* bf16: a NaN keeps its bits */
  const unsigned ones = (1u << (E + M)) - 1, infinity = ((1u << E) - 1) << M;
  unsigned magnitude = code & ones, sign = code >> (E + M) << 31;
  if (top ? magnitude == ones : magnitude > infinity) return __builtin_bit_cast(float, 0x7fffffffu);
  float x = __builtin_bit_cast(float, magnitude << (23 - M));
  if (!top && magnitude == infinity)
    x = __builtin_inff();
  else
    x *= __builtin_bit_cast(float, (unsigned)(127 + 127 - ((1 << (E - 1)) - 1)) << 23);
  return __builtin_bit_cast(float, __builtin_bit_cast(unsigned, x) | sign);
}

/* The code of |x|, overflow running on into the codes above the largest number; x is finite. */
template <int E, int M> PAH_SIM_INLINE unsigned pah_sim_magnitude(double x, int mode) {
  const int bias = (1 << (E - 1)) - 1;
  double a = __builtin_fabs(x);
  int exponent = (int)(__builtin_bit_cast(unsigned long long, a) >> 52) - 1023; /* a = m * 2^exponent, 1 <= m < 2 */
  if (exponent < 1 - bias) exponent = 1 - bias;
  if (exponent > bias + 1) return 2u << (E + M);
  /* In units of the last place, which is exact; adding 2^52 leaves no room for a fraction. */
  double units = a * __builtin_bit_cast(double, (unsigned long long)(1023 + M - exponent) << 52);
  double nearest = (units + 0x1p52) - 0x1p52;
  bool away = mode == PAH_SIM_RU ? x > 0 : mode == PAH_SIM_RD && x < 0;
  if (mode != PAH_SIM_RN && nearest > units && !away) nearest -= 1;
  if (mode != PAH_SIM_RN && nearest < units && away) nearest += 1;
  return (unsigned)(exponent + bias - 1) * (1u << M) + (unsigned)nearest; /* a carry goes into the exponent */
}

/* f16 and bf16: beyond the largest number lies infinity, or the largest number where rounding goes toward zero. */
template <int E, int M> PAH_SIM_INLINE unsigned short pah_sim_encode(double x, int mode = PAH_SIM_RN) {
  const unsigned infinity = ((1u << E) - 1) << M;
  if (x != x) return 0x7fff;
  unsigned sign = (unsigned)(__builtin_bit_cast(unsigned long long, x) >> 63) << (E + M);
  if (__builtin_isinf(x)) return (unsigned short)(sign | infinity);
  unsigned code = pah_sim_magnitude<E, M>(x, mode);
  bool away = mode == PAH_SIM_RN || (mode == PAH_SIM_RU ? x > 0 : mode == PAH_SIM_RD && x < 0);
  return (unsigned short)(sign | (code < infinity ? code : away ? infinity : infinity - 1));
}

/* fp8 to nearest even. `largest`: code of the largest number; `over`: what comes beyond when it does not saturate. */
template <int E, int M>
PAH_SIM_INLINE unsigned char pah_sim_encode8(double x, unsigned largest, unsigned over, bool saturate) {
  if (x != x) return 0x7f;
  unsigned sign = (unsigned)(__builtin_bit_cast(unsigned long long, x) >> 63) << 7;
  unsigned code = __builtin_isinf(x) ? largest + 1 : pah_sim_magnitude<E, M>(x, PAH_SIM_RN);
  return (unsigned char)(sign | (code <= largest ? code : saturate ? largest : over));
}

/* Formats of which every code is a number, up to a largest one (fp6, fp4): E + M + 1 bits. mode: PAH_SIM_RN or _RZ. */
template <int E, int M> PAH_SIM_INLINE unsigned char pah_sim_encode_finite(double x, int mode) {
  const unsigned largest = (1u << (E + M)) - 1;
  if (x != x) return (unsigned char)largest;
  unsigned sign = (unsigned)(__builtin_bit_cast(unsigned long long, x) >> 63) << (E + M);
  unsigned code = __builtin_isinf(x) ? largest : pah_sim_magnitude<E, M>(x, mode);
  return (unsigned char)(sign | (code < largest ? code : largest));
}
template <int E, int M> PAH_SIM_INLINE float pah_sim_widen_finite(unsigned code) {
  const unsigned magnitude = code & ((1u << (E + M)) - 1), sign = code >> (E + M) << 31;
  const float scale = __builtin_bit_cast(float, (unsigned)(127 + 127 - ((1 << (E - 1)) - 1)) << 23);
  const float x = __builtin_bit_cast(float, magnitude << (23 - M)) * scale;
  return __builtin_bit_cast(float, __builtin_bit_cast(unsigned, x) | sign);
}

/* a + b rounded to odd: where it is not exact, the last bit of the result is 1, so that rounding it to a format of at
 * most 51 bits is as good as rounding the exact sum. */
PAH_SIM_INLINE double pah_sim_odd_sum(double a, double b) {
  double s = a + b, back = s - a, error = (a - (s - back)) + (b - back);
  unsigned long long bits = __builtin_bit_cast(unsigned long long, s);
  if (error != 0 && !(bits & 1) && __builtin_isfinite(s)) bits += (error > 0) == (s > 0) ? 1 : -1;
  return __builtin_bit_cast(double, bits);
}
/* 64-bit integers the same way; |v| as a sum of two halves that are doubles. */
PAH_SIM_INLINE double pah_sim_odd(unsigned long long v) {
  return pah_sim_odd_sum((double)(v >> 32) * 0x1p32, (double)(v & 0xffffffffu));
}
PAH_SIM_INLINE double pah_sim_odd(long long v) {
  return v < 0 ? -pah_sim_odd(0 - (unsigned long long)v) : pah_sim_odd((unsigned long long)v);
}

#endif
