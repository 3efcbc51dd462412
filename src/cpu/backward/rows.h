/* cpu/backward/rows.h - what passes between memory and the tiles of the backward pass: rows of q and dout, of K and V
 * through the block table, of the three gradients; and delta, which is a sum over a row. Read next: run.h. */
#ifndef PAH_CPU_BACKWARD_ROWS_H
#define PAH_CPU_BACKWARD_ROWS_H

#include "plan.h"
#include "products_amx.h"
#include "cpu/gemm/pack.h"
#include "cpu/paged.h"
#include "cpu/vec/rows.h"

/* row_load that also keeps the larger magnitudes, to tell NaN and infinities: in the same pass, since a second one over
 * the tile costs as much again as the first, 2 % of the whole. */
static inline __attribute__((always_inline)) void bwd_load_as(float *restrict dst, const char *restrict src, int64_t n,
                                                              lanes_u32 *largest, int dtype) {
  lanes_u32 most = *largest;
  for (int64_t i = 0; i < n; i += CELL_VECTOR) {
    cell_vector x = pack_part(src, i, n, dtype); /* zeros in the padding of the row */
    most = pack_larger(most, x);
    cell_store(dst + i, x);
  }
  *largest = most;
}

static void bwd_load(float *restrict dst, const char *restrict src, int dtype, int64_t n, lanes_u32 *largest) {
  switch (dtype) {
  case PAH_F32: bwd_load_as(dst, src, n, largest, PAH_F32); break;
  case PAH_F16: bwd_load_as(dst, src, n, largest, PAH_F16); break;
  default: bwd_load_as(dst, src, n, largest, PAH_BF16);
  }
}

static int bwd_is_nonfinite(lanes_u32 largest) {
  int nonfinite = 0;
  for (int i = 0; i < CELL_VECTOR; i++) nonfinite |= largest[i] >= 0x7f800000;
  return nonfinite;
}

/* ---- Query rows ------------------------------------------------------------------------------------------ */

static inline __attribute__((always_inline)) float bwd_dot_as(const char *a, const char *b, int64_t n, int dtype) {
  cell_vector sum = {0};
  for (int64_t i = 0; i < n; i += CELL_VECTOR) sum += pack_part(a, i, n, dtype) * pack_part(b, i, n, dtype);
  return lanes_sum(sum);
}

static float bwd_dot(const char *a, const char *b, int64_t n, int dtype) {
  switch (dtype) {
  case PAH_F32: return bwd_dot_as(a, b, n, PAH_F32);
  case PAH_F16: return bwd_dot_as(a, b, n, PAH_F16);
  default: return bwd_dot_as(a, b, n, PAH_BF16);
  }
}

/* delta = rowsum(dout * out), which is what the softmax's gradient subtracts from dP. Called by all threads of one
 * parallel region, which do not wait for each other between sequences. */
static void bwd_delta(const struct bwd *w, int64_t b) {
  const struct pah_attn *a = w->a;
  int64_t first, len_q;
  pah_q_range(a, &w->s, b, &first, &len_q);
  float *delta = w->delta + (w->s.ragged ? first : b * len_q) * w->s.H;
#pragma omp for schedule(static) nowait
  for (int64_t n = 0; n < len_q * w->s.H; n++) {
    int64_t h = n / len_q, i = n % len_q; /* the order of the rows in memory, mostly */
    delta[i * w->s.H + h] =
        bwd_dot(paged_q_row(a, &w->s, &a->out, b, h, i), paged_q_row(a, &w->s, &a->dout, b, h, i), w->s.Dv, a->q.dtype);
  }
}

/* Whether a row with that lse saw nothing but its sink: the lse is the sink then, and out is 0. */
static int bwd_only_sink(const struct bwd *w, int64_t b, int64_t h, int64_t i, float lse) {
  if (w->a->sinks.dtype == PAH_NONE || !(lse == paged_sink(w->a, h))) return 0;
  float out[PAH_MAX_D];
  int64_t d = 0;
  row_load(out, paged_q_row(w->a, &w->s, &w->a->out, b, h, i), w->a->out.dtype, w->s.Dv);
  while (d < w->s.Dv && out[d] == 0.0f) d++;
  return d == w->s.Dv;
}

