/* sm90/pages.cuh - K and V by bulk copies, for block sizes that are multiples of 8: a box is n.box tokens of one page,
 * a column of each (64 or 128 bytes), and lands swizzled. The tensor map spans the whole cache, [num_blocks,
 * block_size, Hkv, D]. What lies outside of it arrives as zeros: tokens past the end, and block ids that are none,
 * whatever the table holds. A warp takes some 60 to 100 cycles to issue a copy, and a tile of 128 tokens in pages of 16
 * is 32 of them beside 2048 cycles of products: so all four warps of the producer copy, every fourth box each, one box
 * a lane. (One warp alone held the kernel at 573 TFLOP/s where four reach 677.) Read next: producer.cuh, gather.cuh. */
#pragma once
#include "ring.cuh"

template <int rows> struct pages { /* of a tile */
  const pah_attn_params &p;
  const sm90_sizes &n;
  unsigned long long &tail; /* an mbarrier for copy_clean */
  unsigned tail_parity = 0;
  int token,
      tokens_of_warp; /* the first token in a tile of this lane's box (rows or more: none), and all of the warp */

  static constexpr int ARRIVALS = 4; /* at a "full" barrier: a thread of each warp */

  static __device__ __forceinline__ int warp() {
    return (int)threadIdx.x / 32 % 4;
  }
  __device__ __forceinline__ void begin() { /* once: divisions by a number that is not known take long */
    token = (warp() + 4 * (int)(threadIdx.x % 32)) * n.box;
    tokens_of_warp = (rows / n.box - warp() + 3) / 4 * n.box;
  }
  __device__ __forceinline__ int my_token() const {
    return token;
  }

  template <int head_dim>
  __device__ __forceinline__ void copy(const kv_operand &from, unsigned char *to_tile, kv_place place, int kv_head,
                                       unsigned long long &full) {
    constexpr int columns = columns_of(head_dim, KV_SIZE), row_bytes = columns * KV_SIZE;
    const unsigned barrier = ptx::shared(&full), tile = ptx::shared(to_tile);
    __syncwarp(); /* all have seen the slot empty, those without a box, too: wait_empty_by_warp */
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive_expect_tx(barrier, tokens_of_warp * (head_dim * KV_SIZE));
    __syncwarp();
    if (token >= rows) return;
#pragma unroll
    for (int i = 0; i < head_dim / columns; i++)
      ptx::tensor_load(tile + i * (rows * row_bytes) + token * row_bytes, from.map, i * columns, kv_head, place.slot,
                       place.block, barrier);
  }

  /* Rows past the `used` first but inside of the last box hold what others left there, maybe NaN, and 0 * NaN is NaN:
   * they become 0 before the consumers hear of the tile. (Rows of the forward's K may be anything: scores of hidden
   * keys are replaced.) */
  template <int head_dim>
  __device__ __forceinline__ void copy_clean(const kv_operand &from, unsigned char *tile, kv_place place, int kv_head,
                                             unsigned long long &full, int used) {
    const bool cut = used < rows && used % n.box != 0;
    copy<head_dim>(from, tile, place, kv_head, cut ? tail : full);
    if (!cut) return;
    ptx::mbarrier_wait(ptx::shared(&tail), tail_parity);
    __syncwarp(); /* a lane that still waits must not see the phase after, which warps without a box do not hold up */
    tail_parity ^= 1;
    if (warp() == 0) clear_rows<head_dim, rows>(tile, used, (used + n.box - 1) / n.box * n.box);
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(ptx::shared(&full));
  }
};
