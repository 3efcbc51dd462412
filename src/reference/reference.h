/* reference.h - what the files of the float64 oracle share: numbers widened and rounded from the definitions of their
 * formats, and an attention problem seen one element at a time. Nothing here is used by a kernel, and nothing of a
 * kernel or of tensor/dtype.c is used here: two independent readings of the contract must agree.
 * Read next: head.c, reference.c (forward), backward.c, merge.c. */
#ifndef PAH_REFERENCE_H
#define PAH_REFERENCE_H

#include <stdbool.h>

#include "pah.h"

/* Numbers (number.c). */
double ref_load(int dtype, const void *data, int64_t index); /* the exact value of an element */
/* The nearest value of `dtype`, ties to even: fp8 saturates, f16 and bf16 overflow to infinity, f64 and PAH_NONE keep
 * x. */
double ref_round(double x, int dtype);
void ref_store(int dtype, void *data, int64_t index, double x); /* the code of ref_round(x, dtype) */
double ref_max(int dtype);                                      /* largest finite value of a floating-point type */

static inline bool ref_is_fp8(int dtype) {
  return dtype == PAH_FP8_E4M3 || dtype == PAH_FP8_E5M2;
}

/* The problem and its heads (head.c). The sizes of a problem, legend as in pah.h. */
struct ref_sizes {
  int64_t B, H, Hkv, D, Dv, block_size;
};
struct ref_sizes ref_sizes(const struct pah_attn *a);
int64_t ref_len_q(const struct pah_attn *a, int64_t b);
int64_t ref_len_k(const struct pah_attn *a, int64_t b);

static inline bool ref_present(const struct pah_tensor *t) {
  return t->dtype != PAH_NONE;
}

/* Index of element [0 .. D) = 0 of query row i of sequence b, head h in a tensor shaped like q; in lse likewise. */
int64_t ref_row(const struct pah_attn *a, const struct pah_tensor *t, int64_t b, int64_t h, int64_t i);
int64_t ref_lse_row(const struct pah_attn *a, int64_t b, int64_t h, int64_t i);
/* Index of the row of token t of sequence b, K/V head g, in a tensor shaped like k_blocks. */
int64_t ref_token(const struct pah_attn *a, const struct pah_tensor *blocks, int64_t b, int64_t g, int64_t t);

/* One sequence and query head with everything it reads as float64. `precision` is a->intermediate: each function
 * named in head.c as rounding rounds to it. */
struct ref_head {
  const struct pah_attn *a;
  int64_t b, h, g; /* sequence, query head, K/V head */
  int64_t len_q, len_k, D, Dv;
  int precision;
  double scale;
  double sink;           /* of the head; -INFINITY: none */
  double *k, *v;         /* [len_k, D], [len_k, Dv], descaled */
  double *scaled_k;      /* k x scale, rounded; k itself without a precision */
  double *q, *out;       /* [D], [Dv], the current row */
  double *score, *slope; /* [len_k]: after softcap; d(capped) / d(uncapped) */
  double *p;             /* [len_k]: softmax, 0 where not visible */
  double lse;
};
/* Loads K and V. Returns PAH_ENOMEM on failure; ref_head_free is due in either case. */
int ref_head_open(struct ref_head *head, const struct pah_attn *a, int64_t b, int64_t h);
void ref_head_free(struct ref_head *head);
/* Fills q, score, slope, p, out and lse for query i. Returns whether any visible key has a score above -infinity. */
bool ref_head_row(struct ref_head *head, int64_t i);
/* sum + x y: exact products in float64, or rounded to float as a low-precision matrix product accumulates. */
double ref_add_product(int precision, double sum, double x, double y);
/* Whether query i of the head's sequence sees key j: the causal mask, the window, the tree. */
bool ref_visible(const struct ref_head *head, int64_t i, int64_t j);

/* Whether the work is worth more than one thread. */
bool ref_is_large(const struct pah_attn *a);

int ref_backward(const struct pah_attn *a); /* backward.c */

#endif
