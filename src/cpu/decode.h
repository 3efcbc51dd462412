/* cpu/decode.h - one query per sequence: bandwidth is all, so every byte of K and V is read once, for all heads.
 * The tokens of all sequences form one range that is cut into equal pieces, one per thread (or num_splits per
 * sequence); each piece leaves a softmax state per head, and states are merged in order at the end.
 * Read next: decode_tile.h (32 tokens of one piece), softmax.h. */
#ifndef PAH_CPU_DECODE_H
#define PAH_CPU_DECODE_H

#include <omp.h>

#include "../error.h"
#include "decode_tile.h"
#include "scratch.h"

/* A piece: tokens [key, key_end) of a sequence. */
struct decode_item {
  int64_t b, key, key_end;
};

struct decode {
  const struct pah_attn *a;
  struct pah_attn_sizes s;
  int64_t ld;                  /* floats between rows of q and o */
  int64_t items, per_thread;   /* per_thread: items a thread may have, at most */
  struct decode_item *item;    /* in order of sequence and key */
  int64_t *first_item;         /* [B+1] */
  int *owner;                  /* [items]: thread; NULL: any */
  float *q;                    /* [B][H][ld], f32 */
  float *o;                    /* [items][H][ld] */
  float *scale;                /* [B][Hkv]: from q k to a score */
  struct softmax_state *state; /* [items][H] */
  float *scratch;              /* [threads][DECODE_SCRATCH] */
};

/* Visible tokens of sequence b. */
static void decode_range(const struct decode *w, int64_t b, int64_t *key, int64_t *key_end) {
  int64_t last;
  pah_visible(w->a, 1, pah_len_k(w->a, &w->s, b), 0, key, &last);
  *key_end = last + 1 > *key ? last + 1 : *key;
}

static void decode_add(struct decode *w, int64_t b, int64_t key, int64_t key_end, int owner) {
  if (key >= key_end) return;
  w->item[w->items] = (struct decode_item){b, key, key_end};
  w->owner[w->items++] = owner;
}

/* Cuts at multiples of a tile, counted from the first visible token, so that pieces end in few odd tiles. */
static int64_t decode_cut(int64_t tokens, int64_t part, int64_t parts) {
  int64_t tiles = (tokens + DECODE_TOKENS - 1) / DECODE_TOKENS, cut = tiles * part / parts * DECODE_TOKENS;
  return cut < tokens ? cut : tokens;
}

/* Fills the items. Called with room for what decode_count says. */
static void decode_plan(struct decode *w, int64_t total, int threads) {
  int64_t done = 0; /* tiles of all sequences before this one */
  for (int64_t b = 0; b < w->s.B; b++) {
    int64_t key, key_end;
    decode_range(w, b, &key, &key_end);
    int64_t tokens = key_end - key, tiles = (tokens + DECODE_TOKENS - 1) / DECODE_TOKENS;
    w->first_item[b] = w->items;
    if (w->a->num_splits > 0) {
      for (int64_t n = 0; n < w->a->num_splits; n++)
        decode_add(w, b, key + tokens * n / w->a->num_splits, key + tokens * (n + 1) / w->a->num_splits, -1);
    } else {
      for (int t = 0; t < threads; t++) { /* this sequence's share of thread t's equal piece */
        int64_t from = tile_clamp(total * t / threads - done, 0, tiles);
        int64_t to = tile_clamp(total * (t + 1) / threads - done, 0, tiles);
        decode_add(w, b, key + decode_cut(tokens, from, tiles ? tiles : 1),
                   key + decode_cut(tokens, to, tiles ? tiles : 1), t);
      }
    }
    done += tiles;
  }
  w->first_item[w->s.B] = w->items;
}

/* Items at most, and tiles of all sequences. */
static int64_t decode_count(const struct decode *w, int threads, int64_t *total) {
  int64_t items = 0;
  *total = 0;
  for (int64_t b = 0; b < w->s.B; b++) {
    int64_t key, key_end;
    decode_range(w, b, &key, &key_end);
    *total += (key_end - key + DECODE_TOKENS - 1) / DECODE_TOKENS;
    if (w->a->num_splits > 0) items += key_end - key < w->a->num_splits ? key_end - key : w->a->num_splits;
  }
  return w->a->num_splits > 0 ? items : w->s.B + threads;
}

static void decode_load_q(const struct decode *w) {
  for (int64_t n = 0; n < w->s.B * w->s.H; n++) {
    float *q = w->q + n * w->ld;
    row_load(q, paged_q_row(w->a, &w->s, &w->a->q, n / w->s.H, n % w->s.H, 0), w->a->q.dtype, w->s.D);
    for (int64_t d = w->s.D; d < w->ld; d++) q[d] = 0;
  }
}

static void decode_load_scales(const struct decode *w) {
  for (int64_t b = 0; b < w->s.B; b++)
    for (int64_t head = 0; head < w->s.Hkv; head++) w->scale[b * w->s.Hkv + head] = paged_scale(w->a, &w->s, b, head);
}

/* ---- One piece ------------------------------------------------------------------------------------------- */

