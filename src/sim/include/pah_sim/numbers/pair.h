/* pair.h - a 16-bit floating-point type and its pair: the two structs, their conversions and operators.
 * Included once for __half and once for __nv_bfloat16, which differ in PAH_T, PAH_T2, their raw structs and the bits of
 * exponent and mantissa (PAH_E, PAH_M); PAH_OTHER is the other one. The scalar copies as one access of 2 bytes, the
 * pair as one of 4. Read next: pah_sim/numbers/pair_functions.h. */

struct __attribute__((aligned(2))) PAH_RAW {
  unsigned short x;
};
struct __attribute__((aligned(4))) PAH_RAW2 {
  unsigned short x, y;
};

/* To integers, as PTX converts. */
#define PAH_TO(I)                                                                                                      \
  PAH_SIM_INLINE operator I() const {                                                                                  \
    return pah_sim_integer<I>(pah_sim_widen<PAH_E, PAH_M>(__x));                                                       \
  }
/* clang-format off */
#define PAH_TO_ALL_INTEGERS                                                                                            \
  PAH_TO(char) PAH_TO(signed char) PAH_TO(unsigned char) PAH_TO(short) PAH_TO(unsigned short) PAH_TO(int) \
  PAH_TO(unsigned) PAH_TO(long) PAH_TO(unsigned long) PAH_TO(long long) PAH_TO(unsigned long long)
/* clang-format on */

struct __attribute__((aligned(2))) PAH_T {
  unsigned short __x;

  PAH_T() = default;
  PAH_SIM_INLINE constexpr PAH_T(const PAH_RAW &raw) : __x(raw.x) {}
#ifndef PAH_NO_CONVERSIONS
  PAH_SIM_INLINE PAH_T(float v) : __x(pah_sim_encode<PAH_E, PAH_M>(v)) {}
  PAH_SIM_INLINE PAH_T(double v) : __x(pah_sim_encode<PAH_E, PAH_M>(v)) {}
  template <class I, class = std::enable_if_t<std::is_integral<I>::value>>
  PAH_SIM_INLINE PAH_T(I v)
      : __x(pah_sim_encode<PAH_E, PAH_M>(
            pah_sim_odd((std::conditional_t<std::is_signed<I>::value, long long, unsigned long long>)v))) {}
  /* From the other 16-bit type. */
  template <class O, std::enable_if_t<std::is_same<O, PAH_OTHER>::value, int> = 0>
  PAH_SIM_INLINE explicit PAH_T(O v) : __x(pah_sim_encode<PAH_E, PAH_M>(pah_sim_value(v))) {}
  PAH_SIM_INLINE operator float() const {
    return pah_sim_widen<PAH_E, PAH_M>(__x);
  }
  PAH_SIM_INLINE operator bool() const {
    return (__x & 0x7fff) != 0;
  }
  PAH_TO_ALL_INTEGERS
#endif
  PAH_SIM_INLINE PAH_T &operator=(const PAH_RAW &raw) {
    __x = raw.x;
    return *this;
  }
  PAH_SIM_INLINE operator PAH_RAW() const {
    return PAH_RAW{__x};
  }
};

struct __attribute__((aligned(4))) PAH_T2 {
  PAH_T x, y;

  PAH_T2() = default;
  PAH_SIM_INLINE PAH_T2(const PAH_T2 &o) {
    whole() = const_cast<PAH_T2 &>(o).whole();
  }
  PAH_SIM_INLINE PAH_T2 &operator=(const PAH_T2 &o) {
    whole() = const_cast<PAH_T2 &>(o).whole();
    return *this;
  }
  PAH_SIM_INLINE constexpr PAH_T2(const PAH_T &a, const PAH_T &b) : x(a), y(b) {}
  PAH_SIM_INLINE constexpr PAH_T2(const PAH_RAW2 &raw) : x(PAH_RAW{raw.x}), y(PAH_RAW{raw.y}) {}
  PAH_SIM_INLINE operator PAH_RAW2() const {
    return PAH_RAW2{x.__x, y.__x};
  }

private:
  PAH_SIM_INLINE unsigned &whole() {
    return *reinterpret_cast<unsigned *>(this);
  }
};

/* Between the type and double, without its conversions: kernels may switch those off. */
PAH_SIM_INLINE double pah_sim_value(PAH_T a) {
  return pah_sim_widen<PAH_E, PAH_M>(a.__x);
}
PAH_SIM_INLINE void pah_sim_round(PAH_T &to, double v, int mode = PAH_SIM_RN) {
  to.__x = pah_sim_encode<PAH_E, PAH_M>(v, mode);
}
/* A function of doubles made one of this type. */
template <class F> PAH_SIM_INLINE PAH_T pah_sim_map(F f, PAH_T a) {
  PAH_T r;
  pah_sim_round(r, f(pah_sim_value(a)));
  return r;
}
template <class F> PAH_SIM_INLINE PAH_T pah_sim_map(F f, PAH_T a, PAH_T b) {
  PAH_T r;
  pah_sim_round(r, f(pah_sim_value(a), pah_sim_value(b)));
  return r;
}

