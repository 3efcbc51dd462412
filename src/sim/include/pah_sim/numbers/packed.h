/* packed.h - numbers of 4, 6 and 8 bits as classes, singly and packed in twos and fours, the first in the lowest bits:
 * for cuda_fp8.h, cuda_fp6.h and cuda_fp4.h. K says how a number is coded: code() of a double, value() of a code, is()
 * whether it counts as true; `one`, `two`, `four` hold as many, `width` bits each. From other types they round to
 * nearest and saturate (e8m0: up); conversions to other types are explicit. */
#ifndef PAH_SIM_PACKED_H
#define PAH_SIM_PACKED_H

/* What a K begins with. */
template <class One, class Two, class Four, int WIDTH> struct pah_sim_storage {
  typedef One one;
  typedef Two two;
  typedef Four four;
  static constexpr int width = WIDTH;
};

template <class K> struct pah_sim_one {
  typename K::one __x;

  pah_sim_one() = default;
  PAH_SIM_INLINE explicit pah_sim_one(float v) : __x(K::code(v)) {}
  PAH_SIM_INLINE explicit pah_sim_one(double v) : __x(K::code(v)) {}
  PAH_SIM_INLINE explicit pah_sim_one(__half v) : __x(K::code((float)pah_sim_value(v))) {}
  PAH_SIM_INLINE explicit pah_sim_one(__nv_bfloat16 v) : __x(K::code((float)pah_sim_value(v))) {}
  template <class I, class = std::enable_if_t<std::is_integral<I>::value>>
  PAH_SIM_INLINE explicit pah_sim_one(I v)
      : __x(K::code(pah_sim_odd((std::conditional_t<std::is_signed<I>::value, long long, unsigned long long>)v))) {}
  PAH_SIM_INLINE explicit operator float() const {
    return K::value(__x);
  }
  PAH_SIM_INLINE explicit operator double() const {
    return K::value(__x);
  }
  PAH_SIM_INLINE explicit operator __half() const {
    return __float2half_rn(K::value(__x));
  }
  PAH_SIM_INLINE explicit operator __nv_bfloat16() const {
    return __float2bfloat16_rn(K::value(__x));
  }
  PAH_SIM_INLINE explicit operator bool() const {
    return K::is(__x);
  }
  template <class I, class = std::enable_if_t<std::is_integral<I>::value && !std::is_same<I, bool>::value>>
  PAH_SIM_INLINE explicit operator I() const {
    return pah_sim_integer<I>(K::value(__x));
  }
};

template <class K> struct __attribute__((aligned(sizeof(typename K::two)))) pah_sim_two {
  typename K::two __x;

  pah_sim_two() = default;
  PAH_SIM_INLINE explicit pah_sim_two(double2 v) : __x((typename K::two)(K::code(v.x) | K::code(v.y) << K::width)) {}
  PAH_SIM_INLINE explicit pah_sim_two(float2 v) : __x((typename K::two)(K::code(v.x) | K::code(v.y) << K::width)) {}
  PAH_SIM_INLINE explicit pah_sim_two(__half2 v) : pah_sim_two(__half22float2(v)) {}
  PAH_SIM_INLINE explicit pah_sim_two(__nv_bfloat162 v) : pah_sim_two(__bfloat1622float2(v)) {}
  PAH_SIM_INLINE explicit operator float2() const {
    return make_float2(K::value(__x), K::value(__x >> K::width));
  }
  PAH_SIM_INLINE explicit operator __half2() const {
    return __floats2half2_rn(K::value(__x), K::value(__x >> K::width));
  }
  PAH_SIM_INLINE explicit operator __nv_bfloat162() const {
    return __floats2bfloat162_rn(K::value(__x), K::value(__x >> K::width));
  }
};

