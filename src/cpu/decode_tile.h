/* cpu/decode_tile.h - the inner loops of decode: 32 tokens of one sequence against all heads.
 * Two phases per tile: scores of every head, then values of every head. During the first the tile's V is prefetched,
 * during the second the next tile's K, through the block table: with a shuffled table the processor's own prefetcher
 * sees only short runs, and this hides most of it (1.6x to 2x at block_size 16 on a Zen 4). */
#ifndef PAH_CPU_DECODE_TILE_H
#define PAH_CPU_DECODE_TILE_H

#include "gemm.h"
#include "paged.h"
#include "rows.h"
#include "softmax.h"
#include "tile.h"

enum { DECODE_TOKENS = 2 * SOFTMAX_LANES, DECODE_MAX_D = 256 + 32 };

struct decode_tile {
  const struct pah_attn *a;
  const struct pah_attn_sizes *s;
  int64_t b, ld, tokens, next; /* tokens of this tile and of the one after */
  const float *q;              /* [H][ld] */
  float *o;                    /* [H][ld], unnormalised */
  struct softmax_state *state; /* [H] */
  const float *scale;          /* [Hkv]: from q k to a score */
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

static inline int64_t decode_size(int dtype) {
  return dtype == PAH_F32 ? 4 : dtype == PAH_F16 || dtype == PAH_BF16 ? 2 : 1;
}

/* Addresses of K and V (head 0) of the tokens from `key`; returns how many there are. */
static int64_t decode_locate(const struct decode_tile *t, int64_t key, int64_t key_end, const char **k,
                             const char **v) {
  const struct pah_tensor *kc = &t->a->k_blocks, *vc = &t->a->v_blocks, *table = &t->a->block_table;
  const int32_t *blocks = (const int32_t *)table->data + t->b * table->stride[0];
  int64_t k_size = decode_size(kc->dtype), v_size = decode_size(vc->dtype);
  int64_t n = tile_clamp(key_end - key, 0, DECODE_TOKENS);
  int64_t logical = key / t->s->block_size, slot = key % t->s->block_size;
  for (int64_t j = 0; j < n; j++) {
    int64_t block = blocks[logical * table->stride[1]];
    k[j] = (const char *)kc->data + (block * kc->stride[0] + slot * kc->stride[1]) * k_size;
    v[j] = (const char *)vc->data + (block * vc->stride[0] + slot * vc->stride[1]) * v_size;
    if (++slot == t->s->block_size) slot = 0, logical++;
  }
  return n;
}

static inline void decode_prefetch(const char *row, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at, 0, 2);
}

/* The rows of one head, `dtype` of what they then hold: the cache's own elements where D is whole register tiles, else
 * f32 copies padded with zeros. */
static inline int decode_rows(const struct decode_tile *t, const char *const *at, int64_t offset, int dtype,
                              const char **rows) {
  int direct = t->ld == t->s->D;
  for (int64_t j = 0; j < t->tokens; j++) {
    if (!direct) row_load(t->rows + j * t->ld, at[j] + offset, dtype, t->s->D);
    rows[j] = direct ? at[j] + offset : (const char *)(t->rows + j * t->ld);
  }
  return direct ? dtype : PAH_F32;
}

/* Calls f(arguments, dtype) with the dtype as a constant, so that the conversion is compiled into the loop. */
#define DECODE_WITH(dtype, f, ...)                                                                                     \
  switch (dtype) {                                                                                                     \
  case PAH_F32: f(__VA_ARGS__, PAH_F32); break;                                                                        \
  case PAH_F16: f(__VA_ARGS__, PAH_F16); break;                                                                        \
  case PAH_BF16: f(__VA_ARGS__, PAH_BF16); break;                                                                      \
  case PAH_FP8_E4M3: f(__VA_ARGS__, PAH_FP8_E4M3); break;                                                              \
  default: f(__VA_ARGS__, PAH_FP8_E5M2); break;                                                                        \
  }

/* ---- Scores ---------------------------------------------------------------------------------------------- */

/* p[h][0, 1] = q[h] k for `heads` heads and two tokens: each vector of K is converted once and serves all heads. */
static inline __attribute__((always_inline)) void decode_dot(const float *q, int64_t ld, int heads, const char *k0,
                                                             const char *k1, float *p, int dtype) {
  cell_vector sum[4][2] = {{{0}}};
  int64_t size = decode_size(dtype);
  for (int64_t d = 0; d < ld; d += CELL_VECTOR) {
    cell_vector a = lanes_load(k0 + d * size, dtype), b = lanes_load(k1 + d * size, dtype);
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++) {
      cell_vector x = cell_load(q + h * ld + d);
      sum[h][0] += x * a;
      sum[h][1] += x * b;
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < heads; h++) {
    p[h * DECODE_TOKENS] = lanes_sum(sum[h][0]);
    p[h * DECODE_TOKENS + 1] = lanes_sum(sum[h][1]);
  }
}

