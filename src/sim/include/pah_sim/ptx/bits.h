/* bits.h - logic, shifts, bit fields and comparisons of PTX, dot products of bytes. Shifts by the width or more give
 * zeros or signs. Read next: pah_sim/ptx/convert.h. */
#ifndef PAH_SIM_PTX_BITS_H
#define PAH_SIM_PTX_BITS_H

namespace pah_ptx {

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
/* lop3.or d|p, a, b, c, table, q: p is (d != 0) or q. */
struct word_and_predicate {
  uint32_t r[2];
};
PAH_PTX_I word_and_predicate i_lop3_predicate(choice join, uint32_t a, uint32_t b, uint32_t c, unsigned table, bool q) {
  const uint32_t d = i_lop3(a, b, c, table);
  const bool any = d != 0;
  return word_and_predicate{{d, (uint32_t)(join == w_and ? any & q : join == w_or ? any | q : any ^ q)}};
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

template <class T, class U> PAH_PTX_I uint32_t i_dp2a(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 2; i++) {
    const int x = T::is == SIGNED ? (int16_t)(a >> 16 * i) : (uint16_t)(a >> 16 * i);
    c += (uint32_t)(x * (U::is == SIGNED ? (int8_t)(b >> 8 * i) : (uint8_t)(b >> 8 * i)));
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
/* set: 1.0, or all ones of an integer, where the comparison holds; with .and, .or, .xor: and so on with c. */
PAH_PTX_I bool joined(choice join, bool holds, bool c) {
  return join == w_and ? holds & c : join == w_or ? holds | c : join == w_xor ? holds ^ c : holds;
}
template <class T, class U, unsigned F>
PAH_PTX_I bits_of<T> i_set(choice how, choice join, bits_of<U> a, bits_of<U> b, bool c = false) {
  if constexpr (U::is == PAIR) {
    const uint32_t yes = T::is == PAIR ? (std::is_same<T, t_f16x2>::value ? 0x3c00 : 0x3f80) : 0xffff;
    return (joined(join, compare<H<U>, F>(how, (uint16_t)a, (uint16_t)b), c) ? yes : 0) |
           (joined(join, compare<H<U>, F>(how, (uint16_t)(a >> 16), (uint16_t)(b >> 16)), c) ? yes << 16 : 0);
  } else {
    const bits_of<T> yes = T::is == FLOATING ? (bits_of<T>)pah_sim_cast<uint32_t>(1.0f)
                           : T::is == SMALL  ? (bits_of<T>)(T::exponent == 5 ? 0x3c00 : 0x3f80)
                                             : (bits_of<T>)-1;
    return joined(join, compare<U, F>(how, a, b), c) ? yes : (bits_of<T>)0;
  }
}
template <class U, class A, class B> PAH_PTX_I A i_slct(A a, B b, bits_of<U> c) {
  return value_of<U>(c) >= 0 ? a : (A)b;
}

} // namespace pah_ptx
#endif
