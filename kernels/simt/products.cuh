/* simt/products.cuh - S = Q K^T and O += P V by multiply-adds, four elements of an operand at a time. All operands lie
 * in rows of 128 bytes, swizzled as page_fetch.cuh does it: lanes that read neighbouring rows or chunks meet in no
 * bank, and lanes that read the same share it. Weights go through shared memory, from the lanes that have a row's keys
 * to those that have its columns; both are in one warp. Read next: forward.cu. */
#pragma once
#include "config.cuh"
#include "page_fetch.cuh"

typedef float score_tile[THREAD_ROWS][THREAD_KEYS];
typedef float sum_tile[THREAD_ROWS][THREAD_COLUMNS][4];

/* Rows y, y + 4 * WARPS, ... of the tile are this thread's. */
__device__ __forceinline__ int thread_row(int i) {
  return (int)threadIdx.x / LANES_X + i * (LANES_Y * WARPS);
}

__device__ __forceinline__ int lane_x() {
  return (int)threadIdx.x % LANES_X;
}

/* Chunk c of a row, in a tile of `rows` rows. */
template <int rows> __device__ __forceinline__ const float4 &chunk(unsigned tile, int row, int c) {
  return *(const float4 *)(pool + tile + c / 8 * (rows * ROW_BYTES) + row * ROW_BYTES + ((c % 8 ^ row % 8) << 4));
}

__device__ __forceinline__ void multiply_qk(score_tile &s, unsigned q, unsigned k) {
#pragma unroll
  for (int i = 0; i < THREAD_ROWS * THREAD_KEYS; i++) s[i / THREAD_KEYS][i % THREAD_KEYS] = 0;
#pragma unroll 2
  for (int c = 0; c < DIM / 4; c++) {
    float4 a[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) a[i] = chunk<TILE_M>(q, thread_row(i), c);
#pragma unroll
    for (int j = 0; j < THREAD_KEYS; j++) {
      const float4 b = chunk<TILE_N>(k, lane_x() + j * LANES_X, c);
#pragma unroll
      for (int i = 0; i < THREAD_ROWS; i++) {
        s[i][j] = fmaf(a[i].x, b.x, s[i][j]);
        s[i][j] = fmaf(a[i].y, b.y, s[i][j]);
        s[i][j] = fmaf(a[i].z, b.z, s[i][j]);
        s[i][j] = fmaf(a[i].w, b.w, s[i][j]);
      }
    }
  }
}

__device__ __forceinline__ void leave_weights(unsigned weights, const score_tile &s) {
#pragma unroll
  for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
    for (int j = 0; j < THREAD_KEYS; j++) {
      const int key = lane_x() + j * LANES_X;
      const float4 &four = chunk<TILE_M>(weights, thread_row(i), key / 4);
      ((float *)&four)[key % 4] = s[i][j];
    }
  __syncwarp();
}

__device__ __forceinline__ void multiply_pv(sum_tile &o, unsigned weights, unsigned v) {
#pragma unroll 2
  for (int c = 0; c < TILE_N / 4; c++) {
    float4 a[THREAD_ROWS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) a[i] = chunk<TILE_M>(weights, thread_row(i), c);
#pragma unroll
    for (int e = 0; e < 4; e++)
#pragma unroll
      for (int j = 0; j < THREAD_COLUMNS; j++) {
        const float4 b = chunk<TILE_N>(v, 4 * c + e, lane_x() + j * LANES_X);
#pragma unroll
        for (int i = 0; i < THREAD_ROWS; i++) {
          const float w = e == 0 ? a[i].x : e == 1 ? a[i].y : e == 2 ? a[i].z : a[i].w;
          o[i][j][0] = fmaf(w, b.x, o[i][j][0]);
          o[i][j][1] = fmaf(w, b.y, o[i][j][1]);
          o[i][j][2] = fmaf(w, b.z, o[i][j][2]);
          o[i][j][3] = fmaf(w, b.w, o[i][j][3]);
        }
      }
  }
  __syncwarp(); /* the weights may be overwritten */
}
