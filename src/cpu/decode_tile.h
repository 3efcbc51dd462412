/* cpu/decode_tile.h - 32 tokens of one sequence against all heads, in two phases: the scores of every head, then the
 * values of every head. During the first the tile's V is prefetched, during the second the next tile's K, through the
 * block table: with a shuffled table the processor's own prefetcher sees only short runs.
 * Read next: decode_dot.h, the inner loops. */
#ifndef PAH_CPU_DECODE_TILE_H
#define PAH_CPU_DECODE_TILE_H

#include "decode_dot.h"
#include "paged.h"
#include "rows.h"
#include "softmax.h"
#include "tile.h"

enum { DECODE_MAX_D = 256 };

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

/* D rounded up to whole vectors. */
static int64_t decode_row_floats(int64_t D) {
  return (D + CELL_VECTOR - 1) / CELL_VECTOR * CELL_VECTOR;
}

static int64_t decode_tile_floats(const struct pah_attn_sizes *s, int64_t ld) {
  return s->H * DECODE_TOKENS + DECODE_TOKENS * ld;
}

static void decode_tile_layout(struct decode_tile *t, float *scratch) {
  t->p = scratch;
  t->rows = scratch + t->s->H * DECODE_TOKENS;
  memset(t->rows, 0, (size_t)(DECODE_TOKENS * t->ld) * sizeof(float)); /* behind D it stays 0 */
}

/* Addresses of K and V (head 0) of the tokens from `key`; returns how many there are. The rest
 * repeat the last: its scores are computed again, into columns that are masked. */
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
  for (int64_t j = n; n && j < DECODE_TOKENS; j++) k[j] = k[n - 1], v[j] = v[n - 1];
  return n;
}

/* What is to be prefetched: the rows of a tile of `cache`. */
static struct decode_fetch decode_fetch(const struct decode_tile *t, const struct pah_tensor *cache,
                                        const char *const *row, int64_t tokens) {
  int64_t size = decode_size(cache->dtype);
  return (struct decode_fetch){.row = row,
                               .tokens = tokens,
                               .heads = t->s->Hkv,
                               .stride = cache->stride[2] * size,
                               .bytes = t->s->D * size,
                               .left = tokens * t->s->Hkv,
                               .by_token = cache->stride[2] < cache->stride[1]};
}

/* Rows of a head from `row`, as the kernels take them: where they lie, or, when more than one pass will be made over
 * them or D is no whole number of vectors, in f32 in t->rows. Returns the dtype they then have. */
static int decode_rows(const struct decode_tile *t, const struct pah_tensor *cache, int64_t head,
                       const char *const *row, int64_t tokens, const char **rows) {
  int64_t offset = head * cache->stride[2] * decode_size(cache->dtype);
  for (int64_t j = 0; j < tokens; j++) rows[j] = row[j] + offset;
  if (t->s->D == t->ld && (t->s->group <= 4 || cache->dtype == PAH_F32)) return cache->dtype;
  for (int64_t j = 0; j < tokens; j++) {
    row_load(t->rows + j * t->ld, rows[j], cache->dtype, t->s->D);
    rows[j] = (const char *)(t->rows + j * t->ld);
  }
  return PAH_F32;
}

/* p of every head: the probabilities of the tile, relative to the new maximum. */
static void decode_scores(struct decode_tile *t) {
  const struct pah_tensor *cache = &t->a->k_blocks;
  struct decode_fetch fetch = decode_fetch(t, &t->a->v_blocks, t->v_now, t->tokens);
  int64_t group = t->s->group;
  for (int64_t j = 0; j < t->tokens; j += DECODE_STEP)
    for (int64_t head = 0; head < t->s->Hkv; head++) {
      const char *k[DECODE_STEP];
      int dtype = decode_rows(t, cache, head, t->k_now + j, DECODE_STEP, k);
      decode_kernels[dtype].dot(t->q + head * group * t->ld, t->ld, group, k, t->p + head * group * DECODE_TOKENS + j,
                                &fetch);
    }
  int64_t cols = (t->tokens + SOFTMAX_LANES - 1) / SOFTMAX_LANES * SOFTMAX_LANES;
  for (int64_t h = 0; h < t->s->H; h++) {
    float *p = t->p + h * DECODE_TOKENS, *o = t->o + h * t->ld;
    float alpha = softmax_step(&t->state[h], p, cols, 0, t->tokens, t->scale[h / group], t->a->softcap);
    if (alpha != 1.0f)
      for (int64_t d = 0; d < t->ld; d++) o[d] *= alpha;
  }
}

static void decode_values(struct decode_tile *t) {
  struct decode_fetch fetch = decode_fetch(t, &t->a->k_blocks, t->k_next, t->next);
  int64_t group = t->s->group;
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    const char *v[DECODE_TOKENS];
    int dtype = decode_rows(t, &t->a->v_blocks, head, t->v_now, t->tokens, v);
    decode_kernels[dtype].weigh(t->p + head * group * DECODE_TOKENS, t->tokens, v, t->ld, group,
                                t->o + head * group * t->ld, &fetch);
  }
}

#endif
