/* simd.h - CUDA's functions on two halves or four bytes of a word (__vadd2, __vmaxs4, ...): each lane by
 * itself, as the name says: s signed, u unsigned, ss and us saturating; comparisons give all ones (vcmp) or one (vset).
 * Included by pah_sim/math.h. */
#ifndef PAH_SIM_SIMD_H
#define PAH_SIM_SIMD_H

template <int bytes> struct pah_sim_part;
template <> struct pah_sim_part<2> {
  typedef short s;
  typedef unsigned short u;
};
template <> struct pah_sim_part<1> {
  typedef signed char s;
  typedef unsigned char u;
};

/* next(x, y) of each lane, as type T; the lane is what fits of the result. */
template <class T, class F> PAH_SIM_INLINE unsigned pah_sim_lanes(unsigned a, unsigned b, F next) {
  const int bits = 8 * sizeof(T);
  const unsigned ones = (1u << bits) - 1;
  unsigned r = 0;
  for (int i = 0; i < 32; i += bits)
    r |= ((unsigned)next((int)(T)(a >> i & ones), (int)(T)(b >> i & ones)) & ones) << i;
  return r;
}
template <class T> PAH_SIM_INLINE int pah_sim_clamp(int x) {
  const int low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  return x < low ? low : x > high ? high : x;
}
template <class T> PAH_SIM_INLINE unsigned pah_sim_sad(unsigned a, unsigned b) {
  const int bits = 8 * sizeof(T);
  unsigned sum = 0;
  for (int i = 0; i < 32; i += bits) {
    int x = (T)(a >> i & ((1u << bits) - 1)), y = (T)(b >> i & ((1u << bits) - 1));
    sum += (unsigned)(x > y ? x - y : y - x);
  }
  return sum;
}

/* name##2 and name##4 of two words, or of one; `sign` s or u; expression of x and y. */
#define PAH_SIM_LANES(name, sign, expression)                                                                          \
  PAH_SIM_INLINE unsigned name##2(unsigned a, unsigned b) {                                                            \
    typedef pah_sim_part<2>::sign T;                                                                                   \
    return pah_sim_lanes<T>(a, b, [](int x, int y) { return expression; });                                            \
  }                                                                                                                    \
  PAH_SIM_INLINE unsigned name##4(unsigned a, unsigned b) {                                                            \
    typedef pah_sim_part<1>::sign T;                                                                                   \
    return pah_sim_lanes<T>(a, b, [](int x, int y) { return expression; });                                            \
  }
#define PAH_SIM_LANES_OF_ONE(name, expression)                                                                         \
  PAH_SIM_INLINE unsigned name##2(unsigned a) {                                                                        \
    typedef pah_sim_part<2>::s T;                                                                                      \
    return pah_sim_lanes<T>(a, 0, [](int x, int) { return expression; });                                              \
  }                                                                                                                    \
  PAH_SIM_INLINE unsigned name##4(unsigned a) {                                                                        \
    typedef pah_sim_part<1>::s T;                                                                                      \
    return pah_sim_lanes<T>(a, 0, [](int x, int) { return expression; });                                              \
  }
PAH_SIM_LANES(__vadd, u, x + y)
PAH_SIM_LANES(__vaddss, s, pah_sim_clamp<T>(x + y))
PAH_SIM_LANES(__vaddus, u, pah_sim_clamp<T>(x + y))
PAH_SIM_LANES(__vsub, u, x - y)
PAH_SIM_LANES(__vsubss, s, pah_sim_clamp<T>(x - y))
PAH_SIM_LANES(__vsubus, u, pah_sim_clamp<T>(x - y))
PAH_SIM_LANES(__vmaxs, s, x > y ? x : y)
PAH_SIM_LANES(__vmaxu, u, x > y ? x : y)
PAH_SIM_LANES(__vmins, s, x < y ? x : y)
PAH_SIM_LANES(__vminu, u, x < y ? x : y)
PAH_SIM_LANES(__vabsdiffs, s, x > y ? x - y : y - x)
PAH_SIM_LANES(__vabsdiffu, u, x > y ? x - y : y - x)
PAH_SIM_LANES(__vavgs, s, (x + y + (x + y >= 0)) >> 1)
PAH_SIM_LANES(__vavgu, u, (x + y + 1) >> 1)
PAH_SIM_LANES(__vhaddu, u, (x + y) >> 1)
PAH_SIM_LANES_OF_ONE(__vabs, x < 0 ? -x : x)
PAH_SIM_LANES_OF_ONE(__vabsss, pah_sim_clamp<T>(x < 0 ? -x : x))
PAH_SIM_LANES_OF_ONE(__vneg, -x)
PAH_SIM_LANES_OF_ONE(__vnegss, pah_sim_clamp<T>(-x))

#define PAH_SIM_COMPARES(name, sign, condition)                                                                        \
  PAH_SIM_LANES(__vcmp##name, sign, (condition) ? -1 : 0)                                                              \
  PAH_SIM_LANES(__vset##name, sign, (condition) ? 1 : 0)
PAH_SIM_COMPARES(eq, u, x == y)
PAH_SIM_COMPARES(ne, u, x != y)
PAH_SIM_COMPARES(ges, s, x >= y)
PAH_SIM_COMPARES(geu, u, x >= y)
PAH_SIM_COMPARES(gts, s, x > y)
PAH_SIM_COMPARES(gtu, u, x > y)
PAH_SIM_COMPARES(les, s, x <= y)
PAH_SIM_COMPARES(leu, u, x <= y)
PAH_SIM_COMPARES(lts, s, x < y)
PAH_SIM_COMPARES(ltu, u, x < y)

#define PAH_SIM_SADS(name, T, size)                                                                                    \
  PAH_SIM_INLINE unsigned name##size(unsigned a, unsigned b) {                                                         \
    return pah_sim_sad<T>(a, b);                                                                                       \
  }
PAH_SIM_SADS(__vsads, short, 2)
PAH_SIM_SADS(__vsadu, unsigned short, 2)
PAH_SIM_SADS(__vsads, signed char, 4)
PAH_SIM_SADS(__vsadu, unsigned char, 4)

#endif
