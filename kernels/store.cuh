/* store.cuh - the end of an item: sums divided by the sum of weights, rounded, and written with the lse.
 * A lane holds two neighbouring columns of every eight. Four lanes of a row trade them, so that each has eight in a row
 * of its own (of fp8 sixteen) and a store is 16 bytes. The kernel's config.cuh comes first: HEAD_DIM_V, OUT_T or IO_T,
 * PACK. Read next: tile_softmax.cuh. */
#pragma once
#include "row_options.cuh"
#include "tile_softmax.cuh"
#include "types.cuh"

#ifndef SPREAD_COLUMNS
#define SPREAD_COLUMNS 0 /* 1: a lane's sums are columns 8t to 8t + 7 of 32, number e of tile i is column 4e + i */
#endif

/* Two numbers in a word, or in half of one. */
__device__ __forceinline__ unsigned pair_of(bf16, float lo, float hi) {
  return ptx::cvt_bf16x2(lo, hi);
}
__device__ __forceinline__ unsigned pair_of(f16, float lo, float hi) {
  return ptx::cvt_f16x2(lo, hi);
}
__device__ __forceinline__ unsigned pair_of(fp8_e4m3, float lo, float hi) {
  return ptx::cvt_e4m3x2(lo, hi);
}
__device__ __forceinline__ unsigned pair_of(fp8_e5m2, float lo, float hi) {
  return ptx::cvt_e5m2x2(lo, hi);
}

/* Lane t of four gives word j to lane j and ends with the words that the four have at place t, in their order. */
__device__ __forceinline__ void trade(unsigned (&x)[4]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int step = 1; step < 4; step *= 2) {
    const bool upper = t & step;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i & step) continue;
      const unsigned give = upper ? x[i] : x[i + step];
      const unsigned got = __shfl_xor_sync(0xffffffffu, give, step);
      if (upper)
        x[i] = got;
      else
        x[i + step] = got;
    }
  }
}

/* A row of the tile, from the numbers r of each four of o. All lanes of the row call; those of rows that are `there`
 * write. */
template <class T, int size = sizeof(T)> struct row_store;

template <class T> struct row_store<T, 2> {
  template <int count>
  static __device__ __forceinline__ void run(T *out, bool there, int head_dim_v, const float (&o)[count], int r,
                                             float factor) {
#pragma unroll
    for (int c = 0; c < count / 16; c++) { /* 32 columns: four registers of a lane */
      unsigned x[4];
#pragma unroll
      for (int j = 0; j < 4; j++)
        x[j] = pair_of(T(), o[16 * c + 4 * j + 2 * r] * factor, o[16 * c + 4 * j + 2 * r + 1] * factor);
      trade(x);
      const int column = 32 * c + 8 * (int)(threadIdx.x % 4);
      if (there && column < head_dim_v) *(uint4 *)(out + column) = make_uint4(x[0], x[1], x[2], x[3]);
    }
  }
};

template <class T> struct row_store<T, 1> {
  template <int count>
  static __device__ __forceinline__ void run(T *out, bool there, int head_dim_v, const float (&o)[count], int r,
                                             float factor) {
#pragma unroll
    for (int c = 0; c < count / 32; c++) { /* 64 columns: a register has two pairs, 8 columns from each other */
      unsigned x[4];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int at = 32 * c + 8 * j + 2 * r;
        x[j] = pair_of(T(), o[at] * factor, o[at + 1] * factor) | pair_of(T(), o[at + 4] * factor, o[at + 5] * factor)
                                                                      << 16;
      }
      trade(x);
      const int column = 64 * c + 16 * (int)(threadIdx.x % 4);
      if (there && column < head_dim_v)
        *(uint4 *)(out + column) = make_uint4(__byte_perm(x[0], x[1], 0x5410), __byte_perm(x[2], x[3], 0x5410),
                                              __byte_perm(x[0], x[1], 0x7632), __byte_perm(x[2], x[3], 0x7632));
    }
  }
};

template <class T> struct row_store<T, 4> {
  template <int count>
  static __device__ __forceinline__ void run(T *out, bool there, int head_dim_v, const float (&o)[count], int r,
                                             float factor) {
#if SPREAD_COLUMNS
#pragma unroll
    for (int c = 0; c < count / 8; c++) { /* four columns */
      const int column = c / 2 * 32 + 8 * (int)(threadIdx.x % 4) + c % 2 * 4, at = c / 2 * 16 + 2 * r + c % 2;
      if (there && column < head_dim_v)
        *(float4 *)(out + column) =
            make_float4(o[at] * factor, o[at + 4] * factor, o[at + 8] * factor, o[at + 12] * factor);
    }
#else
#pragma unroll
    for (int c = 0; c < count / 4; c++) {
      const int column = 8 * c + 2 * (int)(threadIdx.x % 4);
      if (there && column < head_dim_v)
        *(float2 *)(out + column) = make_float2(o[4 * c + 2 * r] * factor, o[4 * c + 2 * r + 1] * factor);
    }
#endif
  }
};

__device__ __forceinline__ void store_rows(const pah_attn_params &p, int head_dim_v, const work_item &w,
                                           softmax_state &state, float (&o)[HEAD_DIM_V / 2], int first_row = 0) {
  const float value_scale = DESCALED ? descale_of(p.v_descale, w.b, kv_head_of(p, w)) * p.o_scale : 1;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int row = first_row + row_of(r), query = w.first_q + row / PACK, head = w.head + row % PACK;
    float factor, lse;
    state.finish(r, sink_of(p, head), factor, lse);
    if (DESCALED && factor != 0) factor *= value_scale; /* a row that sees nothing is 0 whatever the scale is */
    const bool there = query < w.s.len_q;
    OUT_T *out = row_at<OUT_T>(p.out, w.b, head, w.s.first_row + query);
    if (there && threadIdx.x % 4 == 0) *row_at<float>(p.lse, w.b, head, w.s.first_row + query) = lse;
    row_store<OUT_T>::run(out, there, head_dim_v, o, r, factor);
  }
}
