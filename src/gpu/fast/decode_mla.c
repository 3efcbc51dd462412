/* decode_mla.c - decode where V is the first columns of K (MLA: 576 and 512) by kernels/sm90/mla: one launch, a thread
 * block a multiprocessor. Read next: kernels/sm90/mla/decode.cu, tile.cuh there (the same sizes). */
#include "fast_kernels.h"

#include <limits.h>
#include <string.h>

#include "error.h"

enum { D = 576, DV = 512, ROWS = 64, KEYS = 64, STAGES = 2, COLUMNS = 64, THREADS = 384, SIM_RUNS = 3 };
enum { SHARED = 2 * (ROWS * D + STAGES * KEYS * D + ROWS * KEYS) };

static int refuse(const char *field, const char *must) {
  return pah_fail(PAH_EUNSUPPORTED, "%s: the mla kernel takes only %s", field, must);
}

/* Rows are copied by 16 bytes. */
static int fits_copies(const struct pah_tensor *t) {
  if ((uintptr_t)t->data % 16) return 0;
  for (int i = 0; i < t->ndim - 1; i++)
    if (t->shape[i] > 1 && t->stride[i] * 2 % 16) return 0;
  return 1;
}

/* Row groups of all sequences, at most. */
static int64_t row_groups(const struct pah_attn *a, const struct pah_attn_sizes *s) {
  int64_t queries = s->ragged ? s->total_q : s->B ? s->total_q / s->B : 0;
  (void)a;
  return pah_up((queries < PAH_MAX_DECODE_QUERIES ? queries : PAH_MAX_DECODE_QUERIES) * s->group, ROWS) * s->Hkv * s->B;
}

int pah_decode_mla_takes(const struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s) {
  if (strcmp(dev->info.arch, "sm_90a") != 0) return refuse("device", "sm_90a (Hopper)");
  if (s->D != D || s->Dv != DV || !pah_v_in_k(a) || a->v_blocks.data != a->k_blocks.data)
    return refuse("v_blocks", "the first 512 of k_blocks' 576 elements, as a view");
  if ((a->q.dtype != PAH_F16 && a->q.dtype != PAH_BF16) || a->k_blocks.dtype != a->q.dtype)
    return refuse("q", "f16 or bf16, k_blocks alike");
  if (a->tree_mask.dtype != PAH_NONE) return refuse("tree_mask", "none");
  if (a->softcap != 0) return refuse("softcap", "0");
  if (!fits_copies(&a->q) || !fits_copies(&a->k_blocks))
    return refuse("k_blocks", "data and strides of whole 16 bytes");
  int64_t splits = a->num_splits > 0 ? a->num_splits : 1, reach = s->max_blocks * s->block_size;
  if (s->block_size > INT_MAX || s->num_blocks < 1 || s->num_blocks > INT_MAX || s->total_q > INT_MAX ||
      reach > INT_MAX || row_groups(a, s) * splits > INT_MAX || row_groups(a, s) * pah_up(reach + 1, KEYS) > INT_MAX)
    return refuse("block_table", "1 to 2^31-1 blocks, tokens and pieces of work");
  return PAH_OK;
}

int pah_decode_mla(struct pah_device *dev, const struct pah_attn *a, const struct pah_attn_sizes *s,
                   struct pah_attn_params *p) {
  /* One multiprocessor is a simulated one: it gets the runs of several, so that joining is simulated too. */
  int64_t runs = dev->info.sms > 1 ? dev->info.sms / s->Hkv : SIM_RUNS;
  struct pah_gpu_call call = {.file = "sm90/mla/decode.cu",
                              .kernel = "decode",
                              .problem = a,
                              .grid = {s->Hkv, runs < 1 ? 1 : runs, 1},
                              .threads = THREADS,
                              .shared = SHARED};
  pah_gpu_define(&call, "HEAD_DIM", D);
  pah_gpu_define(&call, "HEAD_DIM_V", DV);
  /* Bulk copies bring boxes of tokens of a page; for other block sizes tokens go one by one. */
  int box = (int)(s->block_size % 64 == 0 ? 64 : s->block_size & -s->block_size);
  struct pah_tensor_map map = {0};
  int status = PAH_OK;
  if (box < 8)
    pah_gpu_define(&call, "GATHER", 1);
  else
    status = pah_tensor_map(&a->k_blocks, (const int64_t[]){1, box, 1, COLUMNS}, PAH_SWIZZLE_128, &map);
  if (status) return status;
  const void *args[] = {p, &box, &map};
  memcpy(call.args, args, sizeof args);
  pah_gpu_define_type(&call, "Q_T", a->q.dtype);
  pah_gpu_define_type(&call, "OUT_T", a->out.dtype);
  p->num_splits = a->num_splits > 0 ? a->num_splits : 0;
  int64_t groups = row_groups(a, s), parts = p->num_splits ? groups * p->num_splits : 2 * s->Hkv * call.grid[1];
  status = pah_gpu_decode_areas(dev, groups, parts * ROWS * (DV + 2), p);
  return status ? status : pah_gpu_decode_call(dev, &call);
}
