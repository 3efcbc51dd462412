/* head.c - an attention problem of the oracle, one element and then one head at a time: where a row or a token lies,
 * what a query sees, and the softmax of a row in two passes over the visible keys. The forward and the backward are
 * loops over these heads. Read next: reference.c, backward.c. */
#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "reference.h"

/* ---- The problem, one element at a time ----------------------------------------------------------------- */

static int64_t i32_at(const struct pah_tensor *t, int64_t index) {
  return ((const int32_t *)t->data)[index];
}

struct ref_sizes ref_sizes(const struct pah_attn *a) {
  return (struct ref_sizes){
      .B = a->block_table.shape[0],
      .H = a->q.shape[1],
      .Hkv = a->k_blocks.shape[2],
      .D = a->k_blocks.shape[3],
      .Dv = a->v_blocks.shape[3],
      .block_size = a->k_blocks.shape[1],
  };
}

int64_t ref_len_q(const struct pah_attn *a, int64_t b) {
  const struct pah_tensor *cu = &a->cu_seqlens_q;
  if (ref_present(cu)) return i32_at(cu, (b + 1) * cu->stride[0]) - i32_at(cu, b * cu->stride[0]);
  return a->q.ndim == 3 ? 1 : a->q.shape[2];
}

int64_t ref_len_k(const struct pah_attn *a, int64_t b) {
  if (ref_present(&a->seqused_k)) return i32_at(&a->seqused_k, b * a->seqused_k.stride[0]);
  if (a->seqlen_k >= 0) return a->seqlen_k;
  return a->block_table.shape[1] * a->k_blocks.shape[1];
}

int64_t ref_row(const struct pah_attn *a, const struct pah_tensor *t, int64_t b, int64_t h, int64_t i) {
  const struct pah_tensor *cu = &a->cu_seqlens_q;
  if (ref_present(cu)) return (i32_at(cu, b * cu->stride[0]) + i) * t->stride[0] + h * t->stride[1];
  if (t->ndim == 3) return b * t->stride[0] + h * t->stride[1];
  return b * t->stride[0] + h * t->stride[1] + i * t->stride[2];
}

int64_t ref_lse_row(const struct pah_attn *a, int64_t b, int64_t h, int64_t i) {
  const struct pah_tensor *cu = &a->cu_seqlens_q, *lse = &a->lse;
  if (ref_present(cu)) return h * lse->stride[0] + (i32_at(cu, b * cu->stride[0]) + i) * lse->stride[1];
  return b * lse->stride[0] + h * lse->stride[1] + i * lse->stride[2];
}

int64_t ref_token(const struct pah_attn *a, const struct pah_tensor *blocks, int64_t b, int64_t g, int64_t t) {
  int64_t block_size = blocks->shape[1];
  int64_t block = i32_at(&a->block_table, b * a->block_table.stride[0] + t / block_size * a->block_table.stride[1]);
  return block * blocks->stride[0] + t % block_size * blocks->stride[1] + g * blocks->stride[2];
}

/* Bit `j` of the row of tree_mask that belongs to query i of sequence b. */
static bool tree_bit(const struct pah_attn *a, int64_t b, int64_t i, int64_t j) {
  const struct pah_tensor *t = &a->tree_mask, *cu = &a->cu_seqlens_q;
  int64_t row =
      ref_present(cu) ? (i32_at(cu, b * cu->stride[0]) + i) * t->stride[0] : b * t->stride[0] + i * t->stride[1];
  uint32_t word = (uint32_t)i32_at(t, row + j / 32 * t->stride[t->ndim - 1]);
  return word >> (j % 32) & 1;
}

bool ref_visible(const struct ref_head *head, int64_t i, int64_t j) {
  const struct pah_attn *a = head->a;
  int64_t past = head->len_k - head->len_q, off = a->causal == PAH_CAUSAL_TOP_LEFT ? 0 : past;
  if (ref_present(&a->tree_mask) && j >= past && !tree_bit(a, head->b, i, j - past)) return false;
  if (a->causal != PAH_CAUSAL_NONE && j > i + off) return false;
  if (a->window_left >= 0 && j < i + off - a->window_left) return false;
  if (a->window_right >= 0 && j > i + off + a->window_right) return false;
  return true;
}

/* A scalar, one number per (sequence, K/V head), or 1 where absent. */
static double descale(const struct pah_tensor *t, int64_t b, int64_t g) {
  if (!ref_present(t)) return 1;
  return ref_load(t->dtype, t->data, t->ndim == 2 ? b * t->stride[0] + g * t->stride[1] : 0);
}

/* ---- One head ------------------------------------------------------------------------------------------- */

double ref_add_product(int precision, double sum, double x, double y) {
  return precision == PAH_NONE ? sum + x * y : (float)(sum + x * y);
}

