/* cuda_fp8.h - fp8 for sim: e4m3 (largest 448, no infinity), e5m2 and e8m0 (a power of two alone), singly and packed in
 * twos and fours. Functions as CUDA names them. NaN becomes 0x7f, of e8m0 0xff.
 * Read next: pah_sim/numbers/packed.h, pah_sim/numbers/small.h. */
#ifndef PAH_SIM_CUDA_FP8_H
#define PAH_SIM_CUDA_FP8_H

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "pah_sim/numbers/packed.h"

typedef unsigned char __nv_fp8_storage_t;
typedef unsigned short __nv_fp8x2_storage_t;
typedef unsigned int __nv_fp8x4_storage_t;
enum __nv_saturation_t { __NV_NOSAT, __NV_SATFINITE };
enum __nv_fp8_interpretation_t { __NV_E4M3, __NV_E5M2 };

/* ---- e4m3 and e5m2 ---- */

PAH_SIM_INLINE __nv_fp8_storage_t pah_sim_to_fp8(float x, __nv_saturation_t how, __nv_fp8_interpretation_t kind) {
  return kind == __NV_E4M3 ? pah_sim_encode8<4, 3>(x, 0x7e, 0x7f, how == __NV_SATFINITE)
                           : pah_sim_encode8<5, 2>(x, 0x7b, 0x7c, how == __NV_SATFINITE);
}
/* A NaN of 64 bits becomes a quiet one, with its sign and the upper bits of its mantissa. */
PAH_SIM_INLINE __nv_fp8_storage_t pah_sim_to_fp8(double x, __nv_saturation_t how, __nv_fp8_interpretation_t kind) {
  if (x != x) {
    const unsigned long long bits = __builtin_bit_cast(unsigned long long, x);
    return (unsigned char)((bits >> 63) << 7 | (kind == __NV_E4M3 ? 0x7f : 0x7e | (bits >> 50 & 1)));
  }
  return kind == __NV_E4M3 ? pah_sim_encode8<4, 3>(x, 0x7e, 0x7f, how == __NV_SATFINITE)
                           : pah_sim_encode8<5, 2>(x, 0x7b, 0x7c, how == __NV_SATFINITE);
}
PAH_SIM_INLINE float pah_sim_fp8(unsigned code, __nv_fp8_interpretation_t kind) {
  return kind == __NV_E4M3 ? pah_sim_widen<4, 3, true>(code & 255) : pah_sim_widen<5, 2>(code & 255);
}
PAH_SIM_PACKED_FROM(fp8, __nv_fp8_storage_t, __nv_fp8x2_storage_t, __nv_saturation_t, __nv_fp8_interpretation_t, 8,
                    pah_sim_to_fp8)
PAH_SIM_PACKED_TO(fp8, __nv_fp8_storage_t, __nv_fp8x2_storage_t, __nv_fp8_interpretation_t, 8, pah_sim_fp8)

template <__nv_fp8_interpretation_t kind>
struct pah_sim_kind8 : pah_sim_storage<__nv_fp8_storage_t, __nv_fp8x2_storage_t, __nv_fp8x4_storage_t, 8> {
  template <class T> static PAH_SIM_INLINE one code(T x) {
    return pah_sim_to_fp8(x, __NV_SATFINITE, kind);
  }
  static PAH_SIM_INLINE float value(unsigned code) {
    return pah_sim_fp8(code, kind);
  }
  static PAH_SIM_INLINE bool is(one code) {
    return (code & 0x7f) != 0;
  }
};
PAH_SIM_PACKED(pah_sim_kind8<__NV_E4M3>, __nv_fp8_e4m3, __nv_fp8x2_e4m3, __nv_fp8x4_e4m3)
PAH_SIM_PACKED(pah_sim_kind8<__NV_E5M2>, __nv_fp8_e5m2, __nv_fp8x2_e5m2, __nv_fp8x4_e5m2)

