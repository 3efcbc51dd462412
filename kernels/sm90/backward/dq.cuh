/* sm90/backward/dq.cuh - dQ: queries outer, as in the forward, and with its producer. A thread block has 128 rows of a
 * head, a warpgroup 64 of them. S = Q K^T and dP = dout V^T of a tile of keys, dS = P (dP - delta) in registers, dQ +=
 * dS K with K as it lies in the cache. It computes S a second time, beside dkdv.cuh; that is the price of sums that
 * nobody else adds to. Defines: ../config.cuh, QUERIES. Read next: ../producer.cuh, dkdv.cuh. */
#pragma once
#include "../producer.cuh"
#include "../products.cuh"
#include "../../store.cuh"
#include "backward/plan.cuh"

constexpr unsigned D_OUT_ROWS_START = SHARED_BYTES, D_OUT_BYTES = TILE_M * HEAD_DIM_V * 2;
static_assert(PACK == 1 && TILE_M % QUERIES == 0, "a tile of rows is some boxes of QUERIES rows of a head");

/* A tile of rows, in boxes of QUERIES rows as dkdv_producer.cuh has them; by one thread. */
__device__ __forceinline__ void copy_boxes(const producer &by, const ptx::tensor_map &map, unsigned at,
                                           const work_item &w) {
  const int row = (int)w.s.first_row + w.first_q, b = by.p.cu_seqlens_q ? 0 : w.b;
  for (int i = 0; i < HEAD_DIM / COLUMNS; i++)
    for (int m = 0; m < TILE_M; m += QUERIES)
      ptx::tensor_load(at + i * (TILE_M * ROW_BYTES) + m * ROW_BYTES, map, i * COLUMNS, row + m, w.head, b,
                       ptx::shared(&by.c.q_full));
}

__device__ __forceinline__ void load_rows(producer &by, const ptx::tensor_map &d_out, const work_item &w) {
  if (threadIdx.x % 128 >= 32) return;
  wait_empty_by_warp(by.c.q_empty, by.q_parity);
  by.q_parity ^= 1;
  if (threadIdx.x % 32 == 0) {
    ptx::mbarrier_arrive_expect_tx(ptx::shared(&by.c.q_full), Q_BYTES + D_OUT_BYTES);
    copy_boxes(by, by.q, ptx::shared(by.pool), w);
    copy_boxes(by, d_out, ptx::shared(by.pool) + D_OUT_ROWS_START, w);
  }
  __syncwarp();
}

/* K and V of a tile, both without what lies past the end: both are multiplied by dS. Q and dout of the item. */
__device__ __forceinline__ void load_item(producer &by, const ptx::tensor_map &d_out, const work_item &w) {
  const int kv_head = kv_head_of(by.p, w);
  kv_place place = by.start(w);
  for (int tile = w.end - 1; tile >= w.begin; tile--) {
    const kv_place next = by.find(tile - 1); /* on its way while this tile waits for room */
    by.load_k<true>(place, kv_head, w.s.len_k - tile * TILE_N);
    by.load_v(place, kv_head, w.s.len_k - tile * TILE_N);
    if (tile == w.end - 1) load_rows(by, d_out, w); /* the item before still needs its own for a while */
    place = next;
  }
}
struct dq_consumer {
  const pah_attn_params &p;
  const sm90_sizes &n;
  const backward_plan &plan;
  channels &c;
  unsigned char *pool;
  int group;
  ring_place<STAGES> k_at, v_at;
  unsigned q_parity = 0;
  int open = -1; /* the slot of K that the product on its way still reads */
  float lse[2], delta[2];
  float dq[HEAD_DIM / 2], s[TILE_N / 2], dp[TILE_N / 2];
  unsigned gradients[TILE_N / 16][4];

  template <int groups> __device__ __forceinline__ void finish() {
    ptx::wgmma_wait_group<groups>();
    ptx::wgmma_results(dq);
    if (open >= 0) release(c.k_empty[open]);
    open = -1;
  }

