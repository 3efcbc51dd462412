/* ptx/wgmma.h - matrix instructions of a warpgroup (128 threads) on sm_90a: D (64 x N, f32) = A x B, or + D.
 * wgmma_fence(); wgmma_ss<...>(d, a, b, add); ... wgmma_commit_group(); wgmma_wait_group<0>(); only then d may be
 * touched. B lies in shared memory, A there too (_ss) or in registers (_rs, four, laid out as for mma.sync with rows 16
 * per warp). d[i] of a thread is row 16 * warp + g + 8 * (i / 2 % 2), column 8 * (i / 4) + 2 * t + i % 2. Kinds:
 * WGMMA_BF16, WGMMA_F16 (k 16), WGMMA_TF32 (k 8), WGMMA_E4M3_E4M3 and so on (k 32): always 32 bytes of k. Read next:
 * wgmma_table.h, src/sim/ptx/wgmma_operand.c for the layouts in shared memory. */
#ifndef PAH_PTX_WGMMA_H
#define PAH_PTX_WGMMA_H

#include "base.h"

namespace ptx {

enum { SWIZZLE_NONE = 0, SWIZZLE_128 = 1, SWIZZLE_64 = 2, SWIZZLE_32 = 3 }; // as descriptors say it

// Of a matrix in shared memory. leading, stride: bytes, multiples of 16; see "canonical layouts" in the PTX ISA.
// K-major with a swizzle of S bytes: stride = 8 * S (from 8 rows to the next 8), leading is not used.
PAH_PTX u64 wgmma_descriptor(u32 address, int swizzle, u32 leading, u32 stride, u32 base_offset = 0) {
  return (u64)((address & 0x3ffff) >> 4) | (u64)((leading & 0x3ffff) >> 4) << 16 |
         (u64)((stride & 0x3ffff) >> 4) << 32 | (u64)base_offset << 49 | (u64)swizzle << 62;
}

enum {
#ifdef PAH_SIM
  WGMMA_BF16 = PAH_SIM_MMA_BF16,
  WGMMA_F16 = PAH_SIM_MMA_F16,
  WGMMA_TF32 = PAH_SIM_MMA_TF32,
  WGMMA_E4M3_E4M3 = PAH_SIM_MMA_E4M3_E4M3,
  WGMMA_E5M2_E5M2 = PAH_SIM_MMA_E5M2_E5M2,
  WGMMA_E4M3_E5M2 = PAH_SIM_MMA_E4M3_E5M2,
  WGMMA_E5M2_E4M3 = PAH_SIM_MMA_E5M2_E4M3
#else
  WGMMA_BF16,
  WGMMA_F16,
  WGMMA_TF32,
  WGMMA_E4M3_E4M3,
  WGMMA_E5M2_E5M2,
  WGMMA_E4M3_E5M2,
  WGMMA_E5M2_E4M3
#endif
};

// Sums (or A) are not touched before this place by a compiler that moves instructions: to be called after the wait.
template <int Count> PAH_PTX void wgmma_results(float (&d)[Count]) {
#ifdef PAH_SIM
  (void)d;
#else
#pragma unroll
  for (int i = 0; i < Count; i++) asm volatile("" : "+f"(d[i])::"memory");
#endif
}

#ifdef PAH_SIM
PAH_PTX void wgmma_fence() {
  pah_sim_wgmma_fence();
}
PAH_PTX void wgmma_commit_group() {
  pah_sim_wgmma_commit();
}
template <int Groups> PAH_PTX void wgmma_wait_group() {
  pah_sim_wgmma_wait(Groups);
}

template <int Kind, int N, int TransA, int TransB, int SignA, int SignB> PAH_PTX int wgmma_flags(int add) {
  static_assert(N >= 8 && N <= 256 && N % 8 == 0, "wgmma: N is a multiple of 8 from 8 to 256");
  static_assert(Kind <= WGMMA_F16 || (!TransA && !TransB), "wgmma: only 16-bit types may be MN-major");
  return (add ? PAH_SIM_WGMMA_ADD : 0) | (TransA ? PAH_SIM_WGMMA_TRANS_A : 0) | (TransB ? PAH_SIM_WGMMA_TRANS_B : 0) |
         (SignA < 0 ? PAH_SIM_WGMMA_NEGATE_A : 0) | (SignB < 0 ? PAH_SIM_WGMMA_NEGATE_B : 0);
}
template <int Kind, int N, int TransA = 0, int TransB = 0, int SignA = 1, int SignB = 1>
PAH_PTX void wgmma_ss(float (&d)[N / 2], u64 a, u64 b, int add) {
  pah_sim_wgmma(Kind + 16 * N, wgmma_flags<Kind, N, TransA, TransB, SignA, SignB>(add), d, a, b, pah_sim_v4{});
}
template <int Kind, int N, int TransB = 0, int SignA = 1, int SignB = 1>
PAH_PTX void wgmma_rs(float (&d)[N / 2], const u32 (&a)[4], u64 b, int add) {
  const int flags = wgmma_flags<Kind, N, 0, TransB, SignA, SignB>(add) | PAH_SIM_WGMMA_REGISTERS;
  pah_sim_wgmma(Kind + 16 * N, flags, d, 0, b, pack(a));
}
#else
PAH_PTX void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
PAH_PTX void wgmma_commit_group() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int Groups> PAH_PTX void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Groups) : "memory");
}

// One structure per kind and N, made by wgmma_table.h.
template <int Kind, int N> struct wgmma_code;
#include "wgmma_table.h"

// TransA, TransB: stored with k outermost (16-bit types only). SignA, SignB: 1 or -1. add 0: d is not read.
template <int Kind, int N, int TransA = 0, int TransB = 0, int SignA = 1, int SignB = 1>
PAH_PTX void wgmma_ss(float (&d)[N / 2], u64 a, u64 b, int add) {
  wgmma_code<Kind, N>::template ss<TransA, TransB, SignA, SignB>(d, a, b, add);
}
template <int Kind, int N, int TransB = 0, int SignA = 1, int SignB = 1>
PAH_PTX void wgmma_rs(float (&d)[N / 2], const u32 (&a)[4], u64 b, int add) {
  wgmma_code<Kind, N>::template rs<TransB, SignA, SignB>(d, a, b, add);
}
#endif

} // namespace ptx
#endif
