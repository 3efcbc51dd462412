/* cpu/backward/tile.h - a tile of keys against a tile of query rows of one KV head: how large they are, what a thread
 * holds of them, and which of their rows and keys see each other. Query rows are counted flat, row = query * group +
 * head in the group, so that the heads of a KV head share its tiles. Read next: step.h (what is done with them), rows.h
 * (what fills and empties them). */
#ifndef PAH_CPU_BACKWARD_TILE_H
#define PAH_CPU_BACKWARD_TILE_H

#include "cpu/bf16_way.h"
#include "cpu/gemm/f32.h"
#include "cpu/mask.h"

/* Multiples of every CELL_ROWS and CELL_COLS. Many keys, since every tile of keys loads all its query rows again; at
 * D = 128 the arrays of a thread take 1.1 MiB of a second-level cache.
 * Rows lie a constant number of words apart, one for every D up to 256 and one for wider ones: a cell then addresses
 * all its rows from one register. It is an odd number of lines, so that a column of rows spreads over all sets of L1
 * instead of a few. */
enum {
  BWD_KEYS = 288,
  BWD_ROWS = 96,
  BWD_NARROW_D = 256,
  BWD_LD = BWD_NARROW_D + 16,
  BWD_WIDE_LD = PAH_MAX_D + 16,
  BWD_SCORES_LD = BWD_KEYS + 16,
  BWD_DS_LD = BWD_KEYS / 2 + 32 /* of a row of dS in pairs */
};

/* A thread's scratch. A word is an f32 or, if `bf16x2`, a pair of bf16, (2n, 2n + 1). What is multiplied by its rows is
 * then there a second time, two rows in a word, in panels of CELL_COLS columns. */
struct bwd_tile {
  int64_t D, Dv, padded, padded_v;  /* of q and K; of V and dout; both rounded up to CELL_COLS */
  int64_t ld;                       /* BWD_LD or BWD_WIDE_LD */
  int bf16x2, amx;                  /* by the tile unit, and so in pairs (products_amx.h) */
  uint32_t *q, *dout;               /* [BWD_ROWS][ld] words */
  uint32_t *q_bf16x2, *dout_bf16x2; /* panels [BWD_ROWS / 2][CELL_COLS] */
  uint32_t *q_t, *dout_t;           /* if amx, transposed: [D][BWD_ROWS / 2] */
  float *lse, *delta;               /* [BWD_ROWS] */
  float *k;                         /* [BWD_KEYS][ld] */
  uint32_t *k_bf16x2;               /* panels [BWD_KEYS / 2][CELL_COLS] */
  uint32_t *kt, *vt;                /* transposed: panels [words of D][CELL_COLS] */
  float *s, *dp;                    /* [BWD_ROWS][BWD_SCORES_LD]: scores, then P; dP, then dS without its factor */
  uint32_t *p_bf16x2, *ds_bf16x2;   /* two rows in a word: [BWD_ROWS / 2][BWD_SCORES_LD] */
  uint32_t *ds_rows;                /* [BWD_ROWS][BWD_DS_LD] */
  float *dk, *dv;                   /* [BWD_KEYS][ld], sums over the query tiles */
  const char **k_rows, **v_rows;    /* [BWD_KEYS]: where the keys lie */
  const char **ahead;               /* [2 * BWD_ROWS]: rows of q and dout that are loaded next */
  int64_t ahead_rows, ahead_bytes[2];
  int nonfinite_keys; /* k or v hold a NaN or an infinity */
  int nonfinite_rows; /* q or dout do */
  int dead_rows;      /* some row has lse = -inf */
};

/* Lays the arrays out from `at` (NULL: only counts) for products in one of the ways of cpu/bf16_way.h; returns the
 * floats needed. */