/* ---- e8m0: 2^(code - 127), of the magnitude of a number, toward zero or up ---- */

PAH_SIM_INLINE __nv_fp8_storage_t pah_sim_to_e8m0(double x, __nv_saturation_t how, cudaRoundMode round) {
  if (x != x) return 0xff;
  const double a = __builtin_fabs(x);
  const bool stays = how == __NV_SATFINITE || (round == cudaRoundZero && !__builtin_isinf(a));
  const unsigned largest = stays ? 0xfe : 0xff;
  if (a <= 0x1p-127) return 0;
  if (__builtin_isinf(a)) return (unsigned char)largest;
  int exponent = __builtin_ilogb(a);
  if (round == cudaRoundPosInf && a > __builtin_ldexp(1, exponent)) exponent++;
  const unsigned code = exponent < -127 ? 0 : (unsigned)exponent + 127;
  return (unsigned char)(code < largest ? code : largest);
}
PAH_SIM_INLINE float pah_sim_e8m0(unsigned code) {
  code &= 255;
  return code == 0xff ? __builtin_bit_cast(float, 0x7fff0000u)
                      : __builtin_bit_cast(float, code == 0 ? 0x00400000u : code << 23);
}
PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_double_to_e8m0(double x, __nv_saturation_t how, cudaRoundMode round) {
  return pah_sim_to_e8m0(x, how, round);
}
PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_float_to_e8m0(float x, __nv_saturation_t how, cudaRoundMode round) {
  return pah_sim_to_e8m0(x, how, round);
}
PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_bfloat16raw_to_e8m0(__nv_bfloat16_raw x, __nv_saturation_t how,
                                                               cudaRoundMode round) {
  return pah_sim_to_e8m0(pah_sim_widen<8, 7>(x.x), how, round);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_double2_to_e8m0x2(double2 x, __nv_saturation_t how, cudaRoundMode round) {
  return (__nv_fp8x2_storage_t)(pah_sim_to_e8m0(x.x, how, round) | pah_sim_to_e8m0(x.y, how, round) << 8);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_float2_to_e8m0x2(float2 x, __nv_saturation_t how, cudaRoundMode round) {
  return __nv_cvt_double2_to_e8m0x2(make_double2(x.x, x.y), how, round);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_bfloat162raw_to_e8m0x2(__nv_bfloat162_raw x, __nv_saturation_t how,
                                                                    cudaRoundMode round) {
  return __nv_cvt_double2_to_e8m0x2(make_double2(pah_sim_widen<8, 7>(x.x), pah_sim_widen<8, 7>(x.y)), how, round);
}
PAH_SIM_INLINE __nv_bfloat16_raw __nv_cvt_e8m0_to_bf16raw(__nv_fp8_storage_t x) {
  return __nv_bfloat16_raw{pah_sim_encode<8, 7>(pah_sim_e8m0(x))};
}
PAH_SIM_INLINE __nv_bfloat162_raw __nv_cvt_e8m0x2_to_bf162raw(__nv_fp8x2_storage_t x) {
  return __nv_bfloat162_raw{pah_sim_encode<8, 7>(pah_sim_e8m0(x)), pah_sim_encode<8, 7>(pah_sim_e8m0(x >> 8))};
}

struct pah_sim_kind_e8m0 : pah_sim_storage<__nv_fp8_storage_t, __nv_fp8x2_storage_t, __nv_fp8x4_storage_t, 8> {
  static PAH_SIM_INLINE one code(double x) {
    return pah_sim_to_e8m0(x, __NV_SATFINITE, cudaRoundPosInf);
  }
  static PAH_SIM_INLINE float value(unsigned code) {
    return pah_sim_e8m0(code);
  }
  static PAH_SIM_INLINE bool is(one) {
    return true;
  }
};
PAH_SIM_PACKED(pah_sim_kind_e8m0, __nv_fp8_e8m0, __nv_fp8x2_e8m0, __nv_fp8x4_e8m0)

#endif
