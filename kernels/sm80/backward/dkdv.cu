/* sm80/backward/dkdv.cu - dK and dV for sm_80 and up: bf16 or f16, keys outer. A thread block owns KEYS tokens of one
 * K/V head and looks at all queries of all heads of the group that see them: sums stay in registers, nothing is shared
 * between thread blocks, and the result does not depend on their order. Scores are computed as S^T = K Q^T, keys by
 * queries: then P^T and dS^T lie in registers as the A operand of dV += P^T dout and dK += dS^T Q, where dS =
 * P (dout V^T - delta). Registers hold the sums of 32 keys, but of 64 elements, so warps share keys (config.cuh) and
 * hand each other weights through shared memory as the fragments that they are, 16 bytes a lane.
 * Read next: queries.cuh, ../products.cuh, ../../backward/gradient.cuh; dq.cu for the other half. */
#include "queries.cuh"
#include "backward/gradient.cuh"
#include "backward/slots.cuh"
#include "sm80/products.cuh"

typedef unsigned fragments[KEY_TILES][PART_TILES][4];

struct computer {
  const pah_attn_params &p;
  const key_sizes &n;
  const key_use &w;
  rows_in_memory<KEYS, 16> keys; /* values: as far behind as V is behind K */
  float dk[KEY_TILES][WIDTH / 2], dv[KEY_TILES][WIDTH / 2];

  static __device__ __forceinline__ int warp() {
    return (int)threadIdx.x / 32;
  }
  static __device__ __forceinline__ int first_key() { /* of this warp */
    return warp() / SHARE * WARP_KEYS;
  }
  static __device__ __forceinline__ int member() { /* of those who share keys */
    return warp() % SHARE;
  }

  __device__ __forceinline__ void begin() {
    keys.begin(ptx::shared(pool), first_key());
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int m = 0; m < KEY_TILES; m++)
#pragma unroll
      for (int i = 0; i < WIDTH / 2; i++) dk[m][i] = dv[m][i] = 0;
  }

  /* The fragment (m, k) of member `of`. */
  static __device__ __forceinline__ uint4 *fragment(unsigned start, int of, int m, int k) {
    const unsigned at = (warp() - member() + of) * WEIGHTS_BYTES + (m * PART_TILES + k) * FRAGMENT_BYTES;
    return (uint4 *)(pool + start + at) + threadIdx.x % 32;
  }

  static __device__ __forceinline__ void give(unsigned start, const fragments &x) {
#pragma unroll
    for (int m = 0; m < KEY_TILES; m++)
#pragma unroll
      for (int k = 0; k < PART_TILES; k++)
        *fragment(start, member(), m, k) = make_uint4(x[m][k][0], x[m][k][1], x[m][k][2], x[m][k][3]);
  }

  static __device__ __forceinline__ void take(unsigned start, int from, fragments &x) {
#pragma unroll
    for (int m = 0; m < KEY_TILES; m++)
#pragma unroll
      for (int k = 0; k < PART_TILES; k++) {
        const uint4 y = *fragment(start, from, m, k);
        x[m][k][0] = y.x, x[m][k][1] = y.y, x[m][k][2] = y.z, x[m][k][3] = y.w;
      }
  }

  /* Weights of queries from `first` on of the tile that is in `slot`. */
  __device__ __forceinline__ void weigh(int tile, int slot, int first, bool masked, fragments &weights,
                                        fragments &gradients) {
    const unsigned at = ptx::shared(pool) + QUERIES_START + slot * QUERY_BYTES + first * ROW_BYTES;
    const float *stats = (const float *)(pool + STATS_START + slot * STATS_BYTES) + 2 * first;
    float s[KEY_TILES][PART / 2], dp[KEY_TILES][PART / 2];
    multiply_rows<QUERIES, HEAD_DIM>(s, keys, at);
    multiply_rows<QUERIES, HEAD_DIM>(dp, keys.at<VALUES_START>(), at + (D_OUT_START - QUERIES_START));
#pragma unroll
    for (int m = 0; m < KEY_TILES; m++) {
      uncap_gradients(n.inner, stats, s[m], dp[m]);
      if (masked) {
        const int key = w.token + first_key() + 16 * m + (int)threadIdx.x % 32 / 4;
#pragma unroll
        for (int r = 0; r < 2; r++) mask_key(p, w.s, key + 8 * r, r, tile * QUERIES + first, s[m]);
      }
    }
    weigh_queries(p, stats, s, dp, weights, gradients);
  }

  /* What the queries from `first` on owe to this warp's elements. */
  __device__ __forceinline__ void add(int slot, int first, const fragments &weights, const fragments &gradients) {
    const unsigned q = ptx::shared(pool) + QUERIES_START + slot * QUERY_BYTES + first * ROW_BYTES +
                       member() * (WIDTH / COLUMNS * QUERIES * ROW_BYTES);
    add_columns<QUERIES, PART_TILES>(dv, weights, 0, q + (D_OUT_START - QUERIES_START));
    add_columns<QUERIES, PART_TILES>(dk, gradients, 0, q);
  }

  __device__ __forceinline__ void step(int tile, int slot, bool masked) {
#pragma unroll 1
    for (int first = 0; first < WARP_QUERIES; first += PART) {
      fragments weights, gradients;
      weigh(tile, slot, member() * WARP_QUERIES + first, masked, weights, gradients);
      if (SHARE > 1) {
        give(WEIGHTS_START, weights);
        give(GRADIENTS_START, gradients);
      }
      add(slot, member() * WARP_QUERIES + first, weights, gradients);
    }
    if (SHARE == 1) return;
    ptx::bar_sync(1 + warp() / SHARE, 32 * SHARE);
#pragma unroll 1
    for (int i = 1; i < SHARE; i++) {
      const int from = (member() + i) % SHARE;
      fragments weights, gradients;
      take(WEIGHTS_START, from, weights);
      take(GRADIENTS_START, from, gradients);
      add(slot, from * WARP_QUERIES, weights, gradients);
    }
  }

  __device__ __forceinline__ void store(const pah_blocks &to, int head_dim, float factor,
                                        const float (&sums)[KEY_TILES][WIDTH / 2]) const {
#pragma unroll
    for (int m = 0; m < KEY_TILES; m++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const int row = first_key() + 16 * m + ptx::thread_again() % 32 / 4 + 8 * r, first = member() * WIDTH;
        const bool there = row < w.rows;
        IO_T *at = there ? slot_of<IO_T>(p, to, w, row) : (IO_T *)to.data;
        row_store<IO_T>::run(at + first, there, head_dim - first, sums[m], r, factor);
      }
  }
};

