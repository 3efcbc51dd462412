/* backward/prepare.cu - the first kernel of the fast backwards: for every query delta = sum(dout * out) and its lse in
 * powers of two, in tiles as dK and dV read them; and what plan.cu counts in is made empty. A thread block per tile of
 * QUERIES rows of a head; 16 or 32 lanes share a row. Defines: QUERIES, HEAD_DIM_V, IO_T. Read next: plan.cu. */
#include "plan.cuh"
#include "softmax.cuh"

constexpr int THREADS = 128, LANES = HEAD_DIM_V > 128 ? 32 : 16, ROWS_AT_ONCE = THREADS / LANES;
static_assert(QUERIES % ROWS_AT_ONCE == 0 && HEAD_DIM_V <= 8 * LANES, "QUERIES: a multiple of 8");

/* The sequence of a tile: the last that does not begin behind it. */
__device__ int sequence_of_tile(const pah_attn_params &p, int tile) {
  if (!p.cu_seqlens_q) return tile / tiles_of(p.seqlen_q);
  int low = 0, high = p.batch - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (first_tile_of(p, sequence_of(p, middle), middle) <= tile)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

__device__ float product_of(const uint4 &a, const uint4 &b) {
  const unsigned x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
  float sum = 0;
  for (int i = 0; i < 4; i++)
    for (int half = 0; half < 2; half++) {
      IO_T u, v;
      u.bits = (unsigned short)(x[i] >> (16 * half));
      v.bits = (unsigned short)(y[i] >> (16 * half));
      sum += to_float(u) * to_float(v);
    }
  return sum;
}

/* Of query m of the tile; row -1: there is none. */
__device__ void store(const pah_attn_params &p, float *stats, int m, int b, int head, long long row, float delta) {
  const float lse = row >= 0 ? *row_at<float>(p.lse, b, head, row) : negative_infinity();
  ((float2 *)stats)[m] = make_float2(lse == negative_infinity() ? positive_infinity() : lse * LOG2E, delta);
  if (row >= 0 && p.delta.data) *row_at<float>(p.delta, b, head, row) = delta;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    backward_prepare(const pah_attn_params p, const backward_plan plan, const int head_dim_v) {
  if (refused(p.verdict, p.ticket)) return;
  if (blockIdx.x == 0 && threadIdx.x == 0) *plan.dkdv_taken = *plan.dq_taken = 0;
  for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < p.num_blocks;
       i += (long long)gridDim.x * THREADS) {
    plan.first[i] = plan.lowest[i] = 0x7fffffff;
    plan.last[i] = plan.highest[i] = -1;
    plan.used[i] = 0;
  }
  const int tile = (int)blockIdx.x / p.heads, head = (int)blockIdx.x % p.heads, b = sequence_of_tile(p, tile);
  const sequence s = sequence_of(p, b);
  const int first = (tile - first_tile_of(p, s, b)) * QUERIES, column = 8 * (int)(threadIdx.x % LANES);
  if (first >= s.len_q) return; /* the whole thread block: a tile that its sequence does not need */
  float *stats = stats_of(p, plan, tile, head);
#pragma unroll
  for (int m = threadIdx.x / LANES; m < QUERIES; m += ROWS_AT_ONCE) {
    const bool there = first + m < s.len_q;
    const long long row = s.first_row + first + m;
    float delta = 0;
    if (there && column < head_dim_v)
      delta = product_of(*(const uint4 *)(row_at<IO_T>(p.dout, b, head, row) + column),
                         *(const uint4 *)(row_at<IO_T>(p.out, b, head, row) + column));
    for (int step = LANES / 2; step; step /= 2) delta += __shfl_xor_sync(0xffffffffu, delta, step);
    if (threadIdx.x % LANES == 0) store(p, stats, m, b, head, there ? row : -1, delta);
  }
}
