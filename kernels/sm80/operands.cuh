/* operands.cuh - from shared memory to the tensor cores, for each type of the cache. bf16 and f16 are multiplied as
 * they are. fp8 is widened to f16 in registers, which holds all of its values: two conversions for four elements of K,
 * and one permutation more for V. For that a lane must hold four neighbours of a key, so along D the order of
 * multiplication differs from that in memory, for Q and K alike, and so do the places of the sums: see element_of().
 * The layouts of fragments are in ptx/mma.h; g is lane / 4, t is lane % 4. */
#pragma once
#include "tile.cuh"

template <class T> struct operand { /* fp8, and f16 itself */
  static __device__ __forceinline__ void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    ptx::mma_m16n8k16_f16(d, a, b0, b1, d);
  }
  static __device__ __forceinline__ u32 pack(float lo, float hi) {
    return ptx::cvt_f16x2(lo, hi);
  }
};

template <> struct operand<bf16> {
  static __device__ __forceinline__ void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    ptx::mma_m16n8k16_bf16(d, a, b0, b1, d);
  }
  static __device__ __forceinline__ u32 pack(float lo, float hi) {
    return ptx::cvt_bf16x2(lo, hi);
  }
};

using ops = operand<KV_T>;

/* Two of the four elements in x, the low or the high ones, as f16. */
__device__ __forceinline__ u32 widened(fp8_e4m3, u32 x, int high) {
  return ptx::cvt_f16x2_e4m3((unsigned short)(high ? x >> 16 : x));
}
__device__ __forceinline__ u32 widened(fp8_e5m2, u32 x, int high) {
  return __byte_perm(x, 0, high ? 0x3424 : 0x1404);
}
template <class T> __device__ __forceinline__ u32 widened(T, u32 x, int) {
  return x;
}

typedef float scores[KEYS / 16][OCTETS][4]; /* [i / 2]: keys g and g + 8, [i % 2]: rows 2t and 2t + 1 */
typedef float totals[DV / 16][OCTETS][4];   /* likewise, with elements of V in place of keys */
typedef u32 queries[D / 16][OCTETS][2];     /* row g */

/* Which element of V the total [j][][i] is of. */
__device__ __forceinline__ int element_of(int j, int i) {
  int g = threadIdx.x % 32 / 4;
  return FP8 ? 16 * j + 2 * g + i / 2 : 16 * j + i / 2 * 8 + g;
}

/* s += K Q^T */
__device__ __forceinline__ void multiply_keys(scores &s, const queries &q, u32 tile) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < D / 16; k += FP8 ? 2 : 1) {
#pragma unroll
    for (int m = 0; m < KEYS / 16; m++) {
      u32 x[4];
      ptx::ldmatrix_x4(x, along(place<K_ROW>(tile, 16 * m + lane % 16, lane / 16), FP8 ? k : 2 * k));
#pragma unroll
      for (int n = 0; n < (FP8 ? 2 : 1); n++) {
        u32 wide[4] = {widened(KV_T(), x[2 * n], 0), widened(KV_T(), x[2 * n + 1], 0), widened(KV_T(), x[2 * n], 1),
                       widened(KV_T(), x[2 * n + 1], 1)};
#pragma unroll
        for (int r = 0; r < OCTETS; r++) ops::mma(s[m][r], FP8 ? wide : x, q[k + n][r][0], q[k + n][r][1]);
      }
    }
  }
}

/* o += V^T P^T: the weights are turned from (key, row) to (row, key). */
__device__ __forceinline__ void multiply_values(totals &o, const scores &p, u32 tile) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int m = 0; m < KEYS / 16; m++) {
    u32 b[OCTETS][2];
#pragma unroll
    for (int r = 0; r < OCTETS; r++)
#pragma unroll
      for (int i = 0; i < 2; i++) b[r][i] = ptx::movmatrix_trans(ops::pack(p[m][r][2 * i], p[m][r][2 * i + 1]));
#pragma unroll
    for (int j = 0; j < DV / 16; j += FP8 ? 2 : 1) {
      u32 x[4];
      if (FP8)
        ptx::ldmatrix_x4_trans(x, along(place<V_ROW>(tile, 16 * m + lane % 16, lane / 16), j));
      else
        ptx::ldmatrix_x4_trans(x, along(place<V_ROW>(tile, 16 * m + lane / 16 * 8 + lane % 8, lane / 8 % 2), 2 * j));
#pragma unroll
      for (int n = 0; n < (FP8 ? 2 : 1); n++) {
        /* fp8, of two keys: elements d, d + 1 of the first, then of the second; wanted: d of both, d + 1 of both */
        u32 y = __byte_perm(x[2 * n], 0, 0x3120), z = __byte_perm(x[2 * n + 1], 0, 0x3120);
        u32 wide[4] = {widened(KV_T(), y, 0), widened(KV_T(), y, 1), widened(KV_T(), z, 0), widened(KV_T(), z, 1)};
#pragma unroll
        for (int r = 0; r < OCTETS; r++) ops::mma(o[j + n][r], FP8 ? wide : x, b[r][0], b[r][1]);
      }
    }
  }
}