  __device__ __forceinline__ void issue_scores(unsigned rows, unsigned keys, float (&to)[TILE_N / 2]) {
    multiply_rows<TILE_M, TILE_N>(to, rows_descriptor(ptx::shared(pool) + rows + group * (64 * ROW_BYTES)),
                                  rows_descriptor(ptx::shared(pool) + keys));
    ptx::wgmma_commit_group();
  }

  __device__ __forceinline__ void weigh() {
    const float factor = (SOFTCAP ? p.softcap : p.softmax_scale) * LOG2E;
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) s[i] = ptx::ex2(s[i] * factor - lse[i / 2 % 2]);
  }

  /* With a softcap, s is tanh of the scores. */
  __device__ __forceinline__ void uncap() {
    tanh_of_scaled(p.softmax_scale / p.softcap, 1, 0, s, nothing());
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) dp[i] = (dp[i] - delta[i / 2 % 2]) * (1 - s[i] * s[i]);
  }

  __device__ __forceinline__ void step(const work_item &w, int tile, bool masked) {
    wait_tile(c.k_full[k_at.slot], k_at.parity);
    ptx::wgmma_fence();
    issue_scores(0, K_START + k_at.slot * K_BYTES, s);
    finish<1>(); /* the product of the tile before */
    wait_tile(c.v_full[v_at.slot], v_at.parity);
    issue_scores(D_OUT_ROWS_START, V_START + v_at.slot * V_BYTES, dp);
    ptx::wgmma_wait_group<SOFTCAP ? 0 : 1>();
    ptx::wgmma_results(s);
    if (SOFTCAP) {
      ptx::wgmma_results(dp);
      uncap();
    }
    if (masked) mask_scores(p, w, tile, s);
    weigh();
    if (!SOFTCAP) {
      ptx::wgmma_wait_group<0>();
      ptx::wgmma_results(dp);
    }
    release(c.v_empty[v_at.slot]);
    v_at.advance();
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) dp[i] = s[i] * (SOFTCAP ? dp[i] : dp[i] - delta[i / 2 % 2]);
    pack_weights(gradients, dp);
    ptx::wgmma_fence();
    add_columns<HEAD_DIM>(dq, gradients, columns_descriptor<TILE_N>(ptx::shared(pool) + K_START + k_at.slot * K_BYTES));
    ptx::wgmma_commit_group();
    open = k_at.slot;
    k_at.advance();
  }

  /* Of this thread's rows; those past the end have weights of 0. */
  __device__ __forceinline__ void load_stats(const work_item &w) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int query = w.first_q + row_of(r), tile = query / QUERIES;
      const bool there = query < w.s.len_q;
      const float *stats = stats_of(p, plan, first_tile_of(p, w.s, w.b) + (there ? tile : 0), w.head);
      const float2 of = there ? ((const float2 *)stats)[query % QUERIES] : make_float2(positive_infinity(), 0);
      lse[r] = of.x, delta[r] = of.y;
    }
  }

  __device__ __forceinline__ void store(const work_item &w) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int query = w.first_q + row_of(r);
      const bool there = query < w.s.len_q;
      IO_T *to = row_at<IO_T>(p.dq, w.b, w.head, w.s.first_row + query);
      row_store<IO_T>::run(to, there, n.head_dim, dq, r, p.softmax_scale);
    }
  }

  __device__ __forceinline__ void run_item(const work_item &w) {
#pragma unroll
    for (int i = 0; i < HEAD_DIM / 2; i++) dq[i] = 0;
    if (w.begin < w.end) {
      load_stats(w);
      wait_full(c.q_full, q_parity);
      q_parity ^= 1;
#pragma unroll 1
      for (int tile = w.end - 1; tile >= w.begin; tile--) step(w, tile, tile >= w.full_end || tile < w.full_begin);
      release(c.q_empty); /* the product on its way needs K alone */
      finish<0>();
    }
    store(w);
  }

  __device__ __forceinline__ void run() {
    each_item(c, [&](const work_item &w) { run_item(w); });
  }
};
