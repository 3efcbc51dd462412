/* cpu/decode/tile.h - 32 tokens of one sequence against all rows of q, in two phases: q k of every KV head, then the
 * softmax and the values, KV head by KV head. During the first the tile's V is prefetched, during the second the next
 * tile's K, through the block table: with a shuffled table the processor's own prefetcher sees only short runs. Read
 * next: rows.h (which rows), qk_pv.h, the inner loops. */
#ifndef PAH_CPU_DECODE_TILE_H
#define PAH_CPU_DECODE_TILE_H

#include "rows.h"

/* D up to which sums of f16 cannot overflow (f16.h). */
enum { DECODE_F16_D = 256 };

struct decode_tile {
  const struct pah_attn *a;
  const struct pah_attn_sizes *s;
  int64_t b, tokens, next; /* tokens of this tile and of the one after */
  struct decode_rows r;
  struct tile_mask mask;
  int alike;     /* all queries see every token of the piece */
  int holes;     /* a row does not see some token of this tile */
  int v_in_k;    /* V is read with K */
  int64_t D, Dv; /* elements of a row of K and of V as the kernels take it */
  const struct widen_table *table;
  float *q;                                 /* [Hkv][decode_rows_floats] */
  float *o;                                 /* [Hkv][room][ld_o], unnormalised */
  struct softmax_state *state;              /* [Hkv][room], m in units of log2(e) */
  const float *scale;                       /* [Hkv]: from q k to a score in units of log2(e) */
  struct decode_many_state many;            /* in place of state while rows are lanes */
  float *p;                                 /* [Hkv][room][DECODE_TOKENS]: q k, then probabilities; of many as lanes */
  float *rows;                              /* [DECODE_TOKENS][ld or ld_o]: K or V of one head in f32, or part of it */
  float *panels;                            /* K or V of one head in pairs */
  struct decode_f16 half;                   /* of an fp8 cache, where the processor multiplies f16 */
  uint32_t visible[PAH_MAX_DECODE_QUERIES]; /* tokens of this tile that each query sees */
  const char *k_now[DECODE_TOKENS], *v_now[DECODE_TOKENS], *k_next[DECODE_TOKENS], *v_next[DECODE_TOKENS];
};

/* Floats of a thread's scratch for such rows. */
static int64_t decode_tile_floats(const struct pah_attn_sizes *s, const struct decode_rows *r) {
  int64_t widest = r->ld > r->ld_o ? r->ld : r->ld_o;
  int64_t wide = r->lanes ? DECODE_MANY_WIDE : 2 * DECODE_TOKENS * widest;
  return s->Hkv * (r->room * (DECODE_TOKENS + 2) + decode_rows_floats(r, s->D)) + wide +
         (r->direct ? decode_f16_floats(s->Hkv * r->rows, s->Hkv, r->ld) : 0);
}

/* t's sequence and rows are set. */
static void decode_tile_layout(struct decode_tile *t, float *scratch) {
  int64_t floats = t->s->Hkv * decode_rows_floats(&t->r, t->s->D), ld = t->r.ld > t->r.ld_o ? t->r.ld : t->r.ld_o;
  int64_t rows = t->s->Hkv * t->r.room;
  t->p = scratch;
  t->q = t->p + rows * DECODE_TOKENS;
  if (t->r.lanes) {
    t->many = (struct decode_many_state){t->q, t->q + rows};
    t->q += 2 * rows;
    for (int64_t n = 0; n < rows; n++) t->many.m[n] = -INFINITY, t->many.sum[n] = 0;
  }
  t->rows = t->q + floats;
  t->panels = t->rows + DECODE_TOKENS * ld;
  memset(t->q, 0, (size_t)floats * sizeof(float));
  t->D = t->r.direct ? t->s->D : t->r.ld;
  t->Dv = t->r.direct ? t->s->Dv : t->r.ld_o;
  decode_f16_layout(&t->half, t->s->Hkv * t->r.rows, t->s->Hkv, t->r.ld,
                    t->r.direct && t->s->D <= DECODE_F16_D ? t->r.dtype : PAH_F32, t->a->q.dtype,
                    t->panels + DECODE_TOKENS * ld);
}

