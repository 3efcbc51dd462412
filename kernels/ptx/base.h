/* ptx/base.h - what the other parts of ptx.cuh share: the architecture, shared addresses, the names of the emulation.
 * PAH_PTX_ARCH is __CUDA_ARCH__; while nvcc compiles for the host it is the newest, so that every name is known.
 * PAH_PTX_WGMMA says whether the Hopper-only instructions (sm_90a) are there. Read next: mma.h. */
#ifndef PAH_PTX_BASE_H
#define PAH_PTX_BASE_H

#ifdef PAH_SIM
#include "../../src/sim/abi.h"
#include "../../src/sim/abi_ptx.h"
#endif

#ifdef __CUDA_ARCH__
#define PAH_PTX_ARCH __CUDA_ARCH__
#else
#define PAH_PTX_ARCH 900
#endif

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL) || (defined(PAH_SIM) && PAH_PTX_ARCH == 900)
#define PAH_PTX_WGMMA 1
#else
#define PAH_PTX_WGMMA 0
#endif

#define PAH_PTX __device__ __forceinline__

namespace ptx {

typedef unsigned int u32;
typedef unsigned long long u64;

// The address in shared memory of what p points to.
PAH_PTX u32 shared(const void *p) {
#ifdef PAH_SIM
  return pah_sim_shared_address(p);
#else
  return static_cast<u32>(__cvta_generic_to_shared(p));
#endif
}

// The GPU's timer in nanoseconds (no more than rising on sim), and the number of this multiprocessor (each thread block
// has one of its own on sim).
PAH_PTX u64 globaltimer() {
#ifdef PAH_SIM
  return pah_sim_clock();
#else
  u64 now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)::"memory");
  return now;
#endif
}
PAH_PTX u32 smid() {
#ifdef PAH_SIM
  return blockIdx.x;
#else
  u32 id;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
  return id;
#endif
}

#ifdef PAH_SIM
// Registers to and from the structs of the emulation, by value: an array whose address is taken would be memory.
PAH_PTX u32 bits(float x) {
  return __builtin_bit_cast(u32, x);
}
PAH_PTX float real(u32 x) {
  return __builtin_bit_cast(float, x);
}
PAH_PTX pah_sim_v4 pack(u32 a, u32 b, u32 c, u32 d) {
  return pah_sim_v4{{a, b, c, d}};
}
PAH_PTX pah_sim_v4 pack(const u32 (&a)[4]) {
  return pah_sim_v4{{a[0], a[1], a[2], a[3]}};
}
PAH_PTX pah_sim_v4 pack(const float (&a)[4]) {
  return pah_sim_v4{{bits(a[0]), bits(a[1]), bits(a[2]), bits(a[3])}};
}
#endif

} // namespace ptx
#endif
