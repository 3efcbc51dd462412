/* simt/hidden_values.cuh - a NaN or an infinity in V reaches the rows that see it, and no other. A product of tiles
 * multiplies every value by every weight, and 0 * NaN is NaN. So a thread block that ends with NaN in its sums does its
 * item again with care: in tiles that are not seen whole, values that are not finite are zero for the product, and in
 * the end each is added to the rows that see it, in global memory. Otherwise this costs one look at the sums of an
 * item. The kernel's config.cuh comes first: IO_T, TILE_M, TILE_N, DIM_V, COLUMNS, THREADS, PACK, TREE. The
 * kernels for tensor cores have no registers left for this. Read next: forward.cu. */
#pragma once
#include "page_fetch.cuh"

__device__ inline bool is_finite(float x) {
  return !is_nan(x) && !is_infinite(x);
}

/* All bits of the exponent: of NaN and infinity, and of no other. */
__device__ inline unsigned exponent_of(f32) {
  return 0x7f800000u;
}
__device__ inline unsigned exponent_of(bf16) {
  return 0x7f80u;
}
__device__ inline unsigned exponent_of(f16) {
  return 0x7c00u;
}

/* All threads of the thread block, for the tile of V at this place of the pool. In few registers. */
__device__ __forceinline__ void clear_nonfinite(unsigned place) {
  const unsigned low = exponent_of(IO_T()), high = sizeof(IO_T) == 2 ? low << 16 : 0;
#pragma unroll 1
  for (unsigned at = place + threadIdx.x * 4; at < place + TILE_N * COLUMNS_OF<DIM_V> * ROW_BYTES; at += THREADS * 4) {
    unsigned &word = *(unsigned *)(pool + at);
    const unsigned x = word;
    if ((x & low) == low) word = sizeof(IO_T) == 2 ? x & 0xffff0000u : 0;
    if (high && (x & high) == high) word = word & 0xffffu;
  }
  __syncthreads();
}

__device__ inline bool row_sees(const pah_attn_params &p, const work_item &w, int row, int t) {
  const int query = w.first_q + row / PACK;
  const visible_keys v = visible_to(p, w.s, query);
  return query < w.s.len_q && t >= v.first && t <= v.last && (!TREE || tree_sees(tree_row(p, w.s, w.b, query), w.s, t));
}

/* Adds column d of token t to the rows of the item that see it. */
__device__ inline void add_value(const pah_attn_params &p, const work_item &w, int t, int d) {
  const unsigned block = (unsigned)p.block_table[w.b * p.table_batch + t / p.block_size * p.table_block];
  if (block >= (unsigned)p.num_blocks) return;
  const float value = to_float(token_at<IO_T>(p, p.v, w.b, t, kv_head_of(p, w))[d]);
  if (is_finite(value)) return;
#pragma unroll 1
  for (int row = 0; row < TILE_M; row++) {
    if (!row_sees(p, w, row, t)) continue;
    IO_T &x = row_at<IO_T>(p.out, w.b, w.head + row % PACK, w.s.first_row + w.first_q + row / PACK)[d];
    from_float(x, to_float(x) + value);
  }
}

/* All threads of the thread block, when the rows are stored: a thread has columns of its own. Not inlined, or what it
 * needs would be kept in registers all the time. */
__device__ __noinline__ void add_nonfinite(const pah_attn_params &p, const work_item &w) {
  __syncthreads();
#pragma unroll 1
  for (int d = threadIdx.x; d < DIM_V; d += THREADS)
#pragma unroll 1
    for (int t = w.begin * TILE_N; t < w.s.len_k && t < w.end * TILE_N; t++)
      if (t / TILE_N < w.full_begin || t / TILE_N >= w.full_end) add_value(p, w, t, d);
}
