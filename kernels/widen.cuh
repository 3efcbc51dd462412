/* widen.cuh - fp8 as f16 or bf16, which hold all of its values, NaN too: two elements at a time, or eight.
 * Read next: sm90/fp8/widener.cuh, page_fetch.cuh, sm80/operands.cuh. */
#pragma once
#include "ptx.cuh"
#include "types.cuh"

/* Two elements, the low half of `pair`. */
__device__ __forceinline__ unsigned widened(f16, fp8_e4m3, unsigned pair) {
  return ptx::cvt_f16x2_e4m3((unsigned short)pair);
}
__device__ __forceinline__ unsigned widened(f16, fp8_e5m2, unsigned pair) {
  return __byte_perm(pair, 0, 0x1404);
}
__device__ __forceinline__ unsigned bf16_of_f16(unsigned pair) {
  float lo, hi;
  ptx::cvt_f32x2_f16x2(lo, hi, pair);
  return ptx::cvt_bf16x2(lo, hi);
}
__device__ __forceinline__ unsigned widened(bf16, fp8_e4m3 from, unsigned pair) {
  return bf16_of_f16(widened(f16(), from, pair));
}
__device__ __forceinline__ unsigned widened(bf16, fp8_e5m2 from, unsigned pair) {
  return bf16_of_f16(widened(f16(), from, pair));
}
template <class To, class From> __device__ __forceinline__ unsigned widened(To, From, unsigned pair) { /* never */
  return pair;
}

/* Eight elements. */
template <class To, class From> __device__ __forceinline__ uint4 widened_words(unsigned x, unsigned y) {
  const From from = {};
  return make_uint4(widened(To(), from, x), widened(To(), from, x >> 16), widened(To(), from, y),
                    widened(To(), from, y >> 16));
}