/* The rows of q of t's sequence. */
static void decode_load_q(struct decode_tile *t) {
  int64_t group = t->s->group;
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    float *q = t->q + head * decode_rows_floats(&t->r, t->s->D);
    for (int64_t n = 0; n < t->r.rows; n++) {
      const char *from = paged_q_row(t->a, t->s, &t->a->q, t->b, head * group + n % group, n / group);
      decode_rows_load(&t->r, t->s, q, n, from, t->a->q.dtype);
      if (t->half.q)
        decode_f16_load_q(&t->half, head * t->r.rows + n, head, q + n * t->r.ld, t->r.ld, t->scale[head], t->r.dtype);
    }
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

/* What each query sees of the tile from `key` on. */
static void decode_look(struct decode_tile *t, int64_t key) {
  const uint32_t all = decode_first_tokens(t->tokens);
  t->holes = 0;
  for (int64_t i = 0; i < t->r.queries; i++) {
    t->visible[i] = all;
    if (t->alike) continue;
    int64_t first, end;
    tile_keys_of(&t->mask, i * t->s->group, i * t->s->group + 1, &first, &end);
    t->visible[i] &= decode_first_tokens(end - key) & ~decode_first_tokens(first - key);
    for (int64_t c = tile_clamp(t->mask.off - key, 0, t->tokens); t->mask.tree && c < t->tokens; c++)
      if (!pah_tree_sees(tile_tree_row(&t->mask, i), key + c - t->mask.off)) t->visible[i] &= ~(1u << c);
    t->holes |= t->visible[i] != all;
  }
}

/* What is to be prefetched: the rows of a tile of `cache`. */
static struct decode_fetch decode_fetch(const struct decode_tile *t, const struct pah_tensor *cache,
                                        const char *const *row, int64_t tokens) {
  int64_t size = widen_size(cache->dtype), together = cache->stride[2] == cache->shape[3];
  struct decode_fetch f = {.row = row, .tokens = tokens, .stride = cache->stride[2] * size, .heads = t->s->Hkv};
  f.bytes = cache->shape[3] * size;
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

/* The same in the kernels' dtype; ld: from a row in f32 to the next. */
static void decode_rows(const struct decode_tile *t, const struct pah_tensor *cache, int64_t ld, int64_t head,
                        const char *const *row, int64_t tokens, const char **rows) {
  decode_head_rows(cache, head, row, tokens, rows);
  if (t->r.direct) return;
  for (int64_t j = 0; j < tokens; j++) {
    float *row = t->rows + j * ld;
    row_load(row, rows[j], cache->dtype, cache->shape[3]);
    memset(row + cache->shape[3], 0, (size_t)(ld - cache->shape[3]) * sizeof *row);
    rows[j] = (const char *)row;
  }
}

/* Rows of K or V of a tile for f16.h. */
static struct decode_f16_rows decode_f16_tile(const struct decode_tile *t, const struct pah_tensor *cache, int64_t head,
                                              const char *const *row) {
  return (struct decode_f16_rows){row, head * cache->stride[2], t->tokens, cache->shape[3]}; /* an element is a byte */
}

/* ---- Scores --------------------------------------------------------------------------------------------------- */

/* q k by f16, or as far as that will not do by f32. */
static void decode_scores_half(struct decode_tile *t, struct decode_fetch *fetch) {
  const struct pah_tensor *cache = &t->a->k_blocks;
  int64_t rows = t->r.rows, step = decode_step(rows);
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    float *p = t->p + head * t->r.room * DECODE_TOKENS;
    const char *k[DECODE_TOKENS];
    if (!decode_f16_dot(&t->half, head, rows, decode_f16_tile(t, cache, head, t->k_now), p, t->r.dtype, fetch)) {
      decode_head_rows(cache, head, t->k_now, DECODE_TOKENS, k);
      for (int64_t j = 0; j < t->tokens; j += step)
        decode_kernels[t->r.dtype].dot(t->q + head * rows * t->r.ld, t->D, rows, k + j, p + j, t->table, fetch);
    }
  }
}

/* What bf16x2.h multiplies for a KV head. */
static struct decode_pairs decode_pairs(const struct decode_tile *t, int64_t D, struct decode_fetch *fetch) {
  return (struct decode_pairs){t->r.rows, D, t->r.way, t->a->k_blocks.dtype, (uint32_t *)t->panels, fetch};
}

/* q k where many rows share a KV head. */
static void decode_scores_many(struct decode_tile *t, struct decode_fetch *fetch) {
  const struct pah_tensor *cache = &t->a->k_blocks;
  const int64_t stride = cache->stride[2] * widen_size(cache->dtype);
  struct decode_many_wide wide = {t->rows, t->rows + DECODE_CELL_TOKENS * DECODE_MANY_LD, 0};
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    const float *q = t->q + head * decode_rows_floats(&t->r, t->s->D);
    float *p = t->p + head * t->r.room * DECODE_TOKENS;
    if (BF16_HAS_DOTS && t->r.way != BF16_FMA) {
      const char *k[DECODE_TOKENS];
      struct decode_pairs pairs = decode_pairs(t, t->s->D, fetch);
      decode_head_rows(cache, head, t->k_now, DECODE_TOKENS, k);
      decode_pairs_scores(&pairs, (const uint32_t *)q, k, p);
    } else {
      int64_t after = head + 1 < t->s->Hkv ? stride : 0;
      struct decode_many_rows rows = {t->k_now, head * stride, after, t->s->D, t->r.ld, t->table};
      decode_many_dot(q, t->r.rows, rows, &wide, p, cache->dtype, fetch);
    }
  }
}

