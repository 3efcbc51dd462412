/* cpu/merge.h - two attention results over disjoint keys into one: weights exp(lse - max), row by row in f32.
 * A row that saw no key in either part stays 0 and -inf; a part that saw none is not read as a value. */
#ifndef PAH_CPU_MERGE_H
#define PAH_CPU_MERGE_H

#include <math.h>

#include "error.h"
#include "cpu/vec/rows.h"

enum { MERGE_PIECE = 64 }; /* elements converted at a time: three pieces stay in registers and L1 */

/* Where row n of out and its lse lie, n counting (batch, head, query), or (head, query) for ragged q. */
struct merge_row {
  int64_t out, lse;
};

static struct merge_row merge_row(const struct pah_tensor *out, const struct pah_tensor *lse, int64_t n) {
  if (lse->ndim == 2) { /* ragged: out [total_q, H, D], lse [H, total_q] */
    int64_t query = n % lse->shape[1], head = n / lse->shape[1];
    return (struct merge_row){query * out->stride[0] + head * out->stride[1],
                              head * lse->stride[0] + query * lse->stride[1]};
  }
  int64_t query = n % lse->shape[2], head = n / lse->shape[2] % lse->shape[1];
  int64_t batch = n / lse->shape[2] / lse->shape[1];
  return (struct merge_row){batch * out->stride[0] + head * out->stride[1] +
                                (out->ndim == 4 ? query * out->stride[2] : 0),
                            batch * lse->stride[0] + head * lse->stride[1] + query * lse->stride[2]};
}

static const void *merge_at(const struct pah_tensor *t, int64_t offset) {
  return (const char *)t->data + offset * pah_dtype_size(t->dtype);
}

/* One of the two parts of a row: where it lies, its share of the result, and whether it saw no key at all. */
struct merge_part {
  int64_t at;
  float share;
  int empty;
};

/* Row `at` of out = a's share of a + b's share of b; an empty part is left out by select, whatever it holds. */
static void merge_mix(const struct pah_merge *m, int64_t at, struct merge_part part_a, struct merge_part part_b) {
  int64_t size_a = pah_dtype_size(m->out_a.dtype), size_b = pah_dtype_size(m->out_b.dtype);
  int64_t size = pah_dtype_size(m->out.dtype), D = m->out.shape[m->out.ndim - 1];
  const char *row_a = merge_at(&m->out_a, part_a.at), *row_b = merge_at(&m->out_b, part_b.at);
  char *row = (char *)m->out.data + at * size;
  for (int64_t d = 0; d < D; d += MERGE_PIECE) {
    float a[MERGE_PIECE], b[MERGE_PIECE];
    int64_t n = D - d < MERGE_PIECE ? D - d : MERGE_PIECE;
    row_load(a, row_a + d * size_a, m->out_a.dtype, n);
    row_load(b, row_b + d * size_b, m->out_b.dtype, n);
    for (int64_t i = 0; i < n; i++)
      a[i] = (part_a.empty ? 0 : a[i] * part_a.share) + (part_b.empty ? 0 : b[i] * part_b.share);
    row_store(row + d * size, m->out.dtype, a, n);
  }
}

static int merge_run(const struct pah_merge *m, int threads) {
  int64_t rows = pah_tensor_numel(&m->lse);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t n = 0; n < rows; n++) {
    struct merge_row a = merge_row(&m->out_a, &m->lse_a, n), b = merge_row(&m->out_b, &m->lse_b, n);
    struct merge_row to = merge_row(&m->out, &m->lse, n);
    float lse_a = *(const float *)merge_at(&m->lse_a, a.lse), lse_b = *(const float *)merge_at(&m->lse_b, b.lse);
    float top = lse_a > lse_b || isnan(lse_a) ? lse_a : lse_b, lse = top;
    struct merge_part part_a = {a.out, 0, lse_a == -INFINITY}, part_b = {b.out, 0, lse_b == -INFINITY};
    if (top != -INFINITY) {
      float weight_a = expf(lse_a - top), weight_b = expf(lse_b - top), sum = weight_a + weight_b;
      part_a.share = weight_a / sum;
      part_b.share = weight_b / sum;
      lse = top + logf(sum);
    }
    merge_mix(m, to.out, part_a, part_b);
    ((float *)m->lse.data)[to.lse] = lse;
  }
  return PAH_OK;
}

#endif
