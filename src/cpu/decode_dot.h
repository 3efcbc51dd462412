/* cpu/decode_dot.h - the inner loops of decode: a few rows of K against the heads that share them, and of V.
 * One pair per dtype of the cache, which is decoded in registers on its way. Up to four heads share a load. */
#ifndef PAH_CPU_DECODE_DOT_H
#define PAH_CPU_DECODE_DOT_H

#include "lanes.h"

enum { DECODE_TOKENS = 32, DECODE_STEP = 8 };

static inline int64_t decode_size(int dtype) {
  return dtype == PAH_F32 ? 4 : dtype == PAH_F16 || dtype == PAH_BF16 ? 2 : 1;
}

/* ---- Prefetch --------------------------------------------------------------------------------------------- */

/* Rows of a coming tile, fetched a few at a time and in the order in which they lie in memory: bursts would fill the
 * line buffers and stall the loads that the kernel waits for. */
struct decode_fetch {
  const char *const *row; /* [tokens]: head 0 */
  int64_t tokens, heads, stride, bytes;
  int64_t token, head, left; /* the next row, and how many there are */
  int by_token;              /* the heads of a token lie together */
};

static inline __attribute__((always_inline)) void decode_fetch_rows(struct decode_fetch *f, int64_t rows) {
  for (; rows > 0 && f->left > 0; rows--, f->left--) {
    const char *row = f->row[f->token] + f->head * f->stride;
    for (int64_t at = 0; at < f->bytes; at += 64) __builtin_prefetch(row + at, 0, 2); /* into the second level */
    if (f->by_token) {
      if (++f->head == f->heads) f->head = 0, f->token++;
    } else {
      if (++f->token == f->tokens) f->token = 0, f->head++;
    }
  }
}

/* ---- Sums ------------------------------------------------------------------------------------------------- */

typedef float decode_sums4 __attribute__((vector_size(16), aligned(4), may_alias));

static inline __attribute__((always_inline)) decode_sums4 decode_fold(cell_vector v) {
  decode_sums4 part[CELL_VECTOR / 4];
  memcpy(part, &v, sizeof v);
  for (int half = CELL_VECTOR / 8; half; half /= 2)
    for (int i = 0; i < half; i++) part[i] += part[i + half];
  return part[0];
}

/* The sums of four vectors: six shuffles, where four sums on their own take eight. */
static inline __attribute__((always_inline)) decode_sums4 decode_sums(const cell_vector *v) {
  decode_sums4 a = decode_fold(v[0]), b = decode_fold(v[1]), c = decode_fold(v[2]), d = decode_fold(v[3]);
  decode_sums4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  decode_sums4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* ---- Kernels ---------------------------------------------------------------------------------------------- */

/* p[h][j] = q[h] k[j], heads * tokens = 8 of them: as many sums as hide the latency of the multiply-adds. Each vector
 * of K serves all heads, each of q all tokens. */
static inline __attribute__((always_inline)) void decode_dot8(const float *q, int64_t ld, int heads,
                                                              const char *const *k, int dtype, float *p) {
  const int tokens = DECODE_STEP / heads;
  const int64_t size = decode_size(dtype);
  cell_vector sum[8] = {{0}};
  for (int64_t d = 0; d < ld; d += CELL_VECTOR) {
    cell_vector key[DECODE_STEP];
#pragma GCC unroll 8
    for (int j = 0; j < tokens; j++) key[j] = lanes_load(k[j] + d * size, dtype);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) sum[i] += cell_load(q + i / tokens * ld + d) * key[i % tokens];
  }
  decode_sums4 low = decode_sums(sum), high = decode_sums(sum + 4);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) p[i / tokens * DECODE_TOKENS + i % tokens] = i < 4 ? low[i] : high[i - 4];
}

/* The scores of all heads of a group with DECODE_STEP tokens. */
static inline __attribute__((always_inline)) void decode_dot(const float *q, int64_t ld, int64_t group,
                                                             const char *const *k, float *p, struct decode_fetch *fetch,
                                                             int dtype) {
  int64_t h = 0;
  for (; h + 4 <= group; h += 4)
    for (int j = 0; j < DECODE_STEP; j += 2) {
      decode_fetch_rows(fetch, 2);
      decode_dot8(q + h * ld, ld, 4, k + j, dtype, p + h * DECODE_TOKENS + j);
    }
  for (; h + 2 <= group; h += 2)
    for (int j = 0; j < DECODE_STEP; j += 4) {
      decode_fetch_rows(fetch, 4);
      decode_dot8(q + h * ld, ld, 2, k + j, dtype, p + h * DECODE_TOKENS + j);
    }
  for (; h < group; h++) {
    decode_fetch_rows(fetch, 8);
    decode_dot8(q + h * ld, ld, 1, k, dtype, p + h * DECODE_TOKENS);
  }
}