/* q k into p, of every row. */
static void decode_scores(struct decode_tile *t) {
  const struct pah_tensor *cache = &t->a->k_blocks;
  struct decode_fetch fetch = {0};
  if (!t->v_in_k) fetch = decode_fetch(t, &t->a->v_blocks, t->v_now, t->tokens);
  int64_t rows = t->r.rows, step = decode_step(rows);
  int64_t stride = cache->stride[2] * widen_size(cache->dtype);
  const char *k[DECODE_TOKENS];
  if (t->half.q) {
    decode_scores_half(t, &fetch);
    return;
  }
  if (t->r.many) {
    decode_scores_many(t, &fetch);
    return;
  }
  for (int64_t j = 0; j < t->tokens; j += step) {
    if (t->r.direct) memcpy(k, t->k_now + j, (size_t)step * sizeof *k);
    for (int64_t head = 0; head < t->s->Hkv; head++) {
      if (!t->r.direct) decode_rows(t, cache, t->r.ld, head, t->k_now + j, step, k);
      decode_kernels[t->r.dtype].dot(t->q + head * rows * t->r.ld, t->D, rows, k,
                                     t->p + head * rows * DECODE_TOKENS + j, t->table, &fetch);
      if (t->r.direct)
        for (int64_t i = 0; i < step; i++) k[i] += stride;
    }
  }
}

/* ---- Values --------------------------------------------------------------------------------------------------- */

/* p of many rows of a KV head from q k to probabilities, relative to the maximum. */
static void decode_probabilities_many(const struct decode_tile *t, int64_t head) {
  int64_t group = t->s->group, whole = t->tokens == DECODE_TOKENS && !t->holes && !(t->a->softcap > 0);
  float *o = t->o + head * t->r.room * t->r.ld_o, *p = t->p + head * t->r.room * DECODE_TOKENS;
  for (int64_t n = 0; n < t->r.rows; n += CELL_VECTOR, p += DECODE_TILE) {
    float *m = t->many.m + head * t->r.room + n, *sum = t->many.sum + head * t->r.room + n, alpha[CELL_VECTOR];
    if (!whole) {
      uint32_t visible[CELL_VECTOR];
      for (int64_t i = 0; i < CELL_VECTOR; i++) visible[i] = n + i < t->r.rows ? t->visible[(n + i) / group] : 0;
      decode_many_mask(p, visible, t->scale[head], t->a->softcap);
    }
    if (!decode_many_softmax(m, sum, p, whole ? t->scale[head] : 1.0f, alpha)) continue;
    for (int64_t i = 0; i < CELL_VECTOR && n + i < t->r.rows; i++)
      for (int64_t d = 0; alpha[i] != 1.0f && d < t->r.ld_o; d += CELL_VECTOR)
        cell_store(o + (n + i) * t->r.ld_o + d, cell_load(o + (n + i) * t->r.ld_o + d) * alpha[i]);
  }
}

/* p of the rows of a KV head from q k to probabilities, relative to the maximum. */
static void decode_probabilities(const struct decode_tile *t, int64_t head) {
  int64_t group = t->s->group, first = head * t->r.room;
  float lazy_log2 = t->half.on ? DECODE_F16_LAZY_LOG2 : DECODE_LAZY_LOG2, softcap = t->a->softcap;
  for (int64_t i = 0; i < t->r.queries; i++)
    for (int64_t n = first + i * group; n < first + (i + 1) * group; n++) {
      float *o = t->o + n * t->r.ld_o;
      float alpha =
          decode_softmax(t->state + n, t->p + n * DECODE_TOKENS, t->visible[i], t->scale[head], softcap, lazy_log2);
      if (alpha != 1.0f)
        for (int64_t d = 0; d < t->r.ld_o; d++) o[d] *= alpha;
    }
}

/* Whether V of the tile and that head holds a NaN or an infinity. */
static int decode_nonfinite(const struct decode_tile *t, int64_t head) {
  lanes_u32 largest = {0};
  int nonfinite = 0;
  const char *v[DECODE_TOKENS];
  decode_head_rows(&t->a->v_blocks, head, t->v_now, t->tokens, v);
  for (int64_t j = 0; j < t->tokens; j++) {
    float row[PAH_MAX_D];
    row_load(row, v[j], t->a->v_blocks.dtype, t->s->Dv);
    for (int64_t d = 0; d < t->s->Dv; d += CELL_VECTOR)
      largest = pack_larger(largest, pack_part((const char *)row, d, t->s->Dv, PAH_F32));
  }
  for (int i = 0; i < CELL_VECTOR; i++) nonfinite |= largest[i] >= 0x7f800000;
  return nonfinite;
}

