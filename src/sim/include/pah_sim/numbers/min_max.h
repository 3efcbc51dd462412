/* min_max.h - CUDA's smallest and largest of two or three integers, of 32 bits or of two halves of a word:
 * __vimax3_s32,
 * __viaddmin_u16x2, __vibmax_s16x2, ... with _relu not below zero, with "ib" also saying which it was; dot products of
 * two halves with bytes; the n-th bit set. Included by pah_sim/math.h. */
#ifndef PAH_SIM_MIN_MAX_H
#define PAH_SIM_MIN_MAX_H

/* f(x, y, z) of each half, as type T. */
template <class T, class F> PAH_SIM_INLINE unsigned pah_sim_halves(unsigned a, unsigned b, unsigned c, F f) {
  const unsigned low = (unsigned short)f((T)a, (T)b, (T)c);
  return low | (unsigned)(unsigned short)f((T)(a >> 16), (T)(b >> 16), (T)(c >> 16)) << 16;
}
template <class T> PAH_SIM_INLINE T pah_sim_less(T a, T b) {
  return b < a ? b : a;
}
template <class T> PAH_SIM_INLINE T pah_sim_more(T a, T b) {
  return b > a ? b : a;
}
template <class T, class F> PAH_SIM_INLINE T pah_sim_whole_word(T a, T b, T c, F f) {
  return f(a, b, c);
}
template <class T> PAH_SIM_INLINE T pah_sim_end(T a) {
  return a;
}
template <class T> PAH_SIM_INLINE T pah_sim_end_relu(T a) {
  return a > 0 ? a : 0;
}
/* Sums wrap in their type. */
#define PAH_SIM_EXTREMA(of, suffix, T, W)                                                                              \
  PAH_SIM_EXTREMUM_OF(of, min, suffix, T, W, pah_sim_less, )                                                           \
  PAH_SIM_EXTREMUM_OF(of, max, suffix, T, W, pah_sim_more, )
#define PAH_SIM_EXTREMA_RELU(of, suffix, T, W)                                                                         \
  PAH_SIM_EXTREMUM_OF(of, min, suffix, T, W, pah_sim_less, _relu)                                                      \
  PAH_SIM_EXTREMUM_OF(of, max, suffix, T, W, pah_sim_more, _relu)                                                      \
  PAH_SIM_INLINE W __vimin_##suffix##_relu(W a, W b) {                                                                 \
    return of<T>(a, b, 0, [](T x, T y, T) { return pah_sim_more<T>(pah_sim_less(x, y), 0); });                         \
  }                                                                                                                    \
  PAH_SIM_INLINE W __vimax_##suffix##_relu(W a, W b) {                                                                 \
    return of<T>(a, b, 0, [](T x, T y, T) { return pah_sim_more<T>(pah_sim_more(x, y), 0); });                         \
  }
