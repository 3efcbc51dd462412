/* cpu/decode/rows.h - the rows of q of a sequence: for each KV head those of all its heads and queries, row = query *
 * group + head in the group, which share every read of K and V. How many there are decides how they are multiplied, and
 * how they lie in memory meanwhile. Read next: tile.h. */
#ifndef PAH_CPU_DECODE_ROWS_H
#define PAH_CPU_DECODE_ROWS_H

#include "bf16x2.h"
#include "f16.h"
#include "many_softmax.h"
#include "cpu/mask.h"
#include "cpu/paged.h"
#include "cpu/vec/rows.h"

/* DECODE_DIRECT: rows up to which a row of K or V is widened anew for every four; DECODE_DIRECT_PAIRS: those of several
 * queries, where pairs of bf16 are multiplied faster. */
enum { DECODE_DIRECT = 8, DECODE_DIRECT_PAIRS = 4 };

struct decode_rows {
  int64_t queries, rows; /* of the sequence; of a KV head: queries x group */
  int64_t room;          /* rows of a KV head in memory: products take whole blocks */
  int64_t ld, ld_o;      /* floats from a row of q to the next, in widen.h's order; of o */
  int many, lanes;       /* more rows than that; and by multiply-adds, so that they are lanes of p */
  int way;               /* of `many`: many_rows.h (BF16_FMA), or one of bf16x2.h */
  int dtype, direct;     /* whose order q and o have; whether the kernels take the cache's own rows */
};

/* The kernels take rows of the cache as they lie in memory, or, where those are shorter than a strip or shared by many,
 * widened first: for many that costs less than widening them for every four. */
static struct decode_rows decode_rows_of(const struct pah_attn *a, const struct pah_attn_sizes *s, int way, int64_t b) {
  int64_t first, strip = widen_vectors(a->k_blocks.dtype) * CELL_VECTOR, block;
  struct decode_rows r = {0};
  pah_q_range(a, s, b, &first, &r.queries);
  r.rows = r.queries * s->group;
  r.many = r.rows > (r.queries > 1 && way != BF16_FMA ? DECODE_DIRECT_PAIRS : DECODE_DIRECT);
  r.way = r.many ? way : BF16_FMA;
  r.direct = !r.many && s->D >= strip && s->Dv >= strip;
  r.lanes = r.many && r.way == BF16_FMA;
  r.dtype = r.direct || r.lanes ? a->k_blocks.dtype : PAH_F32;
  r.ld = widen_row_floats(s->D, r.dtype);
  r.ld_o = widen_row_floats(s->Dv, r.dtype);
  block = r.lanes ? CELL_VECTOR : r.many ? AMX_SIDE : 1;
  r.room = (r.rows + block - 1) / block * block;
  return r;
}

/* Floats of q of a KV head: rows `ld` apart, or as many_rows.h or bf16x2.h has them. */
static int64_t decode_rows_floats(const struct decode_rows *r, int64_t D) {
  return r->way != BF16_FMA ? r->room * D / 2 : r->room * r->ld;
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

/* Row n of KV head `head` of q, which lies at `from`, in the order in which the kernels have K; `q`: of that head.
 * Scratch of whole rows is 0 behind D. */
static void decode_rows_load(const struct decode_rows *r, const struct pah_attn_sizes *s, float *q, int64_t n,
                             const char *from, int dtype) {
  float row[PAH_MAX_D], ordered[PAH_MAX_D];
  if (r->way != BF16_FMA) {
    decode_pairs_load_q((uint32_t *)q, n, s->D / 2, from, r->way);
    return;
  }
  row_load(row, from, dtype, s->D);
  memset(row + s->D, 0, (size_t)(r->ld - s->D) * sizeof *row);
  if (r->lanes) {
    widen_to_order(ordered, row, r->dtype, r->ld);
    decode_many_load_q(q, n, ordered, r->ld);
    return;
  }
  if (r->direct) decode_split_tail(row, s->D, r->ld, widen_vectors(r->dtype) * CELL_VECTOR);
  widen_to_order(q + n * r->ld, row, r->dtype, r->ld);
}

/* A row of o to its elements' own order, `row` with room for ld_o. */
static void decode_rows_order(const struct decode_rows *r, int64_t Dv, float *row, const float *o) {
  widen_from_order(row, o, r->dtype, r->ld_o);
  if (r->direct) decode_join_tail(row, Dv, r->ld_o, widen_vectors(r->dtype) * CELL_VECTOR);
}

#endif
