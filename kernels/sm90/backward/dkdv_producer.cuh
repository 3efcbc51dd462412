/* sm90/backward/dkdv_producer.cuh - what the producer warpgroup of dkdv.cuh does: use after use, it says what is to be
 * done; all four warps bring K and V of an item, once, through the table as the forward does; the first warp brings Q,
 * dout and their numbers, tile by tile, for every head of the group. Read next: query_ring.cuh, ../pages.cuh. */
#pragma once
#include "query_ring.cuh"

#if GATHER
#include "../gather.cuh"
typedef gather<KEYS> key_source;
#else
#include "../pages.cuh"
typedef pages<KEYS> key_source;
#endif

struct dkdv_producer {
  const pah_attn_params &p;
  const backward_plan &plan;
  const ptx::tensor_map &q, &d_out;
  dkdv_channels &c;
  unsigned char *pool;
  kv_operand k, v;
  key_source source;
  walk uses;
  ring_place<QUERY_STAGES> at;
  unsigned parities = 0; /* bit 0: of K and V, bit 1: of cut tiles; registers are short here */

  __device__ __forceinline__ void load_keys(const key_use &w) {
    wait_empty(c.kv_empty, parities & 1);
    parities ^= 1;
    const int in_tile = source.my_token();
    kv_place place = {-1, 0};
    if (in_tile < w.rows) {
      const int token = w.token + in_tile, entry = token / p.block_size;
      place.slot = token - entry * p.block_size;
      place.block = block_at(p, w.b, entry);
    }
    source.template copy<HEAD_DIM>(k, pool + KEYS_START, place, w.kv_head, c.k_full);
    source.template copy<HEAD_DIM_V>(v, pool + VALUES_START, place, w.kv_head, c.v_full);
  }

  /* Of ragged batches, rows past the end are those of the next sequence, maybe NaN, and 0 * NaN is NaN: zeros instead.
   * Of others the tensor map has none there, and bulk copies write the zeros. */
  __device__ __forceinline__ void load_tile(const key_use &w, int head, int tile) {
    const int used = w.s.len_q - tile * QUERIES;
    const bool cut = p.cu_seqlens_q && used < QUERIES;
    unsigned char *q_tile = pool + QUERIES_START + at.slot * TILE_Q_BYTES;
    unsigned char *d_out_tile = pool + D_OUT_START + at.slot * TILE_Q_BYTES;
    const unsigned full = ptx::shared(&c.full[at.slot]), landed = cut ? ptx::shared(&c.queries_tail) : full;
    if (threadIdx.x % 32 == 0) {
      const int row = (int)w.s.first_row + tile * QUERIES, b = p.cu_seqlens_q ? 0 : w.b;
      ptx::mbarrier_arrive_expect_tx(landed, 2 * TILE_Q_BYTES + STATS_BYTES);
#pragma unroll
      for (int i = 0; i < HEAD_DIM / COLUMNS; i++)
        ptx::tensor_load(ptx::shared(q_tile) + i * (QUERIES * ROW_BYTES), q, i * COLUMNS, row, head, b, landed);
      ptx::bulk_load(ptx::shared(pool) + STATS_START + at.slot * STATS_BYTES,
                     stats_of(p, plan, first_tile_of(p, w.s, w.b) + tile, head), STATS_BYTES, landed);
#pragma unroll
      for (int i = 0; i < HEAD_DIM / COLUMNS; i++)
        ptx::tensor_load(ptx::shared(d_out_tile) + i * (QUERIES * ROW_BYTES), d_out, i * COLUMNS, row, head, b, landed);
    }
    __syncwarp();
    if (!cut) return;
    ptx::mbarrier_wait(landed, parities >> 1);
    __syncwarp();
    parities ^= 2;
    clear_rows<HEAD_DIM, QUERIES>(q_tile, used, QUERIES);
    clear_rows<HEAD_DIM, QUERIES>(d_out_tile, used, QUERIES);
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(full);
  }

  __device__ __forceinline__ void load_queries(const key_use &w) {
    const int group = p.heads / p.kv_heads;
    for (int head = w.kv_head * group; head < (w.kv_head + 1) * group; head++)
      for (int tile = w.begin; tile < w.end; tile++) {
        wait_empty_by_warp(c.empty[at.slot], at.parity);
        load_tile(w, head, tile);
        at.advance();
      }
  }

  __device__ __forceinline__ void publish(ring_place<USE_SLOTS> place) {
    key_use w;
    w.first = !uses.more;
    if (uses.next(w)) {
      uses.look_ahead(uses.kind);
      w.last = !uses.more;
      find_queries(p, w);
    } else {
      w.b = -1;
    }
    wait_empty(c.use_empty[place.slot], place.parity);
    if (threadIdx.x % 32 == 0) {
      c.use[place.slot] = w;
      ptx::mbarrier_arrive(ptx::shared(&c.use_full[place.slot]));
    }
    __syncwarp();
  }

  __device__ __forceinline__ void run() {
    source.begin();
    uses.begin();
    ring_place<USE_SLOTS> place;
    for (;;) {
      const bool first_warp = threadIdx.x % 128 < 32;
      if (first_warp) publish(place);
      wait_full(c.use_full[place.slot], place.parity);
      const key_use &w = c.use[place.slot];
      if (w.b < 0) return;
      if (w.first) load_keys(w);
      if (first_warp) load_queries(w);
      release_by_warp(c.use_empty[place.slot]);
      place.advance();
    }
  }
};
