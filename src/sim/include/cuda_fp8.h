/* cuda_fp8.h - fp8 for sim: e4m3 (largest 448, no infinity) and e5m2, singly and packed in twos and fours, the lowest
 * byte first. To fp8 the classes round to nearest even and saturate; NaN becomes 0x7f. Functions as CUDA names them.
 * Read next: pah_sim/numbers/small.h. */
#ifndef PAH_SIM_CUDA_FP8_H
#define PAH_SIM_CUDA_FP8_H

#include "cuda_bf16.h"
#include "cuda_fp16.h"

typedef unsigned char __nv_fp8_storage_t;
typedef unsigned short __nv_fp8x2_storage_t;
typedef unsigned int __nv_fp8x4_storage_t;
enum __nv_saturation_t { __NV_NOSAT, __NV_SATFINITE };
enum __nv_fp8_interpretation_t { __NV_E4M3, __NV_E5M2 };

/* ---- Conversions of numbers ---- */

PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_double_to_fp8(double x, __nv_saturation_t saturate,
                                                         __nv_fp8_interpretation_t kind) {
  return kind == __NV_E4M3 ? pah_sim_encode8<4, 3>(x, 0x7e, 0x7f, saturate == __NV_SATFINITE)
                           : pah_sim_encode8<5, 2>(x, 0x7b, 0x7c, saturate == __NV_SATFINITE);
}
PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_float_to_fp8(float x, __nv_saturation_t saturate,
                                                        __nv_fp8_interpretation_t kind) {
  return __nv_cvt_double_to_fp8(x, saturate, kind);
}
PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_halfraw_to_fp8(__half_raw x, __nv_saturation_t saturate,
                                                          __nv_fp8_interpretation_t kind) {
  return __nv_cvt_double_to_fp8(pah_sim_value(__half(x)), saturate, kind);
}
PAH_SIM_INLINE __nv_fp8_storage_t __nv_cvt_bfloat16raw_to_fp8(__nv_bfloat16_raw x, __nv_saturation_t saturate,
                                                              __nv_fp8_interpretation_t kind) {
  return __nv_cvt_double_to_fp8(pah_sim_value(__nv_bfloat16(x)), saturate, kind);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_double2_to_fp8x2(double2 x, __nv_saturation_t saturate,
                                                              __nv_fp8_interpretation_t kind) {
  return (__nv_fp8x2_storage_t)(__nv_cvt_double_to_fp8(x.x, saturate, kind) |
                                __nv_cvt_double_to_fp8(x.y, saturate, kind) << 8);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_float2_to_fp8x2(float2 x, __nv_saturation_t saturate,
                                                             __nv_fp8_interpretation_t kind) {
  return __nv_cvt_double2_to_fp8x2(double2(x.x, x.y), saturate, kind);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_halfraw2_to_fp8x2(__half2_raw x, __nv_saturation_t saturate,
                                                               __nv_fp8_interpretation_t kind) {
  return __nv_cvt_float2_to_fp8x2(__half22float2(__half2(x)), saturate, kind);
}
PAH_SIM_INLINE __nv_fp8x2_storage_t __nv_cvt_bfloat16raw2_to_fp8x2(__nv_bfloat162_raw x, __nv_saturation_t saturate,
                                                                   __nv_fp8_interpretation_t kind) {
  return __nv_cvt_float2_to_fp8x2(__bfloat1622float2(__nv_bfloat162(x)), saturate, kind);
}
PAH_SIM_INLINE float pah_sim_fp8(unsigned code, __nv_fp8_interpretation_t kind) {
  return kind == __NV_E4M3 ? pah_sim_widen<4, 3, true>(code & 255) : pah_sim_widen<5, 2>(code & 255);
}
PAH_SIM_INLINE __half_raw __nv_cvt_fp8_to_halfraw(__nv_fp8_storage_t x, __nv_fp8_interpretation_t kind) {
  return __half_raw{pah_sim_encode<5, 10>(pah_sim_fp8(x, kind))};
}
PAH_SIM_INLINE __half2_raw __nv_cvt_fp8x2_to_halfraw2(__nv_fp8x2_storage_t x, __nv_fp8_interpretation_t kind) {
  return __half2_raw{__nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)x, kind).x,
                     __nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)(x >> 8), kind).x};
}

/* ---- Classes: their conversions to other types are explicit ---- */

