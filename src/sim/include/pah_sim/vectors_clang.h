/* vectors_clang.h - the vector types of two and four elements for clang, which would split a plain struct: they hold
 * one machine vector beside their fields and copy that, so that a copy of one stays one access. So they are not
 * trivially copyable, which CUDA's are; g++ needs none of this (pah_sim/types.h). Included by types.h. */
#ifndef PAH_SIM_VECTORS_CLANG_H
#define PAH_SIM_VECTORS_CLANG_H

/* The machine vector that a vector type of `bytes` is copied as; none for the sizes that move element by element. */
template <unsigned bytes> struct pah_sim_whole {};
template <> struct pah_sim_whole<2> { typedef uint16_t type; };
template <> struct pah_sim_whole<4> { typedef uint32_t type; };
template <> struct pah_sim_whole<8> { typedef uint64_t type; };
template <> struct pah_sim_whole<16> { typedef long long type __attribute__((vector_size(16))); };

/* Types of two and four elements. `may_alias`: kernels cast anything to them. */
#define PAH_SIM_COPIES(name)                                                                                           \
  name() = default;                                                                                                    \
  PAH_SIM_INLINE name(const name &o) : whole(o.whole) {}                                                               \
  PAH_SIM_INLINE name(const volatile name &o) : whole(o.whole) {}                                                      \
  PAH_SIM_INLINE name &operator=(const name &o) {                                                                      \
    whole = o.whole;                                                                                                   \
    return *this;                                                                                                      \
  }                                                                                                                    \
  PAH_SIM_INLINE void operator=(const name &o) volatile {                                                              \
    whole = o.whole;                                                                                                   \
  }
/* auto [x, y] = v; as of any struct. */
#define PAH_SIM_PARTS(name, T, count)                                                                                  \
  template <> struct std::tuple_size<name> : std::integral_constant<std::size_t, count> {};                            \
  template <std::size_t I> struct std::tuple_element<I, name> { typedef T type; };
#define PAH_SIM_GET(T)                                                                                                 \
  template <std::size_t I> PAH_SIM_INLINE constexpr T &get() {                                                         \
    return (&x)[I];                                                                                                    \
  }                                                                                                                    \
  template <std::size_t I> PAH_SIM_INLINE constexpr const T &get() const {                                             \
    return (&x)[I];                                                                                                    \
  }
#define PAH_SIM_VECTOR2(name, T, bytes)                                                                                \
  struct __attribute__((aligned(bytes))) name {                                                                        \
    union {                                                                                                            \
      struct {                                                                                                         \
        T x, y;                                                                                                        \
      };                                                                                                               \
      pah_sim_whole<bytes>::type whole;                                                                                \
    };                                                                                                                 \
    PAH_SIM_COPIES(name)                                                                                               \
    PAH_SIM_INLINE constexpr name(T a, T b = 0) : x(a), y(b) {}                                                        \
    PAH_SIM_GET(T)                                                                                                     \
  };                                                                                                                   \
  PAH_SIM_PARTS(name, T, 2)                                                                                            \
  PAH_SIM_INLINE name make_##name(T x, T y) {                                                                          \
    return name(x, y);                                                                                                 \
  }
#define PAH_SIM_VECTOR4(name, T, bytes)                                                                                \
  struct __attribute__((aligned(bytes))) name {                                                                        \
    union {                                                                                                            \
      struct {                                                                                                         \
        T x, y, z, w;                                                                                                  \
      };                                                                                                               \
      pah_sim_whole<bytes>::type whole;                                                                                \
    };                                                                                                                 \
    PAH_SIM_COPIES(name)                                                                                               \
    /* Fewer than all in braces: the others are zero, as of any struct. */                                             \
    PAH_SIM_INLINE constexpr name(T a, T b = 0, T c = 0, T d = 0) : x(a), y(b), z(c), w(d) {}                          \
    PAH_SIM_GET(T)                                                                                                     \
  };                                                                                                                   \
  PAH_SIM_PARTS(name, T, 4)                                                                                            \
  PAH_SIM_INLINE name make_##name(T x, T y, T z, T w) {                                                                \
    return name(x, y, z, w);                                                                                           \
  }

#endif
