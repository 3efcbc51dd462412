/* cpu/decode_tile.h - the inner loops of decode: 16 tokens of one sequence against all heads.
 * Two phases per tile: scores of every head, then values of every head. During the first the tile's V is prefetched,
 * during the second the next tile's K, through the block table: with a shuffled table the processor's own prefetcher
 * sees only short runs, and this hides most of it (1.6x to 2x at block_size 16 on a Zen 4). */
#ifndef PAH_CPU_DECODE_TILE_H
#define PAH_CPU_DECODE_TILE_H

#include "backward_gemm.h"
#include "backward_tile.h"
#include "paged.h"
#include "rows.h"
#include "softmax.h"

enum { DECODE_TOKENS = SOFTMAX_LANES, DECODE_MAX_D = 256 + 32 };

struct decode_tile {
  const struct pah_attn *a;
  const struct pah_attn_sizes *s;
  int64_t b, ld, tokens, next; /* tokens of this tile and of the one after */
  const float *q;              /* [H][ld] */
  float *o;                    /* [H][ld], unnormalised */
  struct softmax_state *state; /* [H] */
  float *p;                    /* [H][DECODE_TOKENS]: q k, then probabilities */
  float *rows;                 /* [DECODE_TOKENS][ld]: K or V of one head in f32 */
  const char *k_now[DECODE_TOKENS], *v_now[DECODE_TOKENS], *k_next[DECODE_TOKENS], *v_next[DECODE_TOKENS];
};

/* D rounded up to whole vectors of every register tile below. */
static int64_t decode_row_floats(int64_t D) {
  return (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
}

static int64_t decode_tile_floats(const struct pah_attn_sizes *s, int64_t ld) {
  return s->H * DECODE_TOKENS + DECODE_TOKENS * ld;
}

static void decode_tile_layout(struct decode_tile *t, float *scratch) {
  t->p = scratch;
  t->rows = scratch + t->s->H * DECODE_TOKENS;
  memset(t->rows, 0, (size_t)(DECODE_TOKENS * t->ld) * sizeof(float)); /* behind D it stays 0 */
}

/* Addresses of K and V (head 0) of the tokens from `key`; returns how many there are. */
static int64_t decode_locate(const struct decode_tile *t, int64_t key, int64_t key_end, const char **k,
                             const char **v) {
  const struct pah_attn *a = t->a;
  int64_t n = tile_clamp(key_end - key, 0, DECODE_TOKENS);
  for (int64_t j = 0; j < n; j++) {
    k[j] = (const char *)a->k_blocks.data + paged_offset(a, t->s, &a->k_blocks, t->b, key + j);
    v[j] = (const char *)a->v_blocks.data + paged_offset(a, t->s, &a->v_blocks, t->b, key + j);
  }
  return n;
}

static inline void decode_prefetch(const char *row, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at, 0, 2);
}

/* The rows of one head as f32, one behind another; f32 rows of whole vectors are used where they lie. */
static inline void decode_rows(const struct decode_tile *t, const char *const *at, int64_t offset, int dtype,
                               const float **rows) {
  int direct = dtype == PAH_F32 && t->ld == t->s->D;
  for (int64_t j = 0; j < t->tokens; j++) {
    if (direct) {
      rows[j] = (const float *)(const void *)(at[j] + offset);
    } else {
      row_load(t->rows + j * t->ld, at[j] + offset, dtype, t->s->D);
      rows[j] = t->rows + j * t->ld;
    }
  }
}

/* ---- Scores ---------------------------------------------------------------------------------------------- */

static inline float decode_sum(cell_vector v) {
  float lane[CELL_VECTOR];
  memcpy(lane, &v, sizeof lane);
  for (int half = CELL_VECTOR / 2; half; half /= 2)
    for (int i = 0; i < half; i++) lane[i] += lane[i + half];
  return lane[0];
}

/* p[h][j] = q[h] k[j] for `heads` heads and two tokens: each load of K serves all heads, each of q both tokens. */
static inline __attribute__((always_inline)) void decode_dot(const float *q, int64_t ld, int heads, const float *k0,
                                                             const float *k1, float *p) {
  cell_vector sum[4][2] = {{{0}}};
  for (int64_t d = 0; d < ld; d += CELL_VECTOR) {
    cell_vector a = cell_load(k0 + d), b = cell_load(k1 + d);
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++) {
      cell_vector x = cell_load(q + h * ld + d);
      sum[h][0] += x * a;
      sum[h][1] += x * b;
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < heads; h++) {
    p[h * DECODE_TOKENS] = decode_sum(sum[h][0]);
    p[h * DECODE_TOKENS + 1] = decode_sum(sum[h][1]);
  }
}

