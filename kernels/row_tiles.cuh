/* row_tiles.cuh - the tiles of query rows of a forward and which tiles of keys they see. A row is a query of one head;
 * with PACK = g, g heads of one K/V head share a tile and row r is query r / g of head r % g. Tiles are ordered by
 * the place of their rows, the last rows first: under causal those see most keys, so the long items come first and the
 * short ones fill the gaps at the end. Heads follow each other, so that those of a K/V head read the same pages at the
 * same time, out of L2. The kernel's config.cuh comes first: ROWS_OF_QUERIES, PACK, TILE_N, TREE.
 * Read next: tile_softmax.cuh, sm90/work.cuh, sm80/forward/forward.cu. */
#pragma once
#include "mask.cuh"

/* What the warps that compute a tile of rows must know of it. */
struct work_item {
  int b, head, first_q; /* the first head and query of the tile */
  sequence s;
  int begin, end;           /* tiles of keys that some row sees */
  int full_begin, full_end; /* those of them that every row sees whole, so that nothing is masked */
};

/* Not kept in the item, for which the backward lacks a register. */
__device__ inline int kv_head_of(const pah_attn_params &p, const work_item &w) {
  return (int)((unsigned)w.head / ((unsigned)p.heads / (unsigned)p.kv_heads));
}

/* Tiles of rows and their sequences: all lanes of a warp call this together. Row tiles of ragged sequences are
 * counted by a scan over 32 sequences at a time. Returns false when there is no such tile. */
__device__ inline bool find_rows(const pah_attn_params &p, int tile, work_item &w) {
  if (!p.cu_seqlens_q) {
    const int tiles = (p.seqlen_q + ROWS_OF_QUERIES - 1) / ROWS_OF_QUERIES;
    const int round = (int)((unsigned)tile / (unsigned)p.batch); /* unsigned division is shorter */
    w.b = tile - round * p.batch;
    w.first_q = (tiles - 1 - round) * ROWS_OF_QUERIES;
    return round < tiles;
  }
  const int lane = threadIdx.x % 32;
  for (int b0 = 0; b0 < p.batch; b0 += 32) {
    int tiles = 0;
    if (b0 + lane < p.batch) tiles = (sequence_of(p, b0 + lane).len_q + ROWS_OF_QUERIES - 1) / ROWS_OF_QUERIES;
    int before = tiles; /* becomes the tiles of this lane's sequence and those before it */
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(0xffffffffu, before, step);
      if (lane >= step) before += other;
    }
    const unsigned past = __ballot_sync(0xffffffffu, before > tile);
    if (past) {
      const int found = __ffs((int)past) - 1;
      w.b = b0 + found;
      w.first_q = (__shfl_sync(0xffffffffu, before, found) - 1 - tile) * ROWS_OF_QUERIES; /* the last rows first */
      return true;
    }
    tile -= __shfl_sync(0xffffffffu, before, 31);
  }
  return false;
}

/* The keys that every row sees without a look at the tree mask. */
__device__ inline visible_keys surely_visible_to(const pah_attn_params &p, const sequence &s, int i) {
  visible_keys v = visible_to(p, s, i);
  if (TREE && v.last >= s.len_k - s.len_q) v.last = s.len_k - s.len_q - 1;
  return v;
}

__device__ inline bool find_work(const pah_attn_params &p, int index, work_item &w) {
  const unsigned heads = (unsigned)p.heads / PACK, tile = (unsigned)index / heads;
  if (!find_rows(p, (int)tile, w)) return false;
  w.head = (int)((unsigned)index - tile * heads) * PACK;
  w.s = sequence_of(p, w.b);
  w.s.len_k = (int)(w.s.len_k > p.max_blocks * p.block_size ? p.max_blocks * p.block_size : w.s.len_k); /* safe */
  const int last_q = at_most(w.s.len_q, w.first_q + ROWS_OF_QUERIES) - 1;
  /* Both ends of what is visible move forward with the row. */
  const visible_keys first = surely_visible_to(p, w.s, w.first_q), last = surely_visible_to(p, w.s, last_q);
  w.begin = first.first / TILE_N;
  w.end = (visible_to(p, w.s, last_q).last + TILE_N) / TILE_N;
  w.full_begin = (last.first + TILE_N - 1) / TILE_N;
  w.full_end = (first.last + 1) / TILE_N;
  if (w.full_end < w.full_begin) w.full_end = w.full_begin;
  if (w.begin > w.end) w.begin = w.end;
  /* The three runs of tiles, from the back: end to full_end masked, to full_begin not, to begin masked. */
  if (w.full_begin < w.begin) w.full_begin = w.begin;
  if (w.full_begin > w.end) w.full_begin = w.end;
  if (w.full_end < w.full_begin) w.full_end = w.full_begin;
  if (w.full_end > w.end) w.full_end = w.end;
  return true;
}
