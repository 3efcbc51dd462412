/* numbers.h - arithmetic and functions of PTX. Integers wrap, .ftz takes and gives zeros for subnormal f32. f16 and
 * bf16 are rounded once. Read next: pah_sim/ptx/bits.h. */
#ifndef PAH_SIM_PTX_NUMBERS_H
#define PAH_SIM_PTX_NUMBERS_H

namespace pah_ptx {

template <class T> using bits_of = typename T::bits;
template <class T> using result_of = typename T::result;

constexpr unsigned DIRECTED = m_rz | m_rm | m_rp;
template <unsigned F> constexpr int mode() {
  return F & m_rz ? PAH_SIM_RZ : F & m_rp ? PAH_SIM_RU : F & m_rm ? PAH_SIM_RD : PAH_SIM_RN;
}

template <unsigned F> PAH_PTX_I float flushed(float x) {
  return (F & m_ftz) && __builtin_fabsf(x) < FLT_MIN ? __builtin_copysignf(0, x) : x;
}
template <unsigned F> PAH_PTX_I double flushed(double x) {
  return x;
}

/* The bits of a floating-point result, after .sat, .relu and .ftz. `exact` may be rounded to odd (small.h);
 * `near` is what the processor rounded to nearest. */
template <class T, unsigned F, class V> PAH_PTX_I bits_of<T> finished(V near, double exact) {
  if constexpr (T::is == SMALL) {
    if (F & m_sat) exact = exact > 0 ? exact < 1 ? exact : 1 : 0;
    if ((F & m_relu) && !(exact > 0) && exact == exact) exact = 0;
    return pah_sim_encode<T::exponent, T::mantissa>(exact, mode<F>());
  } else {
    if constexpr ((F & DIRECTED) && std::is_same<V, float>::value) {
      const double error = exact - (float)exact;
      near = F & m_rz   ? pah_sim_zero((float)exact, error)
             : F & m_rp ? pah_sim_up((float)exact, error)
                        : pah_sim_down((float)exact, error);
    }
    near = flushed<F>(near);
    if (F & m_sat) near = near > 0 ? near < 1 ? near : 1 : 0;
    return pah_sim_cast<bits_of<T>>(near);
  }
}

/* Doubles in another direction than to nearest. */
template <class T, unsigned F> constexpr bool IS_DIRECTED64 = (F & DIRECTED) && std::is_same<T, struct t_f64>::value;
template <class T, unsigned F> PAH_PTX_I bits_of<T> directed(char operation, double a, double b = 0, double c = 0) {
  return finished<T, F & ~DIRECTED>(pah_sim_rounded(mode<F>(), operation, a, b, c), 0);
}

/* f(halves...) of both halves of pairs. */
template <class Function, class... B> PAH_PTX_I uint32_t pairwise(Function f, B... b) {
  return (uint16_t)f((uint16_t)b...) | (uint32_t)(uint16_t)f((uint16_t)(b >> 16)...) << 16;
}
template <class T> struct half_of { typedef T half; };
template <> struct half_of<t_f16x2> { typedef t_f16 half; };
template <> struct half_of<t_bf16x2> { typedef t_bf16 half; };
template <> struct half_of<t_u16x2> { typedef t_u16 half; };
template <> struct half_of<t_s16x2> { typedef t_s16 half; };
template <class T> using H = typename half_of<T>::half;

/* ---- Sums and products ---- */

template <class T> PAH_PTX_I result_of<T> saturated(__int128 x) {
  typedef typename T::value V;
  const V least = std::numeric_limits<V>::min(), most = std::numeric_limits<V>::max();
  return x < least ? least : x > most ? most : (V)x;
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_add(bits_of<T> a, bits_of<T> b) {
  if constexpr (T::is == PAIR) {
    return pairwise([](auto x, auto y) { return i_add<H<T>, F>(x, y); }, a, b);
  } else if constexpr (IS_DIRECTED64<T, F>) {
    return directed<T, F>('+', value_of<T>(a), value_of<T>(b));
  } else if constexpr (T::is == FLOATING || T::is == SMALL) {
    const auto x = flushed<F>(value_of<T>(a)), y = flushed<F>(value_of<T>(b));
    return finished<T, F>(x + y, pah_sim_odd_sum(x, y));
  } else if constexpr (F & m_sat) {
    return saturated<T>((__int128)value_of<T>(a) + value_of<T>(b));
  } else {
    return (result_of<T>)(bits_of<T>)(a + b);
  }
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_neg(bits_of<T> a) {
  if constexpr (T::is == PAIR)
    return a ^ 0x80008000u;
  else if constexpr (T::is == SMALL)
    return a ^ 0x8000;
  else if constexpr (T::is == FLOATING)
    return pah_sim_cast<bits_of<T>>(-flushed<F>(value_of<T>(a)));
  else
    return (result_of<T>)(bits_of<T>)(0 - a);
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_sub(bits_of<T> a, bits_of<T> b) {
  if constexpr (T::is == UNSIGNED || T::is == SIGNED) {
    if constexpr (F & m_sat) return saturated<T>((__int128)value_of<T>(a) - value_of<T>(b));
    return (result_of<T>)(bits_of<T>)(a - b);
  } else {
    return i_add<T, F>(a, i_neg<T, F>(b));
  }
}
template <class T> struct wider { typedef int64_t type; };
template <> struct wider<t_u16> { typedef uint32_t type; };
template <> struct wider<t_s16> { typedef int32_t type; };
template <> struct wider<t_u32> { typedef uint64_t type; };
template <class T, unsigned F> PAH_PTX_I auto i_mul(bits_of<T> a, bits_of<T> b) {
  if constexpr (T::is == PAIR) {
    return pairwise([](auto x, auto y) { return i_mul<H<T>, F>(x, y); }, a, b);
  } else if constexpr (IS_DIRECTED64<T, F>) {
    return directed<T, F>('*', value_of<T>(a), value_of<T>(b));
  } else if constexpr (T::is == FLOATING || T::is == SMALL) {
    const auto x = flushed<F>(value_of<T>(a)), y = flushed<F>(value_of<T>(b));
    return finished<T, F>(x * y, (double)x * (double)y);
  } else if constexpr (F & m_wide) {
    typedef typename wider<T>::type W;
    return (W)((W)value_of<T>(a) * (W)value_of<T>(b));
  } else if constexpr (F & m_hi) {
    return (result_of<T>)(((__int128)value_of<T>(a) * value_of<T>(b)) >> 8 * sizeof a);
  } else {
    return (result_of<T>)(bits_of<T>)((uint64_t)a * b);
  }
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_mul24(bits_of<T> a, bits_of<T> b) {
  typedef std::conditional_t<T::is == SIGNED, int64_t, uint64_t> W;
  const W x = (W)(typename T::value)(a << 8) >> 8, y = (W)(typename T::value)(b << 8) >> 8;
  return (result_of<T>)(x * y >> (F & m_hi ? 16 : 0));
}
/* c is of the type of the result: twice as wide with .wide. */
template <class T, unsigned F, class C> PAH_PTX_I auto i_mad(bits_of<T> a, bits_of<T> b, C c) {
  if constexpr (T::is == PAIR) {
    return pairwise([](auto x, auto y, auto z) { return i_mad<H<T>, F>(x, y, z); }, a, b, (bits_of<T>)c);
  } else if constexpr (IS_DIRECTED64<T, F>) {
    return directed<T, F>('f', value_of<T>(a), value_of<T>(b), value_of<T>(c));
  } else if constexpr (T::is == SMALL || std::is_same<typename T::value, float>::value) {
    const auto x = flushed<F>(value_of<T>(a)), y = flushed<F>(value_of<T>(b)), z = flushed<F>(value_of<T>(c));
    return finished<T, F>(__builtin_fmaf(x, y, z), pah_sim_odd_sum((double)x * (double)y, z));
  } else if constexpr (T::is == FLOATING) {
    return finished<T, F>(__builtin_fma(value_of<T>(a), value_of<T>(b), value_of<T>(c)), 0);
  } else if constexpr (F & m_wide) {
    typedef typename wider<T>::type W;
    return (W)((uint64_t)i_mul<T, F>(a, b) + (uint64_t)c);
  } else {
    return i_add<T, (F & m_sat)>((bits_of<T>)i_mul<T, (F & ~m_sat)>(a, b), (bits_of<T>)c);
  }
}
template <class T> PAH_PTX_I result_of<T> i_add_carry(bits_of<T> a, bits_of<T> b, uint32_t in, uint32_t &out) {
  const unsigned __int128 sum = (unsigned __int128)a + b + in;
  out = (uint32_t)(sum >> 8 * sizeof a);
  return (result_of<T>)(bits_of<T>)sum;
}
template <class T> PAH_PTX_I result_of<T> i_sub_carry(bits_of<T> a, bits_of<T> b, uint32_t in, uint32_t &out) {
  out = (unsigned __int128)a < (unsigned __int128)b + in;
  return (result_of<T>)(bits_of<T>)(a - b - in);
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_div(bits_of<T> a, bits_of<T> b) {
  if constexpr (IS_DIRECTED64<T, F>) {
    return directed<T, F>('/', value_of<T>(a), value_of<T>(b));
  } else if constexpr (T::is == FLOATING) {
    const auto x = flushed<F>(value_of<T>(a)), y = flushed<F>(value_of<T>(b));
    return finished<T, F>(x / y, pah_sim_odd_quotient(x, y));
  } else {
    if (b == 0) return (result_of<T>)-1; /* as the hardware's routine gives */
    if (T::is == SIGNED && b == (bits_of<T>)-1) return (result_of<T>)(bits_of<T>)(0 - a);
    return (result_of<T>)(value_of<T>(a) / value_of<T>(b));
  }
}
template <class T> PAH_PTX_I result_of<T> i_rem(bits_of<T> a, bits_of<T> b) {
  if (b == 0) return (result_of<T>)a;
  if (T::is == SIGNED && b == (bits_of<T>)-1) return 0;
  return (result_of<T>)(value_of<T>(a) % value_of<T>(b));
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_abs(bits_of<T> a) {
  if constexpr (T::is == PAIR)
    return a & 0x7fff7fffu;
  else if constexpr (T::is == SMALL)
    return a & 0x7fff;
  else if constexpr (T::is == FLOATING)
    return pah_sim_cast<bits_of<T>>(std::fabs(flushed<F>(value_of<T>(a))));
  else
    return (result_of<T>)(bits_of<T>)(value_of<T>(a) < 0 ? 0 - a : a);
}
/* NaN loses unless .NaN; -0 is less than +0. .xorsign.abs: of the magnitudes, with the product of the signs. */
template <class T, unsigned F> PAH_PTX_I result_of<T> lesser(bits_of<T> a, bits_of<T> b, bool greater) {
  if constexpr (F & m_xorsign) {
    const bits_of<T> top = (bits_of<T>)1 << (8 * sizeof a - 1), sign = (a ^ b) & top;
    const bits_of<T> r = (bits_of<T>)lesser<T, F & ~m_xorsign>(a & (bits_of<T>)~top, b & (bits_of<T>)~top, greater);
    return (result_of<T>)(value_of<T>(r) != value_of<T>(r) ? r : (bits_of<T>)(r | sign));
  } else if constexpr (T::is == FLOATING || T::is == SMALL) {
    const auto x = flushed<F>(value_of<T>(a)), y = flushed<F>(value_of<T>(b));
    const bits_of<T> nan = T::is == SMALL ? (bits_of<T>)0x7fff : (bits_of<T>)((bits_of<T>)-1 >> 1);
    if ((x != x || y != y) && ((F & m_NaN) || (x != x && y != y))) return nan;
    const bool first = x != x ? false : y != y ? true : x == y ? std::signbit(x) : x < y;
    const auto chosen = (x == x && y == y ? first != greater : first) ? x : y;
    return finished<T, (F & m_relu)>(chosen, chosen);
  } else {
    const auto chosen = (typename T::value)((value_of<T>(a) < value_of<T>(b)) != greater ? a : b);
    return (result_of<T>)((F & m_relu) && chosen < 0 ? 0 : chosen);
  }
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_min(bits_of<T> a, bits_of<T> b) {
  if constexpr (T::is == PAIR)
    return pairwise([](auto x, auto y) { return lesser<H<T>, F>(x, y, false); }, a, b);
  else
    return lesser<T, F>(a, b, false);
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_max(bits_of<T> a, bits_of<T> b) {
  if constexpr (T::is == PAIR)
    return pairwise([](auto x, auto y) { return lesser<H<T>, F>(x, y, true); }, a, b);
  else
    return lesser<T, F>(a, b, true);
}
template <class T> PAH_PTX_I result_of<T> i_sad(bits_of<T> a, bits_of<T> b, bits_of<T> c) {
  return (result_of<T>)(bits_of<T>)(c + (value_of<T>(a) < value_of<T>(b) ? b - a : a - b));
}

/* ---- Functions ---- */

template <class T, unsigned F> PAH_PTX_I result_of<T> i_rcp(bits_of<T> a) {
  return i_div<T, F>(pah_sim_cast<bits_of<T>>((typename T::value)1), a);
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_sqrt(bits_of<T> a) {
  if constexpr (IS_DIRECTED64<T, F>) {
    return directed<T, F>('s', value_of<T>(a));
  } else {
    const auto x = flushed<F>(value_of<T>(a));
    return finished<T, F>((typename T::value)__builtin_sqrt(x), pah_sim_odd_root(x));
  }
}
template <class T, unsigned F> PAH_PTX_I result_of<T> i_rsqrt(bits_of<T> a) {
  const double x = flushed<F>(value_of<T>(a));
  return finished<T, F>((typename T::value)(1 / __builtin_sqrt(x)), 0);
}
#define PAH_PTX_FUNCTION(name, f)                                                                                      \
  template <class T, unsigned F> PAH_PTX_I result_of<T> name(bits_of<T> a) {                                           \
    if constexpr (T::is == PAIR) {                                                                                     \
      return pairwise([](auto x) { return name<H<T>, F>(x); }, a);                                                     \
    } else {                                                                                                           \
      const auto x = flushed<F>(value_of<T>(a));                                                                       \
      const auto y = f(x);                                                                                             \
      return finished<T, F>(y, y);                                                                                     \
    }                                                                                                                  \
  }
PAH_PTX_FUNCTION(i_sin, std::sin)
PAH_PTX_FUNCTION(i_cos, std::cos)
PAH_PTX_FUNCTION(i_lg2, std::log2)
PAH_PTX_FUNCTION(i_ex2, std::exp2)
PAH_PTX_FUNCTION(i_tanh, std::tanh)
#undef PAH_PTX_FUNCTION
template <class T> PAH_PTX_I result_of<T> i_copysign(bits_of<T> sign, bits_of<T> magnitude) {
  const bits_of<T> top = (bits_of<T>)1 << (8 * sizeof sign - 1);
  return (sign & top) | (magnitude & ~top);
}
template <class T> PAH_PTX_I bool i_testp(choice what, bits_of<T> a) {
  const auto x = value_of<T>(a);
  switch (what) {
  case w_finite: return __builtin_isfinite(x);
  case w_infinite: return __builtin_isinf(x);
  case w_number: return x == x;
  case w_notanumber: return x != x;
  case w_normal: return __builtin_isnormal(x);
  default: return x != 0 && __builtin_isfinite(x) && !__builtin_isnormal(x);
  }
}

} // namespace pah_ptx
#endif
