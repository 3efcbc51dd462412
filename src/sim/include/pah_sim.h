/* pah_sim.h - the device's view of CUDA C++ for sim: included before every .cu by the compiler's -include, so that the
 * source stays as it is. Needs no CUDA Toolkit. Parts: types, builtins, atomics, math, entry; the headers beside it
 * stand for those of the toolkit (cuda_fp16.h, cooperative_groups.h, ...).
 * Standard headers of the host are device code too. */
#ifndef PAH_SIM_H
#define PAH_SIM_H

/* The CUDA that it is like. */
#define CUDA_VERSION 12080
#define CUDART_VERSION CUDA_VERSION
#define __CUDACC_VER_MAJOR__ (CUDA_VERSION / 1000)
#define __CUDACC_VER_MINOR__ (CUDA_VERSION % 1000 / 10)
#define __CUDACC_VER_BUILD__ 0
#define __NVCC__ 1

/* `#if __CUDA_ARCH_HAS_FEATURE__(SM90_ALL)`, and the numbers that say the same. */
#define __CUDA_ARCH_HAS_FEATURE__(feature) __CUDA_ARCH_FEAT_##feature
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define __CUDA_ARCH_SPECIFIC__ __CUDA_ARCH__
#define __CUDA_ARCH_FAMILY_SPECIFIC__ __CUDA_ARCH__
#endif

/* CUDA's words are macros there, which headers for any compiler ask for (#ifndef __host__); sim/compile/words.c gives
 * them their meaning. */
#define __host__ __host__
#define __device__ __device__
#define __global__ __global__
#define __shared__ __shared__
#define __constant__ __constant__
#define __managed__ __managed__
#define __grid_constant__ __grid_constant__
#define __launch_bounds__ __launch_bounds__
#define __forceinline__ __forceinline__
#define __noinline__ __noinline__
#define __align__ __align__

/* The toolkit's headers put these around what is old. */
#define __NV_SILENCE_DEPRECATION_BEGIN
#define __NV_SILENCE_DEPRECATION_END

#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include "../abi.h"
#include "pah_sim/types.h"
#include "pah_sim/host_types.h"
#include "pah_sim/builtins.h"
#include "pah_sim/atomics.h"
#include "pah_sim/nv_atomic.h"
#include "pah_sim/math.h"
#include "pah_sim/meaning.h"
#include "pah_sim/ptx.h"
#include "pah_sim/refused.h"
#include "pah_sim/entry.h"

#endif
