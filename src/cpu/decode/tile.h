/* cpu/decode/tile.h - 32 tokens of one sequence against all heads, in two phases: q k of every head, then the softmax
 * and the values, KV head by KV head. During the first the tile's V is prefetched, during the second the next tile's K,
 * through the block table: with a shuffled table the processor's own prefetcher sees only short runs. Read next:
 * qk_pv.h, the inner loops. */
#ifndef PAH_CPU_DECODE_TILE_H
#define PAH_CPU_DECODE_TILE_H

#include "amx.h"
#include "qk_pv.h"
#include "many_heads.h"
#include "f16.h"
#include "softmax.h"
#include "cpu/paged.h"
#include "cpu/vec/rows.h"
#include "cpu/mask.h"

/* DECODE_DIRECT: heads of a group up to which a row is widened anew for every four. */
enum { DECODE_DIRECT = 8 };

struct decode_tile {
  const struct pah_attn *a;
  const struct pah_attn_sizes *s;
  int64_t b, ld, tokens, next; /* tokens of this tile and of the one after */
  int64_t D;                   /* elements of a row as the kernels take it */
  int dtype, direct;           /* of that row; whether it is the cache's own */
  int amx;                     /* products by amx.h, q in pairs of bf16 */
  const struct widen_table *table;
  float *q;                    /* [H][ld] in decode's order, or as many_heads.h has it */
  float *o;                    /* [H][ld], unnormalised */
  struct softmax_state *state; /* [H], m in units of log2(e) */
  const float *scale;          /* [Hkv]: from q k to a score in units of log2(e) */
  float *p;                    /* [H][DECODE_TOKENS]: q k, then probabilities */
  float *rows;                 /* [DECODE_TOKENS][ld]: K or V of one head in f32 */
  float *panels;               /* K of one head, transposed */
  struct decode_f16 half;      /* of an fp8 cache, where the processor multiplies f16 */
  const char *k_now[DECODE_TOKENS], *v_now[DECODE_TOKENS], *k_next[DECODE_TOKENS], *v_next[DECODE_TOKENS];
};

/* Whether the kernels take the rows of the cache as they lie in memory. They are converted to f32 first where they are
 * shorter than a strip, or where so many heads share them that this costs less than widening them for every four; K is
 * then transposed as well (many_heads.h). */
static int decode_direct(const struct pah_attn_sizes *s, int dtype) {
  return s->D >= widen_vectors(dtype) * CELL_VECTOR && s->group <= DECODE_DIRECT;
}

static int decode_dtype(const struct pah_attn_sizes *s, int dtype) {
  return decode_direct(s, dtype) ? dtype : PAH_F32;
}

/* Where D is no multiple of a strip, the last strip of a row of K or V begins early, within the one before. q's strips
 * lie one after the other: what is in two strips is in both by half, so that the products add up (0 in one of them
 * would make NaN of an infinity in K). o has it twice. */
static void decode_split_tail(float *row, int64_t D, int64_t ld, int64_t strip) {
  memmove(row + ld - strip, row + D - strip, (size_t)strip * sizeof *row);
  for (int64_t i = 0; i < ld - D; i++) row[D - strip + i] *= 0.5f, row[ld - strip + i] *= 0.5f;
}

static void decode_join_tail(float *row, int64_t D, int64_t ld, int64_t strip) {
  memmove(row + D - strip, row + ld - strip, (size_t)strip * sizeof *row);
}

/* Floats of q of all heads, [H][ld] or as many_heads.h has it. */
static int64_t decode_q_floats(const struct pah_attn_sizes *s, int64_t ld) {
  return s->group > DECODE_DIRECT ? s->Hkv * decode_many_floats(s->group, ld) : s->H * ld;
}

static int64_t decode_tile_floats(const struct pah_attn_sizes *s, int64_t ld) {
  return s->H * DECODE_TOKENS + decode_q_floats(s, ld) + 2 * DECODE_TOKENS * ld + decode_f16_floats(s->H, s->Hkv, ld);
}

static void decode_tile_layout(struct decode_tile *t, float *scratch) {
  t->p = scratch;
  t->q = t->p + t->s->H * DECODE_TOKENS;
  t->rows = t->q + decode_q_floats(t->s, t->ld);
  t->panels = t->rows + DECODE_TOKENS * t->ld;
  memset(t->q, 0, (size_t)decode_q_floats(t->s, t->ld) * sizeof(float));
  memset(t->rows, 0, (size_t)(DECODE_TOKENS * t->ld) * sizeof(float)); /* behind D it stays 0 */
  t->dtype = decode_dtype(t->s, t->a->k_blocks.dtype);
  t->direct = decode_direct(t->s, t->a->k_blocks.dtype);
  t->D = t->direct ? t->s->D : t->ld;
  decode_f16_layout(&t->half, t->s->H, t->s->Hkv, t->ld, t->dtype, t->a->q.dtype, t->panels + DECODE_TOKENS * t->ld);
}

