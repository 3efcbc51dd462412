/* headers.c - NVRTC knows no <stdint.h>, <math.h> or <limits>, which ordinary .cu files include and nvcc has: here are
 * the parts of them that device code can use. The C ones are one text, included before every source as nvcc does with
 * its own; those of C++ lead to libcu++ of the CUDA Toolkit. Types are those of libcu++, so that both can be included.
 * Read next: nvrtc.c. */
#include "headers.h"

#include <stddef.h>

#include "source/host_headers.h"

static const char standard[] =
    "#ifndef PAH_STANDARD_H\n"
    "#define PAH_STANDARD_H\n"
    "using int8_t = signed char; using int16_t = short; using int32_t = int; using int64_t = long long;\n"
    "using uint8_t = unsigned char; using uint16_t = unsigned short; using uint32_t = unsigned;\n"
    "using uint64_t = unsigned long long; using intptr_t = int64_t; using uintptr_t = uint64_t;\n"
    "using intmax_t = int64_t; using uintmax_t = uint64_t; using ptrdiff_t = long;\n"
    "typedef unsigned char uchar; typedef unsigned short ushort; typedef unsigned int uint;\n"
    "namespace std {\n"
    "using ::int8_t; using ::int16_t; using ::int32_t; using ::int64_t; using ::uint8_t; using ::uint16_t;\n"
    "using ::uint32_t; using ::uint64_t; using ::intptr_t; using ::uintptr_t; using ::size_t; using ::ptrdiff_t;\n"
    "}\n"
    "#define INFINITY __int_as_float(0x7f800000)\n"
    "#define NAN __int_as_float(0x7fffffff)\n"
    "#define HUGE_VALF INFINITY\n"
    "#define HUGE_VAL ((double)INFINITY)\n"
    "#define FLT_MAX 3.40282347e+38F\n"
    "#define FLT_MIN 1.17549435e-38F\n"
    "#define FLT_EPSILON 1.19209290e-7F\n"
    "#define DBL_MAX 1.7976931348623157e+308\n"
    "#define DBL_MIN 2.2250738585072014e-308\n"
    "#define DBL_EPSILON 2.2204460492503131e-16\n"
    "#define M_PI 3.14159265358979323846\n"
    "#define M_E 2.7182818284590452354\n"
    "#define M_LOG2E 1.4426950408889634074\n"
    "#define M_LN2 0.69314718055994530942\n"
    "#define M_SQRT2 1.41421356237309504880\n"
    "#define M_SQRT1_2 0.70710678118654752440\n"
    "#ifndef INT_MAX\n"
    "#define CHAR_BIT 8\n"
    "#define SCHAR_MAX 127\n"
    "#define SCHAR_MIN (-128)\n"
    "#define UCHAR_MAX 255\n"
    "#define SHRT_MIN (-SHRT_MAX - 1)\n"
    "#define SHRT_MAX 0x7fff\n"
    "#define USHRT_MAX 0xffff\n"
    "#define INT_MIN (-INT_MAX - 1)\n"
    "#define INT_MAX 0x7fffffff\n"
    "#define UINT_MAX 0xffffffff\n"
    "#define LLONG_MIN (-LLONG_MAX - 1)\n"
    "#define LLONG_MAX 0x7fffffffffffffffLL\n"
    "#define ULLONG_MAX 0xffffffffffffffffUL\n"
    "#endif\n"
    "#define INT8_MAX 127\n"
    "#define INT16_MAX 32767\n"
    "#define INT32_MAX 2147483647\n"
    "#define INT32_MIN (-2147483647 - 1)\n"
    "#define INT64_MAX 9223372036854775807LL\n"
    "#define INT8_MIN (-128)\n"
    "#define INT16_MIN (-32767 - 1)\n"
    "#define INT64_MIN (-INT64_MAX - 1)\n"
    "#define SIZE_MAX UINT64_MAX\n"
    "#define LONG_MAX LLONG_MAX\n"
    "#define LONG_MIN LLONG_MIN\n"
    "#define ULONG_MAX ULLONG_MAX\n"
    "#define UINT8_MAX 255\n"
    "#define UINT16_MAX 65535\n"
    "#define UINT32_MAX 4294967295U\n"
    "#define UINT64_MAX 18446744073709551615ULL\n"
    "#endif\n";

/* What device code calls of <algorithm>, which libcu++ of CUDA 13 has not. */
static const char algorithm[] = "#ifndef PAH_ALGORITHM\n"
                                "#define PAH_ALGORITHM\n"
                                "namespace std {\n"
                                "template <class Any> __host__ __device__ constexpr const Any &min(const Any &a, const "
                                "Any &b) { return b < a ? b : a; }\n"
                                "template <class Any> __host__ __device__ constexpr const Any &max(const Any &a, const "
                                "Any &b) { return a < b ? b : a; }\n"
                                "template <class Any> __host__ __device__ constexpr const Any &clamp(const Any &x, "
                                "const Any &low, const Any &high) {\n"
                                "  return x < low ? low : high < x ? high : x;\n"
                                "}\n"
                                "}\n"
                                "#endif\n";

#define LIBCUXX(name) "#include <cuda/std/" name ">\nnamespace std { using namespace cuda::std; }\n"

/* X(name, text) */
#define HEADERS(X)                                                                                                     \
  X("pah_standard.h", standard)                                                                                        \
  X("stdint.h", standard)                                                                                              \
  X("cstdint", standard)                                                                                               \
  X("stddef.h", standard)                                                                                              \
  X("cstddef", standard)                                                                                               \
  X("limits.h", standard)                                                                                              \
  X("climits", standard)                                                                                               \
  X("float.h", standard)                                                                                               \
  X("cfloat", standard)                                                                                                \
  X("math.h", standard)                                                                                                \
  X("cmath", LIBCUXX("cmath"))                                                                                         \
  X("stdio.h", standard)                                                                                               \
  X("cstdio", standard)                                                                                                \
  X("stdlib.h", standard)                                                                                              \
  X("cstdlib", standard)                                                                                               \
  X("string.h", standard)                                                                                              \
  X("cstring", standard)                                                                                               \
  X("assert.h", standard)                                                                                              \
  X("cassert", standard)                                                                                               \
  X("iostream", standard)                                                                                              \
  X("vector", standard)                                                                                                \
  X("algorithm", algorithm)                                                                                            \
  X("limits", LIBCUXX("limits"))                                                                                       \
  X("type_traits", LIBCUXX("type_traits"))                                                                             \
  X("utility", LIBCUXX("utility"))                                                                                     \
  X("array", LIBCUXX("array"))                                                                                         \
  X("tuple", LIBCUXX("tuple"))                                                                                         \
  X("functional", LIBCUXX("functional"))

#define NAME(name, text) name,
#define TEXT(name, text) text,
#define HOST_NAME(name) name,
#define NO_TEXT(name) "",
static const char *const names[] = {HEADERS(NAME) PAH_HOST_HEADERS(HOST_NAME)};
static const char *const texts[] = {HEADERS(TEXT) PAH_HOST_HEADERS(NO_TEXT)};

int cuda_header_count(void) {
  return (int)(sizeof names / sizeof *names);
}

const char *const *cuda_header_names(void) {
  return names;
}

const char *const *cuda_header_texts(void) {
  return texts;
}
