/* numbers.h - arithmetic, logic and comparisons of PTX. Integers wrap, shifts by the width or more give
 * zeros or signs, .ftz takes and gives zeros for subnormal f32. f16 and bf16 are rounded once.
 * Read next: pah_sim/ptx/convert.h. */
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
  return (uint32_t)f((uint16_t)b...) | (uint32_t)f((uint16_t)(b >> 16)...) << 16;
}
template <class T> struct half_of { typedef T half; };
template <> struct half_of<t_f16x2> { typedef t_f16 half; };
template <> struct half_of<t_bf16x2> { typedef t_bf16 half; };
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
/* NaN loses unless .NaN; -0 is less than +0. */
template <class T, unsigned F> PAH_PTX_I result_of<T> lesser(bits_of<T> a, bits_of<T> b, bool greater) {
  if constexpr (T::is == FLOATING || T::is == SMALL) {
    const auto x = flushed<F>(value_of<T>(a)), y = flushed<F>(value_of<T>(b));
    const bits_of<T> nan = T::is == SMALL ? (bits_of<T>)0x7fff : (bits_of<T>)((bits_of<T>)-1 >> 1);
    if ((x != x || y != y) && ((F & m_NaN) || (x != x && y != y))) return nan;
    const bool first = x != x ? false : y != y ? true : x == y ? std::signbit(x) : x < y;
    const auto chosen = (x == x && y == y ? first != greater : first) ? x : y;
    return finished<T, (F & m_relu)>(chosen, chosen);
  } else {
    return (result_of<T>)((value_of<T>(a) < value_of<T>(b)) != greater ? a : b);
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

/* ---- Bits ---- */

template <class T> PAH_PTX_I bits_of<T> i_not(bits_of<T> a) {
  return (bits_of<T>)~a;
}
PAH_PTX_I uint32_t i_lop3(uint32_t a, uint32_t b, uint32_t c, unsigned table) {
  uint32_t r = 0;
  for (int i = 0; i < 8; i++)
    if (table >> i & 1) r |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  return r;
}
template <class T> PAH_PTX_I bits_of<T> i_shl(bits_of<T> a, uint32_t n) {
  return n < 8 * sizeof a ? (bits_of<T>)(a << n) : (bits_of<T>)0;
}
template <class T> PAH_PTX_I result_of<T> i_shr(bits_of<T> a, uint32_t n) {
  const uint32_t most = 8 * sizeof a - 1;
  if (n > most && T::is != SIGNED) return 0;
  return (result_of<T>)(value_of<T>(a) >> (n > most ? most : n));
}
PAH_PTX_I uint32_t i_shf_left(choice w, uint32_t lo, uint32_t hi, uint32_t n) {
  n = w == w_wrap ? n & 31 : n > 32 ? 32 : n;
  return (uint32_t)((((uint64_t)hi << 32 | lo) << n) >> 32);
}
PAH_PTX_I uint32_t i_shf_right(choice w, uint32_t lo, uint32_t hi, uint32_t n) {
  n = w == w_wrap ? n & 31 : n > 32 ? 32 : n;
  return (uint32_t)(((uint64_t)hi << 32 | lo) >> n);
}
PAH_PTX_I uint32_t i_prmt(choice mode, uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = (uint64_t)b << 32 | a;
  const unsigned i = selector & 3;
  static const uint16_t codes[6][4] = {{0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123},
                                       {0x0000, 0x1111, 0x2222, 0x3333}, {0x3210, 0x3211, 0x3222, 0x3333},
                                       {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232}};
  if (mode != w_none) selector = codes[mode - w_f4e][i];
  uint32_t r = 0;
  for (int k = 0; k < 4; k++) {
    const unsigned from = selector >> 4 * k & 15;
    uint32_t byte = (uint32_t)(bytes >> 8 * (from & 7)) & 0xff;
    if (from & 8) byte = byte & 0x80 ? 0xff : 0;
    r |= byte << 8 * k;
  }
  return r;
}
template <class T> PAH_PTX_I result_of<T> i_bfe(bits_of<T> a, uint32_t at, uint32_t length) {
  const uint32_t width = 8 * sizeof a;
  at &= 255, length &= 255;
  const bool sign = T::is == SIGNED && length && (a >> (at + length - 1 < width ? at + length - 1 : width - 1) & 1);
  bits_of<T> r = at < width ? a >> at : 0;
  const uint32_t there = at < width ? width - at : 0, kept = length < there ? length : there;
  if (kept < width) r &= ((bits_of<T>)1 << kept) - 1;
  if (sign && kept < width) r |= (bits_of<T>)-1 << kept;
  return (result_of<T>)(length ? r : 0);
}
template <class T> PAH_PTX_I bits_of<T> i_bfi(bits_of<T> a, bits_of<T> b, uint32_t at, uint32_t length) {
  const uint32_t width = 8 * sizeof a;
  at &= 255, length &= 255;
  if (!length || at >= width) return b;
  const bits_of<T> ones = length < width ? ((bits_of<T>)1 << length) - 1 : (bits_of<T>)-1, mask = ones << at;
  return (b & ~mask) | (a << at & mask);
}
PAH_PTX_I uint32_t i_bmsk(uint32_t at, uint32_t length) {
  return i_bfi<t_b32>(0xffffffffu, 0, at, length);
}
template <class T> PAH_PTX_I uint32_t i_clz(bits_of<T> a) {
  return a ? (uint32_t)__builtin_clzll(a) - (64 - 8 * (uint32_t)sizeof a) : 8 * (uint32_t)sizeof a;
}
template <class T> PAH_PTX_I uint32_t i_bfind(bits_of<T> a, bool shift) {
  if (T::is == SIGNED && value_of<T>(a) < 0) a = ~a;
  if (!a) return 0xffffffffu;
  const uint32_t zeros = i_clz<T>(a);
  return shift ? zeros : 8 * (uint32_t)sizeof a - 1 - zeros;
}
template <class T> PAH_PTX_I bits_of<T> i_brev(bits_of<T> a) {
  bits_of<T> r = 0;
  for (unsigned i = 0; i < 8 * sizeof a; i++) r |= (a >> i & 1) << (8 * sizeof a - 1 - i);
  return r;
}
template <class T> PAH_PTX_I uint32_t i_popc(bits_of<T> a) {
  return (uint32_t)__builtin_popcountll(a);
}
template <class T, class U> PAH_PTX_I uint32_t i_dp4a(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 32; i += 8) {
    const int x = T::is == SIGNED ? (int8_t)(a >> i) : (uint8_t)(a >> i);
    c += (uint32_t)(x * (U::is == SIGNED ? (int8_t)(b >> i) : (uint8_t)(b >> i)));
  }
  return c;
}

/* ---- Comparisons ---- */

template <class T, unsigned F> PAH_PTX_I bool compare(choice how, bits_of<T> a, bits_of<T> b) {
  auto x = value_of<T>(a), y = value_of<T>(b);
  if constexpr (T::is == FLOATING || T::is == SMALL) x = flushed<F>(x), y = flushed<F>(y);
  const bool unordered = x != x || y != y;
  if (F & m_lo) return x < y;
  if (F & m_hi) return x > y;
  switch (how) {
  case w_eq: return x == y;
  case w_ne: return !unordered && x != y;
  case w_lt: return x < y;
  case w_le:
  case w_ls: return x <= y;
  case w_gt: return x > y;
  case w_ge:
  case w_hs: return x >= y;
  case w_equ: return unordered || x == y;
  case w_neu: return x != y;
  case w_ltu: return unordered || x < y;
  case w_leu: return unordered || x <= y;
  case w_gtu: return unordered || x > y;
  case w_geu: return unordered || x >= y;
  case w_num: return !unordered;
  default: return unordered;
  }
}
/* A pair gives two results: setp.lt.f16x2 p|q. */
template <class T, unsigned F> PAH_PTX_I bool i_setp(choice how, bits_of<T> a, bits_of<T> b) {
  if constexpr (T::is == PAIR)
    return compare<H<T>, F>(how, (uint16_t)a, (uint16_t)b);
  else
    return compare<T, F>(how, a, b);
}
template <class T, class U, unsigned F> PAH_PTX_I bits_of<T> i_set(choice how, bits_of<U> a, bits_of<U> b) {
  if constexpr (U::is == PAIR) {
    const uint32_t yes = T::is == PAIR ? (std::is_same<T, t_f16x2>::value ? 0x3c00 : 0x3f80) : 0xffff;
    return (compare<H<U>, F>(how, (uint16_t)a, (uint16_t)b) ? yes : 0) |
           (compare<H<U>, F>(how, (uint16_t)(a >> 16), (uint16_t)(b >> 16)) ? yes << 16 : 0);
  } else {
    const bits_of<T> yes = T::is == FLOATING ? (bits_of<T>)pah_sim_cast<uint32_t>(1.0f)
                           : T::is == SMALL  ? (bits_of<T>)(T::exponent == 5 ? 0x3c00 : 0x3f80)
                                             : (bits_of<T>)-1;
    return compare<U, F>(how, a, b) ? yes : (bits_of<T>)0;
  }
}
template <class U, class A, class B> PAH_PTX_I A i_slct(A a, B b, bits_of<U> c) {
  return value_of<U>(c) >= 0 ? a : (A)b;
}

} // namespace pah_ptx
#endif