#define PAH_SIM_EXTREMUM_OF(of, op, suffix, T, W, code, relu)                                                          \
  PAH_SIM_INLINE W __vi##op##3_##suffix##relu(W a, W b, W c) {                                                         \
    return of<T>(a, b, c, [](T x, T y, T z) { return pah_sim_end##relu(code(code(x, y), z)); });                       \
  }                                                                                                                    \
  PAH_SIM_INLINE W __viadd##op##_##suffix##relu(W a, W b, W c) {                                                       \
    return of<T>(a, b, c, [](T x, T y, T z) { return pah_sim_end##relu(code((T)((unsigned)x + (unsigned)y), z)); });   \
  }
PAH_SIM_EXTREMA(pah_sim_whole_word, s32, int, int)
PAH_SIM_EXTREMA(pah_sim_whole_word, u32, unsigned, unsigned)
PAH_SIM_EXTREMA(pah_sim_halves, s16x2, short, unsigned)
PAH_SIM_EXTREMA(pah_sim_halves, u16x2, unsigned short, unsigned)
PAH_SIM_EXTREMA_RELU(pah_sim_whole_word, s32, int, int)
PAH_SIM_EXTREMA_RELU(pah_sim_halves, s16x2, short, unsigned)
#undef PAH_SIM_EXTREMUM_OF
#undef PAH_SIM_EXTREMA
#undef PAH_SIM_EXTREMA_RELU

/* Which of the two it is: true for the first, also where they are equal. */
#define PAH_SIM_WHICH(op, sign, compare)                                                                               \
  PAH_SIM_INLINE sign __vib##op(sign a, sign b, bool *first) {                                                         \
    *first = a compare b;                                                                                              \
    return *first ? a : b;                                                                                             \
  }
PAH_SIM_WHICH(max_s32, int, >=)
PAH_SIM_WHICH(max_u32, unsigned, >=)
PAH_SIM_WHICH(min_s32, int, <=)
PAH_SIM_WHICH(min_u32, unsigned, <=)
#undef PAH_SIM_WHICH
#define PAH_SIM_WHICH(op, T, compare)                                                                                  \
  PAH_SIM_INLINE unsigned __vib##op(unsigned a, unsigned b, bool *high, bool *low) {                                   \
    *high = (T)(a >> 16) compare(T)(b >> 16);                                                                          \
    *low = (T)a compare(T) b;                                                                                          \
    return ((*high ? a : b) & 0xffff0000u) | ((*low ? a : b) & 0xffff);                                                \
  }
PAH_SIM_WHICH(max_s16x2, short, >=)
PAH_SIM_WHICH(max_u16x2, unsigned short, >=)
PAH_SIM_WHICH(min_s16x2, short, <=)
PAH_SIM_WHICH(min_u16x2, unsigned short, <=)
#undef PAH_SIM_WHICH

/* ---- Dot products of the two halves of a with two bytes of b, the lower or the upper ones ---- */

template <class A, class B> PAH_SIM_INLINE unsigned pah_sim_dp2a(unsigned a, unsigned b, unsigned c) {
  return c + (unsigned)((A)a * (B)b) + (unsigned)((A)(a >> 16) * (B)(b >> 8));
}
#define PAH_SIM_DP2A(name, shift)                                                                                      \
  PAH_SIM_INLINE int name(int a, int b, int c) {                                                                       \
    return (int)pah_sim_dp2a<short, signed char>((unsigned)a, (unsigned)b >> shift, (unsigned)c);                      \
  }                                                                                                                    \
  PAH_SIM_INLINE unsigned name(unsigned a, unsigned b, unsigned c) {                                                   \
    return pah_sim_dp2a<unsigned short, unsigned char>(a, b >> shift, c);                                              \
  }                                                                                                                    \
  PAH_SIM_INLINE int name(short2 a, char4 b, int c) {                                                                  \
    return name((int)pah_sim_bits(a), (int)pah_sim_bits(b), c);                                                        \
  }                                                                                                                    \
  PAH_SIM_INLINE unsigned name(ushort2 a, uchar4 b, unsigned c) {                                                      \
    return name((unsigned)pah_sim_bits(a), (unsigned)pah_sim_bits(b), c);                                              \
  }
PAH_SIM_DP2A(__dp2a_lo, 0)
PAH_SIM_DP2A(__dp2a_hi, 16)
#undef PAH_SIM_DP2A

/* The place of the bit that is set `offset`-th from `base` on, upwards (1: the first, base itself counts) or with a
 * negative offset downwards; 0: only base itself. All ones where there is none. */
PAH_SIM_INLINE unsigned __fns(unsigned mask, unsigned base, int offset) {
  const int step = offset < 0 ? -1 : 1;
  int left = offset == 0 ? 1 : offset * step;
  if (base > 31) return 0xffffffffu;
  for (int at = (int)base; at >= 0 && at < 32; at += step) {
    if (mask >> at & 1 && --left == 0) return (unsigned)at;
    if (offset == 0) break;
  }
  return 0xffffffffu;
}

#endif
