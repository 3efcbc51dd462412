/* cpu/decode/run.h - a few queries per sequence: bandwidth is all, so every byte of K and V is read once, for all heads
 * and queries. The tokens of all sequences form one range that is cut into equal pieces, several per thread so that a
 * thread that is held up costs little (or num_splits per sequence); each piece leaves a softmax state per row, and the
 * states of a sequence are merged in order at the end: the result depends on the number of threads, not on their luck.
 * Read next: rows.h, tile.h (32 tokens of one piece), softmax.h. */
#ifndef PAH_CPU_DECODE_RUN_H
#define PAH_CPU_DECODE_RUN_H

#include <omp.h>

#include "error.h"
#include "tile.h"
#include "cpu/bf16_way.h"
#include "cpu/scratch.h"

/* Pieces per thread, and the tiles that a piece should have at least to be worth its start and its merge. */
enum { DECODE_PARTS = 8, DECODE_MIN_TILES = 4 };

/* Bytes of all pieces' o at most, but for one piece per thread. */
#define DECODE_PIECES ((int64_t)64 << 20)

/* A piece: tokens [key, key_end) of a sequence; its o and states begin at those floats and states. */
struct decode_item {
  int64_t b, key, key_end, o, state;
};

struct decode {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  int way; /* how products of bf16 are made where many rows share a KV head */
  int64_t items;
  struct decode_item *item;    /* in order of sequence and key */
  int64_t *first_item;         /* [B+1] */
  float *o;                    /* of the items, in decode's order */
  float *scale;                /* [B][Hkv]: from q k to a score in units of log2(e) */
  struct softmax_state *state; /* of the items */
  int64_t floats, states;      /* of o and states, of all items */
  int64_t largest;             /* floats of o of an item at most */
  int64_t scratch_floats;
  float *scratch; /* [threads][scratch_floats] */
  struct widen_table table;
};

/* Tokens of sequence b that any of its queries sees. */
static void decode_range(const struct decode *w, int64_t b, int64_t *key, int64_t *key_end) {
  struct tile_mask mask = tile_mask(w->a, &w->s, b);
  *key = *key_end = 0;
  if (!mask.len_q) return;
  tile_keys_of(&mask, 0, mask.len_q * mask.group, key, key_end);
  if (*key_end < *key) *key_end = *key;
}

static int64_t decode_item_floats(const struct decode *w, const struct decode_rows *r) {
  return (w->s.Hkv * r->room * r->ld_o + 15) / 16 * 16;
}

static void decode_add(struct decode *w, int64_t b, int64_t key, int64_t key_end) {
  if (key >= key_end) return;
  struct decode_rows r = decode_rows_of(w->a, &w->s, w->way, b);
  w->item[w->items++] = (struct decode_item){b, key, key_end, w->floats, w->states};
  w->floats += decode_item_floats(w, &r);
  w->states += w->s.Hkv * r.room;
}

static int64_t decode_tiles(int64_t tokens) {
  return (tokens + DECODE_TOKENS - 1) / DECODE_TOKENS;
}

/* Fills the items. Called with room for what decode_count says. Without num_splits the tiles of all sequences are
 * numbered through and cut into `parts` ranges; cuts fall between tiles, so that few tiles are not whole. */
static void decode_plan(struct decode *w, int64_t tiles, int64_t parts) {
  int64_t done = 0, splits = w->a->num_splits; /* done: tiles of the sequences before this one */
  for (int64_t b = 0; b < w->s.B; b++) {
    int64_t key, key_end;
    decode_range(w, b, &key, &key_end);
    int64_t tokens = key_end - key, own = decode_tiles(tokens);
    w->first_item[b] = w->items;
    if (splits > 0) {
      for (int64_t n = 0; n < splits; n++) decode_add(w, b, key + tokens * n / splits, key + tokens * (n + 1) / splits);
    } else if (own) {
      int64_t part = done * parts / tiles; /* no later than the first part that reaches this sequence */
      for (; part < parts && tiles * part / parts < done + own; part++) {
        int64_t from = tile_clamp(tiles * part / parts - done, 0, own) * DECODE_TOKENS;
        int64_t to = tile_clamp(tiles * (part + 1) / parts - done, 0, own) * DECODE_TOKENS;
        decode_add(w, b, key + tile_clamp(from, 0, tokens), key + tile_clamp(to, 0, tokens));
      }
    }
    done += own;
  }
  w->first_item[w->s.B] = w->items;
}