/* The rows of q of t's sequence, in the order in which the kernels have K. */
static void decode_load_q(struct decode_tile *t) {
  int64_t group = t->s->group;
  for (int64_t h = 0; h < t->s->H; h++) {
    const char *from = paged_q_row(t->a, t->s, &t->a->q, t->b, h, 0);
    if (t->amx) {
      memcpy((uint16_t *)t->q + h * t->s->D, from, (size_t)t->s->D * 2);
      continue;
    }
    float row[PAH_MAX_D] = {0};
    row_load(row, from, t->a->q.dtype, t->s->D);
    if (group > DECODE_DIRECT) {
      decode_many_load_q(t->q + h / group * decode_many_floats(group, t->s->D), t->s->D, h % group, row);
      continue;
    }
    if (t->direct) decode_split_tail(row, t->D, t->ld, widen_vectors(t->dtype) * CELL_VECTOR);
    widen_to_order(t->q + h * t->ld, row, t->dtype, t->ld);
    if (t->half.q) decode_f16_load_q(&t->half, h, h / group, t->q + h * t->ld, t->ld, t->scale[h / group], t->dtype);
  }
}

/* Addresses of K and V (head 0) of the tokens from `key`; returns how many there are. The rest
 * repeat the last: its scores are computed again, into columns that are masked. */
static int64_t decode_locate(const struct decode_tile *t, int64_t key, int64_t key_end, const char **k,
                             const char **v) {
  int64_t n = tile_clamp(key_end - key, 0, DECODE_TOKENS);
  paged_rows(t->a, t->s, &t->a->k_blocks, t->b, 0, key, n, k);
  paged_rows(t->a, t->s, &t->a->v_blocks, t->b, 0, key, n, v);
  for (int64_t j = n; n && j < DECODE_TOKENS; j++) k[j] = k[n - 1], v[j] = v[n - 1];
  return n;
}

/* What is to be prefetched: the rows of a tile of `cache`. */
static struct decode_fetch decode_fetch(const struct decode_tile *t, const struct pah_tensor *cache,
                                        const char *const *row, int64_t tokens) {
  int64_t size = widen_size(cache->dtype), together = cache->stride[2] == t->s->D;
  struct decode_fetch f = {.row = row, .tokens = tokens, .stride = cache->stride[2] * size, .heads = t->s->Hkv};
  f.bytes = t->s->D * size;
  if (together) f.bytes *= f.heads, f.heads = 1;
  decode_fetch_begin(&f, t->s->block_size);
  return f;
}

/* Rows of a head from `row`, as they lie in the cache. */
static void decode_head_rows(const struct pah_tensor *cache, int64_t head, const char *const *row, int64_t tokens,
                             const char **rows) {
  int64_t offset = head * cache->stride[2] * widen_size(cache->dtype);
  for (int64_t j = 0; j < tokens; j++) rows[j] = row[j] + offset;
}

/* The same in t->dtype. */
static void decode_rows(const struct decode_tile *t, const struct pah_tensor *cache, int64_t head,
                        const char *const *row, int64_t tokens, const char **rows) {
  decode_head_rows(cache, head, row, tokens, rows);
  if (t->direct) return;
  for (int64_t j = 0; j < tokens; j++) {
    row_load(t->rows + j * t->ld, rows[j], cache->dtype, t->s->D);
    rows[j] = (const char *)(t->rows + j * t->ld);
  }
}

/* Rows of K or V of a tile for f16.h. */
static struct decode_f16_rows decode_f16_tile(const struct decode_tile *t, const struct pah_tensor *cache, int64_t head,
                                              const char *const *row) {
  return (struct decode_f16_rows){row, head * cache->stride[2], t->tokens, t->D}; /* fp8: elements are bytes */
}

