/* sm90/pages.cuh - K and V by bulk copies, for block sizes that are multiples of 8: a box is n.box tokens of one page,
 * a column of each (64 or 128 bytes), and lands swizzled. The tensor map spans the whole cache, [num_blocks,
 * block_size, Hkv, D]. What lies outside of it arrives as zeros: tokens past the end, and block ids that are none,
 * whatever the table holds. A warp takes some 60 to 100 cycles to issue a copy, and a tile of 128 tokens in pages of 16
 * is 32 of them beside 2048 cycles of products: so all four warps of the producer copy, every fourth box each, one box
 * a lane. (One warp alone held the kernel at 573 TFLOP/s where four reach 677.) Read next: producer.cuh, gather.cuh. */
#pragma once
#include "channel.cuh"

struct pages {
  const pah_attn_params &p;
  const sm90_sizes &n;
  const ptx::tensor_map &k, &v;
  channels &c;
  unsigned char *pool;
  unsigned tail_parity = 0;
  int token,
      tokens_of_warp; /* the first token in a tile of this lane's box (TILE_N or more: none), and all of the warp */

  static constexpr int ARRIVALS = 4; /* at a "full" barrier: a thread of each warp */

  static __device__ __forceinline__ int warp() {
    return (int)threadIdx.x / 32 % 4;
  }
  __device__ __forceinline__ void begin() { /* once: divisions by a number that is not known take long */
    token = (warp() + 4 * (int)(threadIdx.x % 32)) * n.box;
    tokens_of_warp = (TILE_N / n.box - warp() + 3) / 4 * n.box;
  }
  __device__ __forceinline__ int my_token() const {
    return token;
  }

  template <int head_dim>
  __device__ __forceinline__ void copy(const ptx::tensor_map &map, unsigned tile, kv_place place, int kv_head,
                                       unsigned barrier) {
    constexpr int columns = columns_of(head_dim, KV_SIZE), row_bytes = columns * KV_SIZE;
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive_expect_tx(barrier, tokens_of_warp * (head_dim * KV_SIZE));
    __syncwarp();
    if (token >= TILE_N) return;
#pragma unroll
    for (int i = 0; i < head_dim / columns; i++)
      ptx::tensor_load(tile + i * (TILE_N * row_bytes) + token * row_bytes, map, i * columns, kv_head, place.slot,
                       place.block, barrier);
  }

  /* As they lie in the cache; the address of the tile and the barrier that hears of it. */
  __device__ __forceinline__ void bring_k(unsigned tile, kv_place place, int kv_head, unsigned barrier) {
    copy<HEAD_DIM>(k, tile, place, kv_head, barrier);
  }
  __device__ __forceinline__ void bring_v(unsigned tile, kv_place place, int kv_head, unsigned barrier) {
    copy<HEAD_DIM_V>(v, tile, place, kv_head, barrier);
  }

  /* Rows of V past the end of the sequence but inside of its last box hold what others left there, maybe NaN, and
   * 0 * NaN is NaN: they become 0 before the consumers hear of the tile. (Rows of K may be anything: scores of hidden
   * keys are replaced.) */
  __device__ __forceinline__ void bring_clean_v(const work_item &w, kv_place place, int kv_head, int slot, int tile) {
    const int used = w.s.len_k - tile * TILE_N;
    const bool tail = used < TILE_N && used % n.box != 0;
    const unsigned full = ptx::shared(&c.v_full[slot]), landed = tail ? ptx::shared(&c.tail) : full;
    bring_v(ptx::shared(pool) + V_START + slot * V_BYTES, place, kv_head, landed);
    if (!tail) return;
    ptx::mbarrier_wait(landed, tail_parity);
    tail_parity ^= 1;
    if (warp() == 0) clear_rows(pool + V_START + slot * V_BYTES, used, (used + n.box - 1) / n.box * n.box);
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(full);
  }

  /* Rows of 128 bytes. */
  static __device__ inline void clear_rows(unsigned char *tile, int from, int to) {
    for (int row = from; row < to; row++)
      for (int i = threadIdx.x % 32; i < HEAD_DIM_V / 64 * 32; i += 32)
        *(unsigned *)(tile + i / 32 * (TILE_N * 128) + row * 128 + i % 32 * 4) = 0;
    ptx::fence_proxy_async_shared();
    __syncwarp();
  }
};
