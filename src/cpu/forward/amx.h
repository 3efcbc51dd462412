/* cpu/forward/amx.h - a tile of query rows against a tile of keys where products go to the tile unit (cpu/gemm/amx.h).
 * They take little longer than the softmax then, and what counts is that S stays in the first-level cache: scores,
 * softmax and values of 32 rows come before the next 32, while panels of K and V stream from the second level. (To run
 * the softmax beside the products of other groups gains nothing: vectors and tiles share port 5,
 * doc/log/cpu-forward.md.) Read next: tile.h (the same by register tiles), run.h (who calls). */
#ifndef PAH_CPU_FORWARD_AMX_H
#define PAH_CPU_FORWARD_AMX_H

#include "tile.h"
#include "cpu/gemm/amx.h"

/* Rows of a tile at most, as FWD_ROWS: a multiple of AMX_ROWS. */
enum { FWD_AMX_ROWS = FWD_ROWS + FWD_SPARE };

/* s = q k^T in the panels that hold columns the group sees. */
static inline void fwd_amx_scores(struct fwd_tile *t, const struct fwd_group *g) {
  for (int64_t key = g->from; key < g->to; key += CELL_COLS) {
    amx_run((struct amx_block){t->q + g->m * t->ld, t->k + key * t->words, t->s + key, t->ld, CELL_COLS, FWD_LD,
                               t->words / AMX_SIDE, g->rows > AMX_SIDE, 0});
    fwd_prefetch(t);
  }
}

/* o += p v over the same columns. */
static inline void fwd_amx_values(struct fwd_tile *t, const struct fwd_group *g) {
  const uint32_t *p = (const uint32_t *)t->s + g->from / 2, *panel = t->v + g->from / 2 * CELL_COLS;
  for (int64_t d = 0; d < t->padded; d += CELL_COLS, panel += FWD_DEPTH * CELL_COLS) {
    amx_run((struct amx_block){p, panel, t->o + g->m * t->ld + d, FWD_LD, CELL_COLS, t->ld,
                               (g->to - g->from) / AMX_ROWS, g->rows > AMX_SIDE, 1});
    fwd_prefetch(t);
  }
}

static void fwd_amx_step(struct fwd_tile *t, const struct tile_mask *mask, const struct tile_step *at,
                         const struct fwd_score *score) {
  for (int64_t m = 0; m < at->rows; m += AMX_ROWS) {
    struct fwd_group g = fwd_group(t, mask, at, m, AMX_ROWS);
    if (g.low >= g.high) continue;
    fwd_amx_scores(t, &g);
    for (int64_t i = 0; i < g.rows; i++) {
      fwd_group_row(t, mask, at, &g, score, m + i, t->s + i * FWD_LD);
      fwd_prefetch(t);
    }
    if (g.masked && t->nonfinite)
      fwd_nonfinite_values(t, mask, at, m, g.rows, t->s);
    else
      fwd_amx_values(t, &g);
  }
}

#endif