#define PAH_FP8_CLASSES(name, kind)                                                                                    \
  struct name {                                                                                                        \
    __nv_fp8_storage_t __x;                                                                                            \
    name() = default;                                                                                                  \
    PAH_SIM_INLINE explicit name(float v) : __x(__nv_cvt_float_to_fp8(v, __NV_SATFINITE, kind)) {}                     \
    PAH_SIM_INLINE explicit name(double v) : __x(__nv_cvt_double_to_fp8(v, __NV_SATFINITE, kind)) {}                   \
    PAH_SIM_INLINE explicit name(__half v) : __x(__nv_cvt_double_to_fp8(pah_sim_value(v), __NV_SATFINITE, kind)) {}    \
    PAH_SIM_INLINE explicit name(__nv_bfloat16 v)                                                                      \
        : __x(__nv_cvt_double_to_fp8(pah_sim_value(v), __NV_SATFINITE, kind)) {}                                       \
    template <class I, class = std::enable_if_t<std::is_integral<I>::value>>                                           \
    PAH_SIM_INLINE explicit name(I v) : __x(__nv_cvt_double_to_fp8((double)v, __NV_SATFINITE, kind)) {}                \
    PAH_SIM_INLINE explicit operator float() const {                                                                   \
      return pah_sim_fp8(__x, kind);                                                                                   \
    }                                                                                                                  \
    PAH_SIM_INLINE explicit operator double() const {                                                                  \
      return pah_sim_fp8(__x, kind);                                                                                   \
    }                                                                                                                  \
    PAH_SIM_INLINE explicit operator __half() const {                                                                  \
      return __half(__nv_cvt_fp8_to_halfraw(__x, kind));                                                               \
    }                                                                                                                  \
    PAH_SIM_INLINE explicit operator __nv_bfloat16() const {                                                           \
      return __float2bfloat16(pah_sim_fp8(__x, kind));                                                                 \
    }                                                                                                                  \
    PAH_SIM_INLINE explicit operator bool() const {                                                                    \
      return (__x & 0x7f) != 0;                                                                                        \
    }                                                                                                                  \
    template <class I, class = std::enable_if_t<std::is_integral<I>::value && !std::is_same<I, bool>::value>>          \
    PAH_SIM_INLINE explicit operator I() const {                                                                       \
      return pah_sim_integer<I>(pah_sim_fp8(__x, kind));                                                               \
    }                                                                                                                  \
  };                                                                                                                   \
  struct __attribute__((aligned(2))) name##_pair {                                                                     \
    __nv_fp8x2_storage_t __x;                                                                                          \
    name##_pair() = default;                                                                                           \
    PAH_SIM_INLINE explicit name##_pair(float2 v) : __x(__nv_cvt_float2_to_fp8x2(v, __NV_SATFINITE, kind)) {}          \
    PAH_SIM_INLINE explicit name##_pair(double2 v) : __x(__nv_cvt_double2_to_fp8x2(v, __NV_SATFINITE, kind)) {}        \
    PAH_SIM_INLINE explicit name##_pair(__half2 v) : name##_pair(__half22float2(v)) {}                                 \
    PAH_SIM_INLINE explicit name##_pair(__nv_bfloat162 v) : name##_pair(__bfloat1622float2(v)) {}                      \
    PAH_SIM_INLINE explicit operator float2() const {                                                                  \
      return float2(pah_sim_fp8(__x, kind), pah_sim_fp8(__x >> 8, kind));                                              \
    }                                                                                                                  \
    PAH_SIM_INLINE explicit operator __half2() const {                                                                 \
      return __half2(__nv_cvt_fp8x2_to_halfraw2(__x, kind));                                                           \
    }                                                                                                                  \
  };                                                                                                                   \
  struct __attribute__((aligned(4))) name##_four {                                                                     \
    __nv_fp8x4_storage_t __x;                                                                                          \
    name##_four() = default;                                                                                           \
    PAH_SIM_INLINE explicit name##_four(float4 v)                                                                      \
        : __x(__nv_cvt_float2_to_fp8x2(float2(v.x, v.y), __NV_SATFINITE, kind) |                                       \
              (unsigned)__nv_cvt_float2_to_fp8x2(float2(v.z, v.w), __NV_SATFINITE, kind) << 16) {}                     \
    PAH_SIM_INLINE explicit name##_four(double4 v)                                                                     \
        : __x(__nv_cvt_double2_to_fp8x2(double2(v.x, v.y), __NV_SATFINITE, kind) |                                     \
              (unsigned)__nv_cvt_double2_to_fp8x2(double2(v.z, v.w), __NV_SATFINITE, kind) << 16) {}                   \
    PAH_SIM_INLINE explicit name##_four(__half2 a, __half2 b)                                                          \
        : name##_four(float4(__low2float(a), __high2float(a), __low2float(b), __high2float(b))) {}                     \
    PAH_SIM_INLINE explicit name##_four(__nv_bfloat162 a, __nv_bfloat162 b)                                            \
        : name##_four(float4(__low2float(a), __high2float(a), __low2float(b), __high2float(b))) {}                     \
    PAH_SIM_INLINE explicit operator float4() const {                                                                  \
      return float4(pah_sim_fp8(__x, kind), pah_sim_fp8(__x >> 8, kind), pah_sim_fp8(__x >> 16, kind),                 \
                    pah_sim_fp8(__x >> 24, kind));                                                                     \
    }                                                                                                                  \
  };
PAH_FP8_CLASSES(__nv_fp8_e4m3, __NV_E4M3)
PAH_FP8_CLASSES(__nv_fp8_e5m2, __NV_E5M2)
#undef PAH_FP8_CLASSES
typedef __nv_fp8_e4m3_pair __nv_fp8x2_e4m3;
typedef __nv_fp8_e4m3_four __nv_fp8x4_e4m3;
typedef __nv_fp8_e5m2_pair __nv_fp8x2_e5m2;
typedef __nv_fp8_e5m2_four __nv_fp8x4_e5m2;

#endif