/* p of the heads of a KV head from q k to probabilities, relative to the maximum. */
static void decode_probabilities(const struct decode_tile *t, int64_t head) {
  int64_t group = t->s->group;
  float lazy_log2 = t->half.on ? DECODE_F16_LAZY_LOG2 : DECODE_LAZY_LOG2, softcap = t->a->softcap;
  for (int64_t h = head * group; h < (head + 1) * group; h++) {
    float *o = t->o + h * t->ld;
    float alpha = decode_softmax(t->state + h, t->p + h * DECODE_TOKENS, t->tokens, t->scale[head], softcap, lazy_log2);
    if (alpha != 1.0f)
      for (int64_t d = 0; d < t->ld; d++) o[d] *= alpha;
  }
}

/* q k by f16, or as far as that will not do by f32. */
static void decode_scores_half(struct decode_tile *t) {
  const struct pah_tensor *cache = &t->a->k_blocks;
  struct decode_fetch fetch = decode_fetch(t, &t->a->v_blocks, t->v_now, t->tokens);
  int64_t group = t->s->group, step = decode_step(group);
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    float *p = t->p + head * group * DECODE_TOKENS;
    const char *k[DECODE_TOKENS];
    if (!decode_f16_dot(&t->half, head, group, decode_f16_tile(t, cache, head, t->k_now), p, t->dtype, &fetch)) {
      decode_head_rows(cache, head, t->k_now, DECODE_TOKENS, k);
      for (int64_t j = 0; j < t->tokens; j += step)
        decode_kernels[t->dtype].dot(t->q + head * group * t->ld, t->D, group, k + j, p + j, t->table, &fetch);
    }
  }
}

/* q k into p, of every head. */
static void decode_scores(struct decode_tile *t) {
  const struct pah_tensor *cache = &t->a->k_blocks;
  struct decode_fetch fetch = decode_fetch(t, &t->a->v_blocks, t->v_now, t->tokens);
  int64_t group = t->s->group, step = decode_step(group);
  int64_t stride = cache->stride[2] * widen_size(cache->dtype);
  const char *k[DECODE_TOKENS];
  if (t->half.q) {
    decode_scores_half(t);
    return;
  }
  if (group > DECODE_DIRECT) {
    for (int64_t head = 0; head < t->s->Hkv; head++) {
      decode_head_rows(cache, head, t->k_now, DECODE_TOKENS, k);
      if (BF16_HAS_AMX && t->amx) {
        decode_amx_scores((const uint32_t *)t->q + head * group * t->s->D / 2, t->s->D, group, k, cache->dtype,
                          (uint32_t *)t->panels, t->p + head * group * DECODE_TOKENS, &fetch);
        continue;
      }
      decode_many_dot(t->q + head * decode_many_floats(group, t->s->D), t->s->D, group, k, cache->dtype, t->panels,
                      t->p + head * group * DECODE_TOKENS, &fetch);
    }
    return;
  }
  for (int64_t j = 0; j < t->tokens; j += step) {
    if (t->direct) memcpy(k, t->k_now + j, (size_t)step * sizeof *k);
    for (int64_t head = 0; head < t->s->Hkv; head++) {
      if (!t->direct) decode_rows(t, cache, head, t->k_now + j, step, k);
      decode_kernels[t->dtype].dot(t->q + head * group * t->ld, t->D, group, k, t->p + head * group * DECODE_TOKENS + j,
                                   t->table, &fetch);
      if (t->direct)
        for (int64_t i = 0; i < step; i++) k[i] += stride;
    }
  }
}

/* The softmax of a KV head right before its values: of all heads at once it was time in which nothing was prefetched,
 * 0.01 of linear bandwidth. */
static void decode_values(struct decode_tile *t) {
  const struct pah_tensor *cache = &t->a->v_blocks;
  struct decode_fetch fetch = decode_fetch(t, &t->a->k_blocks, t->k_next, t->next);
  int64_t group = t->s->group;
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    float *p = t->p + head * group * DECODE_TOKENS, *o = t->o + head * group * t->ld;
    const char *v[DECODE_TOKENS];
    decode_probabilities(t, head);
    if (BF16_HAS_AMX && t->amx) {
      decode_head_rows(cache, head, t->v_now, t->tokens, v);
      decode_amx_weigh(p, t->tokens, v, cache->dtype, t->s->D, group, (uint32_t *)t->panels, o, t->ld, &fetch);
      continue;
    }
    if (t->half.on && decode_f16_weigh(&t->half, head, group, p, decode_f16_tile(t, cache, head, t->v_now), o, t->dtype,
                                       t->table, &fetch))
      continue;
    decode_rows(t, cache, head, t->v_now, t->tokens, v);
    decode_kernels[t->dtype].weigh(p, t->tokens, v, t->D, group, o, t->table, &fetch);
  }
}

#endif