int ref_head_open(struct ref_head *head, const struct pah_attn *a, int64_t b, int64_t h) {
  struct ref_sizes s = ref_sizes(a);
  int64_t group = s.H / s.Hkv;
  *head = (struct ref_head){.a = a, .b = b, .h = h, .g = h / group, .D = s.D, .Dv = s.Dv};
  head->len_q = ref_len_q(a, b);
  head->len_k = ref_len_k(a, b);
  head->precision = ref_is_fp8(a->intermediate) ? PAH_BF16 : a->intermediate;
  head->scale = isnan(a->softmax_scale) ? 1 / sqrt((double)s.D) : a->softmax_scale;
  head->sink = ref_present(&a->sinks) ? ref_load(PAH_F32, a->sinks.data, h * a->sinks.stride[0]) : -INFINITY;
  int64_t n = head->len_k * s.D;
  /* Never an allocation of 0 bytes, which may be NULL. */
  head->k = malloc((size_t)(n + 1) * sizeof(double));
  head->v = malloc((size_t)(head->len_k * s.Dv + 1) * sizeof(double));
  head->scaled_k = malloc((size_t)(n + 1) * sizeof(double));
  head->q = malloc((size_t)(s.D + s.Dv + 1) * sizeof(double));
  head->score = malloc((size_t)(3 * head->len_k + 1) * sizeof(double));
  if (!head->k || !head->v || !head->scaled_k || !head->q || !head->score)
    return pah_fail(PAH_ENOMEM, "reference: no memory for %lld keys", (long long)head->len_k);
  head->out = head->q + s.D;
  head->slope = head->score + head->len_k;
  head->p = head->slope + head->len_k;
  double k_descale = descale(&a->k_descale, b, head->g), v_descale = descale(&a->v_descale, b, head->g);
  for (int64_t t = 0; t < head->len_k; t++) {
    int64_t k = ref_token(a, &a->k_blocks, b, head->g, t), v = ref_token(a, &a->v_blocks, b, head->g, t);
    for (int64_t d = 0; d < s.D; d++) {
      double *at = &head->k[t * s.D + d];
      *at = ref_round(ref_load(a->k_blocks.dtype, a->k_blocks.data, k + d) * k_descale, head->precision);
      head->scaled_k[t * s.D + d] = ref_round(*at * head->scale, head->precision);
    }
    for (int64_t d = 0; d < s.Dv; d++)
      head->v[t * s.Dv + d] =
          ref_round(ref_load(a->v_blocks.dtype, a->v_blocks.data, v + d) * v_descale, head->precision);
  }
  return 0;
}

void ref_head_free(struct ref_head *head) {
  free(head->k);
  free(head->v);
  free(head->scaled_k);
  free(head->q);
  free(head->score);
}

/* score = c tanh(score / c), and its slope. */
static void apply_softcap(struct ref_head *head, int64_t j) {
  double c = head->a->softcap;
  head->slope[j] = 1;
  if (!(c > 0)) return;
  double t = ref_round(tanh(ref_round(head->score[j] / c, head->precision)), head->precision);
  head->score[j] = ref_round(c * t, head->precision);
  head->slope[j] = ref_round(1 - t * t, head->precision);
}

/* p, out and lse of query i from its scores, of which `largest` is the maximum with the sink. e^-inf is 0: a row whose
 * scores are all -infinity sums to 0 like one that sees no key, and gives out 0 too. A sink of +infinity takes all. */
static void weigh_row(struct ref_head *head, int64_t i, bool any, double largest) {
  double total = head->sink == -INFINITY ? 0 : head->sink == INFINITY ? 1 : exp(head->sink - largest);
  bool nothing = !any || head->sink == INFINITY;
  for (int64_t d = 0; d < head->Dv; d++) head->out[d] = 0;
  for (int64_t j = 0; j < head->len_k; j++) {
    head->p[j] = ref_visible(head, i, j) && !nothing ? exp(head->score[j] - largest) : 0;
    total += head->p[j];
  }
  int p_precision = ref_is_fp8(head->a->intermediate) ? head->a->intermediate : head->precision;
  for (int64_t j = 0; j < head->len_k && !nothing; j++) {
    if (!ref_visible(head, i, j)) continue;
    head->p[j] = ref_round(head->p[j] / total, p_precision);
    for (int64_t d = 0; d < head->Dv; d++)
      head->out[d] = ref_add_product(head->precision, head->out[d], head->p[j], head->v[j * head->Dv + d]);
  }
  head->lse = total == 0 ? -INFINITY : largest + log(total);
}

bool ref_head_row(struct ref_head *head, int64_t i) {
  const struct pah_attn *a = head->a;
  int64_t D = head->D, row = ref_row(a, &a->q, head->b, head->h, i);
  double q_descale = descale(&a->q_descale, head->b, head->g);
  for (int64_t d = 0; d < D; d++)
    head->q[d] = ref_round(ref_load(a->q.dtype, a->q.data, row + d) * q_descale, head->precision);

  double largest = head->sink;
  bool any = false;
  for (int64_t j = 0; j < head->len_k; j++) {
    if (!ref_visible(head, i, j)) continue;
    double sum = 0;
    for (int64_t d = 0; d < D; d++) sum = ref_add_product(head->precision, sum, head->q[d], head->scaled_k[j * D + d]);
    head->score[j] = ref_round(sum, head->precision);
    apply_softcap(head, j);
    if (head->score[j] > largest) largest = head->score[j];
    if (!(head->score[j] == -INFINITY)) any = true;
  }
  weigh_row(head, i, any, largest);
  return any;
}

/* Threads cost more than they bring below this many products of an element of q and a token. */
bool ref_is_large(const struct pah_attn *a) {
  return pah_tensor_numel(&a->q) * a->block_table.shape[1] * a->k_blocks.shape[1] > 1 << 18;
}
