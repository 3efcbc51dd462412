/* mask.cuh - the sizes of a sequence and the keys that a query sees: the one place where the kernels know the rules of
 * causal, window, tree, softcap and the block table. The host's side of the same rules: src/attention/attn.h. */
#pragma once
#include "params.h"
#include "types.cuh"
#include "verdict.cuh"

__device__ inline int at_most(int count, int limit) {
  return count < limit ? count : limit;
}

struct sequence {
  int len_q, len_k;
  int first_row; /* of its queries, in the count of pah_rows::row */
};

/* A launch without checks may meet any bits in cu_seqlens_q: the difference wraps around, which only unsigned may. */
__device__ inline sequence sequence_of(const pah_attn_params &p, int b) {
  const int *cu = p.cu_seqlens_q;
  sequence s;
  s.first_row = cu ? cu[b * p.cu_stride] : 0;
  s.len_q = cu ? (int)((unsigned)cu[(b + 1) * p.cu_stride] - (unsigned)s.first_row) : p.seqlen_q;
  s.len_k = p.seqused_k ? p.seqused_k[b * p.seqused_stride] : (int)p.seqlen_k;
  return s;
}

/* Keys first to last are visible to query i; none when first > last. */
struct visible_keys {
  int first, last;
};

__device__ inline visible_keys visible_to(const pah_attn_params &p, const sequence &s, int i) {
  const int diagonal = p.causal == 2 ? i : i - s.len_q + s.len_k; /* no sum here leaves 31 bits */
  int first = 0, last = s.len_k - 1;
  if (p.causal && diagonal < last) last = diagonal;
  if (p.window_right >= 0 && p.window_right < last - diagonal) last = diagonal + p.window_right;
  if (p.window_left >= 0 && diagonal > p.window_left) first = diagonal - p.window_left;
  visible_keys v;
  v.first = first < s.len_k ? first : s.len_k;
  v.last = last < -1 ? -1 : last;
  return v;
}

/* The bits of query i in tree_mask; 0: no tree. */
__device__ inline const unsigned *tree_row(const pah_attn_params &p, const sequence &s, int b, int i) {
  return p.tree_mask ? (const unsigned *)p.tree_mask + b * p.tree_batch + (s.first_row + i) * p.tree_row : 0;
}

/* Whether the query of that row sees key t: every key before the queries, and of their own those whose bit is set. */
__device__ inline bool tree_sees(const unsigned *row, const sequence &s, int t) {
  int j = t - (s.len_k - s.len_q);
  return !row || j < 0 || (row[j / 32] >> (j % 32) & 1);
}

/* The part of v in the tile of `count` keys from `first` on, counted from there. */
__device__ inline visible_keys within(visible_keys v, int first, int count) {
  v.first = v.first > first ? v.first - first : 0;
  v.last = v.last < first + count ? v.last - first : count - 1;
  return v;
}

/* The score of a raw product: scaled, then capped. */
__device__ inline float score_of(const pah_attn_params &p, float product) {
  float score = product * p.softmax_scale;
  return p.softcap > 0 ? p.softcap * tanhf(score / p.softcap) : score;
}

/* Element 0 of token t of sequence b for K/V head h. The table is read only for tokens in use. */
template <class T>
__device__ inline const T *token_at(const pah_attn_params &p, const pah_blocks &blocks, int b, int t, int h) {
  long long block = p.block_table[b * p.table_batch + t / p.block_size * p.table_block];
  return (const T *)blocks.data + block * blocks.block + t % p.block_size * blocks.slot + h * blocks.head;
}

template <class T> __device__ inline T *row_at(const pah_rows &rows, int b, int h, long long i) {
  return (T *)rows.data + b * rows.batch + h * rows.head + i * rows.row;
}

/* Of a split of query i, in partial_lse [num_splits, total_q, H] and partial_out. */
__device__ inline long long part_of(const pah_attn_params &p, const sequence &s, int split, int b, int head, int i) {
  long long row = p.cu_seqlens_q ? s.first_row + i : (long long)b * p.seqlen_q + i;
  return (split * p.total_q + row) * p.heads + head;
}

__device__ inline float sink_of(const pah_attn_params &p, int head) {
  return p.sinks ? p.sinks[head * p.sinks_stride] : negative_infinity();
}

__device__ inline float descale_of(const pah_scale &s, int b, int kv_head) {
  return s.data ? s.data[b * s.batch + kv_head * s.head] : 1.0f;
}