/* The same for many rows, from the cache itself. */
static void decode_weigh_visible_many(const struct decode_tile *t, int64_t head, const float *p, float *o) {
  const char *v[DECODE_TOKENS];
  decode_head_rows(&t->a->v_blocks, head, t->v_now, t->tokens, v);
  for (int64_t j = 0; j < t->tokens; j++) {
    float row[PAH_MAX_D], ordered[PAH_MAX_D];
    row_load(row, v[j], t->a->v_blocks.dtype, t->s->Dv);
    memset(row + t->s->Dv, 0, (size_t)(t->r.ld_o - t->s->Dv) * sizeof *row);
    widen_to_order(ordered, row, t->r.dtype, t->r.ld_o);
    for (int64_t n = 0; n < t->r.rows; n++) {
      float x = p[n / CELL_VECTOR * DECODE_TILE + j * CELL_VECTOR + n % CELL_VECTOR];
      if (!(t->visible[n / t->s->group] >> j & 1)) continue;
      for (int64_t d = 0; d < t->r.ld_o; d++) o[n * t->r.ld_o + d] += x * ordered[d];
    }
  }
}

/* o += p v row by row and with nothing but what is visible: 0 times a NaN or an infinity is a NaN, so the zeros that
 * stand for masked tokens must not be multiplied with such values. */
static void decode_weigh_visible(const struct decode_tile *t, int64_t head, const float *p, float *o) {
  struct decode_fetch none = {0};
  const char *v[DECODE_TOKENS];
  decode_rows(t, &t->a->v_blocks, t->r.ld_o, head, t->v_now, t->tokens, v);
  for (int64_t n = 0; n < t->r.rows; n++) {
    uint32_t visible = t->visible[n / t->s->group];
    for (int64_t j = 0; j < t->tokens; j++)
      if (visible >> j & 1)
        decode_kernels[t->r.dtype].weigh(p + n * DECODE_TOKENS + j, 1, v + j, t->Dv, 1, o + n * t->r.ld_o, t->table,
                                         &none);
  }
}

/* The values of many rows of a KV head. */
static void decode_values_many(struct decode_tile *t, int64_t head, float *p, float *o, struct decode_fetch *fetch) {
  const struct pah_tensor *cache = &t->a->v_blocks;
  const int64_t skip = head * cache->stride[2] * widen_size(cache->dtype);
  struct decode_many_rows rows = {t->v_now, skip, 0, t->s->Dv, t->r.ld_o, t->table};
  decode_probabilities_many(t, head);
  if (t->holes && decode_nonfinite(t, head))
    decode_weigh_visible_many(t, head, p, o);
  else
    decode_many_weigh(p, t->tokens, t->r.rows, rows, t->rows, o, cache->dtype, fetch);
}

/* The softmax of a KV head right before its values: of all heads at once it was time in which nothing was prefetched,
 * 0.01 of linear bandwidth. */
static void decode_values(struct decode_tile *t) {
  const struct pah_tensor *cache = &t->a->v_blocks;
  struct decode_fetch fetch = decode_fetch(t, &t->a->k_blocks, t->k_next, t->next);
  int64_t rows = t->r.rows;
  for (int64_t head = 0; head < t->s->Hkv; head++) {
    float *p = t->p + head * t->r.room * DECODE_TOKENS, *o = t->o + head * t->r.room * t->r.ld_o;
    const char *v[DECODE_TOKENS];
    if (t->r.lanes) {
      decode_values_many(t, head, p, o, &fetch);
      continue;
    }
    decode_probabilities(t, head);
    if (t->holes && decode_nonfinite(t, head)) {
      decode_weigh_visible(t, head, p, o);
      continue;
    }
    if (BF16_HAS_DOTS && t->r.way != BF16_FMA) {
      decode_head_rows(cache, head, t->v_now, t->tokens, v);
      struct decode_pairs pairs = decode_pairs(t, t->s->Dv, &fetch);
      decode_pairs_values(&pairs, p, t->tokens, v, o, t->r.ld_o);
      continue;
    }
    if (t->half.on && decode_f16_weigh(&t->half, head, rows, p, decode_f16_tile(t, cache, head, t->v_now), o,
                                       t->r.dtype, t->table, &fetch))
      continue;
    decode_rows(t, cache, t->r.ld_o, head, t->v_now, t->tokens, v);
    decode_kernels[t->r.dtype].weigh(p, t->tokens, v, t->Dv, rows, o, t->table, &fetch);
  }
}

/* The states of many rows as those of one each, at the end of a piece. */
static void decode_tile_end(struct decode_tile *t) {
  for (int64_t n = 0; t->r.lanes && n < t->s->Hkv * t->r.room; n++) {
    t->state[n].m = t->many.m[n];
    t->state[n].lanes[0] = t->many.sum[n];
  }
}

#endif
