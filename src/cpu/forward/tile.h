/* cpu/forward/tile.h - a tile of query rows against a tile of keys: S = Q K^T, softmax, O += P V. Panels of K and V
 * stay in L1 while the row groups of Q, S and O pass by from L2 (Goto's order); what the mask leaves out is left out by
 * panels of columns in the first product and by the depth of a row group in the second.
 * Read next: cpu/gemm/f32.h, cpu/gemm/bf16.h (the products), cpu/gemm/pack.h, softmax.h. */
#ifndef PAH_CPU_FORWARD_TILE_H
#define PAH_CPU_FORWARD_TILE_H

#include "softmax.h"
#include "cpu/gemm/pack.h"
#include "cpu/mask.h"

/* At most; run.h chooses. Rows of Q, O and S lie a constant 17 lines apart, for every D up to 256: an odd number of
 * lines spreads columns over all sets of the caches, and only what is used takes room in them. Of a wider D or Dv rows
 * of Q and O lie another constant apart, FWD_WIDE_LD (fwd_dot says why constants). At D = 128 240 rows
 * take 120 KiB of each of Q, O and S and 128 of panels, half a MiB; 360 and 480 were no faster. With 128 keys a panel
 * of V takes 16 KiB of L1, as with 256 in pairs of bf16; 256 keys in f32 were 2 % slower. FWD_ROWS and halves of it
 * down to FWD_MIN_ROWS are multiples of every CELL_ROWS, FWD_DEPTH of every CELL_COLS. FWD_DEPTH: words of a column of
 * V's panels, as many as keys or half. FWD_SPARE: rows that the last row group of a tile may have too many. */
enum {
  FWD_ROWS = 240,
  FWD_MIN_ROWS = 60,
  FWD_KEYS = 256,
  FWD_DEPTH = FWD_KEYS / 2,
  FWD_LD = FWD_KEYS + 16,
  FWD_WIDE_LD = PAH_MAX_D + 16,
  FWD_SPARE = 16
};

/* A thread's scratch. A word is an f32 or, if `bf16x2`, two bf16. Arrays of rows have FWD_SPARE more. */
struct fwd_tile {
  int64_t D, Dv, words, padded;     /* words of a row of q; Dv in whole CELL_COLS */
  int64_t ld;                       /* FWD_LD or FWD_WIDE_LD */
  int bf16x2, nonfinite;            /* nonfinite: v holds a NaN or an infinity */
  uint32_t *q;                      /* [FWD_ROWS][ld] words */
  float *s;                         /* [FWD_ROWS][FWD_LD]: q k, then P in words */
  float *o;                         /* [FWD_ROWS][ld]: output, unnormalised */
  uint32_t *k, *v;                  /* panels of [words][CELL_COLS] and of [FWD_DEPTH][CELL_COLS] */
  struct softmax_state *state;      /* [FWD_ROWS] */
  const char **k_rows, **v_rows;    /* [FWD_KEYS]: of the tile to be packed, then of what is to be prefetched */
  int64_t fetch, fetch_end, stride; /* rows of them left to prefetch: K's, then V's, `stride` at a time */
  int64_t k_bytes, v_bytes;         /* of a row */
};

/* Lays the arrays out from `at` (NULL: only counts); returns the floats needed. */
static int64_t fwd_layout(struct fwd_tile *t, int64_t D, int64_t Dv, char *at) {
  t->D = D;
  t->Dv = Dv;
  t->padded = (Dv + CELL_COLS - 1) / CELL_COLS * CELL_COLS;
  t->ld = t->padded > FWD_KEYS || D > FWD_KEYS ? FWD_WIDE_LD : FWD_LD;
  int64_t rows = (FWD_ROWS + FWD_SPARE) * t->ld * 4, used = 0;
  struct {
    void *array;
    int64_t bytes;
  } parts[] = {{&t->q, rows},
               {&t->o, rows},
               {&t->s, (FWD_ROWS + FWD_SPARE) * FWD_LD * 4},
               {&t->k, FWD_KEYS / 2 * D * 4},
               {&t->v, FWD_DEPTH * t->padded * 4},
               {&t->state, (FWD_ROWS + FWD_SPARE) * (int64_t)sizeof(struct softmax_state)},
               {&t->k_rows, FWD_KEYS * (int64_t)sizeof(char *)},
               {&t->v_rows, FWD_KEYS * (int64_t)sizeof(char *)}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *array = at + used;
    if (at) memcpy(parts[i].array, &array, sizeof array); /* pointers of several types: assigned as bytes */
    used += (parts[i].bytes + 63) / 64 * 64;
  }
  return used / 4;
}