/* All queries of all heads of the group that see the item's keys in this use. `mine`: the tiles that this warp's keys
 * are seen in. */
__device__ __forceinline__ void run_use(computer &c, const query_fetcher &f, const tile_range &mine) {
  query_place at = {0, c.w.begin, 0};
#pragma unroll
  for (int ahead = 0; ahead < QUERY_STAGES - 1; ahead++) f.fetch(at, ahead);
#pragma unroll 1
  for (; f.has(at); f.advance(at)) {
    ptx::cp_async_wait_group<QUERY_STAGES - 2>();
    __syncthreads(); /* the tile is there; and all warps are done with the slot that is filled next, and with weights */
    f.fetch(at, QUERY_STAGES - 1);
    if (at.tile >= mine.begin && at.tile < mine.end)
      c.step(at.tile, at.slot, at.tile < mine.full_begin || at.tile >= mine.full_end);
  }
}

/* By the first warp. What is found lies in shared memory from one step to the next: sums may be under way, and leave no
 * registers. */
__device__ __forceinline__ void next_use(const pah_attn_params &p, const backward_plan &plan, walk_place &place,
                                         key_use &w, tile_range (&ranges)[GROUPS]) {
  const bool writes = threadIdx.x == 0;
  walk uses(p, plan);
  __syncwarp();
  uses.go_to(place);
  used_keys found;
  if (!uses.next(found)) found.b = -1;
  __syncwarp();
  if (writes) w.first = !place.more, (used_keys &)w = found, place = uses;
  __syncwarp();
  if (w.b < 0) return;
  uses.go_to(place);
  uses.look_ahead(plan.items[uses.index / p.kv_heads].kind);
  __syncwarp();
  if (writes) place = uses, w.last = !uses.more;
  key_use use;
  (used_keys &)use = w;
  find_queries(p, use);
  if (writes) w.s = use.s, w.begin = use.begin, w.end = use.end;
  if (threadIdx.x < GROUPS) ranges[threadIdx.x] = tiles_seeing(p, use, (int)threadIdx.x * WARP_KEYS, WARP_KEYS);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    backward_dkdv_sm80(const __grid_constant__ pah_attn_params p, const __grid_constant__ key_sizes n,
                       const __grid_constant__ backward_plan plan) {
  __shared__ __align__(16) key_use w; /* not in registers, of which there are too few */
  __shared__ __align__(16) walk_place place;
  __shared__ tile_range ranges[GROUPS];
  if (refused(p.verdict, p.ticket)) return;
  if (threadIdx.x == 0) place = {0, 0, 0, false};
  const query_fetcher f = {p, n, plan, w};
  computer c = {p, n, w};
  c.begin();
  for (;;) {
    if (threadIdx.x < 32) next_use(p, plan, place, w, ranges);
    __syncthreads();
    if (w.b < 0) break;
    if (w.first) {
      c.clear();
      load_keys(p, n, w);
    }
    run_use(c, f, ranges[c.warp() / SHARE]);
    ptx::cp_async_wait_all();
    if (w.last) {
      c.store(p.dk, DIM, p.softmax_scale, c.dk);
      c.store(p.dv, DIM_V, 1, c.dv);
    }
    __syncthreads(); /* all are done with the use, and with shared memory */
  }
  clear_unused<IO_T, THREADS>(p, plan, DIM, DIM_V);
}
