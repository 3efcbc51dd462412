/* types.h - dim3 and the vector types. The words that CUDA adds to C++ are sim/compile/words.c's.
 * Vectors of 4, 8 and 16 bytes hold one machine vector beside their fields, so that a copy of one stays one access
 * of that size, as on the device. Read next: pah_sim/builtins.h. */
#ifndef PAH_SIM_TYPES_H
#define PAH_SIM_TYPES_H

/* alignas takes a type or a number (sim/compile/words.c). */
template <class T> constexpr std::size_t pah_sim_alignment() {
  return alignof(T);
}
template <std::size_t bytes> constexpr std::size_t pah_sim_alignment() {
  return bytes;
}

#define __CUDA_ALIGN__(n) __attribute__((aligned(n)))

#define PAH_SIM_INLINE inline __attribute__((always_inline))
#define PAH_SIM_UNSEEN __attribute__((no_sanitize("thread")))
/* The same for functions that tell their caller's place: PAH_SIM_CALLER is an address in the kernel. */
#define PAH_SIM_CALLED __attribute__((no_sanitize("thread"), noinline))
#define PAH_SIM_CALLER __builtin_return_address(0)

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;

/* The machine vector that a vector type of `bytes` is copied as; none for the sizes that move element by element. */
template <unsigned bytes> struct pah_sim_whole {};
template <> struct pah_sim_whole<2> { typedef uint16_t type; };
template <> struct pah_sim_whole<4> { typedef uint32_t type; };
template <> struct pah_sim_whole<8> { typedef uint64_t type; };
template <> struct pah_sim_whole<16> { typedef long long type __attribute__((vector_size(16))); };

#define PAH_SIM_VECTOR1(name, T)                                                                                       \
  struct name {                                                                                                        \
    T x;                                                                                                               \
  };                                                                                                                   \
  PAH_SIM_INLINE name make_##name(T x) {                                                                               \
    return name{x};                                                                                                    \
  }
#define PAH_SIM_VECTOR3(name, T)                                                                                       \
  struct name {                                                                                                        \
    T x, y, z;                                                                                                         \
  };                                                                                                                   \
  PAH_SIM_INLINE name make_##name(T x, T y, T z) {                                                                     \
    return name{x, y, z};                                                                                              \
  }

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
/* 32 bytes: two halves of 16, as the device moves them. */
#define PAH_SIM_VECTOR32(name, T)                                                                                      \
  struct __attribute__((aligned(16))) name {                                                                           \
    T x, y, z, w;                                                                                                      \
  };                                                                                                                   \
  PAH_SIM_INLINE name make_##name(T x, T y, T z, T w) {                                                                \
    return name{x, y, z, w};                                                                                           \
  }

#define PAH_SIM_VECTORS(base, T, size)                                                                                 \
  PAH_SIM_VECTOR1(base##1, T)                                                                                          \
  PAH_SIM_VECTOR2(base##2, T, 2 * size)                                                                                \
  PAH_SIM_VECTOR3(base##3, T)                                                                                          \
  PAH_SIM_VECTOR4(base##4, T, 4 * size)
#define PAH_SIM_VECTORS8(base, T)                                                                                      \
  PAH_SIM_VECTOR1(base##1, T)                                                                                          \
  PAH_SIM_VECTOR2(base##2, T, 16)                                                                                      \
  PAH_SIM_VECTOR3(base##3, T)                                                                                          \
  PAH_SIM_VECTOR32(base##4, T)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
PAH_SIM_VECTORS(char, signed char, 1)
PAH_SIM_VECTORS(uchar, unsigned char, 1)
PAH_SIM_VECTORS(short, short, 2)
PAH_SIM_VECTORS(ushort, unsigned short, 2)
PAH_SIM_VECTORS(int, int, 4)
PAH_SIM_VECTORS(uint, unsigned int, 4)
PAH_SIM_VECTORS(float, float, 4)
PAH_SIM_VECTORS8(long, long)
PAH_SIM_VECTORS8(ulong, unsigned long)
PAH_SIM_VECTORS8(longlong, long long)
PAH_SIM_VECTORS8(ulonglong, unsigned long long)
PAH_SIM_VECTORS8(double, double)
#pragma GCC diagnostic pop

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const {
    return uint3{x, y, z};
  }
};

#endif
