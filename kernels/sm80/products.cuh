/* sm80/products.cuh - the products of a warp by mma.sync, each of 16 rows by 8 columns by 16 an instruction, from tiles
 * as page_fetch.cuh has them: rows cut into columns of ROW_BYTES, chunk c of row r at chunk c ^ r % 8. multiply_rows:
 * both operands have their rows outermost (Q K^T); add_columns: the second has its rows along the sum and is transposed
 * by ldmatrix on the way (P V). A fragment of it serves all tiles of 16 rows that a warp has. Layouts of fragments:
 * ptx/mma.h. Read next: forward/products.cuh, backward/dkdv.cu. */
#pragma once
#include "ptx.cuh"
#include "types.cuh"

__device__ __forceinline__ void mma(float *d, const unsigned (&a)[4], unsigned b0, unsigned b1) {
  float(&sums)[4] = *(float(*)[4])d;
  if (IS_BF16<IO_T>)
    ptx::mma_m16n8k16_bf16(sums, a, b0, b1, sums);
  else
    ptx::mma_m16n8k16_f16(sums, a, b0, b1, sums);
}

__device__ __forceinline__ unsigned chunk_at(int row, int chunk) {
  return row * ROW_BYTES + ((chunk ^ row % 8) << 4);
}

/* Where this lane's row for ldmatrix_x4 begins: `row` of it, and chunk `chunk` (0, 1) of 16 elements. The next 16 are
 * at the address ^ 32, ^ 64, ^ 96, the next column a tile of columns on. */
__device__ __forceinline__ unsigned lane_row(unsigned tile, int row, int chunk) {
  return tile + chunk_at(row, chunk);
}

template <int rows> __device__ __forceinline__ unsigned moved(unsigned address, int k) {
  return (address ^ k % 4 * 32) + k / 4 * (rows * ROW_BYTES);
}

/* The A operand in shared memory: tiles of 16 rows, `stride` rows from each other, in a tile of `rows`. Others that are
 * so many bytes behind it need no register of their own. */
template <int rows, int stride, unsigned behind = 0> struct rows_in_memory {
  unsigned address;

  __device__ __forceinline__ void begin(unsigned tile, int first) {
    const int lane = threadIdx.x % 32;
    address = lane_row(tile, first + lane % 16, lane / 16);
  }
  template <unsigned bytes> __device__ __forceinline__ rows_in_memory<rows, stride, bytes> at() const {
    return {address};
  }
  /* Elements 16 k and on. */
  template <int tiles> __device__ __forceinline__ void read(int k, unsigned (&a)[tiles][4]) const {
#pragma unroll
    for (int m = 0; m < tiles; m++) ptx::ldmatrix_x4(a[m], moved<rows>(address, k) + m * (stride * ROW_BYTES) + behind);
  }
};

/* s = A B^T of head_dim elements: B in a tile of `rows`, its first row is at `b`. a.read() gives A. */
template <int rows, int head_dim, class A, int tiles, int sums>
__device__ __forceinline__ void multiply_rows(float (&s)[tiles][sums], const A &a_rows, unsigned b_tile) {
  const int lane = threadIdx.x % 32;
  const unsigned b_rows = lane_row(b_tile, lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int m = 0; m < tiles; m++)
#pragma unroll
    for (int i = 0; i < sums; i++) s[m][i] = 0;
#pragma unroll
  for (int k = 0; k < head_dim / 16; k++) {
    unsigned a[tiles][4];
    a_rows.read(k, a);
#pragma unroll
    for (int i = 0; i < sums / 8; i++) {
      unsigned b[4];
      ptx::ldmatrix_x4(b, moved<rows>(b_rows, k) + i * (16 * ROW_BYTES));
#pragma unroll
      for (int m = 0; m < tiles; m++)
#pragma unroll
        for (int j = 0; j < 2; j++) mma(s[m] + 8 * i + 4 * j, a[m], b[2 * j], b[2 * j + 1]);
    }
  }
}

/* o += A B: tiles of 16 numbers along the sum, `first` to first + count - 1 of A's, the same rows of B's tile. */
template <int rows, int count, int tiles, int sums, int along>
__device__ __forceinline__ void add_columns(float (&o)[tiles][sums], const unsigned (&a)[tiles][along][4], int first,
                                            unsigned b_tile) {
  const int lane = threadIdx.x % 32;
  const unsigned b_rows = lane_row(b_tile, lane % 16, lane / 16);
#pragma unroll
  for (int k = first; k < first + count; k++)
#pragma unroll
    for (int i = 0; i < sums / 8; i++) {
      unsigned b[4];
      ptx::ldmatrix_x4_trans(b, moved<rows>(b_rows, i) + k * (16 * ROW_BYTES));
#pragma unroll
      for (int m = 0; m < tiles; m++)
#pragma unroll
        for (int j = 0; j < 2; j++) mma(o[m] + 8 * i + 4 * j, a[m][k], b[2 * j], b[2 * j + 1]);
    }
}
