/* types.h - dim3 and the vector types. The words that CUDA adds to C++ are sim/compile/words.c's.
 * Vectors are plain structs, as CUDA's: g++ copies one by one access of its size (-fno-tree-sra), as the device does.
 * What clang needs for that is in pah_sim/vectors_clang.h. Read next: pah_sim/builtins.h. */
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

/* What stands for `float4{a, b, c, d}` in an assignment (sim/compile/words.c): a value of its own, not four stores. */
template <class T> PAH_SIM_INLINE constexpr T pah_sim_made(T v) {
  return v;
}

#define PAH_SIM_VECTOR1(name, T)                                                                                       \
  struct name {                                                                                                        \
    T x;                                                                                                               \
  };                                                                                                                   \
  PAH_SIM_INLINE constexpr name make_##name(T x) {                                                                     \
    return name{x};                                                                                                    \
  }
#define PAH_SIM_VECTOR3(name, T)                                                                                       \
  struct name {                                                                                                        \
    T x, y, z;                                                                                                         \
  };                                                                                                                   \
  PAH_SIM_INLINE constexpr name make_##name(T x, T y, T z) {                                                           \
    return name{x, y, z};                                                                                              \
  }
/* Four elements of 8 bytes: two halves of 16, as the device moves them; or one of 32. */
#define PAH_SIM_VECTOR32(name, T, align)                                                                               \
  struct __attribute__((aligned(align))) name {                                                                        \
    T x, y, z, w;                                                                                                      \
  };                                                                                                                   \
  PAH_SIM_INLINE constexpr name make_##name(T x, T y, T z, T w) {                                                      \
    return name{x, y, z, w};                                                                                           \
  }
#ifdef __clang__
#include "vectors_clang.h"
#else
/* v = {a, b}: one store. Less than all in the braces: the others are zero. */
#define PAH_SIM_VECTOR2(name, T, bytes)                                                                                \
  struct __attribute__((aligned(bytes))) name {                                                                        \
    T x, y;                                                                                                            \
    PAH_SIM_INLINE name &operator=(std::initializer_list<T> list) {                                                    \
      name v{};                                                                                                        \
      if (list.size() > 0) v.x = list.begin()[0];                                                                      \
      if (list.size() > 1) v.y = list.begin()[1];                                                                      \
      return *this = v;                                                                                                \
    }                                                                                                                  \
  };                                                                                                                   \
  PAH_SIM_INLINE constexpr name make_##name(T x, T y) {                                                                \
    return name{x, y};                                                                                                 \
  }
#define PAH_SIM_VECTOR4(name, T, bytes)                                                                                \
  struct __attribute__((aligned(bytes))) name {                                                                        \
    T x, y, z, w;                                                                                                      \
    PAH_SIM_INLINE name &operator=(std::initializer_list<T> list) {                                                    \
      name v{};                                                                                                        \
      if (list.size() > 0) v.x = list.begin()[0];                                                                      \
      if (list.size() > 1) v.y = list.begin()[1];                                                                      \
      if (list.size() > 2) v.z = list.begin()[2];                                                                      \
      if (list.size() > 3) v.w = list.begin()[3];                                                                      \
      return *this = v;                                                                                                \
    }                                                                                                                  \
  };                                                                                                                   \
  PAH_SIM_INLINE constexpr name make_##name(T x, T y, T z, T w) {                                                      \
    return name{x, y, z, w};                                                                                           \
  }
#endif

#define PAH_SIM_VECTORS(base, T, size)                                                                                 \
  PAH_SIM_VECTOR1(base##1, T)                                                                                          \
  PAH_SIM_VECTOR2(base##2, T, 2 * size)                                                                                \
  PAH_SIM_VECTOR3(base##3, T)                                                                                          \
  PAH_SIM_VECTOR4(base##4, T, 4 * size)
#define PAH_SIM_VECTORS8(base, T)                                                                                      \
  PAH_SIM_VECTOR1(base##1, T)                                                                                          \
  PAH_SIM_VECTOR2(base##2, T, 16)                                                                                      \
  PAH_SIM_VECTOR3(base##3, T)                                                                                          \
  PAH_SIM_VECTOR32(base##4, T, 16)                                                                                     \
  PAH_SIM_VECTOR32(base##4_16a, T, 16)                                                                                 \
  PAH_SIM_VECTOR32(base##4_32a, T, 32)

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
