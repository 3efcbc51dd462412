/* diff.c - how far two tensors are apart: the figures behind pah.allclose and pah.diff.
 * Promises: any dtypes and strides; sums are taken per fixed piece and added in order, so no figure depends on threads.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "error.h"
#include "tensor.h"

enum { PIECE = 1 << 16 };

struct diff_context {
  int dtype_a, dtype_b;
  double rtol, atol;
  double square, norm, absolute; /* sums of (a-b)^2, b^2 and |a-b| over what is finite in both */
  int64_t finite;
  struct pah_diff d;
};

/* delta: |a - b|, which is more than doubles can tell for large integers. */
static void diff_element(struct diff_context *c, double a, double b, double delta, int64_t index) {
  struct pah_diff *d = &c->d;
  int is_nan = isnan(a) || isnan(b);
  d->nan += is_nan;
  int bad;
  if (isfinite(a) && isfinite(b)) {
    if (delta > d->max_abs || d->argmax < 0) d->max_abs = delta, d->argmax = index;
    double relative = delta == 0 ? 0 : delta / fabs(b);
    if (relative > d->max_rel) d->max_rel = relative;
    c->square += delta * delta;
    c->norm += b * b;
    c->absolute += delta;
    c->finite++;
    bad = delta > c->atol + c->rtol * fabs(b);
  } else {
    bad = is_nan || a != b;
  }
  if (bad && d->mismatched++ == 0) d->first_mismatch = index;
}

/* Both are i64: their differences are exact. */
static void diff_integers(const struct pah_run *run, struct diff_context *c) {
  for (int64_t i = 0; i < run->count; i++) {
    int64_t a, b;
    memcpy(&a, run->a + i * run->step_a, sizeof a);
    memcpy(&b, run->b + i * run->step_b, sizeof b);
    uint64_t delta = a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
    diff_element(c, (double)a, (double)b, (double)delta, run->index + i);
  }
}

static void diff_run(const struct pah_run *run, void *context) {
  struct diff_context *c = context;
  double a[PAH_CHUNK], b[PAH_CHUNK];
  if (c->dtype_a == PAH_I64 && c->dtype_b == PAH_I64) {
    diff_integers(run, c);
    return;
  }
  for (int64_t done = 0; done < run->count; done += PAH_CHUNK) {
    int64_t n = run->count - done < PAH_CHUNK ? run->count - done : PAH_CHUNK;
    pah_load_f64(c->dtype_a, run->a + done * run->step_a, run->step_a, n, a);
    pah_load_f64(c->dtype_b, run->b + done * run->step_b, run->step_b, n, b);
    for (int64_t i = 0; i < n; i++) diff_element(c, a[i], b[i], fabs(a[i] - b[i]), run->index + done + i);
  }
}

static void add_piece(struct diff_context *total, const struct diff_context *piece) {
  struct pah_diff *t = &total->d;
  const struct pah_diff *p = &piece->d;
  if (p->argmax >= 0 && (t->argmax < 0 || p->max_abs > t->max_abs)) t->max_abs = p->max_abs, t->argmax = p->argmax;
  if (p->max_rel > t->max_rel) t->max_rel = p->max_rel;
  if (t->first_mismatch < 0) t->first_mismatch = p->first_mismatch;
  t->nan += p->nan;
  t->mismatched += p->mismatched;
  total->square += piece->square;
  total->norm += piece->norm;
  total->absolute += piece->absolute;
  total->finite += piece->finite;
}

static int diff_host(const struct pah_tensor *a, const struct pah_tensor *b, struct diff_context *total) {
  int64_t numel = pah_tensor_numel(a), count = (numel + PIECE - 1) / PIECE;
  struct diff_context *pieces = malloc((size_t)(count + 1) * sizeof *pieces);
  if (!pieces) return pah_fail(PAH_ENOMEM, "diff: no memory");
  int threads = pah_get_threads();
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (count > 1)
  for (int64_t p = 0; p < count; p++) {
    pieces[p] = *total;
    if (pah_interrupted) continue;
    int64_t left = numel - p * PIECE;
    pah_tensor_runs(a, b, p * PIECE, left < PIECE ? left : PIECE, diff_run, &pieces[p]);
  }
  for (int64_t p = 0; p < count; p++) add_piece(total, &pieces[p]);
  free(pieces);
  return pah_tensor_stopped();
}

int pah_tensor_diff(const struct pah_tensor *a, const struct pah_tensor *b, double rtol, double atol,
                    struct pah_diff *diff) {
  int status = pah_tensor_check("a", a);
  if (!status) status = pah_tensor_check("b", b);
  if (status) return status;
  status = pah_check_same_shape((struct pah_arg){"a", a}, (struct pah_arg){"b", b});
  if (status) return status;
  if (!diff) return pah_fail(PAH_EINVAL, "diff: is NULL, must be a struct pah_diff");
  if (!(rtol >= 0) || !(atol >= 0)) return pah_fail(PAH_EINVAL, "rtol, atol: are %g and %g, must be >= 0", rtol, atol);
  struct diff_context c = {.dtype_a = a->dtype, .dtype_b = b->dtype, .rtol = rtol, .atol = atol};
  c.d.argmax = c.d.first_mismatch = -1;
  struct pah_host_view va, vb;
  status = pah_host_view_open(&va, a);
  if (status) return status;
  status = pah_host_view_open(&vb, b);
  if (!status) {
    status = diff_host(&va.t, &vb.t, &c);
    pah_host_view_close(&vb, 0);
  }
  pah_host_view_close(&va, 0);
  if (status) return status;
  c.d.numel = pah_tensor_numel(a);
  if (c.finite) {
    c.d.rms = sqrt(c.square / (double)c.finite);
    c.d.mean_abs = c.absolute / (double)c.finite;
    c.d.rel_norm = c.square == 0 ? 0 : sqrt(c.square / c.norm);
  }
  *diff = c.d;
  return PAH_OK;
}
