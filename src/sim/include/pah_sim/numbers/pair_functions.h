/* pair_functions.h - the functions that __half and __nv_bfloat16 share by name: arithmetic, comparisons,
 * elementary functions, of one and of a pair. Included once for each, as pah_sim/numbers/pair.h.
 * Sums, products, quotients, roots and __hfma round once; elementary functions are those of double, rounded. */

#define PAH_BOTH(name2, parameters2, ...)                                                                              \
  PAH_SIM_INLINE PAH_T2 name2 parameters2 {                                                                            \
    return PAH_T2(__VA_ARGS__);                                                                                        \
  }
#define PAH_UNARY(name, name2, expression)                                                                             \
  PAH_SIM_INLINE PAH_T name(PAH_T a) {                                                                                 \
    return pah_sim_map([](double x) { return expression; }, a);                                                        \
  }                                                                                                                    \
  PAH_BOTH(name2, (PAH_T2 a), name(a.x), name(a.y))
#define PAH_BINARY(name, name2, expression)                                                                            \
  PAH_SIM_INLINE PAH_T name(PAH_T a, PAH_T b) {                                                                        \
    return pah_sim_map([](double x, double y) { return expression; }, a, b);                                           \
  }                                                                                                                    \
  PAH_BOTH(name2, (PAH_T2 a, PAH_T2 b), name(a.x, b.x), name(a.y, b.y))

/* ---- Arithmetic ---- */

PAH_BINARY(__hadd, __hadd2, pah_sim_odd_sum(x, y))
PAH_BINARY(__hsub, __hsub2, pah_sim_odd_sum(x, -y))
PAH_BINARY(__hmul, __hmul2, x *y)
PAH_BINARY(__hdiv, __h2div, x / y)
PAH_BINARY(__hadd_rn, __hadd2_rn, pah_sim_odd_sum(x, y))
PAH_BINARY(__hsub_rn, __hsub2_rn, pah_sim_odd_sum(x, -y))
PAH_BINARY(__hmul_rn, __hmul2_rn, x *y)
/* To [0, 1]; NaN becomes 0. */
#define PAH_SATURATED(v) ((v) > 0 ? (v) < 1 ? (v) : 1.0 : 0.0)
PAH_BINARY(__hadd_sat, __hadd2_sat, PAH_SATURATED(pah_sim_odd_sum(x, y)))
PAH_BINARY(__hsub_sat, __hsub2_sat, PAH_SATURATED(pah_sim_odd_sum(x, -y)))
PAH_BINARY(__hmul_sat, __hmul2_sat, PAH_SATURATED(x *y))

/* The product is exact in double, the sum rounded to odd: one rounding in all. */
#define PAH_FMA(name, name2, expression)                                                                               \
  PAH_SIM_INLINE PAH_T name(PAH_T a, PAH_T b, PAH_T c) {                                                               \
    double v = pah_sim_odd_sum(pah_sim_value(a) * pah_sim_value(b), pah_sim_value(c));                                 \
    PAH_T r;                                                                                                           \
    pah_sim_round(r, expression);                                                                                      \
    return r;                                                                                                          \
  }                                                                                                                    \
  PAH_BOTH(name2, (PAH_T2 a, PAH_T2 b, PAH_T2 c), name(a.x, b.x, c.x), name(a.y, b.y, c.y))
PAH_FMA(__hfma, __hfma2, v)
PAH_FMA(__hfma_sat, __hfma2_sat, PAH_SATURATED(v))
PAH_FMA(__hfma_relu, __hfma2_relu, v < 0 ? 0.0 : v)
#undef PAH_FMA
/* a * b + c of complex numbers. */
PAH_SIM_INLINE PAH_T2 __hcmadd(PAH_T2 a, PAH_T2 b, PAH_T2 c) {
  PAH_T minus = PAH_RAW{(unsigned short)(a.y.__x ^ 0x8000)};
  return PAH_T2(__hfma(minus, b.y, __hfma(a.x, b.x, c.x)), __hfma(a.y, b.x, __hfma(a.x, b.y, c.y)));
}
PAH_BOTH(__hneg2, (PAH_T2 a), __hneg(a.x), __hneg(a.y))
PAH_BOTH(__habs2, (PAH_T2 a), __habs(a.x), __habs(a.y))

/* ---- Comparisons: of one bool; of a pair 1.0 or 0.0, both as one bool (__hb...), or masks ---- */