/* o[h] += sum over tokens of p[h][j] v[j] for `heads` heads and `wide` vectors of D. */
static inline __attribute__((always_inline)) void decode_weigh8(const float *p, int64_t tokens, const char *const *v,
                                                                int64_t at, int64_t ld, int heads, int wide, float *o,
                                                                int dtype) {
  const int64_t size = decode_size(dtype);
  cell_vector sum[8];
#pragma GCC unroll 8
  for (int i = 0; i < heads * wide; i++) sum[i] = cell_load(o + i / wide * ld + i % wide * CELL_VECTOR);
  for (int64_t j = 0; j < tokens; j++) {
    cell_vector value[8];
#pragma GCC unroll 8
    for (int w = 0; w < wide; w++) value[w] = lanes_load(v[j] + (at + w * CELL_VECTOR) * size, dtype);
#pragma GCC unroll 8
    for (int i = 0; i < heads * wide; i++) sum[i] += value[i % wide] * p[i / wide * DECODE_TOKENS + j];
  }
#pragma GCC unroll 8
  for (int i = 0; i < heads * wide; i++) cell_store(o + i / wide * ld + i % wide * CELL_VECTOR, sum[i]);
}

/* o of some heads over all of D, `wide` vectors at a time and the odd ones singly. */
static inline __attribute__((always_inline)) void decode_weigh_heads(const float *p, int64_t tokens,
                                                                     const char *const *v, int64_t ld, int heads,
                                                                     int wide, float *o, struct decode_fetch *fetch,
                                                                     int dtype) {
  int64_t at = 0, rows = (DECODE_TOKENS * wide * CELL_VECTOR + ld - 1) / ld;
  for (; at + wide * CELL_VECTOR <= ld; at += wide * CELL_VECTOR) {
    decode_fetch_rows(fetch, rows);
    decode_weigh8(p, tokens, v, at, ld, heads, wide, o + at, dtype);
  }
  for (; at < ld; at += CELL_VECTOR) {
    decode_fetch_rows(fetch, 1);
    decode_weigh8(p, tokens, v, at, ld, heads, 1, o + at, dtype);
  }
}

static inline __attribute__((always_inline)) void decode_weigh(const float *p, int64_t tokens, const char *const *v,
                                                               int64_t ld, int64_t group, float *o,
                                                               struct decode_fetch *fetch, int dtype) {
  int64_t h = 0;
  for (; h + 4 <= group; h += 4)
    decode_weigh_heads(p + h * DECODE_TOKENS, tokens, v, ld, 4, 2, o + h * ld, fetch, dtype);
  for (; h + 2 <= group; h += 2)
    decode_weigh_heads(p + h * DECODE_TOKENS, tokens, v, ld, 2, 4, o + h * ld, fetch, dtype);
  for (; h < group; h++) decode_weigh_heads(p + h * DECODE_TOKENS, tokens, v, ld, 1, 8, o + h * ld, fetch, dtype);
}

/* The kernels of a dtype. ld floats, a multiple of CELL_VECTOR, are read of every row. */
struct decode_kernel {
  void (*dot)(const float *q, int64_t ld, int64_t group, const char *const *k, float *p, struct decode_fetch *fetch);
  void (*weigh)(const float *p, int64_t tokens, const char *const *v, int64_t ld, int64_t group, float *o,
                struct decode_fetch *fetch);
};

#define DECODE_KERNEL(name, dtype)                                                                                     \
  static void decode_dot_##name(const float *q, int64_t ld, int64_t group, const char *const *k, float *p,             \
                                struct decode_fetch *fetch) {                                                          \
    decode_dot(q, ld, group, k, p, fetch, dtype);                                                                      \
  }                                                                                                                    \
  static void decode_weigh_##name(const float *p, int64_t tokens, const char *const *v, int64_t ld, int64_t group,     \
                                  float *o, struct decode_fetch *fetch) {                                              \
    decode_weigh(p, tokens, v, ld, group, o, fetch, dtype);                                                            \
  }
DECODE_KERNEL(f32, PAH_F32)
DECODE_KERNEL(f16, PAH_F16)
DECODE_KERNEL(bf16, PAH_BF16)
DECODE_KERNEL(e4m3, PAH_FP8_E4M3)
DECODE_KERNEL(e5m2, PAH_FP8_E5M2)

static const struct decode_kernel decode_kernels[PAH_DTYPE_COUNT] = {
    [PAH_F32] = {decode_dot_f32, decode_weigh_f32},        [PAH_F16] = {decode_dot_f16, decode_weigh_f16},
    [PAH_BF16] = {decode_dot_bf16, decode_weigh_bf16},     [PAH_FP8_E4M3] = {decode_dot_e4m3, decode_weigh_e4m3},
    [PAH_FP8_E5M2] = {decode_dot_e5m2, decode_weigh_e5m2},
};

#endif
