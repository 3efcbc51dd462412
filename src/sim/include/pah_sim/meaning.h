/* meaning.h - conversions and shifts whose result C++ leaves open and PTX does not, and local variables that are not
 * set: sim/compile/meaning.c and locals.c put these into a source. A number that does not fit an integer becomes the
 * nearest that does, NaN becomes 0; a shift by as many bits as there are, or more, leaves none (or the sign).
 * Read next: pah_sim/math.h, sim/compile/meaning.c. */
#ifndef PAH_SIM_MEANING_H
#define PAH_SIM_MEANING_H

/* `(int)x` is written `(int)(pah_sim_to<int>)x`. Integers below 32 bits go by way of one of 32, as nvcc does it. */
template <class I> struct pah_sim_to {
  typedef std::conditional_t<(sizeof(I) >= 4), I, std::conditional_t<std::is_signed<I>::value, int, unsigned>> wide;
  I value;
  template <class X>
  PAH_SIM_INLINE constexpr explicit pah_sim_to(const X &x) : value(of(x, std::is_floating_point<X>())) {}
  template <class X> static PAH_SIM_INLINE constexpr I of(const X &x, std::false_type) {
    return (I)x;
  }
  template <class X> static PAH_SIM_INLINE constexpr I of(const X &x, std::true_type) {
    return (I)pah_sim_integer<wide>((double)x);
  }
  PAH_SIM_INLINE constexpr operator I() const {
    return value;
  }
};
/* A truth value is none of those. */
template <class T>
struct pah_sim_is_counting
    : std::integral_constant<bool, std::is_integral<T>::value && !std::is_same<std::remove_cv_t<T>, bool>::value> {};

/* `static_cast<T>(x)` of a template's T: static_cast<T>(pah_sim_as<T>(x)). */
template <class T, class X>
PAH_SIM_INLINE constexpr auto pah_sim_as(X x)
    -> std::enable_if_t<std::is_floating_point<X>::value && pah_sim_is_counting<T>::value, T> {
  return pah_sim_to<std::remove_cv_t<T>>(x);
}
template <class T, class X>
PAH_SIM_INLINE constexpr auto pah_sim_as(X x)
    -> std::enable_if_t<std::is_arithmetic<X>::value && !std::is_reference<T>::value &&
                            !(std::is_floating_point<X>::value && pah_sim_is_counting<T>::value),
                        X> {
  return x;
}
template <class T, class X>
PAH_SIM_INLINE constexpr auto pah_sim_as(X &&x)
    -> std::enable_if_t<!std::is_arithmetic<std::decay_t<X>>::value || std::is_reference<T>::value, X &&> {
  return static_cast<X &&>(x);
}

/* Where a local variable stands instead of its cell, so that the compiler keeps it in memory and does not know it: else
 * it might read the variable where nobody asks for it. An array, or a class, has nobody's memory on both sides. */
template <class T, bool IsPlain> struct pah_sim_room {
  alignas(16) unsigned char before[PAH_SIM_GUARD];
  alignas(16) unsigned char value[sizeof(T)];
  alignas(16) unsigned char after[PAH_SIM_GUARD];
};
template <class T> struct pah_sim_room<T, true> {};

/* Behind a local variable that is declared without a value, and that no constructor sets (IsUnset), and behind an array
 * that is reached by pointers (else); see sim/compile/locals.c and guards.c. InParts: it is a class of which only
 * members are named; else what is unset must be a number, or a vector of some: a class that is copied may have members
 * that nobody sets. HasValue: the cell's is taken over. */
template <class T, bool IsUnset, bool InParts, bool HasValue> struct pah_sim_local {
  typedef std::remove_all_extents_t<T> element;
  static constexpr bool is_vector = sizeof(element) <= 16 && alignof(element) == sizeof(element);
  static constexpr bool is_number = std::is_scalar<element>::value || sizeof(element) <= 2 || is_vector;
  static constexpr bool starts = std::is_trivially_default_constructible<element>::value;
  static constexpr bool is_unset = IsUnset && starts && !std::is_reference<T>::value && (InParts || is_number);
  static constexpr bool has_room = !std::is_reference<T>::value && !std::is_scalar<T>::value &&
                                   (is_unset || (!IsUnset && std::is_trivially_destructible<element>::value));
  T *at;
  pah_sim_room<T, !has_room> room;
  PAH_SIM_INLINE explicit pah_sim_local(T &variable) : at(&variable) {
    if constexpr (has_room) {
      at = (T *)room.value;
      pah_sim_guard_begin(room.value, sizeof(T), HasValue || !starts ? (const void *)&variable : nullptr);
    }
    if constexpr (is_unset) pah_sim_local_begin((void *)at, sizeof(T));
  }
  PAH_SIM_INLINE T *place() const {
    T *p = at;
    if constexpr (is_unset || has_room) asm("" : "+r"(p));
    return p;
  }
  PAH_SIM_INLINE ~pah_sim_local() {
    if constexpr (is_unset) pah_sim_local_end((void *)at, sizeof(T));
    if constexpr (has_room) pah_sim_guard_end((void *)at, sizeof(T));
  }
};