#define PAH_COMPARE(eq, expression)                                                                                    \
  PAH_SIM_INLINE bool __h##eq(PAH_T a, PAH_T b) {                                                                      \
    double x = pah_sim_value(a), y = pah_sim_value(b);                                                                 \
    return expression;                                                                                                 \
  }                                                                                                                    \
  PAH_SIM_INLINE PAH_T2 __h##eq##2(PAH_T2 a, PAH_T2 b) {                                                               \
    PAH_T2 r;                                                                                                          \
    pah_sim_round(r.x, __h##eq(a.x, b.x));                                                                             \
    pah_sim_round(r.y, __h##eq(a.y, b.y));                                                                             \
    return r;                                                                                                          \
  }                                                                                                                    \
  PAH_SIM_INLINE bool __hb##eq##2(PAH_T2 a, PAH_T2 b) {                                                                \
    return __h##eq(a.x, b.x) && __h##eq(a.y, b.y);                                                                     \
  }                                                                                                                    \
  PAH_SIM_INLINE unsigned __h##eq##2_mask(PAH_T2 a, PAH_T2 b) {                                                        \
    return (__h##eq(a.x, b.x) ? 0xffffu : 0) | (__h##eq(a.y, b.y) ? 0xffff0000u : 0);                                  \
  }
PAH_COMPARE(eq, x == y)
PAH_COMPARE(ne, x<y || x> y)
PAH_COMPARE(lt, x < y)
PAH_COMPARE(gt, x > y)
PAH_COMPARE(le, x <= y)
PAH_COMPARE(ge, x >= y)
PAH_COMPARE(equ, !(x < y || x > y)) /* unordered: true when either is NaN */
PAH_COMPARE(neu, x != y)
PAH_COMPARE(ltu, !(x >= y))
PAH_COMPARE(gtu, !(x <= y))
PAH_COMPARE(leu, !(x > y))
PAH_COMPARE(geu, !(x < y))
#undef PAH_COMPARE

PAH_SIM_INLINE bool __hisnan(PAH_T a) {
  return pah_sim_value(a) != pah_sim_value(a);
}
PAH_SIM_INLINE int __hisinf(PAH_T a) {
  double x = pah_sim_value(a);
  return __builtin_isinf(x) ? x > 0 ? 1 : -1 : 0;
}
PAH_SIM_INLINE PAH_T2 __hisnan2(PAH_T2 a) {
  PAH_T2 r;
  pah_sim_round(r.x, __hisnan(a.x));
  pah_sim_round(r.y, __hisnan(a.y));
  return r;
}
/* NaN gives way to a number; in the functions ending in _nan it stays. -0 is less than +0. */
#define PAH_LESS(x, y) ((x) < (y) || ((x) == (y) && __builtin_signbit(x) > __builtin_signbit(y)))
PAH_BINARY(__hmin, __hmin2, x != x ? y : y != y || !PAH_LESS(y, x) ? x : y)
PAH_BINARY(__hmax, __hmax2, x != x ? y : y != y || !PAH_LESS(x, y) ? x : y)
PAH_BINARY(__hmin_nan, __hmin2_nan, x != x || y != y ? x + y : PAH_LESS(y, x) ? y : x)
PAH_BINARY(__hmax_nan, __hmax2_nan, x != x || y != y ? x + y : PAH_LESS(x, y) ? y : x)
#undef PAH_LESS

/* ---- Elementary functions ---- */

PAH_UNARY(hsqrt, h2sqrt, __builtin_sqrt(x))
PAH_UNARY(hrsqrt, h2rsqrt, 1 / __builtin_sqrt(x))
PAH_UNARY(hrcp, h2rcp, 1 / x)
PAH_UNARY(hexp, h2exp, __builtin_exp(x))
PAH_UNARY(hexp2, h2exp2, __builtin_exp2(x))
PAH_UNARY(hexp10, h2exp10, __builtin_pow(10.0, x))
PAH_UNARY(hlog, h2log, __builtin_log(x))
PAH_UNARY(hlog2, h2log2, __builtin_log2(x))
PAH_UNARY(hlog10, h2log10, __builtin_log10(x))
PAH_UNARY(hsin, h2sin, __builtin_sin(x))
PAH_UNARY(hcos, h2cos, __builtin_cos(x))
PAH_UNARY(htanh, h2tanh, __builtin_tanh(x))
PAH_UNARY(htanh_approx, h2tanh_approx, __builtin_tanh(x))
PAH_UNARY(hceil, h2ceil, __builtin_ceil(x))
PAH_UNARY(hfloor, h2floor, __builtin_floor(x))
PAH_UNARY(htrunc, h2trunc, __builtin_trunc(x))
PAH_UNARY(hrint, h2rint, __builtin_rint(x))

#undef PAH_SATURATED
#undef PAH_BINARY
#undef PAH_UNARY
#undef PAH_BOTH
