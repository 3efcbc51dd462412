/* pair_convert.h - conversions whose names hold the type's: PAH_N is half or bfloat16, PAH_N2 half2 or
 * bfloat162. Included once for each, after pair_functions.h. From double and integers they round once; to
 * integers they saturate, and NaN becomes 0. */

#define PAH_GLUE5(a, b, c, d, e) a##b##c##d##e
#define PAH_NAME5(a, b, c, d, e) PAH_GLUE5(a, b, c, d, e)
#define PAH_NAME3(a, b, c) PAH_GLUE5(a, b, c, , )

/* From and to each arithmetic type, in the four directions; `exact` makes a double of v. */
#define PAH_FROM(word, type, exact, suffix, mode)                                                                      \
  PAH_SIM_INLINE PAH_T PAH_NAME5(__, word, 2, PAH_N, suffix)(type v) {                                                 \
    PAH_T r;                                                                                                           \
    pah_sim_round(r, exact(v), mode);                                                                                  \
    return r;                                                                                                          \
  }
#define PAH_FROM_ALL(word, type, exact)                                                                                \
  PAH_FROM(word, type, exact, _rn, PAH_SIM_RN)                                                                         \
  PAH_FROM(word, type, exact, _rz, PAH_SIM_RZ)                                                                         \
  PAH_FROM(word, type, exact, _ru, PAH_SIM_RU)                                                                         \
  PAH_FROM(word, type, exact, _rd, PAH_SIM_RD)
#define PAH_TO_ALL(word, type)                                                                                         \
  PAH_SIM_INLINE type PAH_NAME5(__, PAH_N, 2, word, _rn)(PAH_T a) {                                                    \
    return pah_sim_integer<type>(__builtin_rint(pah_sim_value(a)));                                                    \
  }                                                                                                                    \
  PAH_SIM_INLINE type PAH_NAME5(__, PAH_N, 2, word, _rz)(PAH_T a) {                                                    \
    return pah_sim_integer<type>(__builtin_trunc(pah_sim_value(a)));                                                   \
  }                                                                                                                    \
  PAH_SIM_INLINE type PAH_NAME5(__, PAH_N, 2, word, _ru)(PAH_T a) {                                                    \
    return pah_sim_integer<type>(__builtin_ceil(pah_sim_value(a)));                                                    \
  }                                                                                                                    \
  PAH_SIM_INLINE type PAH_NAME5(__, PAH_N, 2, word, _rd)(PAH_T a) {                                                    \
    return pah_sim_integer<type>(__builtin_floor(pah_sim_value(a)));                                                   \
  }
#define PAH_INTEGER(word, type, exact)                                                                                 \
  PAH_FROM_ALL(word, type, exact)                                                                                      \
  PAH_TO_ALL(word, type)
PAH_FROM_ALL(float, float, )
PAH_FROM(float, float, , , PAH_SIM_RN)
PAH_FROM(double, double, , , PAH_SIM_RN)
PAH_INTEGER(int, int, )
PAH_INTEGER(uint, unsigned, )
PAH_INTEGER(short, short, )
PAH_INTEGER(ushort, unsigned short, )
PAH_INTEGER(ll, long long, pah_sim_odd)
PAH_INTEGER(ull, unsigned long long, pah_sim_odd)
PAH_TO_ALL(char, signed char)
PAH_TO_ALL(uchar, unsigned char)

PAH_SIM_INLINE float PAH_NAME3(__, PAH_N, 2float)(PAH_T a) {
  return pah_sim_widen<PAH_E, PAH_M>(a.__x);
}

/* ---- Bits ---- */

PAH_SIM_INLINE unsigned short PAH_NAME3(__, PAH_N, _as_ushort)(PAH_T a) {
  return a.__x;
}
PAH_SIM_INLINE short PAH_NAME3(__, PAH_N, _as_short)(PAH_T a) {
  return (short)a.__x;
}
PAH_SIM_INLINE PAH_T PAH_NAME3(__ushort_as_, PAH_N, )(unsigned short v) {
  return PAH_RAW{v};
}
PAH_SIM_INLINE PAH_T PAH_NAME3(__short_as_, PAH_N, )(short v) {
  return PAH_RAW{(unsigned short)v};
}

/* ---- Pairs ---- */

PAH_SIM_INLINE PAH_T2 PAH_NAME3(make_, PAH_N2, )(PAH_T a, PAH_T b) {
  return PAH_T2(a, b);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__halves2, PAH_N2, )(PAH_T a, PAH_T b) {
  return PAH_T2(a, b);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME5(__, PAH_N, 2, PAH_N2, )(PAH_T a) {
  return PAH_T2(a, a);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__floats2, PAH_N2, _rn)(float a, float b) {
  PAH_T2 r;
  pah_sim_round(r.x, a);
  pah_sim_round(r.y, b);
  return r;
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__float2, PAH_N2, _rn)(float a) {
  return PAH_NAME3(__floats2, PAH_N2, _rn)(a, a);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__float22, PAH_N2, _rn)(float2 v) {
  return PAH_NAME3(__floats2, PAH_N2, _rn)(v.x, v.y);
}
PAH_SIM_INLINE float2 PAH_NAME3(__, PAH_N2, 2float2)(PAH_T2 a) {
  return make_float2((float)pah_sim_value(a.x), (float)pah_sim_value(a.y));
}
PAH_SIM_INLINE float __low2float(PAH_T2 a) {
  return (float)pah_sim_value(a.x);
}
PAH_SIM_INLINE float __high2float(PAH_T2 a) {
  return (float)pah_sim_value(a.y);
}
PAH_SIM_INLINE PAH_T PAH_NAME3(__low2, PAH_N, )(PAH_T2 a) {
  return a.x;
}
PAH_SIM_INLINE PAH_T PAH_NAME3(__high2, PAH_N, )(PAH_T2 a) {
  return a.y;
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__low2, PAH_N2, )(PAH_T2 a) {
  return PAH_T2(a.x, a.x);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__high2, PAH_N2, )(PAH_T2 a) {
  return PAH_T2(a.y, a.y);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__lows2, PAH_N2, )(PAH_T2 a, PAH_T2 b) {
  return PAH_T2(a.x, b.x);
}
PAH_SIM_INLINE PAH_T2 PAH_NAME3(__highs2, PAH_N2, )(PAH_T2 a, PAH_T2 b) {
  return PAH_T2(a.y, b.y);
}
PAH_SIM_INLINE PAH_T2 __lowhigh2highlow(PAH_T2 a) {
  return PAH_T2(a.y, a.x);
}

#undef PAH_FROM
#undef PAH_FROM_ALL
#undef PAH_TO_ALL
#undef PAH_INTEGER
#undef PAH_GLUE5
#undef PAH_NAME5
#undef PAH_NAME3
