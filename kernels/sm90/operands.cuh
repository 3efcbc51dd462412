/* sm90/operands.cuh - the types that the forward multiplies in, which follow from those of q and of the cache:
 *   q         cache   Q K^T            weights x V
 *   16 bits   same    as they are      as V                       nothing is rewritten
 *   16 bits   fp8     K becomes as q   f16 x f16                  K and V are widened on their way
 *   fp8       fp8     as they are      e4m3 x V                   V is staged: fp8 wgmma wants its tokens innermost
 *   fp8       fp8     as they are      f16 x V, with WIDE_VALUES  V is staged: for results with more bits than fp8
 * Read next: config.cuh, fp8/widener.cuh, fp8/staging.cuh. */
#pragma once
#include "ptx.cuh"
#include "row_options.cuh"
#include "types.cuh"

#ifndef WIDE_VALUES
#define WIDE_VALUES 0
#endif
#ifndef P_LOG2
#define P_LOG2 (P_SIZE == 1 ? 8 : KV_SIZE == 1 ? 6 : 0) /* weights are 2^P_LOG2 times exp(score - maximum) */
#endif

constexpr bool FP8_Q = sizeof(Q_T) == 1;
typedef either<FP8_Q, KV_T, Q_T>::type K_T; /* K and V as they are multiplied, and the weights */
typedef either<sizeof(KV_T) == 2, KV_T, either<!FP8_Q || WIDE_VALUES, f16, KV_T>::type>::type V_T;
typedef either<sizeof(V_T) == 2, V_T, fp8_e4m3>::type P_T;
constexpr int Q_SIZE = sizeof(Q_T), V_SIZE = sizeof(V_T), P_SIZE = sizeof(P_T), KV_SIZE = sizeof(KV_T);
constexpr bool WIDENED = KV_SIZE < Q_SIZE, V_STAGED = KV_SIZE == 1 && !WIDENED;

template <class A, class B> struct wgmma_kind;
template <> struct wgmma_kind<bf16, bf16> { static constexpr int value = ptx::WGMMA_BF16; };
template <> struct wgmma_kind<f16, f16> { static constexpr int value = ptx::WGMMA_F16; };
template <> struct wgmma_kind<fp8_e4m3, fp8_e4m3> { static constexpr int value = ptx::WGMMA_E4M3_E4M3; };
template <> struct wgmma_kind<fp8_e4m3, fp8_e5m2> { static constexpr int value = ptx::WGMMA_E4M3_E5M2; };
template <> struct wgmma_kind<fp8_e5m2, fp8_e4m3> { static constexpr int value = ptx::WGMMA_E5M2_E4M3; };
template <> struct wgmma_kind<fp8_e5m2, fp8_e5m2> { static constexpr int value = ptx::WGMMA_E5M2_E5M2; };
constexpr int QK_KIND = wgmma_kind<Q_T, K_T>::value, PV_KIND = wgmma_kind<P_T, V_T>::value;

/* Shared memory holds columns of so many elements: a row of one is 128 bytes, or 64 where head_dim is no multiple of
 * that, swizzled, as bulk copies and wgmma want it. */
__host__ __device__ constexpr int columns_of(int head_dim, int size) {
  return head_dim % (128 / size) == 0 ? 128 / size : 64 / size;
}
__host__ __device__ constexpr int swizzle_of(int row_bytes) {
  return row_bytes == 128 ? ptx::SWIZZLE_128 : row_bytes == 64 ? ptx::SWIZZLE_64 : ptx::SWIZZLE_32;
}
