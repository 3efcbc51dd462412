/* sm90/backward/store_keys.cuh - the end of an item: dK and dV of its slots, rounded once, 16 bytes at a time. Read
 * next: dkdv.cuh, ../../backward/slots.cuh. */
#pragma once
#include "backward/gradient.cuh"
#include "backward/slots.cuh"

__device__ __forceinline__ int row_again(int r) { /* row_of() */
  const int thread = ptx::thread_again();
  return thread / 32 * 16 + thread % 32 / 4 + 8 * r;
}

__device__ __forceinline__ void store_keys(const pah_attn_params &p, const pah_blocks &to, int head_dim,
                                           const key_use &w, float factor, float (&sums)[HEAD_DIM / 2]) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int row = row_again(r);
    const bool there = row < w.rows;
    IO_T *at = there ? slot_of<IO_T>(p, to, w, row) : (IO_T *)to.data;
    row_store<IO_T>::run(at, there, head_dim, sums, r, factor);
  }
}
