/* sm90/backward/dkdv.cuh - dK and dV: keys outer. A thread block owns 128 tokens of one K/V head and looks at all
 * queries of all heads of the group that see them, so that sums stay in registers and nothing is shared between thread
 * blocks: the result does not depend on their order. Scores are computed as S^T = K Q^T, keys by queries, because then
 * P^T and dS^T lie in registers as the A operand of dV += P^T dout   and   dK += dS^T Q,   dS = P (dout V^T - delta).
 * A warpgroup has 64 keys; the products of one go on while the other has the exponentials. Defines: ../config.cuh,
 * QUERIES, QUERY_STAGES. Read next: dkdv_producer.cuh, ../../backward/gradient.cuh; dq.cuh for
 * the other half. */
#pragma once
#include "dkdv_producer.cuh"
#include "../products.cuh"
#include "store_keys.cuh"

#ifndef TURNS
#define TURNS (HEAD_DIM > 64 && !GATHER) /* of 64 the exponentials take as long; who gathers lacks registers */
#endif

struct dkdv_consumer {
  const pah_attn_params &p;
  const sm90_sizes &n;
  const backward_plan &plan;
  dkdv_channels &c;
  unsigned char *pool;
  int group;
  ring_place<QUERY_STAGES> at;
  int open = -1;         /* the slot whose tiles the products on their way still read */
  unsigned parities = 0; /* bit 0: of K and V, bit 1: of turns; registers are short here */
  float dk[HEAD_DIM / 2], dv[HEAD_DIM / 2], s[1][QUERIES / 2], dp[1][QUERIES / 2];
  unsigned weights[1][QUERIES / 16][4], gradients[1][QUERIES / 16][4];

  /* Turns at the tensor cores: a warpgroup issues the sums of a tile and the scores of the next, and while it makes
   * weights of these, the other has its turn. Left alone, both compute at the same time, and then both wait. */
  __device__ __forceinline__ void take_turn() {
    if (!TURNS) return;
    wait_full(c.turn[group], parities >> 1);
    parities ^= 2;
  }
  /* By every warp: who has no products in a tile goes on alone, and the next turn must not come before all four warps
   * have seen this one. */
  __device__ __forceinline__ void pass_turn() {
    if (TURNS) release_by_warp(c.turn[1 - group]);
  }

  /* All products but the `groups` newest are done. */
  template <int groups> __device__ __forceinline__ void finish() {
    ptx::wgmma_wait_group<groups>();
    ptx::wgmma_results(dv);
    ptx::wgmma_results(dk);
    if (open >= 0) release_by_warp(c.empty[open]);
    open = -1;
  }

  /* Both of the tile's own operands: 64 keys of this warpgroup, and a tile of queries. */
  __device__ __forceinline__ void issue_scores(unsigned start, unsigned queries, float (&to)[QUERIES / 2]) {
    multiply_rows<KEYS, QUERIES>(to,
                                 rows_descriptor(ptx::made_here(ptx::shared(pool)) + start + group * (64 * ROW_BYTES)),
                                 rows_descriptor(queries));
    ptx::wgmma_commit_group();
  }

  /* One tile of queries. The sums of a tile and the scores of the next are in the tensor cores' queue together; while
   * this warpgroup makes weights of scores, the other one's products go on. */
  __device__ __forceinline__ void step(const key_use &w, int tile, bool masked) {
    const unsigned tiles = ptx::made_here(ptx::shared(pool)), slot = at.slot * TILE_Q_BYTES;
    const unsigned q = tiles + QUERIES_START + slot, d_out = tiles + D_OUT_START + slot;
    const float *stats = (const float *)(pool + STATS_START + at.slot * STATS_BYTES);
    ptx::wgmma_fence();
    issue_scores(KEYS_START, q, s[0]);
    finish<1>(); /* the sums of the tile before */
    issue_scores(VALUES_START, d_out, dp[0]);
    ptx::wgmma_wait_group<0>();
    pass_turn();
    ptx::wgmma_results(s[0]);
    ptx::wgmma_results(dp[0]);
    uncap_gradients(p.softmax_scale / p.softcap, stats, s[0], dp[0]);
    if (masked) {
#pragma unroll
      for (int r = 0; r < 2; r++) mask_key(p, w.s, w.token + row_again(r), r, tile * QUERIES, s[0]);
    }
    weigh_queries(p, stats, s, dp, weights, gradients);
    take_turn();
    ptx::wgmma_fence();
    add_columns<HEAD_DIM>(dv, weights[0], columns_descriptor<QUERIES>(d_out));
    add_columns<HEAD_DIM>(dk, gradients[0], columns_descriptor<QUERIES>(q));
    ptx::wgmma_commit_group();
    open = at.slot;
  }

  __device__ __forceinline__ void begin_item() {
    wait_tile(c.k_full, parities & 1);
    wait_tile(c.v_full, parities & 1);
    parities ^= 1;
#pragma unroll
    for (int i = 0; i < HEAD_DIM / 2; i++) dk[i] = dv[i] = 0;
  }

  /* All queries of all heads of the group that see the item's keys in this use. */
  __device__ __forceinline__ void run_use(const key_use &w) {
    const tile_range mine = tiles_seeing(p, w, 64 * group, 64);
    const int heads = p.heads / p.kv_heads;
    take_turn();
#pragma unroll 1
    for (int head = 0; head < heads; head++)
#pragma unroll 1
      for (int tile = w.begin; tile < w.end; tile++) {
        wait_full(c.full[at.slot], at.parity);
        if (tile >= mine.begin && tile < mine.end) {
          step(w, tile, tile < mine.full_begin || tile >= mine.full_end);
        } else {
          finish<0>();
          pass_turn();
          release_by_warp(c.empty[at.slot]);
          take_turn();
        }
        at.advance();
      }
    if (w.last)
      release_by_warp(c.kv_empty); /* the products on their way need queries alone: the next K and V may come */
    finish<0>();
    pass_turn();
  }

  /* From the sums' beginning to their end in one loop: else ptxas moves them between registers, and for that waits for
   * every single product. */
  __device__ __forceinline__ void run() {
    ring_place<USE_SLOTS> use;
    if (group == 1) pass_turn(); /* the first turn is warpgroup 0's */
    for (;;) {
      wait_full(c.use_full[use.slot], use.parity);
      if (c.use[use.slot].b < 0) break;
      begin_item();
      for (;;) {
        const key_use &w = c.use[use.slot];
        run_use(w);
        if (w.last) break;
        release_by_warp(c.use_empty[use.slot]);
        use.advance();
        wait_full(c.use_full[use.slot], use.parity);
      }
      const key_use &w = c.use[use.slot];
      store_keys(p, p.dk, n.head_dim, w, p.softmax_scale, dk);
      store_keys(p, p.dv, n.head_dim_v, w, 1.0f, dv);
      release_by_warp(c.use_empty[use.slot]);
      use.advance();
    }
    if (group == 0) take_turn(); /* the turn that nobody took */
  }
};