template <class K> struct __attribute__((aligned(sizeof(typename K::four)))) pah_sim_four {
  typename K::four __x;

  pah_sim_four() = default;
  template <class T> static PAH_SIM_INLINE typename K::four codes(T a, T b, T c, T d) {
    return (typename K::four)(K::code(a) | K::code(b) << K::width | K::code(c) << 2 * K::width |
                              (unsigned)K::code(d) << 3 * K::width);
  }
  PAH_SIM_INLINE explicit pah_sim_four(float4 v) : __x(codes(v.x, v.y, v.z, v.w)) {}
  PAH_SIM_INLINE explicit pah_sim_four(double4 v) : __x(codes(v.x, v.y, v.z, v.w)) {}
  PAH_SIM_INLINE explicit pah_sim_four(double4_16a v) : __x(codes(v.x, v.y, v.z, v.w)) {}
  PAH_SIM_INLINE explicit pah_sim_four(double4_32a v) : __x(codes(v.x, v.y, v.z, v.w)) {}
  PAH_SIM_INLINE explicit pah_sim_four(__half2 a, __half2 b)
      : __x(codes(__low2float(a), __high2float(a), __low2float(b), __high2float(b))) {}
  PAH_SIM_INLINE explicit pah_sim_four(__nv_bfloat162 a, __nv_bfloat162 b)
      : __x(codes(__low2float(a), __high2float(a), __low2float(b), __high2float(b))) {}
  PAH_SIM_INLINE explicit operator float4() const {
    return make_float4(K::value(__x), K::value(__x >> K::width), K::value(__x >> 2 * K::width),
                       K::value(__x >> 3 * K::width));
  }
};

/* CUDA's names of the three. */
#define PAH_SIM_PACKED(K, one_name, two_name, four_name)                                                               \
  struct one_name : pah_sim_one<K> {                                                                                   \
    using pah_sim_one<K>::pah_sim_one;                                                                                 \
  };                                                                                                                   \
  struct two_name : pah_sim_two<K> {                                                                                   \
    using pah_sim_two<K>::pah_sim_two;                                                                                 \
  };                                                                                                                   \
  struct four_name : pah_sim_four<K> {                                                                                 \
    using pah_sim_four<K>::pah_sim_four;                                                                               \
  };

/* The functions that make codes, __nv_cvt_float_to_fp8 and its like: from each type, of one and of two. `kind` is the
 * enumeration of formats, `how` that of saturation or rounding; code(x, a, b) does it. */
#define PAH_SIM_PACKED_FROM(fp, one, two, A, B, width, code)                                                           \
  PAH_SIM_INLINE one __nv_cvt_double_to_##fp(double x, A a, B b) {                                                     \
    return code(x, a, b);                                                                                              \
  }                                                                                                                    \
  PAH_SIM_INLINE one __nv_cvt_float_to_##fp(float x, A a, B b) {                                                       \
    return code(x, a, b);                                                                                              \
  }                                                                                                                    \
  PAH_SIM_INLINE one __nv_cvt_halfraw_to_##fp(__half_raw x, A a, B b) {                                                \
    return code(pah_sim_widen<5, 10>(x.x), a, b);                                                                      \
  }                                                                                                                    \
  PAH_SIM_INLINE one __nv_cvt_bfloat16raw_to_##fp(__nv_bfloat16_raw x, A a, B b) {                                     \
    return code(pah_sim_widen<8, 7>(x.x), a, b);                                                                       \
  }                                                                                                                    \
  PAH_SIM_INLINE two __nv_cvt_double2_to_##fp##x2(double2 x, A a, B b) {                                               \
    return (two)(code(x.x, a, b) | code(x.y, a, b) << width);                                                          \
  }                                                                                                                    \
  PAH_SIM_INLINE two __nv_cvt_float2_to_##fp##x2(float2 x, A a, B b) {                                                 \
    return (two)(code(x.x, a, b) | code(x.y, a, b) << width);                                                          \
  }                                                                                                                    \
  PAH_SIM_INLINE two __nv_cvt_halfraw2_to_##fp##x2(__half2_raw x, A a, B b) {                                          \
    return (two)(code(pah_sim_widen<5, 10>(x.x), a, b) | code(pah_sim_widen<5, 10>(x.y), a, b) << width);              \
  }                                                                                                                    \
  PAH_SIM_INLINE two __nv_cvt_bfloat16raw2_to_##fp##x2(__nv_bfloat162_raw x, A a, B b) {                               \
    return (two)(code(pah_sim_widen<8, 7>(x.x), a, b) | code(pah_sim_widen<8, 7>(x.y), a, b) << width);                \
  }
#define PAH_SIM_PACKED_TO(fp, one, two, kind_type, width, value)                                                       \
  PAH_SIM_INLINE __half_raw __nv_cvt_##fp##_to_halfraw(one x, kind_type kind) {                                        \
    return __half_raw{pah_sim_encode<5, 10>(value(x, kind))};                                                          \
  }                                                                                                                    \
  PAH_SIM_INLINE __half2_raw __nv_cvt_##fp##x2_to_halfraw2(two x, kind_type kind) {                                    \
    return __half2_raw{pah_sim_encode<5, 10>(value(x, kind)), pah_sim_encode<5, 10>(value(x >> width, kind))};         \
  }

#endif
