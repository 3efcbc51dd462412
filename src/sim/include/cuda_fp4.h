/* cuda_fp4.h - fp4 for sim: e2m1, the numbers 0, 0.5, 1, 1.5, 2, 3, 4, 6 with a sign; two of them to a byte. There is
 * neither infinity nor NaN: what is larger becomes 6, and so does NaN. Functions as CUDA names them, rounding to
 * nearest even or toward zero. Read next: pah_sim/numbers/packed.h. */
#ifndef PAH_SIM_CUDA_FP4_H
#define PAH_SIM_CUDA_FP4_H

#include "cuda_fp6.h"

typedef __nv_fp8_storage_t __nv_fp4_storage_t;
typedef __nv_fp8_storage_t __nv_fp4x2_storage_t;
typedef __nv_fp8x2_storage_t __nv_fp4x4_storage_t;
enum __nv_fp4_interpretation_t { __NV_E2M1 };

PAH_SIM_INLINE __nv_fp4_storage_t pah_sim_to_fp4(double x, __nv_fp4_interpretation_t, cudaRoundMode round) {
  return pah_sim_encode_finite<2, 1>(x, round);
}
PAH_SIM_INLINE float pah_sim_fp4(unsigned code, __nv_fp4_interpretation_t) {
  return pah_sim_widen_finite<2, 1>(code);
}
PAH_SIM_PACKED_FROM(fp4, __nv_fp4_storage_t, __nv_fp4x2_storage_t, __nv_fp4_interpretation_t, cudaRoundMode, 4,
                    pah_sim_to_fp4)
PAH_SIM_PACKED_TO(fp4, __nv_fp4_storage_t, __nv_fp4x2_storage_t, __nv_fp4_interpretation_t, 4, pah_sim_fp4)

struct pah_sim_kind4 : pah_sim_storage<__nv_fp4_storage_t, __nv_fp4x2_storage_t, __nv_fp4x4_storage_t, 4> {
  static PAH_SIM_INLINE one code(double x) {
    return pah_sim_encode_finite<2, 1>(x, cudaRoundNearest);
  }
  static PAH_SIM_INLINE float value(unsigned code) {
    return pah_sim_widen_finite<2, 1>(code);
  }
  static PAH_SIM_INLINE bool is(one code) {
    return (code & 7) != 0;
  }
};
PAH_SIM_PACKED(pah_sim_kind4, __nv_fp4_e2m1, __nv_fp4x2_e2m1, __nv_fp4x4_e2m1)

#endif