/* The next rows of the tile after this one, to the second-level cache: they lie scattered, so the processor does not
 * foresee them. A few for each register tile, never many at once. */
static inline void fwd_prefetch(struct fwd_tile *t) {
  int64_t stop = tile_clamp(t->fetch + t->stride, 0, t->fetch_end);
  for (; t->fetch < stop; t->fetch++) {
    int64_t half = t->fetch_end / 2;
    const char *row = t->fetch < half ? t->k_rows[t->fetch] : t->v_rows[t->fetch - half];
    int64_t bytes = t->fetch < half ? t->k_bytes : t->v_bytes;
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i, 0, 2);
  }
}

/* ---- The products --------------------------------------------------------------------------------------------------
 */

/* `ld` is a constant where this is called: t->ld. */
static inline __attribute__((always_inline)) void fwd_dot_as(const struct fwd_tile *t, int64_t m, const uint32_t *panel,
                                                             float *s, int64_t ld) {
  if (BF16_HAS_DOTS && t->bf16x2) {
    cell_dots(t->words, (struct cell_bf16x2){t->q + m * ld, ld, 1}, panel, CELL_COLS, s, FWD_LD, 0);
    return;
  }
  cell_full(t->words, (struct cell_a){(const float *)t->q + m * ld, ld, 1}, (const float *)panel, CELL_COLS, s, FWD_LD,
            0);
}

/* A cell each for both distances of rows: as constants they stand in its instructions (cpu/gemm/f32.h). */
static inline void fwd_dot(const struct fwd_tile *t, int64_t m, const uint32_t *panel, float *s) {
  if (t->ld == FWD_LD)
    fwd_dot_as(t, m, panel, s, FWD_LD);
  else
    fwd_dot_as(t, m, panel, s, FWD_WIDE_LD);
}

/* s = q k^T where anything is visible. */
static void fwd_scores(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at) {
  const uint32_t *panel = t->k;
  for (int64_t key = 0; key < at->keys; key += CELL_COLS, panel += t->words * CELL_COLS) {
    int64_t first, end;
    tile_rows_of(mask, at->key + key, at->key + tile_clamp(key + CELL_COLS, 0, at->keys), &first, &end);
    first = tile_clamp(first - at->row, 0, at->rows);
    end = tile_clamp(end - at->row, 0, at->rows);
    for (int64_t m = first / CELL_ROWS * CELL_ROWS; m < end; m += CELL_ROWS) {
      fwd_dot(t, m, panel, t->s + m * FWD_LD + key);
      fwd_prefetch(t);
    }
  }
}

/* Visible columns of `count` rows of the tile. */
static inline void fwd_columns(const struct tile_mask *mask, const struct tile_step *at, int64_t m, int64_t count,
                               int64_t *first, int64_t *end) {
  tile_keys_of(mask, at->row + m, at->row + m + count, first, end);
  *first = tile_clamp(*first - at->key, 0, at->keys);
  *end = tile_clamp(*end - at->key, 0, at->keys);
}

/* Rows that are multiplied at a time, and what they see of a tile of keys. */
struct fwd_group {
  int64_t m, rows;
  /* The columns that any of them sees, from its first row's to its last row's end; low >= high: none. */
  int64_t low, high;
  int64_t from, to; /* the same in whole vectors (two for bf16x2): what is multiplied */
  int whole_rows;   /* all of them see the same */
  int masked;       /* a pair with the tile's keys is left out */
};

static inline struct fwd_group fwd_group(const struct fwd_tile *t, const struct tile_mask *mask,
                                         const struct tile_step *at, int64_t m, int64_t most) {
  int64_t whole = t->bf16x2 ? 2 * CELL_VECTOR : CELL_VECTOR, all, none;
  struct fwd_group g = {.m = m, .rows = tile_clamp(at->rows - m, 0, most), .masked = 1};
  fwd_columns(mask, at, m, g.rows, &g.low, &g.high);
  if (g.low >= g.high) return g;
  if (mask->tree) {
    int64_t query = (at->row + m) / mask->group, query_end = (at->row + m + g.rows - 1) / mask->group + 1;
    g.whole_rows = !tile_tree_hides(mask, query, query_end, at->key, at->key + g.high);
  } else {
    fwd_columns(mask, at, m + g.rows - 1, 2 - g.rows, &all, &none); /* all see: from its last row's to its first's */
    g.whole_rows = all <= g.low && none >= g.high;
  }
  g.masked = !g.whole_rows || g.low > 0 || g.high < at->keys;
  g.from = g.low / whole * whole;
  g.to = (g.high + whole - 1) / whole * whole;
  return g;
}

