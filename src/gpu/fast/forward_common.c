/* forward_common.c - see forward_common.h. */
#include "forward_common.h"

#include <limits.h>
#include <string.h>

#include "error.h"
#include "gpu/gpu.h"
#include "gpu/occupancy.h"

enum { COPY_BYTES = 16, LARGEST_UNIT = 1 << 16, ROW_UNIT = 8, LARGEST_PACK = 16, UNEVEN = 4 };

static int check_tiles(const struct pah_attn *a, const char *kernel) {
  if (a->block_m || a->block_n)
    return pah_fail(PAH_EUNSUPPORTED, "block_m: the %s kernel has tiles of its own, must be 0", kernel);
  return PAH_OK;
}

int pah_forward_check_hopper(const struct pah_device *dev, const struct pah_attn *a, const char *kernel) {
  if (strcmp(dev->info.arch, "sm_90a") != 0)
    return pah_fail(PAH_EUNSUPPORTED, "kernel: the %s kernel needs an sm_90a (Hopper), %s is %s", kernel,
                    dev->info.name, dev->info.arch);
  return check_tiles(a, kernel);
}

int pah_forward_check_ampere(const struct pah_device *dev, const struct pah_attn *a, const char *kernel) {
  if (pah_arch_limits(dev->info.arch)->arch < 80)
    return pah_fail(PAH_EUNSUPPORTED, "device: the %s kernel takes only sm_80 and newer, %s is %s", kernel,
                    dev->info.name, dev->info.arch);
  return check_tiles(a, kernel);
}

int pah_forward_check_types(const struct pah_attn *a, const char *kernel) {
  int dtype = a->q.dtype;
  if ((dtype == PAH_BF16 || dtype == PAH_F16) && a->k_blocks.dtype == dtype && a->v_blocks.dtype == dtype &&
      a->out.dtype == dtype)
    return PAH_OK;
  return pah_fail(PAH_EUNSUPPORTED, "q: the %s kernel takes bf16 or f16, q, k_blocks, v_blocks and out alike", kernel);
}

int pah_forward_check_f32(const struct pah_attn *a, const char *kernel) {
  if (a->q.dtype == PAH_F32 && a->k_blocks.dtype == PAH_F32 && a->v_blocks.dtype == PAH_F32 && a->out.dtype == PAH_F32)
    return PAH_OK;
  return pah_fail(PAH_EUNSUPPORTED, "q: the %s kernel takes f32, q, k_blocks, v_blocks and out alike", kernel);
}

int pah_forward_check_aligned(const char *name, const struct pah_tensor *t, const char *kernel) {
  int64_t size = pah_dtype_size(t->dtype);
  int ok = (uintptr_t)t->data % COPY_BYTES == 0;
  for (int i = 0; i < t->ndim - 1; i++) {
    if (!t->shape[i]) return PAH_OK; /* nothing is touched */
    int64_t bytes = t->stride[i] * size;
    ok = ok && bytes % COPY_BYTES == 0 && bytes < 1LL << 40 && (bytes > 0 || t->shape[i] == 1);
  }
  if (ok) return PAH_OK;
  return pah_fail(PAH_EUNSUPPORTED, "%s: the %s kernel takes data and strides that are multiples of 16 bytes", name,
                  kernel);
}

int pah_forward_check_sizes(const struct pah_attn *a, const struct pah_attn_sizes *s, const char *kernel) {
  float scale = pah_softmax_scale(a, s);
  if (!(scale > 0 && scale < INFINITY))
    return pah_fail(PAH_EUNSUPPORTED, "softmax_scale: the %s kernel takes finite numbers above 0, this is %g", kernel,
                    (double)scale);
  int open = a->seqused_k.dtype == PAH_NONE && a->seqlen_k < 0; /* every sequence has all keys of the table */
  if (s->num_blocks < 1 || s->num_blocks > INT_MAX || s->block_size > INT_MAX || s->total_q > INT_MAX ||
      (open && s->max_blocks * s->block_size > INT_MAX) || (s->total_q / ROW_UNIT + s->B) * s->H > INT_MAX)
    return pah_fail(PAH_EUNSUPPORTED, "k_blocks: the %s kernel takes 1 to 2^31-1 blocks, tokens and items of work",
                    kernel);
  int status = pah_forward_check_aligned("q", &a->q, kernel);
  if (!status) status = pah_forward_check_aligned("k_blocks", &a->k_blocks, kernel);
  if (!status) status = pah_forward_check_aligned("v_blocks", &a->v_blocks, kernel);
  return status ? status : pah_forward_check_aligned("out", &a->out, kernel);
}

int64_t pah_gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

int pah_forward_units(const char *name, const struct pah_tensor *t, const char *kernel, struct pah_place_units *units) {
  int64_t size = pah_dtype_size(t->dtype), unit = LARGEST_UNIT, bytes[3], last = 0;
  for (int i = 0; i < 3; i++) {
    bytes[i] = t->shape[i] > 1 ? t->stride[i] * size : 0;
    unit = pah_gcd(unit, bytes[i]);
    last += (t->shape[i] - 1) * bytes[i];
  }
  if (last / unit >= UINT32_MAX)
    return pah_fail(PAH_EUNSUPPORTED, "%s: the %s kernel takes pools of at most 2^32 rows", name, kernel);
  *units = (struct pah_place_units){(uint32_t)unit, (uint32_t)(bytes[0] / unit), (uint32_t)(bytes[1] / unit),
                                    (uint32_t)(bytes[2] / unit)};
  return PAH_OK;
}

int pah_forward_descaled(const struct pah_attn *a) {
  return a->q_descale.dtype != PAH_NONE || a->k_descale.dtype != PAH_NONE || a->v_descale.dtype != PAH_NONE ||
         pah_dtype_size(a->out.dtype) == 1;
}

int pah_forward_packs(const struct pah_attn_sizes *s, int64_t tile) {
  return s->group > 1 && s->group <= LARGEST_PACK && tile % s->group == 0;
}

int pah_forward_pack(const struct pah_attn_sizes *s, int64_t tile) {
  if (!s->total_q || !pah_forward_packs(s, tile)) return 1;    /* B may be 0 then */
  int64_t rows = pah_up(s->total_q, s->B);                     /* of a sequence, on average: */
  if (s->ragged && rows < UNEVEN * tile) return (int)s->group; /* some may be far shorter */
  double alone = (double)rows / (double)(pah_up(rows, tile) * tile);
  double packed = (double)(rows * s->group) / (double)(pah_up(rows * s->group, tile) * tile);
  return alone < 0.9 * packed ? (int)s->group : 1;
}

int64_t pah_forward_items(const struct pah_attn *a, const struct pah_attn_sizes *s, int64_t tile, int pack) {
  int64_t rows = tile / pack;
  int64_t tiles = s->ragged ? s->total_q / rows + s->B : pah_up(a->q.shape[2], rows) * s->B;
  return tiles * (s->H / pack);
}