/* dsinks = -sum over rows of e^(sink - lse) delta, every head by one thread in the order of its rows. A sink that is
 * infinite has no slope. */
static void bwd_sinks(const struct bwd *w) {
  const struct pah_attn *a = w->a;
#pragma omp parallel for num_threads(w->threads) schedule(dynamic, 1)
  for (int64_t h = 0; h < w->s.H; h++) {
    float sink = paged_sink(a, h);
    double sum = 0;
    for (int64_t b = 0; b < w->s.B && !isinf(sink); b++) {
      int64_t first, len_q;
      pah_q_range(a, &w->s, b, &first, &len_q);
      const float *delta = w->delta + (w->s.ragged ? first : b * len_q) * w->s.H + h;
      for (int64_t i = 0; i < len_q; i++) {
        float lse = *paged_lse(a, &w->s, b, h, i);
        if (lse != -INFINITY && !bwd_only_sink(w, b, h, i, lse)) sum -= exp((double)sink - lse) * delta[i * w->s.H];
      }
    }
    ((float *)a->dsinks.data)[h * a->dsinks.stride[0]] = (float)sum;
  }
}

/* Where the rows of tile r of KV head `head` lie in q and dout: the next that t will load. */
static void bwd_look_ahead(const struct bwd *w, struct bwd_tile *t, const struct bwd_rows *r, int64_t head) {
  const struct pah_attn *a = w->a;
  int64_t group = w->s.group, i = r->row / group, g = r->row % group;
  t->ahead_rows = r->rows;
  t->ahead_bytes[0] = w->s.D * pah_dtype_size(a->q.dtype);
  t->ahead_bytes[1] = w->s.Dv * pah_dtype_size(a->q.dtype);
  for (int64_t m = 0; m < r->rows; m++) {
    t->ahead[m] = paged_q_row(a, &w->s, &a->q, r->sequence, head * group + g, i);
    t->ahead[BWD_ROWS + m] = paged_q_row(a, &w->s, &a->dout, r->sequence, head * group + g, i);
    if (++g == group) g = 0, i++;
  }
}

/* q and dout in pairs, from the rows that bwd_look_ahead has found; returns 1 if they hold a NaN or an infinity. */
static int bwd_load_bf16x2(struct bwd_tile *t, int64_t rows) {
  const char **q = t->ahead, **dout = t->ahead + BWD_ROWS;
  for (int64_t m = 0; m < rows; m++) {
    memcpy(t->q + m * t->ld, q[m], (size_t)t->D * 2);
    memcpy(t->dout + m * t->ld, dout[m], (size_t)t->Dv * 2);
  }
  for (int64_t whole = t->amx ? AMX_ROWS : 2; rows % whole; rows++) q[rows] = dout[rows] = pack_zeros;
  int nonfinite = pack_values(t->q_bf16x2, BWD_ROWS / 2 * CELL_COLS, q, rows, t->D, PAH_BF16, 1) |
                  pack_values(t->dout_bf16x2, BWD_ROWS / 2 * CELL_COLS, dout, rows, t->Dv, PAH_BF16, 1);
  if (BF16_HAS_AMX && t->amx) {
    bwd_amx_transpose(t->q_t, t->q_bf16x2, rows, t->D);
    bwd_amx_transpose(t->dout_t, t->dout_bf16x2, rows, t->Dv);
  }
  return nonfinite;
}

/* The rows that bwd_look_ahead has found into the tile, lse and delta too. Rows that saw no key, whose lse is -inf or
 * the sink, become 0 with an lse of -inf, so that nothing they hold reaches dK and dV. */