static void decode_item_run(const struct decode *w, int64_t n, float *scratch) {
  const struct decode_item *item = w->item + n;
  struct decode_tile t = {.a = w->a, .s = &w->s, .b = item->b, .ld = w->ld};
  t.q = w->q + item->b * w->s.H * w->ld;
  t.o = w->o + n * w->s.H * w->ld;
  t.state = w->state + n * w->s.H;
  t.scale = w->scale + item->b * w->s.Hkv;
  memset(t.o, 0, (size_t)(w->s.H * w->ld) * sizeof(float));
  for (int64_t h = 0; h < w->s.H; h++) t.state[h] = (struct softmax_state){-INFINITY, 0};
  decode_tile_layout(&t, scratch);
  decode_locate(&t, item->key, item->key_end, t.k_now, t.v_now);
  for (int64_t key = item->key; key < item->key_end && !pah_interrupted; key += DECODE_TOKENS) {
    t.tokens = tile_clamp(item->key_end - key, 0, DECODE_TOKENS);
    t.next = decode_locate(&t, key + DECODE_TOKENS, item->key_end, t.k_next, t.v_next);
    for (int64_t head = 0; head < w->s.Hkv; head++) decode_scores(&t, head);
    for (int64_t head = 0; head < w->s.Hkv; head++) decode_values(&t, head);
    memcpy(t.k_now, t.k_next, sizeof t.k_now);
    memcpy(t.v_now, t.v_next, sizeof t.v_now);
  }
}

/* ---- The end --------------------------------------------------------------------------------------------- */

/* Merges the states of head h of sequence b in the order of its pieces and stores the row. */
static void decode_store(const struct decode *w, int64_t b, int64_t h) {
  const struct pah_attn *a = w->a;
  float o[DECODE_MAX_D] = {0};
  struct softmax_state all = {-INFINITY, 0};
  int64_t D = w->s.D, begin = w->first_item[b], end = w->first_item[b + 1];
  for (int64_t n = begin; n < end; n++) {
    float m = w->state[n * w->s.H + h].m;
    all.m = m > all.m ? m : all.m;
  }
  for (int64_t n = begin; n < end; n++) {
    const struct softmax_state *one = w->state + n * w->s.H + h;
    const float *from = w->o + (n * w->s.H + h) * w->ld;
    if (one->l == 0.0f) continue;
    /* m is -inf beside a NaN sum only: the NaN then goes through as it is */
    float alpha = one->m == all.m ? 1.0f : one->m == -INFINITY ? one->l : expf(one->m - all.m);
    all.l += one->l * alpha;
    for (int64_t d = 0; d < D; d++) o[d] += from[d] * alpha;
  }
  float inverse = softmax_inverse(&all), scale = paged_descale(&a->v_descale, b, h / w->s.group) * paged_o_scale(a);
  for (int64_t d = 0; d < D; d++) o[d] = inverse == 0.0f ? 0.0f : o[d] * inverse * scale;
  row_store(paged_q_row(a, &w->s, &a->out, b, h, 0), a->out.dtype, o, D);
  *paged_lse(a, &w->s, b, h, 0) = softmax_lse(&all);
}

static int decode_alloc(struct decode *w, int64_t items, int threads) {
  int64_t rows = items * w->s.H;
  w->item = malloc((size_t)(items + 1) * sizeof *w->item);
  w->owner = malloc((size_t)(items + 1) * sizeof *w->owner);
  w->first_item = malloc((size_t)(w->s.B + 1) * sizeof *w->first_item);
  w->q = scratch_floats(w->s.B * w->s.H * w->ld);
  w->o = scratch_floats(rows * w->ld);
  w->scale = scratch_floats(w->s.B * w->s.Hkv);
  w->state = malloc((size_t)(rows + 1) * sizeof *w->state);
  w->scratch = scratch_floats(threads * decode_tile_floats(&w->s, w->ld));
  return w->item && w->owner && w->first_item && w->q && w->o && w->scale && w->state && w->scratch;
}

static void decode_free(struct decode *w) {
  free(w->item);
  free(w->owner);
  free(w->first_item);
  free(w->q);
  free(w->o);
  free(w->scale);
  free(w->state);
  free(w->scratch);
}

static int decode_run(const struct pah_attn *a, int threads) {
  struct decode w = {.a = a, .s = pah_attn_sizes(a)};
  w.ld = decode_row_floats(w.s.D);
  int64_t total, items = decode_count(&w, threads, &total);
  if (total < threads) threads = total > 1 ? (int)total : 1;
  if (!decode_alloc(&w, items, threads)) {
    decode_free(&w);
    return pah_fail(PAH_ENOMEM, "decode: no memory for the partial results of %lld pieces", (long long)items);
  }
  decode_plan(&w, total, threads);
  decode_load_q(&w);
  decode_load_scales(&w);
  int64_t floats = decode_tile_floats(&w.s, w.ld);
  int pinned = a->num_splits <= 0;
#pragma omp parallel num_threads(threads)
  {
    int me = omp_get_thread_num();
    if (pinned) {
      for (int64_t n = 0; n < w.items; n++)
        if (w.owner[n] == me) decode_item_run(&w, n, w.scratch + me * floats);
#pragma omp barrier
    } else {
#pragma omp for schedule(dynamic, 1)
      for (int64_t n = 0; n < w.items; n++) decode_item_run(&w, n, w.scratch + me * floats);
    }
#pragma omp for schedule(static)
    for (int64_t n = 0; n < w.s.B * w.s.H; n++) decode_store(&w, n / w.s.H, n % w.s.H);
  }
  decode_free(&w);
  return pah_interrupted ? pah_fail(PAH_EINTERRUPTED, "decode: interrupted") : PAH_OK;
}

#endif
