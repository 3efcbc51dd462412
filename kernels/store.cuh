/* store.cuh - the end of an item: sums divided by the sum of weights, rounded, and written with the lse.
 * A lane holds two neighbouring columns of every eight. Four lanes of a row trade them, so that each has eight in a row
 * of its own and a store is 16 bytes. The kernel's config.cuh comes first: HEAD_DIM_V, IO_T, PACK, pair_of().
 * Read next: tile_softmax.cuh. */
#pragma once
#include "tile_softmax.cuh"

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

__device__ __forceinline__ void store_rows(const pah_attn_params &p, int head_dim_v, const work_item &w,
                                           softmax_state &state, float (&o)[HEAD_DIM_V / 2], int first_row = 0) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int row = first_row + row_of(r), query = w.first_q + row / PACK, head = w.head + row % PACK;
    float factor, lse;
    state.finish(r, sink_of(p, head), factor, lse);
    const bool there = query < w.s.len_q;
    IO_T *out = row_at<IO_T>(p.out, w.b, head, w.s.first_row + query);
    if (there && threadIdx.x % 4 == 0) *row_at<float>(p.lse, w.b, head, w.s.first_row + query) = lse;
#pragma unroll
    for (int c = 0; c < HEAD_DIM_V / 32; c++) { /* 32 columns: four registers of a lane */
      unsigned x[4];
#pragma unroll
      for (int j = 0; j < 4; j++)
        x[j] = pair_of(o[16 * c + 4 * j + 2 * r] * factor, o[16 * c + 4 * j + 2 * r + 1] * factor);
      trade(x);
      const int column = 32 * c + 8 * (int)(threadIdx.x % 4);
      if (there && column < head_dim_v) *(uint4 *)(out + column) = make_uint4(x[0], x[1], x[2], x[3]);
    }
  }
}