static int64_t bwd_tile_layout(struct bwd_tile *t, int64_t D, int64_t Dv, int way, float *at) {
  int bf16x2 = way != BF16_FMA;
  t->D = D;
  t->Dv = Dv;
  t->bf16x2 = bf16x2;
  t->amx = way == BF16_AMX;
  t->padded = (D + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  t->padded_v = (Dv + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  t->ld = D > BWD_NARROW_D || Dv > BWD_NARROW_D ? BWD_WIDE_LD : BWD_LD;
  /* cells read and write whole groups of CELL_ROWS rows: room for one behind the last */
  int64_t rows = BWD_ROWS + CELL_ROWS, half = bf16x2 ? 2 : 0, panels = BWD_KEYS * (bf16x2 ? 2 : 4);
  /* with tiles dk and dv are transposed (products_amx.h) */
  int64_t sums = BWD_KEYS * t->ld, sums_t = t->amx * (D > Dv ? D : Dv) * BWD_SCORES_LD;
  sums = sums > sums_t ? sums : sums_t;
  struct {
    void *array;
    int64_t bytes;
  } parts[] = {{&t->q, rows * t->ld * 4},
               {&t->dout, rows * t->ld * 4},
               {&t->q_bf16x2, BWD_ROWS * t->padded * half},
               {&t->dout_bf16x2, BWD_ROWS * t->padded_v * half},
               {&t->q_t, t->amx * BWD_ROWS * D * 2},
               {&t->dout_t, t->amx * BWD_ROWS * Dv * 2},
               {&t->lse, BWD_ROWS * 4},
               {&t->delta, BWD_ROWS * 4},
               {&t->k, bf16x2 ? 0 : BWD_KEYS * t->ld * 4},
               {&t->k_bf16x2, BWD_KEYS * t->padded * half},
               {&t->kt, panels * D},
               {&t->vt, panels * Dv},
               {&t->s, rows * BWD_SCORES_LD * 4},
               {&t->dp, rows * BWD_SCORES_LD * 4},
               {&t->p_bf16x2, BWD_ROWS * BWD_SCORES_LD * half},
               {&t->ds_bf16x2, BWD_ROWS * BWD_SCORES_LD * half},
               {&t->ds_rows, rows * BWD_DS_LD * 2 * half},
               {&t->dk, sums * 4},
               {&t->dv, sums * 4},
               {&t->k_rows, BWD_KEYS * (int64_t)sizeof(char *)},
               {&t->v_rows, BWD_KEYS * (int64_t)sizeof(char *)},
               {&t->ahead, 2 * BWD_ROWS * (int64_t)sizeof(char *)}};
  int64_t used = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *array = (char *)at + used;
    if (at) memcpy(parts[i].array, &array, sizeof array); /* pointers of several types: assigned as bytes */
    used += (parts[i].bytes + 63) / 64 * 64;
  }
  return used / 4;
}

/* ---- What a step sees ------------------------------------------------------------------------------------ */

/* Rows [*first, *end) of the step that see at least one of the n keys from its key `key` on. */
static void bwd_rows_at(const struct tile_mask *mask, const struct tile_step *at, int64_t key, int64_t n,
                        int64_t *first, int64_t *end) {
  tile_rows_of(mask, at->key + key, at->key + tile_clamp(key + n, 0, at->keys), first, end);
  *first = tile_clamp(*first - at->row, 0, at->rows);
  *end = tile_clamp(*end - at->row, 0, at->rows);
}

/* Keys [*first, *end) of the step that at least one of the n rows from its row `m` on sees. */
static void bwd_keys_at(const struct tile_mask *mask, const struct tile_step *at, int64_t m, int64_t n, int64_t *first,
                        int64_t *end) {
  tile_keys_of(mask, at->row + m, at->row + tile_clamp(m + n, 0, at->rows), first, end);
  *first = tile_clamp(*first - at->key, 0, at->keys);
  *end = tile_clamp(*end - at->key, 0, at->keys);
}

/* Rows of a tile of dQ: whole groups of every CELL_ROWS and of the 16 rows of a tile register. */
static int64_t bwd_dq_rows(int64_t rows) {
  enum { GROUP = 48 };
  _Static_assert(GROUP % CELL_ROWS == 0 && GROUP % 16 == 0 && BWD_ROWS % GROUP == 0, "no group is cut");
  return (rows + GROUP - 1) / GROUP * GROUP;
}

#endif