/* The softmax of row i, one of the group's, whose q k are s. */
static inline void fwd_group_row(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                                 const struct fwd_group *g, const struct fwd_score *score, int64_t i, float *s) {
  int64_t first = g->low, end = g->high;
  if (!g->whole_rows) fwd_columns(mask, at, i, 1, &first, &end);
  if (score->softcap > 0) fwd_cap(s, g->from, g->to, score);
  if (first > g->from || end < g->to) fwd_mask(s, g->from, g->to, first, end);
  if (mask->tree && !g->whole_rows) tile_tree_hide(mask, (at->row + i) / mask->group, at->key, end, s);
  fwd_softmax_row(&t->state[i], s, g->from, g->to, score, t->o + i * t->ld, t->padded);
}

/* The softmax of every row, over the columns that its row group will multiply; returns whether any pair was masked. */
static int fwd_softmax(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                       const struct fwd_score *score) {
  int masked = 0;
  for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
    struct fwd_group g = fwd_group(t, mask, at, m, CELL_ROWS);
    masked |= g.masked;
    for (int64_t i = m; i < m + g.rows && g.low < g.high; i++) {
      fwd_group_row(t, mask, at, &g, score, i, t->s + i * FWD_LD);
      fwd_prefetch(t);
    }
  }
  return masked;
}

static inline __attribute__((always_inline)) void fwd_weigh_as(const struct fwd_tile *t, int64_t m, int64_t first,
                                                               int64_t end, const uint32_t *panel, float *o,
                                                               int64_t ld) {
  if (BF16_HAS_DOTS && t->bf16x2) {
    first /= 2;
    cell_dots((end + 1) / 2 - first, (struct cell_bf16x2){(const uint32_t *)t->s + m * FWD_LD + first, FWD_LD, 1},
              panel + first * CELL_COLS, CELL_COLS, o, ld, 1);
    return;
  }
  cell_full(end - first, (struct cell_a){t->s + m * FWD_LD + first, FWD_LD, 1},
            (const float *)panel + first * CELL_COLS, CELL_COLS, o, ld, 1);
}

static inline void fwd_weigh(const struct fwd_tile *t, int64_t m, int64_t first, int64_t end, const uint32_t *panel,
                             float *o) {
  if (t->ld == FWD_LD)
    fwd_weigh_as(t, m, first, end, panel, o, FWD_LD);
  else
    fwd_weigh_as(t, m, first, end, panel, o, FWD_WIDE_LD);
}

/* o += p v over the keys that a group of rows sees. */
static void fwd_values(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at) {
  const uint32_t *panel = t->v;
  for (int64_t d = 0; d < t->padded; d += CELL_COLS, panel += FWD_DEPTH * CELL_COLS)
    for (int64_t m = 0; m < at->rows; m += CELL_ROWS) {
      int64_t first, end;
      fwd_columns(mask, at, m, tile_clamp(at->rows - m, 0, CELL_ROWS), &first, &end);
      if (first < end) fwd_weigh(t, m, first, end, panel, t->o + m * t->ld + d);
      fwd_prefetch(t);
    }
}

/* Element j of a row of words: half of a pair or an f32. */
static inline float fwd_element(const struct fwd_tile *t, const uint32_t *row, int64_t step, int64_t j) {
  uint32_t word = row[(t->bf16x2 ? j / 2 : j) * step];
  if (t->bf16x2) word = j % 2 ? word & 0xffff0000u : word << 16;
  float x;
  memcpy(&x, &word, sizeof x);
  return x;
}

/* The same pair by pair, of `rows` rows whose P begins at s: 0 times a NaN or an infinity is a NaN, so the zeros that
 * stand for masked pairs must not be multiplied with such values. */
static void fwd_nonfinite_values(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                                 int64_t from, int64_t rows, const float *s) {
  for (int64_t m = from; m < from + rows; m++, s += FWD_LD) {
    int64_t first, end;
    fwd_columns(mask, at, m, 1, &first, &end);
    int64_t query = (at->row + m) / mask->group;
    for (int64_t j = first; j < end; j++) {
      if (mask->tree && tile_tree_hides(mask, query, query + 1, at->key + j, at->key + j + 1)) continue;
      float p = fwd_element(t, (const uint32_t *)s, 1, j);
      for (int64_t d = 0; d < t->Dv; d++) {
        const uint32_t *column = t->v + d / CELL_COLS * FWD_DEPTH * CELL_COLS + d % CELL_COLS;
        t->o[m * t->ld + d] += p * fwd_element(t, column, CELL_COLS, j);
      }
    }
  }
}

#endif