/* Items at most, tiles of all sequences, and the parts to cut them into. */
static int64_t decode_count(const struct decode *w, int threads, int64_t *tiles, int64_t *parts) {
  int64_t items = 0, splits = w->a->num_splits;
  *tiles = 0;
  for (int64_t b = 0; b < w->s.B; b++) {
    int64_t key, key_end;
    decode_range(w, b, &key, &key_end);
    *tiles += decode_tiles(key_end - key);
    if (splits > 0) items += key_end - key < splits ? key_end - key : splits;
  }
  int64_t most = tile_clamp(DECODE_PIECES / (w->largest * 4 + 1), threads, (int64_t)threads * DECODE_PARTS);
  *parts = tile_clamp(*tiles / DECODE_MIN_TILES, 1, most);
  return splits > 0 ? items : w->s.B + *parts; /* a cut adds one at most */
}

static void decode_load_scales(const struct decode *w) {
  for (int64_t b = 0; b < w->s.B; b++)
    for (int64_t head = 0; head < w->s.Hkv; head++)
      w->scale[b * w->s.Hkv + head] = paged_scale(w->a, &w->s, b, head) * scalar_log2e;
}

/* ---- One piece ------------------------------------------------------------------------------------------- */

/* Whether all queries see every token of the piece. */
static int decode_alike(const struct tile_mask *mask, const struct decode_item *item) {
  int64_t first, end, last_row = (mask->len_q - 1) * mask->group;
  if (mask->tree) return !tile_tree_hides(mask, 0, mask->len_q, item->key, item->key_end);
  tile_keys_of(mask, last_row, 1, &first, &end); /* from where the last query begins to where the first ends */
  return first <= item->key && end >= item->key_end;
}

static void decode_item_run(const struct decode *w, int64_t n, float *scratch) {
  const struct decode_item *item = w->item + n;
  struct decode_tile t = {.a = w->a, .s = &w->s, .b = item->b, .table = &w->table, .v_in_k = pah_v_in_k(w->a)};
  t.r = decode_rows_of(w->a, &w->s, w->way, item->b);
  t.mask = tile_mask(w->a, &w->s, item->b);
  t.alike = decode_alike(&t.mask, item);
  t.o = w->o + item->o;
  t.state = w->state + item->state;
  t.scale = w->scale + item->b * w->s.Hkv;
  memset(t.o, 0, (size_t)(w->s.Hkv * t.r.room * t.r.ld_o) * sizeof(float));
  for (int64_t r = 0; r < w->s.Hkv * t.r.room; r++) t.state[r] = softmax_start();
  decode_tile_layout(&t, scratch);
  decode_load_q(&t);
  decode_locate(&t, item->key, item->key_end, t.k_now, t.v_now);
  for (int64_t key = item->key; key < item->key_end && !pah_interrupted; key += DECODE_TOKENS) {
    t.tokens = tile_clamp(item->key_end - key, 0, DECODE_TOKENS);
    t.next = decode_locate(&t, key + DECODE_TOKENS, item->key_end, t.k_next, t.v_next);
    decode_look(&t, key);
    decode_scores(&t);
    decode_values(&t);
    memcpy(t.k_now, t.k_next, sizeof t.k_now);
    memcpy(t.v_now, t.v_next, sizeof t.v_now);
  }
  decode_tile_end(&t);
}

/* ---- The end --------------------------------------------------------------------------------------------- */

/* Merges the states of head h and query i of sequence b in the order of its pieces and stores the row. */
static void decode_store(const struct decode *w, const struct decode_rows *r, int64_t b, int64_t h, int64_t i) {
  const struct pah_attn *a = w->a;
  float o[PAH_MAX_D], row[PAH_MAX_D];
  struct softmax_state all = softmax_start();
  int64_t begin = w->first_item[b], end = w->first_item[b + 1], group = w->s.group;
  int64_t at = h / group * r->room + i * group + h % group;
  memset(o, 0, (size_t)r->ld_o * sizeof *o);
  for (int64_t n = begin; n < end; n++) {
    float m = w->state[w->item[n].state + at].m;
    all.m = m > all.m ? m : all.m;
  }
  for (int64_t n = begin; n < end; n++) {
    const float *from = w->o + w->item[n].o + at * r->ld_o;
    float alpha;
    if (softmax_merge(&all, w->state + w->item[n].state + at, &alpha))
      for (int64_t d = 0; d < r->ld_o; d++) o[d] += from[d] * alpha;
  }
  float scale = paged_descale(&a->v_descale, b, h / group) * paged_o_scale(a), factor;
  if (softmax_finish(&all, scalar_ln2, scale, paged_sink(a, h), &factor, paged_lse(a, &w->s, b, h, i)))
    for (int64_t d = 0; d < r->ld_o; d++) o[d] *= factor;
  else
    memset(o, 0, (size_t)r->ld_o * sizeof *o);
  decode_rows_order(r, w->s.Dv, row, o);
  row_store(paged_q_row(a, &w->s, &a->out, b, h, i), a->out.dtype, row, w->s.Dv);
}

