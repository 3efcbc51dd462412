/* sm80/forward/forward.cu - attention over a paged K/V cache for sm_80 and up: bf16 or f16, f32 whose factors are
 * rounded to tf32, or fp8, which is widened on its way into shared memory; head_dim up to 256. A thread block computes
 * a tile of rows (row_tiles.cuh), a warp 16 or 32 of them against all keys, so that no row is shared by warps. Tiles of
 * K and V come through the block table into a ring of slots by cp.async, AHEAD of what is computed. Scores, weights and
 * sums stay in registers. Several thread blocks share a multiprocessor: while one has the exponentials, another has the
 * tensor cores. How fast, and why: doc/design/gpu-forward-sm80.md. Defines: config.cuh. Read next: page_fetch.cuh,
 * products.cuh, values.cuh, tile_softmax.cuh, store.cuh. */
#include "config.cuh"
#include "page_fetch.cuh"
#include "products.cuh"
#include "store.cuh"
#if TF32
#include "values_tf32.cuh"
#else
#include "values.cuh"
#endif

struct computer {
  const pah_attn_params &p;
  const work_item &w;
  fetcher &f;
  int slot = 0; /* of the ring: what is computed next */
  query_rows q;
  softmax_state state[M_TILES];
  sum_tiles o;

  __device__ __forceinline__ void shrink_sums(const float (&shrink)[M_TILES][2]) {
    bool any = false;
#pragma unroll
    for (int i = 0; i < 2 * M_TILES; i++) any |= shrink[i / 2][i % 2] != 1;
    if (LAZY_LOG2 && !__any_sync(0xffffffffu, any)) return;
#pragma unroll
    for (int m = 0; m < M_TILES; m++)
#pragma unroll
      for (int i = 0; i < HEAD_DIM_V / 2; i++) o[m][i] *= shrink[m][i / 2 % 2];
  }

  template <bool masked> __device__ __forceinline__ void next_tile(int tile) {
    score_tiles s;
    multiply_qk(s, q, f.ring + f.receive<0>(tile, slot));
#pragma unroll
    for (int m = 0; m < M_TILES; m++) {
      state[m].cap(DESCALED ? state[m].inner : p.softmax_scale / p.softcap, s[m], nothing());
      if (masked) mask_scores(p, w, tile, s[m], m * STRIPE);
    }
    weight_tiles weights;
    unsigned values = 0;
#pragma unroll
    for (int part = 0; part < PARTS; part++) {
      float shrink[M_TILES][2];
#pragma unroll
      for (int m = 0; m < M_TILES; m++)
        state[m].weigh(*(float(*)[TILE_N / 2 / PARTS])(s[m] + part * (TILE_N / 2 / PARTS)), shrink[m]);
      pack_weights(weights, s, part);
      shrink_sums(shrink);
      if (part == 0) values = f.ring + f.receive<1>(tile, slot);
      multiply_pv(o, weights, part, values);
    }
  }

  __device__ __forceinline__ void begin() {
#pragma unroll
    for (int m = 0; m < M_TILES; m++) {
      state[m].begin(p, w);
#pragma unroll
      for (int i = 0; i < HEAD_DIM_V / 2; i++) o[m][i] = 0;
    }
  }

  template <bool masked> __device__ __forceinline__ void run_tiles(int &tile, const int begin) {
#pragma unroll 1
    for (; tile >= begin; tile--) next_tile<masked>(tile);
  }

  __device__ __forceinline__ void run() {
    ptx::cp_async_wait_group<AHEAD - 1>();
    __syncwarp(); /* a warp copies the rows of Q that it computes */
    q.begin(f.q);
    int tile = w.end - 1;
#pragma unroll 1
    for (int end = w.full_end;; end = w.begin) { /* masked, full, masked: the code of masked tiles stands once */
      run_tiles<true>(tile, end);
      if (tile < w.begin) break;
      run_tiles<false>(tile, w.full_begin);
      if (tile < w.begin) break;
    }
    ptx::cp_async_wait_all();
  }
};

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    forward_sm80(const __grid_constant__ pah_attn_params p, const __grid_constant__ fetch_sizes n) {
  if (refused(p.verdict, p.ticket)) return;
  __shared__ work_item w; /* not in registers, of which there are too few */
  if (threadIdx.x < 32) {
    work_item found;
    if (!find_work(p, (int)blockIdx.x, found)) found.b = -1;
    if (threadIdx.x == 0) w = found;
  }
  __syncthreads();
  if (w.b < 0) return;
  const unsigned q = ptx::shared(pool);
  fetcher f = {p, n, w, q, q + Q_BYTES};
  computer c = {p, w, f};
  c.begin();
  if (w.begin < w.end) {
    f.begin();
    f.load_q();
    f.fetch_first<0>();
    c.run();
  }
#pragma unroll
  for (int m = 0; m < M_TILES; m++) store_rows(p, DIM_V, w, c.state[m], c.o[m], m * STRIPE);
}
