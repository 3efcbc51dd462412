/* cuda_bf16.h - __nv_bfloat16 and __nv_bfloat162 for sim: the upper half of an f32. The functions are CUDA's, as its
 * math manual names them.
 * Read next: pah_sim/numbers/small.h, pah_sim/numbers/pair.h. */
#ifndef PAH_SIM_CUDA_BF16_H
#define PAH_SIM_CUDA_BF16_H

#include "cuda_fp16.h"
#include "pah_sim/numbers/small.h"

#ifdef __CUDA_NO_BFLOAT16_CONVERSIONS__
#define PAH_NO_CONVERSIONS
#endif
#ifdef __CUDA_NO_BFLOAT16_OPERATORS__
#define PAH_NO_OPERATORS
#endif
#define PAH_T __nv_bfloat16
#define PAH_T2 __nv_bfloat162
#define PAH_RAW __nv_bfloat16_raw
#define PAH_RAW2 __nv_bfloat162_raw
#define PAH_OTHER __half
#define PAH_N bfloat16
#define PAH_N2 bfloat162
#define PAH_E 8
#define PAH_M 7
#include "pah_sim/numbers/pair.h"
#include "pah_sim/numbers/pair_functions.h"
#include "pah_sim/numbers/pair_convert.h"
#include "pah_sim/numbers/pair_end.h"

typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

#define CUDART_INF_BF16 __ushort_as_bfloat16((unsigned short)0x7f80)
#define CUDART_NAN_BF16 __ushort_as_bfloat16((unsigned short)0x7fff)
#define CUDART_MIN_DENORM_BF16 __ushort_as_bfloat16((unsigned short)0x0001)
#define CUDART_MAX_NORMAL_BF16 __ushort_as_bfloat16((unsigned short)0x7f7f)
#define CUDART_NEG_ZERO_BF16 __ushort_as_bfloat16((unsigned short)0x8000)
#define CUDART_ZERO_BF16 __ushort_as_bfloat16((unsigned short)0x0000)
#define CUDART_ONE_BF16 __ushort_as_bfloat16((unsigned short)0x3f80)

#endif
