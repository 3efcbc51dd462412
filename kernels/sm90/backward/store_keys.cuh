/* sm90/backward/store_keys.cuh - the end of an item: dK and dV of its slots, rounded once, 16 bytes at a time; and,
 * when a thread block has no item left, zeros in slots that nobody uses, every thread block some of the pool. Read
 * next: dkdv.cuh. */
#pragma once
#include "../../store.cuh"
#include "gradient.cuh"

__device__ __forceinline__ void store_keys(const pah_attn_params &p, const pah_blocks &to, int head_dim,
                                           const key_use &w, float factor, float (&sums)[HEAD_DIM / 2]) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int row = row_again(r), token = w.token + row, place = token / p.block_size;
    const bool there = row < w.rows;
    const long long block = there ? block_at(p, w.b, place) : 0;
    IO_T *at = (IO_T *)to.data + block * to.block + (token - place * p.block_size) * to.slot + w.kv_head * to.head;
    row_store<IO_T>::run(at, there, head_dim, sums, r, factor);
  }
}

/* Slots from `used` on of a block, by all consumers. */
__device__ inline void clear_slots(const pah_attn_params &p, const pah_blocks &to, int head_dim, long long block,
                                   int used) {
  const int chunks = head_dim / 8, all = (p.block_size - used) * p.kv_heads * chunks;
  for (int i = threadIdx.x; i < all; i += CONSUMER_THREADS) {
    const int row = i / chunks, slot = used + row / p.kv_heads, head = row % p.kv_heads;
    IO_T *at = (IO_T *)to.data + block * to.block + slot * to.slot + head * to.head + i % chunks * 8;
    *(uint4 *)at = make_uint4(0, 0, 0, 0);
  }
}

/* Every thread block takes every gridDim.x-th block of the pool; its warps look at 32 of them at a time. */
__device__ inline void clear_unused(const pah_attn_params &p, const backward_plan &plan, const sm90_sizes &n) {
  const long long step = gridDim.x;
  for (long long first = blockIdx.x; first < p.num_blocks; first += 32 * step) {
    const long long mine = first + threadIdx.x % 32 * step;
    const int used = mine < p.num_blocks ? plan.used[mine] : p.block_size;
    unsigned open = __ballot_sync(0xffffffffu, used < p.block_size);
    while (open) {
      const int i = __ffs((int)open) - 1, from = __shfl_sync(0xffffffffu, used, i);
      open &= open - 1;
      clear_slots(p, p.dk, n.head_dim, first + i * step, from);
      clear_slots(p, p.dv, n.head_dim_v, first + i * step, from);
    }
  }
}