/* All heads of a group against all tokens of the tile; `next` are the V rows to prefetch, a few lines at a time. */
static inline __attribute__((always_inline)) void decode_dots(const float *q, int64_t ld, int64_t group, int64_t tokens,
                                                              const char *const *k, const char *const *next,
                                                              int64_t next_bytes, float *p, int dtype) {
  for (int64_t j = 0; j < tokens; j += 2) {
    const char *k0 = k[j], *k1 = k[j + 1 < tokens ? j + 1 : j]; /* an odd last token is done twice */
    int64_t h = 0;
    decode_prefetch(next[j], next_bytes);
    if (j + 1 < tokens) decode_prefetch(next[j + 1], next_bytes);
    for (; h + 4 <= group; h += 4) decode_dot(q + h * ld, ld, 4, k0, k1, p + h * DECODE_TOKENS + j, dtype);
    for (; h < group; h++) decode_dot(q + h * ld, ld, 1, k0, k1, p + h * DECODE_TOKENS + j, dtype);
  }
}

static void decode_scores(struct decode_tile *t, int64_t head) {
  const struct pah_attn *a = t->a;
  const char *rows[DECODE_TOKENS] = {0}, *next[DECODE_TOKENS] = {0};
  int64_t k_size = decode_size(a->k_blocks.dtype), v_size = decode_size(a->v_blocks.dtype), group = t->s->group;
  int dtype = decode_rows(t, t->k_now, head * a->k_blocks.stride[2] * k_size, a->k_blocks.dtype, rows);
  for (int64_t j = 0; j < t->tokens; j++) next[j] = t->v_now[j] + head * a->v_blocks.stride[2] * v_size;
  const float *q = t->q + head * group * t->ld;
  float *p = t->p + head * group * DECODE_TOKENS;
  DECODE_WITH(dtype, decode_dots, q, t->ld, group, t->tokens, rows, next, t->s->D * v_size, p)
  int64_t cols = (t->tokens + SOFTMAX_LANES - 1) / SOFTMAX_LANES * SOFTMAX_LANES;
  for (int64_t h = head * group; h < (head + 1) * group; h++) {
    float alpha = softmax_step(&t->state[h], t->p + h * DECODE_TOKENS, cols, 0, t->tokens, t->scale[head], a->softcap);
    if (alpha != 1.0f)
      for (int64_t d = 0; d < t->ld; d++) t->o[h * t->ld + d] *= alpha;
  }
}

/* ---- Values ---------------------------------------------------------------------------------------------- */

/* o[h] += sum over tokens of p[h][j] v[j], two vectors of D at a time. */
static inline __attribute__((always_inline)) void decode_weigh(const float *p, int64_t tokens, const char *const *v,
                                                               int64_t ld, int heads, float *o, int dtype) {
  int64_t size = decode_size(dtype);
  for (int64_t d = 0; d < ld; d += CELL_COLS) {
    cell_vector sum[4][2];
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++) {
      sum[h][0] = cell_load(o + h * ld + d);
      sum[h][1] = cell_load(o + h * ld + d + CELL_VECTOR);
    }
    for (int64_t j = 0; j < tokens; j++) {
      cell_vector a = lanes_load(v[j] + d * size, dtype), b = lanes_load(v[j] + (d + CELL_VECTOR) * size, dtype);
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

static inline __attribute__((always_inline)) void decode_weighs(const float *p, int64_t tokens, const char *const *v,
                                                                int64_t ld, int64_t group, float *o, int dtype) {
  int64_t h = 0;
  for (; h + 4 <= group; h += 4) decode_weigh(p + h * DECODE_TOKENS, tokens, v, ld, 4, o + h * ld, dtype);
  for (; h < group; h++) decode_weigh(p + h * DECODE_TOKENS, tokens, v, ld, 1, o + h * ld, dtype);
}

static void decode_values(struct decode_tile *t, int64_t head) {
  const struct pah_attn *a = t->a;
  const char *rows[DECODE_TOKENS] = {0};
  int64_t k_size = decode_size(a->k_blocks.dtype), v_size = decode_size(a->v_blocks.dtype), group = t->s->group;
  for (int64_t j = 0; j < t->next; j++)
    decode_prefetch(t->k_next[j] + head * a->k_blocks.stride[2] * k_size, t->s->D * k_size);
  int dtype = decode_rows(t, t->v_now, head * a->v_blocks.stride[2] * v_size, a->v_blocks.dtype, rows);
  const float *p = t->p + head * group * DECODE_TOKENS;
  float *o = t->o + head * group * t->ld;
  DECODE_WITH(dtype, decode_weighs, p, t->tokens, rows, t->ld, group, o)
}

#endif
