/* sm90/forward.cu - attention over a paged K/V cache for Hopper (sm_90a): bf16 or f16, head_dim up to 256.
 * A producer warpgroup copies pages into shared memory; CONSUMERS warpgroups compute 64 rows each. Two things go on at
 * the same time: within a warpgroup, Q K^T of the next tile is issued before P V of this one, and its softmax starts
 * when the former is done; between warpgroups, one has the tensor cores while the other has the exponentials.
 * 674 TFLOP/s causal at 16384 on an H200; what each step was worth: doc/design/gpu-forward.md. Defines: config.cuh.
 * Read next: work.cuh, producer.cuh, products.cuh, tile_softmax.cuh. */
#include "fp8/sums.cuh"
#include "fp8/widener.cuh"
#include "producer.cuh"
#include "products.cuh"
#include "store.cuh"

extern __shared__ __align__(1024) unsigned char pool[];

struct consumer {
  const pah_attn_params &p;
  const sm90_sizes &n;
  channels &c;
  int group;
  ring_place<STAGES> k_at, v_at;
  unsigned q_parity = 0;
  softmax_state state;
  far_sums far; /* of fp8 products */
  float o[HEAD_DIM_V / 2], s[TILE_N / 2];
  unsigned weights[TILE_N * P_SIZE / 32][4]; /* for 16 or 32 tokens at a time */
  packed_queries queries;

  static constexpr bool FAR = P_SIZE == 1 && NEAR_TILES > 0;

  /* Turns at the tensor cores: barrier 1 + g is warpgroup g's, and it is the one before it that opens it. */
  __device__ __forceinline__ void begin_turn() {
    if (PING_PONG && CONSUMERS > 1) ptx::bar_sync(1 + group, 256);
  }
  __device__ __forceinline__ void end_turn() {
    if (PING_PONG && CONSUMERS > 1) ptx::bar_arrive(1 + (group + 1) % CONSUMERS, 256);
  }

  __device__ __forceinline__ unsigned my_q() const {
    return ptx::shared(pool) + group * (64 * ROW_BYTES);
  }
  __device__ __forceinline__ void issue_qk() {
    const unsigned long long k = rows_descriptor(ptx::shared(pool) + K_START + k_at.slot * K_BYTES);
    if (Q_IN_REGISTERS)
      multiply_queries<TILE_N>(s, queries, k);
    else
      multiply_rows<TILE_M, TILE_N>(s, rows_descriptor(my_q()), k);
    ptx::wgmma_commit_group();
  }
  __device__ __forceinline__ void issue_pv() {
    add_columns<HEAD_DIM_V>(o, weights, columns_descriptor<TILE_N>(ptx::shared(pool) + V_START + v_at.slot * V_BYTES),
                            FAR ? far.near > 0 : 1);
    ptx::wgmma_commit_group();
  }
  template <int groups> __device__ __forceinline__ void finish_qk() {
    ptx::wgmma_wait_group<groups>();
    ptx::wgmma_results(s);
    release(c.k_empty[k_at.slot]);
    k_at.advance();
  }
  __device__ __forceinline__ void finish_pv() {
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_results(o);
    release(c.v_empty[v_at.slot]);
    v_at.advance();
  }

  /* After the last product with it: that of the next item can be under way during the rest of this one. */
  __device__ __forceinline__ void release_q() {
    if (!Q_IN_REGISTERS) release(c.q_empty);
  }

  __device__ __forceinline__ void first_tile(const work_item &w) {
    wait_tile(c.k_full[k_at.slot], k_at.parity);
    ptx::wgmma_fence();
    issue_qk();
    finish_qk<0>();
    if (w.end - 1 == w.begin) release_q();
    state.cap(state.inner, s, nothing());
    if (w.end > w.full_end || w.full_end == w.full_begin) mask_scores(p, w, w.end - 1, s);
    float shrink[2];
    state.weigh(s, shrink);
    pack_weights(weights, s);
  }

  /* Scores of `tile`; the values of the tile after it, whose weights are there. */
  template <bool masked> __device__ __forceinline__ void next_tile(const work_item &w, int tile) {
    wait_full(c.k_full[k_at.slot], k_at.parity);
    if (WAIT_FOR_BOTH) wait_full(c.v_full[v_at.slot], v_at.parity);
    fence_tile();
    begin_turn();
    ptx::wgmma_fence();
    issue_qk();
    if (!WAIT_FOR_BOTH) wait_tile(c.v_full[v_at.slot], v_at.parity);
    issue_pv();
    end_turn();
    finish_qk<1>();
    if (tile == w.begin) release_q();
    float shrink[2];
    if (masked || !BOUNDED) {
      state.cap(state.inner, s, nothing());
      if (masked) mask_scores(p, w, tile, s);
      state.weigh(s, shrink);
    } else {
      state.cap(state.inner, s, [&] { state.weigh(s, shrink); });
    }
    if (HOLD_WAIT && __any_sync(0xffffffffu, state.sum[0] < 0 || state.sum[1] < 0)) s[0] = 0; /* never */
    finish_pv();
    pack_weights(weights, s);
    shrink_sums(shrink);
    if (FAR) far.count_tile(state, o, far_places());
  }