/* `p[i]` of a pointer that may point into a local array is written `p[pah_sim_at(i, room, sizeof *p)]`; room: the bytes
 * behind p, if the compiler knows them. */
template <class I> PAH_SIM_INLINE I pah_sim_at(I i, size_t room, size_t each) {
  if (room != (size_t)-1 && (long long)i >= 0 && ((size_t)i + 1) * each > room)
    pah_sim_beyond((long long)i, room, each);
  return i;
}

/* `x[i]` that a reference is bound to is written `x[pah_sim_last<decltype(x)>(i)]`: the compiler lets that be one past
 * the end, as a pointer may be. */
template <class A, class I> PAH_SIM_INLINE I pah_sim_last(I i) {
  typedef std::remove_reference_t<A> array;
  if constexpr (std::is_array<array>::value && std::extent<array>::value != 0)
    if ((size_t)i == std::extent<array>::value)
      pah_sim_beyond((long long)i, sizeof(array), sizeof(std::remove_extent_t<array>));
  return i;
}

/* `a << b` is written `a << pah_sim_by << b`, `a <<= b` as `a <<= pah_sim_by = b`: the same order of evaluation. */
template <class T>
struct pah_sim_is_number
    : std::integral_constant<bool, std::is_integral<T>::value ||
                                       (std::is_enum<T>::value && std::is_convertible<T, long long>::value)> {};
template <class L> PAH_SIM_INLINE constexpr L pah_sim_shift_left(L a, unsigned n) {
  return n < sizeof(L) * 8 ? (L)((std::make_unsigned_t<L>)a << n) : (L)0;
}
template <class L> PAH_SIM_INLINE constexpr L pah_sim_shift_right(L a, unsigned n) {
  return n < sizeof(L) * 8 ? (L)(a >> n) : a < 0 ? (L)-1 : (L)0;
}
template <class L> struct pah_sim_shifted { L value; };
template <class A> struct pah_sim_left { /* of a class that has a << of its own */
  A &&value;
};
template <class B> struct pah_sim_amount { B value; };
struct pah_sim_by_type {
  template <class B> PAH_SIM_INLINE constexpr pah_sim_amount<B> operator=(B b) const {
    return {b};
  }
};
static constexpr pah_sim_by_type pah_sim_by{};

#define PAH_SIM_SHIFT(op, function)                                                                                    \
  template <class A, class = std::enable_if_t<pah_sim_is_number<A>::value>>                                            \
  PAH_SIM_INLINE constexpr auto operator op(A a, pah_sim_by_type)->pah_sim_shifted<decltype(+a)> {                     \
    return {+a};                                                                                                       \
  }                                                                                                                    \
  template <class A, class = std::enable_if_t<!pah_sim_is_number<std::decay_t<A>>::value>>                             \
  PAH_SIM_INLINE constexpr pah_sim_left<A> operator op(A &&a, pah_sim_by_type) {                                       \
    return {static_cast<A &&>(a)};                                                                                     \
  }                                                                                                                    \
  template <class L, class B, class = std::enable_if_t<pah_sim_is_number<B>::value>>                                   \
  PAH_SIM_INLINE constexpr L operator op(pah_sim_shifted<L> a, B b) {                                                  \
    return function(a.value, (unsigned)b);                                                                             \
  }                                                                                                                    \
  template <class L, class B, class = std::enable_if_t<!pah_sim_is_number<std::decay_t<B>>::value>, class = void>      \
  PAH_SIM_INLINE constexpr decltype(auto) operator op(pah_sim_shifted<L> a, B &&b) {                                   \
    return a.value op static_cast<B &&>(b);                                                                            \
  }                                                                                                                    \
  template <class A, class B> PAH_SIM_INLINE constexpr decltype(auto) operator op(pah_sim_left<A> a, B &&b) {          \
    return static_cast<A &&>(a.value) op static_cast<B &&>(b);                                                         \
  }
PAH_SIM_SHIFT(<<, pah_sim_shift_left)
PAH_SIM_SHIFT(>>, pah_sim_shift_right)
#undef PAH_SIM_SHIFT
#define PAH_SIM_SHIFT_TO(op, inner, function)                                                                          \
  template <class A, class B> PAH_SIM_INLINE constexpr decltype(auto) operator op(A &a, pah_sim_amount<B> b) {         \
    if constexpr (pah_sim_is_number<std::remove_cv_t<A>>::value && pah_sim_is_number<B>::value)                        \
      return (a = (A)function(+a, (unsigned)b.value));                                                                 \
    else                                                                                                               \
      return (a op b.value);                                                                                           \
  }
PAH_SIM_SHIFT_TO(<<=, <<, pah_sim_shift_left)
PAH_SIM_SHIFT_TO(>>=, >>, pah_sim_shift_right)
#undef PAH_SIM_SHIFT_TO

#endif
