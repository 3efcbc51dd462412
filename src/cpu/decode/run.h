/* cpu/decode/run.h - one query per sequence: bandwidth is all, so every byte of K and V is read once, for all heads.
 * The tokens of all sequences form one range that is cut into equal pieces, several per thread so that a thread that
 * is held up costs little (or num_splits per sequence); each piece leaves a softmax state per head, and the states of
 * a sequence are merged in order at the end: the result depends on the number of threads, not on their luck.
 * Read next: tile.h (32 tokens of one piece), softmax.h. */
#ifndef PAH_CPU_DECODE_RUN_H
#define PAH_CPU_DECODE_RUN_H

#include <omp.h>

#include "error.h"
#include "tile.h"
#include "cpu/bf16_way.h"
#include "cpu/scratch.h"

/* Pieces per thread, and the tiles that a piece should have at least to be worth its start and its merge. */
enum { DECODE_PARTS = 8, DECODE_MIN_TILES = 4 };

/* A piece: tokens [key, key_end) of a sequence. */
struct decode_item {
  int64_t b, key, key_end;
};

struct decode {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  int64_t ld; /* floats between rows of q and o */
  int64_t items;
  struct decode_item *item;    /* in order of sequence and key */
  int64_t *first_item;         /* [B+1] */
  float *o;                    /* [items][H][ld], in decode's order */
  float *scale;                /* [B][Hkv]: from q k to a score in units of log2(e) */
  struct softmax_state *state; /* [items][H] */
  float *scratch;              /* [threads][decode_tile_floats] */
  struct widen_table table;
  int amx; /* amx.h does it */
};

/* Visible tokens of sequence b. */
static void decode_range(const struct decode *w, int64_t b, int64_t *key, int64_t *key_end) {
  int64_t last;
  pah_visible(w->a, 1, pah_len_k(w->a, &w->s, b), 0, key, &last);
  *key_end = last + 1 > *key ? last + 1 : *key;
}

static void decode_add(struct decode *w, int64_t b, int64_t key, int64_t key_end) {
  if (key < key_end) w->item[w->items++] = (struct decode_item){b, key, key_end};
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
  *parts = tile_clamp(*tiles / DECODE_MIN_TILES, 1, (int64_t)threads * DECODE_PARTS);
  return splits > 0 ? items : w->s.B + *parts; /* a cut adds one at most */
}

static void decode_load_scales(const struct decode *w) {
  for (int64_t b = 0; b < w->s.B; b++)
    for (int64_t head = 0; head < w->s.Hkv; head++)
      w->scale[b * w->s.Hkv + head] = paged_scale(w->a, &w->s, b, head) * scalar_log2e;
}

/* ---- One piece ------------------------------------------------------------------------------------------- */

static void decode_item_run(const struct decode *w, int64_t n, float *scratch) {
  const struct decode_item *item = w->item + n;
  struct decode_tile t = {.a = w->a, .s = &w->s, .b = item->b, .ld = w->ld, .table = &w->table, .amx = w->amx};
  t.o = w->o + n * w->s.H * w->ld;
  t.state = w->state + n * w->s.H;
  t.scale = w->scale + item->b * w->s.Hkv;
  memset(t.o, 0, (size_t)(w->s.H * w->ld) * sizeof(float));
  for (int64_t h = 0; h < w->s.H; h++) t.state[h] = softmax_start();
  decode_tile_layout(&t, scratch);
  decode_load_q(&t);
  decode_locate(&t, item->key, item->key_end, t.k_now, t.v_now);
  for (int64_t key = item->key; key < item->key_end && !pah_interrupted; key += DECODE_TOKENS) {
    t.tokens = tile_clamp(item->key_end - key, 0, DECODE_TOKENS);
    t.next = decode_locate(&t, key + DECODE_TOKENS, item->key_end, t.k_next, t.v_next);
    decode_scores(&t);
    decode_values(&t);
    memcpy(t.k_now, t.k_next, sizeof t.k_now);
    memcpy(t.v_now, t.v_next, sizeof t.v_now);
  }
}

