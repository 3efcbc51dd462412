/* cuda_fp16.h - __half and __half2 for sim: IEEE 754 binary16. The functions are CUDA's, as its math manual names them.
 * Read next: pah_sim/numbers/small.h, pah_sim/numbers/pair.h. */
#ifndef PAH_SIM_CUDA_FP16_H
#define PAH_SIM_CUDA_FP16_H

#include "pah_sim/numbers/small.h"

struct __nv_bfloat16;
#ifdef __CUDA_NO_HALF_CONVERSIONS__
#define PAH_NO_CONVERSIONS
#endif
#ifdef __CUDA_NO_HALF_OPERATORS__
#define PAH_NO_OPERATORS
#endif
#define PAH_T __half
#define PAH_T2 __half2
#define PAH_RAW __half_raw
#define PAH_RAW2 __half2_raw
#define PAH_OTHER __nv_bfloat16
#define PAH_N half
#define PAH_N2 half2
#define PAH_E 5
#define PAH_M 10
#include "pah_sim/numbers/pair.h"
#include "pah_sim/numbers/pair_functions.h"
#include "pah_sim/numbers/pair_convert.h"
#include "pah_sim/numbers/pair_end.h"

typedef __half half;
typedef __half2 half2;
typedef __half __nv_half;
typedef __half2 __nv_half2;
typedef __half_raw __nv_half_raw;
typedef __half2_raw __nv_half2_raw;
typedef __half nv_half;
typedef __half2 nv_half2;

#define CUDART_INF_FP16 __ushort_as_half((unsigned short)0x7c00)
#define CUDART_NAN_FP16 __ushort_as_half((unsigned short)0x7fff)
#define CUDART_MIN_DENORM_FP16 __ushort_as_half((unsigned short)0x0001)
#define CUDART_MAX_NORMAL_FP16 __ushort_as_half((unsigned short)0x7bff)
#define CUDART_NEG_ZERO_FP16 __ushort_as_half((unsigned short)0x8000)
#define CUDART_ZERO_FP16 __ushort_as_half((unsigned short)0x0000)
#define CUDART_ONE_FP16 __ushort_as_half((unsigned short)0x3c00)

#endif
