/* merge_append.c - merge and kv_append on cuda and sim. Read next: kernels/merge.cu, kernels/kv_append.cu. */
#include <stdlib.h>

#include "attention/attn_check.h"
#include "error.h"
#include "gpu.h"
#include "params.h"

/* A thread per element of a row. */
static int check_width(int64_t d) {
  return d <= 1024 ? PAH_OK : pah_fail(PAH_EUNSUPPORTED, "head_dim: is %lld, must be at most 1024 here", (long long)d);
}

int pah_gpu_merge(struct pah_device *dev, const struct pah_merge *m) {
  const struct pah_tensor *out = &m->out_a;
  int ragged = m->lse_a.ndim == 2;
  int64_t d = out->shape[out->ndim - 1], rows = ragged ? out->shape[0] : out->ndim == 4 ? out->shape[2] : 1;
  int64_t batch = ragged ? 1 : out->shape[0], heads = out->shape[1];
  int status = check_width(d);
  if (status || !d || !rows || !batch || !heads) return status;
  struct pah_merge_params p = {pah_gpu_out_rows(&m->out_a, ragged), pah_gpu_lse_rows(&m->lse_a, ragged),
                               pah_gpu_out_rows(&m->out_b, ragged), pah_gpu_lse_rows(&m->lse_b, ragged),
                               pah_gpu_out_rows(&m->out, ragged),   pah_gpu_lse_rows(&m->lse, ragged)};
  struct pah_gpu_call call = {.file = "merge.cu", .kernel = "merge", .grid = {rows, heads, batch}, .threads = d};
  pah_gpu_define_type(&call, "A_T", m->out_a.dtype);
  pah_gpu_define_type(&call, "B_T", m->out_b.dtype);
  pah_gpu_define_type(&call, "OUT_T", m->out.dtype);
  call.args[0] = &p;
  return pah_gpu_call(dev, &call);
}

/* So many slots are compared on the host, which waits for them. */
static int check_many(const struct pah_kv_append *c) {
  struct pah_kv_append copy = *c;
  int status = pah_gpu_fetch(&c->slot_mapping, &copy.slot_mapping);
  if (!status) status = pah_kv_append_check_contents(&copy);
  if (copy.slot_mapping.data != c->slot_mapping.data) free(copy.slot_mapping.data);
  return status;
}

static int check_contents(struct pah_device *dev, const struct pah_kv_append *c, struct pah_append_params *p) {
  if (!pah_gpu_checks(dev)) return PAH_OK;
  if (p->tokens > PAH_COMPARED_SLOTS) return check_many(c);
  int status = pah_gpu_check_open(dev, &p->verdict, &p->ticket);
  return status ? status : pah_gpu_check_launch(dev, "check_slots", (p->tokens + 255) / 256, p);
}

int pah_gpu_kv_append(struct pah_device *dev, const struct pah_kv_append *c) {
  int64_t tokens = c->slot_mapping.shape[0], heads = c->k_blocks.shape[2];
  int64_t D = c->k_blocks.shape[3], Dv = c->v_blocks.shape[3], d = D > Dv ? D : Dv;
  int status = check_width(d);
  if (status || !tokens) return status;
  struct pah_append_params p = {.k = c->k.data,
                                .v = c->v.data,
                                .k_token = c->k.stride[0],
                                .k_head = c->k.stride[1],
                                .v_token = c->v.stride[0],
                                .v_head = c->v.stride[1],
                                .k_blocks = pah_gpu_blocks(&c->k_blocks),
                                .v_blocks = pah_gpu_blocks(&c->v_blocks),
                                .slot_mapping = c->slot_mapping.data,
                                .slot_stride = c->slot_mapping.stride[0],
                                .tokens = tokens,
                                .block_size = c->k_blocks.shape[1],
                                .num_blocks = c->k_blocks.shape[0],
                                .k_descale = c->k_descale.dtype == PAH_NONE ? NULL : c->k_descale.data,
                                .v_descale = c->v_descale.dtype == PAH_NONE ? NULL : c->v_descale.data,
                                .slot_bytes = c->slot_mapping.dtype == PAH_I64 ? 8 : 4,
                                .D = (int)D,
                                .Dv = (int)Dv};
  status = check_contents(dev, c, &p);
  if (status) return status;
  struct pah_gpu_call call = {.file = "kv_append.cu", .kernel = "kv_append", .grid = {tokens, heads, 1}, .threads = d};
  pah_gpu_define_type(&call, "IN_T", c->k.dtype);
  pah_gpu_define_type(&call, "KV_T", c->k_blocks.dtype);
  call.args[0] = &p;
  return pah_gpu_call(dev, &call);
}
