/* cpu/decode/many_heads.h - the scores of many heads that share a KV head, of which MQA is the extreme: K of a tile is
 * transposed once, so that a vector holds as many tokens and no sums across lanes are left, which take a third of the
 * time of qk_pv.h's products. For 32 heads of one KV head (D=128, bf16) that is 256 cycles of multiply-adds for a
 * token at two a cycle, where four heads take 32: bound by the core, not by memory.
 * Read next: cpu/gemm/pack.h (the transposition), tile.h. */
#ifndef PAH_CPU_DECODE_MANY_HEADS_H
#define PAH_CPU_DECODE_MANY_HEADS_H

#include "qk_pv.h"
#include "cpu/gemm/pack.h"

/* Heads of a cell. Their q lies together, element by element: what a step of the loop reads is then one address and
 * constants. Rows of q, a variable apart, took more registers than there are. */
enum { DECODE_HEADS = DECODE_SUMS / 2 };

/* Floats of q of one group. */
static int64_t decode_many_floats(int64_t group, int64_t D) {
  return (group + DECODE_HEADS - 1) / DECODE_HEADS * DECODE_HEADS * D;
}

/* Puts the row of head h of a group into the group's q. */
static void decode_many_load_q(float *q, int64_t D, int64_t h, const float *row) {
  q += h / DECODE_HEADS * DECODE_HEADS * D + h % DECODE_HEADS;
  for (int64_t d = 0; d < D; d++) q[d * DECODE_HEADS] = row[d];
}

/* p[h][j] = sum over d < D of q[d][h] panel[d][j], for two vectors of tokens and `heads` heads, of which the first
 * `wanted` are stored; two lines of prefetch in every `every` steps, a power of two. */
static inline __attribute__((always_inline)) void decode_many_cell(const float *q, int64_t D, int heads, int64_t wanted,
                                                                   const float *panel, float *p, int64_t every,
                                                                   struct decode_fetch *fetch) {
  cell_vector sum[DECODE_SUMS] = {{0}};
  for (int64_t d = 0; d < D; d++, q += DECODE_HEADS, panel += CELL_COLS) {
    cell_vector low = cell_load(panel), high = cell_load(panel + CELL_VECTOR);
    if ((d & (every - 1)) == 0) decode_fetch_lines(fetch, 2);
#pragma GCC unroll 8
    for (int h = 0; h < heads; h++) {
      sum[2 * h] += q[h] * low;
      sum[2 * h + 1] += q[h] * high;
    }
  }
#pragma GCC unroll 8
  for (int h = 0; h < heads; h++) {
    if (h >= wanted) break;
    cell_store(p + h * DECODE_TOKENS, sum[2 * h]);
    cell_store(p + h * DECODE_TOKENS + CELL_VECTOR, sum[2 * h + 1]);
  }
}

/* p[h] = q[h] k for all heads of a group and DECODE_TOKENS rows of K in `dtype`. `panels` has room for all of K. */
static void decode_many_dot(const float *q, int64_t D, int64_t group, const char *const *k, int dtype, float *panels,
                            float *p, struct decode_fetch *fetch) {
  /* as many lines as K of the tile has are spread over the cells: `lines` for eight steps */
  const int64_t cells = group * (DECODE_TOKENS / CELL_COLS) / DECODE_HEADS;
  const int64_t total = DECODE_TOKENS * widen_size(dtype) * 8, lines = (total / 64 + cells - 1) / cells;
  const int64_t every = lines > 8 ? 1 : lines > 4 ? 2 : lines > 2 ? 4 : 8;
  pack_keys((uint32_t *)panels, k, DECODE_TOKENS, D, dtype, 0);
  for (int64_t j = 0; j < DECODE_TOKENS; j += CELL_COLS, panels += D * CELL_COLS)
    for (int64_t h = 0; h < group; h += DECODE_HEADS) {
      float *to = p + h * DECODE_TOKENS + j;
      if (group - h > DECODE_HEADS / 2)
        decode_many_cell(q + h * D, D, DECODE_HEADS, group - h, panels, to, every, fetch);
      else
        decode_many_cell(q + h * D, D, DECODE_HEADS / 2, group - h, panels, to, every, fetch);
    }
}

#endif
