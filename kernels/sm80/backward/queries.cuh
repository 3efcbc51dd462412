/* sm80/backward/queries.cuh - what dkdv.cu has in shared memory, and how it gets there, by cp.async: K and V of an item
 * through the block table, once; and Q, dout and the numbers of their queries, tile by tile, for every head of the
 * group, QUERY_STAGES - 1 tiles ahead of what is computed. Rows that are none become zeros without being read. Read
 * next: dkdv.cu. */
#pragma once
#include "config.cuh" /* the sizes: first */

#include "backward/uses.cuh"
#include "places.cuh"
#include "sm80/products.cuh"

extern __shared__ __align__(1024) unsigned char pool[];

/* The first of the rows that this lane copies, of which every 4 * WARPS-th is its own. */
__device__ __forceinline__ int copied_row() {
  return ptx::thread_again() / 8;
}

/* A row's chunk of this lane, of each column; `rows` are those of the tile. */
template <int dim, int rows>
__device__ __forceinline__ void copy_row(unsigned tile, int row, const IO_T *from, bool there) {
  const int in_row = ptx::thread_again() % 8;
#pragma unroll
  for (int j = 0; j < HEAD_DIM / COLUMNS; j++) {
    const bool inside = (j + 1) * COLUMNS <= dim || j * 8 + in_row < dim / CHUNK;
    ptx::cp_async_cg(tile + j * (rows * ROW_BYTES) + chunk_at(row, in_row),
                     inside ? from + j * COLUMNS + in_row * CHUNK : from, there && inside ? 16 : 0);
  }
}

struct key_sizes { /* what the host hands to the kernel beside pah_attn_params; in constant memory it costs no registers
                    */
  place_units k, v;
  int group;   /* heads of a K/V head */
  float inner; /* softmax_scale / softcap, where there is one */
};

__device__ __forceinline__ const IO_T *token_row(const pah_blocks &of, const place_units &units, unsigned place) {
  return (const IO_T *)((const char *)of.data + (unsigned long long)(place == NOWHERE ? 0 : place) * units.bytes);
}

__device__ inline void load_keys(const pah_attn_params &p, const key_sizes &n, const key_use &w) {
  const unsigned to = ptx::shared(pool);
#pragma unroll 1
  for (int row = copied_row(); row < KEYS; row += 4 * WARPS) {
    const int token = w.token + row, entry = token / p.block_size, slot = token - entry * p.block_size;
    const int block = row < w.rows ? block_at(p, w.b, entry) : -1;
    const unsigned k = place_of(n.k, (int)p.num_blocks, block, slot, w.kv_head);
    const unsigned v = place_of(n.v, (int)p.num_blocks, block, slot, w.kv_head);
    copy_row<DIM, KEYS>(to, row, token_row(p.k, n.k, k), k != NOWHERE);
    copy_row<DIM_V, KEYS>(to + VALUES_START, row, token_row(p.v, n.v, v), v != NOWHERE);
  }
}

struct query_place {
  int head, tile, slot; /* head: within the group; slot: of the ring */
};

/* The tiles of a use, of one head after the other. */
struct query_fetcher {
  const pah_attn_params &p;
  const key_sizes &n;
  const backward_plan &plan;
  const key_use &w;

  __device__ __forceinline__ bool has(const query_place &at) const {
    return w.begin < w.end && at.head < n.group;
  }

  __device__ __forceinline__ void advance(query_place &at) const {
    if (++at.tile == w.end) at.tile = w.begin, at.head++;
    at.slot = at.slot + 1 == QUERY_STAGES ? 0 : at.slot + 1;
  }

  __device__ __forceinline__ void copy(const query_place &at) const {
    const int head = w.kv_head * n.group + at.head;
    const unsigned to = ptx::shared(pool);
    const int first = copied_row();
#pragma unroll
    for (int i = 0; i < QUERIES / (4 * WARPS); i++) {
      const int row = first + i * (4 * WARPS), query = at.tile * QUERIES + row;
      const bool there = query < w.s.len_q;
      const long long from = w.s.first_row + (there ? query : 0);
      copy_row<DIM, QUERIES>(to + QUERIES_START + at.slot * QUERY_BYTES, row, row_at<IO_T>(p.q, w.b, head, from),
                             there);
      copy_row<DIM_V, QUERIES>(to + D_OUT_START + at.slot * QUERY_BYTES, row, row_at<IO_T>(p.dout, w.b, head, from),
                               there);
    }
    if (threadIdx.x < STATS_BYTES / 16)
      ptx::cp_async_cg(to + STATS_START + at.slot * STATS_BYTES + threadIdx.x * 16,
                       stats_of(p, plan, first_tile_of(p, w.s, w.b) + at.tile, head) + threadIdx.x * 4, 16);
  }

  /* The tile that is `ahead` tiles on, if there is one; a group of copies in any case. */
  __device__ __forceinline__ void fetch(query_place at, int ahead) const {
#pragma unroll
    for (int i = 0; i < ahead; i++) advance(at);
    if (has(at)) copy(at);
    ptx::cp_async_commit_group();
  }
};
