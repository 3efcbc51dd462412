/* sm90/pages.cuh - the producer: four warps that bring Q, and K and V page by page, into shared memory by bulk copies.
 * The tensor map spans the whole cache, [num_blocks, block_size, Hkv, D]; a box is BOX tokens of one page, 64 elements
 * of each. A warp copies every fourth box of a tile, a lane one of them: issuing copies is what a warp is slow at. What lies outside of the map arrives as zeros: tokens past the end, and block
 * ids that are none, whatever the table holds. Read next: channel.cuh, ptx/tma.h. */
#pragma once
#include "channel.cuh"
#include "products.cuh"

struct page_place {
  int block, slot;
};

__device__ __forceinline__ int producer_warp() {
  return (int)threadIdx.x / 32 % 4;
}

/* The box of a tile that this lane copies; BOXES or more: none. */
__device__ __forceinline__ int my_box() {
  return producer_warp() + 4 * (int)(threadIdx.x % 32);
}

/* Of `bytes` for all boxes, those that this warp copies. */
__device__ __forceinline__ unsigned my_bytes(unsigned bytes) {
  return bytes / BOXES * ((BOXES - producer_warp() + 3) / 4);
}

/* Where lane's box of a tile lies. The table is read only for tokens in use. */
__device__ inline page_place find_page(const pah_attn_params &p, const work_item &w, int tile) {
  const int box = my_box(), token = tile * TILE_N + box * BOX;
  page_place place = {-1, 0};
  if (box < BOXES && tile >= w.begin && token < w.s.len_k) {
    const int block = token / p.block_size;
    place.slot = token - block * p.block_size;
    place.block = p.block_table[w.b * p.table_batch + block * p.table_block];
  }
  return place;
}

template <int head_dim>
__device__ inline void copy_page(const ptx::tensor_map &map, unsigned tile, page_place place, int kv_head,
                                 unsigned barrier) {
  if (my_box() >= BOXES) return;
#pragma unroll
  for (int i = 0; i < head_dim / COLUMNS; i++)
    ptx::tensor_load(tile + i * (TILE_N * ROW_BYTES) + my_box() * (BOX * ROW_BYTES), map, i * COLUMNS, kv_head,
                     place.slot, place.block, barrier);
}

/* Rows of V past the end of the sequence but inside of its last box hold what others left there, maybe NaN, and 0 * NaN
 * is NaN: they become 0. (Rows of K may be anything: their scores are replaced.) */
__device__ inline void clear_rows(unsigned char *tile, int from, int to) {
  for (int row = from; row < to; row++)
    for (int i = threadIdx.x % 32; i < HEAD_DIM_V / COLUMNS * 32; i += 32)
      *(unsigned *)(tile + i / 32 * (TILE_N * ROW_BYTES) + row * ROW_BYTES + i % 32 * 4) = 0;
  ptx::fence_proxy_async_shared();
  __syncwarp();
}

struct producer {
  const pah_attn_params &p;
  const ptx::tensor_map &q, &k, &v;
  channels &c;
  unsigned char *pool;
  ring_place<STAGES> k_at, v_at;
  unsigned q_parity = 0, tail_parity = 0;

  __device__ inline void load_q(const work_item &w) {
    if (producer_warp() != 0) return;
    wait_empty(c.q_empty, q_parity);
    q_parity ^= 1;
    if (threadIdx.x % 32 != 0) return;
    const unsigned full = ptx::shared(&c.q_full), at = ptx::shared(pool);
    const int row = (int)w.s.first_row + w.first_q, b = p.cu_seqlens_q ? 0 : w.b;
    ptx::mbarrier_arrive_expect_tx(full, Q_BYTES);
    for (int i = 0; i < HEAD_DIM / COLUMNS; i++) {
#if PACK > 1
      ptx::tensor_load(at + i * (TILE_M * ROW_BYTES), q, i * COLUMNS, w.head, row, b, full);
#else
      ptx::tensor_load(at + i * (TILE_M * ROW_BYTES), q, i * COLUMNS, row, w.head, b, full);
#endif
    }
  }

  __device__ inline void load_k(const work_item &w, page_place place, int kv_head) {
    wait_empty(c.k_empty[k_at.slot], k_at.parity);
    const unsigned full = ptx::shared(&c.k_full[k_at.slot]);
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive_expect_tx(full, my_bytes(K_BYTES));
    __syncwarp();
    copy_page<HEAD_DIM>(k, ptx::shared(pool) + K_START + k_at.slot * K_BYTES, place, kv_head, full);
    k_at.advance();
  }

  __device__ inline void load_v(const work_item &w, page_place place, int kv_head, int tile) {
    wait_empty(c.v_empty[v_at.slot], v_at.parity);
    const int used = w.s.len_k - tile * TILE_N; /* rows of the tile */
    const bool tail = used < TILE_N && used % BOX != 0;
    const unsigned full = ptx::shared(&c.v_full[v_at.slot]), landed = tail ? ptx::shared(&c.tail) : full;
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive_expect_tx(landed, my_bytes(V_BYTES));
    __syncwarp();
    copy_page<HEAD_DIM_V>(v, ptx::shared(pool) + V_START + v_at.slot * V_BYTES, place, kv_head, landed);
    if (tail) {
      ptx::mbarrier_wait(landed, tail_parity);
      tail_parity ^= 1;
      if (producer_warp() == 0) clear_rows(pool + V_START + v_at.slot * V_BYTES, used, (used + BOX - 1) / BOX * BOX);
      if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(full);
    }
    v_at.advance();
  }

  /* The order in which the consumers ask: K of a tile before V of the tile before it. */
  __device__ inline void load(const work_item &w) {
    if (w.begin >= w.end) return;
    const int kv_head = w.head / (p.heads / p.kv_heads);
    page_place place = find_page(p, w, w.end - 1), before = place;
    load_q(w);
    for (int tile = w.end - 1; tile >= w.begin; tile--) {
      const page_place next = find_page(p, w, tile - 1);
      load_k(w, place, kv_head);
      if (tile < w.end - 1) load_v(w, before, kv_head, tile + 1);
      before = place;
      place = next;
    }
    load_v(w, before, kv_head, w.begin);
  }

  __device__ inline void run() {
    ring_place<WORK_SLOTS> at;
    for (int round = 0;; round++) {
      work_item w;
      const bool more = find_work(p, work_index(round), w);
      if (!more) w.b = -1;
      if (producer_warp() == 0) wait_empty(c.work_empty[at.slot], at.parity);
      if (threadIdx.x % 128 == 0) {
        c.work[at.slot] = w;
        ptx::mbarrier_arrive(ptx::shared(&c.work_full[at.slot]));
      }
      at.advance();
      if (!more) return;
      load(w);
    }
  }
};
