/* cpu/append.h - new tokens into the paged cache: row (t, head) of k and v goes to the slot that slot_mapping names,
 * as real / descale rounded once. Slots are checked and differ, so the tokens are independent. */
#ifndef PAH_CPU_APPEND_H
#define PAH_CPU_APPEND_H

#include "error.h"
#include "cpu/vec/rows.h"

static int64_t append_slot(const struct pah_tensor *slots, int64_t t) {
  int64_t at = t * slots->stride[0];
  return slots->dtype == PAH_I64 ? ((const int64_t *)slots->data)[at] : ((const int32_t *)slots->data)[at];
}

/* One element as the cache stores it. The quotient is taken in float64, so that it is rounded once. */
static void append_scaled(void *dst, int dtype, float real, double descale) {
  double x = real / descale;
  switch (dtype) {
  case PAH_F32: *(float *)dst = (float)x; break;
  case PAH_F16: *(uint16_t *)dst = pah_f64_to_f16(x); break;
  case PAH_BF16: *(uint16_t *)dst = pah_f64_to_bf16(x); break;
  case PAH_FP8_E4M3: *(uint8_t *)dst = pah_f64_to_e4m3(x); break;
  default: *(uint8_t *)dst = pah_f64_to_e5m2(x);
  }
}

static void append_row(char *dst, int dtype, const char *src, int src_dtype, int64_t D, float descale) {
  enum { PIECE = 64 };
  int64_t size = pah_dtype_size(dtype), src_size = pah_dtype_size(src_dtype);
  if (dtype == src_dtype && descale == 1) {
    memcpy(dst, src, (size_t)(D * size));
    return;
  }
  for (int64_t d = 0; d < D; d += PIECE) {
    float real[PIECE];
    int64_t n = D - d < PIECE ? D - d : PIECE;
    row_load(real, src + d * src_size, src_dtype, n);
    if (descale == 1)
      row_store(dst + d * size, dtype, real, n);
    else
      for (int64_t i = 0; i < n; i++) append_scaled(dst + (d + i) * size, dtype, real[i], (double)descale);
  }
}

/* Token t of `tokens` [T, Hkv, D] into `slot` of `blocks`. */
static void append_token(const struct pah_tensor *blocks, const struct pah_tensor *tokens, int64_t t, int64_t slot,
                         float descale) {
  int64_t block = slot / blocks->shape[1], offset = slot % blocks->shape[1];
  for (int64_t h = 0; h < blocks->shape[2]; h++) {
    int64_t to = block * blocks->stride[0] + offset * blocks->stride[1] + h * blocks->stride[2];
    int64_t from = t * tokens->stride[0] + h * tokens->stride[1];
    append_row((char *)blocks->data + to * pah_dtype_size(blocks->dtype), blocks->dtype,
               (const char *)tokens->data + from * pah_dtype_size(tokens->dtype), tokens->dtype, blocks->shape[3],
               descale);
  }
}

static int append_run(const struct pah_kv_append *c, int threads) {
  float k_descale = c->k_descale.dtype != PAH_NONE ? *(const float *)c->k_descale.data : 1;
  float v_descale = c->v_descale.dtype != PAH_NONE ? *(const float *)c->v_descale.data : 1;
  int64_t count = c->slot_mapping.shape[0];
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t t = 0; t < count; t++) {
    int64_t slot = append_slot(&c->slot_mapping, t);
    if (slot < 0) continue;
    append_token(&c->k_blocks, &c->k, t, slot, k_descale);
    append_token(&c->v_blocks, &c->v, t, slot, v_descale);
  }
  return PAH_OK;
}

#endif