static void decode_scores(struct decode_tile *t, int64_t head) {
  const struct pah_attn *a = t->a;
  const float *rows[DECODE_TOKENS + 1] = {0};
  int64_t k_size = pah_dtype_size(a->k_blocks.dtype), v_size = pah_dtype_size(a->v_blocks.dtype);
  int64_t v_offset = head * a->v_blocks.stride[2] * v_size;
  for (int64_t j = 0; j < t->tokens; j++) decode_prefetch(t->v_now[j] + v_offset, t->s->D * v_size);
  decode_rows(t, t->k_now, head * a->k_blocks.stride[2] * k_size, a->k_blocks.dtype, rows);
  rows[t->tokens] = rows[t->tokens - 1]; /* an odd last token is done twice, into a column that is masked */
  int64_t group = t->s->group;
  const float *q = t->q + head * group * t->ld;
  float *p = t->p + head * group * DECODE_TOKENS;
  for (int64_t j = 0; j < t->tokens; j += 2) {
    int64_t h = 0;
    for (; h + 4 <= group; h += 4) decode_dot(q + h * t->ld, t->ld, 4, rows[j], rows[j + 1], p + h * DECODE_TOKENS + j);
    for (; h < group; h++) decode_dot(q + h * t->ld, t->ld, 1, rows[j], rows[j + 1], p + h * DECODE_TOKENS + j);
  }
  float scale = paged_scale(a, t->s, t->b, head);
  for (int64_t h = head * group; h < (head + 1) * group; h++) {
    float alpha = softmax_step(&t->state[h], t->p + h * DECODE_TOKENS, DECODE_TOKENS, 0, t->tokens, scale, a->softcap);
    if (alpha != 1.0f)
      for (int64_t d = 0; d < t->ld; d++) t->o[h * t->ld + d] *= alpha;
  }
}

/* ---- Values ---------------------------------------------------------------------------------------------- */

/* o[h] += sum over tokens of p[h][j] v[j], two vectors of D at a time. */
static inline __attribute__((always_inline)) void decode_weigh(const float *p, int64_t tokens, const float *const *v,
                                                               int64_t ld, int heads, float *o) {
  for (int64_t d = 0; d < ld; d += CELL_COLS) {
    cell_vector sum[4][2];
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++) {
      sum[h][0] = cell_load(o + h * ld + d);
      sum[h][1] = cell_load(o + h * ld + d + CELL_VECTOR);
    }
    for (int64_t j = 0; j < tokens; j++) {
      cell_vector a = cell_load(v[j] + d), b = cell_load(v[j] + d + CELL_VECTOR);
#pragma GCC unroll 4
      for (int h = 0; h < heads; h++) {
        float x = p[h * DECODE_TOKENS + j];
        sum[h][0] += x * a;
        sum[h][1] += x * b;
      }
    }
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++) {
      cell_store(o + h * ld + d, sum[h][0]);
      cell_store(o + h * ld + d + CELL_VECTOR, sum[h][1]);
    }
  }
}

static void decode_values(struct decode_tile *t, int64_t head) {
  const struct pah_attn *a = t->a;
  const float *rows[DECODE_TOKENS + 1] = {0};
  int64_t k_size = pah_dtype_size(a->k_blocks.dtype), v_size = pah_dtype_size(a->v_blocks.dtype);
  int64_t k_offset = head * a->k_blocks.stride[2] * k_size;
  for (int64_t j = 0; j < t->next; j++) decode_prefetch(t->k_next[j] + k_offset, t->s->D * k_size);
  decode_rows(t, t->v_now, head * a->v_blocks.stride[2] * v_size, a->v_blocks.dtype, rows);
  int64_t group = t->s->group, h = 0;
  const float *p = t->p + head * group * DECODE_TOKENS;
  float *o = t->o + head * group * t->ld;
  for (; h + 4 <= group; h += 4) decode_weigh(p + h * DECODE_TOKENS, t->tokens, rows, t->ld, 4, o + h * t->ld);
  for (; h < group; h++) decode_weigh(p + h * DECODE_TOKENS, t->tokens, rows, t->ld, 1, o + h * t->ld);
}

#endif
