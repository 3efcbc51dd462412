/* mma.h - nvcuda::wmma for sim: matrices of a warp in fragments, multiplied by the mma of ../abi_ptx.h. Shapes
 * 16x16x16, 32x8x16 and 8x32x16 of half, bf16 and signed char, 16x16x8 of tf32. CUDA leaves open which lane holds which
 * element; here a fragment is a grid of the pieces that mma takes (16 rows of A, 8 columns of B). An 8x32 result is
 * computed as the transpose of a 32x8 one. */
#ifndef PAH_SIM_MMA_H
#define PAH_SIM_MMA_H

#include "../abi_ptx.h"
#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace nvcuda {
namespace wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32 {};
} // namespace precision

PAH_SIM_INLINE float __float_to_tf32(float x) { /* to nearest, ties away from zero */
  unsigned bits = __float_as_uint(x);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0x1000;
  return __uint_as_float(bits & 0xffffe000u);
}

/* How an element type is stored and multiplied: kind of mma, elements in a register, steps of k of one mma. */
template <class T> struct pah_element;
template <> struct pah_element<half> {
  typedef half storage;
  enum { kind = PAH_SIM_MMA_F16, per = 2 };
};
template <> struct pah_element<__nv_bfloat16> {
  typedef __nv_bfloat16 storage;
  enum { kind = PAH_SIM_MMA_BF16, per = 2 };
};
template <> struct pah_element<precision::tf32> {
  typedef float storage;
  enum { kind = PAH_SIM_MMA_TF32, per = 1 };
};
template <> struct pah_element<signed char> {
  typedef signed char storage;
  enum { kind = PAH_SIM_MMA_S8, per = 4 };
};
template <> struct pah_element<float> { typedef float storage; };
template <> struct pah_element<int> { typedef int storage; };

/* Rows x columns of one lane's elements. A piece of A is 16 x k, of B k x 8, of the result 16 x 8. */
template <class Use, int M, int N, int K, class T, class Layout = void> class fragment {
  static constexpr bool is_a = std::is_same<Use, matrix_a>::value, is_sum = std::is_same<Use, accumulator>::value;
  static constexpr int rows = is_sum || is_a ? M : K, columns = is_sum || !is_a ? N : K;
  static_assert(M * N == 256 && (K == 16 || K == 8), "wmma: a shape that there is");

public:
  typedef typename pah_element<T>::storage storage_element_type;
  typedef storage_element_type element_type;
  static constexpr bool is_transposed = M == 8; /* its mma's A is our B */
  static constexpr int num_elements = rows * columns / 32, num_storage_elements = num_elements;
  storage_element_type x[num_elements];

  /* Row and column in the matrix of element i of this lane. */
  PAH_SIM_INLINE static void place(int i, int &row, int &column) {
    int g = (int)pah_sim_lane() / 4, t = (int)pah_sim_lane() % 4;
    if constexpr (is_sum) {
      int piece = i / 4, across = is_transposed ? 1 : N / 8;
      row = piece / across * 16 + g + i % 4 / 2 * 8;
      column = piece % across * 8 + t * 2 + i % 2;
      if (is_transposed) swap(row, column);
    } else {
      /* Registers hold `per` steps of k; A's come in rows g and g + 8 for each register of B. */
      constexpr int per = pah_element<T>::per;
      constexpr bool tall = is_a != is_transposed;
      constexpr int registers = K / (4 * per), piece_size = K * (tall ? 16 : 8) / 32;
      int piece = i / piece_size, at = i % piece_size, e = at % per, r = at / per;
      int k = tall ? r / 2 * 4 * per + t * per + e : r * 4 * per + t * per + e;
      int outer = piece * (tall ? 16 : 8) + g + (tall ? r % 2 * 8 : 0);
      static_assert(registers >= 1, "wmma: k too small");
      row = is_a ? outer : k;
      column = is_a ? k : outer;
    }
  }
  PAH_SIM_INLINE static void swap(int &a, int &b) {
    int c = a;
    a = b;
    b = c;
  }
  /* Register r of piece p of an operand; zero beyond its k (signed char has half of what its mma takes). */
  PAH_SIM_INLINE unsigned operand(int p, int r) const {
    constexpr int per = pah_element<T>::per;
    constexpr bool tall = is_a != is_transposed;
    constexpr int piece_size = K * (tall ? 16 : 8) / 32;
    if (r * per >= piece_size) return 0;
    unsigned bits = 0;
    for (int e = 0; e < per; e++) {
      unsigned long long one = pah_sim_bits(x[p * piece_size + r * per + e]);
      bits |= (unsigned)one << e * (32 / per);
    }
    return bits;
  }
};

template <class Use, int M, int N, int K, class T, class Layout, class V>
PAH_SIM_INLINE void fill_fragment(fragment<Use, M, N, K, T, Layout> &f, const V &value) {
  for (int i = 0; i < f.num_elements; i++) f.x[i] = (typename fragment<Use, M, N, K, T, Layout>::element_type)value;
}

