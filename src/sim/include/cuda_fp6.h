/* cuda_fp6.h - fp6 for sim: e2m3 (largest 7.5) and e3m2 (largest 28), a number in a byte. There is neither infinity nor
 * NaN: what is larger becomes the largest number, NaN the positive one. Functions as CUDA names them, rounding to
 * nearest even or toward zero. Read next: pah_sim/numbers/packed.h. */
#ifndef PAH_SIM_CUDA_FP6_H
#define PAH_SIM_CUDA_FP6_H

#include "cuda_fp8.h"

typedef __nv_fp8_storage_t __nv_fp6_storage_t;
typedef __nv_fp8x2_storage_t __nv_fp6x2_storage_t;
typedef __nv_fp8x4_storage_t __nv_fp6x4_storage_t;
enum __nv_fp6_interpretation_t { __NV_E2M3, __NV_E3M2 };

PAH_SIM_INLINE __nv_fp6_storage_t pah_sim_to_fp6(double x, __nv_fp6_interpretation_t kind, cudaRoundMode round) {
  return kind == __NV_E2M3 ? pah_sim_encode_finite<2, 3>(x, round) : pah_sim_encode_finite<3, 2>(x, round);
}
PAH_SIM_INLINE float pah_sim_fp6(unsigned code, __nv_fp6_interpretation_t kind) {
  return kind == __NV_E2M3 ? pah_sim_widen_finite<2, 3>(code) : pah_sim_widen_finite<3, 2>(code);
}
PAH_SIM_PACKED_FROM(fp6, __nv_fp6_storage_t, __nv_fp6x2_storage_t, __nv_fp6_interpretation_t, cudaRoundMode, 8,
                    pah_sim_to_fp6)
PAH_SIM_PACKED_TO(fp6, __nv_fp6_storage_t, __nv_fp6x2_storage_t, __nv_fp6_interpretation_t, 8, pah_sim_fp6)

template <__nv_fp6_interpretation_t kind>
struct pah_sim_kind6 : pah_sim_storage<__nv_fp6_storage_t, __nv_fp6x2_storage_t, __nv_fp6x4_storage_t, 8> {
  static PAH_SIM_INLINE one code(double x) {
    return pah_sim_to_fp6(x, kind, cudaRoundNearest);
  }
  static PAH_SIM_INLINE float value(unsigned code) {
    return pah_sim_fp6(code, kind);
  }
  static PAH_SIM_INLINE bool is(one code) {
    return (code & 0x1f) != 0;
  }
};
PAH_SIM_PACKED(pah_sim_kind6<__NV_E2M3>, __nv_fp6_e2m3, __nv_fp6x2_e2m3, __nv_fp6x4_e2m3)
PAH_SIM_PACKED(pah_sim_kind6<__NV_E3M2>, __nv_fp6_e3m2, __nv_fp6x2_e3m2, __nv_fp6x4_e3m2)

#endif
