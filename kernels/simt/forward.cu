/* simt/forward.cu - attention over a paged K/V cache in f32, by multiply-adds: what a GPU can do in full precision.
 * Tiles of rows, items and copies are those of sm80/forward/forward.cu; a thread has 4 rows by 8 keys of scores and 4
 * rows by 16 columns of sums in registers, so that a load of 16 bytes feeds 10 multiply-adds and more. Softmax is
 * exact to f32: expf, tanhf. Defines: config.cuh. Read next: products.cuh, page_fetch.cuh, softmax.cuh. */
#include "config.cuh"
#include "hidden_values.cuh"
#include "page_fetch.cuh"
#include "products.cuh"
#include "softmax.cuh"

template <class F> __device__ __forceinline__ float over_lanes_x(float x, F combine) {
#pragma unroll
  for (int step = 1; step < LANES_X; step *= 2) x = combine(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

struct computer {
  const pah_attn_params &p;
  const work_item &w;
  fetcher &f;
  const bool &careful;             /* see hidden_values.cuh */
  const unsigned q, ring, weights; /* in the pool */
  int slot;                        /* of the ring: what is computed next */
  running_softmax state[THREAD_ROWS];
  sum_tile o;

  __device__ __forceinline__ void score(score_tile &s, int tile, bool masked) {
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
      const int query = w.first_q + thread_row(i) / PACK;
      const visible_keys v = visible_to(p, w.s, query);
      const unsigned *tree = TREE && query < w.s.len_q ? tree_row(p, w.s, w.b, query) : 0;
#pragma unroll
      for (int j = 0; j < THREAD_KEYS; j++) {
        const int key = tile * TILE_N + lane_x() + j * LANES_X;
        s[i][j] = SOFTCAP ? score_of(p, s[i][j]) : s[i][j] * p.softmax_scale;
        if (masked && (key < v.first || key > v.last || !tree_sees(tree, w.s, key))) s[i][j] = negative_infinity();
      }
    }
  }

  __device__ __forceinline__ void weigh(score_tile &s) {
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
      float top = s[i][0], sum = 0;
#pragma unroll
      for (int j = 1; j < THREAD_KEYS; j++) top = fmaxf(top, s[i][j]);
      const float shrink = state[i].raise(over_lanes_x(top, [](float a, float b) { return fmaxf(a, b); }));
#pragma unroll
      for (int j = 0; j < THREAD_KEYS; j++) sum += s[i][j] = state[i].weight(s[i][j]);
      state[i].total += sum; /* of this lane's keys until the end */
#pragma unroll
      for (int j = 0; j < 4 * THREAD_COLUMNS; j++) o[i][j / 4][j % 4] *= shrink;
    }
  }

  __device__ __forceinline__ bool has_nan() const {
    bool any = false;
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
      for (int j = 0; j < 4 * THREAD_COLUMNS; j++) any |= is_nan(o[i][j / 4][j % 4]);
    return any;
  }

  __device__ __forceinline__ void begin() {
    slot = 0;
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
      state[i].begin();
#pragma unroll
      for (int j = 0; j < 4 * THREAD_COLUMNS; j++) o[i][j / 4][j % 4] = 0;
    }
  }

  __device__ __forceinline__ void run() {
    f.begin();
    f.load_q();
    f.fetch_first<0>();
#pragma unroll 1
    for (int tile = w.end - 1; tile >= w.begin; tile--) {
      score_tile s;
      const bool masked = tile < w.full_begin || tile >= w.full_end;
      multiply_qk(s, q, ring + f.receive<0>(tile, slot));
      score(s, tile, masked);
      weigh(s);
      leave_weights(weights, s);
      const unsigned values = ring + f.receive<1>(tile, slot);
      if (masked && careful) clear_nonfinite(values);
      multiply_pv(o, weights, values);
    }
    ptx::cp_async_wait_all();
  }

  __device__ __forceinline__ void store() {
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) {
      const int row = thread_row(i), query = w.first_q + row / PACK, head = w.head + row % PACK;
      state[i].total = over_lanes_x(state[i].total, [](float a, float b) { return a + b; });
      const float shrink = state[i].take_sink(sink_of(p, head)), factor = state[i].normalize(shrink);
      if (query >= w.s.len_q) continue;
      float *out = (float *)row_at<IO_T>(p.out, w.b, head, w.s.first_row + query);
      if (lane_x() == 0) *row_at<float>(p.lse, w.b, head, w.s.first_row + query) = state[i].lse();
#pragma unroll
      for (int j = 0; j < THREAD_COLUMNS; j++) {
        const int column = 4 * (lane_x() + j * LANES_X);
        float x[4];
#pragma unroll
        for (int e = 0; e < 4; e++) x[e] = o[i][j][e] * factor;
        if (column < DIM_V) *(float4 *)(out + column) = make_float4(x[0], x[1], x[2], x[3]);
      }
    }
  }
};

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    forward_simt(const __grid_constant__ pah_attn_params p, const __grid_constant__ fetch_sizes n) {
  if (refused(p.verdict, p.ticket)) return;
  __shared__ work_item w;
  __shared__ bool careful;
  if (threadIdx.x < 32) {
    work_item found;
    if (!find_work(p, (int)blockIdx.x, found)) found.b = -1;
    if (threadIdx.x == 0) w = found, careful = false;
  }
  __syncthreads();
  if (w.b < 0) return;
  const unsigned start = ptx::shared(pool);
  fetcher f = {p, n, w, start, start + Q_BYTES};
  computer c = {p, w, f, careful, 0, Q_BYTES, Q_BYTES + SLOTS * SLOT_BYTES};
#pragma unroll 1
  for (bool again = true; again;) {
    c.begin();
    if (w.begin < w.end) c.run();
    again = __syncthreads_or(c.has_nan()) && !careful;
    if (!again) break;
    __syncthreads(); /* all have looked */
    if (threadIdx.x == 0) careful = true;
    __syncthreads();
  }
  c.store();
  if (careful) add_nonfinite(p, w);
}
