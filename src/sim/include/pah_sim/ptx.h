/* ptx.h - what PTX becomes on sim: src/sim/translate turns each instruction into calls of these functions.
 * Types are t_u32 and so on, words of the instruction template arguments (m_rn) or arguments (w_lt); registers are
 * unsigned integers of their width that hold the bits. Parts: numbers, convert, memory, sync. A result of a signed type
 * is a signed integer, so that a wider register gets its sign, as PTX says. */
#ifndef PAH_SIM_PTX_H
#define PAH_SIM_PTX_H

#include "../../abi_ptx.h"
#include "ptx/words.h"
#include "numbers/small.h"

#define PAH_PTX_I PAH_SIM_INLINE

namespace pah_ptx {

enum kind { UNSIGNED, SIGNED, FLOATING, SMALL, PAIR, PREDICATE, OTHER };

/* small: bits of exponent and mantissa of f16 and the like. */
template <class Bits, class Value, kind Kind, int Exponent = 0, int Mantissa = 0> struct type {
  typedef Bits bits;
  typedef Value value;
  typedef std::conditional_t<Kind == SIGNED, Value, Bits> result;
  static constexpr kind is = Kind;
  static constexpr int exponent = Exponent, mantissa = Mantissa;
};
struct t_u8 : type<uint8_t, uint8_t, UNSIGNED> {};
struct t_u16 : type<uint16_t, uint16_t, UNSIGNED> {};
struct t_u32 : type<uint32_t, uint32_t, UNSIGNED> {};
struct t_u64 : type<uint64_t, uint64_t, UNSIGNED> {};
struct t_s8 : type<uint8_t, int8_t, SIGNED> {};
struct t_s16 : type<uint16_t, int16_t, SIGNED> {};
struct t_s32 : type<uint32_t, int32_t, SIGNED> {};
struct t_s64 : type<uint64_t, int64_t, SIGNED> {};
struct t_b8 : t_u8 {};
struct t_b16 : t_u16 {};
struct t_b32 : t_u32 {};
struct t_b64 : t_u64 {};
struct t_b128 : type<unsigned __int128, unsigned __int128, UNSIGNED> {};
struct t_f32 : type<uint32_t, float, FLOATING> {};
struct t_f64 : type<uint64_t, double, FLOATING> {};
struct t_f16 : type<uint16_t, float, SMALL, 5, 10> {};
struct t_bf16 : type<uint16_t, float, SMALL, 8, 7> {};
struct t_f16x2 : type<uint32_t, uint32_t, PAIR> {
  typedef t_f16 half;
};
struct t_bf16x2 : type<uint32_t, uint32_t, PAIR> {
  typedef t_bf16 half;
};
struct t_u16x2 : type<uint32_t, uint32_t, PAIR> {
  typedef t_u16 half;
};
struct t_s16x2 : type<uint32_t, uint32_t, PAIR> {
  typedef t_s16 half;
};
struct t_pred : type<bool, bool, PREDICATE> {};
struct t_tf32 : type<uint32_t, float, OTHER> {};
struct t_e4m3x2 : type<uint16_t, uint16_t, OTHER, 4, 3> {};
struct t_e5m2x2 : type<uint16_t, uint16_t, OTHER, 5, 2> {};

#define X(word) flag_##word,
enum flag { PAH_PTX_FLAGS(X) };
#undef X
#define X(word) m_##word = 1u << flag_##word,
enum : unsigned { PAH_PTX_FLAGS(X) };
#undef X
#define X(word) w_##word,
enum choice { w_none, PAH_PTX_CHOICES(X) };
#undef X

/* ---- Values and their bits ---- */

/* A decimal number: its bits as a double. */
struct i_real {
  unsigned long long bits;
  template <class T, class = std::enable_if_t<std::is_integral<T>::value>> PAH_PTX_I operator T() const {
    return sizeof(T) == 8 ? (T)bits : (T)pah_sim_cast<uint32_t>((float)pah_sim_cast<double>(bits));
  }
};

template <class T> PAH_PTX_I auto value_of(typename T::bits b) {
  if constexpr (T::is == SMALL)
    return pah_sim_widen<T::exponent, T::mantissa>(b);
  else if constexpr (T::is == FLOATING || T::is == OTHER)
    return pah_sim_cast<typename T::value>(b);
  else
    return (typename T::value)b;
}

/* What an asm statement takes and gives: integers, pointers, floating point. */
template <class B, class T> PAH_PTX_I B i_in(T x) {
  if constexpr (std::is_same<T, float>::value)
    return (B)pah_sim_cast<uint32_t>(x);
  else if constexpr (std::is_same<T, double>::value)
    return (B)pah_sim_cast<uint64_t>(x);
  else if constexpr (std::is_pointer<T>::value || std::is_arithmetic<T>::value || std::is_enum<T>::value)
    return (B)(x);
  else if constexpr (sizeof(T) == sizeof(B))
    return __builtin_bit_cast(B, x);
  else
    return (B)x;
}
template <class T, class B> PAH_PTX_I void i_out(T &x, B bits) {
  typedef std::remove_cv_t<T> U;
  if constexpr (std::is_same<U, float>::value)
    x = pah_sim_cast<float>((uint32_t)bits);
  else if constexpr (std::is_same<U, double>::value)
    x = pah_sim_cast<double>((uint64_t)bits);
  else if constexpr (std::is_pointer<U>::value || std::is_arithmetic<U>::value || std::is_enum<U>::value)
    x = (U)bits;
  else if constexpr (sizeof(U) == sizeof(B))
    x = __builtin_bit_cast(U, bits);
  else
    x = (U)bits;
}

/* ---- Several results, several words ---- */

struct two {
  bool r[2];
};
PAH_PTX_I two i_two(bool a, bool b) {
  return two{{a, b}};
}
template <class V> PAH_PTX_I auto i_only(const V &v) {
  if constexpr (std::is_class<V>::value)
    return v.r[0];
  else
    return v;
}
PAH_PTX_I pah_sim_v4 i_words(uint32_t a = 0, uint32_t b = 0, uint32_t c = 0, uint32_t d = 0) {
  return pah_sim_v4{{a, b, c, d}};
}
PAH_PTX_I void i_bad_ptx(const char *what) {
  pah_sim_bad_ptx(what);
}
PAH_PTX_I pah_sim_v2 i_pair(uint32_t a = 0, uint32_t b = 0) {
  return pah_sim_v2{{a, b}};
}
template <class... More> PAH_PTX_I pah_sim_v2 i_pair(uint32_t, uint32_t, uint32_t, More...) {
  i_bad_ptx("mma: B has more than 2 registers");
  return pah_sim_v2{};
}

} // namespace pah_ptx

#include "ptx/numbers.h"
#include "ptx/bits.h"
#include "ptx/convert.h"
#include "ptx/memory.h"
#include "ptx/sync.h"
#include "ptx/wmma.h"
#include "ptx/calls.h"

#endif
