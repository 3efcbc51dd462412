/* backward.c - gradients of the oracle, row by row. Softmax is recomputed, so neither out nor lse is read.
 * dS = P (dP - dout out), through the slope of softcap; dq = scale dS k, dk = scale dS^T q, dv = P^T dout. Heads that
 * share a K/V head and sequences that share a block are added in one order: by K/V head, sequence, head. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "reference.h"

/* Gradients of one (sequence, query head): dk [len_k, D], dv [len_k, Dv]; of its sink, summed over rows. */
struct gradients {
  double *dk, *dv, *dq, *dout, *ds, dsink;
};

static int gradients_open(struct gradients *g, const struct ref_head *head) {
  g->dk = calloc((size_t)(head->len_k * (head->D + head->Dv) + 1), sizeof(double));
  g->dq = malloc((size_t)(head->D + head->Dv + head->len_k + 1) * sizeof(double));
  if (!g->dk || !g->dq) return PAH_ENOMEM;
  g->dv = g->dk + head->len_k * head->D;
  g->dout = g->dq + head->D;
  g->ds = g->dout + head->Dv;
  return 0;
}

static void gradients_free(struct gradients *g) {
  free(g->dk);
  free(g->dq);
}

/* Query row i: fills g->dq and adds to g->dk, g->dv and g->dsink. The sink's weight is e^(sink - lse), its slope that
 * weight times what moves from it to the keys: -(dout out). */
static void backward_row(struct ref_head *head, int64_t i, struct gradients *g) {
  const struct pah_attn *a = head->a;
  int64_t D = head->D, dout = ref_row(a, &a->dout, head->b, head->h, i);
  for (int64_t d = 0; d < D; d++) g->dq[d] = 0;
  for (int64_t d = 0; d < head->Dv; d++) g->dout[d] = ref_load(a->dout.dtype, a->dout.data, dout + d);
  if (!ref_head_row(head, i)) return;

  double sum = 0; /* of dout out: what the forward returned, in its type */
  for (int64_t d = 0; d < head->Dv; d++) sum += g->dout[d] * ref_round(head->out[d], head->precision);
  if (head->sink > -INFINITY && head->sink < INFINITY)
    g->dsink = ref_add_product(head->precision, g->dsink, -exp(head->sink - head->lse), sum);
  for (int64_t j = 0; j < head->len_k; j++) {
    if (!ref_visible(head, i, j)) continue;
    double dp = 0;
    for (int64_t d = 0; d < head->Dv; d++)
      dp = ref_add_product(head->precision, dp, g->dout[d], head->v[j * head->Dv + d]);
    g->ds[j] = ref_round(dp, head->precision);
  }
  for (int64_t j = 0; j < head->len_k; j++) {
    if (!ref_visible(head, i, j)) continue;
    double ds = ref_round(head->p[j] * (g->ds[j] - sum), head->precision);
    ds = ref_round(ds * head->slope[j], head->precision);
    for (int64_t d = 0; d < D; d++) {
      int64_t at = j * D + d;
      g->dq[d] = ref_add_product(head->precision, g->dq[d], ds, head->scaled_k[at]);
      g->dk[at] = ref_add_product(head->precision, g->dk[at], ds, head->q[d]);
    }
    for (int64_t d = 0; d < head->Dv; d++) {
      int64_t at = j * head->Dv + d;
      g->dv[at] = ref_add_product(head->precision, g->dv[at], head->p[j], g->dout[d]);
    }
  }
}

/* Adds x to an f64 element. */
static void add_to(const struct pah_tensor *t, int64_t index, double x) {
  ref_store(PAH_F64, t->data, index, ref_load(PAH_F64, t->data, index) + x);
}

static int backward_head(const struct pah_attn *a, int64_t b, int64_t h) {
  struct ref_head head;
  struct gradients g = {0};
  int status = ref_head_open(&head, a, b, h);
  if (!status) status = gradients_open(&g, &head);
  for (int64_t i = 0; !status && i < head.len_q; i++) {
    if (pah_interrupted) status = PAH_EINTERRUPTED;
    backward_row(&head, i, &g);
    int64_t dq = ref_row(a, &a->dq, b, h, i);
    for (int64_t d = 0; d < head.D; d++) ref_store(PAH_F64, a->dq.data, dq + d, ref_round(g.dq[d], head.precision));
  }
  for (int64_t t = 0; !status && t < head.len_k; t++) {
    int64_t dk = ref_token(a, &a->dk_blocks, b, head.g, t), dv = ref_token(a, &a->dv_blocks, b, head.g, t);
    for (int64_t d = 0; d < head.D; d++)
      add_to(&a->dk_blocks, dk + d,
             ref_round(ref_round(g.dk[t * head.D + d], head.precision) * head.scale, head.precision));
    for (int64_t d = 0; d < head.Dv; d++)
      add_to(&a->dv_blocks, dv + d, ref_round(g.dv[t * head.Dv + d], head.precision));
  }
  if (!status && ref_present(&a->dsinks)) add_to(&a->dsinks, h * a->dsinks.stride[0], g.dsink);
  gradients_free(&g);
  ref_head_free(&head);
  return status;
}

/* Every element of a [num_blocks, block_size, Hkv, D] tensor of head g becomes round(x), or 0 to begin with. */
static void finish_blocks(const struct pah_tensor *t, int64_t g, int clear, int precision) {
  for (int64_t block = 0; block < t->shape[0]; block++)
    for (int64_t slot = 0; slot < t->shape[1]; slot++)
      for (int64_t d = 0; d < t->shape[3]; d++) {
        int64_t at = block * t->stride[0] + slot * t->stride[1] + g * t->stride[2] + d;
        ref_store(PAH_F64, t->data, at, clear ? 0 : ref_round(ref_load(PAH_F64, t->data, at), precision));
      }
}

/* All sequences and query heads of K/V head g, which no other g writes to. dsinks [H] is summed up here too. */
static int backward_kv_head(const struct pah_attn *a, int64_t g) {
  struct ref_sizes s = ref_sizes(a);
  int64_t group = s.H / s.Hkv;
  finish_blocks(&a->dk_blocks, g, 1, 0);
  finish_blocks(&a->dv_blocks, g, 1, 0);
  for (int64_t h = g * group; h < (g + 1) * group && ref_present(&a->dsinks); h++)
    ref_store(PAH_F64, a->dsinks.data, h * a->dsinks.stride[0], 0);
  for (int64_t b = 0; b < s.B; b++)
    for (int64_t h = g * group; h < (g + 1) * group; h++) {
      int status = backward_head(a, b, h);
      if (status) return status;
    }
  if (a->intermediate == PAH_NONE) return 0;
  finish_blocks(&a->dk_blocks, g, 0, a->intermediate);
  finish_blocks(&a->dv_blocks, g, 0, a->intermediate);
  return 0;
}

int ref_backward(const struct pah_attn *a) {
  struct ref_sizes s = ref_sizes(a);
  int status = 0;
#pragma omp parallel for schedule(dynamic) if (ref_is_large(a))
  for (int64_t g = 0; g < s.Hkv; g++) {
    int failed = backward_kv_head(a, g);
    if (failed) {
#pragma omp atomic write
      status = failed;
    }
  }
  if (status == PAH_EINTERRUPTED) return pah_fail(status, "reference: interrupted");
  return status ? pah_fail(status, "reference: no memory for the keys of a sequence") : 0;
}