static void bwd_load_rows(const struct bwd *w, struct bwd_tile *t, const struct bwd_rows *r, int64_t head) {
  const struct pah_attn *a = w->a;
  int64_t first, len_q, group = w->s.group, i = r->row / group, g = r->row % group;
  pah_q_range(a, &w->s, r->sequence, &first, &len_q);
  const float *delta = w->delta + (w->s.ragged ? first : r->sequence * len_q) * w->s.H + head * group;
  t->dead_rows = 0;
  for (int64_t m = 0; m < r->rows; m++) {
    t->lse[m] = *paged_lse(a, &w->s, r->sequence, head * group + g, i);
    t->delta[m] = delta[i * w->s.H + g];
    if (bwd_only_sink(w, r->sequence, head * group + g, i, t->lse[m])) t->lse[m] = -INFINITY;
    if (++g == group) g = 0, i++;
    if (t->lse[m] != -INFINITY) continue;
    t->ahead[m] = t->ahead[BWD_ROWS + m] = pack_zeros;
    t->dead_rows = 1;
  }
  if (t->bf16x2) {
    t->nonfinite_rows = bwd_load_bf16x2(t, r->rows);
    return;
  }
  lanes_u32 largest = {0};
  for (int64_t m = 0; m < r->rows; m++) {
    bwd_load((float *)t->q + m * t->ld, t->ahead[m], a->q.dtype, t->D, &largest);
    bwd_load((float *)t->dout + m * t->ld, t->ahead[BWD_ROWS + m], a->dout.dtype, t->Dv, &largest);
  }
  t->nonfinite_rows = bwd_is_nonfinite(largest);
}

static void bwd_store_row(const struct bwd *w, const struct bwd_rows *r, int64_t head, int64_t m, const float *row) {
  int64_t n = r->row + m, group = w->s.group;
  row_store(paged_q_row(w->a, &w->s, &w->a->dq, r->sequence, head * group + n % group, n / group), w->a->dq.dtype, row,
            w->s.D);
}

/* The finished dQ of a row tile to its place. */
static void bwd_store_rows(const struct bwd *w, const struct bwd_rows *r, int64_t head, const float *dq) {
  int64_t panel = bwd_dq_rows(r->rows) * CELL_COLS;
  for (int64_t m = 0; m < r->rows; m++) {
    float row[PAH_MAX_D + CELL_COLS];
    for (int64_t d = 0; d < w->s.D; d += CELL_COLS)
      for (int64_t j = 0; j < CELL_COLS; j++) row[d + j] = dq[d / CELL_COLS * panel + m * CELL_COLS + j] * w->scale;
    bwd_store_row(w, r, head, m, row);
  }
}

/* dQ of the rows of sequence b that see no key. */
static void bwd_clear_rows(const struct bwd *w, int64_t b) {
  for (int64_t n = w->first_rows[b]; n < w->first_rows[b + 1]; n++)
    for (int64_t head = 0; w->rows[n].first > w->rows[n].last && head < w->s.Hkv; head++)
      for (int64_t m = 0; m < w->rows[n].rows; m++) bwd_store_row(w, w->rows + n, head, m, (const float *)pack_zeros);
}

/* ---- Keys ------------------------------------------------------------------------------------------------ */

/* Whether any of the rows holds a NaN or an infinity. */
static int bwd_nonfinite_keys(const char *const *rows, int64_t n, int64_t D, int dtype) {
  float row[PAH_MAX_D + CELL_VECTOR];
  lanes_u32 largest = {0};
  for (int64_t j = 0; j < n; j++) bwd_load(row, rows[j], dtype, D, &largest);
  return bwd_is_nonfinite(largest);
}

