/* cuComplex.h - CUDA's complex numbers in C's manner, for sim: float2 and double2 with functions. */
#ifndef PAH_SIM_CU_COMPLEX_H
#define PAH_SIM_CU_COMPLEX_H

typedef float2 cuFloatComplex;
typedef double2 cuDoubleComplex;
typedef cuFloatComplex cuComplex;

/* Division and the absolute value scale first, so that no square overflows. */
#define PAH_SIM_COMPLEX(C, T, made, real, imag, conj, add, sub, mul, div, abs, fma)                                    \
  PAH_SIM_INLINE T real(C a) {                                                                                         \
    return a.x;                                                                                                        \
  }                                                                                                                    \
  PAH_SIM_INLINE T imag(C a) {                                                                                         \
    return a.y;                                                                                                        \
  }                                                                                                                    \
  PAH_SIM_INLINE C made(T re, T im) {                                                                                  \
    C c;                                                                                                               \
    c.x = re;                                                                                                          \
    c.y = im;                                                                                                          \
    return c;                                                                                                          \
  }                                                                                                                    \
  PAH_SIM_INLINE C conj(C a) {                                                                                         \
    return made(a.x, -a.y);                                                                                            \
  }                                                                                                                    \
  PAH_SIM_INLINE C add(C a, C b) {                                                                                     \
    return made(a.x + b.x, a.y + b.y);                                                                                 \
  }                                                                                                                    \
  PAH_SIM_INLINE C sub(C a, C b) {                                                                                     \
    return made(a.x - b.x, a.y - b.y);                                                                                 \
  }                                                                                                                    \
  PAH_SIM_INLINE C mul(C a, C b) {                                                                                     \
    return made(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);                                                         \
  }                                                                                                                    \
  PAH_SIM_INLINE C div(C a, C b) {                                                                                     \
    const T scale = 1 / (std::fabs(b.x) + std::fabs(b.y));                                                             \
    const C n = made(a.x * scale, a.y * scale), d = made(b.x * scale, b.y * scale);                                    \
    const T by = 1 / (d.x * d.x + d.y * d.y);                                                                          \
    return made((n.x * d.x + n.y * d.y) * by, (n.y * d.x - n.x * d.y) * by);                                           \
  }                                                                                                                    \
  PAH_SIM_INLINE T abs(C a) {                                                                                          \
    return std::hypot(a.x, a.y);                                                                                       \
  }                                                                                                                    \
  PAH_SIM_INLINE C fma(C a, C b, C c) {                                                                                \
    return add(mul(a, b), c);                                                                                          \
  }
PAH_SIM_COMPLEX(cuFloatComplex, float, make_cuFloatComplex, cuCrealf, cuCimagf, cuConjf, cuCaddf, cuCsubf, cuCmulf,
                cuCdivf, cuCabsf, cuCfmaf)
PAH_SIM_COMPLEX(cuDoubleComplex, double, make_cuDoubleComplex, cuCreal, cuCimag, cuConj, cuCadd, cuCsub, cuCmul, cuCdiv,
                cuCabs, cuCfma)
#undef PAH_SIM_COMPLEX

PAH_SIM_INLINE cuComplex make_cuComplex(float re, float im) {
  return make_cuFloatComplex(re, im);
}
PAH_SIM_INLINE cuDoubleComplex cuComplexFloatToDouble(cuFloatComplex a) {
  return make_cuDoubleComplex(a.x, a.y);
}
PAH_SIM_INLINE cuFloatComplex cuComplexDoubleToFloat(cuDoubleComplex a) {
  return make_cuFloatComplex((float)a.x, (float)a.y);
}

#endif
