/* wmma.cu - products of matrices with nvcuda::wmma in every shape and type that sim knows: c = 2 a b over two steps of
 * k, a M x 2K and b 2K x N as the layouts say. Built by nvcc too. */
#include <mma.h>
#include <type_traits>
using namespace nvcuda;

template <int M, int N, int K, class T, class LA, class LB, class Sum, class S>
__device__ void multiply(const S *a, const S *b, Sum *c) {
  wmma::fragment<wmma::matrix_a, M, N, K, T, LA> fa;
  wmma::fragment<wmma::matrix_b, M, N, K, T, LB> fb;
  wmma::fragment<wmma::accumulator, M, N, K, Sum> fc;
  wmma::fill_fragment(fc, Sum(0.0f));
  const bool a_rows = std::is_same<LA, wmma::row_major>::value;
  const bool b_rows = std::is_same<LB, wmma::row_major>::value;
  for (int i = 0; i < 2; i++) {
    wmma::load_matrix_sync(fa, a + i * K * (a_rows ? 1 : M), a_rows ? 2 * K : M);
    wmma::load_matrix_sync(fb, b + i * K * (b_rows ? N : 1), b_rows ? N : 2 * K);
    wmma::mma_sync(fc, fa, fb, fc);
  }
  for (int i = 0; i < fc.num_elements; i++) fc.x[i] = fc.x[i] * Sum(2);
  wmma::store_matrix_sync(c, fc, N, wmma::mem_row_major);
}

typedef wmma::row_major R;
typedef wmma::col_major C;
extern "C" __global__ void f16_16x16(const half *a, const half *b, float *c) {
  multiply<16, 16, 16, half, R, C>(a, b, c);
}
extern "C" __global__ void f16_32x8(const half *a, const half *b, float *c) {
  multiply<32, 8, 16, half, C, R>(a, b, c);
}
extern "C" __global__ void f16_8x32(const half *a, const half *b, half *c) {
  multiply<8, 32, 16, half, R, R>(a, b, c);
}
extern "C" __global__ void bf16_8x32(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c) {
  multiply<8, 32, 16, __nv_bfloat16, C, C>(a, b, c);
}
extern "C" __global__ void bf16_16x16(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c) {
  multiply<16, 16, 16, __nv_bfloat16, C, R>(a, b, c);
}
extern "C" __global__ void s8_16x16(const signed char *a, const signed char *b, int *c) {
  multiply<16, 16, 16, signed char, R, C>(a, b, c);
}
extern "C" __global__ void tf32_16x16(const float *a, const float *b, float *c) {
  multiply<16, 16, 8, wmma::precision::tf32, R, R>(a, b, c);
}