/* The largest of the sequences' items and scratch. */
static void decode_measure(struct decode *w) {
  for (int64_t b = 0; b < w->s.B; b++) {
    struct decode_rows r = decode_rows_of(w->a, &w->s, w->way, b);
    int64_t o = decode_item_floats(w, &r), floats = (decode_tile_floats(&w->s, &r) + 15) / 16 * 16;
    w->largest = o > w->largest ? o : w->largest;
    w->scratch_floats = floats > w->scratch_floats ? floats : w->scratch_floats;
  }
}

/* Room for `items` items, and with decode_alloc, once they are known, for what they hold. */
static int decode_alloc_items(struct decode *w, int64_t items) {
  w->item = malloc((size_t)(items + 1) * sizeof *w->item);
  w->first_item = malloc((size_t)(w->s.B + 1) * sizeof *w->first_item);
  return w->item && w->first_item;
}

static int decode_alloc(struct decode *w, int threads) {
  w->o = pah_scratch_floats(w->floats);
  w->scale = pah_scratch_floats(w->s.B * w->s.Hkv);
  w->state = malloc((size_t)(w->states + 1) * sizeof *w->state);
  w->scratch = pah_scratch_floats(threads * w->scratch_floats);
  return w->o && w->scale && w->state && w->scratch;
}

static void decode_free(struct decode *w) {
  free(w->item);
  free(w->first_item);
  pah_scratch_free(w->o);
  pah_scratch_free(w->scale);
  free(w->state);
  pah_scratch_free(w->scratch);
}

/* What each thread of a team does, or the only one, which is spared the start of a team. */
static void decode_work(const struct decode *w, int thread) {
  float *scratch = w->scratch + thread * w->scratch_floats;
  if (w->way == BF16_AMX) amx_begin();
#pragma omp for schedule(dynamic, 1)
  for (int64_t n = 0; n < w->items; n++) decode_item_run(w, n, scratch);
  if (w->way == BF16_AMX) amx_end();
#pragma omp for schedule(static)
  for (int64_t n = 0; n < w->s.B * w->s.H; n++) {
    struct decode_rows r = decode_rows_of(w->a, &w->s, w->way, n / w->s.H);
    for (int64_t i = 0; i < r.queries; i++) decode_store(w, &r, n / w->s.H, n % w->s.H, i);
  }
}

/* Whether a sequence has so many rows of a KV head that pairs of bf16 could be multiplied. */
static int decode_has_many(const struct decode *w) {
  int many = 0;
  for (int64_t b = 0; b < w->s.B; b++) many |= decode_rows_of(w->a, &w->s, BF16_DOTS, b).many;
  return many;
}

static int decode_run(const struct pah_attn *a, int threads, int amx) {
  struct decode w = {.a = a, .s = pah_attn_sizes(a)};
  int status = bf16_of_decode(a, &w.s, amx, decode_has_many(&w), &w.way);
  if (status) return status;
  decode_measure(&w);
  int64_t tiles, parts, items = decode_count(&w, threads, &tiles, &parts);
  if (parts < threads) threads = (int)parts; /* too little work to be worth the start of a team */
  int there = decode_alloc_items(&w, items);
  if (there) decode_plan(&w, tiles, parts);
  if (!there || !decode_alloc(&w, threads)) {
    decode_free(&w);
    return pah_fail(PAH_ENOMEM, "decode: no memory for the partial results of %lld pieces", (long long)items);
  }
  decode_load_scales(&w);
  widen_table_fill(&w.table, a->k_blocks.dtype);
  if (threads == 1)
    decode_work(&w, 0);
  else {
#pragma omp parallel num_threads(threads)
    decode_work(&w, omp_get_thread_num());
  }
  decode_free(&w);
  return pah_interrupted ? pah_fail(PAH_EINTERRUPTED, "decode: interrupted") : PAH_OK;
}

#endif
