/* reference.c - the float64 oracle: attention row by row and element by element, as the contract says it, two passes of
 * softmax over the visible keys. With `intermediate` the same loops become the straightforward low-precision
 * evaluation that tolerances are measured with: K x scale, scores, softmax and out are rounded to that type, sums run
 * in float (as FlashAttention's reference with reorder_ops). An fp8 intermediate rounds the softmax to it, the rest to
 * bf16. Threads only share out (sequence, head) pairs, so results never depend on their number.
 * Read next: head.c, backward.c, number.c, spec/attention/reference_spec.lua. */
#include "reference.h"

#include "attention/attn_check.h"
#include "error.h"

/* The form in which an fp8 out is compared: real x o_scale within the range of the type, rounded only in the
 * low-precision evaluation. NaN stays NaN. */
static double out_value(const struct pah_attn *a, int precision, double x) {
  if (!ref_is_fp8(a->out_dtype)) return ref_round(x, precision);
  double scaled = x * a->o_scale, limit = ref_max(a->out_dtype);
  if (precision != PAH_NONE) return ref_round(scaled, a->out_dtype);
  return scaled > limit ? limit : scaled < -limit ? -limit : scaled;
}

static int forward_head(const struct pah_attn *a, int64_t b, int64_t h) {
  struct ref_head head;
  int status = ref_head_open(&head, a, b, h);
  for (int64_t i = 0; !status && i < head.len_q; i++) {
    if (pah_interrupted) status = pah_fail(PAH_EINTERRUPTED, "reference: interrupted");
    ref_head_row(&head, i);
    int64_t out = ref_row(a, &a->out, b, h, i);
    for (int64_t d = 0; d < head.Dv; d++)
      ref_store(PAH_F64, a->out.data, out + d, out_value(a, head.precision, head.out[d]));
    if (ref_present(&a->lse)) ref_store(PAH_F64, a->lse.data, ref_lse_row(a, b, h, i), head.lse);
  }
  ref_head_free(&head);
  return status;
}

static int forward(const struct pah_attn *a) {
  struct ref_sizes s = ref_sizes(a);
  int status = 0;
#pragma omp parallel for schedule(dynamic) if (ref_is_large(a))
  for (int64_t pair = 0; pair < s.B * s.H; pair++) {
    int failed = pah_interrupted ? PAH_EINTERRUPTED : forward_head(a, pair / s.H, pair % s.H);
    if (failed) {
#pragma omp atomic write
      status = failed;
    }
  }
  /* The line of a failure lies in the thread that met it. */
  if (status == PAH_EINTERRUPTED) return pah_fail(status, "reference: interrupted");
  return status ? pah_fail(status, "reference: no memory for the keys of a sequence") : 0;
}

int pah_reference(int op, const struct pah_attn *a) {
  int status = pah_attn_check(op, a, 1);
  if (status) return status;
  return op == PAH_BWD ? ref_backward(a) : forward(a);
}
