/* merge.c - the oracle's merge of two partial results, and its kv_append: plain loops over elements.
 * Both write what the design says and nothing else; see reference.h. */
#include <math.h>

#include "attention/attn_check.h"
#include "error.h"
#include "reference.h"

/* Index of row [x, y, z] of a tensor with up to four dimensions whose last is D. */
static int64_t row_of(const struct pah_tensor *out, int64_t x, int64_t y, int64_t z) {
  return x * out->stride[0] + y * out->stride[1] + (out->ndim == 4 ? z * out->stride[2] : 0);
}

/* lse of row [x, y, z] of out: [B, H, Sq] where out is [B, H, Sq, D] or [B, H, D]; [H, total_q] for [total_q, H, D]. */
static int64_t lse_of(const struct pah_tensor *lse, int64_t x, int64_t y, int64_t z) {
  if (lse->ndim == 2) return y * lse->stride[0] + x * lse->stride[1];
  return x * lse->stride[0] + y * lse->stride[1] + z * lse->stride[2];
}

static void merge_row(const struct pah_merge *m, int64_t x, int64_t y, int64_t z) {
  double lse_a = ref_load(m->lse_a.dtype, m->lse_a.data, lse_of(&m->lse_a, x, y, z));
  double lse_b = ref_load(m->lse_b.dtype, m->lse_b.data, lse_of(&m->lse_b, x, y, z));
  double largest = lse_a > lse_b ? lse_a : lse_b;
  bool empty = lse_a == -INFINITY && lse_b == -INFINITY;
  double weight_a = empty ? 0 : exp(lse_a - largest), weight_b = empty ? 0 : exp(lse_b - largest);
  double total = weight_a + weight_b;
  int64_t a = row_of(&m->out_a, x, y, z), b = row_of(&m->out_b, x, y, z), out = row_of(&m->out, x, y, z);
  for (int64_t d = 0; d < m->out.shape[m->out.ndim - 1]; d++) {
    double sum = 0; /* a part without keys adds nothing, whatever it holds */
    if (lse_a != -INFINITY) sum += weight_a / total * ref_load(m->out_a.dtype, m->out_a.data, a + d);
    if (lse_b != -INFINITY) sum += weight_b / total * ref_load(m->out_b.dtype, m->out_b.data, b + d);
    ref_store(PAH_F64, m->out.data, out + d, sum);
  }
  if (m->lse.dtype == PAH_NONE) return;
  ref_store(PAH_F64, m->lse.data, lse_of(&m->lse, x, y, z), empty ? -INFINITY : largest + log(total));
}

int pah_reference_merge(const struct pah_merge *m) {
  int status = pah_merge_check(m, 1);
  if (status) return status;
  int64_t rows = m->out.ndim == 4 ? m->out.shape[2] : 1;
  for (int64_t x = 0; x < m->out.shape[0]; x++)
    for (int64_t y = 0; y < m->out.shape[1]; y++)
      for (int64_t z = 0; z < rows; z++) merge_row(m, x, y, z);
  return 0;
}

/* Token t of src into its slot: stored = real / descale, rounded to the cache's type. */
static void append_token(const struct pah_tensor *src, const struct pah_tensor *blocks,
                         const struct pah_tensor *descale, int64_t t, int64_t slot) {
  double by = descale->dtype == PAH_NONE ? 1 : ref_load(descale->dtype, descale->data, 0);
  int64_t block = slot / blocks->shape[1], offset = slot % blocks->shape[1];
  for (int64_t g = 0; g < src->shape[1]; g++)
    for (int64_t d = 0; d < src->shape[2]; d++) {
      double x = ref_load(src->dtype, src->data, t * src->stride[0] + g * src->stride[1] + d * src->stride[2]);
      int64_t at = block * blocks->stride[0] + offset * blocks->stride[1] + g * blocks->stride[2] + d;
      ref_store(blocks->dtype, blocks->data, at, x / by);
    }
}

int pah_reference_kv_append(const struct pah_kv_append *c) {
  int status = pah_kv_append_check(c, 1);
  if (status) return status;
  for (int64_t t = 0; t < c->k.shape[0]; t++) {
    int64_t at = t * c->slot_mapping.stride[0];
    int64_t slot = c->slot_mapping.dtype == PAH_I64 ? ((const int64_t *)c->slot_mapping.data)[at]
                                                    : ((const int32_t *)c->slot_mapping.data)[at];
    if (slot < 0) continue;
    append_token(&c->k, &c->k_blocks, &c->k_descale, t, slot);
    append_token(&c->v, &c->v_blocks, &c->v_descale, t, slot);
  }
  return 0;
}