/* ---- The end --------------------------------------------------------------------------------------------- */

/* Merges the states of head h of sequence b in the order of its pieces and stores the row. */
static void decode_store(const struct decode *w, int64_t b, int64_t h) {
  const struct pah_attn *a = w->a;
  float o[PAH_MAX_D] = {0}, row[PAH_MAX_D];
  struct softmax_state all = softmax_start();
  int64_t D = w->s.D, begin = w->first_item[b], end = w->first_item[b + 1];
  for (int64_t n = begin; n < end; n++) {
    float m = w->state[n * w->s.H + h].m;
    all.m = m > all.m ? m : all.m;
  }
  for (int64_t n = begin; n < end; n++) {
    const float *from = w->o + (n * w->s.H + h) * w->ld;
    float alpha;
    if (softmax_merge(&all, w->state + n * w->s.H + h, &alpha))
      for (int64_t d = 0; d < w->ld; d++) o[d] += from[d] * alpha;
  }
  float scale = paged_descale(&a->v_descale, b, h / w->s.group) * paged_o_scale(a), factor;
  if (softmax_finish(&all, scalar_ln2, scale, &factor, paged_lse(a, &w->s, b, h, 0)))
    for (int64_t d = 0; d < w->ld; d++) o[d] *= factor;
  else
    memset(o, 0, sizeof o);
  int dtype = decode_dtype(&w->s, a->k_blocks.dtype);
  widen_from_order(row, o, dtype, w->ld);
  if (decode_direct(&w->s, a->k_blocks.dtype)) decode_join_tail(row, D, w->ld, widen_vectors(dtype) * CELL_VECTOR);
  row_store(paged_q_row(a, &w->s, &a->out, b, h, 0), a->out.dtype, row, D);
}

static int decode_alloc(struct decode *w, int64_t items, int threads) {
  int64_t rows = items * w->s.H;
  w->item = malloc((size_t)(items + 1) * sizeof *w->item);
  w->first_item = malloc((size_t)(w->s.B + 1) * sizeof *w->first_item);
  w->o = pah_scratch_floats(rows * w->ld);
  w->scale = pah_scratch_floats(w->s.B * w->s.Hkv);
  w->state = malloc((size_t)(rows + 1) * sizeof *w->state);
  w->scratch = pah_scratch_floats(threads * decode_tile_floats(&w->s, w->ld));
  return w->item && w->first_item && w->o && w->scale && w->state && w->scratch;
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
  float *scratch = w->scratch + thread * decode_tile_floats(&w->s, w->ld);
  if (w->amx) amx_begin();
#pragma omp for schedule(dynamic, 1)
  for (int64_t n = 0; n < w->items; n++) decode_item_run(w, n, scratch);
  if (w->amx) amx_end();
#pragma omp for schedule(static)
  for (int64_t n = 0; n < w->s.B * w->s.H; n++) decode_store(w, n / w->s.H, n % w->s.H);
}

static int decode_run(const struct pah_attn *a, int threads, int amx) {
  struct decode w = {.a = a, .s = pah_attn_sizes(a)};
  int way, status = bf16_of_decode(a, &w.s, amx, &way);
  if (status) return status;
  w.amx = way == BF16_AMX;
  w.ld = widen_row_floats(w.s.D, decode_dtype(&w.s, a->k_blocks.dtype));
  int64_t tiles, parts, items = decode_count(&w, threads, &tiles, &parts);
  if (parts < threads) threads = (int)parts; /* too little work to be worth the start of a team */
  if (!decode_alloc(&w, items, threads)) {
    decode_free(&w);
    return pah_fail(PAH_ENOMEM, "decode: no memory for the partial results of %lld pieces", (long long)items);
  }
  decode_plan(&w, tiles, parts);
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
