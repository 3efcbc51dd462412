/* simt/products.cuh - S = Q K^T and O += P V by multiply-adds, four elements of an operand at a time. All operands lie
 * in rows of 128 bytes, swizzled as page_fetch.cuh does it: lanes that read neighbouring rows or chunks meet in no
 * bank, and lanes that read the same share it. Loops are unrolled over the eight chunks of such a row: then places
 * differ by constants. Weights go through shared memory, from the lanes that have a row's keys to those that have its
 * columns; both are in one warp. Read next: forward.cu. */
#pragma once
#include "config.cuh"
#include "page_fetch.cuh"

typedef float score_tile[THREAD_ROWS][THREAD_KEYS];
typedef float sum_tile[THREAD_ROWS][THREAD_COLUMNS][4];

/* Rows y, y + 4 * WARPS, ... of the tile are this thread's: of one place modulo 8. */
__device__ __forceinline__ int thread_row(int i) {
  return (int)threadIdx.x / LANES_X + i * (LANES_Y * WARPS);
}

__device__ __forceinline__ int lane_x() {
  return (int)threadIdx.x % LANES_X;
}

__device__ __forceinline__ const float4 &four_at(unsigned place) {
  return *(const float4 *)(pool + place);
}

/* Where chunk 0 of a row lies; chunk c is at place ^ c * 16. */
__device__ __forceinline__ unsigned row_place(unsigned tile, int row) {
  return tile + row * ROW_BYTES + (row % 8 << 4);
}

__device__ __forceinline__ float element(const float4 &x, int i) {
  return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
}

__device__ __forceinline__ void multiply_qk(score_tile &s, unsigned q, unsigned k) {
  unsigned rows = row_place(q, thread_row(0)), keys = row_place(k, lane_x());
#pragma unroll
  for (int i = 0; i < THREAD_ROWS * THREAD_KEYS; i++) s[i / THREAD_KEYS][i % THREAD_KEYS] = 0;
#pragma unroll 1
  for (int column = 0; column < COLUMNS_OF<DIM>; column++) {
#pragma unroll
    for (int c = 0; c < 8; c++) {
      float4 a[THREAD_ROWS];
#pragma unroll
      for (int i = 0; i < THREAD_ROWS; i++) a[i] = four_at((rows ^ c << 4) + i * (LANES_Y * WARPS * ROW_BYTES));
#pragma unroll
      for (int j = 0; j < THREAD_KEYS; j++) {
        const float4 b = four_at((keys ^ c << 4) + j * (LANES_X * ROW_BYTES));
#pragma unroll
        for (int e = 0; e < 4; e++)
#pragma unroll
          for (int i = 0; i < THREAD_ROWS; i++) s[i][j] = fmaf(element(a[i], e), element(b, e), s[i][j]);
      }
    }
    rows += TILE_M * ROW_BYTES;
    keys += TILE_N * ROW_BYTES;
  }
}

/* Key j of a row is element j % 4 of chunk j / 4: TILE_N / 32 columns of rows of 128 bytes. */
__device__ __forceinline__ void leave_weights(unsigned weights, const score_tile &s) {
  const unsigned row = row_place(weights, thread_row(0));
#pragma unroll
  for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
    for (int j = 0; j < THREAD_KEYS; j++) {
      const int key = lane_x() + j * LANES_X;
      const unsigned place = (row ^ key / 4 % 8 << 4) + key % 4 * 4 + key / COLUMNS * (TILE_M * ROW_BYTES);
      *(float *)(pool + place + i * (LANES_Y * WARPS * ROW_BYTES)) = s[i][j];
    }
  __syncwarp();
}

__device__ __forceinline__ void multiply_pv(sum_tile &o, unsigned weights, unsigned v) {
  const unsigned row = row_place(weights, thread_row(0)), mine = lane_x() << 4;
#pragma unroll 1
  for (int c = 0; c < TILE_N / 4; c += 2) { /* eight keys at a time */
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned place = (row ^ (c + half) % 8 << 4) + c / 8 * (TILE_M * ROW_BYTES);
      float4 a[THREAD_ROWS];
#pragma unroll
      for (int i = 0; i < THREAD_ROWS; i++) a[i] = four_at(place + i * (LANES_Y * WARPS * ROW_BYTES));
#pragma unroll
      for (int e = 0; e < 4; e++)
#pragma unroll
        for (int j = 0; j < THREAD_COLUMNS; j++) {
          const int key = 4 * half + e; /* of the eight */
          const float4 b = four_at(v + (mine ^ key << 4) + key * ROW_BYTES + j * (TILE_N * ROW_BYTES));
#pragma unroll
          for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
            for (int d = 0; d < 4; d++) o[i][j][d] = fmaf(element(a[i], e), element(b, d), o[i][j][d]);
        }
    }
    v += 8 * ROW_BYTES;
  }
  __syncwarp(); /* the weights may be overwritten */
}
