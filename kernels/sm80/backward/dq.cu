/* sm80/backward/dq.cu - dQ for sm_80 and up: queries outer, as in the forward, with its tiles, packed heads and ring. A
 * warp has M_TILES tiles of 16 rows: S = Q K^T and dP = dout V^T of a tile of keys, dS = P (dP - delta) in registers,
 * dQ += dS K. It computes S and dP a second time, beside dkdv.cu; that is the price of sums that nobody else adds to.
 * Defines: ../forward/config.cuh, QUERIES; SLOTS is even, K and V of a tile are next to each other. Read next:
 * ../forward/forward.cu, ../products.cuh; dkdv.cu for the other half. */
#include "../forward/config.cuh"
#include "backward/plan.cuh"
#include "page_fetch.cuh"
#include "sm80/products.cuh"
#include "store.cuh"

constexpr unsigned D_OUT_BYTES = TILE_M * COLUMNS_OF<DIM_V> * ROW_BYTES;
constexpr int STAGES = SLOTS / 2;
static_assert(SLOTS % 2 == 0 && STAGES > 1, "a tile is K and V, and the next one is on its way");

/* This warp's rows of Q or dout; they land with the first tile of K. Rows that are none become zeros. */
template <int dim>
__device__ __forceinline__ void load_rows(const pah_attn_params &p, const work_item &w, const pah_rows &of,
                                          unsigned tile) {
  const int lane = (int)threadIdx.x % 32, in_row = lane % 8;
#pragma unroll
  for (int i = 0; i < TILE_M / STRIPE * 4; i++) {
    const int row = i / 4 * STRIPE + (int)threadIdx.x / 32 * 16 + i % 4 * 4 + lane / 8;
    const int query = w.first_q + row / PACK;
    const bool there = query < w.s.len_q;
    const IO_T *from = row_at<IO_T>(of, w.b, w.head + row % PACK, w.s.first_row + (there ? query : 0));
#pragma unroll
    for (int j = 0; j < COLUMNS_OF<dim>; j++) {
      const bool inside = (j + 1) * COLUMNS <= dim || j * 8 + in_row < dim / CHUNK;
      ptx::cp_async_cg(tile + j * (TILE_M * ROW_BYTES) + chunk_at(row, in_row),
                       inside ? from + j * COLUMNS + in_row * CHUNK : from, there && inside ? 16 : 0);
    }
  }
}

struct computer {
  const pah_attn_params &p;
  const work_item &w;
  fetcher &f;
  int slot = 0;                     /* of the ring: what is computed next */
  rows_in_memory<TILE_M, STRIPE> q; /* dout: as far behind as it is in shared memory */
  float lse[M_TILES][2], delta[M_TILES][2];
  float dq[M_TILES][HEAD_DIM / 2];

  __device__ __forceinline__ void fetch(int tile, int to) {
    f.fetch<0>(tile, to);
    f.fetch<1>(tile, to + 1);
  }

  __device__ __forceinline__ void begin(const backward_plan &plan) {
    q.begin(f.q, (int)threadIdx.x / 32 * 16);
#pragma unroll
    for (int m = 0; m < M_TILES; m++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const int row = m * STRIPE + row_of(r), query = w.first_q + row / PACK;
        const bool there = query < w.s.len_q;
        const int tile = first_tile_of(p, w.s, w.b) + (there ? query / QUERIES : 0);
        const float2 *stats = (const float2 *)stats_of(p, plan, tile, w.head + row % PACK);
        const float2 of = there ? stats[query % QUERIES] : make_float2(positive_infinity(), 0);
        lse[m][r] = of.x, delta[m][r] = of.y;
      }
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) fetch(w.end - 1 - i, 2 * i);
  }

  /* Scores become their gradients. */
  template <bool masked>
  __device__ __forceinline__ void weigh(int tile, int m, float (&s)[TILE_N / 2], const float (&dp)[TILE_N / 2]) {
    float slope[TILE_N / 2];
    if (SOFTCAP) tanh_of_scaled(p.softmax_scale / p.softcap, 1, 0, s, nothing());
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) slope[i] = SOFTCAP ? 1 - s[i] * s[i] : 1;
    if (masked) mask_scores(p, w, tile, s, m * STRIPE);
    const float factor = (SOFTCAP ? p.softcap : p.softmax_scale) * LOG2E;
#pragma unroll
    for (int i = 0; i < TILE_N / 2; i++) {
      const int r = i / 2 % 2;
      s[i] = ptx::ex2(s[i] * factor - lse[m][r]) * (dp[i] - delta[m][r]) * slope[i];
    }
  }

  template <bool masked> __device__ __forceinline__ void next_tile(int tile) {
    ptx::cp_async_wait_group<2 * (STAGES - 2)>();
    __syncthreads(); /* all copies of it are there; and all warps are done with the slots that are filled next */
    fetch(tile - (STAGES - 1), slot == 0 ? SLOTS - 2 : slot - 2);
    const unsigned keys = f.ring + slot * SLOT_BYTES;
    float s[M_TILES][TILE_N / 2], dp[M_TILES][TILE_N / 2];
    multiply_rows<TILE_N, HEAD_DIM>(s, q, keys);
    multiply_rows<TILE_N, HEAD_DIM_V>(dp, q.at<Q_BYTES>(), keys + SLOT_BYTES);
    unsigned gradients[M_TILES][TILE_N / 16][4];
#pragma unroll
    for (int m = 0; m < M_TILES; m++) {
      weigh<masked>(tile, m, s[m], dp[m]);
#pragma unroll
      for (int i = 0; i < TILE_N / 4; i++) gradients[m][i / 4][i % 4] = pair_of(IO_T(), s[m][2 * i], s[m][2 * i + 1]);
    }
    add_columns<TILE_N, TILE_N / 16>(dq, gradients, 0, keys);
    slot = slot + 2 == SLOTS ? 0 : slot + 2;
  }

  template <bool masked> __device__ __forceinline__ void run_tiles(int &tile, const int begin) {
#pragma unroll 1
    for (; tile >= begin; tile--) next_tile<masked>(tile);
  }

  __device__ __forceinline__ void run() {
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

  __device__ __forceinline__ void store() {
#pragma unroll
    for (int m = 0; m < M_TILES; m++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const int row = m * STRIPE + row_of(r), query = w.first_q + row / PACK;
        const bool there = query < w.s.len_q;
        IO_T *to = row_at<IO_T>(p.dq, w.b, w.head + row % PACK, w.s.first_row + (there ? query : 0));
        row_store<IO_T>::run(to, there, DIM, dq[m], r, p.softmax_scale);
      }
  }
};

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    backward_dq_sm80(const __grid_constant__ pah_attn_params p, const __grid_constant__ fetch_sizes n,
                     const __grid_constant__ backward_plan plan) {
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
  fetcher f = {p, n, w, q, q + Q_BYTES + D_OUT_BYTES};
  computer c = {p, w, f};
#pragma unroll
  for (int m = 0; m < M_TILES; m++)
#pragma unroll
    for (int i = 0; i < HEAD_DIM / 2; i++) c.dq[m][i] = 0;
  if (w.begin < w.end) {
    f.begin();
    load_rows<DIM>(p, w, p.q, q);
    load_rows<DIM_V>(p, w, p.dout, q + Q_BYTES);
    c.begin(plan);
    c.run();
  }
  c.store();
}
