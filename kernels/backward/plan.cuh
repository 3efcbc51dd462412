/* backward/plan.cuh - what the kernels of the fast backwards hand to each other in device memory: numbers of every
 * query, and the items of work of those that compute dK and dV. An item is at most KEYS tokens of a run of physical
 * blocks that the same sequences use, so that one thread block adds up all that is owed to these slots in registers, in
 * the order of the table. Without sharing that is a tile of a sequence. Read next: plan.cu, uses.cuh. */
#pragma once
#include "mask.cuh"

#ifndef QUERIES
#define QUERIES 64 /* of a tile of those that compute dK and dV */
#endif
#ifndef KEYS
#define KEYS 128 /* of a tile there */
#endif

enum use_kind {
  USED_ONCE,   /* by the sequence of the item alone */
  USED_ALIKE,  /* by several sequences, at the same place in each */
  USED_ANYHOW, /* one block that a table names at different places */
};

struct key_item {
  int b, token, rows, kind; /* of the first use in the order of the table: sequence, first token; tokens; use_kind */
};

/* Entries of the table are numbered row by row: sequence * max_blocks + place. */
struct backward_plan {
  float *stats;          /* [tiles of queries][H][QUERIES][2]: lse * log2(e), and delta */
  int *first, *last;     /* of a physical block: the first and last entry that names it, */
  int *lowest, *highest; /* the lowest and highest place, */
  int *used;             /* and how many of its slots somebody uses: 0 of a block that nobody names */
  key_item *items;
  int *item_count, *dkdv_taken, *dq_taken; /* of items; those that thread blocks have taken */
};

/* Queries past the end of a sequence, and those that see nothing, have an lse of +inf: their weights are 0. */
__device__ inline float positive_infinity() {
  return -negative_infinity();
}

__device__ inline int tiles_of(int queries) {
  return (queries + QUERIES - 1) / QUERIES;
}

/* The first tile of a sequence in stats. Ragged sequences get one tile more than they may need, for then tiles need no
 * sums over sequences: floor((x + n) / Q) - floor(x / Q) + 1 >= ceil(n / Q). */
__device__ inline int first_tile_of(const pah_attn_params &p, const sequence &s, int b) {
  return p.cu_seqlens_q ? (int)(s.first_row / QUERIES) + b : b * tiles_of(p.seqlen_q);
}

__device__ inline float *stats_of(const pah_attn_params &p, const backward_plan &plan, int tile, int head) {
  return plan.stats + ((long long)tile * p.heads + head) * (2 * QUERIES);
}

/* As sequence_of, but no longer than the table, whatever seqused_k says. */
__device__ inline sequence safe_sequence(const pah_attn_params &p, int b) {
  sequence s = sequence_of(p, b);
  const long long reach = p.max_blocks * p.block_size;
  if (s.len_k > reach) s.len_k = (int)reach;
  return s;
}

__device__ inline int blocks_of(const pah_attn_params &p, const sequence &s) {
  return (int)(((long long)s.len_k + p.block_size - 1) / p.block_size);
}

__device__ inline int block_at(const pah_attn_params &p, int b, int place) {
  return p.block_table[b * p.table_batch + place * p.table_block];
}

/* The queries that see a key: first to last; none when first > last. The other side of visible_to. */
struct seeing_queries {
  int first, last;
};

__device__ inline seeing_queries seeing(const pah_attn_params &p, const sequence &s, int key) {
  const long long at = (long long)key - (p.causal == 2 ? 0 : s.len_k - s.len_q); /* the query on the diagonal */
  long long first = 0, last = s.len_q - 1;
  if (p.causal && at > first) first = at;
  if (p.window_right >= 0 && at - p.window_right > first) first = at - p.window_right;
  if (p.window_left >= 0 && at + p.window_left < last) last = at + p.window_left;
  seeing_queries q;
  q.first = (int)(first < s.len_q ? first : s.len_q);
  q.last = key < s.len_k ? (int)(last < -1 ? -1 : last) : -1;
  return q;
}