template <class F, class E> PAH_SIM_INLINE void pah_load(F &f, const E *from, unsigned stride, bool by_rows) {
#pragma GCC unroll 16
  for (int i = 0; i < F::num_elements; i++) {
    int row, column;
    F::place(i, row, column);
    f.x[i] = from[by_rows ? row * stride + column : column * stride + row];
  }
}
template <class Use, int M, int N, int K, class T, class Layout>
PAH_SIM_INLINE void load_matrix_sync(fragment<Use, M, N, K, T, Layout> &f, const typename pah_element<T>::storage *from,
                                     unsigned stride) {
  pah_load(f, from, stride, std::is_same<Layout, row_major>::value);
}
template <int M, int N, int K, class T>
PAH_SIM_INLINE void load_matrix_sync(fragment<accumulator, M, N, K, T> &f, const typename pah_element<T>::storage *from,
                                     unsigned stride, layout_t layout) {
  pah_load(f, from, stride, layout == mem_row_major);
}
template <int M, int N, int K, class T>
PAH_SIM_INLINE void store_matrix_sync(T *to, const fragment<accumulator, M, N, K, T> &f, unsigned stride,
                                      layout_t layout) {
#pragma GCC unroll 16
  for (int i = 0; i < f.num_elements; i++) {
    int row, column;
    f.place(i, row, column);
    to[layout == mem_row_major ? row * stride + column : column * stride + row] = f.x[i];
  }
}

/* Four sums of a piece to and from the registers of mma: 32 bits each, or f16 in twos. */
template <class S> PAH_SIM_INLINE pah_sim_v4 pah_sums(const S *x) {
  pah_sim_v4 v = {{0, 0, 0, 0}};
  if constexpr (sizeof(S) == 2)
    for (int i = 0; i < 2; i++) v.r[i] = (unsigned)(pah_sim_bits(x[2 * i]) | pah_sim_bits(x[2 * i + 1]) << 16);
  else
    for (int i = 0; i < 4; i++) v.r[i] = (unsigned)pah_sim_bits(x[i]);
  return v;
}
template <class S> PAH_SIM_INLINE S pah_sum(const pah_sim_v4 &v, int i) {
  if constexpr (sizeof(S) == 2)
    return __ushort_as_half((unsigned short)(v.r[i / 2] >> 16 * (i % 2)));
  else
    return pah_sim_cast<S>(v.r[i]);
}

template <int M, int N, int K, class T, class LA, class LB, class D, class C>
PAH_SIM_INLINE void mma_sync(fragment<accumulator, M, N, K, D> &d, const fragment<matrix_a, M, N, K, T, LA> &a,
                             const fragment<matrix_b, M, N, K, T, LB> &b, const fragment<accumulator, M, N, K, C> &c) {
  constexpr bool transposed = M == 8;
  constexpr int down = (transposed ? N : M) / 16, across = (transposed ? M : N) / 8;
  constexpr bool small = sizeof(C) == 2 && sizeof(D) == 2;
  constexpr int kind = small ? (int)PAH_SIM_MMA_F16_F16 : (int)pah_element<T>::kind;
  for (int i = 0; i < down; i++)
    for (int j = 0; j < across; j++) {
      int at = (i * across + j) * 4;
      pah_sim_v4 left;
      pah_sim_v2 right;
      for (int r = 0; r < 4; r++) left.r[r] = transposed ? b.operand(i, r) : a.operand(i, r);
      for (int r = 0; r < 2; r++) right.r[r] = transposed ? a.operand(j, r) : b.operand(j, r);
      pah_sim_v4 sums;
      if constexpr (sizeof(C) == 2 && !small) { /* f16 in, f32 out */
        for (int e = 0; e < 4; e++) sums.r[e] = __float_as_uint(__half2float(c.x[at + e]));
      } else if constexpr (sizeof(C) == 4 && sizeof(D) == 2) {
        sums = pah_sums(&c.x[at]);
      } else {
        sums = pah_sums(&c.x[at]);
      }
      pah_sim_v4 v = pah_sim_mma(kind, left, right, sums);
      for (int e = 0; e < 4; e++)
        if constexpr (sizeof(C) == 4 && sizeof(D) == 2)
          d.x[at + e] = __float2half(__uint_as_float(v.r[e]));
        else
          d.x[at + e] = pah_sum<D>(v, e);
    }
}

/* Integers of 4 bits and bits: names, so that a header with them compiles. */
namespace experimental {
namespace precision {
struct u4;
struct s4;
struct b1;
} // namespace precision
enum bmmaBitOp { bmmaBitOpXOR = 1, bmmaBitOpAND = 2 };
enum bmmaAccumulateOp { bmmaAccumulateOpPOPC = 1 };
} // namespace experimental
template <class... A> PAH_SIM_INLINE void bmma_sync(A &&...) {
  pah_sim_unsupported("bmma_sync, a product of bits by wmma,");
}

} // namespace wmma
} // namespace nvcuda

/* The header of CUDA has it in the global namespace. */
PAH_SIM_INLINE float __float_to_tf32(float x) {
  return nvcuda::wmma::__float_to_tf32(x);
}

#endif