/* A tile of keys, transposed and as it is, with dK and dV of 0. */
static void bwd_load_keys(const struct bwd *w, struct bwd_tile *t, int64_t b, int64_t head, int64_t key, int64_t keys) {
  const struct pah_attn *a = w->a;
  int dtype = a->k_blocks.dtype;
  paged_rows(a, &w->s, &a->k_blocks, b, head, key, keys, t->k_rows);
  paged_rows(a, &w->s, &a->v_blocks, b, head, key, keys, t->v_rows);
  for (int64_t j = keys; j < BWD_KEYS; j++) t->k_rows[j] = t->v_rows[j] = pack_zeros;
  t->nonfinite_keys =
      bwd_nonfinite_keys(t->k_rows, keys, t->D, dtype) | bwd_nonfinite_keys(t->v_rows, keys, t->Dv, dtype);
  pack_keys(t->kt, t->k_rows, keys, t->D, dtype, t->bf16x2);
  pack_keys(t->vt, t->v_rows, keys, t->Dv, dtype, t->bf16x2);
  lanes_u32 unused = {0};
  int64_t whole = t->amx ? AMX_ROWS : 1; /* the lists go on to BWD_KEYS */
  if (t->bf16x2)
    pack_values(t->k_bf16x2, BWD_KEYS / 2 * CELL_COLS, t->k_rows, (keys + whole - 1) / whole * whole, t->D, dtype, 1);
  else
    for (int64_t j = 0; j < keys; j++) bwd_load(t->k + j * t->ld, t->k_rows[j], dtype, t->D, &unused);
  if (t->amx) {
    memset(t->dk, 0, (size_t)(t->D * BWD_AMX_KEYS_LD) * sizeof *t->dk);
    memset(t->dv, 0, (size_t)(t->Dv * BWD_AMX_KEYS_LD) * sizeof *t->dv);
    return;
  }
  for (int64_t j = 0; j < BWD_KEYS; j++) {
    memset(t->dk + j * t->ld, 0, (size_t)t->padded * sizeof *t->dk);
    memset(t->dv + j * t->ld, 0, (size_t)t->padded_v * sizeof *t->dv);
  }
}

/* dK and dV of a key to its place; dk is multiplied by the scale first. */
static void bwd_store_key(const struct bwd *w, int64_t b, int64_t head, int64_t h, int64_t key, float *dk,
                          const float *dv) {
  const struct pah_tensor *to[2] = {&w->a->dk_blocks, &w->a->dv_blocks};
  int64_t logical = key / w->s.block_size, slot = key % w->s.block_size;
  int64_t place = w->blocks.place[w->blocks.first_use[b] + logical];
  for (int64_t d = 0; d < w->s.D; d++) dk[d] *= w->scale;
  for (int which = 0; which < 2; which++) {
    const float *from = which ? dv : dk;
    int64_t D = which ? w->s.Dv : w->s.D;
    if (place < 0)
      row_store(bwd_blocks_row(to[which], bwd_blocks_id(w->a, b, logical), slot, head), to[which]->dtype, from, D);
    else
      memcpy(bwd_blocks_copy(&w->blocks, &w->s, w->copies, h, place, which) + slot * D, from,
             (size_t)D * sizeof(float));
  }
}

/* dK and dV of a tile of keys to their blocks, or to the copies of those that are shared; h is the number of the head
 * in its wave. */
static void bwd_store_keys(const struct bwd *w, const struct bwd_tile *t, int64_t b, int64_t head, int64_t h,
                           int64_t key, int64_t keys) {
  for (int64_t j = 0; BF16_HAS_AMX && t->amx && j < keys; j += AMX_SIDE) {
    float dk[AMX_SIDE][PAH_MAX_D], dv[AMX_SIDE][PAH_MAX_D];
    bwd_amx_rows_of(t->dk, j, t->D, dk);
    bwd_amx_rows_of(t->dv, j, t->Dv, dv);
    for (int64_t i = 0; i < AMX_SIDE && j + i < keys; i++) bwd_store_key(w, b, head, h, key + j + i, dk[i], dv[i]);
  }
  if (BF16_HAS_AMX && t->amx) return;
  for (int64_t j = 0; j < keys; j++) bwd_store_key(w, b, head, h, key + j, t->dk + j * t->ld, t->dv + j * t->ld);
}

#endif
