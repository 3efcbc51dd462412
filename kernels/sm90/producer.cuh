/* sm90/producer.cuh - what the producer warpgroup does: item after item, it says what is to be done, brings Q, and then
 * K and V tile by tile in the order in which the consumers ask for them. How K and V are copied is in pages.cuh (bulk
 * copies) and gather.cuh (cp.async); both find a token the same way, here. Read next: pages.cuh. */
#pragma once
#include "channel.cuh"
#include "fp8/staging.cuh"
#include "walk.cuh"

#if GATHER
#include "gather.cuh"
typedef gather<TILE_N> kv_source;
#else
#include "pages.cuh"
typedef pages<TILE_N> kv_source;
#endif

/* Whether the producer has what it needs of an item in registers. Who gathers has it so, that the table is read early;
 * with bulk copies and where tiles are rewritten it would spill, and reads shared memory again. */
constexpr bool ITEM_KEPT = GATHER && !V_STAGED;

struct producer {
  const pah_attn_params &p;
  const ptx::tensor_map &q;
  channels &c;
  unsigned char *pool;
  kv_operand k, v;
  kv_source source;
  staging staged;
  ring_place<STAGES> k_at, v_at; /* of tiles that are not staged */
  unsigned q_parity = 0;

  token_walk walk;
  const work_item *item; /* what is being loaded; and of it, if ITEM_KEPT, */
  const int *table;      /* the row of its sequence, */
  int begin, len_k;      /* the first tile, and keys */

  __device__ __forceinline__ int first_tile() const {
    return ITEM_KEPT ? begin : item->begin;
  }
  __device__ __forceinline__ int keys() const {
    return ITEM_KEPT ? len_k : item->s.len_k;
  }

  /* Where it lies. The table is read only for tokens in use. */
  __device__ __forceinline__ kv_place find(int tile) {
    const int in_tile = source.my_token();
    kv_place place = {-1, 0};
    if (in_tile < TILE_N && tile >= first_tile() && tile * TILE_N + in_tile < keys()) {
      place.slot = walk.at.slot;
      place.block = (ITEM_KEPT ? table : p.block_table + item->b * p.table_batch)[walk.at.block * p.table_block];
    }
    walk.go_back(p);
    return place;
  }

  /* The places of the item's last tile; find() goes down from there. */
  __device__ __forceinline__ kv_place start(const work_item &w) {
    item = &w;
    table = p.block_table + w.b * p.table_batch;
    begin = w.begin;
    len_k = w.s.len_k;
    walk.go_to(p, (w.end - 1) * TILE_N + source.my_token());
    return find(w.end - 1);
  }

  /* A tile of rows of q, or of what has its shape: by one thread. */
  template <int head_dim>
  __device__ __forceinline__ void copy_rows(const ptx::tensor_map &map, unsigned at, const work_item &w,
                                            unsigned long long &full) {
    const int row = (int)w.s.first_row + w.first_q, b = p.cu_seqlens_q ? 0 : w.b;
    for (int i = 0; i < head_dim / COLUMNS; i++) {
      const unsigned to = at + i * (TILE_M * ROW_BYTES);
#if PACK > 1
      ptx::tensor_load(to, map, i * COLUMNS, w.head, row, b, ptx::shared(&full));
#else
      ptx::tensor_load(to, map, i * COLUMNS, row, w.head, b, ptx::shared(&full));
#endif
    }
  }

  __device__ __forceinline__ void load_q(const work_item &w) {
    if (threadIdx.x % 128 >= 32) return;
    wait_empty_by_warp(c.q_empty, q_parity);
    q_parity ^= 1;
    if (threadIdx.x % 32 != 0) return;
    ptx::mbarrier_arrive_expect_tx(ptx::shared(&c.q_full), Q_BYTES);
    copy_rows<HEAD_DIM>(q, ptx::shared(pool), w, c.q_full);
  }

  /* clean: rows past the `used` first are zeros. */
  template <bool clean> __device__ __forceinline__ void load_k(kv_place place, int kv_head, int used) {
    wait_empty(c.k_empty[k_at.slot], k_at.parity);
    unsigned char *tile = pool + K_START + k_at.slot * K_BYTES;
    if (clean)
      source.template copy_clean<HEAD_DIM>(k, tile, place, kv_head, c.k_full[k_at.slot], used);
    else
      source.template copy<HEAD_DIM>(k, tile, place, kv_head, c.k_full[k_at.slot]);
    k_at.advance();
  }

  __device__ __forceinline__ void load_v(kv_place place, int kv_head, int used) {
    if (V_STAGED) {
      staged.send_for_v(source, v, place, kv_head, used);
      return;
    }
    wait_empty(c.v_empty[v_at.slot], v_at.parity);
    unsigned char *tile = pool + V_START + v_at.slot * V_BYTES;
    source.template copy_clean<HEAD_DIM_V>(v, tile, place, kv_head, c.v_full[v_at.slot], used);
    v_at.advance();
  }

  /* K of a tile comes before V of the tile before it, so there is one round more than there are tiles. What is staged
   * was sent for in the round before. Q comes behind the first K, for which there is room earlier. */
  __device__ __forceinline__ void load(const work_item &w) {
    const int kv_head = kv_head_of(p, w), last = w.end - 1;
    kv_place place = start(w), before = place;
    for (int tile = last;; tile--) {
      const kv_place next = find(tile - 1); /* on its way while this tile waits for room */
      if (tile >= first_tile()) load_k<false>(place, kv_head, 0);
      if (V_STAGED) staged.rewrite();
      if (tile == last && tile >= first_tile()) load_q(w);
      if (tile < last) load_v(before, kv_head, keys() - (tile + 1) * TILE_N);
      if (tile < first_tile()) return;
      before = place;
      place = next;
    }
  }

  /* The first warp finds the item. */
  __device__ __forceinline__ void publish(unsigned round, int index) {
    work_item w;
    if (!find_work(p, index, w)) w.b = -1, w.begin = w.end = 0;
    const unsigned slot = round % WORK_SLOTS;
    wait_empty(c.work_empty[slot], round / WORK_SLOTS % 2);
    if (threadIdx.x % 32 == 0) {
      c.work[slot] = w;
      ptx::mbarrier_arrive(ptx::shared(&c.work_full[slot]));
    }
    __syncwarp();
  }

  /* Item after item: the first warp asks next_index(round) for its number; load_item(w) brings what it needs, in the
   * order in which the consumers ask for it. */
  template <class I, class F> __device__ __forceinline__ void run(I next_index, F load_item) {
    source.begin();
    walk.begin(p);
    const bool first_warp = threadIdx.x % 128 < 32;
    if (WIDENED && first_warp) publish(0, next_index(0));
    for (unsigned round = 0;; round++) {
      if (!WIDENED && first_warp) publish(round, next_index((int)round));
      wait_full(c.work_full[round % WORK_SLOTS], round / WORK_SLOTS % 2);
      const work_item &w = c.work[round % WORK_SLOTS];
      /* Who widens K beside this warpgroup need not wait for it. */
      if (WIDENED && first_warp && w.b >= 0) publish(round + 1, next_index((int)round + 1));
      if (V_STAGED || w.begin < w.end) load_item(w);
      if (w.b < 0) return;
      release_work(c, round % WORK_SLOTS);
    }
  }

  __device__ __forceinline__ void run() {
    run(work_index, [&](const work_item &w) { load(w); });
  }
};
