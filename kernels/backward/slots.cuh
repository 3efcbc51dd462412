/* backward/slots.cuh - the end of dK and dV: where a row of an item lies in the pool; and, when a thread block has no
 * item left, zeros in slots that nobody uses, every thread block some of the pool. Read next: plan.cuh. */
#pragma once
#include "uses.cuh"

/* Of token `row` of the item; the item has it. */
template <class T>
__device__ __forceinline__ T *slot_of(const pah_attn_params &p, const pah_blocks &of, const key_use &w, int row) {
  const int token = w.token + row, place = token / p.block_size;
  const long long block = block_at(p, w.b, place);
  return (T *)of.data + block * of.block + (token - place * p.block_size) * of.slot + w.kv_head * of.head;
}

/* Slots from `used` on of a block, by `threads` threads. */
template <class T, int threads>
__device__ inline void clear_slots(const pah_attn_params &p, const pah_blocks &to, int head_dim, long long block,
                                   int used) {
  const int chunks = head_dim / 8, all = (p.block_size - used) * p.kv_heads * chunks;
  for (int i = threadIdx.x; i < all; i += threads) {
    const int row = i / chunks, slot = used + row / p.kv_heads, head = row % p.kv_heads;
    T *at = (T *)to.data + block * to.block + slot * to.slot + head * to.head + i % chunks * 8;
    *(uint4 *)at = make_uint4(0, 0, 0, 0);
  }
}

/* Every thread block takes every gridDim.x-th block of the pool; its warps look at 32 of them at a time. */
template <class T, int threads>
__device__ inline void clear_unused(const pah_attn_params &p, const backward_plan &plan, int head_dim, int head_dim_v) {
  const long long step = gridDim.x;
  for (long long first = blockIdx.x; first < p.num_blocks; first += 32 * step) {
    const long long mine = first + threadIdx.x % 32 * step;
    const int used = mine < p.num_blocks ? plan.used[mine] : p.block_size;
    unsigned open = __ballot_sync(0xffffffffu, used < p.block_size);
    while (open) {
      const int i = __ffs((int)open) - 1, from = __shfl_sync(0xffffffffu, used, i);
      open &= open - 1;
      clear_slots<T, threads>(p, p.dk, head_dim, first + i * step, from);
      clear_slots<T, threads>(p, p.dv, head_dim_v, first + i * step, from);
    }
  }
}
