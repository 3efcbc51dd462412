/* cpu/forward/panels.h - the KV streams of a forward pass, one for each sequence and KV head, and their K and V packed
 * into panels once for all tiles of rows, where there are several: packing them for each tile of 480 rows took 5 % of
 * the time of prefill. KV streams are taken in waves whose panels together stay small, so that cpu/scratch.h can keep
 * their memory from call to call. Read next: cpu/gemm/pack.h (how panels are laid out), run.h (who takes the waves). */
#ifndef PAH_CPU_FORWARD_PANELS_H
#define PAH_CPU_FORWARD_PANELS_H

#include "tile.h"
#include "cpu/paged.h"

/* Bytes of the panels of a wave: at least this, and so much for each thread, so that a wave has work for all. */
enum { FWD_WAVE = 24 << 20, FWD_WAVE_THREAD = 8 << 20 };

struct fwd_kv_stream {
  int64_t b, head;
  int64_t rows; /* of queries, flat */
  int64_t tiles, tile_rows;
  int64_t key, end;   /* what any of them sees */
  int64_t key_tiles;  /* of panels; 0: every tile of rows packs what it sees */
  uint32_t *panels;   /* [key_tiles] of K's and V's, in the arena of its wave */
  uint8_t *nonfinite; /* [key_tiles]: V holds a NaN or an infinity */
};

/* What all KV streams have in common. */
struct fwd_kv_streams {
  const struct pah_attn *a;
  const struct pah_attn_sizes *s;
  int bf16x2;
  int64_t row_group;               /* rows that are multiplied at a time */
  int64_t keys, whole;             /* of a tile; V is packed to a multiple of `whole` */
  int64_t k_words, v_words;        /* of a tile's panels */
  int64_t count, tiles;            /* tiles: of rows, of the longest KV stream */
  int64_t key_tiles;               /* of the longest KV stream that has panels */
  struct fwd_kv_stream *kv_stream; /* [count] */
  uint32_t *arena;
  uint8_t *nonfinite; /* [count][key_tiles] */
};

/* The keys that KV stream `at` sees and how it is cut. Panels hold nothing that no row sees: what lies before a window
 * may not be there any more. */
static void fwd_kv_stream_init(const struct fwd_kv_streams *all, struct fwd_kv_stream *at, int64_t tile_rows,
                               int64_t budget) {
  struct tile_mask mask = tile_mask(all->a, all->s, at->b);
  at->rows = mask.len_q * all->s->group;
  at->tiles = (at->rows + tile_rows - 1) / tile_rows;
  if (!at->tiles) return;
  int64_t even = (at->rows + at->tiles - 1) / at->tiles; /* all alike */
  at->tile_rows = (even + all->row_group - 1) / all->row_group * all->row_group;
  tile_keys_of(&mask, 0, at->rows, &at->key, &at->end);
  int64_t key_tiles = at->end > at->key ? (at->end - at->key + all->keys - 1) / all->keys : 0;
  if (at->tiles > 1 && key_tiles * (all->k_words + all->v_words) * 4 <= budget) at->key_tiles = key_tiles;
}

/* The first KV stream of the wave after that from `first` on; gives the KV streams of that wave their places in the
 * arena and counts its words. */
static int64_t fwd_wave(const struct fwd_kv_streams *all, int64_t first, int64_t budget, int64_t *words) {
  int64_t n = first;
  *words = 0;
  for (; n < all->count; n++) {
    struct fwd_kv_stream *at = all->kv_stream + n;
    int64_t own = at->key_tiles * (all->k_words + all->v_words);
    if (*words && (*words + own) * 4 > budget) break;
    at->panels = all->arena ? all->arena + *words : NULL;
    at->nonfinite = all->nonfinite ? all->nonfinite + n * all->key_tiles : NULL;
    *words += own;
  }
  return n;
}

/* Finds the KV streams, their tiles and the memory of their panels; 0 without memory. Everything is freed by
 * fwd_kv_streams_free. */
static int fwd_kv_streams_init(struct fwd_kv_streams *all, int64_t tile_rows, int64_t budget) {
  all->count = all->s->B * all->s->Hkv;
  all->kv_stream = calloc((size_t)all->count + 1, sizeof *all->kv_stream);
  if (!all->kv_stream) return 0;
  for (int64_t n = 0; n < all->count; n++) {
    struct fwd_kv_stream *at = all->kv_stream + n;
    at->b = n / all->s->Hkv, at->head = n % all->s->Hkv;
    fwd_kv_stream_init(all, at, tile_rows, budget);
    all->tiles = at->tiles > all->tiles ? at->tiles : all->tiles;
    all->key_tiles = at->key_tiles > all->key_tiles ? at->key_tiles : all->key_tiles;
  }
  if (!all->key_tiles) return 1;
  int64_t largest = 0, words;
  for (int64_t first = 0; first < all->count;) {
    first = fwd_wave(all, first, budget, &words);
    largest = words > largest ? words : largest;
  }
  all->arena = (uint32_t *)pah_scratch_floats(largest);
  all->nonfinite = malloc((size_t)(all->count * all->key_tiles));
  return all->arena && all->nonfinite;
}

static void fwd_kv_streams_free(struct fwd_kv_streams *all) {
  free(all->kv_stream);
  pah_scratch_free(all->arena);
  free(all->nonfinite);
}

/* Where the rows of the keys [key, key + keys) lie; lists end in zeros, as cpu/gemm/pack.h wants them. */
static void fwd_locate_rows(const struct fwd_kv_streams *all, const struct fwd_kv_stream *kv_stream, int64_t key,
                            int64_t keys, const char **k_rows, const char **v_rows) {
  paged_rows(all->a, all->s, &all->a->k_blocks, kv_stream->b, kv_stream->head, key, keys, k_rows);
  paged_rows(all->a, all->s, &all->a->v_blocks, kv_stream->b, kv_stream->head, key, keys, v_rows);
  for (int64_t j = keys; j % CELL_COLS; j++) k_rows[j] = v_rows[j] = pack_zeros;
}

/* Packs a tile of `keys` keys from the lists of its rows; returns whether V holds a NaN or an infinity. */
static int fwd_pack(const struct fwd_kv_streams *all, uint32_t *k, uint32_t *v, const char *const *k_rows,
                    const char *const *v_rows, int64_t keys) {
  pack_keys(k, k_rows, keys, all->s->D, all->a->k_blocks.dtype, all->bf16x2);
  keys = (keys + all->whole - 1) / all->whole * all->whole;
  return pack_values(v, FWD_DEPTH * CELL_COLS, v_rows, keys, all->s->Dv, all->a->v_blocks.dtype, all->bf16x2);
}

/* Packs tile i of a KV stream, if it has that many. */
static void fwd_pack_tile(const struct fwd_kv_streams *all, const struct fwd_kv_stream *kv_stream, int64_t i) {
  if (i >= kv_stream->key_tiles) return;
  const char *k_rows[FWD_KEYS], *v_rows[FWD_KEYS];
  int64_t key = kv_stream->key + i * all->keys, keys = tile_clamp(kv_stream->end - key, 0, all->keys);
  uint32_t *k = kv_stream->panels + i * (all->k_words + all->v_words);
  fwd_locate_rows(all, kv_stream, key, keys, k_rows, v_rows);
  kv_stream->nonfinite[i] = (uint8_t)fwd_pack(all, k, k + all->k_words, k_rows, v_rows, keys);
}

#endif