  __device__ __forceinline__ float4 *far_places() {
    return (float4 *)(pool + SUMS_START) + threadIdx.x;
  }

  __device__ __forceinline__ void shrink_sums(const float (&shrink)[2]) {
    if (!__any_sync(0xffffffffu, shrink[0] != 1 || shrink[1] != 1)) return;
#pragma unroll
    for (int i = 0; i < HEAD_DIM_V / 2; i++) o[i] *= shrink[i / 2 % 2];
  }

  __device__ __forceinline__ void run_item(const work_item &w) {
    state.begin(p, w);
    if (FAR) far.begin();
#pragma unroll
    for (int i = 0; i < HEAD_DIM_V / 2; i++) o[i] = 0;
    if (w.begin < w.end) {
      wait_full(c.q_full, q_parity);
      q_parity ^= 1;
      if (Q_IN_REGISTERS) {
        load_queries(queries, my_q());
        release_by_warp(c.q_empty);
      }
      const int full_end = w.full_end, full_begin = w.full_begin, begin = w.begin;
      int tile = w.end - 1;
      first_tile(w);
#pragma unroll 1
      for (tile--; tile >= full_end; tile--) next_tile<true>(w, tile);
#pragma unroll 1
      for (; tile >= full_begin; tile--) next_tile<false>(w, tile);
#pragma unroll 1
      for (; tile >= begin; tile--) next_tile<true>(w, tile);
      wait_tile(c.v_full[v_at.slot], v_at.parity);
      ptx::wgmma_fence();
      issue_pv();
      finish_pv();
      if (FAR) far.collect(state, o, far_places());
    }
    store_rows(p, n.head_dim_v, w, state, o);
  }

  __device__ __forceinline__ void run() {
    if (group == CONSUMERS - 1) end_turn(); /* the first turn is warpgroup 0's */
    each_item(c, [&](const work_item &w) { run_item(w); });
    if (group == 0) begin_turn(); /* the turn that nobody took */
  }
};

/* An fp8 cache for a wider q, in place of what the producer copies: V, */
template <class To> __device__ __forceinline__ void widen_values(producer &job) {
  widener<HEAD_DIM_V, To, true> values = {job.p, job.v, ptx::shared(pool) + V_START, job.c.v_full, job.c.v_empty};
  values.begin();
  job.run(work_index, [&](const work_item &w) { values.run(w, [&] { job.load_q(w); }); });
}
/* ... and K, by the warpgroup beside it. */
template <class To>
__device__ __forceinline__ void widen_keys(const pah_attn_params &p, channels &c, const kv_operand &k) {
  widener<HEAD_DIM, To, false> keys = {p, k, ptx::shared(pool) + K_START, c.k_full, c.k_empty};
  keys.begin();
  each_item(c, [&](const work_item &w) {
    if (w.begin < w.end) keys.run(w, [] {});
  });
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    forward_sm90(const pah_attn_params p, const sm90_sizes n, const __grid_constant__ ptx::tensor_map q,
                 const __grid_constant__ ptx::tensor_map k, const __grid_constant__ ptx::tensor_map v) {
  __shared__ __align__(16) channels c;
  if (refused(p.verdict, p.ticket)) return;
  const int group = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128, 0);
  if (threadIdx.x == 0) {
    open_channels(c, kv_source::ARRIVALS);
    ptx::prefetch_tensor_map(q);
    ptx::prefetch_tensor_map(k);
    ptx::prefetch_tensor_map(v);
  }
  __syncthreads();
  if (group < CONSUMERS) {
    ptx::setmaxnreg_inc<CONSUMER_REGISTERS>();
    consumer job = {p, n, c, group};
    job.run();
  } else if (group == CONSUMERS) {
    ptx::setmaxnreg_dec<PRODUCER_REGISTERS>();
    const kv_operand from_k = {k, p.k, n.k, n.head_dim}, from_v = {v, p.v, n.v, n.head_dim_v};
    producer job = {p, q, c, pool, from_k, from_v, {p, n, c.tail}, {c, pool}};
    if constexpr (WIDENED)
      widen_values<V_T>(job);
    else
      job.run();
  } else if constexpr (WIDENED) {
    ptx::setmaxnreg_dec<WIDENER_REGISTERS>();
    widen_keys<K_T>(p, c, {k, p.k, n.k, n.head_dim});
  }
}