/* NaN becomes that of the hardware. */
PAH_SIM_INLINE PAH_T __hneg(PAH_T a) {
  return PAH_RAW{(unsigned short)((a.__x & 0x7fff) > ((1 << PAH_E) - 1) << PAH_M ? 0x7fff : a.__x ^ 0x8000)};
}
PAH_SIM_INLINE PAH_T __habs(PAH_T a) {
  return PAH_RAW{(unsigned short)((a.__x & 0x7fff) > ((1 << PAH_E) - 1) << PAH_M ? 0x7fff : a.__x & 0x7fff)};
}

#undef PAH_TO
#undef PAH_TO_ALL_INTEGERS

#ifndef PAH_NO_OPERATORS
#define PAH_OPERATOR(op, function)                                                                                     \
  PAH_SIM_INLINE PAH_T operator op(const PAH_T &a, const PAH_T &b) {                                                   \
    return pah_sim_map([](double x, double y) { return function; }, a, b);                                             \
  }                                                                                                                    \
  PAH_SIM_INLINE PAH_T &operator op##=(PAH_T &a, const PAH_T &b) {                                                     \
    return a = a op b;                                                                                                 \
  }                                                                                                                    \
  PAH_SIM_INLINE PAH_T2 operator op(const PAH_T2 &a, const PAH_T2 &b) {                                                \
    return PAH_T2(a.x op b.x, a.y op b.y);                                                                             \
  }                                                                                                                    \
  PAH_SIM_INLINE PAH_T2 &operator op##=(PAH_T2 &a, const PAH_T2 &b) {                                                  \
    return a = a op b;                                                                                                 \
  }
PAH_OPERATOR(+, pah_sim_odd_sum(x, y))
PAH_OPERATOR(-, pah_sim_odd_sum(x, -y))
PAH_OPERATOR(*, x *y)
PAH_OPERATOR(/, x / y)
#undef PAH_OPERATOR

/* Of pairs: true when it is so of both. */
#define PAH_COMPARISON(op)                                                                                             \
  PAH_SIM_INLINE bool operator op(const PAH_T &a, const PAH_T &b) {                                                    \
    return pah_sim_value(a) op pah_sim_value(b);                                                                       \
  }                                                                                                                    \
  PAH_SIM_INLINE bool operator op(const PAH_T2 &a, const PAH_T2 &b) {                                                  \
    return pah_sim_value(a.x) op pah_sim_value(b.x) && pah_sim_value(a.y) op pah_sim_value(b.y);                       \
  }
PAH_COMPARISON(==)
PAH_COMPARISON(!=)
PAH_COMPARISON(<)
PAH_COMPARISON(>)
PAH_COMPARISON(<=)
PAH_COMPARISON(>=)
#undef PAH_COMPARISON

PAH_SIM_INLINE PAH_T operator+(const PAH_T &a) {
  return a;
}
PAH_SIM_INLINE PAH_T operator-(const PAH_T &a) {
  return __hneg(a);
}
PAH_SIM_INLINE PAH_T2 operator+(const PAH_T2 &a) {
  return a;
}
PAH_SIM_INLINE PAH_T2 operator-(const PAH_T2 &a) {
  return PAH_T2(-a.x, -a.y);
}
PAH_SIM_INLINE PAH_T &operator++(PAH_T &a) {
  return a = pah_sim_map([](double x) { return x + 1; }, a);
}
PAH_SIM_INLINE PAH_T &operator--(PAH_T &a) {
  return a = pah_sim_map([](double x) { return x - 1; }, a);
}
PAH_SIM_INLINE PAH_T operator++(PAH_T &a, int) {
  PAH_T old = a;
  ++a;
  return old;
}
PAH_SIM_INLINE PAH_T operator--(PAH_T &a, int) {
  PAH_T old = a;
  --a;
  return old;
}
#endif

/* atomicAdd of one and of a pair; the pair is added one element after the other, never torn here. */
PAH_SIM_CALLED inline PAH_T atomicAdd(PAH_T *p, PAH_T v) {
  return pah_sim_update(p, PAH_SIM_CALLER, [v](PAH_T old) PAH_SIM_UNSEEN -> PAH_T {
    PAH_T r;
    pah_sim_round(r, pah_sim_odd_sum(pah_sim_value(old), pah_sim_value(v)));
    return r;
  });
}
PAH_SIM_CALLED inline PAH_T2 atomicAdd(PAH_T2 *p, PAH_T2 v) {
  return pah_sim_update(p, PAH_SIM_CALLER, [v](PAH_T2 old) PAH_SIM_UNSEEN -> PAH_T2 {
    PAH_T2 r;
    pah_sim_round(r.x, pah_sim_odd_sum(pah_sim_value(old.x), pah_sim_value(v.x)));
    pah_sim_round(r.y, pah_sim_odd_sum(pah_sim_value(old.y), pah_sim_value(v.y)));
    return r;
  });
}
