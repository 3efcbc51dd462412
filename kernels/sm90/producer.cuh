/* sm90/producer.cuh - what the producer warpgroup does: item after item, it says what is to be done, brings Q, and then
 * K and V tile by tile in the order in which the consumers ask for them. How K and V are copied is in pages.cuh (bulk
 * copies) and gather.cuh (cp.async); both find a token the same way, here. Read next: pages.cuh. */
#pragma once
#include "channel.cuh"
#include "fp8/staging.cuh"

#if GATHER
#include "gather.cuh"
typedef gather kv_source;
#else
#include "pages.cuh"
typedef pages kv_source;
#endif

struct producer {
  const pah_attn_params &p;
  const ptx::tensor_map &q;
  channels &c;
  unsigned char *pool;
  kv_source source;
  staging staged;
  ring_place<STAGES> k_at, v_at; /* of tiles that are not staged */
  unsigned q_parity = 0;

  /* The token that this lane looks up: block of the sequence and slot in it, moved from tile to tile without dividing.
   */
  kv_place at;
  int tile_blocks, tile_slots; /* TILE_N / block_size, and the rest */

  __device__ __forceinline__ void go_to(int tile) {
    const int token = tile * TILE_N + source.my_token();
    at.block = token / p.block_size;
    at.slot = token - at.block * p.block_size;
  }

  __device__ __forceinline__ void go_back() {
    at.block -= tile_blocks;
    at.slot -= tile_slots;
    if (at.slot < 0) at.slot += p.block_size, at.block--;
  }

  /* Where it lies. The table is read only for tokens in use. */
  __device__ __forceinline__ kv_place find(const work_item &w, int tile) {
    const int in_tile = source.my_token();
    kv_place place = {-1, 0};
    if (in_tile < TILE_N && tile >= w.begin && tile * TILE_N + in_tile < w.s.len_k) {
      place.slot = at.slot;
      place.block = p.block_table[w.b * p.table_batch + at.block * p.table_block];
    }
    go_back();
    return place;
  }

  __device__ __forceinline__ void load_q(const work_item &w) {
    if (threadIdx.x % 128 >= 32) return;
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

  __device__ __forceinline__ void load_k(kv_place place, int kv_head) {
    if (K_STAGED) {
      staged.send_for_k(source, place, kv_head);
      return;
    }
    wait_empty(c.k_empty[k_at.slot], k_at.parity);
    source.bring_k(ptx::shared(pool) + K_START + k_at.slot * K_BYTES, place, kv_head,
                   ptx::shared(&c.k_full[k_at.slot]));
    k_at.advance();
  }

  __device__ __forceinline__ void load_v(const work_item &w, kv_place place, int kv_head, int tile) {
    if (V_STAGED) {
      staged.send_for_v(source, place, kv_head, w.s.len_k - tile * TILE_N);
      return;
    }
    wait_empty(c.v_empty[v_at.slot], v_at.parity);
    source.bring_clean_v(w, place, kv_head, v_at.slot, tile);
    v_at.advance();
  }

  /* K of a tile comes before V of the tile before it, so there is one round more than there are tiles. What is staged
   * was sent for in the round before. */
  __device__ __forceinline__ void load(const work_item &w) {
    const int kv_head = w.kv_head, begin = w.begin, last = w.end - 1;
    go_to(last);
    kv_place place = find(w, last), before = place;
    if (last >= begin) load_q(w);
    for (int tile = last;; tile--) {
      const kv_place next = find(w, tile - 1); /* on its way while this tile waits for room */
      if (!K_STAGED && tile >= begin) load_k(place, kv_head);
      staged.rewrite();
      if (K_STAGED && tile >= begin) load_k(place, kv_head);
      if (tile < last) load_v(w, before, kv_head, tile + 1);
      if (tile < begin) return;
      before = place;
      place = next;
    }
  }

  /* The first warp finds the item. */
  __device__ __forceinline__ void publish(ring_place<WORK_SLOTS> place, int round) {
    work_item w;
    if (!find_work(p, work_index(round), w)) w.b = -1, w.begin = w.end = 0;
    wait_empty(c.work_empty[place.slot], place.parity);
    if (threadIdx.x % 32 == 0) {
      c.work[place.slot] = w;
      ptx::mbarrier_arrive(ptx::shared(&c.work_full[place.slot]));
    }
    __syncwarp();
  }

  __device__ __forceinline__ void run() {
    source.begin();
    tile_blocks = TILE_N / p.block_size;
    tile_slots = TILE_N % p.block_size;
    ring_place<WORK_SLOTS> item;
    for (int round = 0;; round++) {
      if (threadIdx.x % 128 < 32) publish(item, round);
      wait_full(c.work_full[item.slot], item.parity);
      const work_item &w = c.work[item.slot];
      if (V_STAGED || w.begin < w.end) load(w);
      if (w.b < 0) return;
      release_work(c, item.slot);
      item.advance();
    }
  }
};
