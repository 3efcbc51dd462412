/* convert.h - cvt of PTX: between integers, floating point of all sizes, and packed pairs; mov. To integers
 * it saturates, and NaN becomes 0 (64 bits: the top bit). Read next: pah_sim/ptx/memory.h. */
#ifndef PAH_SIM_PTX_CONVERT_H
#define PAH_SIM_PTX_CONVERT_H

namespace pah_ptx {

template <class T> constexpr bool IS_INTEGER = T::is == UNSIGNED || T::is == SIGNED;
template <class T> constexpr bool IS_REAL = T::is == FLOATING || T::is == SMALL;

/* To a whole number, as .rni and its like say. */
template <unsigned F> PAH_PTX_I double whole(double x) {
  return F & m_rni   ? __builtin_nearbyint(x)
         : F & m_rzi ? __builtin_trunc(x)
         : F & m_rmi ? __builtin_floor(x)
         : F & m_rpi ? __builtin_ceil(x)
                     : x;
}
template <class D, class S, unsigned F> PAH_PTX_I result_of<D> integer_of_integer(bits_of<S> a) {
  if constexpr (F & m_sat) return saturated<D>((__int128)value_of<S>(a));
  return (result_of<D>)(bits_of<D>)value_of<S>(a);
}
/* The bits of an f32 as tf32: 19 bits at the top. */
template <unsigned F> PAH_PTX_I uint32_t tf32_of(uint32_t code) {
  if ((code & 0x7fffffffu) > 0x7f800000u) return 0x7fffe000u;
  if ((code & 0x7f800000u) == 0x7f800000u || (F & m_rz)) return code & 0xffffe000u;
  return (code + (F & m_rna ? 0x1000 : 0xfff + (code >> 13 & 1))) & 0xffffe000u;
}
template <class D, class S, unsigned F> PAH_PTX_I result_of<D> i_cvt(bits_of<S> a) {
  if constexpr (std::is_same<D, t_tf32>::value) {
    return tf32_of<F>(a);
  } else if constexpr (S::is == OTHER) { /* two of 8 bits to f16x2 */
    const uint16_t lo = pah_sim_encode<5, 10>(pah_sim_widen<S::exponent, S::mantissa, S::mantissa == 3>(a & 255));
    const uint16_t hi = pah_sim_encode<5, 10>(pah_sim_widen<S::exponent, S::mantissa, S::mantissa == 3>(a >> 8));
    return (result_of<D>)(lo | (uint32_t)hi << 16);
  } else if constexpr (D::is == OTHER) { /* from f16x2 */
    const double lo = pah_sim_widen<5, 10>(a & 0xffff), hi = pah_sim_widen<5, 10>((uint32_t)a >> 16);
    return (result_of<D>)(pah_sim_encode8<D::exponent, D::mantissa>(lo, D::mantissa == 3 ? 0x7e : 0x7b, 0x7f, true) |
                          pah_sim_encode8<D::exponent, D::mantissa>(hi, D::mantissa == 3 ? 0x7e : 0x7b, 0x7f, true)
                              << 8);
  } else if constexpr (IS_INTEGER<D> && IS_INTEGER<S>) {
    return integer_of_integer<D, S, F>(a);
  } else if constexpr (IS_INTEGER<D>) {
    typedef typename D::value I;
    const double x = whole<F>(flushed<F>(value_of<S>(a)));
    if (x != x) return sizeof(I) == 8 ? (result_of<D>)(1ull << 63) : (result_of<D>)0;
    return pah_sim_integer<I>(x);
  } else if constexpr (IS_INTEGER<S>) {
    if constexpr (std::is_same<D, t_f64>::value) {
      typedef std::conditional_t<S::is == SIGNED, long long, unsigned long long> W;
      return finished<D, F & ~DIRECTED>(pah_sim_rounded(mode<F>(), (W)value_of<S>(a)), 0);
    } else {
      const double exact =
          S::is == SIGNED ? pah_sim_odd((long long)value_of<S>(a)) : pah_sim_odd((unsigned long long)value_of<S>(a));
      return finished<D, F>((float)exact, exact);
    }
  } else {
    const double x = whole<F>((double)flushed<F>(value_of<S>(a)));
    if constexpr (std::is_same<D, t_f64>::value)
      return finished<D, (F & m_sat)>(x, x);
    else
      return finished<D, F>((float)x, x);
  }
}

/* Two numbers into one register, the first into the upper half. */
template <class D, class S, unsigned F> PAH_PTX_I result_of<D> i_cvt_pack(bits_of<S> hi, bits_of<S> lo) {
  const double x = value_of<S>(lo), y = value_of<S>(hi);
  if constexpr (D::is == OTHER) {
    const unsigned largest = D::mantissa == 3 ? 0x7e : 0x7b;
    return (result_of<D>)(pah_sim_encode8<D::exponent, D::mantissa>(x, largest, 0x7f, true) |
                          pah_sim_encode8<D::exponent, D::mantissa>(y, largest, 0x7f, true) << 8);
  } else {
    typedef typename D::half half;
    return (uint32_t)finished<half, F>((float)x, x) | (uint32_t)finished<half, F>((float)y, y) << 16;
  }
}

/* cvt.pack.sat: two 32-bit integers, saturated, into the low end of a register whose rest is c moved up. */
template <class D> PAH_PTX_I uint32_t i_pack_saturated(uint32_t a, uint32_t b, uint32_t c) {
  const int width = 8 * sizeof(bits_of<D>);
  const uint32_t hi = (bits_of<D>)saturated<D>((int32_t)a), lo = (bits_of<D>)saturated<D>((int32_t)b);
  return (width < 16 ? c << 2 * width : 0) | hi << width | lo;
}

/* The same to 2 or 4 bits. */
template <int Width, bool Signed> PAH_PTX_I uint32_t i_pack_small(uint32_t a, uint32_t b, uint32_t c) {
  const int least = Signed ? -(1 << (Width - 1)) : 0, most = Signed ? (1 << (Width - 1)) - 1 : (1 << Width) - 1;
  const uint32_t ones = (1u << Width) - 1;
  const int x = (int32_t)a < least ? least : (int32_t)a > most ? most : (int32_t)a;
  const int y = (int32_t)b < least ? least : (int32_t)b > most ? most : (int32_t)b;
  return c << 2 * Width | ((uint32_t)x & ones) << Width | ((uint32_t)y & ones);
}

/* ---- mov ---- */

template <class T, class B> PAH_PTX_I bits_of<T> i_mov(B b) {
  return (bits_of<T>)b;
}
template <class B, int N> struct parts { B r[N]; };
template <unsigned bytes> struct bits_with { typedef uint8_t type; };
template <> struct bits_with<2> { typedef uint16_t type; };
template <> struct bits_with<4> { typedef uint32_t type; };
template <> struct bits_with<8> { typedef uint64_t type; };
template <class T, int N> PAH_PTX_I auto i_unpack(bits_of<T> a) {
  typedef typename bits_with<sizeof(bits_of<T>) / N>::type B;
  parts<B, N> p;
  for (int i = 0; i < N; i++) p.r[i] = (B)(a >> i * 8 * sizeof(B));
  return p;
}
template <class T, class... B> PAH_PTX_I bits_of<T> i_pack(B... b) {
  constexpr int width = 8 * sizeof(bits_of<T>) / sizeof...(B);
  const uint64_t mask = width < 64 ? (1ull << width) - 1 : ~0ull;
  std::conditional_t<sizeof(bits_of<T>) == 16, unsigned __int128, uint64_t> r = 0;
  int at = 0;
  ((r |= (decltype(r))((uint64_t)b & mask) << at, at += width), ...);
  return (bits_of<T>)r;
}

} // namespace pah_ptx
#endif
